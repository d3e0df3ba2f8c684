//! Dialect B: the `{"update":{…}}` wrapper API (section B of the wire reference, decisions 23 to 30).
//!
//! The whole wire format stands in `wire.rs`; this file is its grammar.

mod codec;
mod forms;
mod paper;
mod query;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use gateway_core::{
    Attr, Caller, Change, Creation, Error, ErrorKind, ExternalId, FieldError, Locator, Namespace, Operation,
    Outcome, Place, Problem, Reach, Status, User, Value, View,
};
use gateway_dialect::{
    Access, Action, Answer, Decoded, Description, Dialect, Expressed, Field, FieldTable, Hygiene, Json, Mode,
    Naming, Occasion, Options, Paper, Reading, Request, Route, Site, Target, json, refused_names,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use query::Parameter;
use wire::{FOREIGN_ID, LOWER_TABLE, QUERY, ROUTES, TABLE, USERNAME_PARAMETER, wire_error, wire_parameter};

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
/// The most users that a search answers (decision 24).
const SUGGESTIONS: usize = 5;
/// What a creation by foreign id may say (B.2).
const CREATION: [&str; 6] = ["name", "username", "avatar", "bio", "metadata", "secureMetadata"];
/// A value that no field takes: it stands for a parameter that cannot be read.
const UNREADABLE: Json<'_> = Json::Bool(false);

/// The dialect, with a mount's options.
#[derive(Debug)]
pub struct Update {
    table: &'static FieldTable,
}

impl Update {
    /// Reads `lowercase_usernames` (off by default).
    pub fn build(options: &mut Options<'_>) -> Arc<dyn Dialect> {
        let lower = options.flag("lowercase_usernames", false);
        Arc::new(Self { table: if lower { &LOWER_TABLE } else { &TABLE } })
    }
}

#[derive(Serialize)]
struct Availability {
    available: bool,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'static str>,
}

impl Dialect for Update {
    fn name(&self) -> &'static str {
        "update"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn fields(&self) -> &FieldTable {
        self.table
    }

    fn naming(&self) -> Naming {
        Naming::InPath("projectId")
    }

    fn request_id_header(&self) -> Option<HeaderName> {
        Some(HeaderName::from_static("x-request-id"))
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    /// A token of another project sees nobody; nor does anybody in a project that cannot be
    /// (decision 25).
    fn authorize(&self, site: &Site<'_>, caller: &Caller, target: &Target<'_>) -> Result<(), Error> {
        match (site.reach, &caller.namespace) {
            (Reach::Namespace(_), _) if caller.is_anonymous => {
                let writes = target.route.action == Action::Update;
                if writes { Err(ErrorKind::MissingCredential.into()) } else { Ok(()) }
            }
            (Reach::Namespace(here), Some(namespace)) if here == namespace => Ok(()),
            _ => Err(Error::new(ErrorKind::NotFound).cause("other_project")),
        }
    }

    fn decode(&self, site: &Site<'_>, caller: &Caller, request: &Request<'_>) -> Result<Decoded, Error> {
        let known = |operation| Ok(Decoded { operation, unknown: Vec::new() });
        match request.target.route.action {
            Action::Update => self.update(site, caller, request),
            Action::ReadOrCreate => known(self.read_or_create(site, caller, request.query)?),
            Action::CheckUsername => known(Operation::CheckUsername(self.username(site, request.query)?)),
            Action::Suggest => {
                let part =
                    Parameter::of(request.query, QUERY).filled().ok_or_else(|| bad_parameter(QUERY))?;
                known(Operation::Suggest(part, SUGGESTIONS))
            }
            _ => known(Operation::Read(request.external_locator("userId"))),
        }
    }

    /// Drops what says no more than what would have been answered (decision 5): a name but for the
    /// space around it, an instant but for less than a millisecond.
    fn settle(&self, before: &User, changes: &mut Vec<Change>) {
        changes.retain(|change| {
            let row = self.table.rows().iter().find(|row| row.attr == change.attr);
            row.filter(|row| row.access != Access::WriteOnly).is_none_or(|row| {
                answered(row, before.profile.get(row.attr).as_ref()) != answered(row, change.value.as_ref())
            })
        });
    }

    fn has_webhook(&self) -> bool {
        true
    }

    /// `{"projectId","data"}` with the fields as a request has them, in the order of the table (B.7).
    fn question(&self, site: &Site<'_>, changes: &[Change], secure: bool) -> Vec<u8> {
        let member = |row: &'static Field| {
            let change = changes.iter().rev().find(|change| change.attr == row.attr)?;
            let shown = secure || row.access != Access::WriteOnly;
            shown.then(|| (row.path().1.into(), sent(row, change.value.as_ref())))
        };
        let data = Json::Object(self.table.rows().iter().filter_map(member).collect());
        let project = site.reach.namespace().map_or("", Namespace::as_str);
        let question = vec![("projectId".into(), Json::Text(project.into())), ("data".into(), data)];
        serde_json::to_vec(&Json::Object(question)).unwrap_or_default()
    }

    fn encode(&self, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer {
        let found = |status, user| Answer::json(status, JSON, &self.shown(site, user, |_| true));
        match *outcome {
            Outcome::Created(user) => found(StatusCode::CREATED, user),
            Outcome::Found(user) | Outcome::Updated(user) => found(StatusCode::OK, user),
            Outcome::Available(available) => Answer::json(StatusCode::OK, JSON, &Availability { available }),
            Outcome::Suggested(users) => {
                let brief = |attr| attr != Attr::Metadata;
                let users: Vec<_> = users.iter().map(|user| self.shown(site, user, brief)).collect();
                Answer::json(StatusCode::OK, JSON, &users)
            }
            // No route of this dialect leads here.
            _ => Answer::empty(StatusCode::NO_CONTENT, Hygiene::Full),
        }
    }

    fn render(&self, error: &Error, occasion: &Occasion<'_>) -> Answer {
        use ErrorKind as E;
        let (status, text, code) = wire_error(error.kind);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = ErrorBody { error: text, field: None, code, details: None };
        let said = error.message.as_deref().unwrap_or(text);
        match error.kind {
            E::MissingCredential | E::BadCredential | E::LinkedIdentityMissing => {
                plain(status, text).header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            E::RateLimited => plain(status, text).retry_after(error),
            E::Invalid => self.invalid(status, error, said),
            E::Internal | E::ValidatorFailed => Answer::json(status, JSON, &internal(occasion)),
            E::UsernameTaken => Answer::json(status, JSON, &ErrorBody { field: Some("username"), ..body }),
            E::Forbidden | E::NotFound => Answer::json(status, JSON, &body),
            _ => Answer::json(status, JSON, &ErrorBody { error: said, ..body }).retry_after(error),
        }
    }

    fn describe(&self, paper: &Paper<'_>) -> Description {
        paper::describe(paper, self.table)
    }

    fn compose(&self, fields: &[Expressed<'_>], _: &str) -> Vec<u8> {
        let member = |one: &Expressed<'_>| {
            let value = match &one.value {
                Some(point) if one.field.attr == Attr::Geo => codec::sent_location(point),
                value => value.clone().unwrap_or(Json::Null),
            };
            (one.field.path().1.to_owned().into(), value)
        };
        let update = Json::Object(fields.iter().map(member).collect());
        serde_json::to_vec(&Json::Object(vec![("update".into(), update)])).unwrap_or_default()
    }
}

impl Update {
    /// A user token writes only itself, whether the other one exists or not (decision 25).
    fn update(&self, site: &Site<'_>, caller: &Caller, request: &Request<'_>) -> Result<Decoded, Error> {
        let reading = self.read(site, request.body)?;
        let user = request.external_locator("userId");
        let is = |subject: &str| matches!(&user, Locator::External(id) if id.as_str() == subject);
        if caller.subject.as_deref().is_some_and(|subject| !is(subject)) {
            return Err(Error::new(ErrorKind::Forbidden).cause("other_subject"));
        }
        let operation = Operation::Update { user, changes: reading.changes, deferred: None };
        Ok(Decoded { operation, unknown: reading.unknown })
    }

    fn read(&self, site: &Site<'_>, body: &[u8]) -> Result<Reading, Error> {
        let malformed = || Error::new(ErrorKind::Malformed);
        let document = json::parse(body).ok().ok_or_else(malformed)?;
        let members = document.members().ok_or_else(malformed)?;
        let update =
            document.get("update").filter(|update| update.members().is_some_and(|own| !own.is_empty()));
        let update = update.ok_or(ErrorKind::EmptyUpdate)?;
        let beside = members.iter().filter(|(name, _)| name != "update").map(|(name, _)| name.to_string());
        let mut reading = self.fields_of(update, Mode::Update, site);
        reading.unknown.extend(beside);
        reading.errors.extend(refused_names(site, &reading.unknown));
        sound(reading)
    }

    /// An empty document is what an unset one is answered as: it clears (decision 5).
    fn fields_of(&self, object: &Json<'_>, mode: Mode, site: &Site<'_>) -> Reading {
        let mut reading = self.table.read(object, mode, site.today());
        for change in &mut reading.changes {
            if matches!(&change.value, Some(Value::Document(text)) if text == "{}") {
                change.value = None;
            }
        }
        reading
    }

    /// Only a service token makes users, and only when it says so (decision 24).
    fn read_or_create(
        &self,
        site: &Site<'_>,
        caller: &Caller,
        query: Option<&str>,
    ) -> Result<Operation, Error> {
        let foreign_id =
            Parameter::of(query, FOREIGN_ID).filled().ok_or_else(|| bad_parameter(FOREIGN_ID))?;
        let external_id = ExternalId::parse(&foreign_id);
        let is_service = caller.subject.is_none() && !caller.is_anonymous;
        let creates = Parameter::of(query, "createIfNotFound") == Parameter::Text("true".to_owned());
        if !is_service || !creates {
            return Ok(Operation::Read(external_id.map_or(Locator::Nobody, Locator::External)));
        }
        let external_id = external_id.ok_or_else(|| bad_parameter(FOREIGN_ID))?;
        let given = CREATION.into_iter().filter_map(|name| {
            let value = match Parameter::of(query, name) {
                Parameter::Absent => return None,
                Parameter::Unreadable => UNREADABLE,
                Parameter::Text(text) if matches!(name, "metadata" | "secureMetadata") => {
                    json::parse(text.as_bytes()).map_or(UNREADABLE, Json::into_owned)
                }
                Parameter::Text(text) => Json::Text(text.into()),
            };
            Some((name.into(), value))
        });
        let reading = sound(self.fields_of(&Json::Object(given.collect()), Mode::Create, site))?;
        let (external_id, changes) = (Some(external_id), reading.changes);
        Ok(Operation::ReadOrCreate(Creation {
            id: None,
            external_id,
            links: Vec::new(),
            status: Status::Active,
            changes,
        }))
    }

    /// Sanitised as a write would do it.
    fn username(&self, site: &Site<'_>, query: Option<&str>) -> Result<String, Error> {
        let given = Parameter::of(query, USERNAME_PARAMETER).filled();
        let row = self.table.row("/username");
        let name = given.zip(row).and_then(|(name, row)| {
            let value = row.codec.read(&Json::Text(name.into()), site.today()).ok()?;
            value.as_text().map(str::to_owned)
        });
        name.ok_or_else(|| bad_parameter(USERNAME_PARAMETER))
    }

    /// The nine members, always all (decision 23); fewer where some are not `wanted`.
    fn shown<'a>(&'a self, site: &Site<'a>, user: &'a User, wanted: fn(Attr) -> bool) -> Json<'a> {
        let view = View { user, namespace: site.reach.namespace(), now: site.now };
        let rows = self.table.rows().iter().filter(|row| row.access != Access::WriteOnly && wanted(row.attr));
        let member = |row: &'a Field| (row.path().1.into(), answered(row, view.get(row.attr).as_ref()));
        Json::Object(rows.map(member).collect())
    }

    /// The first bad field, or the bad parameter (decision 27; B.6).
    fn invalid(&self, status: StatusCode, error: &Error, said: &str) -> Answer {
        let of = |error: &str, code| {
            Answer::json(status, JSON, &ErrorBody { error, field: None, code, details: None })
        };
        let (_, _, code) = wire_error(error.kind);
        let name = match error.fields.first().map(|first| &first.place) {
            None => return of(said, code),
            Some(Place::Parameter(name)) => match wire_parameter(name) {
                Some((error, code)) => return of(error, code),
                None => name,
            },
            Some(Place::Attr(attr)) => self.table.wire(*attr).unwrap_or_default().trim_start_matches('/'),
            Some(Place::Header(name)) => name,
            Some(Place::Member(name)) => name,
        };
        of(&format!("Invalid {name}"), code)
    }
}

/// What a value, or none, is answered as.
fn answered<'a>(row: &Field, value: Option<&Value<'a>>) -> Json<'a> {
    match value {
        Some(value) => row.codec.write(value),
        None if row.attr == Attr::Metadata => Json::Object(Vec::new()),
        None => Json::Null,
    }
}

