//! A mount at run time: its configuration, its clients' rate limits, the unknown names it has seen.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use gateway_dialect::{Resolution, Verb, resolve};
use gateway_outbound::Relay;
use http::Method;

use crate::{
    config::MountConfig,
    limits::Limits,
    metrics::{Counts, Metrics},
    passthrough::{Tally, headers::may_pass},
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
    /// How often its clients may come, where there is a limit.
    pub(crate) limits: Option<Limits>,
    unknown: Arc<Mutex<BTreeSet<String>>>,
    pub(crate) counts: Counts,
    tally: OnceLock<Arc<Tally>>,
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
        let limits = Limits::of(&config);
        let (unknown, counts, tally) = (Arc::default(), Counts::default(), OnceLock::new());
        Self { config, limits, unknown, counts, tally }
    }

    /// The same mount by a newer configuration: what its clients have used of an unchanged limit
    /// counts on, and so do the unknown names it has seen; what other servers have told of unchanged
    /// issuers stays known, and an unchanged webhook or passage keeps its connections.
    #[must_use]
    pub fn renewed(&self, mut config: MountConfig) -> Self {
        config.webhook = config.webhook.map(|webhook| webhook.continuing(self.webhook()));
        if let (Some(new), Some(known)) = (&mut config.passthrough, &self.config.passthrough)
            && new.passage() == known.passage()
        {
            *new = Arc::clone(known);
        }
        if let (Some(new), Some(known)) =
            (config.authenticator.outside(), self.config.authenticator.outside())
        {
            new.adopt(known);
        }
        let renewed = Self { unknown: Arc::clone(&self.unknown), ..Self::new(config) };
        let limits = renewed.limits.map(|limits| limits.continuing(self.limits.as_ref()));
        Self { limits, ..renewed }
    }

    /// What its updates are validated by.
    #[must_use]
    pub const fn webhook(&self) -> Option<&Webhook> {
        self.config.webhook.as_ref()
    }

    /// What passes a request on: one for a path, raw and below the prefix, that the dialect does not own
    /// with any method.
    pub(crate) fn relay(&self, method: &Method, path: &str) -> Option<&Arc<Relay>> {
        let relay = self.config.passthrough.as_ref()?;
        let is_owned =
            || !matches!(resolve(self.config.dialect.routes(), Verb::of(method), path), Resolution::Nowhere);
        (may_pass(method, path) && !is_owned()).then_some(relay)
    }

    /// What is counted of the requests that it passes on.
    pub(crate) fn tally(&self, metrics: &Metrics) -> Arc<Tally> {
        Arc::clone(self.tally.get_or_init(|| Arc::new(metrics.passages.tally(&self.config.name))))
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
