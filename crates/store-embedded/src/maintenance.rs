//! Once a second: the high-water mark goes to disk, the next hour gets its ledger keyspace, and hours
//! that have expired are dropped, as far as the clock can be believed.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gateway_core::{LedgerRecord, Timestamp};

use crate::{Shared, ledger, lock};

const TICK: Duration = Duration::from_secs(1);
const JUMP: time::Duration = time::Duration::hours(1);

/// Whether the wall clock runs along with the monotonic one, and goes on from where the store stopped.
///
/// A clock that jumped is believed again once it has run steadily for as long as records are kept: a
/// wrong clock must not purge what is live, and a right one must be believed some day.
#[derive(Default)]
pub(crate) struct Pace {
    anchor: Option<(Timestamp, Instant)>,
    doubted: bool,
    /// The hour in which the store ran before.
    ran: Option<Timestamp>,
}

impl Pace {
    /// A clock that must go on from the last hour in which the store ran, which it made keyspaces for.
    pub(crate) fn of(hours: &[u32]) -> Self {
        // The newest is the hour ahead of that one.
        let ran = hours.last().and_then(|newest| ledger::start(newest.checked_sub(1)?));
        Self { ran, ..Self::default() }
    }

    /// True when what has expired by this clock may be purged.
    pub(crate) fn believes(&mut self, wall: Timestamp, mono: Instant) -> bool {
        let Some((wall_then, mono_then)) = self.anchor else {
            self.anchor = Some((wall, mono));
            // A long rest looks just like a wrong clock.
            let rested = self.ran.map_or(time::Duration::ZERO, |ran| (wall - ran).abs());
            self.doubted = rested > JUMP + time::Duration::HOUR;
            if self.doubted {
                tracing::warn!(
                    "the store did not run for hours, or the clock is wrong: of the ledger only what a day of \
                     later hours stands behind is purged until it has run for a day"
                );
            }
            return !self.doubted;
        };
        let ran = time::Duration::try_from(mono.saturating_duration_since(mono_then))
            .unwrap_or(time::Duration::MAX);
        if ((wall - wall_then).saturating_sub(ran)).abs() > JUMP {
            tracing::warn!(
                "the clock jumped by more than an hour: of the ledger only what a day of later hours stands \
                 behind is purged until it has run steadily for a day"
            );
            *self = Self { anchor: Some((wall, mono)), doubted: true, ran: None };
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
    let mut pace = Pace::of(&shared.engine.hours());
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
    let hours = shared.engine.hours();
    let first_kept = ledger::first_kept(now);
    purge(shared, &hours, if pace.believes(now, mono) { first_kept } else { first_kept.min(lived(&hours)) });
}

/// The first hour that must be kept whatever the clock says. A keyspace is made for each hour in which
/// the store runs, so that the number of later ones tells how long it ran since.
fn lived(hours: &[u32]) -> u32 {
    let kept = usize::try_from(LedgerRecord::PURGE_AFTER.whole_hours()).unwrap_or(usize::MAX);
    // Besides them, the hour at hand and the one made ahead.
    hours.iter().rev().nth(kept.saturating_add(1)).copied().unwrap_or(0)
}

fn purge(shared: &Shared, hours: &[u32], first_kept: u32) {
    let expired: Vec<_> = hours.iter().copied().filter(|hour| *hour < first_kept).collect();
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

    #[test]
    fn a_clock_that_does_not_go_on_from_the_last_hour_is_not_believed_for_a_day() {
        let (ran, mono) = (utc_datetime!(2026-01-01 10:00), Instant::now());
        let hours = [ledger::hour(ran) - 5, ledger::hour(ran), ledger::hour(ran) + 1];
        for (minutes, believed) in
            [(0, true), (119, true), (121, false), (60 * 24 * 365, false), (-180, false)]
        {
            let mut pace = Pace::of(&hours);
            let wall = ran + time::Duration::minutes(minutes);
            assert_eq!(pace.believes(wall, mono), believed, "{minutes}");
            let later = (wall + time::Duration::hours(25), mono + Duration::from_secs(25 * 3600));
            assert!(pace.believes(later.0, later.1), "{minutes}");
        }
        assert!(Pace::of(&[]).believes(ran, mono), "a new store");
    }

    #[test]
    fn an_hour_with_a_day_of_later_ones_may_go_under_any_clock() {
        assert_eq!(lived(&[]), 0);
        let hours: Vec<_> = (100..126).collect();
        assert_eq!(lived(&hours), 0, "25 later ones, two of them not over");
        let hours: Vec<_> = (100..128).collect();
        assert_eq!(lived(&hours), 101, "only the first has 25 after it that are over");
    }
}
