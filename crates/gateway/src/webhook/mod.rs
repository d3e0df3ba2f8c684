//! The validation webhook (decision 30): another server is asked before an update is committed.
//!
//! Nothing is held while it is asked: no turn, no transaction. What it approves is an update of one
//! version of a user; whether that still stands is seen when the update is worked out again.

pub mod keys;
pub mod receiver;
mod verdict;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use gateway_core::{Error, ErrorKind, Timestamp, UserId};
use gateway_outbound::{Call, CallError, Circuit, Client, Reply, Terms};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;

use self::{
    keys::{Keys, SIGNATURE, TIMESTAMP},
    verdict::{Failure, Verdict},
};
use crate::{live::Live, metrics::Metrics, mount::Mount};

/// The longest answer.
const MAX_ANSWER: usize = 64 * 1024;
/// Before the one retry.
const PAUSE: Duration = Duration::from_millis(50);
/// How often one request asks: a user that moves more often is left to a later request.
const ASKS: u8 = 2;

/// A mount's webhook.
#[derive(Clone)]
pub struct Webhook {
    /// Keeps its connections and its circuit while its terms stay the same.
    client: Arc<Client>,
    keys: Keys,
    /// For all that a request waits for it.
    budget: Duration,
    /// Whether an update goes ahead while it is down.
    is_optional: bool,
    /// Whether it is told secret fields.
    sends_secure: bool,
}

/// How a webhook is used.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// For all that a request waits for it.
    pub budget: Duration,
    /// Whether an update goes ahead while it is down.
    pub is_optional: bool,
    /// Whether it is told secret fields.
    pub sends_secure: bool,
}

/// What is asked: whether a user of this version may become what the bytes say.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) user: UserId,
    pub(crate) version: u64,
    pub(crate) body: Bytes,
}

/// What a request has asked so far.
#[derive(Default)]
pub(crate) struct Approval {
    approved: Option<Question>,
    asks: u8,
    deadline: Option<Instant>,
}

impl Webhook {
    /// A webhook with no connection yet.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn new(terms: Terms, keys: Keys, usage: Use) -> Result<Self, CallError> {
        let Use { budget, is_optional, sends_secure } = usage;
        Ok(Self { client: Arc::new(Client::new(terms)?), keys, budget, is_optional, sends_secure })
    }

    /// The same with the connections and the circuit of the one before, where its terms are the same.
    #[must_use]
    pub(crate) fn continuing(self, before: Option<&Self>) -> Self {
        match before {
            Some(before) if before.client.terms() == self.client.terms() => {
                Self { client: Arc::clone(&before.client), ..self }
            }
            _ => self,
        }
    }

    /// True where what it is told can be read on its way.
    pub(crate) fn is_open(&self) -> bool {
        let endpoint = &self.client.terms().endpoint;
        !endpoint.is_tls() && !endpoint.allows_private()
    }

    pub(crate) const fn sends_secure(&self) -> bool {
        self.sends_secure
    }

    /// Asks, a second time where the first found nobody (B.7).
    async fn judge(&self, question: &Bytes, now: Timestamp, deadline: Instant) -> Verdict {
        let Some(call) = self.call(question, now) else { return Verdict::Failed(Failure::Unsigned) };
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut result = self.client.call(call.clone(), left(), MAX_ANSWER).await;
        if is_worth_a_retry(&result) && left() > PAUSE {
            tokio::time::sleep(PAUSE).await;
            result = self.client.call(call, left(), MAX_ANSWER).await;
        }
        match result {
            Ok(reply) => verdict::read(&self.keys, &reply),
            Err(error) => Verdict::Failed(Failure::Call(error)),
        }
    }

    fn call(&self, question: &Bytes, now: Timestamp) -> Option<Call> {
        let timestamp = (now.unix_timestamp_nanos() / 1_000_000).to_string();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(SIGNATURE, self.keys.of_request(&timestamp, question).try_into().ok()?);
        headers.insert(TIMESTAMP, timestamp.try_into().ok()?);
        Some(Call { method: Method::POST, target: None, headers, body: question.clone() })
    }
}

/// Nobody was there, or a proxy says so. A request that may have been read is not sent again.
fn is_worth_a_retry(result: &Result<Reply, CallError>) -> bool {
    match result {
        Ok(reply) => matches!(
            reply.status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ),
        Err(error) => matches!(error, CallError::Resolve | CallError::Connect),
    }
}

impl Approval {
    /// True where just this was approved.
    pub(crate) fn covers(&self, question: &Question) -> bool {
        self.approved.as_ref() == Some(question)
    }

    /// Asks the mount's webhook. What goes ahead though it was down has a word for the log.
    ///
    /// # Errors
    /// [`ErrorKind::Vetoed`], [`ErrorKind::ValidatorFailed`], and [`ErrorKind::Unavailable`] where the
    /// user moved again, or too many are asking.
    pub(crate) async fn ask(
        &mut self,
        mount: &Mount,
        metrics: &Metrics,
        question: Question,
        now: Timestamp,
    ) -> Result<Option<&'static str>, Error> {
        let busy = |cause| Error::new(ErrorKind::Unavailable).retry_after(1).cause(cause);
        let Some(webhook) = mount.webhook() else { return Ok(None) };
        if self.asks == ASKS {
            return Err(busy("webhook_user_moved"));
        }
        self.asks += 1;
        let began = Instant::now();
        let deadline = *self.deadline.get_or_insert(began + webhook.budget);
        let verdict = webhook.judge(&question.body, now, deadline).await;
        let (label, result) = match verdict {
            Verdict::Approved => ("approved", Ok(None)),
            Verdict::Vetoed(message) => {
                let veto = Error::new(ErrorKind::Vetoed).cause("webhook_veto");
                ("vetoed", Err(Error { message: message.map(Into::into), ..veto }))
            }
            Verdict::Failed(failure) if webhook.is_optional && failure.is_down() => {
                ("allowed", Ok(Some(failure.cause())))
            }
            // It was not asked: there are too many requests, of whom it is no fault.
            Verdict::Failed(Failure::Call(CallError::Busy)) => ("busy", Err(busy("webhook_busy"))),
            Verdict::Failed(failure) => {
                ("failed", Err(Error::new(ErrorKind::ValidatorFailed).cause(failure.cause())))
            }
        };
        metrics.webhook(&mount.config.name, label, began.elapsed());
        if result.is_ok() {
            self.approved = Some(question);
        }
        result
    }
}

/// The state of every webhook's circuit, in the Prometheus text format.
pub(crate) fn circuits(live: &Live) -> String {
    const NAME: &str = "interlingua_webhook_circuit";
    let mut text = format!(
        "# HELP {NAME} Whether a webhook is left alone: 0 asked, 1 tried once, 2 left alone.\n# TYPE {NAME} gauge\n"
    );
    for mount in live.mounts() {
        let Some(webhook) = mount.webhook() else { continue };
        let state = match webhook.client.circuit() {
            Circuit::Closed => 0,
            Circuit::HalfOpen => 1,
            Circuit::Open => 2,
        };
        text.push_str(&format!("{NAME}{{mount=\"{}\"}} {state}\n", mount.config.name));
    }
    text
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("budget", &self.budget).finish_non_exhaustive()
    }
}
