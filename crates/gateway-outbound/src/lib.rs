//! The one place that calls other servers: addresses are checked, one budget spans the whole call,
//! and what is down is left alone for a while.
//!
//! A [`Client`] is for one [`Endpoint`], and so is a [`Relay`], which passes requests on as they come. Neither
//! ever follows a redirect or decodes a content coding; a client reads no more than it was told to. They
//! tell nothing of URLs, headers or bodies to anybody.

mod address;
mod alarm;
mod breaker;
mod client;
mod connect;
mod endpoint;
mod error;
mod outgoing;
mod patient;
mod pool;
mod relay;
#[cfg(test)]
mod tests;
pub mod trace;
mod trust;

pub use address::is_special;
pub use alarm::Alarm;
pub use breaker::Circuit;
pub use client::{Call, Client, Reply, Terms};
pub use endpoint::{BadUrl, Endpoint};
pub use error::CallError;
pub use outgoing::{Aborted, Outgoing};
pub use relay::{Inflow, Passage, Relay};
pub use trust::{BadCertificates, Trust};
