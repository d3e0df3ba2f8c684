//! The one error type. A dialect turns it into bytes; `message` and `fields` are public, `cause`
//! and `source` are for the log.

use std::{borrow::Cow, error::Error as StdError, fmt};

use crate::Attr;

/// What went wrong, from the caller's point of view. Small and closed: no dialect has a wildcard
/// arm, so that a new kind does not compile until every dialect says what it answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// No route in this mount.
    NoRoute,
    /// A route, but not with this method.
    MethodNotAllowed,
    /// The body is larger than the mount allows.
    TooLarge,
    /// The body did not arrive in time.
    Timeout,
    /// No credential.
    MissingCredential,
    /// Not a good credential.
    BadCredential,
    /// A good credential, but without the linked identity that the mount demands (decision 35).
    LinkedIdentityMissing,
    /// A good credential that may not do this.
    Forbidden,
    /// Too many requests.
    RateLimited,
    /// A media type, charset or content coding that is not served.
    UnsupportedMediaType,
    /// No media type that the caller accepts.
    NotAcceptable,
    /// Not the dialect's syntax.
    Malformed,
    /// The dialect's syntax, but nothing in it to do.
    EmptyUpdate,
    /// One or more fields are invalid; `fields` says which.
    Invalid,
    /// The user does not exist, or is none of the caller's.
    NotFound,
    /// A user with this id exists.
    AlreadyExists,
    /// The username is taken.
    UsernameTaken,
    /// The Idempotency-Key came with another request before.
    KeyReused,
    /// A request with this Idempotency-Key is still running.
    KeyInFlight,
    /// An entity tag that no longer matches.
    PreconditionFailed,
    /// No entity tag, where the mount wants one.
    PreconditionRequired,
    /// What the request expects of the user's state is not so.
    TestFailed,
    /// A rule of the business refuses the final state.
    RuleViolated,
    /// The validator of updates refuses this one (decision 30).
    Vetoed,
    /// The validator of updates could not be asked, or gave no verdict; nothing was done.
    ValidatorFailed,
    /// The service is overloaded or stopping; nothing was done.
    Unavailable,
    /// The server that a request was passed on to could not be reached, or gave no answer that is one;
    /// what it did is not known.
    UpstreamFailed,
    /// The server that a request was passed on to did not answer in time; what it did is not known.
    UpstreamTimeout,
    /// Whether the write was done is not known; the same request with the same key will tell.
    UnknownOutcome,
    /// A fault of the service.
    Internal,
}

impl ErrorKind {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::MissingCredential => "missing_credential",
            Self::BadCredential => "bad_credential",
            Self::LinkedIdentityMissing => "linked_identity_missing",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotAcceptable => "not_acceptable",
            Self::Malformed => "malformed",
            Self::EmptyUpdate => "empty_update",
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::UsernameTaken => "username_taken",
            Self::KeyReused => "key_reused",
            Self::KeyInFlight => "key_in_flight",
            Self::PreconditionFailed => "precondition_failed",
            Self::PreconditionRequired => "precondition_required",
            Self::TestFailed => "test_failed",
            Self::RuleViolated => "rule_violated",
            Self::Vetoed => "vetoed",
            Self::ValidatorFailed => "validator_failed",
            Self::Unavailable => "unavailable",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Internal => "internal",
        }
    }

    /// True where the answer is a fact about the store, decided once execution began: such an
    /// answer is kept with the request's Idempotency-Key (decision 9).
    #[must_use]
    pub const fn is_decided(self) -> bool {
        matches!(
            self,
            Self::NotFound
                | Self::AlreadyExists
                | Self::UsernameTaken
                | Self::PreconditionFailed
                | Self::TestFailed
                | Self::RuleViolated
        )
    }
}

