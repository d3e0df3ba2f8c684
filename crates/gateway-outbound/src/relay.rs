//! Requests that are passed on as they come, to one server, and their answers as they come back.
//!
//! The one who asks drives the connection: a request costs no task, and no word between tasks. So what
//! is dropped is cancelled, and a body is read only while somebody takes it.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version, header, response, uri::PathAndQuery,
};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    ext::on_informational,
};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use crate::{
    Alarm, CallError, Endpoint, Outgoing, Trust,
    breaker::Breaker,
    client::broken,
    connect::{Line, Lookup, connect, system},
    outgoing::Flow,
    pool::{Pool, Waiting},
};

/// Where requests are passed on to, and how patiently. Two that are equal need only one relay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passage {
    /// Where to; its path goes before that of each request.
    pub endpoint: Endpoint,
    /// Whose certificates are believed there.
    pub trust: Trust,
    /// For a connection to be made.
    pub connect: Duration,
    /// For an answer to begin, once the request is there.
    pub head: Duration,
    /// For more of an answer to come.
    pub idle: Duration,
}

/// Passes requests on to one server.
pub struct Relay {
    passage: Passage,
    tls: Arc<ClientConfig>,
    lookup: Lookup,
    /// Of connecting alone: whoever can be connected to is there.
    breaker: Breaker,
    waiting: Arc<Pool<Driven>>,
}

/// A connection that whoever uses it drives, with its one timer.
struct Driven {
    line: Line<Outgoing>,
    alarm: Alarm,
}

impl Waiting for Driven {
    fn is_ready(&mut self) -> bool {
        self.line.is_ready()
    }
}

/// Why an exchange came to nothing, and the request where none of it was written.
struct Failed(CallError, Option<Request<Outgoing>>);

impl Relay {
    /// A relay, with no connection yet.
    ///
    /// # Errors
    /// [`CallError::Tls`], where the issuers cannot be used; [`Trust::private`] has told before.
    pub fn new(passage: Passage) -> Result<Self, CallError> {
        let tls = passage.trust.config(&[b"http/1.1"]).ok().ok_or(CallError::Tls)?;
        let breaker = Breaker::new(Instant::now());
        Ok(Self { passage, tls, lookup: system, breaker, waiting: Arc::default() })
    }

    /// What it was made with.
    pub const fn passage(&self) -> &Passage {
        &self.passage
    }

    /// The target of a request as the server is sent it: the same bytes, behind its own path.
    #[must_use]
    pub fn target(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        match self.passage.endpoint.target.path().trim_end_matches('/') {
            "" => Some(target.clone()),
            base => PathAndQuery::try_from(format!("{base}{}", target.as_str())).ok(),
        }
    }

