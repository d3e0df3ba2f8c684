//! The store's figures, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets of [`Stats::batch_sizes`]; the last bucket has none beyond.
pub const BATCH_BOUNDS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// What the store did since it was opened, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commits answered with `Done`.
    pub commits: u64,
    /// Commits refused for their version, a unique key or a ledger key.
    pub rejected: u64,
    /// Commits whose end is unknown.
    pub unknown: u64,
    /// Commits not accepted, for overload.
    pub shed: u64,
    /// Batches taken from the queue.
    pub batches: u64,
    /// Batches that had something to write, and were synced to disk.
    pub synced_batches: u64,
    /// The commits in all batches taken together.
    pub batched_commits: u64,
    /// The largest batch.
    pub largest_batch: u64,
    /// How many batches were up to [`BATCH_BOUNDS`] commits large, each counted once.
    pub batch_sizes: [u64; BATCH_BOUNDS.len()],
    /// Commits waiting for the writer.
    pub queue_depth: usize,
    /// Users found in the cache.
    pub cache_hits: u64,
    /// Users looked for in the engine.
    pub cache_misses: u64,
    /// Ledger keys in memory.
    pub ledger_keys: usize,
    /// The highest acknowledged batch.
    pub acked_seq: u64,
}

/// The counters behind the figures that the writer keeps.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) synced_batches: AtomicU64,
    batches: AtomicU64,
    batched_commits: AtomicU64,
    largest_batch: AtomicU64,
    batch_sizes: [AtomicU64; BATCH_BOUNDS.len()],
}

impl Counters {
    pub(crate) fn batch(&self, size: usize) {
        let size = size as u64;
        let bucket = BATCH_BOUNDS.partition_point(|bound| *bound < size).min(BATCH_BOUNDS.len() - 1);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.batched_commits.fetch_add(size, Ordering::Relaxed);
        self.largest_batch.fetch_max(size, Ordering::Relaxed);
        self.batch_sizes[bucket].fetch_add(1, Ordering::Relaxed);
    }

    /// Fills in what is counted here.
    pub(crate) fn fill(&self, stats: &mut Stats) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        stats.commits = read(&self.commits);
        stats.rejected = read(&self.rejected);
        stats.unknown = read(&self.unknown);
        stats.shed = read(&self.shed);
        stats.batches = read(&self.batches);
        stats.synced_batches = read(&self.synced_batches);
        stats.batched_commits = read(&self.batched_commits);
        stats.largest_batch = read(&self.largest_batch);
        stats.batch_sizes = std::array::from_fn(|bucket| read(&self.batch_sizes[bucket]));
    }
}