/// What a field error is about; a dialect names it in its own terms.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// An attribute, named by the dialect's vocabulary.
    Attr(Attr),
    /// A request header.
    Header(&'static str),
    /// A query parameter.
    Parameter(Cow<'static, str>),
    /// A member that the vocabulary has no attribute for, by its own name.
    Member(String),
}

/// Why a field is invalid. `Display` is a sentence that a partner may read; it never repeats the
/// value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Problem {
    /// Missing where it must be given.
    Required,
    /// Given, but cannot be written.
    ReadOnly,
    /// `null` or empty where that does not clear.
    NotClearable,
    /// An object with nothing in it to do.
    Empty,
    /// Not text.
    NotText,
    /// Not `true` or `false`.
    NotFlag,
    /// Not an object.
    NotObject,
    /// Shorter or longer than so many characters.
    Length {
        /// Fewest characters.
        min: u16,
        /// Most characters.
        max: u16,
    },
    /// Control characters, direction overrides, or nothing that shows.
    NotPrintable,
    /// Not an e-mail address.
    Email,
    /// Not a date in the dialect's form.
    Date,
    /// A birth date before 1900 or in the future.
    BirthRange,
    /// Not an ISO 3166-1 alpha-2 code.
    Country,
    /// Not a province or state of the country.
    Region,
    /// Not a postal code of the country.
    PostalCode,
    /// Not a UUID.
    Uuid,
    /// Not an absolute http(s) URL without user information.
    Url,
    /// Nothing left of a username once it is sanitised.
    Username,
    /// A username with other characters than it may have.
    PlainUsername,
    /// Not an instant.
    Instant,
    /// Not a place on the map.
    Coordinates,
    /// More bytes than this.
    Bytes {
        /// Most bytes.
        max: u32,
    },
    /// None of the values that there are.
    NotOneOf {
        /// The values, in words.
        values: &'static str,
    },
    /// Not a BCP 47 language tag.
    Locale,
    /// Not a two-letter ISO 639-1 code.
    Language,
    /// Not a name of the tz database.
    TimeZone,
    /// Only where the country is this one.
    OnlyIn {
        /// ISO 3166-1 alpha-2.
        country: &'static str,
    },
    /// Only beside another field.
    OnlyWith {
        /// The other.
        other: Attr,
    },
    /// An external id with control characters, `.` or `..`.
    ExternalId,
    /// A name that this API does not know, where unknown names are refused.
    Unknown,
    /// Another one than the address of the request names.
    Mismatch,
    /// Not a whole number within bounds.
    Number {
        /// Least.
        min: u16,
        /// Most.
        max: u16,
    },
    /// Given more than once.
    Repeated,
    /// Not where a list goes on, as an answer said it.
    Cursor,
    /// Says something else than another field does about the same thing.
    Contradicts,
    /// A path of a patch that is not there, or that nothing can be written to.
    Path,
    /// A patch that makes the document too large or too deep.
    TooMuch,
    /// Not a list of suspensions.
    Suspensions,
    /// Not a name of a namespace.
    Namespace,
    /// Not a list of links.
    Links,
    /// Not a link.
    Link,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Required => "Is required",
            Self::ReadOnly => "Cannot be changed",
            Self::NotClearable => "Must not be null or empty",
            Self::Empty => "Must have at least one field",
            Self::NotText => "Must be a string",
            Self::NotFlag => "Must be true or false",
            Self::NotObject => "Must be an object",
            Self::Length { min, max } => return write!(f, "Must be {min} to {max} characters long"),
            Self::NotPrintable => "Must be printable text",
            Self::Email => "Must be a valid email address",
            Self::Date => "Must be a valid date",
            Self::BirthRange => "Must not be before 1900 or in the future",
            Self::Country => "Must be a two-letter ISO 3166-1 country code",
            Self::Region => "Must be a province or state code of the country",
            Self::PostalCode => "Must be a postal code of the country",
            Self::Uuid => "Must be a UUID",
            Self::Url => "Must be an absolute http or https URL",
            Self::Username => "Must have at least one of the characters a-z, A-Z, 0-9, . and _",
            Self::PlainUsername => "Must have only the characters a-z, A-Z, 0-9, . and _",
            Self::Instant => "Must be an ISO 8601 date or date-time",
            Self::Coordinates => "Must be a longitude and a latitude in degrees",
            Self::Bytes { max } => return write!(f, "Must be at most {max} bytes"),
            Self::NotOneOf { values } => return write!(f, "Must be one of {values}"),
            Self::Locale => "Must be a BCP 47 language tag",
            Self::Language => "Must be a two-letter ISO 639-1 language code",
            Self::TimeZone => "Must be a name of the tz database",
            Self::OnlyIn { country } => return write!(f, "Is only for users in {country}"),
            Self::OnlyWith { other } => return write!(f, "Needs {other:?} beside it"),
            Self::ExternalId => {
                "Must be 1 to 128 characters, without control characters, and neither . nor .."
            }
            Self::Unknown => "Is not a known field",
            Self::Mismatch => "Must be what the address of the request names",
            Self::Number { min, max } => return write!(f, "Must be a whole number from {min} to {max}"),
            Self::Repeated => "Must be given only once",
            Self::Cursor => "Must be the nextCursor of an answer",
            Self::Contradicts => "Contradicts another field about the same thing",
            Self::Path => "Is not there, or cannot be changed",
            Self::TooMuch => "Becomes too large or too deeply nested",
            Self::Suspensions => {
                "Must be at most 100 objects of startsAt, endsAt (later, or null) and reason (1 to 500 characters, or null)"
            }
            Self::Namespace => "Must be 1 to 64 of the characters a-z, A-Z, 0-9, ., _ and -",
            Self::Link => "Must be a namespace, a colon and an external id",
            Self::Links => "Must be at most 100 different objects of namespace and externalId",
        };
        f.write_str(text)
    }
}

/// One bad field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// Which.
    pub place: Place,
    /// Why.
    pub problem: Problem,
}

impl FieldError {
    /// A bad attribute.
    #[must_use]
    pub const fn attr(attr: Attr, problem: Problem) -> Self {
        Self { place: Place::Attr(attr), problem }
    }
}

/// A request that failed.
#[derive(Debug)]
pub struct Error {
    /// The kind.
    pub kind: ErrorKind,
    /// A sentence for the caller, where the kind alone does not say enough.
    pub message: Option<Cow<'static, str>>,
    /// Every bad field, in the order of the dialect's vocabulary.
    pub fields: Vec<FieldError>,
    /// When to try again, in seconds.
    pub retry_after_s: Option<u32>,
    /// For the log: a short constant such as `clock_skew`.
    pub cause: Option<&'static str>,
    /// For the log: the error beneath. Its text must hold nothing of the request.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a kind, with nothing to add.
    #[must_use]
    pub const fn new(kind: ErrorKind) -> Self {
        Self { kind, message: None, fields: Vec::new(), retry_after_s: None, cause: None, source: None }
    }

    /// Bad fields.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(ErrorKind::Invalid) }
    }

    /// With a sentence for the caller.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// With a word for the log.
    #[must_use]
    pub const fn cause(mut self, cause: &'static str) -> Self {
        self.cause = Some(cause);
        self
    }

    /// With the time after which to try again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// With the error beneath.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
