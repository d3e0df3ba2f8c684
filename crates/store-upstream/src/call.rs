//! One call to the service, and what may be believed of its answer.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use gateway_core::StoreError;
use gateway_outbound::{Call, CallError, Circuit, Client, Reply};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use tokio::time::Instant;

use crate::stats::Counters;

/// The longest answer that is read: a page of records.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Retries are a tenth of all calls at most, after the first so many.
const RETRY_COST: i64 = 10;
const RETRY_FUND: i64 = 200;
/// Before a read is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// A request, whole: it can be sent again as it is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Below the service's base: path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn get(target: String, accept: HeaderValue) -> Self {
        let headers = HeaderMap::new();
        Self { method: Method::GET, target, headers, body: Bytes::new() }.with(header::ACCEPT, accept)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Silence {
    /// Nothing of the request can have been read.
    Unsent(CallError),
    /// It may have been read, and carried out.
    Lost(CallError),
}

impl Silence {
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Unsent(error) | Self::Lost(error) => unavailable(error),
        }
    }
}

/// The service: where it is, what it is told about who asks, how it stands.
pub(crate) struct Service {
    client: Client,
    /// What stands before every target; no slash at its end.
    base: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    retries: AtomicI64,
    reached: AtomicBool,
    pub(crate) counters: Counters,
}

impl Service {
    pub(crate) fn new(client: Client, authorization: Option<HeaderValue>, timeout: Duration) -> Self {
        let base = client.terms().endpoint.target().trim_end_matches('/').to_owned();
        Self {
            client,
            base,
            authorization,
            timeout,
            retries: AtomicI64::new(RETRY_FUND),
            reached: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// True while it answers.
    pub(crate) fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed) && self.client.circuit() != Circuit::Open
    }

    pub(crate) fn circuit(&self) -> Circuit {
        self.client.circuit()
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request once.
    pub(crate) async fn send(&self, request: &Request, budget: Duration) -> Result<Reply, Silence> {
        let Some(call) = self.call(request) else { return Err(Silence::Unsent(CallError::Refused)) };
        self.counters.calls.fetch_add(1, Ordering::Relaxed);
        let answer = self.client.call(call, budget.min(self.timeout), MAX_ANSWER).await;
        match answer {
            Ok(reply) => {
                let is_there = !reply.status.is_server_error();
                self.reached.store(is_there, Ordering::Relaxed);
                let counter = if is_there { &self.counters.answered } else { &self.counters.failed };
                counter.fetch_add(1, Ordering::Relaxed);
                Ok(reply)
            }
            Err(error) => {
                // A full line of calls says nothing of the other side.
                if error != CallError::Busy {
                    self.reached.store(false, Ordering::Relaxed);
                }
                let unsent = error.is_unsent();
                let counter = if unsent { &self.counters.unsent } else { &self.counters.lost };
                counter.fetch_add(1, Ordering::Relaxed);
                Err(if unsent { Silence::Unsent(error) } else { Silence::Lost(error) })
            }
        }
    }

    /// Reads: tried once more, where that may help, within the same time and the budget of retries.
    pub(crate) async fn read(&self, request: &Request) -> Result<Reply, StoreError> {
        let deadline = Instant::now() + self.timeout;
        self.earn();
        let first = self.send(request, self.timeout).await;
        let is_worth_it = match &first {
            Ok(reply) => reply.status.is_server_error(),
            Err(silence) => matches!(
                silence,
                Silence::Lost(CallError::Reset) | Silence::Unsent(CallError::Connect | CallError::Tls)
            ),
        };
        let answer = if is_worth_it && deadline > Instant::now() + PAUSE && self.spend() {
            tokio::time::sleep(PAUSE).await;
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            self.send(request, deadline.saturating_duration_since(Instant::now())).await
        } else {
            first
        };
        let reply = answer.map_err(|silence| StoreError::Unavailable(silence.why()))?;
        match reply.status {
            StatusCode::OK | StatusCode::NOT_MODIFIED | StatusCode::NOT_FOUND | StatusCode::GONE => Ok(reply),
            status => Err(refused(status)),
        }
    }

    fn call(&self, request: &Request) -> Option<Call> {
        let target = PathAndQuery::try_from(format!("{}{}", self.base, request.target)).ok()?;
        let mut headers = request.headers.clone();
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let (method, body) = (request.method.clone(), request.body.clone());
        Some(Call { method, target: Some(target), headers, body })
    }

    fn earn(&self) {
        if self.retries.load(Ordering::Relaxed) < RETRY_FUND {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn spend(&self) -> bool {
        let spent = self.retries.fetch_sub(RETRY_COST, Ordering::Relaxed) >= RETRY_COST;
        if !spent {
            self.retries.fetch_add(RETRY_COST, Ordering::Relaxed);
        }
        spent
    }
}

/// Why the store cannot answer, for the log.
const fn unavailable(error: CallError) -> &'static str {
    match error {
        CallError::Refused => "upstream_refused_address",
        CallError::Resolve => "upstream_resolve",
        CallError::Connect => "upstream_connect",
        CallError::Tls => "upstream_tls",
        CallError::Timeout => "upstream_timeout",
        CallError::Reset => "upstream_reset",
        CallError::TooLarge => "upstream_too_large",
        CallError::Protocol => "upstream_protocol",
        CallError::Busy => "upstream_busy",
        CallError::Open => "upstream_down",
    }
}

/// What a status that is no answer says.
pub(crate) fn refused(status: StatusCode) -> StoreError {
    StoreError::Unavailable(match status.as_u16() {
        401 | 403 => "upstream_refuses_credential",
        429 => "upstream_rate_limited",
        300..=399 => "upstream_redirects",
        500..=599 => "upstream_5xx",
        _ => "upstream_unexpected_status",
    })
}

/// An answer that is not what was asked for.
pub(crate) fn garbage(counters: &Counters) -> StoreError {
    counters.garbage.fetch_add(1, Ordering::Relaxed);
    StoreError::Unavailable("upstream_garbage")
}
