//! Dialect C: the JSON:API user API (section C of the wire reference, decisions 31 to 36).
//!
//! The wire format stands in `wire.rs`; this file is its grammar, `document.rs` reads its envelope,
//! `errors.rs` writes its errors, `negotiate.rs` speaks about media types.

mod codec;
mod document;
mod errors;
mod negotiate;
mod paper;
mod wire;

#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

use gateway_core::{
    Attr, Caller, Change, Creation, Error, ErrorKind, FieldError, Locator, Operation, Outcome, Problem,
    Reach, Status, User, UserId, Value, View, check,
};
use gateway_dialect::{
    Access, Action, Answer, Decoded, Description, Dialect, Expressed, Field, FieldTable, Hygiene, Json, Mode,
    Naming, Occasion, Options, Paper, Request, Route, Ruling, SECONDS, Site, Target, Unset, Verb,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use codec::{BIRTH_DATE, TEXT_OR_NUMBER};
use document::Identity;
use negotiate::MEDIA_TYPE;
use wire::{FIELDS, ROUTES, SPELLING, TABLE};

/// The parameter of the path.
const USER: &str = "userId";

/// The dialect, with a mount's options.
#[derive(Debug)]
pub struct JsonApi {
    /// By JSON:API 1.1, where PACE does otherwise.
    strict: bool,
    /// Accepted spellings of the resource type; the first is answered.
    types: Vec<String>,
    /// A user's token is good for that user only.
    only_self: bool,
    table: FieldTable,
}

impl JsonApi {
    /// Reads `conformance`, `types`, `numeric_address`, `birth_date_format` and `subject`.
    pub fn build(options: &mut Options<'_>) -> Arc<dyn Dialect> {
        let strict = options.choice("conformance", &[("pace", false), ("jsonapi-1.1", true)], false);
        let only_self = options.choice("subject", &[("any", false), ("self", true)], false);
        let numbers = options.flag("numeric_address", true);
        let instants = options.choice("birth_date_format", &[("instant", true), ("date", false)], true);
        let table = match FieldTable::build(rows(numbers, instants), SPELLING.0, SPELLING.1) {
            Ok(table) => table,
            Err(error) => {
                options.problem_at(options.span(), error.to_string());
                TABLE.clone()
            }
        };
        Arc::new(Self { strict, types: types(options), only_self, table })
    }
}

/// Member names of JSON:API, less what would need escapes somewhere; `User` where none is given.
fn types(options: &mut Options<'_>) -> Vec<String> {
    let mut types = Vec::new();
    for (name, span) in options.texts("types") {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            options.problem_at(span, "`types` takes names of letters, digits, `-` and `_`");
        }
        types.push(name);
    }
    if types.is_empty() { vec!["User".to_owned()] } else { types }
}

/// The vocabulary as a mount writes it (decision 34).
fn rows(numbers: bool, instants: bool) -> Vec<Field> {
    let mut rows = FIELDS.to_vec();
    for row in &mut rows {
        match row.attr {
            Attr::HouseNumber | Attr::PostalCode if !numbers => {
                row.codec = TEXT_OR_NUMBER.chars(row.codec.min, row.codec.max);
            }
            Attr::BirthDate if !instants => row.codec = BIRTH_DATE,
            _ => {}
        }
    }
    rows
}

#[derive(Serialize)]
struct Document<'a> {
    data: Resource<'a>,
}

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: String,
    attributes: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    own: String,
}

impl Dialect for JsonApi {
    fn name(&self) -> &'static str {
        "jsonapi"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn fields(&self) -> &FieldTable {
        &self.table
    }

    fn naming(&self) -> Naming {
        Naming::Canonical
    }

    fn request_id_header(&self) -> Option<HeaderName> {
        Some(HeaderName::from_static("request-id"))
    }

