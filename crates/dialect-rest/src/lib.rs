//! The canonical REST dialect (section F of the wire reference).
//!
//! The wire format stands in `wire.rs`; this file is its grammar, `document.rs` reads and writes users,
//! `merge.rs` and `patch.rs` are the two kinds of patches, `query.rs` reads lists, `problem.rs` writes
//! errors, `negotiate.rs` speaks about media types, `record.rs` is what gateways say to each other.

mod codec;
pub mod document;
mod forms;
#[doc(hidden)]
pub mod fuzz;
mod merge;
mod negotiate;
mod paper;
#[doc(hidden)]
pub mod patch;
mod problem;
mod query;
mod record;
mod rules;
#[cfg(test)]
mod tests;
mod wire;

use std::{borrow::Cow, sync::Arc};

use gateway_core::{
    Attr, Caller, Change, Error, ErrorKind, ExternalId, FieldError, Link, Locator, Namespace, Operation,
    Outcome, Place, Problem, Reach, User, View,
};
use gateway_dialect::{
    Action, Answer, Decoded, Description, Dialect, Expressed, FieldTable, Form, Hygiene, Json, KeyForm,
    Naming, Occasion, Options, Paper, Request, Route, Ruling, Site, Target, UnknownFields, Verb,
};
use http::{HeaderName, HeaderValue, StatusCode, header};

use document::{SECRET, Source};
use negotiate::{JSON, is_json_patch};
pub use rules::judge;
use wire::{ROUTES, TABLE};

/// The parameters of the paths.
const USER: &str = "userId";
const NAMESPACE: &str = "namespace";
const EXTERNAL_ID: &str = "externalId";

/// The dialect, with a mount's options.
#[derive(Debug)]
pub struct Rest {
    /// A change must say which version it is based on.
    demands_match: bool,
}

/// The JSON pointer to an attribute in the document of a user.
#[must_use]
pub fn pointer(attr: Attr) -> &'static str {
    TABLE.wire(attr).unwrap_or_default()
}

impl Rest {
    /// Reads `require_if_match` (off by default).
    pub fn build(options: &mut Options<'_>) -> Arc<dyn Dialect> {
        Arc::new(Self { demands_match: options.flag("require_if_match", false) })
    }
}

impl Dialect for Rest {
    fn name(&self) -> &'static str {
        "rest"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn fields(&self) -> &FieldTable {
        &TABLE
    }

    fn naming(&self) -> Naming {
        Naming::Canonical
    }

    fn unknown_fields(&self) -> UnknownFields {
        UnknownFields::Reject
    }

    fn request_id_header(&self) -> Option<HeaderName> {
        Some(HeaderName::from_static("x-request-id"))
    }

    fn shows_closed(&self) -> bool {
        true
    }

    fn heeds_preferences(&self) -> bool {
        true
    }

    fn tells_limits(&self) -> bool {
        true
    }

    fn key_form(&self) -> KeyForm {
        KeyForm::Text
    }

