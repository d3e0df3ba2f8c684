//! The few threads that read single records for those who await them.
//!
//! To hand a read to another thread and back costs more than the read itself, most of it in waking
//! threads. So a thread is woken only where reads wait and all that are awake are in a read (which may hang
//! on a disk), and a reader keeps its answers until it has nothing more to read, or for a moment.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gateway_core::StoreError;
use tokio::sync::oneshot;

use crate::{Shared, lock};

/// The threads: as many reads wait for a disk at a time.
pub(crate) const THREADS: usize = 4;
/// The most answers that a reader keeps, ...
const KEPT: usize = 16;
/// ... and for how long: with a slow disk nobody waits for the reads of others.
const KEPT_FOR: Duration = Duration::from_micros(200);

type Result<T> = std::result::Result<T, StoreError>;
/// Reads, and leaves the answer to be sent.
type Job = Box<dyn FnOnce(&Shared) -> Option<Answer> + Send>;
/// Sends what was read.
type Answer = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Waiting {
    /// As many as callers at most: each waits for its own.
    jobs: VecDeque<Job>,
    /// Threads in a read.
    reading: usize,
    /// Threads that sleep and were not woken. All others look for a read before they do.
    asleep: usize,
    /// Threads that were woken and do not know it yet.
    woken: usize,
    closed: bool,
}

/// The reads that wait.
#[derive(Default)]
pub(crate) struct Readers {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

impl Readers {
    /// Has one of the threads read; it is not read for a caller who went away.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, receiver) = oneshot::channel();
        let job = move |shared: &Shared| {
            if answer.is_closed() {
                return None;
            }
            let found = read(shared);
            Some(Box::new(move || drop(answer.send(found))) as Answer)
        };
        self.push(Box::new(job));
        // No answer at all: the read fell.
        receiver.await.unwrap_or_else(|_gone| Err(StoreError::Engine("a read fell".into())))
    }

    fn push(&self, job: Job) {
        let mut waiting = lock(&self.waiting);
        waiting.jobs.push_back(job);
        self.share(waiting);
    }

    /// Wakes a thread if nobody who is awake would come for the reads that wait.
    fn share(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let wakes =
            !waiting.jobs.is_empty() && waiting.asleep > 0 && waiting.asleep + waiting.reading == THREADS;
        if wakes {
            waiting.asleep -= 1;
            waiting.woken += 1;
        }
        drop(waiting);
        if wakes {
            self.arrived.notify_one();
        }
    }

    /// Takes the next read, if one waits.
    fn take(&self, mut waiting: MutexGuard<'_, Waiting>) -> Option<Job> {
        let job = waiting.jobs.pop_front()?;
        waiting.reading += 1;
        self.share(waiting);
        Some(job)
    }

    /// After a read: the next one, if it is wanted and one waits.
    fn next(&self, wanted: bool) -> Option<Job> {
        let mut waiting = lock(&self.waiting);
        waiting.reading -= 1;
        if wanted { self.take(waiting) } else { None }
    }

    /// Waits for a read; none once closed and drained.
    fn wait(&self) -> Option<Job> {
        let mut waiting = lock(&self.waiting);
        while waiting.jobs.is_empty() && !waiting.closed {
            waiting.asleep += 1;
            while waiting.woken == 0 {
                waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.woken -= 1;
        }
        self.take(waiting)
    }

    /// Ends the threads, once what waits is read.
    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.closed = true;
        waiting.woken += mem::take(&mut waiting.asleep);
        drop(waiting);
        self.arrived.notify_all();
    }
}

/// Runs until closed and drained.
pub(crate) fn run(shared: &Shared) {
    let readers = &shared.readers;
    let mut kept: Vec<Answer> = Vec::with_capacity(KEPT);
    while let Some(first) = readers.wait() {
        let since = Instant::now();
        let mut job = Some(first);
        while let Some(read) = job {
            // A read that falls drops its sender, which tells whoever waits. It leaves nothing half done:
            // the cache is put into in one step, and only what was read whole.
            kept.extend(catch_unwind(AssertUnwindSafe(|| read(shared))).ok().flatten());
            job = readers.next(kept.len() < KEPT && since.elapsed() < KEPT_FOR);
        }
        kept.drain(..).for_each(|answer| answer());
    }
}
