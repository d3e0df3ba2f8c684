//! Routes: verb, path template, action; and how a request target finds one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The methods that are served. HEAD is GET without a body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verb {
    /// GET, and HEAD.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// The verb of a method; methods are case-sensitive (RFC 9110, 9.1).
    #[must_use]
    pub fn of(method: &http::Method) -> Option<Self> {
        match method.as_str() {
            "GET" | "HEAD" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// True where a request of this verb carries a body.
    #[must_use]
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// What a route is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Make a user.
    Create,
    /// Read one.
    Read,
    /// Change one.
    Update,
    /// Set all of one.
    Replace,
    /// Delete one.
    Delete,
    /// Read one by its external id, or make it.
    ReadOrCreate,
    /// Ask whether a username is free.
    CheckUsername,
    /// Find some by a part of their usernames.
    Suggest,
    /// List users.
    List,
    /// Read the links of one.
    ReadLinks,
    /// Link one.
    Link,
    /// Take a link from one.
    Unlink,
}

impl Action {
    /// The name in logs, metrics and listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::ReadOrCreate => "read_or_create",
            Self::CheckUsername => "check_username",
            Self::Suggest => "suggest",
            Self::List => "list",
            Self::ReadLinks => "read_links",
            Self::Link => "link",
            Self::Unlink => "unlink",
        }
    }

    /// True where an Idempotency-Key counts: the action may write.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::CheckUsername | Self::Suggest | Self::List | Self::ReadLinks)
    }
}

/// One row of a dialect's routes.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The verb.
    pub verb: Verb,
    /// The path below the mount's prefix; a segment in braces stands for any one segment, and there
    /// are three such at most. Of two rows that fit a path the first counts.
    pub template: &'static str,
    /// What it is for.
    pub action: Action,
}

/// A row of a `const` table.
#[must_use]
pub const fn route(verb: Verb, template: &'static str, action: Action) -> Route {
    Route { verb, template, action }
}

/// A route, and what stood in its braces, raw.
#[derive(Clone, Copy, Debug)]
pub struct Target<'r> {
    /// The route.
    pub route: &'static Route,
    parameters: Parameters<'r>,
}

/// What stood in the braces of a template, in order.
type Parameters<'r> = [Option<&'r str>; 3];

impl<'r> Target<'r> {
    /// A target made up, for requests that came over no wire.
    #[must_use]
    pub const fn new(route: &'static Route, parameters: [Option<&'r str>; 3]) -> Self {
        Self { route, parameters }
    }

    /// The raw segment in the place of a pair of braces, by the name in them.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'r str> {
        let braced =
            self.route.template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        braced.zip(self.parameters).find(|(braced, _)| *braced == name).and_then(|(_, raw)| raw)
    }

    /// The same, decoded.
    #[must_use]
    pub fn decoded(&self, name: &str) -> Option<Cow<'r, str>> {
        self.parameter(name).and_then(decode_segment)
    }
}

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
pub enum Resolution<'r> {
    /// To a route.
    Found(Target<'r>),
    /// To a route, but with other methods; its template.
    OtherMethods(&'static str),
    /// Nowhere.
    Nowhere,
}

/// Finds the route of a raw path below the prefix. A trailing slash is tolerated (decision 1): it
/// is read as an empty last segment first, so that `/users/` names the user with no name.
#[must_use]
pub fn resolve<'r>(routes: &'static [Route], verb: Option<Verb>, path: &'r str) -> Resolution<'r> {
    let trimmed = path.strip_suffix('/');
    let candidates = [Some(path), trimmed];
    for candidate in candidates.into_iter().flatten() {
        let found = routes.iter().filter(|route| Some(route.verb) == verb).find_map(|route| {
            matches(route.template, candidate).map(|parameters| Target { route, parameters })
        });
        if let Some(target) = found {
            return Resolution::Found(target);
        }
    }
    let other = [trimmed, Some(path)]
        .into_iter()
        .flatten()
        .find_map(|candidate| routes.iter().find(|route| matches(route.template, candidate).is_some()));
    other.map_or(Resolution::Nowhere, |route| Resolution::OtherMethods(route.template))
}

/// The value of `Allow` for a template.
#[must_use]
pub fn allow(routes: &[Route], template: &str) -> String {
    let mut names = Vec::new();
    for route in routes.iter().filter(|route| route.template == template) {
        names.push(route.verb.as_str());
        if route.verb == Verb::Get {
            names.push("HEAD");
        }
    }
    names.join(", ")
}

fn matches<'r>(template: &str, path: &'r str) -> Option<Parameters<'r>> {
    let (mut template, mut path) = (template, path);
    let mut parameters = [None; 3];
    for parameter in &mut parameters {
        let Some((before, rest)) = split_at_byte(template, b'{') else { break };
        let (_name, after) = split_at_byte(rest, b'}')?;
        let segments = path.strip_prefix(before)?;
        let end = segments.bytes().position(|byte| byte == b'/').unwrap_or(segments.len());
        *parameter = Some(&segments[..end]);
        (template, path) = (&after[1..], &segments[end..]);
    }
    (template == path).then_some(parameters)
}