    fn fingerprinted(&self) -> &'static [HeaderName] {
        &[header::IF_MATCH, header::CONTENT_TYPE]
    }

    fn media_type(&self) -> &'static str {
        JSON
    }

    fn scopes(&self) -> &'static str {
        "users:read users:write"
    }

    /// A client that acts for itself may do all, unless it has scopes: those count then, and always for a
    /// user's token.
    fn authorize(&self, _: &Site<'_>, caller: &Caller, target: &Target<'_>) -> Result<(), Error> {
        if caller.is_anonymous {
            return Err(ErrorKind::MissingCredential.into());
        }
        let scope = scope(target.route.verb);
        let is_free = caller.subject.is_none() && caller.scope.is_empty();
        if is_free || caller.has_scope(scope) {
            return Ok(());
        }
        Err(lacks(scope))
    }

    fn form(&self, site: &Site<'_>, caller: &Caller, request: &Request<'_>) -> Result<Form, Error> {
        negotiate::form(site, caller, request)
    }

    fn decode(&self, site: &Site<'_>, _: &Caller, request: &Request<'_>) -> Result<Decoded, Error> {
        self.preconditions(site.form, request)?;
        let user = request.canonical_locator(USER);
        let known = |operation| Ok(Decoded { operation, unknown: Vec::new() });
        match request.target.route.action {
            Action::Create => {
                let (creation, unknown) = document::creation(site, document::object(request.body)?, None)?;
                Ok(Decoded { operation: Operation::Create(creation), unknown })
            }
            Action::Replace if site.form == Form::Record => known(record::restated(&user, request.body)?),
            Action::Replace => replace(site, user, request),
            Action::Update => update(user, request),
            Action::Delete => known(Operation::Delete(user)),
            Action::ReadLinks => known(Operation::ReadLinks(user)),
            Action::Link => known(Operation::Link(user, link(request).map_err(Error::invalid)?)),
            Action::Unlink => known(Operation::Unlink(user, link(request).ok().ok_or(ErrorKind::NotFound)?)),
            Action::List => known(Operation::List(query::read(site.form, request.query)?)),
            _ => known(Operation::Read(user)),
        }
    }

    fn revise(&self, site: &Site<'_>, request: &Request<'_>, before: &User) -> Result<Vec<Change>, Error> {
        let view = View { user: before, namespace: site.reach.namespace(), now: site.now };
        let present = document::present(&view);
        if request.target.route.action == Action::Update && is_json_patch(request)? {
            let plain = serde_json::to_value(&present)
                .map_err(|error| Error::new(ErrorKind::Internal).source(error))?;
            let patched = from_value(patch::run(plain, &patch::read(request.body)?)?);
            return document::difference(site, (before, &present), patched, Source::Patch);
        }
        let mut sent = document::object(request.body)?;
        let secret = document::take(&mut sent, SECRET);
        let (after, source) = match request.target.route.action {
            Action::Update => (merge::merge(present.clone(), sent), Source::Merge),
            _ => (sent, Source::Whole),
        };
        let changes = document::difference(site, (before, &present), after, source);
        document::with_secret(changes, secret, site.today())
    }

    fn judge(&self, ruling: &Ruling<'_>) -> Result<(), Error> {
        rules::judge(ruling)
    }

    fn encode(&self, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer {
        if site.form == Form::Record {
            return record::encode(outcome);
        }
        let shown =
            |user| document::present(&View { user, namespace: site.reach.namespace(), now: site.now });
        match *outcome {
            Outcome::Created(user) => {
                let answer = Answer::json(StatusCode::CREATED, JSON, &shown(user));
                match HeaderValue::try_from(format!("{}/users/{}", site.base, user.id)) {
                    Ok(location) => answer.header(header::LOCATION, location),
                    Err(_) => answer,
                }
            }
            Outcome::Found(user) | Outcome::Updated(user) => Answer::json(StatusCode::OK, JSON, &shown(user)),
            Outcome::Links(user) => {
                let links = document::links(&View { user, namespace: site.reach.namespace(), now: site.now });
                Answer::json(StatusCode::OK, JSON, &Json::Object(vec![("items".into(), links)]))
            }
            Outcome::Linked(user, true) => match user.links.last() {
                Some(link) => Answer::json(StatusCode::CREATED, JSON, &codec::write_link(link)),
                None => Answer::empty(StatusCode::CREATED, Hygiene::Full),
            },
            Outcome::Listed(users, next) => {
                let items = Json::Array(users.iter().map(|user| shown(user)).collect());
                let next = next.map_or(Json::Null, |id| Json::Text(query::write_cursor(id).into()));
                let list = Json::Object(vec![("items".into(), items), ("nextCursor".into(), next)]);
                Answer::json(StatusCode::OK, JSON, &list)
            }
            // A deletion, a link that was there already or is gone; no route leads to the others.
            _ => Answer::empty(StatusCode::NO_CONTENT, Hygiene::Full),
        }
    }

    fn render(&self, error: &Error, occasion: &Occasion<'_>) -> Answer {
        problem::render(error, occasion)
    }

    fn describe(&self, paper: &Paper<'_>) -> Description {
        paper::describe(paper, self.demands_match)
    }

    /// A merge patch: it has no word for a null within metadata.
    fn compose(&self, fields: &[Expressed<'_>], _: &str) -> Vec<u8> {
        let mut members: Vec<(Cow<'_, str>, Json<'_>)> = Vec::new();
        for one in fields {
            let (group, name) = one.field.path();
            let member = (name.into(), one.value.clone().unwrap_or(Json::Null));
            let inner = members.iter_mut().find(|(name, _)| Some(name.as_ref()) == group);
            match (group, inner) {
                (Some(_), Some((_, Json::Object(inner)))) => inner.push(member),
                (Some(group), _) => members.push((group.into(), Json::Object(vec![member]))),
                (None, _) => members.push(member),
            }
        }
        serde_json::to_vec(&Json::Object(members)).unwrap_or_default()
    }
}

impl Rest {
    /// Where the mount demands it, and for a record, a change says what it is based on: a version, or that
    /// there is none.
    fn preconditions(&self, form: Form, request: &Request<'_>) -> Result<(), Error> {
        let has = |name| request.headers.contains_key(name);
        let action = request.target.route.action;
        let changes = action.writes() && action != Action::Create;
        // Only this says that there is none to be overwritten.
        let makes = action == Action::Replace
            && request.headers.get(header::IF_NONE_MATCH).is_some_and(|value| value == "*");
        let is_demanded = self.demands_match || form == Form::Record;
        if is_demanded && changes && !makes && !has(header::IF_MATCH) {
            return Err(ErrorKind::PreconditionRequired.into());
        }
        Ok(())
    }
}

const fn scope(verb: Verb) -> &'static str {
    if matches!(verb, Verb::Get) { "users:read" } else { "users:write" }
}

