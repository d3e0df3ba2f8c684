//! Dialect A: the flat partner JSON API (section A of the wire reference, decisions 15 to 22).
//!
//! The whole wire format stands in `wire.rs`; this file is its grammar.

mod paper;
mod wire;

use std::sync::Arc;

use gateway_core::{
    Attr, Caller, Creation, Error, ErrorKind, ExternalId, FieldError, Locator, Operation, Outcome, Place,
    Problem, Profile, Status, User, check,
};
use gateway_dialect::{
    Action, Answer, Decoded, Description, Dialect, Expressed, FieldTable, Hygiene, Json, Mode, Naming,
    Occasion, Options, Paper, Reading, Request, Route, Ruling, SECONDS, Site, json, refused_names,
};
use http::{HeaderName, StatusCode};
use serde::Serialize;

use wire::{ROUTES, TABLE, wire_error};

const JSON: &str = "application/json";

/// The dialect, with a mount's options.
#[derive(Debug)]
pub struct Partner {
    minimum_age: Option<u8>,
}

impl Partner {
    /// Reads `minimum_age` (years, 1 to 150; no minimum when absent).
    pub fn build(options: &mut Options<'_>) -> Arc<dyn Dialect> {
        let years = options.integer("minimum_age", 1..=150).and_then(|years| u8::try_from(years).ok());
        Arc::new(Self { minimum_age: years })
    }
}

/// What create, read and update answer: no profile data is ever returned (A.5).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipt<'a> {
    user_id: String,
    external_id: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Json<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    error: &'static str,
    message: &'a str,
    request_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    field_errors: Vec<WireFieldError>,
}

#[derive(Serialize)]
struct WireFieldError {
    field: String,
    message: String,
}

impl Dialect for Partner {
    fn name(&self) -> &'static str {
        "partner"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn fields(&self) -> &FieldTable {
        &TABLE
    }

    fn naming(&self) -> Naming {
        Naming::External
    }

    fn request_id_header(&self) -> Option<HeaderName> {
        Some(HeaderName::from_static("x-request-id"))
    }

    fn media_type(&self) -> &'static str {
        JSON
    }

    fn decode(&self, site: &Site<'_>, _: &Caller, request: &Request<'_>) -> Result<Decoded, Error> {
        let user = || request.external_locator("externalId");
        match request.target.route.action {
            Action::Create => create(site, request.body),
            Action::Update => update(site, user(), request.body),
            _ => Ok(Decoded { operation: Operation::Read(user()), unknown: Vec::new() }),
        }
    }

    fn judge(&self, ruling: &Ruling<'_>) -> Result<(), Error> {
        let errors = address_errors(&ruling.after.profile, |attrs| ruling.moves(attrs));
        if errors.is_empty() { self.age(ruling) } else { Err(Error::invalid(errors)) }
    }

    fn encode(&self, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer {
        let (status, user, timed) = match *outcome {
            Outcome::Created(user) => (StatusCode::CREATED, user, false),
            Outcome::Found(user) => (StatusCode::OK, user, false),
            Outcome::Updated(user) => (StatusCode::OK, user, true),
            // No route of this dialect leads to the others.
            _ => {
                return Answer::empty(StatusCode::NO_CONTENT, Hygiene::Full);
            }
        };
        let external_id = site.reach.namespace().and_then(|namespace| user.external_id(namespace));
        let receipt = Receipt {
            user_id: user.id.to_string(),
            external_id: external_id.map_or("", ExternalId::as_str),
            status: shown_status(user),
            updated_at: timed.then(|| SECONDS.write(&gateway_core::Value::Instant(user.updated_at))),
        };
        Answer::json(status, JSON, &receipt)
    }

    fn render(&self, error: &Error, occasion: &Occasion<'_>) -> Answer {
        let (status, name, message) = wire_error(error.kind);
        let body = ErrorBody {
            error: name,
            message: error.message.as_deref().unwrap_or(message),
            request_id: format!("req-{}", occasion.request_id),
            field_errors: error.fields.iter().map(field_error).collect(),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Answer::json(status, JSON, &body).retry_after(error)
    }

    fn describe(&self, paper: &Paper<'_>) -> Description {
        paper::describe(paper, self.minimum_age)
    }

    fn compose(&self, fields: &[Expressed<'_>], _: &str) -> Vec<u8> {
        let member = |one: &Expressed<'_>| {
            let name = one.field.path().1.to_owned();
            (name.into(), one.value.clone().unwrap_or(Json::Null))
        };
        serde_json::to_vec(&Json::Object(fields.iter().map(member).collect())).unwrap_or_default()
    }
}

/// Suspension is not shown here: a suspended user still reads `active` (decision 15).
const fn shown_status(user: &User) -> &'static str {
    match user.status {
        Status::PendingCompliance => Status::PendingCompliance.as_str(),
        Status::Active | Status::Closed => Status::Active.as_str(),
    }
}

fn field_error(error: &FieldError) -> WireFieldError {
    let (field, attr) = match &error.place {
        Place::Attr(attr) => {
            (TABLE.wire(*attr).unwrap_or_default().trim_start_matches('/').to_owned(), Some(*attr))
        }
        Place::Header(name) => ((*name).to_owned(), None),
        Place::Parameter(name) => (name.clone().into_owned(), None),
        Place::Member(name) => (name.clone(), None),
    };
    WireFieldError { field, message: wire_problem(attr, error.problem) }
}

