//! The wire format: routes, vocabulary, errors (section D of the wire reference).

use gateway_core::{Attr, ErrorKind};
use gateway_dialect::{
    Access::{CreateOnly, Optional, Required},
    Action, Clear, EMAIL, EXTERNAL_ID, Field, FieldTable, ReadOnly, Route, TEXT,
    Verb::{Get, Patch, Post},
    field, route,
};

use crate::codec::{STATE, UPPER_COUNTRY, UPPER_LANGUAGE, US_DATE, ZIP, ZIP4};

pub(crate) const ROUTES: &[Route] = &[
    route(Post, "/users", Action::Create),
    route(Get, "/users/{userId}", Action::Read),
    route(Patch, "/users/{userId}", Action::Update),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    //     wire           canonical            shape           access
    field("/externalId", Attr::ExternalId,    EXTERNAL_ID,    CreateOnly),
    field("/email",      Attr::Email,         EMAIL,          Optional),
    field("/country",    Attr::Country,       UPPER_COUNTRY,  Required),
    field("/language",   Attr::Language,      UPPER_LANGUAGE, Required),
    field("/firstName",  Attr::GivenName,     TEXT,           Optional),
    field("/lastName",   Attr::FamilyName,    TEXT,           Optional),
    field("/address",    Attr::AddressLine1,  TEXT,           Optional),
    field("/city",       Attr::City,          TEXT,           Optional),
    field("/state",      Attr::Region,        STATE,          Optional),
    field("/zip",        Attr::Zip,           ZIP,            Optional),
    field("/zip4",       Attr::Zip4,          ZIP4,           Optional),
    field("/birthDate",  Attr::BirthDate,     US_DATE,        Optional),
];

pub(crate) static TABLE: FieldTable = FieldTable::new(FIELDS, Clear::Empty, ReadOnly::Refuse);

/// Status, `code` and `message` of each kind (D.4; what no document names speaks by decision 10).
/// `failed` says what an invalid value or a fault made fail. The two that name a user have its id
/// added; those with code 1 and a status other than 500 may have a sentence of the error's own.
pub(crate) const fn wire_error(kind: ErrorKind, failed: &'static str) -> (u16, Option<u8>, &'static str) {
    use ErrorKind as E;
    match kind {
        E::Malformed | E::EmptyUpdate => (400, Some(5), "No properties received for update"),
        E::Invalid | E::RuleViolated | E::UsernameTaken | E::Vetoed | E::ValidatorFailed | E::Internal => {
            (500, Some(1), failed)
        }
        E::MissingCredential => (401, None, "Unauthorized"),
        E::BadCredential | E::LinkedIdentityMissing => (403, None, "Invalid authentication credentials"),
        E::NotFound | E::Forbidden => (404, Some(2), "User not found"),
        E::AlreadyExists => (400, Some(3), "User already exists"),
        E::NoRoute => (404, Some(1), "Not found"),
        E::MethodNotAllowed => (405, Some(1), "Method not allowed"),
        E::NotAcceptable => (406, Some(1), "Not acceptable"),
        E::Timeout => (408, Some(1), "The request did not arrive in time"),
        E::KeyInFlight => (409, Some(1), "A request with this Idempotency-Key is still being processed"),
        E::TestFailed => (409, Some(1), "The user is not as the request expects it"),
        E::PreconditionRequired => (428, Some(1), "If-Match is required"),
        E::PreconditionFailed => (412, Some(1), "The user has changed since it was read"),
        E::TooLarge => (413, Some(1), "Request body is too large"),
        E::UnsupportedMediaType => (415, Some(1), "Content-Type must be application/json"),
        E::KeyReused => (422, Some(1), "Idempotency-Key was already used with a different request"),
        E::RateLimited => (429, Some(1), "Too many requests"),
        E::Unavailable => (503, Some(1), "The service is temporarily unavailable"),
        E::UpstreamFailed => (502, Some(1), "The server behind the service gave no answer"),
        E::UpstreamTimeout => (504, Some(1), "The server behind the service did not answer in time"),
        E::UnknownOutcome => (503, Some(1), "The outcome of the request is not known"),
    }
}
