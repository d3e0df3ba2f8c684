//! A rate, and how a client stands with it.

use std::time::Duration;

/// So many requests at once, and one more after each interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// In which one more is allowed.
    pub interval: Duration,
    /// How many at once, at least one.
    pub burst: u32,
}

/// How a client stands once a request of its was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// True for a request too many, which takes nothing.
    pub is_over: bool,
    /// How many more are allowed now.
    pub remaining: u32,
    /// When there is one more.
    pub next: Duration,
}

impl Rate {
    /// How long it takes until all that can be taken is there again.
    #[must_use]
    pub fn window(self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }

    pub(crate) fn interval_nanos(self) -> u64 {
        nanos(self.interval).max(1)
    }

    pub(crate) fn window_nanos(self) -> u64 {
        self.interval_nanos().saturating_mul(u64::from(self.burst))
    }
}

impl Standing {
    /// Of a debt: how long it takes, in nanoseconds, until what was taken has flowed back.
    pub(crate) fn of(rate: Rate, debt: u64, is_over: bool) -> Self {
        let (interval, window) = (rate.interval_nanos(), rate.window_nanos());
        if is_over {
            let next = debt.saturating_add(interval).saturating_sub(window);
            return Self { is_over, remaining: 0, next: Duration::from_nanos(next) };
        }
        let free = window.saturating_sub(debt);
        let remaining = u32::try_from(free / interval).unwrap_or(rate.burst);
        Self { is_over, remaining, next: Duration::from_nanos(interval - free % interval) }
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
