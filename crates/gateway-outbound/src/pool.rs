//! Connections that wait for their next request.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::connect::Connection;

/// How long one may wait: less than the five seconds after which many servers close it, since a
/// request that meets its closing is lost.
const IDLE: Duration = Duration::from_secs(4);

#[derive(Default)]
pub(crate) struct Pool {
    /// The one that was used last is the last.
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Pool {
    /// The connection that waited for the shortest time, if one is still good.
    pub(crate) fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        idle.retain(|(connection, since)| connection.sender.is_ready() && now - *since < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection, where it can take another request. There are never more than calls at once.
    pub(crate) fn put(&self, connection: Connection) {
        if connection.sender.is_ready() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
        }
    }
}
