//! Spans on their way to the collector (OTLP over HTTP): collected into batches, tried again where that
//! may help, and given up in the end.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use gateway_outbound::{Call, CallError, Client, Reply, trace::Span};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use prometheus::IntCounter;
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::json::{self, Resource};
use crate::{config::Otel, metrics::Metrics};

/// The most spans in one request.
const BATCH: usize = 512;
/// How often a batch is sent, and the pause after the first failure, which doubles.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
/// A collector that asks for a longer pause gets this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Where spans go, and on which terms.
pub(super) struct Exporter {
    client: Arc<Client>,
    headers: HeaderMap,
    resource: Resource,
    interval: Duration,
    timeout: Duration,
}

/// Every span that was recorded is in one of these in the end.
pub(super) struct Counts {
    exported: IntCounter,
    failed: IntCounter,
    pub(super) dropped: IntCounter,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let counter = |name, help| {
            let counter = IntCounter::new(name, help)?;
            metrics.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            exported: counter("interlingua_spans_exported_total", "Spans that the collector took.")?,
            failed: counter("interlingua_spans_failed_total", "Spans that the collector did not take.")?,
            dropped: counter(
                "interlingua_spans_dropped_total",
                "Spans that were dropped because too many waited for the collector.",
            )?,
        })
    }
}

/// Why the collector did not take a batch.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Call(CallError),
    /// Another status than 200, and how long it asks to be left alone.
    Status(StatusCode, Option<Duration>),
    /// A 200 that no collector says.
    NotAnswer,
}

impl Failure {
    /// Whether the same batch may be taken later (OTLP, "Failures").
    const fn may_pass(self) -> bool {
        match self {
            Self::Call(error) => !matches!(error, CallError::TooLarge | CallError::Protocol),
            Self::Status(status, _) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::NotAnswer => false,
        }
    }

    fn cause(self) -> String {
        match self {
            Self::Call(error) => error.as_str().to_owned(),
            Self::Status(status, _) => status.as_str().to_owned(),
            Self::NotAnswer => "not_answer".to_owned(),
        }
    }
}

impl Exporter {
    pub(super) fn new(config: Otel, instance: Uuid) -> Self {
        let Otel { client, headers, service_name: service, interval, timeout, .. } = config;
        Self {
            client,
            headers,
            resource: Resource { service, instance: instance.to_string() },
            interval,
            timeout,
        }
    }

    /// By a newer configuration: the same process, and its connection where that is to the same place.
    pub(super) fn renewed(&self, mut config: Otel) -> Self {
        if self.client.terms() == config.client.terms() {
            config.client = Arc::clone(&self.client);
        }
        let renewed = Self::new(config, Uuid::nil());
        let instance = self.resource.instance.clone();
        Self { resource: Resource { instance, ..renewed.resource }, ..renewed }
    }

    /// Sends a batch once; how many spans of it were refused.
    async fn send(&self, body: Bytes) -> Result<u64, Failure> {
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let call = Call { method: Method::POST, target: None, headers, body };
        let reply = self.client.call(call, self.timeout, MAX_ANSWER).await.map_err(Failure::Call)?;
        if reply.status != StatusCode::OK {
            return Err(Failure::Status(reply.status, pause_asked_for(&reply)));
        }
        rejected(&reply.body).ok_or(Failure::NotAnswer)
    }
}

fn pause_asked_for(reply: &Reply) -> Option<Duration> {
    let seconds = reply.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// How many spans an `ExportTraceServiceResponse` says were refused; `None` for what is none. The number
/// is a string in JSON, and of some collectors a number.
fn rejected(body: &[u8]) -> Option<u64> {
    if body.is_empty() {
        return Some(0);
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    let rejected = answer.as_object()?.get("partialSuccess").and_then(|part| part.get("rejectedSpans"));
    match rejected {
        None => Some(0),
        Some(Value::String(digits)) => digits.parse().ok(),
        Some(number) => number.as_u64(),
    }
}

/// A collector, as it was last seen.
struct Export {
    exporter: Arc<ArcSwap<Exporter>>,
    counts: Counts,
    stopped: watch::Receiver<bool>,
    /// The log was told that it takes nothing.
    is_away: bool,
}

/// Sends what comes, until it is told to stop; then what is left, once.
pub(super) async fn run(
    exporter: Arc<ArcSwap<Exporter>>,
    mut spans: mpsc::Receiver<Span>,
    counts: Counts,
    mut stopped: watch::Receiver<bool>,
) {
    let mut export = Export { exporter, counts, stopped: stopped.clone(), is_away: false };
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = spans.recv_many(&mut batch, BATCH) => if count == 0 { return },
            () = told(&mut stopped), if !spans.is_closed() => {
                spans.close();
                continue;
            }
        }
        let due = Instant::now() + export.exporter.load().interval;
        while batch.len() < BATCH && !spans.is_closed() {
            let most = BATCH - batch.len();
            tokio::select! {
                // Nothing comes any more, or not in time.
                more = timeout_at(due, spans.recv_many(&mut batch, most)) => if !matches!(more, Ok(1..)) { break },
                () = told(&mut stopped) => spans.close(),
            }
        }
        export.deliver(&batch).await;
        batch.clear();
    }
}

/// Returns once it is time to stop. A sender that is gone says so, too.
async fn told(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}

impl Export {
    /// Sends a batch, again and again while that may help and nobody waits for the end.
    async fn deliver(&mut self, batch: &[Span]) {
        let exporter = self.exporter.load_full();
        let body = Bytes::from(json::request(&exporter.resource, batch));
        let count = batch.len() as u64;
        for attempt in 0..ATTEMPTS {
            let failure = match exporter.send(body.clone()).await {
                Ok(rejected) => return self.taken(count, rejected.min(count)),
                Err(failure) => failure,
            };
            self.failed(failure);
            if !failure.may_pass() || attempt + 1 == ATTEMPTS || *self.stopped.borrow() {
                break;
            }
            let pause = match failure {
                Failure::Status(_, Some(asked)) => asked,
                _ => PAUSE * (1 << attempt),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told(&mut self.stopped) => {}
            }
        }
        self.counts.failed.inc_by(count);
    }

    fn taken(&mut self, count: u64, rejected: u64) {
        self.counts.exported.inc_by(count - rejected);
        self.counts.failed.inc_by(rejected);
        if self.is_away {
            self.is_away = false;
            tracing::info!("spans are exported again");
        }
    }

    /// Tells the log, once until the collector takes some again.
    fn failed(&mut self, failure: Failure) {
        if !self.is_away {
            self.is_away = true;
            tracing::warn!(cause = failure.cause(), "spans cannot be exported");
        }
    }
}
