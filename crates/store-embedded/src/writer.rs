//! The one thread that commits: it takes what has queued up, checks it, and writes it as one batch
//! with one sync.

use std::{mem, sync::atomic::Ordering, thread};

use gateway_core::{Committed, StoreError};
use tokio::sync::oneshot::Sender;

use crate::{
    STOPPED, Shared,
    queue::{Answer, Job},
    stage::Stage,
};

/// Runs until the queue is closed and drained.
pub(crate) fn run(shared: &Shared) {
    let _fall = Fall(shared);
    let mut seq = shared.mark.acked();
    let mut jobs = Vec::new();
    while shared.queue.take(&mut jobs) {
        seq = serve(shared, mem::take(&mut jobs), seq);
    }
}

/// Should this thread fall, nobody may wait for it: begun commits read as unknown, queued ones as
/// refused.
struct Fall<'a>(&'a Shared);

impl Drop for Fall<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.poison("the writer fell", &"panic");
            self.0.queue.abandon();
        }
    }
}

/// Serves a batch; returns the number of the last batch written.
fn serve(shared: &Shared, jobs: Vec<Job>, seq: u64) -> u64 {
    shared.counters.batch(jobs.len());
    if shared.is_poisoned() {
        refuse_all(jobs.into_iter().map(|job| job.answer), STOPPED);
        return seq;
    }
    let mut stage = Stage::new(shared);
    let mut verdicts = Vec::with_capacity(jobs.len());
    for job in jobs {
        verdicts.push((job.answer, stage.add(job.commit)));
    }
    let (rows, staged) = match stage.finish(seq + 1) {
        Ok(finished) => finished,
        Err(error) => {
            // Nothing was begun, so nothing is unknown.
            tracing::error!(%error, "a batch could not be made");
            refuse_all(verdicts.into_iter().map(|(answer, _)| answer), "the batch could not be made");
            return seq;
        }
    };
    if rows.is_empty() {
        answer(shared, verdicts);
        return seq;
    }
    #[cfg(feature = "sabotage-ack-before-write")]
    let (staged, verdicts) = {
        staged.publish(shared);
        answer(shared, verdicts);
        (crate::stage::Staged::default(), Vec::new())
    };
    match shared.engine.apply(rows) {
        Ok(()) => {
            shared.counters.synced_batches.fetch_add(1, Ordering::Relaxed);
            staged.publish(shared);
            answer(shared, verdicts);
            #[cfg(feature = "sabotage-ack-before-sync")]
            shared.engine.sync_late().unwrap_or_else(|error| shared.poison("a late sync failed", &error));
            if let Err(error) = shared.mark.note(seq + 1) {
                shared.poison("the high-water mark cannot be written", &error);
            }
            seq + 1
        }
        Err(error) => {
            shared.poison("a batch failed", &error);
            leave_unknown(shared, verdicts);
            seq
        }
    }
}

fn answer(shared: &Shared, verdicts: Vec<(Sender<Answer>, Answer)>) {
    for (waiter, verdict) in verdicts {
        let figure = match &verdict {
            Ok(Committed::Done) => Some(&shared.counters.commits),
            Ok(Committed::Stale | Committed::Taken(_) | Committed::KeyTaken(_)) => {
                Some(&shared.counters.rejected)
            }
            Ok(Committed::Unknown) => Some(&shared.counters.unknown),
            Err(_) => None,
        };
        if let Some(figure) = figure {
            figure.fetch_add(1, Ordering::Relaxed);
        }
        // A waiter that went away is no fault: its commit stands.
        waiter.send(verdict).ok();
    }
}

/// After a failed batch: its commits may or may not be there when the store is opened again. A
/// rejection may rest on one of them, so it is not given; nothing of it was written.
fn leave_unknown(shared: &Shared, verdicts: Vec<(Sender<Answer>, Answer)>) {
    let verdicts = verdicts.into_iter().map(|(waiter, verdict)| match verdict {
        Ok(Committed::Done) => (waiter, Ok(Committed::Unknown)),
        Ok(_) => (waiter, Err(StoreError::Unavailable(STOPPED))),
        Err(error) => (waiter, Err(error)),
    });
    answer(shared, verdicts.collect());
}

fn refuse_all(waiters: impl Iterator<Item = Sender<Answer>>, why: &'static str) {
    for waiter in waiters {
        waiter.send(Err(StoreError::Unavailable(why))).ok();
    }
}
