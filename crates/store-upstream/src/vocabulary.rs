//! How the service speaks about users: which requests there are, where fields stand, what its refusals mean.

use std::{borrow::Cow, fmt};

use gateway_dialect::FieldTable;
use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but what RFC 3986 never escapes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A method, and a path with parameters in braces; parameters of the query that are not given are left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    method: Method,
    path: String,
    /// Name and value, as written.
    query: Vec<(String, String)>,
}

/// Why a text is no template. `Display` is a sentence that goes on from its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BadTemplate {
    /// Not a method, a space and a path.
    Form,
    /// A parameter that there is not here.
    Parameter(String),
    /// A parameter that must be there.
    Missing(&'static str),
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("must be a method, a space, and a path that begins with /"),
            Self::Parameter(name) => write!(f, "has no parameter {{{name}}} to fill in"),
            Self::Missing(name) => write!(f, "needs the parameter {{{name}}}"),
        }
    }
}

/// What a parameter stands for.
pub(crate) type Given<'a> = (&'static str, Cow<'a, str>);

impl Template {
    /// Reads one; `known` are the parameters that it may name, the first `needed` of which it must.
    ///
    /// # Errors
    /// [`BadTemplate`].
    pub fn parse(text: &str, known: &[&'static str], needed: usize) -> Result<Self, BadTemplate> {
        let (method, rest) = text.split_once(' ').ok_or(BadTemplate::Form)?;
        let method = Method::from_bytes(method.as_bytes()).ok().ok_or(BadTemplate::Form)?;
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !rest.starts_with('/') || rest.starts_with("//") || !is_plain {
            return Err(BadTemplate::Form);
        }
        for name in rest.split('{').skip(1) {
            let name = name.split_once('}').ok_or(BadTemplate::Form)?.0;
            if !known.contains(&name) {
                return Err(BadTemplate::Parameter(name.to_owned()));
            }
        }
        if let Some(missing) = known[..needed].iter().find(|name| !rest.contains(&format!("{{{name}}}"))) {
            return Err(BadTemplate::Missing(missing));
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        Ok(Self { method, path: path.to_owned(), query: pairs.map(pair).collect() })
    }

    pub(crate) const fn method(&self) -> &Method {
        &self.method
    }

    /// Whether it has a parameter.
    pub(crate) fn takes(&self, name: &str) -> bool {
        let name = format!("{{{name}}}");
        self.path.contains(&name) || self.query.iter().any(|(_, value)| value.contains(&name))
    }

    /// The target with its parameters filled in.
    pub(crate) fn fill(&self, given: &[Given<'_>]) -> String {
        let mut target = filled(&self.path, given).unwrap_or_default();
        let mut mark = '?';
        for (name, value) in &self.query {
            if let Some(value) = filled(value, given) {
                target.push(mark);
                target.push_str(name);
                target.push('=');
                target.push_str(&value);
                mark = '&';
            }
        }
        target
    }
}

/// A text with its parameters filled in; `None` where one is not given.
fn filled(text: &str, given: &[Given<'_>]) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 36);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}')?;
        let value = given.iter().find(|(own, _)| *own == name)?;
        out.push_str(before);
        out.extend(utf8_percent_encode(&value.1, ESCAPED));
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

/// The requests that the service knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routes {
    /// Makes a user under an id of ours, where there is none: `{id}`.
    pub create: Template,
    /// Reads one: `{id}`.
    pub read: Template,
    /// Changes one by a merge patch (RFC 7396): `{id}`.
    pub update: Template,
    /// Deletes one: `{id}`.
    pub delete: Template,
    /// Lists users: `{limit}`, `{cursor}`, and what else it can be asked for.
    pub list: Template,
    /// Gives a user one more link: `{id}`, `{namespace}`, `{externalId}`.
    pub link: Option<Template>,
    /// Takes one away.
    pub unlink: Option<Template>,
}

const ID: &[&str] = &["id"];
const LINK: &[&str] = &["id", "namespace", "externalId"];
const LIST: &[&str] = &["limit", "cursor", "email", "username", "status", "namespace", "externalId"];

impl Routes {
    /// Each by its name in a configuration, with the parameters that it may have, and how many of them it must.
    pub const NAMES: [(&'static str, &'static [&'static str], usize); 7] = [
        ("create", ID, 1),
        ("read", ID, 1),
        ("update", ID, 1),
        ("delete", ID, 1),
        ("list", LIST, 0),
        ("link", LINK, 3),
        ("unlink", LINK, 3),
    ];

    /// Those of the REST dialect.
    ///
    /// # Errors
    /// None: they are templates.
    pub fn rest() -> Result<Self, BadTemplate> {
        Self::from_texts([
            "PUT /users/{id}",
            "GET /users/{id}",
            "PATCH /users/{id}",
            "DELETE /users/{id}",
            "GET /users?limit={limit}&cursor={cursor}&email={email}&username={username}&status={status}\
             &link={namespace}:{externalId}",
            "PUT /users/{id}/links/{namespace}/{externalId}",
            "DELETE /users/{id}/links/{namespace}/{externalId}",
        ])
    }

    /// The template of a name of [`Routes::NAMES`].
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Template> {
        match name {
            "create" => Some(&mut self.create),
            "read" => Some(&mut self.read),
            "update" => Some(&mut self.update),
            "delete" => Some(&mut self.delete),
            "list" => Some(&mut self.list),
            "link" => self.link.as_mut(),
            "unlink" => self.unlink.as_mut(),
            _ => None,
        }
    }

    fn from_texts(texts: [&str; 7]) -> Result<Self, BadTemplate> {
        let read = |at: usize| {
            let (_, known, needed) = Self::NAMES[at];
            Template::parse(texts[at], known, needed)
        };
        Ok(Self {
            create: read(0)?,
            read: read(1)?,
            update: read(2)?,
            delete: read(3)?,
            list: read(4)?,
            link: Some(read(5)?),
            unlink: Some(read(6)?),
        })
    }
}

/// What a refusal means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// There is no such user.
    Absent,
    /// The user is not as the request's condition says.
    Stale,
    /// A unique key, or the id, is another user's.
    Conflict,
    /// The same request is still being carried out.
    InFlight,
    /// The service's own rules refuse the state.
    Refused,
    /// Nothing was done, and later it may be.
    Unavailable,
    /// Whether it was done is not known.
    Unknown,
}

impl Meaning {
    /// Each by its name in a configuration.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("absent", Self::Absent),
        ("stale", Self::Stale),
        ("conflict", Self::Conflict),
        ("in_flight", Self::InFlight),
        ("refused", Self::Refused),
        ("unavailable", Self::Unavailable),
        ("unknown", Self::Unknown),
    ];
}

/// A refusal, and what it means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorRow {
    /// The status.
    pub status: StatusCode,
    /// A member of the answer, and the text that it has; any answer of that status where there is none.
    pub member: Option<(String, String)>,
    /// What it means.
    pub meaning: Meaning,
}

/// How the service speaks about users.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Its requests.
    pub routes: Routes,
    /// Its document of a user.
    pub fields: FieldTable,
    /// The member of a list's answer that holds the users; the answer itself where it is empty.
    pub items: String,
    /// The member that says where the list goes on.
    pub next: String,
    /// Its refusals, the first that fits counts; then those of RFC 9110.
    pub errors: Vec<ErrorRow>,
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        let rows = |own: &Self| -> Vec<_> {
            own.fields.rows().iter().map(|row| (row.wire.clone(), row.attr, row.access)).collect()
        };
        self.routes == other.routes
            && rows(self) == rows(other)
            && (&self.items, &self.next) == (&other.items, &other.next)
            && self.errors == other.errors
    }
}

