//! What of the configuration can change while requests are served: one value, swapped as a whole.

use std::sync::Arc;

use http::{header, request::Parts};

use crate::{
    config::{MountConfig, Server, routing::longest_prefix},
    forwarded::Proxies,
    mount::Mount,
    peers::FailedAuth,
    service::Limits,
};

/// The configuration that a request is served by.
pub struct Live {
    mounts: Vec<Mount>,
    /// What a request takes at most.
    pub limits: Limits,
    /// How many requests are under way at once.
    pub max_requests: usize,
    /// Whose word on the client's address is believed.
    pub proxies: Proxies,
    /// How often a peer may fail to prove who it is.
    pub failed_auth: Option<Arc<FailedAuth>>,
}

impl Live {
    /// Of a configuration's parts.
    #[must_use]
    pub fn new(mounts: Vec<MountConfig>, server: &Server) -> Self {
        Self {
            mounts: mounts.into_iter().map(Mount::new).collect(),
            limits: Limits { body: server.body_timeout, work: server.request_timeout },
            max_requests: server.max_requests,
            proxies: server.proxies.clone(),
            failed_auth: server.failed_auth_limit.map(|limit| Arc::new(FailedAuth::new(limit))),
        }
    }

    /// By a newer configuration: what clients and peers have used of unchanged limits counts on.
    #[must_use]
    pub fn renewed(&self, mounts: Vec<MountConfig>, server: &Server) -> Self {
        let mut renewed = Self::new(Vec::new(), server);
        let known = |name: &str| self.mounts.iter().find(|mount| *mount.config.name == *name);
        let renew = |config: MountConfig| match known(&config.name) {
            Some(mount) => mount.renewed(config),
            None => Mount::new(config),
        };
        renewed.mounts = mounts.into_iter().map(renew).collect();
        let kept = self.failed_auth.as_ref().filter(|kept| Some(kept.limit()) == server.failed_auth_limit);
        renewed.failed_auth = kept.map(Arc::clone).or(renewed.failed_auth);
        renewed
    }

    /// The mounts.
    #[must_use]
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount of a request, the prefix under which it came, and the path below that.
    pub(crate) fn route<'s, 'h>(&'s self, head: &'h Parts) -> Option<(&'s Mount, &'s str, &'h str)> {
        let host =
            head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| head.uri.host());
        let path = head.uri.path();
        let (mount, prefix) = longest_prefix(&self.mounts, host, path)?;
        Some((mount, prefix, &path[prefix.len()..]))
    }
}
