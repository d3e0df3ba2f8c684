//! The wire format: routes, vocabulary, errors (section C of the wire reference).

use gateway_core::{Attr, ErrorKind};
use gateway_dialect::{
    Access::{Optional, ReadOnly, Required},
    Action, COUNTRY, Clear, EMAIL, FREE_TEXT, Field, FieldTable, GENDER, LOCALE, ReadOnly as OnReadOnly,
    Route, SECONDS, TIME_ZONE, URL,
    Verb::{Delete, Get, Patch, Post, Put},
    field, route,
};

use crate::codec::{BIRTH_INSTANT, NUMBER_OR_TEXT};

pub(crate) const ROUTES: &[Route] = &[
    route(Post, "/users", Action::Create),
    route(Get, "/users/{userId}", Action::Read),
    route(Put, "/users/{userId}", Action::Replace),
    route(Patch, "/users/{userId}", Action::Update),
    route(Delete, "/users/{userId}", Action::Delete),
];

#[rustfmt::skip]
pub(crate) const FIELDS: &[Field] = &[
    //     wire                              canonical            shape                        access
    field("/firstName",                      Attr::GivenName,     FREE_TEXT,                   Optional),
    field("/lastName",                       Attr::FamilyName,    FREE_TEXT,                   Optional),
    field("/email",                          Attr::Email,         EMAIL,                       Required),
    field("/phoneNumber",                    Attr::Phone,         FREE_TEXT,                   Optional),
    field("/pictureUrl",                     Attr::AvatarUrl,     URL.free_text(),             Optional),
    field("/gender",                         Attr::Gender,        GENDER,                      Optional),
    field("/createdAt",                      Attr::CreatedAt,     SECONDS,                     ReadOnly),
    field("/birthDate",                      Attr::BirthDate,     BIRTH_INSTANT,               Optional),
    field("/address/country",                Attr::Country,       COUNTRY,                     Optional),
    field("/address/locality",               Attr::City,          FREE_TEXT,                   Optional),
    field("/address/street",                 Attr::Street,        FREE_TEXT,                   Optional),
    field("/address/houseNo",                Attr::HouseNumber,   NUMBER_OR_TEXT.chars(1, 50), Optional),
    field("/address/additionalAddressLink",  Attr::AddressLine2,  FREE_TEXT,                   Optional),
    field("/address/region",                 Attr::Region,        FREE_TEXT,                   Optional),
    field("/address/postalCode",             Attr::PostalCode,    NUMBER_OR_TEXT.chars(1, 20), Optional),
    field("/locale",                         Attr::Locale,        LOCALE,                      Optional),
    field("/zoneInfo",                       Attr::TimeZone,      TIME_ZONE,                   Optional),
];

/// What spells "clear" (decision 33), and what a read-only name does (decision 8).
pub(crate) const SPELLING: (Clear, OnReadOnly) = (Clear::NullOrEmptyText, OnReadOnly::Refuse);

/// The vocabulary of a mount without options.
pub(crate) static TABLE: FieldTable = FieldTable::new(FIELDS, SPELLING.0, SPELLING.1);

/// Status, code and title of each kind (C.5; what no document names speaks by decision 10).
/// `malformed` is the status of what is no document at all (decision 32).
pub(crate) const fn wire_error(kind: ErrorKind, malformed: u16) -> (u16, &'static str, &'static str) {
    use ErrorKind as E;
    match kind {
        E::Malformed => (malformed, "bad-request", "can't parse content"),
        E::MissingCredential | E::BadCredential => (401, "unauthorized", "Unauthorized"),
        E::LinkedIdentityMissing => {
            (401, "missing-linked-identity", "Missing linked identity for authorized access")
        }
        E::Forbidden => (403, "forbidden", "Forbidden"),
        E::Vetoed => (403, "vetoed", "The change was refused"),
        E::NoRoute | E::NotFound => (404, "not-found", "Resource not found"),
        E::MethodNotAllowed => (405, "method-not-allowed", "Method not allowed"),
        E::NotAcceptable => (406, "not-acceptable", NOT_ACCEPTABLE),
        E::Timeout => (408, "request-timeout", "The request did not arrive in time"),
        E::AlreadyExists => (409, "conflict", "A resource with this id already exists"),
        E::UsernameTaken => (409, "username-taken", "The username is already taken"),
        E::KeyInFlight => (409, "key-in-flight", KEY_IN_FLIGHT),
        E::TestFailed => (409, "test-failed", "The resource is not as the request expects it"),
        E::PreconditionRequired => (428, "precondition-required", "If-Match is required"),
        E::PreconditionFailed => (412, "precondition-failed", "The resource has changed since it was read"),
        E::TooLarge => (413, "payload-too-large", "The request body is too large"),
        E::UnsupportedMediaType => (415, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE),
        E::Invalid => (422, "invalid", "The request is invalid"),
        E::EmptyUpdate => (422, "empty-update", "The request has nothing in it to do"),
        E::RuleViolated => (422, "rule-violated", "The request breaks a rule"),
        E::KeyReused => (422, "key-reused", "Idempotency-Key was already used with a different request"),
        E::RateLimited => (429, "too-many-requests", "Too many requests"),
        E::Internal | E::ValidatorFailed => (501, "internal-server-error", "Internal server error"),
        E::Unavailable => (503, "unavailable", "The service is temporarily unavailable"),
        E::UpstreamFailed => (502, "bad-gateway", "The server behind the service gave no answer"),
        E::UpstreamTimeout => {
            (504, "gateway-timeout", "The server behind the service did not answer in time")
        }
        E::UnknownOutcome => (503, "unknown-outcome", "The outcome of the request is not known"),
    }
}

pub(crate) const LINKED_IDENTITY_DETAIL: &str = "Linked identity is needed to access this resource, please check why the user does not have a linked identity";
const NOT_ACCEPTABLE: &str =
    r#"request needs to be send with "Accept" header, containing value: "application/vnd.api+json""#;
const UNSUPPORTED_MEDIA_TYPE: &str =
    r#"request needs to be send with "Content-Type" header, containing value: "application/vnd.api+json""#;
const KEY_IN_FLIGHT: &str = "A request with this Idempotency-Key is still being processed";
