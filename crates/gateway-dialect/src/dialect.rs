//! The trait that every dialect implements, and what it is given.

use std::fmt;

use gateway_core::{
    Caller, Change, Error, FieldError, Locator, Operation, Outcome, Place, Problem, Reach, Timestamp, User,
};
use http::{HeaderMap, HeaderName};

use crate::{Answer, Day, FieldTable, Route, Target, decode_segment, json_body};

/// What unknown members in a body do (decision 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnknownFields {
    /// They are ignored, and counted.
    Ignore,
    /// They are bad fields.
    Reject,
}

/// The mount, and the moment, that a request came to.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Which users the mount sees.
    pub reach: &'a Reach,
    /// What unknown members do.
    pub unknown_fields: UnknownFields,
    /// The one clock reading of the request.
    pub now: Timestamp,
    /// The request's id: a lower-case UUID.
    pub request_id: &'a str,
}

impl Site<'_> {
    /// Today, UTC.
    #[must_use]
    pub const fn today(&self) -> Day {
        self.now.date()
    }
}

/// A request that is routed and authenticated.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its route.
    pub target: Target<'a>,
    /// The raw query, without `?`.
    pub query: Option<&'a str>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, whole.
    pub body: &'a [u8],
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("route", &self.target.route).finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// The path parameter as an external id; what can be none names nobody (decision 3).
    #[must_use]
    pub fn external_locator(&self) -> Locator {
        self.target
            .parameter
            .and_then(decode_segment)
            .and_then(|id| gateway_core::ExternalId::parse(&id))
            .map_or(Locator::Nobody, Locator::External)
    }
}

/// What a request asks for, and the names in it that mean nothing.
#[derive(Debug)]
pub struct Decoded {
    /// The command.
    pub operation: Operation,
    /// Unknown member names, ignored; for the count.
    pub unknown: Vec<String>,
}

/// An update or creation that is about to be committed, for the dialect's own rules.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    /// The mount and the moment.
    pub site: &'a Site<'a>,
    /// The user as it was; `None` on create.
    pub before: Option<&'a User>,
    /// The user as it will be.
    pub after: &'a User,
    /// What was asked for.
    pub changes: &'a [Change],
}

impl Ruling<'_> {
    /// True where the request gives one of these attributes another value than it had.
    #[must_use]
    pub fn moves(&self, attrs: &[gateway_core::Attr]) -> bool {
        let was = |attr| self.before.and_then(|user| user.profile.get(attr));
        attrs.iter().any(|attr| was(*attr) != self.after.profile.get(*attr))
    }
}

/// A way to speak about users over HTTP. Every method is a pure function.
pub trait Dialect: Send + Sync {
    /// The name in the configuration.
    fn name(&self) -> &'static str;

    /// Verb, path, action.
    fn routes(&self) -> &'static [Route];

    /// The vocabulary.
    fn fields(&self) -> &FieldTable;

    /// True where users are named by external ids, so that a mount must have a namespace.
    fn needs_namespace(&self) -> bool;

    /// The header in which answers carry the request's id.
    fn request_id_header(&self) -> HeaderName;

    /// The media type that a body is sent in, for clients that are made up (`interlingua sign`).
    fn media_type(&self) -> &'static str;

    /// Checks Content-Type and Content-Encoding of a request with a body.
    ///
    /// # Errors
    /// [`UnsupportedMediaType`](gateway_core::ErrorKind::UnsupportedMediaType).
    fn check_media(&self, headers: &HeaderMap) -> Result<(), Error> {
        json_body(headers)
    }

    /// Turns a request into a command.
    ///
    /// # Errors
    /// Whatever is wrong with the request by itself.
    fn decode(&self, site: &Site<'_>, caller: &Caller, request: &Request<'_>) -> Result<Decoded, Error>;

    /// Judges the final state (decisions 16, 20 and 39).
    ///
    /// # Errors
    /// The rule that it breaks.
    fn judge(&self, ruling: &Ruling<'_>) -> Result<(), Error> {
        let _none_by_default = ruling;
        Ok(())
    }

    /// Renders what came of it.
    fn encode(&self, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer;

    /// Renders an error. Cannot fail.
    fn render(&self, error: &Error, request_id: &str) -> Answer;
}

/// Unknown names as bad fields, or none, by the mount's option.
#[must_use]
pub fn refused_names(site: &Site<'_>, unknown: &[String]) -> Vec<FieldError> {
    match site.unknown_fields {
        UnknownFields::Ignore => Vec::new(),
        UnknownFields::Reject => {
            let error =
                |name: &String| FieldError { place: Place::Member(name.clone()), problem: Problem::Unknown };
            unknown.iter().map(error).collect()
        }
    }
}
