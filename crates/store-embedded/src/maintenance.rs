//! Once a second: the high-water mark goes to disk, the next hour gets its ledger keyspace, and hours
//! that have expired are dropped, as far as the store has lived since.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use gateway_core::LedgerRecord;

use crate::{Shared, ledger, lock};

const TICK: Duration = Duration::from_secs(1);

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
    loop {
        tick(shared);
        if shared.stop.wait(TICK) {
            return;
        }
    }
}

/// One round.
pub(crate) fn tick(shared: &Shared) {
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
    purge(shared, &hours, ledger::first_kept(now).min(first_not_outlived(&hours)));
}

/// The first hour that must be kept whatever the clock says: a clock may be wrong, also across starts,
/// and must not purge what is live. A keyspace is made for each hour in which the store runs, so their
/// number tells how long it ran since.
fn first_not_outlived(hours: &[u32]) -> u32 {
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

    #[test]
    fn an_hour_is_outlived_by_a_day_of_later_ones() {
        assert_eq!(first_not_outlived(&[]), 0);
        let hours: Vec<_> = (100..126).collect();
        assert_eq!(first_not_outlived(&hours), 0, "25 later ones, two of them not over");
        let hours: Vec<_> = (100..128).collect();
        assert_eq!(first_not_outlived(&hours), 101, "only the first has 25 after it that are over");
    }
}
