//! What listeners count.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

use super::refusal::Refusal;
use crate::metrics::Metrics;

/// The figures of one listener.
pub struct Figures {
    pub(super) open: IntGauge,
    pub(super) accepted: IntCounter,
    turned_away: IntCounterVec,
    errors: IntCounterVec,
    /// The counters of `errors`, by number.
    by_refusal: Vec<IntCounter>,
}

/// Why a connection is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// No more are taken from anybody.
    All,
    /// No more are taken from this peer.
    Peer,
}

impl Figures {
    /// All of them, at zero.
    ///
    /// # Errors
    /// Only for names that the library refuses, which a test would see.
    pub fn new() -> Result<Self, prometheus::Error> {
        let open = IntGauge::new("interlingua_connections_open", "Connections open now.")?;
        let accepted = IntCounter::new("interlingua_connections_accepted_total", "Connections accepted.")?;
        let vector = |name, help| IntCounterVec::new(Opts::new(name, help), &["reason"]);
        let turned_away = vector(
            "interlingua_connections_refused_total",
            "Connections closed at once, for there were too many.",
        )?;
        let errors = vector(
            "interlingua_protocol_errors_total",
            "Requests and connections that were refused before they came to a mount.",
        )?;
        for full in [Full::All, Full::Peer] {
            turned_away.with_label_values(&[full.label()]);
        }
        let by_refusal = Refusal::ALL.map(|refusal| errors.with_label_values(&[refusal.label()])).into();
        Ok(Self { open, accepted, turned_away, errors, by_refusal })
    }

    /// Has them shown.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(&self, metrics: &Metrics) -> Result<(), prometheus::Error> {
        metrics.register(Box::new(self.open.clone()))?;
        metrics.register(Box::new(self.accepted.clone()))?;
        metrics.register(Box::new(self.turned_away.clone()))?;
        metrics.register(Box::new(self.errors.clone()))
    }

    pub(super) fn turned_away(&self, full: Full) {
        self.turned_away.with_label_values(&[full.label()]).inc();
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        if let Some(counter) = self.by_refusal.get(refusal as usize) {
            counter.inc();
        }
    }
}

impl Full {
    const fn label(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Peer => "peer",
        }
    }
}
