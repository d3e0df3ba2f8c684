//! One request, seven stops: listen → route → admit → authenticate → decode → execute → answer.
//!
//! [`Gateway::handle`] observes: it routes, times, renders every failure through the mount's
//! dialect, logs once and counts. [`Gateway::stops`] inside it is plain code with `?`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway_auth::Presented;
use gateway_core::{Error, ErrorKind, LedgerKey, UserId, UserStore};
use gateway_dialect::{Action, Answer, Hygiene, Request, Resolution, Site, Target, Verb, allow, resolve};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::Body;
use uuid::Uuid;

use crate::{
    admit::{catch_panic, drain, read_body},
    clock::Clock,
    config::{MountConfig, routing::longest_prefix},
    digest,
    idempotency::{self, Claim},
    metrics::Metrics,
    mount::Mount,
    queue::Queues,
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
    mounts: Vec<Mount>,
    limits: Limits,
    clock: Clock,
    pub(crate) metrics: Metrics,
    /// One turn for each Idempotency-Key in flight.
    pub(crate) keys: Queues<LedgerKey>,
    /// One turn for each user being written.
    pub(crate) writers: Queues<UserId>,
}

/// What is known of a request while it runs, for the log and for the answer's headers.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    action: Option<Action>,
    template: Option<&'static str>,
    allow: Option<String>,
    /// The kind of the error that was answered, also when it was rendered on the way.
    pub(crate) failed: Option<ErrorKind>,
    pub(crate) cause: Option<&'static str>,
    pub(crate) replayed: bool,
    /// True from the moment at which the outcome may be unknown.
    pub(crate) committing: bool,
}

/// A request as the stops pass it on.
pub(crate) struct Visit<'a> {
    pub(crate) mount: &'a Mount,
    pub(crate) site: Site<'a>,
    head: &'a Parts,
    /// The raw target, as sent.
    target: &'a str,
    /// The raw path below the prefix.
    path: &'a str,
}

impl<S: UserStore> Gateway<S> {
    /// A gateway over a store.
    #[must_use]
    pub fn new(store: S, mounts: Vec<Mount>, limits: Limits, clock: Clock, metrics: Metrics) -> Self {
        Self { store, mounts, limits, clock, metrics, keys: Queues::default(), writers: Queues::default() }
    }

    /// The store.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The metrics.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers a request. Never fails: whatever goes wrong is an answer.
    pub async fn handle<B>(&self, request: http::Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let id = Uuid::new_v4().as_hyphenated().to_string();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut trace = Trace::default();
        let (mount, answer) = match self.route(&head) {
            Some((mount, path)) => {
                let site = self.site(mount, &id);
                let visit = Visit { mount, site, head: &head, target, path };
                (Some(mount), self.answer(&visit, body, &mut trace).await)
            }
            None => {
                drain(body);
                trace.failed = Some(ErrorKind::NoRoute);
                (None, unmounted(&id))
            }
        };
        self.observe(mount, &head, &id, &trace, answer.status, started.elapsed());
        finish(answer, &head, mount.map(|mount| (mount, &*id)))
    }

    fn site<'s>(&self, mount: &'s Mount, request_id: &'s str) -> Site<'s> {
        let MountConfig { reach, unknown_fields, .. } = &mount.config;
        Site { reach, unknown_fields: *unknown_fields, now: (self.clock)(), request_id }
    }

    /// The answer of a mount: everything that goes wrong in it is rendered here.
    async fn answer<B>(&self, visit: &Visit<'_>, body: B, trace: &mut Trace) -> Answer
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let config = &visit.mount.config;
        let result = match catch_panic(self.stops(visit, body, trace)).await {
            Some(result) => result,
            None => Err(Error::new(ErrorKind::Internal).cause("panic")),
        };
        let answer = result.unwrap_or_else(|error| {
            trace.failed = Some(error.kind);
            trace.cause = error.cause;
            if let Some(source) = &error.source {
                let request_id = visit.site.request_id;
                tracing::error!(request_id, mount = %config.name, %source, "a request failed within");
            }
            config.dialect.render(&error, visit.site.request_id)
        });
        match trace.allow.take().and_then(|allow| HeaderValue::try_from(allow).ok()) {
            Some(allow) => answer.header(header::ALLOW, allow),
            None => answer,
        }
    }

