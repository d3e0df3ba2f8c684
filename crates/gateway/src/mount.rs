//! A mount at run time: its configuration, its clients' rate limits, the unknown names it has seen.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{config::MountConfig, limits::Limits, metrics::Counts, webhook::Webhook};

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
        Self { config, limits, unknown: Arc::default(), counts: Counts::default() }
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
        let renewed = Self { unknown: Arc::clone(&self.unknown), ..Self::new(config) };
        let limits = renewed.limits.map(|limits| limits.continuing(self.limits.as_ref()));
        Self { limits, ..renewed }
    }

    /// What its updates are validated by.
    #[must_use]
    pub const fn webhook(&self) -> Option<&Webhook> {
        self.config.webhook.as_ref()
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
