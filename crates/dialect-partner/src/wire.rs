//! The wire format: routes, vocabulary, errors (section A of the wire reference).

use gateway_core::{Attr, ErrorKind};
use gateway_dialect::{
    Access::{CreateOnly, Optional, ReadOnly, Required},
    Action, CANADIAN_OR_OTHER_POSTAL_CODE, COUNTRY, Clear, EMAIL, EXTERNAL_ID, FLAG, Field, FieldTable, ID,
    ISO_DATE, ReadOnly as OnReadOnly, Route, SECONDS, TEXT,
    Verb::{Get, Patch, Post},
    field, route,
};

pub(crate) const ROUTES: &[Route] = &[
    route(Post, "/users", Action::Create),
    route(Get, "/users/{externalId}", Action::Read),
    route(Patch, "/users/{externalId}", Action::Update),
];

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    //     wire                canonical             shape                          access
    field("/userId",          Attr::Id,             ID,                            ReadOnly),
    field("/externalId",      Attr::ExternalId,     EXTERNAL_ID,                   CreateOnly),
    field("/status",          Attr::Status,         TEXT,                          ReadOnly),
    field("/updatedAt",       Attr::UpdatedAt,      SECONDS,                       ReadOnly),
    field("/email",           Attr::Email,          EMAIL,                         Required),
    field("/firstName",       Attr::GivenName,      TEXT.chars(1, 100),            Required),
    field("/lastName",        Attr::FamilyName,     TEXT.chars(1, 100),            Required),
    field("/dateOfBirth",     Attr::BirthDate,      ISO_DATE,                      Required),
    field("/addressLine1",    Attr::AddressLine1,   TEXT.chars(1, 255),            Required),
    field("/addressLine2",    Attr::AddressLine2,   TEXT.chars(0, 255),            Optional),
    field("/city",            Attr::City,           TEXT.chars(1, 100),            Required),
    field("/postalCode",      Attr::PostalCode,     CANADIAN_OR_OTHER_POSTAL_CODE, Required),
    field("/province",        Attr::Region,         TEXT.chars(1, 100),            Required),
    field("/country",         Attr::Country,        COUNTRY,                       Required),
    field("/occupation",      Attr::Occupation,     TEXT.chars(1, 100),            Required),
    field("/isCiroAffiliate", Attr::CiroAffiliate,  FLAG,                          Required),
];

pub(crate) static TABLE: FieldTable = FieldTable::new(FIELDS, Clear::NullOrEmpty, OnReadOnly::Refuse);

/// Status, `error`, `message` of each kind (A.6; what no document names speaks by decision 10). A
/// message of the error's own takes the place of one given here in brackets.
pub(crate) const fn wire_error(kind: ErrorKind) -> (u16, &'static str, &'static str) {
    use ErrorKind as E;
    match kind {
        E::Malformed => (400, "bad_request", "Request body is not valid JSON"),
        E::EmptyUpdate => (400, "bad_request", "Request body failed validation"),
        E::Invalid => (400, "bad_request", "Request body failed validation"),
        E::MissingCredential | E::BadCredential | E::LinkedIdentityMissing => {
            (401, "unauthorized", "Invalid API key or request signature")
        }
        E::NoRoute => (404, "not_found", "Not found"),
        E::NotFound | E::Forbidden => (404, "not_found", "User not found for the authenticated partner"),
        E::AlreadyExists | E::UsernameTaken => {
            (409, "conflict", "A user with this externalId already exists")
        }
        E::KeyInFlight => (409, "conflict", "A request with this Idempotency-Key is still being processed"),
        E::KeyReused => {
            (422, "unprocessable_entity", "Idempotency-Key was already used with a different request")
        }
        E::RuleViolated | E::Vetoed => {
            (422, "unprocessable_entity", "The request breaks a rule of the partner agreement")
        }
        E::RateLimited => (
            429,
            "too_many_requests",
            "Rate limit exceeded. Retry after the duration indicated in the Retry-After header.",
        ),
        E::MethodNotAllowed => (405, "bad_request", "Method not allowed"),
        E::NotAcceptable => (406, "bad_request", "Not acceptable"),
        E::Timeout => (408, "bad_request", "The request did not arrive in time"),
        E::TestFailed => (409, "conflict", "The user is not as the request expects it"),
        E::PreconditionRequired => (428, "bad_request", "If-Match is required"),
        E::PreconditionFailed => (412, "bad_request", "The user has changed since it was read"),
        E::TooLarge => (413, "bad_request", "Request body is too large"),
        E::UnsupportedMediaType => (415, "bad_request", "Content-Type must be application/json"),
        E::Internal | E::ValidatorFailed => (
            500,
            "internal_error",
            "An unexpected error occurred. Please retry or contact support with the requestId.",
        ),
        E::Unavailable => (503, "internal_error", "The service is temporarily unavailable. Please retry."),
        E::UpstreamFailed => (502, "internal_error", "The server behind the service gave no answer."),
        E::UpstreamTimeout => (504, "internal_error", "The server behind the service took too long."),
        E::UnknownOutcome => (
            503,
            "internal_error",
            "The outcome of the request is not known. Please retry with the same Idempotency-Key.",
        ),
    }
}
