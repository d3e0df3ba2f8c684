//! OpenTelemetry traces: a span for each request, and for what others are asked on its behalf, sent to a
//! collector in batches. A request waits for none of it.
//!
//! A span says what the log line says, and nothing more: names, templates and numbers (decision 14).

mod export;
mod json;

use std::{
    num::{NonZeroU64, NonZeroU128},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use gateway_core::Timestamp;
use gateway_outbound::trace::{Kind, Scope, Span, Spans, TraceContext, Value, method_names};
use http::Method;
use prometheus::IntCounter;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use uuid::Uuid;

use self::export::{Counts, Exporter};
use crate::{access::Line, config::Otel, ids::Ids, metrics::Metrics};

/// When stopping, a collector gets so long to take the rest.
const LAST: Duration = Duration::from_secs(2);

/// Makes and collects spans.
pub(crate) struct Tracer {
    queue: mpsc::Sender<Span>,
    dropped: IntCounter,
    ids: Ids,
    /// The least that the random part of a trace id must be.
    threshold: AtomicU64,
    exporter: Arc<ArcSwap<Exporter>>,
    scheme: &'static str,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A request that is traced.
pub(crate) struct Traced {
    pub(crate) scope: Scope,
    parent: Option<NonZeroU64>,
    scheme: &'static str,
    spans: Arc<Tracer>,
}

impl Tracer {
    /// Begins to collect, as long as the runtime runs.
    ///
    /// # Errors
    /// Where a metric's name is taken.
    pub(crate) fn start(
        config: Otel,
        scheme: &'static str,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let (queue, spans) = mpsc::channel(config.max_queue);
        let (stop, stopped) = watch::channel(false);
        let counts = Counts::new(metrics)?;
        let ids = Ids::default();
        let threshold = AtomicU64::new(threshold(config.sample_ratio));
        let exporter = Arc::new(ArcSwap::from_pointee(Exporter::new(config, ids.next())));
        let dropped = counts.dropped.clone();
        let task = tokio::spawn(export::run(Arc::clone(&exporter), spans, counts, stopped));
        let task = Mutex::new(Some(task));
        Ok(Arc::new(Self { queue, dropped, ids, threshold, exporter, scheme, stop, task }))
    }

    /// By a newer configuration from now on.
    pub(crate) fn renew(&self, config: Otel) {
        self.threshold.store(threshold(config.sample_ratio), Ordering::Relaxed);
        self.exporter.store(Arc::new(self.exporter.load().renewed(config)));
    }

    /// Sends what there is, and ends.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        match tokio::time::timeout(LAST, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the task that exports spans fell"),
            Err(_elapsed) => {
                task.abort();
                tracing::warn!("the last spans were not exported: the collector does not answer in time");
            }
        }
    }

    /// A request begins. Its trace is its caller's, where the caller is one to be believed, else one of
    /// its own, which has the id of the request.
    pub(crate) fn begin(
        self: &Arc<Self>,
        caller: Option<TraceContext>,
        request_id: Uuid,
        now: Timestamp,
    ) -> Traced {
        let (span_id, parent) = (self.id(), caller.as_ref().map(|caller| caller.span_id));
        let context = caller
            .map_or_else(|| self.root(request_id.as_u128(), span_id), |caller| caller.with_span(span_id));
        let unix = u64::try_from(now.unix_timestamp_nanos()).unwrap_or_default();
        let spans: Arc<dyn Spans> = Arc::<Self>::clone(self);
        let scope = Scope::new(context, (Instant::now(), unix), spans);
        Traced { scope, parent, scheme: self.scheme, spans: Arc::clone(self) }
    }

    fn root(&self, id: u128, span_id: NonZeroU64) -> TraceContext {
        let is_sampled = random_part(id) >= self.threshold.load(Ordering::Relaxed);
        TraceContext::new(NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN), span_id, is_sampled)
    }
}

impl Spans for Tracer {
    fn id(&self) -> NonZeroU64 {
        NonZeroU64::new(self.ids.next().as_u64_pair().0).unwrap_or(NonZeroU64::MIN)
    }

    fn take(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

impl Traced {
    /// The trace's id, for the log.
    pub(crate) fn trace_id(&self) -> [u8; 32] {
        let (mut text, id) = ([0; 32], self.scope.context().trace_id.get().to_be_bytes());
        // As long as the digits of the id: it cannot fail.
        faster_hex::hex_encode(&id, &mut text).ok();
        text
    }

    /// The request has ended: one of a mount, with this method, on this route.
    pub(crate) fn end(
        &self,
        line: &Line<'_>,
        mount: Option<&Arc<str>>,
        method: &Method,
        template: Option<&'static str>,
    ) {
        if self.scope.context().is_sampled() {
            self.spans.take(self.span(line, mount, method, template));
        }
    }

    fn span(
        &self,
        line: &Line<'_>,
        mount: Option<&Arc<str>>,
        method: &Method,
        template: Option<&'static str>,
    ) -> Span {
        let (method, shown) = method_names(method);
        let text = |text: &'static str| Value::Text(text.into());
        let mut attributes = Vec::with_capacity(10);
        attributes.push(("http.request.method", text(method)));
        attributes.push(("url.scheme", text(self.scheme)));
        attributes.extend(template.map(|template| ("http.route", text(template))));
        attributes.extend(mount.map(|mount| ("interlingua.mount", Value::Name(Arc::clone(mount)))));
        attributes.push(("interlingua.operation", text(line.operation)));
        attributes.push(("interlingua.outcome", text(line.outcome)));
        if line.cause != NO_CAUSE {
            attributes.push(("interlingua.cause", text(line.cause)));
        }
        if line.status != 0 {
            attributes.push(("http.response.status_code", Value::Number(line.status.into())));
        }
        // What a client did wrong is no error of this server's.
        let is_error = line.status >= 500;
        if is_error {
            attributes.push(("error.type", text(line.outcome)));
        }
        Span {
            context: self.scope.context().clone(),
            parent: self.parent,
            kind: Kind::Server,
            name: template.map_or_else(|| shown.into(), |template| format!("{shown} {template}").into()),
            began: self.scope.began(),
            took: line.took,
            attributes,
            is_error,
        }
    }
}

/// What the log says of a request without a cause.
pub(crate) const NO_CAUSE: &str = "-";

/// Of a trace id, the part that the specification wants to be random: 56 bits.
fn random_part(id: u128) -> u64 {
    u64::try_from(id & ((1 << 56) - 1)).unwrap_or_default()
}

/// Consistent probability sampling: whoever samples less takes a part of what others take.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 2^56, which a float holds exactly"
)]
fn threshold(ratio: f64) -> u64 {
    ((1.0 - ratio) * (1_u64 << 56) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids of requests are of version 4: what is not random in them must not have a say.
    #[test]
    fn as_many_are_sampled_as_is_wanted() {
        let ids = Ids::default();
        let ids: Vec<_> = (0..20_000).map(|_| random_part(ids.next().as_u128())).collect();
        let share = |ratio| ids.iter().filter(|id| **id >= threshold(ratio)).count();
        assert_eq!((share(0.0), share(1.0)), (0, 20_000));
        // Ten standard deviations.
        assert!((9_300..10_700).contains(&share(0.5)), "{}", share(0.5));
        assert!((60..350).contains(&share(0.01)), "{}", share(0.01));
        assert!(ids.iter().all(|id| *id < threshold(0.25) || *id >= threshold(0.75)));
    }
}