/// What stands before the kind of a problem of the REST dialect.
const PROBLEM: &str = "urn:interlingua:problem:";

impl Vocabulary {
    /// That of the REST dialect, whose fields these are.
    ///
    /// # Errors
    /// None: its requests are templates.
    pub fn rest(fields: FieldTable) -> Result<Self, BadTemplate> {
        let problem = |status, kind: &str, meaning| ErrorRow {
            status,
            member: Some(("type".to_owned(), format!("{PROBLEM}{kind}"))),
            meaning,
        };
        let errors = vec![
            problem(StatusCode::CONFLICT, "key-in-flight", Meaning::InFlight),
            problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", Meaning::Unavailable),
        ];
        let (items, next) = ("items".to_owned(), "nextCursor".to_owned());
        Ok(Self { routes: Routes::rest()?, fields, items, next, errors })
    }

    /// What a refusal means; `None` for what is none, or says that we are not known, or ask too much.
    pub(crate) fn meaning(&self, status: StatusCode, body: &[u8]) -> Option<Meaning> {
        let document = gateway_dialect::json::parse(body).ok();
        let says = |name: &str, text: &str| {
            document.as_ref().and_then(|json| json.get(name)?.as_text()).is_some_and(|own| own == text)
        };
        let row = self.errors.iter().find(|row| {
            row.status == status && row.member.as_ref().is_none_or(|(name, text)| says(name, text))
        });
        row.map(|row| row.meaning).or_else(|| usual(status))
    }
}