    fn media_type(&self) -> &'static str {
        MEDIA_TYPE
    }

    fn scopes(&self) -> &'static str {
        "user:users:read user:users:write user:users:delete"
    }

    fn authorize(&self, _: &Site<'_>, caller: &Caller, target: &Target<'_>) -> Result<(), Error> {
        let scope = scope(target.route.verb);
        if !caller.has_scope(scope) {
            return Err(lacks(scope));
        }
        let subject = caller.subject.as_deref().and_then(UserId::parse);
        let named = target.decoded(USER).and_then(|id| UserId::parse(&id));
        if self.only_self && (subject.is_none() || subject != named) {
            return Err(Error::new(ErrorKind::Forbidden).cause("subject"));
        }
        Ok(())
    }

    fn negotiate(&self, request: &Request<'_>) -> Result<(), Error> {
        let verb = request.target.route.verb;
        // The answer to a deletion is of no media type.
        if verb != Verb::Delete {
            negotiate::accept(request.headers, self.strict)?;
        }
        let says_nothing = verb == Verb::Patch && request.body.is_empty();
        if verb.has_body() && !says_nothing { negotiate::content_type(request.headers) } else { Ok(()) }
    }

    fn decode(&self, site: &Site<'_>, _: &Caller, request: &Request<'_>) -> Result<Decoded, Error> {
        document::check_query(request, self.strict)?;
        let user = request.canonical_locator(USER);
        match request.target.route.action {
            Action::Create => self.create(site, request),
            Action::Update if request.body.is_empty() => {
                Ok(Decoded { operation: update(user, Vec::new()), unknown: Vec::new() })
            }
            Action::Update => self.update(site, user, request, Mode::Update),
            Action::Replace => self.update(site, user, request, Mode::Create),
            Action::Delete => Ok(Decoded { operation: Operation::Delete(user), unknown: Vec::new() }),
            _ => Ok(Decoded { operation: Operation::Read(user), unknown: Vec::new() }),
        }
    }

    /// What reads as unset here is not cleared, an empty text that another dialect wrote; and the time
    /// of creation may be sent back (decision 5).
    fn settle(&self, before: &User, changes: &mut Vec<Change>) {
        let created = SECONDS.write(&Value::Instant(before.created_at));
        changes.retain(|change| match &change.value {
            Some(value) => change.attr != Attr::CreatedAt || value.as_text() != created.as_text(),
            None => before.profile.text(change.attr) != Some(""),
        });
    }

    fn judge(&self, ruling: &Ruling<'_>) -> Result<(), Error> {
        if ruling.changes.iter().any(|change| change.attr == Attr::CreatedAt) {
            return Err(Error::invalid(vec![FieldError::attr(Attr::CreatedAt, Problem::ReadOnly)]));
        }
        final_region(ruling)
    }

    fn encode(&self, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer {
        match *outcome {
            Outcome::Created(user) => {
                let answer = self.record(site, StatusCode::CREATED, user);
                match HeaderValue::try_from(address(site, user)) {
                    Ok(location) => answer.header(header::LOCATION, location),
                    Err(_) => answer,
                }
            }
            Outcome::Found(user) | Outcome::Updated(user) => self.record(site, StatusCode::OK, user),
            Outcome::Deleted => Answer::empty(StatusCode::ACCEPTED, Hygiene::Full),
            // No route of this dialect leads to the others.
            _ => Answer::empty(StatusCode::NO_CONTENT, Hygiene::Full),
        }
    }

    fn render(&self, error: &Error, occasion: &Occasion<'_>) -> Answer {
        errors::render(error, occasion.request_id, &self.table, self.strict)
    }

    fn describe(&self, paper: &Paper<'_>) -> Description {
        paper::describe(paper, &self.table, &self.types, self.strict)
    }

    fn compose(&self, fields: &[Expressed<'_>], user: &str) -> Vec<u8> {
        let mut attributes: Vec<(Cow<'_, str>, Json<'_>)> = Vec::new();
        for one in fields {
            let (group, name) = one.field.path();
            let member = (name.into(), one.value.clone().unwrap_or(Json::Null));
            let inner = attributes.iter_mut().find(|(name, _)| Some(name.as_ref()) == group);
            match (group, inner) {
                (Some(_), Some((_, Json::Object(inner)))) => inner.push(member),
                (Some(group), _) => attributes.push((group.into(), Json::Object(vec![member]))),
                (None, _) => attributes.push(member),
            }
        }
        let (kind, attributes) = (self.kind(), Json::Object(attributes));
        let data = Resource { kind, id: user.to_owned(), attributes, links: None };
        serde_json::to_vec(&Document { data }).unwrap_or_default()
    }
}

impl JsonApi {
    fn kind(&self) -> &str {
        self.types.first().map_or("", String::as_str)
    }

    fn create(&self, site: &Site<'_>, request: &Request<'_>) -> Result<Decoded, Error> {
        let identity = if *site.reach == Reach::All { Identity::Free } else { Identity::Given };
        let speech = (&self.table, &*self.types);
        let document = document::read(site, request.body, speech, identity, Mode::Create)?;
        let changes = document.reading.changes;
        let creation = Creation {
            id: document.id,
            external_id: None,
            links: Vec::new(),
            status: Status::Active,
            changes,
        };
        Ok(Decoded { operation: Operation::Create(creation), unknown: document.reading.unknown })
    }

    /// A PATCH, or a PUT: that one needs what a creation needs, and clears what it does not name.
    fn update(
        &self,
        site: &Site<'_>,
        user: Locator,
        request: &Request<'_>,
        mode: Mode,
    ) -> Result<Decoded, Error> {
        let named = if let Locator::Id(id) = &user { Some(*id) } else { None };
        let (speech, identity) = ((&self.table, &*self.types), Identity::Path(named));
        let document = document::read(site, request.body, speech, identity, mode)?;
        let mut changes = document.reading.changes;
        if mode == Mode::Create {
            let named = |attr: Attr| changes.iter().any(|change| change.attr == attr);
            let rows = self.table.rows().iter().filter(|row| row.access == Access::Optional);
            let absent: Vec<_> = rows.map(|row| row.attr).filter(|attr| !named(*attr)).collect();
            changes.extend(absent.into_iter().map(Change::clear));
        }
        Ok(Decoded { operation: update(user, changes), unknown: document.reading.unknown })
    }

    fn record(&self, site: &Site<'_>, status: StatusCode, user: &User) -> Answer {
        let view = View { user, namespace: site.reach.namespace(), now: site.now };
        let attributes = shown(self.table.write(&view, Unset::Omit)).unwrap_or(Json::Object(Vec::new()));
        let links = self.strict.then(|| Links { own: address(site, user) });
        let data = Resource { kind: self.kind(), id: user.id.to_string(), attributes, links };
        Answer::json(status, MEDIA_TYPE, &Document { data })
    }
}

/// What a token needs to be good for.
const fn scope(verb: Verb) -> &'static str {
    match verb {
        Verb::Get => "user:users:read",
        Verb::Post | Verb::Put | Verb::Patch => "user:users:write",
        Verb::Delete => "user:users:delete",
    }
}

