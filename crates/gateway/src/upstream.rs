//! Another service as the store, with its ledger in one of ours.

use std::{borrow::Cow, sync::Arc};

use store_upstream::{Options, UpstreamStore};

use crate::{
    backend::{Backend, Standing},
    config::Upstream,
    store_metrics,
};

const AWAY: &str = "the upstream service cannot be reached";

/// Options as the configuration has them.
pub(crate) fn options(config: Upstream) -> Options {
    Options {
        terms: config.terms,
        authorization: config.authorization,
        timeout: config.timeout,
        form: config.form,
        honours_keys: config.honours_keys,
        vocabulary: config.vocabulary,
        cache_bytes: usize::try_from(config.cache_bytes).unwrap_or(usize::MAX),
    }
}

impl<L: Backend> Backend for UpstreamStore<L> {
    fn standing(&self) -> Standing {
        match self.ledger_store().standing() {
            Standing::Ready if !self.stats().reached => Standing::Away(Cow::Borrowed(AWAY)),
            Standing::Away(why) => Standing::Away(Cow::Owned(format!("the ledger: {why}"))),
            standing => standing,
        }
    }

    fn figures(&self) -> String {
        store_metrics::upstream(&self.stats(), self.form()) + &self.ledger_store().figures()
    }

    async fn close<O: Send + Sync + 'static>(
        owner: Arc<O>,
        of: impl Fn(&O) -> &Self + Send + Sync + 'static,
    ) {
        L::close(owner, move |owner| of(owner).ledger_store()).await;
    }
}
