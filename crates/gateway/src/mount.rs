//! A mount at run time: its configuration, its clients' rate limiters, the unknown names it has seen.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use gateway_core::{Caller, Error, ErrorKind};
use governor::{
    DefaultDirectRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};

use crate::{
    config::{MountConfig, RateLimit},
    metrics::Counts,
    webhook::Webhook,
};

/// How many unknown names are counted by name, for one mount (decision 8).
const NAMED_UNKNOWNS: usize = 50;
/// How long such a name may be.
const UNKNOWN_MAX_BYTES: usize = 32;

/// A path prefix, bound to a dialect, an authenticator and a namespace.
pub struct Mount {
    /// As configured.
    pub config: MountConfig,
    limiters: HashMap<Arc<str>, Arc<DefaultDirectRateLimiter>>,
    unknown: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) counts: Counts,
}

impl AsRef<MountConfig> for Mount {
    fn as_ref(&self) -> &MountConfig {
        &self.config
    }
}

impl Mount {
    /// Makes a mount ready.
    #[must_use]
    pub fn new(config: MountConfig) -> Self {
        let limiters = config.rate_limit.map_or_else(HashMap::new, |limit| {
            let of = |name: &Arc<str>| limiter(limit).map(|limiter| (Arc::clone(name), limiter));
            config.clients.iter().filter_map(of).collect()
        });
        Self { config, limiters, unknown: Arc::default(), counts: Counts::default() }
    }

    /// The same mount by a newer configuration: what its clients have used of an unchanged limit
    /// counts on, and so do the unknown names it has seen; what other servers have told of unchanged
    /// issuers stays known, and an unchanged webhook keeps its connections.
    #[must_use]
    pub fn renewed(&self, mut config: MountConfig) -> Self {
        config.webhook = config.webhook.map(|webhook| webhook.continuing(self.webhook()));
        if let (Some(new), Some(known)) =
            (config.authenticator.outside(), self.config.authenticator.outside())
        {
            new.adopt(known);
        }
        let is_same = config.rate_limit == self.config.rate_limit;
        let mut renewed = Self { unknown: Arc::clone(&self.unknown), ..Self::new(config) };
        for (name, limiter) in &mut renewed.limiters {
            if let Some(kept) = self.limiters.get(name).filter(|_| is_same) {
                *limiter = Arc::clone(kept);
            }
        }
        renewed
    }

    /// What its updates are validated by.
    #[must_use]
    pub const fn webhook(&self) -> Option<&Webhook> {
        self.config.webhook.as_ref()
    }

    /// Counts a request against its client's rate (decision 21).
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`], with the whole seconds to wait.
    pub fn admit(&self, caller: &Caller) -> Result<(), Error> {
        let Some(limiter) = self.limiters.get(&caller.client) else { return Ok(()) };
        limiter.check().map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Error::new(ErrorKind::RateLimited).retry_after(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX))
        })
    }

    /// The label under which an unknown name is counted: itself, while it is plain and there are
    /// few, else `other`.
    #[must_use]
    pub fn unknown_label(&self, name: &str) -> String {
        let plain = (1..=UNKNOWN_MAX_BYTES).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let mut seen = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if plain && (seen.contains(name) || seen.len() < NAMED_UNKNOWNS) {
            seen.insert(name.to_owned());
            name.to_owned()
        } else {
            "other".to_owned()
        }
    }
}

fn limiter(limit: RateLimit) -> Option<Arc<DefaultDirectRateLimiter>> {
    let quota = Quota::with_period(limit.per / limit.requests.get())?;
    Some(Arc::new(DefaultDirectRateLimiter::direct(quota.allow_burst(limit.burst))))
}
