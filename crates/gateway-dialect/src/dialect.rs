//! The trait that every dialect implements, and what it is given.

use std::fmt;

use gateway_core::{
    Caller, Change, Error, ExternalId, FieldError, Locator, Operation, Outcome, Place, Problem, Reach,
    Timestamp, User, UserId,
};
use http::{HeaderMap, HeaderName};

use crate::{Answer, Day, Description, Expressed, FieldTable, Paper, Route, Target, json_body};

/// What unknown members in a body do (decision 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnknownFields {
    /// They are ignored, and counted.
    Ignore,
    /// They are bad fields.
    Reject,
}

/// In what form users go to and fro.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Form {
    /// As the dialect's documents.
    #[default]
    Document,
    /// As records, for another gateway: exactly as they are stored.
    Record,
}

/// The mount, and the moment, that a request came to.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Which users the mount sees.
    pub reach: &'a Reach,
    /// What unknown members do.
    pub unknown_fields: UnknownFields,
    /// The mount's prefix, as the client addressed it: what a `Location` begins with.
    pub base: &'a str,
    /// The one clock reading of the request.
    pub now: Timestamp,
    /// The request's id: a lower-case UUID.
    pub request_id: &'a str,
    /// What [`Dialect::form`] said of the request.
    pub form: Form,
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
    /// Its route, and what stands in its path.
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
    /// A path parameter as an external id; what can be none names nobody (decision 3).
    #[must_use]
    pub fn external_locator(&self, parameter: &str) -> Locator {
        let id = self.target.decoded(parameter).and_then(|id| ExternalId::parse(&id));
        id.map_or(Locator::Nobody, Locator::External)
    }

    /// A path parameter as a canonical id; what can be none names nobody.
    #[must_use]
    pub fn canonical_locator(&self, parameter: &str) -> Locator {
        let id = self.target.decoded(parameter).and_then(|id| UserId::parse(&id));
        id.map_or(Locator::Nobody, Locator::Id)
    }
}

