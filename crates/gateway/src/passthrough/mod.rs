//! What no dialect owns, passed on to the server that was there before.
//!
//! Not a stop of the others' way: nobody is authenticated, nothing is decoded, and an answer has no end
//! that could be waited for. What it shares with them is the front, the places and the log.

pub(crate) mod headers;
mod paced;
pub(crate) mod told;

use std::{
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use gateway_core::{Error, ErrorKind, Timestamp, UserStore};
use gateway_dialect::Occasion;
use gateway_outbound::{CallError, Inflow, Outgoing, Relay};
use http::{Request, Response, Version, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use uuid::Uuid;

pub use self::told::Tally;
use self::{headers::Hop, paced::Paced, told::Told};
use crate::{
    admit::{catch_panic, drain, read_body},
    body::AnswerBody,
    live::Live,
    mount::Mount,
    otel::Traced,
    server::{Origin, Streaming},
    service::{Gateway, finish},
    shed::{Load, Place},
};

/// A body that is said to be no longer is read before its request is passed on, which then goes in one
/// piece; a longer one goes as it comes.
const SMALL: u64 = 16 * 1024;

/// What is known of a request that is passed on.
#[derive(Clone, Copy)]
pub(crate) struct Passing<'r> {
    pub(crate) live: &'r Live,
    pub(crate) mount: &'r Mount,
    pub(crate) relay: &'r Arc<Relay>,
    pub(crate) origin: Origin<'r>,
    pub(crate) now: Timestamp,
    pub(crate) id: Uuid,
}

/// Why the client's own body came to no end.
type Fault = Arc<OnceLock<ErrorKind>>;

/// The body of an answer that is passed on, and what lasts as long.
pub struct Passed {
    inflow: Inflow,
    /// How it broke off, until that is said.
    broken: Option<CallError>,
    told: Told,
    _place: Place,
    _streaming: Streaming,
}

impl<S: UserStore> Gateway<S> {
    /// Passes a request on. Never fails: what goes wrong before an answer begins is one in the dialect.
    pub(crate) async fn pass<B>(
        &self,
        passing: Passing<'_>,
        traced: Option<Traced>,
        head: Parts,
        body: B,
    ) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Passing { mount, .. } = passing;
        let config = &mount.config;
        let method = head.method.clone();
        let cors = config.cors.as_ref().map(|cors| cors.headers(&head.headers));
        let mut told = Told::begin(&self.access, mount.tally(self.metrics()), &passing, &method, traced);
        let passed = {
            let exchange = pin!(self.exchange(passing, head, body, &mut told));
            catch_panic(exchange).await
        };
        let result = passed.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal).cause("panic")));
        let error = match result {
            Ok((response, place, streaming)) => {
                told.answered(response.status());
                return response.map(|inflow| {
                    AnswerBody::Passed(Box::new(Passed {
                        inflow,
                        broken: None,
                        told,
                        _place: place,
                        _streaming: streaming,
                    }))
                });
            }
            Err(error) => error,
        };
        let mut id = Uuid::encode_buffer();
        let request_id = &*passing.id.as_hyphenated().encode_lower(&mut id);
        let occasion = Occasion { request_id, target: None, external_id: None };
        let mut answer = config.dialect.render(&error, &occasion);
        answer.headers.extend(cors.into_iter().flatten());
        told.refused(answer.status, &error);
        AnswerBody::whole(finish(answer, &method, Some((mount, request_id))))
    }

    async fn exchange<B>(
        &self,
        passing: Passing<'_>,
        mut head: Parts,
        body: B,
        told: &mut Told,
    ) -> Result<(Response<Inflow>, Place, Streaming), Error>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let Passing { live, relay, origin, .. } = passing;
        let client = live.proxies.client(origin.peer.ip(), &head.headers);
        let place = match self.place(live, client) {
            Ok(place) => place,
            Err(refused) => {
                drain(&head.headers, body);
                return Err(refused);
            }
        };
        let fault = Fault::default();
        let body = outgoing(&head, body, live, &fault).await?;
        let streaming = origin.stream(relay.passage().idle);
        headers::outward(&mut head, &Hop { origin, client, proxies: &live.proxies }, &body);
        told.trace(&mut head.headers);
        let mut request = Request::new(body);
        *request.uri_mut() = target(relay, &head).ok_or_else(|| failed(CallError::Protocol))?.into();
        *request.method_mut() = head.method;
        *request.headers_mut() = head.headers;
        let mut response = relay.pass(request).await.map_err(|error| match fault.get() {
            Some(kind) => of_the_client(*kind),
            None => {
                told.failed(error);
                failed(error)
            }
        })?;
        *response.version_mut() = Version::default();
        headers::homeward(&mut response);
        Ok((response, place, streaming))
    }

    /// What refuses a request before anything is spent on it.
    fn place(&self, live: &Live, client: Option<std::net::IpAddr>) -> Result<Place, Error> {
        let overload = || Error::new(ErrorKind::Unavailable).retry_after(1).cause("overload");
        let place = Load::enter(Arc::clone(&self.load), live.max_requests).ok_or_else(overload)?;
        if let (Some(failed_auth), Some(client)) = (&live.failed_auth, client) {
            failed_auth.check(client)?;
        }
        Ok(place)
    }
}

fn target(relay: &Relay, head: &Parts) -> Option<http::uri::PathAndQuery> {
    relay.target(head.uri.path_and_query()?)
}

/// The body as it goes on: a small one whole, any other as it comes. One that its client holds back is
/// asked for by the server alone.
async fn outgoing<B>(head: &Parts, body: B, live: &Live, fault: &Fault) -> Result<Outgoing, Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if body.is_end_stream() {
        return Ok(Outgoing::whole(Bytes::new()));
    }
    let is_small = body.size_hint().upper().is_some_and(|most| most <= SMALL);
    if is_small && !head.headers.contains_key(header::EXPECT) {
        return read_body(&head.headers, body, SMALL as usize, live.limits.body).await.map(Outgoing::whole);
    }
    Ok(Outgoing::coming(Paced::new(body, live.limits.body, Arc::clone(fault)).boxed_unsync()))
}

/// The answer to a client whose own body came to no end.
fn of_the_client(kind: ErrorKind) -> Error {
    match kind {
        ErrorKind::Timeout => Error::new(kind).cause("body_timeout"),
        _ => Error::new(kind).message("The request body ended early").cause("body_aborted"),
    }
}

/// The answer where the server gave none.
fn failed(error: CallError) -> Error {
    let kind = match error {
        CallError::Open | CallError::Busy => ErrorKind::Unavailable,
        CallError::Timeout => ErrorKind::UpstreamTimeout,
        _ => ErrorKind::UpstreamFailed,
    };
    let error = Error::new(kind).cause(error.as_str());
    if kind == ErrorKind::Unavailable { error.retry_after(1) } else { error }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = CallError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallError>>> {
        let passed = self.get_mut();
        if let Some(error) = passed.broken {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = Pin::new(&mut passed.inflow).poll_frame(context);
        match polled {
            // What came before may still be on its way to the client: that goes first.
            Poll::Ready(Some(Err(error))) => {
                passed.told.failed(error);
                passed.broken = Some(error);
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(None) => passed.told.ended(),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inflow.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inflow.size_hint()
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if self.inflow.is_end_stream() {
            self.told.ended();
        }
    }
}
