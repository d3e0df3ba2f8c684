//! Ids of requests: random to everybody else, without asking the system for each.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use uuid::{Builder, Uuid};

/// A keyed hash of a counter, as version 4 UUIDs.
#[derive(Default)]
pub(crate) struct Ids {
    /// Its key comes from the system's randomness.
    keyed: RandomState,
    made: AtomicU64,
}

impl Ids {
    pub(crate) fn next(&self) -> Uuid {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let half = |which: u64| u128::from(self.keyed.hash_one((number, which)));
        Builder::from_random_bytes((half(0) << 64 | half(1)).to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_version_4_and_never_the_same() {
        let (one, other) = (Ids::default(), Ids::default());
        let mut ids: Vec<_> = (0..10_000).flat_map(|_| [one.next(), other.next()]).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 20_000);
    }
}
