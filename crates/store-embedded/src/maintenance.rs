//! Once a second: the high-water mark goes to disk, the next hour gets its ledger keyspace, and hours
//! that have expired are dropped, as long as the clock can be believed.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gateway_core::{LedgerRecord, Timestamp};

use crate::{Shared, ledger, lock};

const TICK: Duration = Duration::from_secs(1);
const JUMP: time::Duration = time::Duration::hours(1);

/// Whether the wall clock runs along with the monotonic one.
///
/// A clock that jumped is believed again once it has run steadily for as long as records are kept: a
/// wrong clock must not purge what is live, and a right one must be believed some day.
#[derive(Default)]
pub(crate) struct Pace {
    anchor: Option<(Timestamp, Instant)>,
    doubted: bool,
}

impl Pace {
    /// True when what has expired by this clock may be purged.
    pub(crate) fn believes(&mut self, wall: Timestamp, mono: Instant) -> bool {
        let Some((wall_then, mono_then)) = self.anchor else {
            self.anchor = Some((wall, mono));
            return true;
        };
        let ran = time::Duration::try_from(mono.saturating_duration_since(mono_then))
            .unwrap_or(time::Duration::MAX);
        if ((wall - wall_then).saturating_sub(ran)).abs() > JUMP {
            tracing::warn!(
                "the clock jumped by more than an hour: nothing is purged until it has run steadily for a day"
            );
            *self = Self { anchor: Some((wall, mono)), doubted: true };
        } else if self.doubted && ran >= LedgerRecord::PURGE_AFTER {
            self.doubted = false;
        }
        !self.doubted
    }
}

/// Stops the thread between two ticks.
#[derive(Default)]
pub(crate) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.changed.notify_all();
    }

    /// Waits for so long; true when to stop.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let stopped = lock(&self.stopped);
        let waited = self.changed.wait_timeout_while(stopped, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Runs until stopped.
pub(crate) fn run(shared: &Shared) {
    let mut pace = Pace::default();
    loop {
        tick(shared, &mut pace, Instant::now());
        if shared.stop.wait(TICK) {
            return;
        }
    }
}

/// One round.
pub(crate) fn tick(shared: &Shared, pace: &mut Pace, mono: Instant) {
    if shared.is_poisoned() {
        return;
    }
    if let Err(error) = shared.engine.probe() {
        return shared.poison("the engine stopped itself", &error);
    }
    if let Err(error) = shared.mark.sync() {
        return shared.poison("the high-water mark cannot be synced", &error);
    }
    let now = (shared.clock)();
    for hour in [ledger::hour(now), ledger::hour(now).saturating_add(1)] {
        if let Err(error) = shared.engine.ensure_hour(hour) {
            tracing::error!(%error, "no keyspace for the ledger's next hour");
        }
    }
    if pace.believes(now, mono) {
        purge(shared, ledger::first_kept(now));
    }
}

fn purge(shared: &Shared, first_kept: u32) {
    let expired: Vec<_> = shared.engine.hours().into_iter().filter(|hour| *hour < first_kept).collect();
    if expired.is_empty() {
        return;
    }
    shared.live.sweep(first_kept);
    for hour in expired {
        if let Err(error) = shared.engine.drop_hour(hour) {
            tracing::error!(%error, "an expired hour of the ledger could not be dropped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::utc_datetime;

    #[test]
    fn a_clock_that_jumped_is_not_believed_until_it_ran_steadily() {
        let (wall, mono) = (utc_datetime!(2026-01-01 0:00), Instant::now());
        let mut pace = Pace::default();
        let mut at = |wall_hours: i64, mono_hours: u64| {
            let hours = |count: u64| Duration::from_secs(count * 3600);
            pace.believes(wall + time::Duration::hours(wall_hours), mono + hours(mono_hours))
        };
        assert!(at(0, 0));
        assert!(at(5, 5));
        assert!(!at(50, 6), "a jump forward");
        assert!(!at(51, 7), "one steady hour is not enough");
        assert!(!at(74, 30));
        assert!(at(75, 31), "25 steady hours are");
        assert!(!at(3, 32), "a jump back");
    }
}
