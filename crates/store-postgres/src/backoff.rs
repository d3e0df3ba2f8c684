//! Pauses that grow, with jitter, so that many gateways do not come back at once.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use tokio::time;

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(500);

/// The pauses of one effort.
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    /// As after so many pauses.
    pub(crate) fn after(pauses: u32) -> Self {
        Self((FIRST * 2u32.pow(pauses.min(8))).min(LONGEST))
    }

    /// Waits for half to all of the pause; the next is twice as long.
    pub(crate) async fn pause(&mut self) {
        time::sleep(self.0 / 2 + self.0.mul_f64(chance() / 2.0)).await;
        self.0 = (self.0 * 2).min(LONGEST);
    }
}

/// A number from 0 to 1, different each time.
pub(crate) fn chance() -> f64 {
    // A new state of the standard hasher is random.
    let bits = RandomState::new().hash_one(0u8) >> 32;
    u32::try_from(bits).map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}
