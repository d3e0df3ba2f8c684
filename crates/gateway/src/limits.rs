//! How often the clients of a mount may come (decision 21): counted here, or with other gateways.

use std::{collections::HashMap, sync::Arc, time::Instant};

use gateway_core::{Error, ErrorKind};
use gateway_limits::{Bucket, Rate, Shared, Standing};
use http::{HeaderName, HeaderValue};
use prometheus::{IntCounterVec, Opts};
use sha2::{Digest, Sha256};

use crate::{
    config::{MountConfig, RateLimit, SharedLimits},
    metrics::Metrics,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The clients of a mount, each with its requests.
pub(crate) struct Limits {
    limit: RateLimit,
    rate: Rate,
    clients: HashMap<Arc<str>, Arc<Client>>,
}

struct Client {
    bucket: Bucket,
    /// Where other gateways find it.
    key: String,
}

impl Limits {
    /// Of a mount that has a limit.
    pub(crate) fn of(mount: &MountConfig) -> Option<Self> {
        let limit = mount.rate_limit?;
        let now = Instant::now();
        let client = |name: &Arc<str>| {
            let key = key(&mount.name, name, limit);
            (Arc::clone(name), Arc::new(Client { bucket: Bucket::new(now), key }))
        };
        let rate = Rate { interval: limit.per / limit.requests.get(), burst: limit.burst.get() };
        Some(Self { limit, rate, clients: mount.clients.iter().map(client).collect() })
    }

    /// The same after a reload: what clients have used of an unchanged limit counts on.
    pub(crate) fn continuing(mut self, known: Option<&Self>) -> Self {
        for (name, client) in &mut self.clients {
            let known = known.filter(|known| known.limit == self.limit);
            if let Some(kept) = known.and_then(|known| known.clients.get(name)) {
                *client = Arc::clone(kept);
            }
        }
        self
    }

    /// Counts a request of a client; `None` for whom nothing is counted.
    pub(crate) async fn count(&self, client: &str, shared: Option<&SharedCount>) -> Option<Standing> {
        let client = self.clients.get(client)?;
        let here = || client.bucket.take(self.rate, Instant::now());
        let Some(shared) = shared else { return Some(here()) };
        let Some(standing) = shared.take(&client.key, self.rate).await else { return Some(here()) };
        // Counted here, too, so that nobody has a fresh start when the others are lost.
        if !standing.is_over {
            here();
        }
        Some(standing)
    }

    /// What clients are told (draft-ietf-httpapi-ratelimit-headers-11): how many in which time, and how many are
    /// left until there is one more.
    pub(crate) fn headers(&self, standing: Standing) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let window = whole_seconds(self.rate.window());
        let policy = format!("\"default\";q={};w={window}", self.rate.burst);
        let limit = format!("\"default\";r={};t={}", standing.remaining, whole_seconds(standing.next));
        let header = |(name, text)| Some((name, HeaderValue::try_from(text).ok()?));
        [(POLICY, policy), (LIMIT, limit)].into_iter().filter_map(header)
    }
}

/// # Errors
/// [`ErrorKind::RateLimited`], with the whole seconds to wait.
pub(crate) fn check(standing: Standing) -> Result<(), Error> {
    let late = || Error::new(ErrorKind::RateLimited).retry_after(whole_seconds(standing.next));
    if standing.is_over { Err(late()) } else { Ok(()) }
}

/// Rounded up, at least one.
fn whole_seconds(time: std::time::Duration) -> u32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}

/// The same in every gateway with this limit of this client, and no name that could be read.
fn key(mount: &str, client: &str, limit: RateLimit) -> String {
    let mut hash = Sha256::new();
    for part in [mount, client] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    for part in [u64::from(limit.requests.get()), limit.per.as_secs(), u64::from(limit.burst.get())] {
        hash.update(part.to_be_bytes());
    }
    format!("interlingua:limit:{}", faster_hex::hex_string(&hash.finalize()[..16]))
}

/// What gateways count together, and how much of it they could.
pub(crate) struct SharedCount {
    shared: Shared,
    counted: IntCounterVec,
}

impl SharedCount {
    /// By the configuration; its server is kept within reach as long as the runtime runs.
    ///
    /// # Errors
    /// Where a metric's name is taken.
    pub(crate) fn start(terms: &SharedLimits, metrics: &Metrics) -> Result<Arc<Self>, prometheus::Error> {
        let counted = Opts::new(
            "interlingua_limits_counted_total",
            "Requests counted against a shared limit: with the other gateways, or by this one alone.",
        );
        let counted = IntCounterVec::new(counted, &["by"])?;
        for by in ["all", "one"] {
            counted.with_label_values(&[by]).reset();
        }
        metrics.register(Box::new(counted.clone()))?;
        let count = Arc::new(Self { shared: Shared::new(terms.server.clone(), terms.timeout), counted });
        let kept = Arc::clone(&count);
        tokio::spawn(async move { kept.shared.keep().await });
        Ok(count)
    }

    async fn take(&self, key: &str, rate: Rate) -> Option<Standing> {
        let standing = self.shared.take(key, rate).await;
        self.counted.with_label_values(&[if standing.is_some() { "all" } else { "one" }]).inc();
        standing
    }

    /// Whether limits are shared now, in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        const NAME: &str = "interlingua_limits_shared";
        let is_up = u8::from(self.shared.is_up());
        format!(
            "# HELP {NAME} 1 while limits are shared, 0 while their server is out of reach.\n# TYPE {NAME} gauge\n{NAME} {is_up}\n"
        )
    }
}
