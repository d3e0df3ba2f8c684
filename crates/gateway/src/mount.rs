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
};

/// How many unknown names are counted by name, for one mount (decision 8).
const NAMED_UNKNOWNS: usize = 50;
/// How long such a name may be.
const UNKNOWN_MAX_BYTES: usize = 32;

/// A path prefix, bound to a dialect, an authenticator and a namespace.
pub struct Mount {
    /// As configured.
    pub config: MountConfig,
    limiters: HashMap<Arc<str>, DefaultDirectRateLimiter>,
    unknown: Mutex<BTreeSet<String>>,
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
        let limiter = |limit: RateLimit| {
            let period = limit.per / limit.requests.get();
            Quota::with_period(period)
                .map(|quota| DefaultDirectRateLimiter::direct(quota.allow_burst(limit.burst)))
        };
        let limiters = config.rate_limit.map_or_else(HashMap::new, |limit| {
            config
                .clients
                .iter()
                .filter_map(|name| limiter(limit).map(|limiter| (Arc::clone(name), limiter)))
                .collect()
        });
        Self { config, limiters, unknown: Mutex::default(), counts: Counts::default() }
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
