//! The store's figures, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets of [`Stats::batch_sizes`]; the last bucket has none beyond.
pub const BATCH_BOUNDS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// What the store did since it was opened, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commits answered with `Done`.
    pub commits: u64,
    /// Commits refused for their version, a unique key or a ledger key.
    pub rejected: u64,
    /// Commits whose answer was lost and then found out.
    pub resolved: u64,
    /// Commits whose answer was lost and not found out in time.
    pub unknown: u64,
    /// Commits not accepted, for overload.
    pub shed: u64,
    /// Statements sent for commits; each is one round trip.
    pub statements: u64,
    /// The commits in all of them together.
    pub batched_commits: u64,
    /// The largest statement.
    pub largest_batch: u64,
    /// How many statements were up to [`BATCH_BOUNDS`] commits large, each counted once.
    pub batch_sizes: [u64; BATCH_BOUNDS.len()],
    /// Commits that were sent again, alone, since their statement collided with one of another gateway.
    pub collisions: u64,
    /// Statements sent for reads; those that come at once share one.
    pub reads: u64,
    /// Reads that had to wait for a connection.
    pub read_waits: u64,
    /// Reads answered from memory (`max_stale`).
    pub cache_hits: u64,
    /// Connections made, the first ones included.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Ledger records purged.
    pub purged: u64,
    /// Connections that stand.
    pub connections: usize,
    /// Commits waiting to be sent.
    pub queue_depth: usize,
}

/// The counters behind the figures.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) resolved: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) collisions: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) read_waits: AtomicU64,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) failed_connects: AtomicU64,
    pub(crate) purged: AtomicU64,
    statements: AtomicU64,
    batched_commits: AtomicU64,
    largest_batch: AtomicU64,
    batch_sizes: [AtomicU64; BATCH_BOUNDS.len()],
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn statement(&self, size: usize) {
        let size = size as u64;
        let bucket = BATCH_BOUNDS.partition_point(|bound| *bound < size).min(BATCH_BOUNDS.len() - 1);
        count(&self.statements);
        self.batched_commits.fetch_add(size, Ordering::Relaxed);
        self.largest_batch.fetch_max(size, Ordering::Relaxed);
        count(&self.batch_sizes[bucket]);
    }

    pub(crate) fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: read(&self.commits),
            rejected: read(&self.rejected),
            resolved: read(&self.resolved),
            unknown: read(&self.unknown),
            shed: read(&self.shed),
            statements: read(&self.statements),
            batched_commits: read(&self.batched_commits),
            largest_batch: read(&self.largest_batch),
            batch_sizes: std::array::from_fn(|bucket| read(&self.batch_sizes[bucket])),
            collisions: read(&self.collisions),
            reads: read(&self.reads),
            read_waits: read(&self.read_waits),
            cache_hits: read(&self.cache_hits),
            connects: read(&self.connects),
            failed_connects: read(&self.failed_connects),
            purged: read(&self.purged),
            connections: 0,
            queue_depth: 0,
        }
    }
}