fn lacks(scope: &str) -> Error {
    Error::new(ErrorKind::Forbidden).message(format!("This needs the scope {scope}")).cause("scope")
}

/// PUT: on a mount that sees all users it makes the one that is not there.
fn replace(site: &Site<'_>, user: Locator, request: &Request<'_>) -> Result<Decoded, Error> {
    let document = document::object(request.body)?;
    let unknown = document::strangers(&document).into_iter().map(|(_, name)| name).collect();
    let operation = match (&user, site.reach) {
        (Locator::Id(id), Reach::All) => {
            let creation = document::creation(site, document, Some(*id));
            Operation::Replace(user, creation.map(|(creation, _)| creation))
        }
        _ => Operation::Revise(user),
    };
    Ok(Decoded { operation, unknown })
}

/// PATCH: what it changes only the user tells; that it is a patch, itself.
fn update(user: Locator, request: &Request<'_>) -> Result<Decoded, Error> {
    let mut unknown = Vec::new();
    if is_json_patch(request)? {
        patch::read(request.body)?;
    } else {
        let strangers = document::strangers(&document::object(request.body)?);
        unknown = strangers.into_iter().map(|(_, name)| name).collect();
    }
    Ok(Decoded { operation: Operation::Revise(user), unknown })
}

/// The link that the path names, or what is wrong with it.
fn link(request: &Request<'_>) -> Result<Link, Vec<FieldError>> {
    let namespace = request.target.decoded(NAMESPACE).and_then(|name| Namespace::parse(&name));
    let external_id = request.target.decoded(EXTERNAL_ID).and_then(|id| ExternalId::parse(&id));
    match (namespace, external_id) {
        (Some(namespace), Some(external_id)) => Ok(Link { namespace, external_id }),
        (namespace, external_id) => {
            let bad =
                |name: &'static str, problem| FieldError { place: Place::Parameter(name.into()), problem };
            let namespace = namespace.is_none().then(|| bad(NAMESPACE, Problem::Namespace));
            let external_id = external_id.is_none().then(|| bad(EXTERNAL_ID, Problem::ExternalId));
            Err(namespace.into_iter().chain(external_id).collect())
        }
    }
}

/// The same value as a document.
fn from_value(value: serde_json::Value) -> Json<'static> {
    use serde_json::Value as V;
    match value {
        V::Null => Json::Null,
        V::Bool(flag) => Json::Bool(flag),
        V::Number(number) => Json::Number(number),
        V::String(text) => Json::Text(text.into()),
        V::Array(items) => Json::Array(items.into_iter().map(from_value).collect()),
        V::Object(members) => {
            Json::Object(members.into_iter().map(|(name, value)| (name.into(), from_value(value))).collect())
        }
    }
}
