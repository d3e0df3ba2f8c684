//! The wire format: routes, vocabulary, errors (section F of the wire reference).

use gateway_core::{Attr, ErrorKind as E};
use gateway_dialect::{
    Access::{Initial, Kept, Optional, ReadOnly, WriteOnly},
    Action, COUNTRY, Clear, DOCUMENT, EMAIL, FLAG, FREE_TEXT, Field, FieldTable, GENDER, ID, ISO_DATE, LINES,
    LOCALE, ReadOnly as OnReadOnly, Route, TIME_ZONE, URL,
    Verb::{Delete, Get, Patch, Post, Put},
    field, route,
};

use crate::codec::{GEO, INSTANT, LINE, LINKS, POSTAL_CODE, STATUS, SUSPENSIONS, USERNAME};

pub(crate) const ROUTES: &[Route] = &[
    route(Post, "/users", Action::Create),
    route(Get, "/users", Action::List),
    route(Get, "/users/{userId}", Action::Read),
    route(Put, "/users/{userId}", Action::Replace),
    route(Patch, "/users/{userId}", Action::Update),
    route(Delete, "/users/{userId}", Action::Delete),
    route(Get, "/users/{userId}/links", Action::ReadLinks),
    route(Put, "/users/{userId}/links/{namespace}/{externalId}", Action::Link),
    route(Delete, "/users/{userId}/links/{namespace}/{externalId}", Action::Unlink),
];

#[rustfmt::skip] const FIELDS: &[Field] = &[
    //     wire                    canonical              shape                    access
    field("/id",                  Attr::Id,              ID,                      ReadOnly),
    field("/status",              Attr::Standing,        STATUS,                  Kept),
    field("/username",            Attr::Username,        USERNAME,                Optional),
    field("/displayName",         Attr::DisplayName,     FREE_TEXT,               Optional),
    field("/givenName",           Attr::GivenName,       FREE_TEXT,               Optional),
    field("/familyName",          Attr::FamilyName,      FREE_TEXT,               Optional),
    field("/email",               Attr::Email,           EMAIL,                   Optional),
    field("/phone",               Attr::Phone,           FREE_TEXT,               Optional),
    field("/avatarUrl",           Attr::AvatarUrl,       URL,                     Optional),
    field("/bio",                 Attr::Bio,             LINES.chars(1, 300),     Optional),
    field("/gender",              Attr::Gender,          GENDER,                  Optional),
    field("/birthDate",           Attr::BirthDate,       ISO_DATE,                Optional),
    field("/address/line1",       Attr::AddressLine1,    LINE,                    Optional),
    field("/address/line2",       Attr::AddressLine2,    FREE_TEXT,               Optional),
    field("/address/street",      Attr::Street,          LINE,                    Optional),
    field("/address/houseNumber", Attr::HouseNumber,     FREE_TEXT.chars(1, 50),  Optional),
    field("/address/city",        Attr::City,            FREE_TEXT,               Optional),
    field("/address/region",      Attr::Region,          FREE_TEXT,               Optional),
    field("/address/postalCode",  Attr::PostalCode,      POSTAL_CODE,             Optional),
    field("/address/country",     Attr::Country,         COUNTRY,                 Optional),
    field("/geo",                 Attr::Geo,             GEO,                     Optional),
    field("/language",            Attr::Language,        FREE_TEXT.chars(2, 3),   ReadOnly),
    field("/locale",              Attr::Locale,          LOCALE,                  Optional),
    field("/timeZone",            Attr::TimeZone,        TIME_ZONE,               Optional),
    field("/occupation",          Attr::Occupation,      FREE_TEXT,               Optional),
    field("/ciroAffiliate",       Attr::CiroAffiliate,   FLAG,                    Optional),
    field("/metadata",            Attr::Metadata,        DOCUMENT,                Optional),
    field("/secureMetadata",      Attr::SecureMetadata,  DOCUMENT,                WriteOnly),
    field("/suspensions",         Attr::AllSuspensions,  SUSPENSIONS,             Optional),
    field("/links",               Attr::Links,           LINKS,                   Initial),
    field("/createdAt",           Attr::CreatedAt,       INSTANT,                 ReadOnly),
    field("/updatedAt",           Attr::UpdatedAt,       INSTANT,                 ReadOnly),
];

pub(crate) static TABLE: FieldTable = FieldTable::new(FIELDS, Clear::Null, OnReadOnly::Refuse);

/// Status and title of each kind; its type is the kind's own name. Bad parameters and headers are 400.
#[rustfmt::skip] pub(crate) const fn wire_error(kind: E) -> (u16, &'static str) {
    match kind {
        E::Malformed => (400, "The request is malformed"),
        E::MissingCredential | E::BadCredential | E::LinkedIdentityMissing => (401, "Authentication is needed"),
        E::Forbidden | E::Vetoed => (403, "The request is not allowed"),
        E::NoRoute | E::NotFound => (404, "There is nothing here"),
        E::MethodNotAllowed => (405, "The method is not allowed here"),
        E::NotAcceptable => (406, "Answers are application/json and application/problem+json"),
        E::Timeout => (408, "The request did not arrive in time"),
        E::AlreadyExists | E::UsernameTaken => (409, "Another user has this id, link or username"),
        E::KeyInFlight => (409, "A request with this Idempotency-Key is still being processed"),
        E::TestFailed => (409, "The user is not as the request expects it"),
        E::PreconditionFailed => (412, "The user is not as If-Match or If-None-Match demands"),
        E::TooLarge => (413, "The body is too large"),
        E::UnsupportedMediaType => (415, "The media type is not supported"),
        E::Invalid | E::EmptyUpdate => (422, "The request is invalid"),
        E::RuleViolated => (422, "The request breaks a rule"),
        E::KeyReused => (422, "Idempotency-Key was already used with a different request"),
        E::PreconditionRequired => (428, "If-Match is required"),
        E::RateLimited => (429, "Too many requests"),
        E::Internal | E::ValidatorFailed => (500, "The request failed within the service"),
        E::Unavailable => (503, "The service is temporarily unavailable"),
        E::UpstreamFailed => (502, "The server behind the service gave no answer"),
        E::UpstreamTimeout => (504, "The server behind the service did not answer in time"),
        E::UnknownOutcome => (503, "The outcome of the request is not known"),
    }
}