/// What a status means by RFC 9110. A fault of the service may have come after the deed.
fn usual(status: StatusCode) -> Option<Meaning> {
    match status.as_u16() {
        404 | 410 => Some(Meaning::Absent),
        412 => Some(Meaning::Stale),
        409 => Some(Meaning::Conflict),
        400 | 413 | 415 | 422 => Some(Meaning::Refused),
        500..=599 => Some(Meaning::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_leaves_out_what_is_not_given() {
        let routes = Routes::rest().unwrap();
        assert_eq!(routes.list.fill(&[]), "/users");
        let link = [("limit", "1".into()), ("namespace", "a".into()), ("externalId", "x/ü&?".into())];
        assert_eq!(routes.list.fill(&link), "/users?limit=1&link=a:x%2F%C3%BC%26%3F");
        assert_eq!(routes.read.fill(&[("id", "7".into())]), "/users/7");
        assert!(routes.list.takes("email") && !routes.list.takes("id"));
        assert_eq!(*routes.create.method(), Method::PUT);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for bad in
            ["", "GET", "GET users", "GET //users", "GET /a#b", "GET /ü", "G T /x", "GET /{id", "\n /x"]
        {
            assert_eq!(Template::parse(bad, ID, 0), Err(BadTemplate::Form), "{bad}");
        }
        assert_eq!(Template::parse("GET /{x}", ID, 0), Err(BadTemplate::Parameter("x".into())));
        assert_eq!(Template::parse("GET /x", ID, 1), Err(BadTemplate::Missing("id")));
    }

    #[test]
    fn a_refusal_means_what_its_row_says_and_else_the_usual() {
        let fields =
            FieldTable::build(Vec::new(), gateway_dialect::Clear::Null, gateway_dialect::ReadOnly::Ignore);
        let vocabulary = Vocabulary::rest(fields.unwrap()).unwrap();
        let of = |status: u16, body: &str| {
            vocabulary.meaning(StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert_eq!(of(409, r#"{"type":"urn:interlingua:problem:key-in-flight"}"#), Some(Meaning::InFlight));
        assert_eq!(of(409, "{}"), Some(Meaning::Conflict));
        assert_eq!(of(503, r#"{"type":"urn:interlingua:problem:unavailable"}"#), Some(Meaning::Unavailable));
        assert_eq!(of(503, "no JSON"), Some(Meaning::Unknown));
        for (status, meaning) in [(404, Meaning::Absent), (412, Meaning::Stale), (422, Meaning::Refused)] {
            assert_eq!(of(status, ""), Some(meaning));
        }
        for none in [302, 401, 403, 405, 429] {
            assert_eq!(of(none, ""), None, "{none}");
        }
    }
}
