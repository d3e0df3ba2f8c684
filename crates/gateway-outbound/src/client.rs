//! A call, from its place in the line to the last byte of its answer.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use rustls::ClientConfig;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{
    CallError, Circuit, Endpoint, Trust,
    breaker::Breaker,
    connect::{Line, Lookup, connect, system},
    pool::Pool,
    trace::Child,
};

/// What a client calls, and on which terms. Two that are equal need only one client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Where calls go.
    pub endpoint: Endpoint,
    /// Whose certificates are believed there.
    pub trust: Trust,
    /// How many calls are under way at once; the others wait.
    pub max_concurrent: usize,
}

/// A request. Its `Host` is the endpoint's.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// What is asked for on the endpoint's server; `None` for the endpoint's own path.
    pub target: Option<PathAndQuery>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answer, whole.
pub struct Reply {
    /// The status; a redirect is one like others.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Bytes,
}

/// Calls one endpoint.
pub struct Client {
    terms: Terms,
    tls: Arc<ClientConfig>,
    lookup: Lookup,
    places: Semaphore,
    breaker: Breaker,
    pool: Arc<Pool<Line<Full<Bytes>>>>,
}

impl Client {
    /// A client, with no connection yet.
    ///
    /// # Errors
    /// [`CallError::Tls`], where the issuers cannot be used; [`Trust::private`] has told before.
    pub fn new(terms: Terms) -> Result<Self, CallError> {
        let tls = terms.trust.config(&[b"http/1.1"]).ok().ok_or(CallError::Tls)?;
        let places = Semaphore::new(terms.max_concurrent.clamp(1, Semaphore::MAX_PERMITS));
        Ok(Self {
            terms,
            tls,
            lookup: system,
            places,
            breaker: Breaker::new(Instant::now()),
            pool: Arc::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn with_lookup(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    /// What it was made with.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether the endpoint is left alone just now.
    pub fn circuit(&self) -> Circuit {
        self.breaker.circuit()
    }

    /// Calls, within a budget of time for everything (a place among the calls, the name, the connection,
    /// TLS, the answer to its last byte), and of bytes for the answer's body. A call that is dropped
    /// closes its connection.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, call: Call, budget: Duration, max_bytes: usize) -> Result<Reply, CallError> {
        let child = self.terms.endpoint.span(&call.method);
        let result = self.within(call, child.as_ref(), Instant::now() + budget, max_bytes).await;
        if let Some(child) = child {
            child.answered(result.as_ref().map(|reply| reply.status).map_err(|error| error.as_str()));
        }
        result
    }

    async fn within(
        &self,
        call: Call,
        child: Option<&Child>,
        deadline: Instant,
        max_bytes: usize,
    ) -> Result<Reply, CallError> {
        let waiting = timeout_at(deadline, self.places.acquire()).await;
        let Ok(Ok(_place)) = waiting else { return Err(CallError::Busy) };
        let pass = self.breaker.pass(Instant::now()).ok_or(CallError::Open)?;
        let calling = timeout_at(deadline, self.exchange(call, child, deadline, max_bytes));
        let result = calling.await.unwrap_or(Err(CallError::Timeout));
        let is_there = match &result {
            Ok(reply) => !reply.status.is_server_error(),
            Err(error) => !error.is_down(),
        };
        pass.ended(is_there, Instant::now());
        result
    }

    async fn exchange(
        &self,
        call: Call,
        child: Option<&Child>,
        deadline: Instant,
        max_bytes: usize,
    ) -> Result<Reply, CallError> {
        let (mut line, response) = self.send(self.request(call, child), deadline).await?;
        let (head, body) = response.into_parts();
        let body = line.driver.bring(collect(body, max_bytes)).await??;
        self.pool.put(line);
        Ok(Reply { status: head.status, headers: head.headers, body })
    }

    /// Sends on a connection that waits. Where it turns out to be closed before any of the request was
    /// written, a new one is made.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<(Line<Full<Bytes>>, Response<Incoming>), CallError> {
        while let Some(mut line) = self.pool.take() {
            let sent = line.sender.try_send_request(request);
            match line.driver.bring(sent).await? {
                Ok(response) => return Ok((line, response)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(failed.error())),
                },
            }
        }
        let connecting = connect(&self.terms.endpoint, &self.tls, self.lookup, deadline);
        let mut line: Line<Full<Bytes>> = Box::pin(connecting).await?;
        let sent = line.sender.send_request(request);
        match line.driver.bring(sent).await? {
            Ok(response) => Ok((line, response)),
            Err(error) => Err(broken(&error)),
        }
    }

    fn request(&self, call: Call, child: Option<&Child>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method;
        *request.uri_mut() = call.target.unwrap_or_else(|| self.terms.endpoint.target.clone()).into();
        *request.headers_mut() = call.headers;
        request.headers_mut().insert(header::HOST, self.terms.endpoint.authority.clone());
        request.headers_mut().entry(header::USER_AGENT).or_insert(HeaderValue::from_static("interlingua"));
        if let Some(child) = child {
            child.write(request.headers_mut());
        }
        request
    }
}

/// A body that is no longer than it may be.
async fn collect(mut body: Incoming, max_bytes: usize) -> Result<Bytes, CallError> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(CallError::TooLarge);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > max_bytes {
            return Err(CallError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// What went wrong on a connection: no HTTP, or its end.
pub(crate) fn broken(error: &hyper::Error) -> CallError {
    if error.is_parse() { CallError::Protocol } else { CallError::Reset }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("terms", &self.terms).finish_non_exhaustive()
    }
}