    fn route<'s>(&'s self, head: &'s Parts) -> Option<(&'s Mount, &'s str)> {
        let host =
            head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| head.uri.host());
        let path = head.uri.path();
        let (mount, prefix) = longest_prefix(&self.mounts, host, path)?;
        Some((mount, &path[prefix.len()..]))
    }

    /// Stops 2 to 7 (decision 2). Whatever fails here is answered in the dialect.
    async fn stops<B>(&self, visit: &Visit<'_>, body: B, trace: &mut Trace) -> Result<Answer, Error>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let config = &visit.mount.config;
        let refused = resolve_target(visit, trace).and_then(|target| {
            let authenticator = &config.authenticator;
            authenticator.precheck(&visit.head.headers).map(|()| target)
        });
        let target = match refused {
            Ok(target) => target,
            Err(error) => {
                drain(body);
                return Err(error);
            }
        };
        let body = read_body(&visit.head.headers, body, config.max_body_bytes, self.limits.body).await?;
        let work = self.work(visit, target, &body, trace);
        match tokio::time::timeout(self.limits.work, work).await {
            Ok(result) => result,
            Err(_elapsed) if trace.committing => {
                Err(Error::new(ErrorKind::UnknownOutcome).retry_after(1).cause("deadline"))
            }
            Err(_elapsed) => Err(Error::new(ErrorKind::Unavailable).retry_after(1).cause("deadline")),
        }
    }

    /// From authentication on, within the deadline.
    async fn work(
        &self,
        visit: &Visit<'_>,
        target: Target<'_>,
        body: &Bytes,
        trace: &mut Trace,
    ) -> Result<Answer, Error> {
        let (config, headers) = (&visit.mount.config, &visit.head.headers);
        let public = config.public_prefix.as_ref().map(|prefix| public_target(prefix, visit));
        let signed = public.as_deref().unwrap_or(visit.target);
        let presented = Presented { method: visit.head.method.as_str(), target: signed, headers, body };
        let caller = config.authenticator.authenticate(&presented, visit.site.now)?;
        visit.mount.admit(&caller)?;
        if target.route.verb.has_body() {
            config.dialect.check_media(headers)?;
            digest::check(headers, body)?;
        }
        let request = Request { target, query: visit.head.uri.query(), headers, body };
        if !target.route.action.writes() {
            let operation = self.decode(visit, &caller, &request)?;
            return self.read(visit, &operation).await;
        }
        let key = idempotency::key(headers)?;
        let claim = |kind: &str, key: &[u8], fingerprint| Claim {
            ledger_key: idempotency::ledger_key(kind, visit.site.reach, &caller.client, key),
            fingerprint,
        };
        let print = idempotency::fingerprint(visit.head.method.as_str(), visit.target, body);
        let key_claim = key.map(|key| claim("key", key.as_bytes(), print));
        let proof = config.replay_protection.then(|| config.authenticator.proof(headers)).flatten();
        // A signature is used up together with the key it came with.
        let used_with = idempotency::fingerprint("", "", key.as_ref().map_or(&[][..], |key| key.as_bytes()));
        let signature_claim = proof.map(|proof| claim("signature", &proof, used_with));
        self.once(visit, &caller, &request, key_claim, signature_claim, trace).await
    }

    pub(crate) fn decode(
        &self,
        visit: &Visit<'_>,
        caller: &gateway_core::Caller,
        request: &Request<'_>,
    ) -> Result<gateway_core::Operation, Error> {
        let decoded = visit.mount.config.dialect.decode(&visit.site, caller, request)?;
        for name in &decoded.unknown {
            self.metrics.unknown_field(&visit.mount.config.name, &visit.mount.unknown_label(name));
        }
        Ok(decoded.operation)
    }

    /// The one line of the log, and the counters (decision 14).
    fn observe(
        &self,
        mount: Option<&Mount>,
        head: &Parts,
        id: &str,
        trace: &Trace,
        status: StatusCode,
        took: Duration,
    ) {
        let name = mount.map_or("-", |mount| &*mount.config.name);
        let namespace = mount
            .and_then(|mount| mount.config.reach.namespace())
            .map_or("*", |namespace| namespace.as_str());
        let operation = trace.action.map_or("none", Action::as_str);
        let outcome = trace.failed.map_or("ok", ErrorKind::as_str);
        let method = Verb::of(&head.method).map_or("other", Verb::as_str);
        self.metrics.request(name, operation, outcome, took);
        if trace.replayed {
            self.metrics.replay(name);
        }
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (route, cause) = (trace.template.unwrap_or("-"), trace.cause.unwrap_or("-"));
        tracing::info!(target: "interlingua::access", request_id = id, mount = name, namespace, method, status = status.as_u16(), route, operation, outcome, cause, replayed = trace.replayed, took_us, "request");
    }
}

fn resolve_target<'v>(visit: &Visit<'v>, trace: &mut Trace) -> Result<Target<'v>, Error> {
    let routes = visit.mount.config.dialect.routes();
    match resolve(routes, Verb::of(&visit.head.method), visit.path) {
        Resolution::Found(target) => {
            trace.action = Some(target.route.action);
            trace.template = Some(target.route.template);
            Ok(target)
        }
        Resolution::OtherMethods(template) => {
            trace.template = Some(template);
            trace.allow = Some(allow(routes, template));
            Err(ErrorKind::MethodNotAllowed.into())
        }
        Resolution::Nowhere => Err(ErrorKind::NoRoute.into()),
    }
}

/// The target as the client sent it to the proxy before us (decision 17).
fn public_target(prefix: &str, visit: &Visit<'_>) -> String {
    let query = visit.head.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    format!("{prefix}{}{query}", visit.path)
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
fn finish(answer: Answer, head: &Parts, known: Option<(&Mount, &str)>) -> Response<Full<Bytes>> {
    let length = answer.body.len();
    let body = if head.method == Method::HEAD { Bytes::new() } else { answer.body };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.extend(answer.headers);
    if head.method == Method::HEAD {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if answer.hygiene == Hygiene::Full {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some((mount, id)) = known
            && let Ok(id) = HeaderValue::from_str(id)
        {
            headers.insert(mount.config.dialect.request_id_header(), id);
        }
    }
    response
}