/// What a value, or none, is written as in a request.
fn sent<'a>(row: &Field, value: Option<&Value<'a>>) -> Json<'a> {
    match value {
        Some(value) if row.attr == Attr::Geo => codec::sent_location(&row.codec.write(value)),
        Some(value) => row.codec.write(value),
        None if matches!(row.attr, Attr::Metadata | Attr::SecureMetadata) => Json::Object(Vec::new()),
        None => Json::Null,
    }
}

/// A reading without bad fields.
fn sound(reading: Reading) -> Result<Reading, Error> {
    if reading.errors.is_empty() { Ok(reading) } else { Err(Error::invalid(reading.errors)) }
}

fn bad_parameter(name: &'static str) -> Error {
    Error::invalid(vec![FieldError { place: Place::Parameter(name.into()), problem: Problem::Required }])
}

/// The details are a constant: what really happened is for the log.
fn internal(occasion: &Occasion<'_>) -> ErrorBody<'static> {
    let details = Some("The request failed within the service. X-Request-Id names it.");
    let action = occasion.target.map(|target| target.route.action);
    let (error, code) = match action {
        Some(Action::CheckUsername) => {
            ("An error occurred while checking username availability.", "username/server-error")
        }
        _ => {
            let (_, error, code) = wire_error(ErrorKind::Internal);
            (error, code)
        }
    };
    ErrorBody { error, field: None, code, details }
}

/// As the original's framework answers with a bare status (B.3).
fn plain(status: StatusCode, text: &'static str) -> Answer {
    let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(TEXT))];
    Answer { status, headers, body: text.into(), hygiene: Hygiene::Full }
}
