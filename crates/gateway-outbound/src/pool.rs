//! Connections that wait for their next request.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How long one may wait: less than the five seconds after which many servers close it, since a
/// request that meets its closing is lost.
const IDLE: Duration = Duration::from_secs(4);

/// A connection that may wait.
pub(crate) trait Waiting {
    /// Whether it can take a request now.
    fn is_ready(&mut self) -> bool;
}

pub(crate) struct Pool<C> {
    /// The one that was used last is the last.
    idle: Mutex<VecDeque<(C, Instant)>>,
    /// Somebody looks after them.
    is_swept: AtomicBool,
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self { idle: Mutex::default(), is_swept: AtomicBool::new(false) }
    }
}

impl<C: Waiting + Send + 'static> Pool<C> {
    /// The connection that waited for the shortest time, if one is still good.
    pub(crate) fn take(&self) -> Option<C> {
        loop {
            let (mut connection, since) = self.idle().pop_back()?;
            if since.elapsed() < IDLE && connection.is_ready() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, where it can take another request. There are never more than calls at once.
    pub(crate) fn put(self: &Arc<Self>, mut connection: C) {
        if connection.is_ready() {
            let mut idle = self.idle();
            Self::forget_old(&mut idle);
            idle.push_back((connection, Instant::now()));
        }
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn forget_old(idle: &mut VecDeque<(C, Instant)>) {
        let old = idle.iter().take_while(|(_, since)| since.elapsed() >= IDLE).count();
        drop(idle.drain(..old));
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<(C, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what waits for too long, until nothing does.
async fn sweep<C: Waiting + Send + 'static>(pool: Weak<Pool<C>>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        Pool::<C>::forget_old(&mut idle);
        if idle.is_empty() {
            pool.is_swept.store(false, Ordering::Relaxed);
            return;
        }
    }
}
