//! What serving asks of a store beyond its contract: how it stands, what it counts, how it ends.

use std::{borrow::Cow, future::Future, sync::Arc};

use gateway_core::UserStore;
use store_embedded::{EmbeddedStore, Health};

use crate::store_metrics;

/// How a store stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It answers.
    Ready,
    /// It does not answer now, for this reason, and will again by itself.
    Away(Cow<'static, str>),
    /// It was stopped by a fault: this process must be started again.
    Fallen,
}

/// A store that can be served.
pub trait Backend: UserStore + Sized {
    /// How it stands now. Cheap: asked at every probe.
    fn standing(&self) -> Standing;

    /// Its figures in the Prometheus text format.
    fn figures(&self) -> String;

    /// Ends it, once no request is under way: it is what this function finds in its owner.
    fn close<O: Send + Sync + 'static>(
        owner: Arc<O>,
        of: impl Fn(&O) -> &Self + Send + Sync + 'static,
    ) -> impl Future<Output = ()> + Send;
}

impl Backend for EmbeddedStore {
    fn standing(&self) -> Standing {
        match self.health() {
            Health::Ready => Standing::Ready,
            Health::Poisoned => Standing::Fallen,
        }
    }

    fn figures(&self) -> String {
        store_metrics::embedded(self)
    }

    async fn close<O: Send + Sync + 'static>(
        owner: Arc<O>,
        of: impl Fn(&O) -> &Self + Send + Sync + 'static,
    ) {
        let closed = tokio::task::spawn_blocking(move || of(&owner).close());
        if let Err(error) = closed.await {
            tracing::error!(%error, "the store fell while it was closed");
        }
    }
}
