//! The gateway: one process, many mounts, one store.

pub mod access;
pub mod admin;
pub mod admit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cors;
pub mod demo;
pub mod digest;
mod execute;
pub mod idempotency;
mod ids;
pub mod log;
pub mod metrics;
pub mod mount;
mod once;
pub mod queue;
pub mod registry;
pub mod serve;
pub mod server;
pub mod service;
mod sink;
mod stops;
pub mod store_metrics;
pub mod vault;
mod watch;
