//! How a store is opened.

use std::{fmt, sync::Arc, time::Duration};

use gateway_core::Timestamp;

/// Reads the wall clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// `postgres://user:password@host:port,host:port/database?…`, as libpq reads it: several hosts, of
    /// which the one that takes writes is used; `sslmode` (`disable`, `prefer`, `require`, `verify-ca`,
    /// `verify-full`) and `sslrootcert`. It holds a password: never logged, nor part of an error.
    pub url: String,
    /// Reads the wall clock, for purging; a request's time comes with its commit.
    pub clock: Clock,
    /// Whether commits that come at once share a statement.
    pub coalesce: bool,
    /// The most commits that share one statement.
    pub batch: usize,
    /// Connections for commits; each has one statement on its way.
    pub commit_connections: usize,
    /// Connections for reads.
    pub read_connections: usize,
    /// Reads on their way on one connection.
    pub reads_in_flight: usize,
    /// How long connecting to one host may take.
    pub connect_timeout: Duration,
    /// How long a request waits for a connection before it is refused.
    pub wait: Duration,
    /// How long a statement may take; the database gives it up then.
    pub statement_timeout: Duration,
    /// How long the end of a commit is looked for whose answer was lost.
    pub resolve_for: Duration,
    /// Reads of users by id may be so old, those of writes apart; `None`: every read is as of its own time.
    pub max_stale: Option<Duration>,
    /// Bytes of memory, about, for users as they were last seen: writes begin with them.
    pub cache_bytes: usize,
}

impl Options {
    /// Two connections for commits that coalesce, two for reads, nothing older than its request.
    #[must_use]
    pub fn new(url: impl Into<String>, clock: Clock) -> Self {
        Self {
            url: url.into(),
            clock,
            coalesce: true,
            batch: 128,
            commit_connections: 2,
            read_connections: 2,
            reads_in_flight: 16,
            connect_timeout: Duration::from_secs(2),
            wait: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            resolve_for: Duration::from_secs(1),
            max_stale: None,
            cache_bytes: 64 << 20,
        }
    }

    /// The most commits of one statement.
    pub(crate) fn largest_batch(&self) -> usize {
        if self.coalesce { self.batch.max(1) } else { 1 }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("coalesce", &self.coalesce)
            .field("batch", &self.batch)
            .field("commit_connections", &self.commit_connections)
            .field("read_connections", &self.read_connections)
            .field("max_stale", &self.max_stale)
            .finish_non_exhaustive()
    }
}
