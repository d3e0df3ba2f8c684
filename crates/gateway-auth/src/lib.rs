//! Authenticators: how each legacy API proves who calls.
//!
//! Architecture invariant: time is an argument, a failure never says why in public, and an unknown
//! client costs the same work as a wrong proof (decision 14).

mod argon;
mod basic;
mod bearer;
mod claims;
mod credential;
#[doc(hidden)]
pub mod fuzz;
mod introspection;
mod jwk;
mod jws;
mod jwt;
mod keys;
mod outside;
mod published;
mod rfc3339;
mod signature;
#[cfg(test)]
mod tests;

use std::{pin::Pin, sync::Arc};

use gateway_core::{Caller, Error, Timestamp};
use gateway_dialect::Options;
use http::{HeaderMap, HeaderName};

pub use basic::Basic;
pub use bearer::Bearer;
pub use introspection::{Introspected, Introspector};
pub use keys::{Fetched, FetchedKeys};
pub use outside::Outside;
pub use signature::SignedRequests;

/// A request as it came: what a credential is checked against.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The request target, as sent (RFC 9112, 3.2.1), or as the client sent it to a proxy that
    /// rewrites prefixes.
    pub target: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The raw body.
    pub body: &'a [u8],
    /// True for a request that cannot write.
    pub is_read: bool,
}

/// Who calls, or why nobody is known:
/// [`MissingCredential`](gateway_core::ErrorKind::MissingCredential) or
/// [`BadCredential`](gateway_core::ErrorKind::BadCredential), or
/// [`Unavailable`](gateway_core::ErrorKind::Unavailable) where another server was to be asked and did not
/// answer; with the cause for the log.
pub type Identified = Result<Caller, Error>;

/// An identification that is known at once, or takes its time.
pub enum Verdict<'a> {
    /// Known.
    Ready(Identified),
    /// Under way: off the runtime's threads, or at another server.
    Pending(Pin<Box<dyn Future<Output = Identified> + Send + 'a>>),
}

impl Verdict<'_> {
    /// The identification.
    ///
    /// # Errors
    /// As [`Identified`].
    pub async fn wait(self) -> Identified {
        match self {
            Self::Ready(identified) => identified,
            Self::Pending(pending) => pending.await,
        }
    }
}

/// A way to prove who calls.
pub trait Authenticator: Send + Sync {
    /// Looks only at whether a credential is there, or the form of one where it is demanded, before
    /// the body is read. `is_read` tells a request that cannot write.
    ///
    /// # Errors
    /// [`MissingCredential`](gateway_core::ErrorKind::MissingCredential).
    fn precheck(&self, headers: &HeaderMap, is_read: bool) -> Result<(), Error>;

    /// Says who calls.
    fn authenticate<'a>(&'a self, request: &Presented<'a>, now: Timestamp) -> Verdict<'a>;

    /// The bytes that make this request a replay when they come again, where there are such: a
    /// signature (decision 18).
    fn proof(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let _none_by_default = headers;
        None
    }

    /// Makes a token for a user of a client, where clients have such; `scope` as in the token.
    fn mint(
        &self,
        client: &str,
        subject: Option<&str>,
        scope: Option<&str>,
        now: Timestamp,
    ) -> Option<String> {
        let _none_by_default = (client, subject, scope, now);
        None
    }

    /// Digests of keys that accept tokens without asking for an audience: of two mounts with one in
    /// common, each takes the other's tokens.
    fn keys_without_audience(&self) -> Vec<[u8; 32]> {
        Vec::new()
    }

    /// The other servers that it asks, where it asks any.
    fn outside(&self) -> Option<&Outside> {
        None
    }

    /// How a client proves who it is, for documents.
    fn manner(&self) -> Manner;

    /// The headers with which a client would send this request; `None` for an unknown client.
    fn sign(
        &self,
        client: &str,
        request: &Presented<'_>,
        now: Timestamp,
    ) -> Option<Vec<(HeaderName, String)>>;
}

/// How a client proves who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// By these headers together, each with what it holds.
    Headers(&'static [(&'static str, &'static str)]),
    /// By a bearer token (RFC 6750).
    Bearer {
        /// `JWT`, where every token is one.
        format: Option<&'static str>,
        /// True where a token must say that there is a linked identity (decision 35).
        needs_linked_identity: bool,
    },
    /// By a name and a password (RFC 7617).
    Basic,
}

/// A client in the configuration: its name, and its settings still to be read.
pub type ClientOptions<'a> = (Arc<str>, Options<'a>);

/// Builds an authenticator from a mount's settings and its clients'; mistakes go to the options.
pub type Build = fn(&mut Options<'_>, &mut [ClientOptions<'_>]) -> Arc<dyn Authenticator>;
