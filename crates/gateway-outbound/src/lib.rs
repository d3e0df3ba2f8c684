//! The one place that calls other servers: addresses are checked, one budget spans the whole call,
//! and what is down is left alone for a while.
//!
//! A [`Client`] is for one [`Endpoint`]. It never follows a redirect, never decodes a content coding,
//! reads no more than it was told to, and tells nothing of URLs, headers or bodies to anybody.

mod address;
mod breaker;
mod client;
mod connect;
mod endpoint;
mod error;
mod pool;
#[cfg(test)]
mod tests;
pub mod trace;
mod trust;

pub use address::is_special;
pub use breaker::Circuit;
pub use client::{Call, Client, Reply, Terms};
pub use endpoint::{BadUrl, Endpoint};
pub use error::CallError;
pub use trust::{BadCertificates, Trust};