/// What stands before a byte, and the rest from that byte on. On texts this short a loop is faster than
/// the searches of the library.
fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    text.bytes().position(|found| found == byte).map(|at| text.split_at(at))
}

/// Percent-decodes a path segment, once. `None` for a bad escape, and for what is not UTF-8.
#[must_use]
pub fn decode_segment(raw: &str) -> Option<Cow<'_, str>> {
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        let escape = rest.as_bytes().get(at + 1..at + 3)?;
        if !escape.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = &rest[at + 3..];
    }
    percent_decode_str(raw).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &[Route] = &[
        route(Verb::Post, "/users", Action::Create),
        route(Verb::Get, "/users/{externalId}", Action::Read),
        route(Verb::Patch, "/users/{externalId}", Action::Update),
    ];

    fn found(verb: Verb, path: &str) -> Option<(Action, Option<&str>)> {
        match resolve(ROUTES, Some(verb), path) {
            Resolution::Found(target) => Some((target.route.action, target.parameter("externalId"))),
            _ => None,
        }
    }

    #[test]
    fn paths_find_routes() {
        assert_eq!(found(Verb::Post, "/users"), Some((Action::Create, None)));
        assert_eq!(found(Verb::Post, "/users/"), Some((Action::Create, None)));
        assert_eq!(found(Verb::Get, "/users/a%2Fb"), Some((Action::Read, Some("a%2Fb"))));
        assert_eq!(found(Verb::Get, "/users/a/"), Some((Action::Read, Some("a"))));
        assert_eq!(found(Verb::Get, "/users/"), Some((Action::Read, Some(""))));
        for path in ["", "/", "/user", "/users/a/b", "//users", "/users//a", "users", "/Users"] {
            assert_eq!(found(Verb::Get, path), None, "{path}");
        }
    }

    #[test]
    fn two_parameters_have_names_and_the_first_row_counts() {
        const TWO: &[Route] = &[
            route(Verb::Get, "/{projectId}/users/suggestions", Action::Suggest),
            route(Verb::Get, "/{projectId}/users/{userId}", Action::Read),
        ];
        let found = |path| match resolve(TWO, Some(Verb::Get), path) {
            Resolution::Found(target) => {
                (target.route.action, target.parameter("projectId"), target.decoded("userId"))
            }
            _ => panic!("{path}"),
        };
        assert_eq!(found("/p/users/suggestions"), (Action::Suggest, Some("p"), None));
        assert_eq!(found("/p/users/a%2Fb"), (Action::Read, Some("p"), Some("a/b".into())));
    }

    #[test]
    fn other_methods_are_named() {
        let other = |verb, path| match resolve(ROUTES, verb, path) {
            Resolution::OtherMethods(template) => allow(ROUTES, template),
            _ => String::new(),
        };
        assert_eq!(other(Some(Verb::Get), "/users"), "POST");
        assert_eq!(other(Some(Verb::Delete), "/users/x"), "GET, HEAD, PATCH");
        assert_eq!(other(None, "/users/x/"), "GET, HEAD, PATCH");
        assert_eq!(other(Some(Verb::Get), "/nope"), "");
    }

    #[test]
    fn segments_decode_once() {
        for (raw, decoded) in [
            ("a", Some("a")),
            ("a%2Fb", Some("a/b")),
            ("%2525", Some("%25")),
            ("%c3%a9", Some("é")),
            ("a+b", Some("a+b")),
            ("%4", None),
            ("%", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decode_segment(raw).as_deref(), decoded, "{raw}");
        }
    }
}
