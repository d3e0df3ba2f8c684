//! Commits waiting to be sent, and which of them may go together.

use std::{
    collections::{HashSet, VecDeque},
    sync::Mutex,
    time::{Duration, Instant},
};

use gateway_core::{Commit, Committed, StoreError};
use tokio::sync::{Notify, oneshot};

use crate::{error::AWAY, lock, pack::Pack};

const CAPACITY: usize = 4096;
/// A statement takes no more commits once it has so many bytes.
const BYTES: usize = 4 << 20;

/// Why a commit was shed.
pub(crate) const BUSY: &str = "busy";

/// The answer to a commit.
pub(crate) type Answer = Result<Committed, StoreError>;

/// A commit on its way.
pub(crate) struct Job {
    pub(crate) commit: Commit,
    pub(crate) pack: Pack,
    pub(crate) answer: oneshot::Sender<Answer>,
    pub(crate) since: Instant,
    /// Set once it was sent and its answer lost: until when its end is looked for.
    pub(crate) doubtful_until: Option<Instant>,
    /// How often it collided.
    pub(crate) collisions: u32,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// What the commits on their way have claimed.
    claimed: HashSet<u64>,
    closed: bool,
}

/// The queue before the connections.
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
    largest: usize,
}

impl Queue {
    /// Whose statements take at most so many commits.
    pub(crate) fn new(largest: usize) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), largest }
    }

    /// Accepts a commit; an error means that it was not and never will be sent.
    pub(crate) fn push(&self, commit: Commit, pack: Pack) -> Result<oneshot::Receiver<Answer>, StoreError> {
        let (answer, receiver) = oneshot::channel();
        let job = Job { commit, pack, answer, since: Instant::now(), doubtful_until: None, collisions: 0 };
        let mut state = lock(&self.state);
        if state.closed {
            return Err(StoreError::Unavailable("stopping"));
        }
        if state.waiting.len() >= CAPACITY {
            return Err(StoreError::Unavailable(BUSY));
        }
        state.waiting.push_back(job);
        drop(state);
        self.arrived.notify_one();
        Ok(receiver)
    }

    /// Waits for commits that may go now, and claims what they touch; `None` once closed and drained.
    /// Nothing is lost when the caller stops waiting.
    pub(crate) async fn take(&self) -> Option<Vec<Job>> {
        loop {
            let arrived = self.arrived.notified();
            {
                let mut state = lock(&self.state);
                let jobs = state.pick(self.largest);
                let left = !state.waiting.is_empty();
                if !jobs.is_empty() {
                    if left {
                        self.arrived.notify_one();
                    }
                    return Some(jobs);
                }
                if state.closed && !left {
                    self.arrived.notify_one();
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Gives back what commits had claimed.
    pub(crate) fn release(&self, claims: &[u64]) {
        let mut state = lock(&self.state);
        for claim in claims {
            state.claimed.remove(claim);
        }
        let left = !state.waiting.is_empty() || state.closed;
        drop(state);
        if left {
            self.arrived.notify_one();
        }
    }

    /// Refuses what has waited for a connection for too long.
    pub(crate) fn expire(&self, wait: Duration) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        while state.waiting.front().is_some_and(|job| now - job.since > wait) {
            if let Some(job) = state.waiting.pop_front() {
                job.answer.send(Err(StoreError::Unavailable(AWAY))).ok();
            }
        }
    }

    /// Accepts no more; what is queued is still sent.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.arrived.notify_one();
    }

    /// Whether no commit waits, and none will.
    pub(crate) fn has_ended(&self) -> bool {
        let state = lock(&self.state);
        state.closed && state.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.state).waiting.len()
    }
}

impl State {
    /// The first commits that share nothing with each other, with those on their way, or with one that
    /// waits before them; in the order of their users, in which their rows are locked: so that the statements
    /// of two gateways wait for each other, but never both.
    fn pick(&mut self, largest: usize) -> Vec<Job> {
        let (mut picked, mut passed, mut blocked) = (Vec::new(), Vec::new(), HashSet::<u64>::new());
        let mut bytes = 0;
        while picked.len() < largest
            && bytes < BYTES
            && let Some(job) = self.waiting.pop_front()
        {
            let claims = &job.pack.claims;
            if claims.iter().any(|claim| self.claimed.contains(claim) || blocked.contains(claim)) {
                blocked.extend(claims);
                passed.push(job);
            } else {
                self.claimed.extend(claims);
                bytes += job.pack.bytes();
                picked.push(job);
            }
        }
        for job in passed.into_iter().rev() {
            self.waiting.push_front(job);
        }
        picked.sort_by_key(|job| job.pack.user.as_ref().map(|user| user.id));
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Guard, LedgerKey, LedgerRecord, Timestamp};

    /// A commit with guards under these keys.
    fn push(queue: &Queue, keys: &[u8]) -> oneshot::Receiver<Answer> {
        let now = Timestamp::UNIX_EPOCH;
        let record = LedgerRecord { fingerprint: [0; 32], at: now, user: None, answer: None };
        let guards = keys.iter().map(|key| Guard { key: LedgerKey([*key; 16]), record: record.clone() });
        let commit = Commit { write: None, guards: guards.collect(), now };
        let pack = Pack::of(&commit).unwrap();
        queue.push(commit, pack).unwrap()
    }

    fn keys(jobs: &[Job]) -> Vec<u8> {
        jobs.iter().map(|job| job.commit.guards[0].key.0[0]).collect()
    }

    fn claims(jobs: &[Job]) -> Vec<u64> {
        jobs.iter().flat_map(|job| job.pack.claims.clone()).collect()
    }

    #[tokio::test]
    async fn commits_that_share_something_never_go_together() {
        let queue = Queue::new(9);
        let _answers = [&[1][..], &[2], &[1, 3], &[3], &[4]].map(|keys| push(&queue, keys));
        let first = queue.take().await.unwrap();
        // The last commit on 3 waits for the one before it, which waits for the first on 1.
        assert_eq!(keys(&first), [1, 2, 4]);
        queue.release(&claims(&first));
        let second = queue.take().await.unwrap();
        assert_eq!(keys(&second), [1]);
        queue.release(&claims(&second));
        assert_eq!(keys(&queue.take().await.unwrap()), [3]);
    }

    #[tokio::test]
    async fn a_statement_takes_no_more_than_it_may() {
        let queue = Queue::new(2);
        let _answers = [1, 2, 3].map(|key| push(&queue, &[key]));
        assert_eq!(keys(&queue.take().await.unwrap()), [1, 2]);
        queue.close();
        assert_eq!(keys(&queue.take().await.unwrap()), [3]);
        assert!(queue.take().await.is_none());
        assert!(
            queue.push(Commit { write: None, guards: vec![], now: Timestamp::UNIX_EPOCH }, empty()).is_err()
        );
    }

    fn empty() -> Pack {
        Pack::of(&Commit { write: None, guards: vec![], now: Timestamp::UNIX_EPOCH }).unwrap()
    }

    #[tokio::test]
    async fn what_waited_too_long_is_refused_and_was_never_sent() {
        let queue = Queue::new(2);
        let answer = push(&queue, &[1]);
        queue.expire(Duration::from_secs(3600));
        assert_eq!(queue.len(), 1);
        std::thread::sleep(Duration::from_millis(2));
        queue.expire(Duration::ZERO);
        assert_eq!(queue.len(), 0);
        assert!(matches!(answer.await, Ok(Err(StoreError::Unavailable(_)))));
    }
}
