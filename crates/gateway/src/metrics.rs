//! What the gateway counts, in the Prometheus text format. No label ever holds request data, but
//! for the few plain names of decision 8.

use std::time::Duration;

use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

/// The gateway's own metrics.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    replays: IntCounterVec,
    unknown_fields: IntCounterVec,
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
        let counter = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
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
        let opts = HistogramOpts::new(
            "interlingua_request_duration_seconds",
            "From the request's head to its answer.",
        )
        .buckets(BUCKETS.into());
        let duration = HistogramVec::new(opts, &["mount", "operation"])?;
        let registry = Registry::new();
        for counter in [&requests, &replays, &unknown_fields] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(duration.clone()))?;
        Ok(Self { registry, requests, duration, replays, unknown_fields })
    }

    /// Counts a request.
    pub fn request(&self, mount: &str, operation: &str, outcome: &str, took: Duration) {
        self.requests.with_label_values(&[mount, operation, outcome]).inc();
        self.duration.with_label_values(&[mount, operation]).observe(took.as_secs_f64());
    }

    /// Counts a replay.
    pub fn replay(&self, mount: &str) {
        self.replays.with_label_values(&[mount]).inc();
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
