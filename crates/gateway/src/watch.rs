//! What is told of a request: one line of the log, and the counters, however it ends (decision 14).

use std::time::Instant;

use gateway_core::{ErrorKind, Namespace};
use gateway_dialect::{Action, Target, Verb};
use http::{StatusCode, request::Parts};

use crate::{metrics::Metrics, mount::Mount};

/// What is known of a request while it runs, for the log and for the answer's headers.
#[derive(Debug, Default)]
pub(crate) struct Trace<'r> {
    pub(crate) target: Option<Target<'r>>,
    /// Named in the log once the caller has shown to belong there.
    pub(crate) namespace: Option<Namespace>,
    pub(crate) allow: Option<String>,
    /// The kind of the error that was answered, also when it was rendered on the way.
    pub(crate) failed: Option<ErrorKind>,
    pub(crate) cause: Option<&'static str>,
    pub(crate) replayed: bool,
    /// True from the moment at which the outcome may be unknown.
    pub(crate) committing: bool,
}

/// A request while it runs. It is told when dropped, so that one whose client went away is, too: its
/// write may have been done.
pub(crate) struct Watch<'r> {
    pub(crate) trace: Trace<'r>,
    metrics: &'r Metrics,
    mount: Option<&'r Mount>,
    head: &'r Parts,
    request_id: &'r str,
    started: Instant,
    status: Option<StatusCode>,
}

impl<'r> Watch<'r> {
    pub(crate) fn begin(
        metrics: &'r Metrics,
        mount: Option<&'r Mount>,
        head: &'r Parts,
        request_id: &'r str,
    ) -> Self {
        let (trace, started) = (Trace::default(), Instant::now());
        Self { trace, metrics, mount, head, request_id, started, status: None }
    }

    /// The request has its answer.
    pub(crate) fn end(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let (trace, took) = (&self.trace, self.started.elapsed());
        let mount = self.mount.map_or("-", |mount| &*mount.config.name);
        let namespace = trace.namespace.as_ref().map_or("-", |namespace| namespace.as_str());
        let route = trace.target.map(|target| target.route);
        let operation = route.map_or("none", |route| Action::as_str(route.action));
        let outcome = match self.status {
            Some(_) => trace.failed.map_or("ok", ErrorKind::as_str),
            None => "cancelled",
        };
        let method = Verb::of(&self.head.method).map_or("other", Verb::as_str);
        self.metrics.request(mount, operation, outcome, took);
        if trace.replayed {
            self.metrics.replay(mount);
        }
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (route, cause) = (route.map_or("-", |route| route.template), trace.cause.unwrap_or("-"));
        let status = self.status.map_or(0, |status| status.as_u16());
        let (request_id, replayed) = (self.request_id, trace.replayed);
        tracing::info!(target: "interlingua::access", request_id, mount, namespace, method, status, route, operation, outcome, cause, replayed, took_us, "request");
    }
}
