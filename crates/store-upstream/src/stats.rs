//! The store's figures, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use gateway_outbound::Circuit;

/// What the store did since it was opened, and how it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Calls to the service, repeated ones included.
    pub calls: u64,
    /// Calls that were answered, whatever the answer.
    pub answered: u64,
    /// Calls answered with a fault of the service (5xx).
    pub failed: u64,
    /// Calls of which nothing can have been read.
    pub unsent: u64,
    /// Calls that may have been read and were not answered.
    pub lost: u64,
    /// Reads that were tried again.
    pub retries: u64,
    /// Answers that made no sense.
    pub garbage: u64,
    /// Writes that are done.
    pub commits: u64,
    /// Writes whose answer was lost and then found out.
    pub resolved: u64,
    /// Writes whose answer was lost and not found out in time.
    pub unknown: u64,
    /// Whether the service answers.
    pub reached: bool,
    /// Whether it is left alone just now.
    pub circuit: Circuit,
}

/// The counters behind the figures.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) calls: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) garbage: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) resolved: AtomicU64,
    pub(crate) unknown: AtomicU64,
}

impl Counters {
    pub(crate) fn stats(&self, reached: bool, circuit: Circuit) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            calls: read(&self.calls),
            answered: read(&self.answered),
            failed: read(&self.failed),
            unsent: read(&self.unsent),
            lost: read(&self.lost),
            retries: read(&self.retries),
            garbage: read(&self.garbage),
            commits: read(&self.commits),
            resolved: read(&self.resolved),
            unknown: read(&self.unknown),
            reached,
            circuit,
        }
    }
}
