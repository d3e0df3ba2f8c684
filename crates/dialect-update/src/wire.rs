//! The wire format: routes, vocabulary, errors (section B of the wire reference).

use gateway_core::{Attr, ErrorKind};
use gateway_dialect::{
    Access::{Kept, Optional, ReadOnly, WriteOnly},
    Action, Clear, Codec, DOCUMENT, EXTERNAL_ID, Field, FieldTable, ReadOnly as OnReadOnly, Route,
    Verb::{Get, Patch},
    field, route,
};

use crate::codec::{AVATAR, BIO, BIRTH_INSTANT, LOCATION, LOWER_USERNAME, NAME, SUSPENSIONS, USERNAME};

/// The literal routes come first, so that no user is called `suggestions` here (B.2).
pub(crate) const ROUTES: &[Route] = &[
    route(Patch, "/{projectId}/users/{userId}", Action::Update),
    route(Get, "/{projectId}/users/by-foreign-id", Action::ReadOrCreate),
    route(Get, "/{projectId}/users/check-username", Action::CheckUsername),
    route(Get, "/{projectId}/users/suggestions", Action::Suggest),
    route(Get, "/{projectId}/users/{userId}", Action::Read),
];

#[rustfmt::skip]
const fn fields(username: Codec) -> [Field; 10] {[
    //     wire               canonical               shape          access
    field("/id",             Attr::ExternalId,       EXTERNAL_ID,   ReadOnly),
    field("/username",       Attr::Username,         username,      Optional),
    field("/name",           Attr::Name,             NAME,          Optional),
    field("/avatar",         Attr::AvatarUrl,        AVATAR,        Optional),
    field("/bio",            Attr::Bio,              BIO,           Optional),
    field("/birthdate",      Attr::BirthInstant,     BIRTH_INSTANT, Optional),
    field("/location",       Attr::Geo,              LOCATION,      Optional),
    field("/metadata",       Attr::Metadata,         DOCUMENT,      Kept),
    field("/secureMetadata", Attr::SecureMetadata,   DOCUMENT,      WriteOnly),
    field("/suspensions",    Attr::Suspensions,      SUSPENSIONS,   ReadOnly),
]}

const FIELDS: &[Field] = &fields(USERNAME);
const LOWER_FIELDS: &[Field] = &fields(LOWER_USERNAME);
pub(crate) static TABLE: FieldTable = FieldTable::new(FIELDS, Clear::Null, OnReadOnly::Ignore);
pub(crate) static LOWER_TABLE: FieldTable = FieldTable::new(LOWER_FIELDS, Clear::Null, OnReadOnly::Ignore);

/// Status, `error` and `code` of each kind (B.6; what no document names speaks by decision 10). A
/// message of the error's own takes the place of one given here, but for 401, 403, 404, 429 and 500.
pub(crate) const fn wire_error(kind: ErrorKind) -> (u16, &'static str, &'static str) {
    use ErrorKind as E;
    match kind {
        E::Malformed => (400, "Invalid JSON", "user/missing-data"),
        E::EmptyUpdate | E::Invalid => (400, "Missing required data", "user/missing-data"),
        E::RuleViolated | E::Vetoed => (400, "User validation failed", "user/validation-failed"),
        E::MissingCredential => (401, "Unauthorized", ""),
        E::BadCredential | E::LinkedIdentityMissing => (403, "Forbidden", ""),
        E::Forbidden => (403, "Not authorized to update this user.", "user/not-authorized"),
        E::NotFound => (404, "User not found", "user/not-found"),
        E::NoRoute => (404, "Not found", "user/not-found"),
        E::MethodNotAllowed => (405, "Method not allowed", "user/method-not-allowed"),
        E::NotAcceptable => (406, "Not acceptable", "user/not-acceptable"),
        E::Timeout => (408, "The request did not arrive in time", "user/timeout"),
        E::UsernameTaken => (409, "Username already taken", "DUPLICATE_USERNAME"),
        E::AlreadyExists => (409, "User already exists", "user/already-exists"),
        E::KeyInFlight => {
            (409, "A request with this Idempotency-Key is still being processed", "user/key-in-flight")
        }
        E::TestFailed => (409, "The user is not as the request expects it", "user/conflict"),
        E::PreconditionRequired => (428, "If-Match is required", "user/precondition-required"),
        E::PreconditionFailed => (412, "The user has changed since it was read", "user/precondition-failed"),
        E::TooLarge => (413, "Request body is too large", "user/too-large"),
        E::UnsupportedMediaType => {
            (415, "Content-Type must be application/json", "user/unsupported-media-type")
        }
        E::KeyReused => (422, "Idempotency-Key was already used with a different request", "user/key-reused"),
        E::RateLimited => (429, "Too many attempts, please try again shortly", ""),
        E::Internal | E::ValidatorFailed => (500, "Internal server error", "user/server-error"),
        E::Unavailable => (503, "The service is temporarily unavailable", "user/unavailable"),
        E::UpstreamFailed => (502, "The server behind the service gave no answer", "user/bad-gateway"),
        E::UpstreamTimeout => {
            (504, "The server behind the service did not answer in time", "user/gateway-timeout")
        }
        E::UnknownOutcome => (503, "The outcome of the request is not known", "user/unknown-outcome"),
    }
}

/// `error` and `code` of a query parameter that is missing or no good (B.6).
pub(crate) fn wire_parameter(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        FOREIGN_ID => Some(("Missing or invalid foreign user ID.", "user/invalid-identifier")),
        USERNAME_PARAMETER => Some(("Username is required and must be a string.", "username/invalid-input")),
        QUERY => Some(("Missing or invalid query parameter", "user/invalid-query")),
        _ => None,
    }
}

/// The parameters of the literal routes (B.2).
pub(crate) const FOREIGN_ID: &str = "foreignId";
pub(crate) const USERNAME_PARAMETER: &str = "username";
pub(crate) const QUERY: &str = "query";
