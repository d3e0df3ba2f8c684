//! Authenticators: how each legacy API proves who calls.
//!
//! Architecture invariant: time is an argument, a failure never says why in public, and an unknown
//! client costs the same work as a wrong proof (decision 14).

mod rfc3339;
mod signature;

use std::sync::Arc;

use gateway_core::{Caller, Error, Timestamp};
use gateway_dialect::Options;
use http::{HeaderMap, HeaderName};

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
}

/// A way to prove who calls.
pub trait Authenticator: Send + Sync {
    /// Looks only at whether a credential is there, before the body is read.
    ///
    /// # Errors
    /// [`MissingCredential`](gateway_core::ErrorKind::MissingCredential).
    fn precheck(&self, headers: &HeaderMap) -> Result<(), Error>;

    /// Says who calls.
    ///
    /// # Errors
    /// [`MissingCredential`](gateway_core::ErrorKind::MissingCredential) or
    /// [`BadCredential`](gateway_core::ErrorKind::BadCredential), with the cause for the log.
    fn authenticate(&self, request: &Presented<'_>, now: Timestamp) -> Result<Caller, Error>;

    /// The bytes that make this request a replay when they come again, where there are such: a
    /// signature (decision 18).
    fn proof(&self, headers: &HeaderMap) -> Option<Vec<u8>>;

    /// The headers with which a client would send this request; `None` for an unknown client.
    fn sign(
        &self,
        client: &str,
        request: &Presented<'_>,
        now: Timestamp,
    ) -> Option<Vec<(HeaderName, String)>>;
}

/// A client in the configuration: its name, and its settings still to be read.
pub type ClientOptions<'a> = (Arc<str>, Options<'a>);

/// Builds an authenticator from a mount's settings and its clients'; mistakes go to the options.
pub type Build = fn(&mut Options<'_>, &mut [ClientOptions<'_>]) -> Arc<dyn Authenticator>;
