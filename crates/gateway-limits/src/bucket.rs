//! A client's requests, counted in this process.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use crate::rate::{Rate, Standing, nanos};

/// A client's requests: one number, the moment at which all that they took has flowed back.
#[derive(Debug)]
pub struct Bucket {
    made: Instant,
    /// In nanoseconds since then.
    clear_at: AtomicU64,
}

impl Bucket {
    /// One from which nothing was taken.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { made: now, clear_at: AtomicU64::new(0) }
    }

    /// Counts a request.
    pub fn take(&self, rate: Rate, now: Instant) -> Standing {
        let now = nanos(now.saturating_duration_since(self.made));
        let mut clear_at = self.clear_at.load(Relaxed);
        loop {
            let debt = clear_at.saturating_sub(now);
            let more = debt.saturating_add(rate.interval_nanos());
            if more > rate.window_nanos() {
                return Standing::of(rate, debt, true);
            }
            let next = now.saturating_add(more);
            match self.clear_at.compare_exchange_weak(clear_at, next, Relaxed, Relaxed) {
                Ok(_) => return Standing::of(rate, more, false),
                Err(other) => clear_at = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn standing(is_over: bool, remaining: u32, next_ms: u64) -> Standing {
        Standing { is_over, remaining, next: Duration::from_millis(next_ms) }
    }

    #[test]
    fn a_burst_goes_through_and_then_one_for_each_interval() {
        let start = Instant::now();
        let rate = Rate { interval: Duration::from_millis(500), burst: 3 };
        let bucket = Bucket::new(start);
        let at = |ms| bucket.take(rate, start + Duration::from_millis(ms));
        assert_eq!(at(0), standing(false, 2, 500));
        assert_eq!(at(100), standing(false, 1, 400));
        assert_eq!(at(100), standing(false, 0, 400));
        // What is refused takes nothing.
        assert_eq!(at(100), standing(true, 0, 400));
        assert_eq!(at(499), standing(true, 0, 1));
        assert_eq!(at(500), standing(false, 0, 500));
        assert_eq!(at(1_750), standing(false, 1, 250));
        // No more flows back than was taken.
        assert_eq!(at(60_000), standing(false, 2, 500));
    }

    #[test]
    fn intervals_that_are_no_whole_number_lose_nothing() {
        let start = Instant::now();
        let rate = Rate { interval: Duration::from_secs(1) / 7, burst: 7 };
        let bucket = Bucket::new(start);
        let taken: Vec<_> = (0..8).map(|_| bucket.take(rate, start)).collect();
        assert_eq!(taken.iter().map(|one| one.remaining).collect::<Vec<_>>(), [6, 5, 4, 3, 2, 1, 0, 0]);
        assert_eq!(taken.iter().filter(|one| one.is_over).count(), 1);
    }

    /// What is let through is never more than the burst and what has flowed back, whatever comes when.
    #[test]
    fn never_more_than_the_rate() {
        let start = Instant::now();
        let rate = Rate { interval: Duration::from_millis(70), burst: 5 };
        let bucket = Bucket::new(start);
        let (mut now, mut passed, mut seed) = (0_u64, 0_u64, 7_u64);
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            now += (seed >> 33) % 100;
            let standing = bucket.take(rate, start + Duration::from_millis(now));
            passed += u64::from(!standing.is_over);
            assert!(passed <= 5 + now / 70, "{passed} after {now} ms");
            assert!(standing.remaining < 5 && standing.next <= rate.interval);
        }
        assert!(passed > 5 + now / 140, "most of it is let through: {passed}");
    }

    #[test]
    fn many_at_once_get_no_more_than_there_is() {
        let (start, rate) = (Instant::now(), Rate { interval: Duration::from_secs(3_600), burst: 100 });
        let bucket = Bucket::new(start);
        let passed: usize = std::thread::scope(|scope| {
            let count = || (0..1_000).filter(|_| !bucket.take(rate, start).is_over).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 100);
    }

    #[test]
    fn absurd_rates_overflow_nothing() {
        let start = Instant::now();
        let rate = Rate { interval: Duration::from_secs(86_400), burst: 1_000_000 };
        let bucket = Bucket::new(start);
        for _ in 0..10 {
            assert!(!bucket.take(rate, start).is_over);
        }
        let nothing = Rate { interval: Duration::ZERO, burst: 1 };
        assert!(!Bucket::new(start).take(nothing, start).is_over);
    }
}
