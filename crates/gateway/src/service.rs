//! One request, seven stops: listen → route → admit → authenticate → decode → execute → answer.
//!
//! [`Gateway::handle`] observes: it routes, times, renders every failure through the mount's
//! dialect, logs once and counts. The stops inside it (`stops.rs`) are plain code with `?`.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use gateway_core::{Error, ErrorKind, LedgerKey, Timestamp, UserId, UserStore};
use gateway_dialect::{Answer, Hygiene, Occasion};
use gateway_outbound::trace::TraceContext;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::Body;
use uuid::Uuid;

use crate::{
    access::AccessLog,
    admit::{catch_panic, drain},
    body::AnswerBody,
    clock::Clock,
    ids::Ids,
    limits::SharedCount,
    live::Live,
    metrics::Metrics,
    mount::Mount,
    otel::Tracer,
    passthrough::Passing,
    preconditions::TagKey,
    queue::Queues,
    server::Origin,
    shed::Load,
    vault::Vault,
    watch::{Came, Trace, Watch},
};

/// What a request takes at most, apart from its size, which a mount bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For its body to arrive.
    pub body: Duration,
    /// For everything from authentication to commit.
    pub work: Duration,
}

/// The mounts, and the store behind them.
pub struct Gateway<S> {
    pub(crate) store: S,
    /// A request takes it once, and keeps what it took until its end.
    live: ArcSwap<Live>,
    pub(crate) load: Arc<Load>,
    clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) access: AccessLog,
    /// Where requests are traced.
    tracer: Option<Arc<Tracer>>,
    ids: Ids,
    pub(crate) vault: Vault,
    /// Where limits are counted together with other gateways.
    pub(crate) shared_count: Option<Arc<SharedCount>>,
    /// One turn for each Idempotency-Key in flight.
    pub(crate) keys: Queues<LedgerKey>,
    /// One turn for each user being written.
    pub(crate) writers: Queues<UserId>,
}

/// A request that came to a mount.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'r> {
    pub(crate) live: &'r Live,
    /// The socket's other end.
    pub(crate) peer: SocketAddr,
    pub(crate) mount: &'r Mount,
    pub(crate) head: &'r Parts,
    /// The raw target, as sent.
    pub(crate) target: &'r str,
    /// The prefix under which it came.
    pub(crate) prefix: &'r str,
    /// The raw path below the prefix.
    pub(crate) path: &'r str,
    /// The one clock reading.
    pub(crate) now: Timestamp,
    pub(crate) request_id: &'r str,
}

impl<S: UserStore> Gateway<S> {
    /// A gateway over a store.
    #[must_use]
    pub fn new(store: S, live: Live, clock: Clock, metrics: Metrics) -> Self {
        let vault = Vault::default();
        Self {
            store,
            live: ArcSwap::from_pointee(live),
            load: Arc::default(),
            clock,
            metrics,
            access: AccessLog::default(),
            tracer: None,
            ids: Ids::default(),
            vault,
            shared_count: None,
            keys: Queues::default(),
            writers: Queues::default(),
        }
    }

    /// The same, with secret documents sealed.
    #[must_use]
    pub fn with_vault(self, vault: Vault) -> Self {
        Self { vault, ..self }
    }

    /// The same, with limits counted together with other gateways.
    #[must_use]
    pub(crate) fn with_shared_count(self, shared_count: Option<Arc<SharedCount>>) -> Self {
        Self { shared_count, ..self }
    }

    /// The same, with a line of the log for each request.
    #[must_use]
    pub fn with_access_log(self, access: AccessLog) -> Self {
        Self { access, ..self }
    }

    /// The same, with its requests traced.
    #[must_use]
    pub(crate) fn with_tracer(self, tracer: Option<Arc<Tracer>>) -> Self {
        Self { tracer, ..self }
    }