    /// Passes a request on, with `Host` as the server is called. Dropped, it is cancelled.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn pass(&self, mut request: Request<Outgoing>) -> Result<Response<Inflow>, CallError> {
        request.headers_mut().insert(header::HOST, self.passage.endpoint.authority.clone());
        let flow = request.body().flow();
        if let Some(flow) = &flow
            && request.headers().contains_key(header::EXPECT)
        {
            let asked = Arc::clone(flow);
            on_informational(&mut request, move |answer| {
                if answer.status() == StatusCode::CONTINUE {
                    asked.ask();
                }
            });
            request.body_mut().hold();
        }
        if let Some(line) = self.waiting.take() {
            let spare = spare(&request);
            match self.exchange(line, request, flow.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(Failed(CallError::Reset, unsent)) => {
                    request = unsent.or(spare).ok_or(CallError::Reset)?
                }
                Err(Failed(error, _)) => return Err(error),
            }
        }
        let line = self.connect().await?;
        self.exchange(line, request, flow).await.map_err(|Failed(error, _)| error)
    }

    async fn connect(&self) -> Result<Driven, CallError> {
        let pass = self.breaker.pass(Instant::now()).ok_or(CallError::Open)?;
        let deadline = Instant::now() + self.passage.connect;
        let connecting = connect(&self.passage.endpoint, &self.tls, self.lookup, deadline);
        let connected = Box::pin(timeout_at(deadline, connecting)).await.unwrap_or(Err(CallError::Connect));
        pass.ended(!connected.as_ref().is_err_and(|error| error.is_down()), Instant::now());
        Ok(Driven { line: connected?, alarm: Alarm::new(deadline + self.passage.head) })
    }

    /// Sends a request, and drives the connection until its answer begins.
    async fn exchange(
        &self,
        mut line: Driven,
        request: Request<Outgoing>,
        flow: Option<Arc<Flow>>,
    ) -> Result<Response<Inflow>, Failed> {
        let mut answer = std::pin::pin!(line.line.sender.try_send_request(request));
        let mut since = Instant::now();
        let answered = std::future::poll_fn(|context| {
            // What comes of it comes by driving it here, so that nobody else needs to wake anybody.
            let ended = line.line.driver.poll(context).is_ready();
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answered) => return Poll::Ready(Ok(answered)),
                Poll::Pending if ended => return Poll::Ready(Err(CallError::Reset)),
                Poll::Pending => {}
            }
            if let Some(flow) = &flow {
                if flow.has_moved() {
                    since = Instant::now();
                }
                // How fast a client sends is for others to judge.
                if flow.waits() {
                    return Poll::Pending;
                }
            }
            line.alarm.poll(context, since + self.passage.head).map(|()| Err(CallError::Timeout))
        });
        let (head, body) = match answered.await {
            Ok(Ok(response)) => response.into_parts(),
            Ok(Err(mut failed)) => {
                let unsent = failed.take_message();
                let error = if unsent.is_some() { CallError::Reset } else { broken(failed.error()) };
                return Err(Failed(error, unsent));
            }
            Err(error) => return Err(Failed(error, None)),
        };
        if !is_plain(&head) {
            return Err(Failed(CallError::Protocol, None));
        }
        let (waiting, idle) = (Arc::clone(&self.waiting), self.passage.idle);
        let is_reusable = head.version == Version::HTTP_11;
        let inflow = Inflow { body, line: Some(line), waiting, flow, idle, since: None, is_reusable };
        Ok(Response::from_parts(head, inflow))
    }
}

/// A request that may be sent a second time, where a connection that waited turns out to be closed: one
/// that has no effect, or the same one (RFC 9110, 9.2.2), and is here as a whole.
fn spare(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let mut spare = Request::new(request.body().repeated()?);
    *spare.method_mut() = request.method().clone();
    *spare.uri_mut() = request.uri().clone();
    *spare.headers_mut() = request.headers().clone();
    Some(spare)
}

/// Whether an answer is one that can be passed on: no other protocol, and no coding of its bytes on the
/// way but by chunks, since that is taken off here.
fn is_plain(head: &response::Parts) -> bool {
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    !head.status.is_informational() && head.headers.get_all(header::TRANSFER_ENCODING).iter().all(is_chunked)
}

/// The body of an answer, as it comes. Dropped before its end, it closes the connection that it comes by.
pub struct Inflow {
    body: Incoming,
    line: Option<Driven>,
    waiting: Arc<Pool<Driven>>,
    flow: Option<Arc<Flow>>,
    idle: Duration,
    /// Since when more of it is waited for.
    since: Option<Instant>,
    is_reusable: bool,
}

impl Inflow {
    /// What is here, if need be after the connection was driven.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        let mut silent = Context::from_waker(Waker::noop());
        let mut polled = Pin::new(&mut self.body).poll_frame(&mut silent);
        if polled.is_pending()
            && let Some(line) = &mut self.line
        {
            let _shows_in_the_body = line.line.driver.poll(context);
            polled = Pin::new(&mut self.body).poll_frame(&mut silent);
        }
        polled.map_err(|error| broken(&error))
    }

    /// Waits for more, as long as that may take.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<CallError> {
        let has_moved = self.flow.as_ref().is_some_and(|flow| flow.has_moved());
        if has_moved {
            self.since = None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        match &mut self.line {
            Some(line) => line.alarm.poll(context, since + self.idle).map(|()| CallError::Timeout),
            None => Poll::Ready(CallError::Reset),
        }
    }

    /// The answer is whole. A connection on which the request is not goes no further.
    fn end(&mut self) {
        if let Some(line) = self.line.take()
            && self.is_reusable
        {
            self.waiting.put(line);
        }
    }
}

impl Body for Inflow {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        let inflow = self.get_mut();
        match inflow.poll(context) {
            Poll::Ready(Some(Ok(frame))) => {
                inflow.since = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                inflow.line = None;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                inflow.end();
                Poll::Ready(None)
            }
            Poll::Pending => inflow.poll_patience(context).map(|error| {
                inflow.line = None;
                Some(Err(error))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("passage", &self.passage).finish_non_exhaustive()
    }
}