fn lacks(scope: &str) -> Error {
    let title = format!("Forbidden - requires scope \"{scope}\"");
    Error::new(ErrorKind::Forbidden).message(title).cause("scope")
}

fn update(user: Locator, changes: Vec<Change>) -> Operation {
    Operation::Update { user, changes, deferred: None }
}

fn address(site: &Site<'_>, user: &User) -> String {
    format!("{}/users/{}", site.base, user.id)
}

/// A record without what is empty: nothing is `null`, and an empty text reads as unset.
fn shown(json: Json<'_>) -> Option<Json<'_>> {
    match json {
        Json::Null => None,
        Json::Text(text) if text.is_empty() => None,
        Json::Object(members) => {
            let left: Vec<_> =
                members.into_iter().filter_map(|(name, value)| Some((name, shown(value)?))).collect();
            (!left.is_empty()).then_some(Json::Object(left))
        }
        other => Some(other),
    }
}

/// Provinces and states must fit the country, where the request moves either (decision 6). What it
/// names of the two is at fault.
fn final_region(ruling: &Ruling<'_>) -> Result<(), Error> {
    let profile = &ruling.after.profile;
    let Some(region) = profile.text(Attr::Region).filter(|region| !region.is_empty()) else { return Ok(()) };
    let moved = ruling.moves(&[Attr::Region, Attr::Country]);
    if !moved || check::region(region, profile.text(Attr::Country)).is_ok() {
        return Ok(());
    }
    let names_region = ruling.changes.iter().any(|change| change.attr == Attr::Region);
    let at = if names_region { Attr::Region } else { Attr::Country };
    Err(Error::invalid(vec![FieldError::attr(at, Problem::Region)]))
}