    /// Where requests are traced, if they are.
    pub(crate) const fn tracer(&self) -> Option<&Arc<Tracer>> {
        self.tracer.as_ref()
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The reader of the clock.
    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.clock)
    }

    /// What entity tags are keyed with. Asked of the store each time: one that is away at the start knows
    /// it only later, but always before it gives a user out.
    pub(crate) fn tags(&self) -> TagKey {
        TagKey::new(self.store.key())
    }

    /// The metrics.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The configuration that new requests are served by.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Serves new requests by another configuration; those under way end by theirs.
    pub fn swap(&self, live: Live) {
        self.live.store(Arc::new(live));
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> usize {
        self.load.taken()
    }

    /// Answers a request of a peer. Never fails: whatever goes wrong is an answer.
    pub async fn handle<'c, B>(
        &self,
        origin: impl Into<Origin<'c>> + Send,
        request: http::Request<B>,
    ) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let origin = origin.into();
        let live = self.live();
        let (head, body) = request.into_parts();
        let (id, now) = (self.ids.next(), (self.clock)());
        let peer = origin.peer;
        let traced = self.tracer().map(|tracer| {
            let is_believed = live.proxies.trusts(peer.ip());
            let caller = if is_believed { TraceContext::read(&head.headers) } else { None };
            tracer.begin(caller, id, now)
        });
        let route = live.route(&head);
        if let Some((mount, _, path)) = route
            && let Some(relay) = mount.relay(&head.method, path)
        {
            let passing = Passing { live: &live, mount, relay, origin, now, id };
            // On the heap, so that no other request carries its state.
            return Box::pin(self.pass(passing, traced, head, body)).await;
        }
        let mut text = Uuid::encode_buffer();
        let request_id = &*id.as_hyphenated().encode_lower(&mut text);
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mount = route.map(|(mount, ..)| mount);
        let came = Came { mount, head: &head, request_id, now, traced: traced.as_ref() };
        let mut watch = Watch::begin(&self.metrics, &self.access, came);
        let answer = match route {
            Some((mount, prefix, path)) => {
                let (live, head) = (&*live, &head);
                let arrival = Arrival { live, peer, mount, head, target, prefix, path, now, request_id };
                let answer = pin!(self.answer(arrival, body, &mut watch.trace));
                match &traced {
                    None => answer.await,
                    Some(traced) => traced.scope.clone().around(answer).await,
                }
            }
            None => {
                drain(&head.headers, body);
                watch.trace.failed = Some(ErrorKind::NoRoute);
                unmounted(request_id)
            }
        };
        watch.end(answer.status);
        AnswerBody::whole(finish(answer, &head.method, mount.map(|mount| (mount, request_id))))
    }

    /// The answer of a mount: everything that goes wrong in it is rendered here.
    async fn answer<'r, B>(&self, arrival: Arrival<'r>, body: B, trace: &mut Trace<'r>) -> Answer
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let config = &arrival.mount.config;
        let caught = {
            let stops = pin!(self.stops(arrival, body, trace));
            catch_panic(stops).await
        };
        let result = match caught {
            Some(result) => result,
            None => Err(Error::new(ErrorKind::Internal).cause("panic")),
        };
        let request_id = arrival.request_id;
        let mut answer = result.unwrap_or_else(|error| {
            trace.failed = Some(error.kind);
            trace.cause = error.cause;
            if let Some(source) = &error.source {
                tracing::error!(request_id, mount = %config.name, %source, "a request failed within");
            }
            config.dialect.render(&error, &Occasion { request_id, target: trace.target, external_id: None })
        });
        if let Some(allow) = trace.allow.take().and_then(|allow| HeaderValue::try_from(allow).ok()) {
            answer = answer.header(header::ALLOW, allow);
        }
        if let (Some(limits), Some(standing)) = (&arrival.mount.limits, trace.standing)
            && config.dialect.tells_limits()
        {
            answer.headers.extend(limits.headers(standing));
        }
        if let Some(cors) = &config.cors {
            answer.headers.extend(cors.headers(&arrival.head.headers));
        }
        answer
    }
}

/// Problem details (RFC 9457), for what no dialect answers.
#[derive(serde::Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    instance: String,
}

/// The answer to a path in no mount (decision 10).
fn unmounted(id: &str) -> Answer {
    let body = Problem {
        kind: "urn:interlingua:problem:no-mount",
        title: "Not Found",
        status: 404,
        detail: "No API is mounted at this path.",
        instance: format!("urn:request:{id}"),
    };
    Answer::json(StatusCode::NOT_FOUND, "application/problem+json", &body)
}

/// Adds what every answer carries (decision 11), and takes the body from an answer to HEAD.
pub(crate) fn finish(
    answer: Answer,
    method: &Method,
    known: Option<(&Mount, &str)>,
) -> Response<Full<Bytes>> {
    let length = answer.body.len();
    let body = if *method == Method::HEAD { Bytes::new() } else { answer.body };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.reserve(answer.headers.len() + 4);
    headers.extend(answer.headers);
    // A 304 has none of its own (RFC 9110, 8.6).
    if *method == Method::HEAD && answer.status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if answer.hygiene == Hygiene::Full {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some((mount, id)) = known
            && let Some(name) = mount.config.dialect.request_id_header()
            && let Ok(id) = HeaderValue::from_str(id)
        {
            headers.insert(name, id);
        }
    }
    response
}
