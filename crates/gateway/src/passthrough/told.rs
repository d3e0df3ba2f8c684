//! What is told of a request that was passed on: one line of the log and the counters, when its answer
//! has ended, however that is.

use std::{sync::Arc, time::Instant};

use gateway_core::{Error, Timestamp};
use gateway_dialect::Verb;
use gateway_outbound::CallError;
use http::{HeaderMap, Method, StatusCode};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use uuid::Uuid;

use super::Passing;
use crate::{
    access::{AccessLog, Line},
    otel::Traced,
};

/// The first digits of statuses; of none, where the client went away before.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// What stands for a route: there is none that could be named.
const ROUTE: &str = "passthrough";

/// What is counted of all mounts.
pub(crate) struct Passages {
    requests: IntCounterVec,
    failures: IntCounterVec,
}

/// What is counted of a mount.
pub struct Tally {
    /// By [`CLASSES`].
    requests: [IntCounter; CLASSES.len()],
    /// By mount and cause.
    failures: IntCounterVec,
}

impl Passages {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name, help, label| IntCounterVec::new(Opts::new(name, help), &["mount", label]);
        let requests = counter(
            "interlingua_passthrough_requests_total",
            "Requests passed on, by the status class of what was answered.",
            "status",
        )?;
        let failures = counter(
            "interlingua_passthrough_failures_total",
            "Requests passed on that failed at the server behind, before or within its answer.",
            "cause",
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { requests, failures })
    }

    /// The series of a mount.
    pub(crate) fn tally(&self, mount: &str) -> Tally {
        let requests = CLASSES.map(|class| self.requests.with_label_values(&[mount, class]));
        Tally { requests, failures: self.failures.clone() }
    }
}

/// A request that is passed on. It is told when dropped.
pub(super) struct Told {
    mount: Arc<str>,
    tally: Arc<Tally>,
    access: AccessLog,
    id: Uuid,
    method: Method,
    traced: Option<Traced>,
    began: Timestamp,
    started: Instant,
    status: Option<StatusCode>,
    outcome: &'static str,
    cause: &'static str,
}

impl Told {
    pub(super) fn begin(
        access: &AccessLog,
        tally: Arc<Tally>,
        passing: &Passing<'_>,
        method: &Method,
        traced: Option<Traced>,
    ) -> Self {
        Self {
            mount: Arc::clone(&passing.mount.config.name),
            tally,
            access: access.clone(),
            id: passing.id,
            method: method.clone(),
            traced,
            began: passing.now,
            started: Instant::now(),
            status: None,
            outcome: "cancelled",
            cause: "-",
        }
    }

    /// Tells the server of the trace, where there is one; else its client's own word goes on as it is.
    pub(super) fn trace(&self, headers: &mut HeaderMap) {
        if let Some(traced) = &self.traced {
            traced.scope.context().write(headers);
        }
    }

    /// The server's answer has begun.
    pub(super) const fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// It has ended.
    pub(super) const fn ended(&mut self) {
        self.outcome = "ok";
    }

    /// It is one of the gateway's own.
    pub(super) const fn refused(&mut self, status: StatusCode, error: &Error) {
        self.status = Some(status);
        self.outcome = error.kind.as_str();
        if let Some(cause) = error.cause {
            self.cause = cause;
        }
    }

    /// The server failed, before or within its answer.
    pub(super) fn failed(&mut self, error: CallError) {
        self.tally.failures.with_label_values(&[&*self.mount, error.as_str()]).inc();
        (self.outcome, self.cause) = ("upstream_failed", error.as_str());
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let status = self.status.map_or(0, |status| status.as_u16());
        if let Some(counter) = self.tally.requests.get(usize::from(status / 100)) {
            counter.inc();
        }
        let mut id = Uuid::encode_buffer();
        let trace_id = self.traced.as_ref().map(Traced::trace_id);
        let line = Line {
            began: self.began,
            took: self.started.elapsed(),
            request_id: self.id.as_hyphenated().encode_lower(&mut id),
            trace_id: trace_id.as_ref().map(<[u8; 32]>::as_slice),
            mount: &self.mount,
            namespace: "-",
            method: Verb::of(&self.method).map_or("other", Verb::as_str),
            status,
            route: ROUTE,
            operation: "pass",
            outcome: self.outcome,
            cause: self.cause,
            replayed: false,
        };
        self.access.write(&line);
        if let Some(traced) = &self.traced {
            traced.end(&line, Some(&self.mount), &self.method, Some(ROUTE));
        }
    }
}
