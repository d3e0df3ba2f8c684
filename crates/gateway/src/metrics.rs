//! What the gateway counts, in the Prometheus text format. No label ever holds request data, but
//! for the few plain names of decision 8.

use std::{sync::OnceLock, time::Duration};

use gateway_core::ErrorKind;
use gateway_dialect::Action;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::passthrough::told::Passages;

/// The gateway's own metrics.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    replays: IntCounterVec,
    unknown_fields: IntCounterVec,
    webhook_calls: IntCounterVec,
    webhook_duration: HistogramVec,
    pub(crate) passages: Passages,
    /// Of requests that came to no mount.
    pub(crate) unmounted: Counts,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    Well,
    Failed(ErrorKind),
    /// Its client went away.
    Cancelled,
}

impl Ended {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Failed(kind) => kind.as_str(),
            Self::Cancelled => "cancelled",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Well => 0,
            Self::Cancelled => 1,
            Self::Failed(kind) => 2 + kind as usize,
        }
    }
}

/// The name of an operation, or of none.
pub(crate) fn operation_name(action: Option<Action>) -> &'static str {
    action.map_or("none", Action::as_str)
}

const OPERATIONS: usize = 2 + Action::Unlink as usize;
const ENDS: usize = 3 + ErrorKind::Internal as usize;

/// The series of a mount, each looked up by its labels only once.
pub(crate) struct Counts(Box<[Operation; OPERATIONS]>);

#[derive(Default)]
struct Operation {
    ends: [OnceLock<IntCounter>; ENDS],
    duration: OnceLock<Histogram>,
}

impl Default for Counts {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Operation::default())))
    }
}

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// Only for names that the library refuses, which a test would see.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name, help, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        let requests =
            counter("interlingua_requests_total", "Requests answered.", &["mount", "operation", "outcome"])?;
        let replays = counter(
            "interlingua_idempotency_replays_total",
            "Answers replayed for an Idempotency-Key.",
            &["mount"],
        )?;
        let unknown_fields = counter(
            "interlingua_unknown_fields_total",
            "Unknown members in request bodies, by name.",
            &["mount", "field"],
        )?;
        let webhook_calls = counter(
            "interlingua_webhook_calls_total",
            "Updates that a webhook was asked about.",
            &["mount", "verdict"],
        )?;
        let histogram = |name, help, labels: &[&str]| {
            let made = HistogramVec::new(HistogramOpts::new(name, help).buckets(BUCKETS.into()), labels)?;
            registry.register(Box::new(made.clone())).map(|()| made)
        };
        let duration = histogram(
            "interlingua_request_duration_seconds",
            "From the request's head to its answer.",
            &["mount", "operation"],
        )?;
        let webhook_duration = histogram(
            "interlingua_webhook_duration_seconds",
            "From the question to a webhook until its answer, waiting and retrying included.",
            &["mount"],
        )?;
        let (passages, unmounted) = (Passages::new(&registry)?, Counts::default());
        Ok(Self {
            registry,
            requests,
            duration,
            replays,
            unknown_fields,
            webhook_calls,
            webhook_duration,
            passages,
            unmounted,
        })
    }

    /// Counts a request.
    pub(crate) fn request(
        &self,
        counts: &Counts,
        mount: &str,
        action: Option<Action>,
        ended: Ended,
        took: Duration,
    ) {
        let name = operation_name(action);
        let series = &counts.0[action.map_or(0, |action| 1 + action as usize)];
        let requests = || self.requests.with_label_values(&[mount, name, ended.as_str()]);
        series.ends[ended.index()].get_or_init(requests).inc();
        let duration = || self.duration.with_label_values(&[mount, name]);
        series.duration.get_or_init(duration).observe(took.as_secs_f64());
    }

    /// Counts a replay.
    pub fn replay(&self, mount: &str) {
        self.replays.with_label_values(&[mount]).inc();
    }

    /// Counts a question to a webhook.
    pub(crate) fn webhook(&self, mount: &str, verdict: &str, took: Duration) {
        self.webhook_calls.with_label_values(&[mount, verdict]).inc();
        self.webhook_duration.with_label_values(&[mount]).observe(took.as_secs_f64());
    }

    /// Counts an unknown member, under a label that [`Mount::unknown_label`](crate::mount::Mount::unknown_label) made.
    pub fn unknown_field(&self, mount: &str, label: &str) {
        self.unknown_fields.with_label_values(&[mount, label]).inc();
    }

    /// Registers figures of another part.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn register(&self, collector: Box<dyn prometheus::core::Collector>) -> Result<(), prometheus::Error> {
        self.registry.register(collector)
    }

    /// The text exposition.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8(text).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_counted_in_its_own_series() {
        let (metrics, counts) = (Metrics::new().unwrap(), Counts::default());
        let second = Duration::from_secs(1);
        for (action, ended) in [
            (Some(Action::Create), Ended::Well),
            (Some(Action::Unlink), Ended::Failed(ErrorKind::Internal)),
            (None, Ended::Failed(ErrorKind::NoRoute)),
            (None, Ended::Cancelled),
            (None, Ended::Cancelled),
        ] {
            metrics.request(&counts, "m", action, ended, second);
        }
        let text = metrics.render();
        for line in [
            r#"interlingua_requests_total{mount="m",operation="create",outcome="ok"} 1"#,
            r#"interlingua_requests_total{mount="m",operation="unlink",outcome="internal"} 1"#,
            r#"interlingua_requests_total{mount="m",operation="none",outcome="no_route"} 1"#,
            r#"interlingua_requests_total{mount="m",operation="none",outcome="cancelled"} 2"#,
            r#"interlingua_request_duration_seconds_count{mount="m",operation="none"} 3"#,
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
        }
    }
}