/// Where and when an error occurred: what its rendering may name.
#[derive(Clone, Copy, Debug)]
pub struct Occasion<'a> {
    /// The request's id: a lower-case UUID.
    pub request_id: &'a str,
    /// The route, where the request had come so far.
    pub target: Option<Target<'a>>,
    /// The external id of a creation that was refused.
    pub external_id: Option<&'a str>,
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

    /// What a mount's `namespace` may say.
    fn naming(&self) -> Naming;

    /// What unknown members do on a mount that does not say `unknown_fields` (decision 8).
    fn unknown_fields(&self) -> UnknownFields {
        UnknownFields::Ignore
    }

    /// The header in which answers carry the request's id, in dialects that have one.
    fn request_id_header(&self) -> Option<HeaderName>;

    /// True where answers that name one user carry its entity tag (decision 12).
    fn has_entity_tags(&self) -> bool {
        true
    }

    /// True where closed accounts show (decision 15).
    fn shows_closed(&self) -> bool {
        false
    }

    /// True where answers tell clients how they stand with the mount's rate limit (decision 11).
    fn tells_limits(&self) -> bool {
        false
    }

    /// True where `Prefer: return=minimal` takes the body from the answer to a write (RFC 7240).
    fn heeds_preferences(&self) -> bool {
        false
    }

    /// What an Idempotency-Key may be.
    fn key_form(&self) -> KeyForm {
        KeyForm::Uuid
    }

    /// The headers that belong to what an Idempotency-Key was used for, beside method, target and body
    /// (decision 9).
    fn fingerprinted(&self) -> &'static [HeaderName] {
        &[]
    }

    /// The media type that a body is sent in, for clients that are made up (`interlingua sign`).
    fn media_type(&self) -> &'static str;

    /// Judges whether the credential may do this at all, before anything of the request is read
    /// (decisions 25 and 35).
    ///
    /// # Errors
    /// [`Forbidden`](gateway_core::ErrorKind::Forbidden), or whatever hides what is there.
    fn authorize(&self, site: &Site<'_>, caller: &Caller, target: &Target<'_>) -> Result<(), Error> {
        let _everything_by_default = (site, caller, target);
        Ok(())
    }

    /// Every scope that [`Dialect::authorize`] asks for, with spaces between, for clients that are made
    /// up.
    fn scopes(&self) -> &'static str {
        ""
    }

    /// Checks `Accept`, `Content-Type` and `Content-Encoding`.
    ///
    /// # Errors
    /// [`UnsupportedMediaType`](gateway_core::ErrorKind::UnsupportedMediaType) or
    /// [`NotAcceptable`](gateway_core::ErrorKind::NotAcceptable).
    fn negotiate(&self, request: &Request<'_>) -> Result<(), Error> {
        if request.target.route.verb.has_body() { json_body(request.headers) } else { Ok(()) }
    }

    /// [`Dialect::negotiate`], and what came of it: the form that users are in.
    ///
    /// # Errors
    /// As that one; [`Forbidden`](gateway_core::ErrorKind::Forbidden) where the caller may not have the form.
    fn form(&self, site: &Site<'_>, caller: &Caller, request: &Request<'_>) -> Result<Form, Error> {
        let _one_for_all_by_default = (site, caller);
        self.negotiate(request).map(|()| Form::Document)
    }

    /// Turns a request into a command.
    ///
    /// # Errors
    /// Whatever is wrong with the request by itself.
    fn decode(&self, site: &Site<'_>, caller: &Caller, request: &Request<'_>) -> Result<Decoded, Error>;

    /// Adds to an update what it entails for the user that it is for, before it is applied: changes
    /// that the request does not spell out (decision 39).
    fn settle(&self, before: &User, changes: &mut Vec<Change>) {
        let _nothing_by_default = (before, changes);
    }

    /// Works out the changes of an [`Operation::Revise`] or [`Operation::Replace`] for the user as it is:
    /// patches of documents, read-only members sent back.
    ///
    /// # Errors
    /// Whatever is wrong with them for this user.
    fn revise(&self, site: &Site<'_>, request: &Request<'_>, before: &User) -> Result<Vec<Change>, Error> {
        let _never_asked_by_default = (site, request, before);
        Ok(Vec::new())
    }

    /// Judges the final state (decisions 16, 20 and 39).
    ///
    /// # Errors
    /// The rule that it breaks.
    fn judge(&self, ruling: &Ruling<'_>) -> Result<(), Error> {
        let _none_by_default = ruling;
        Ok(())
    }

    /// True where a mount may have an update validated by another server before it is committed
    /// (decision 30).
    fn has_webhook(&self) -> bool {
        false
    }

    /// What that server is asked, in the dialect's own JSON: what an update sets and clears, its
    /// write-only fields only where they are `secure`.
    fn question(&self, site: &Site<'_>, changes: &[Change], secure: bool) -> Vec<u8> {
        let _no_webhook_by_default = (site, changes, secure);
        Vec::new()
    }

    /// Renders what came of it.
    fn encode(&self, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer;

    /// Renders an error. Cannot fail.
    fn render(&self, error: &Error, occasion: &Occasion<'_>) -> Answer;

    /// What a route takes and answers, for the documents: the envelopes, and the errors of its own.
    fn describe(&self, paper: &Paper<'_>) -> Description;

    /// The body of an update that says this, for a user of this name.
    fn compose(&self, fields: &[Expressed<'_>], user: &str) -> Vec<u8>;
}

/// What an Idempotency-Key may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyForm {
    /// A UUID, bare or as a quoted string (decision 19).
    Uuid,
    /// A string of structured fields, as the IETF's draft has it; a bare UUID as well.
    Text,
}

/// How users are named in a dialect, and so what a mount's `namespace` may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Naming {
    /// By external ids: a mount names their namespace.
    External,
    /// By external ids of a namespace that stands in the path, under this parameter: a mount says
    /// `namespace = "{parameter}"`.
    InPath(&'static str),
    /// By canonical ids: a mount names a namespace to see its users, or `*` to see all.
    Canonical,
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
