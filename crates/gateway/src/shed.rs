//! How many requests are under way at once: those above the bound are refused at once, not late.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The requests under way.
#[derive(Debug, Default)]
pub struct Load(AtomicUsize);

/// The place of a request; given back when dropped.
#[derive(Debug)]
pub struct Place<L: Deref<Target = Load> = Arc<Load>>(L);

impl Load {
    /// A place, while fewer than `most` are taken.
    #[must_use]
    pub fn enter<L: Deref<Target = Self>>(load: L, most: usize) -> Option<Place<L>> {
        let before = load.0.fetch_add(1, Ordering::Relaxed);
        // A refused request gives its place back by the same drop.
        let place = Place(load);
        (before < most).then_some(place)
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl<L: Deref<Target = Load>> Drop for Place<L> {
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
        let (first, second) = (Load::enter(&load, 2), Load::enter(&load, 2));
        assert!(first.is_some() && second.is_some());
        assert!(Load::enter(&load, 2).is_none());
        assert_eq!(load.taken(), 2);
        drop(first);
        assert!(Load::enter(&load, 2).is_some());
        drop(second);
        assert_eq!(load.taken(), 0);
    }
}
