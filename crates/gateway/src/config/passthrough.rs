//! The keys `passthrough` and `passthrough_*` of a mount.

use std::sync::Arc;

use gateway_dialect::Options;
use gateway_outbound::{Endpoint, Passage, Relay};

use super::{
    secrets::Secrets,
    tables::{timeout, trust},
};

const CA: &str = "passthrough_ca";
const CONNECT: &str = "passthrough_connect_timeout_ms";
const HEAD: &str = "passthrough_head_timeout_ms";
const IDLE: &str = "passthrough_idle_timeout_ms";

/// What the keys say; `None` where they are absent or wrong.
pub(super) fn read(mount: &mut Options<'_>, secrets: &Secrets) -> Option<Arc<Relay>> {
    let url = mount.text("passthrough");
    if !mount.has("passthrough") {
        for key in [CA, CONNECT, HEAD, IDLE].into_iter().filter(|key| mount.has(key)) {
            mount.problem(key, format!("`{key}` says nothing without `passthrough`"));
        }
    }
    let endpoint = url.and_then(|url| endpoint(mount, &url));
    let trust = trust(mount, CA, secrets);
    let (connect, head) = (timeout(mount, CONNECT, 5_000), timeout(mount, HEAD, 60_000));
    let idle = timeout(mount, IDLE, 60_000);
    let (endpoint, trust) = endpoint.zip(trust)?;
    if mount.has(CA) && !endpoint.is_tls() {
        mount.problem(CA, format!("`{CA}` is for a `passthrough` of https alone"));
        return None;
    }
    let wrong = |_| mount.problem(CA, format!("the certificates of `{CA}` cannot be used"));
    Relay::new(Passage { endpoint, trust, connect, head, idle }).map_err(wrong).ok().map(Arc::new)
}

/// A server of one's own, which may be anywhere.
fn endpoint(mount: &Options<'_>, url: &str) -> Option<Endpoint> {
    let wrong = |why: &str| mount.problem("passthrough", format!("`passthrough` {why}"));
    match Endpoint::parse(url, true) {
        Ok(endpoint) if endpoint.has_query() => {
            wrong("must not have a query: that of each request is passed on");
            None
        }
        Ok(endpoint) => Some(endpoint),
        Err(why) => {
            wrong(&why.to_string());
            None
        }
    }
}