/// Messages that differ from the common ones (A.6).
fn wire_problem(attr: Option<Attr>, problem: Problem) -> String {
    match (attr, problem) {
        (Some(Attr::BirthDate), Problem::Date | Problem::NotText) => {
            "Must be a valid date in YYYY-MM-DD format".to_owned()
        }
        (Some(Attr::Email), Problem::NotText) => Problem::Email.to_string(),
        (_, problem) => problem.to_string(),
    }
}

fn create(site: &Site<'_>, body: &[u8]) -> Result<Decoded, Error> {
    let mut reading = read(site, body, Mode::Create)?;
    refuse(&mut reading)?;
    let external_id = reading.take_text(Attr::ExternalId).and_then(|id| ExternalId::parse(&id));
    let creation = Creation {
        id: None,
        external_id,
        links: Vec::new(),
        status: Status::PendingCompliance,
        changes: reading.changes,
    };
    Ok(Decoded { operation: Operation::Create(creation), unknown: reading.unknown })
}

fn update(site: &Site<'_>, user: Locator, body: &[u8]) -> Result<Decoded, Error> {
    let mut reading = read(site, body, Mode::Update)?;
    refuse(&mut reading)?;
    let operation = Operation::Update { user, changes: reading.changes, deferred: None };
    Ok(Decoded { operation, unknown: reading.unknown })
}

/// The object in a body, by the table.
fn read(site: &Site<'_>, body: &[u8], mode: Mode) -> Result<Reading, Error> {
    let document = json::parse(body).map_err(|malformed| {
        Error::new(ErrorKind::Malformed).message(format!("Request body is not valid JSON: {malformed}"))
    })?;
    if document.members().is_none() {
        return Err(Error::new(ErrorKind::Malformed).message("Request body must be a JSON object"));
    }
    let mut reading = TABLE.read(&document, mode, site.today());
    let is_judged = |attr| matches!(attr, Attr::Country | Attr::PostalCode | Attr::Region);
    let judged = reading.changes.iter().filter(|change| is_judged(change.attr));
    let given = Profile::from_stored(judged.filter_map(|change| Some((change.attr, change.value.clone()?))));
    // Where the country is in the body, what must fit it is judged with the other fields.
    if given.text(Attr::Country).is_some() {
        reading.errors.extend(address_errors(&given, |_| true));
    }
    reading.errors.extend(refused_names(site, &reading.unknown));
    Ok(reading)
}

/// All bad fields at once, in the order of the table (decision 16); with no field of ours, the body
/// itself is the bad one.
fn refuse(reading: &mut Reading) -> Result<(), Error> {
    let place = |error: &FieldError| TABLE.rows().iter().position(|row| error.place == Place::Attr(row.attr));
    reading.errors.sort_by_key(|error| place(error).unwrap_or(usize::MAX));
    if !reading.errors.is_empty() {
        return Err(Error::invalid(std::mem::take(&mut reading.errors)));
    }
    if reading.changes.is_empty() {
        let body = FieldError { place: Place::Member("body".to_owned()), problem: Problem::Empty };
        return Err(Error { fields: vec![body], ..Error::new(ErrorKind::EmptyUpdate) });
    }
    Ok(())
}

/// Province and postal code must fit the country, whichever of the three was sent (decision 16).
/// A state that the request does not move is not judged: another dialect may have written it.
fn address_errors(profile: &Profile, moves: impl Fn(&[Attr]) -> bool) -> Vec<FieldError> {
    let country = profile.text(Attr::Country);
    let postal_code = profile.text(Attr::PostalCode).filter(|_| moves(&[Attr::PostalCode, Attr::Country]));
    let region = profile.text(Attr::Region).filter(|_| moves(&[Attr::Region, Attr::Country]));
    let mut errors = Vec::new();
    if postal_code.is_some_and(|code| country == Some("CA") && check::canadian_postal_code(code).is_err()) {
        errors.push(FieldError::attr(Attr::PostalCode, Problem::PostalCode));
    }
    if region.is_some_and(|code| check::region(code, country).is_err()) {
        errors.push(FieldError::attr(Attr::Region, Problem::Region));
    }
    errors
}

impl Partner {
    /// Judged on the UTC date, whenever the request sets or moves the birth date (decision 20).
    fn age(&self, ruling: &Ruling<'_>) -> Result<(), Error> {
        let Some(years) = self.minimum_age.filter(|_| ruling.moves(&[Attr::BirthDate])) else {
            return Ok(());
        };
        match ruling.after.profile.get(Attr::BirthDate) {
            Some(gateway_core::Value::Date(birth))
                if !check::is_of_age(birth, years, ruling.site.today()) =>
            {
                Err(too_young(years))
            }
            _ => Ok(()),
        }
    }
}

fn too_young(years: u8) -> Error {
    let message = format!("User must be at least {years} years old");
    Error::new(ErrorKind::RuleViolated).message(message).cause("minimum_age")
}
