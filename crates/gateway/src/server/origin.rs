//! Where a request comes from, and what its connection is told of an answer that streams.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::connection::Signs;

/// Where a request comes from.
#[derive(Clone, Copy)]
pub struct Origin<'c> {
    /// The socket's other end.
    pub peer: SocketAddr,
    /// Whether it came by TLS.
    pub is_tls: bool,
    signs: Option<&'c Arc<Signs>>,
}

/// From nobody's connection.
impl From<SocketAddr> for Origin<'_> {
    fn from(peer: SocketAddr) -> Self {
        Self { peer, is_tls: false, signs: None }
    }
}

impl<'c> Origin<'c> {
    pub(super) const fn new(peer: SocketAddr, is_tls: bool, signs: &'c Arc<Signs>) -> Self {
        Self { peer, is_tls, signs: Some(signs) }
    }

    /// Says that the answer streams: it may take as long as it likes, while some of it comes within
    /// `patience`, and its client is watched for going away.
    pub(crate) fn stream(&self, patience: Duration) -> Streaming {
        if let Some(signs) = self.signs {
            signs.streams.begin(patience);
        }
        Streaming(self.signs.map(Arc::clone))
    }
}

/// An answer that streams, while it does.
pub struct Streaming(Option<Arc<Signs>>);

impl Drop for Streaming {
    fn drop(&mut self) {
        if let Some(signs) = &self.0 {
            signs.streams.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The answers of a connection that stream.
#[derive(Default)]
pub(super) struct Streams {
    under_way: AtomicU32,
    patience_ms: AtomicU64,
}

impl Streams {
    fn begin(&self, patience: Duration) {
        let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.patience_ms.fetch_max(ms, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// For how long none of an answer may come.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms.load(Ordering::Relaxed))
    }
}
