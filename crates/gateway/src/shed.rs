//! How many requests are under way at once: those above the bound are refused at once, not late.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The requests under way.
#[derive(Debug, Default)]
pub struct Load(AtomicUsize);

/// The place of a request; given back when dropped.
#[derive(Debug)]
pub struct Place<'l>(&'l Load);

impl Load {
    /// A place, while fewer than `most` are taken.
    #[must_use]
    pub fn enter(&self, most: usize) -> Option<Place<'_>> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        // A refused request gives its place back by the same drop.
        let place = Place(self);
        (before < most).then_some(place)
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let load = Load::default();
        let (first, second) = (load.enter(2), load.enter(2));
        assert!(first.is_some() && second.is_some());
        assert!(load.enter(2).is_none());
        assert_eq!(load.taken(), 2);
        drop(first);
        assert!(load.enter(2).is_some());
        drop(second);
        assert_eq!(load.taken(), 0);
    }
}
