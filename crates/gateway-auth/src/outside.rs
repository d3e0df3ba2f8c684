//! What an authenticator asks other servers, for whoever keeps it going and counts it.

use std::sync::Arc;

use gateway_core::Timestamp;

use crate::{introspection::Introspector, keys::FetchedKeys};

/// The other servers of an authenticator.
#[derive(Default)]
pub struct Outside {
    /// Key sets at URLs.
    pub keys: Vec<Arc<FetchedKeys>>,
    /// Who is asked about tokens that nobody else knows.
    pub introspector: Option<Arc<Introspector>>,
}

impl Outside {
    /// Begins the fetches that are due.
    pub fn tend(&self, now: Timestamp) {
        self.keys.iter().for_each(|keys| keys.tend(now));
    }

    /// True where every key set is there.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.keys.iter().all(|keys| keys.age(now).is_some())
    }

    /// Goes on with what another has learnt of the same servers. To be called before anything is asked.
    pub fn adopt(&self, other: &Self) {
        for keys in &self.keys {
            other.keys.iter().for_each(|other| keys.adopt(other));
        }
        if let (Some(ours), Some(theirs)) = (&self.introspector, &other.introspector) {
            ours.adopt(theirs);
        }
    }

    /// True where a server is asked without TLS.
    #[must_use]
    pub fn has_plain(&self) -> bool {
        let keys = self.keys.iter().map(|keys| keys.endpoint());
        let all = keys.chain(self.introspector.iter().map(|one| one.endpoint()));
        all.into_iter().any(|endpoint| !endpoint.is_tls())
    }
}
