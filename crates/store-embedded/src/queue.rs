//! The bounded queue before the writer: what cannot be served soon is refused before it is accepted.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gateway_core::{Commit, Committed, StoreError};
use tokio::sync::oneshot;

use crate::lock;

/// The most commits that share one sync.
pub(crate) const BATCH: usize = 512;
const CAPACITY: usize = 4096;
/// The engine pauses for up to 230 ms when it rotates its journal: that alone is no overload.
const PATIENCE: Duration = Duration::from_millis(250);

/// From so many commits at once on, the writer waits for those that are about to come back ...
const GATHER_FROM: usize = 16;
/// ... for so long at most: a sync costs the same, whatever it holds.
const GATHER_FOR: Duration = Duration::from_micros(300);

/// Why a commit was shed.
pub(crate) const BUSY: &str = "busy";

/// The answer to a commit.
pub(crate) type Answer = Result<Committed, StoreError>;

/// A commit that waits for the writer.
pub(crate) struct Job {
    pub(crate) commit: Commit,
    pub(crate) answer: oneshot::Sender<Answer>,
    since: Instant,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
    /// The writer sleeps until there are so many jobs; 0 while it does not sleep.
    wanted: usize,
    /// How many it took last.
    taken: usize,
    #[cfg(test)]
    held: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Queue {
    /// Accepts a commit; an error means that it was not and never will be begun.
    pub(crate) fn push(&self, commit: Commit) -> Result<oneshot::Receiver<Answer>, StoreError> {
        let (answer, receiver) = oneshot::channel();
        let now = Instant::now();
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return Err(StoreError::Unavailable("stopping"));
        }
        if sheds(waiting.jobs.len(), waiting.jobs.front().map(|oldest| now - oldest.since)) {
            return Err(StoreError::Unavailable(BUSY));
        }
        waiting.jobs.push_back(Job { commit, answer, since: now });
        // To wake a thread is a syscall, even one that is awake.
        let wakes = waiting.jobs.len() == waiting.wanted;
        drop(waiting);
        if wakes {
            self.arrived.notify_one();
        }
        Ok(receiver)
    }

    /// Waits for commits and moves up to [`BATCH`] of them out; false once closed and drained.
    pub(crate) fn take(&self, jobs: &mut Vec<Job>) -> bool {
        let mut waiting = lock(&self.waiting);
        while waiting.idle() {
            waiting.wanted = 1;
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let expected = waiting.jobs.len() + waiting.taken;
        if (GATHER_FROM..=BATCH).contains(&expected) {
            waiting.wanted = expected;
            let gathers = |waiting: &mut Waiting| waiting.jobs.len() < expected && !waiting.closed;
            let gathered = self.arrived.wait_timeout_while(waiting, GATHER_FOR, gathers);
            waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.wanted = 0;
        let count = waiting.jobs.len().min(BATCH);
        waiting.taken = count;
        jobs.extend(waiting.jobs.drain(..count));
        count > 0
    }

    /// Accepts no more; what is queued is still served.
    pub(crate) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.arrived.notify_all();
    }

    /// Closes, and answers what is queued: nothing of it was begun.
    pub(crate) fn abandon(&self) {
        self.close();
        for job in lock(&self.waiting).jobs.drain(..) {
            job.answer.send(Err(StoreError::Unavailable(crate::STOPPED))).ok();
        }
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.waiting).jobs.len()
    }

    /// Keeps the writer waiting, so that a test can say what one batch holds.
    #[cfg(test)]
    pub(crate) fn hold(&self, held: bool) {
        lock(&self.waiting).held = held;
        self.arrived.notify_all();
    }
}

impl Waiting {
    fn idle(&self) -> bool {
        #[cfg(test)]
        if self.held {
            return !self.closed;
        }
        self.jobs.is_empty() && !self.closed
    }
}

/// True when a queue of this length with an oldest waiter of this age takes no more.
fn sheds(length: usize, oldest: Option<Duration>) -> bool {
    length >= CAPACITY || (length >= BATCH && oldest.is_some_and(|age| age > PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_sheds_and_a_long_one_when_it_does_not_move() {
        let old = Some(PATIENCE + Duration::from_millis(1));
        assert!(sheds(CAPACITY, None));
        assert!(sheds(BATCH, old));
        assert!(!sheds(BATCH, Some(PATIENCE)));
        assert!(!sheds(BATCH - 1, old));
        assert!(!sheds(0, None));
    }
}
