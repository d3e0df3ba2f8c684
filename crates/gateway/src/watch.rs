//! What is told of a request: one line of the log, and the counters, however it ends (decision 14).

use std::time::Instant;

use gateway_core::{ErrorKind, Namespace, Timestamp};
use gateway_dialect::{Target, Verb};
use gateway_limits::Standing;
use http::{StatusCode, request::Parts};

use crate::{
    access::{AccessLog, Line},
    metrics::{Ended, Metrics, operation_name},
    mount::Mount,
    otel::{NO_CAUSE, Traced},
};

/// What is known of a request while it runs, for the log and for the answer's headers.
#[derive(Debug, Default)]
pub(crate) struct Trace<'r> {
    pub(crate) target: Option<Target<'r>>,
    /// Named in the log once the caller has shown to belong there.
    pub(crate) namespace: Option<Namespace>,
    pub(crate) allow: Option<String>,
    /// How its client stands with the mount's limit.
    pub(crate) standing: Option<Standing>,
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
    came: Came<'r>,
    metrics: &'r Metrics,
    access: &'r AccessLog,
    started: Instant,
    status: Option<StatusCode>,
}

/// What is known of a request at once.
#[derive(Clone, Copy)]
pub(crate) struct Came<'r> {
    pub(crate) mount: Option<&'r Mount>,
    pub(crate) head: &'r Parts,
    pub(crate) request_id: &'r str,
    pub(crate) now: Timestamp,
    /// Where requests are traced.
    pub(crate) traced: Option<&'r Traced>,
}

impl<'r> Watch<'r> {
    pub(crate) fn begin(metrics: &'r Metrics, access: &'r AccessLog, came: Came<'r>) -> Self {
        let (trace, started) = (Trace::default(), Instant::now());
        Self { trace, came, metrics, access, started, status: None }
    }

    /// The request has its answer.
    pub(crate) fn end(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let (trace, came, took) = (&self.trace, self.came, self.started.elapsed());
        let mount = came.mount.map_or("-", |mount| &*mount.config.name);
        let route = trace.target.map(|target| target.route);
        let action = route.map(|route| route.action);
        let ended = match (self.status, trace.failed) {
            (None, _) => Ended::Cancelled,
            (Some(_), Some(kind)) => Ended::Failed(kind),
            (Some(_), None) => Ended::Well,
        };
        let counts = came.mount.map_or(&self.metrics.unmounted, |mount| &mount.counts);
        self.metrics.request(counts, mount, action, ended, took);
        if trace.replayed {
            self.metrics.replay(mount);
        }
        let trace_id = came.traced.map(Traced::trace_id);
        let line = Line {
            began: came.now,
            took,
            request_id: came.request_id,
            trace_id: trace_id.as_ref().map(<[u8; 32]>::as_slice),
            mount,
            namespace: trace.namespace.as_ref().map_or("-", |namespace| namespace.as_str()),
            method: Verb::of(&came.head.method).map_or("other", Verb::as_str),
            status: self.status.map_or(0, |status| status.as_u16()),
            route: route.map_or("-", |route| route.template),
            operation: operation_name(action),
            outcome: ended.as_str(),
            cause: trace.cause.unwrap_or(NO_CAUSE),
            replayed: trace.replayed,
        };
        self.access.write(&line);
        if let Some(traced) = came.traced {
            let (mount, method) = (came.mount.map(|mount| &mount.config.name), &came.head.method);
            traced.end(&line, mount, method, route.map(|route| route.template));
        }
    }
}
