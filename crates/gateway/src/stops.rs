//! The stops of a request in a mount, in the order of decision 2. Whatever fails here is answered
//! in the dialect.

use std::{net::IpAddr, pin::pin, sync::OnceLock};

use bytes::Bytes;
use gateway_auth::Presented;
use gateway_core::{Caller, Error, ErrorKind, Namespace, Reach, Status, User, UserId, UserStore};
use gateway_dialect::{Answer, Decoded, Form, Request, Resolution, Site, Target, Verb, allow, resolve};
use http::Method;
use hyper::body::Body;

use crate::{
    admit::{drain, read_body, within},
    config::MountNamespace,
    digest,
    idempotency::{self, Claim},
    limits,
    mount::Mount,
    once::Claims,
    preconditions::Conditions,
    prefer::wants_minimal,
    service::{Arrival, Gateway},
    shed::{Load, Place},
    watch::Trace,
};

/// A request that is routed: the mount, and the site that dialects see.
pub(crate) struct Visit<'a> {
    pub(crate) mount: &'a Mount,
    pub(crate) site: Site<'a>,
    pub(crate) target: Target<'a>,
    pub(crate) conditions: Conditions<'a>,
    /// The user that it is to change, once it was found: whom a refusal speaks of.
    pub(crate) user: OnceLock<UserId>,
    /// The client would rather have no body.
    pub(crate) is_minimal: bool,
    /// Whose failures are counted, where they are.
    client: Option<IpAddr>,
}

impl Visit<'_> {
    /// Whether its mount shows a user: within its reach, and not closed where that hides it (decision 15).
    pub(crate) fn shows(&self, user: &User) -> bool {
        let is_within = match self.site.reach {
            Reach::All => true,
            Reach::Nobody => false,
            Reach::Namespace(namespace) => user.external_id(namespace).is_some(),
        };
        is_within && (user.status != Status::Closed || self.mount.config.dialect.shows_closed())
    }
}

impl<S: UserStore> Gateway<S> {
    /// Stops 2 to 7.
    pub(crate) async fn stops<'r, B>(
        &self,
        arrival: Arrival<'r>,
        body: B,
        trace: &mut Trace<'r>,
    ) -> Result<Answer, Error>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (config, head) = (&arrival.mount.config, arrival.head);
        let target = match resolve_target(&arrival, trace) {
            Ok(target) => target,
            Err(refused) => {
                drain(&head.headers, body);
                return refused;
            }
        };
        let (_place, client) = match self.admit(&arrival, &target) {
            Ok(admitted) => admitted,
            Err(refused) => {
                drain(&head.headers, body);
                return Err(refused);
            }
        };
        let limits = arrival.live.limits;
        let body = read_body(&head.headers, body, config.max_body_bytes, limits.body).await?;
        let reach = reach(&config.namespace, &target);
        let base = config.public_prefix.as_deref().unwrap_or(arrival.prefix);
        let (now, request_id) = (arrival.now, arrival.request_id);
        let (unknown_fields, form) = (config.unknown_fields, Form::Document);
        let site = Site { reach: &reach, unknown_fields, base, now, request_id, form };
        let conditions = Conditions::of(head);
        let is_minimal = config.dialect.heeds_preferences() && wants_minimal(&head.headers);
        let user = OnceLock::new();
        let mut visit = Visit { mount: arrival.mount, site, target, conditions, user, is_minimal, client };
        let result = {
            let work = pin!(self.work(&mut visit, arrival, &body, trace));
            within(limits.work, work).await
        };
        match result {
            Ok(result) => result,
            Err(_elapsed) if trace.committing => {
                Err(Error::new(ErrorKind::UnknownOutcome).retry_after(1).cause("deadline"))
            }
            Err(_elapsed) => Err(Error::new(ErrorKind::Unavailable).retry_after(1).cause("deadline")),
        }
    }

    /// What refuses a request before anything is spent on it: too many at once, a client that guesses
    /// credentials, none at all.
    fn admit(
        &self,
        arrival: &Arrival<'_>,
        target: &Target<'_>,
    ) -> Result<(Place<&Load>, Option<IpAddr>), Error> {
        let (live, headers) = (arrival.live, &arrival.head.headers);
        let overload = || Error::new(ErrorKind::Unavailable).retry_after(1).cause("overload");
        let place = Load::enter(&*self.load, live.max_requests).ok_or_else(overload)?;
        let mut client = None;
        if let Some(failed_auth) = &live.failed_auth {
            client = live.proxies.client(arrival.peer.ip(), headers);
            client.map_or(Ok(()), |client| failed_auth.check(client))?;
        }
        arrival.mount.config.authenticator.precheck(headers, target.route.verb == Verb::Get)?;
        Ok((place, client))
    }

    /// From authentication on, within the deadline.
    async fn work(
        &self,
        visit: &mut Visit<'_>,
        arrival: Arrival<'_>,
        body: &Bytes,
        trace: &mut Trace<'_>,
    ) -> Result<Answer, Error> {
        let (config, head) = (&visit.mount.config, arrival.head);
        let (method, headers) = (head.method.as_str(), &head.headers);
        let public = config.public_prefix.as_ref().map(|prefix| public_target(prefix, &arrival));
        let target = public.as_deref().unwrap_or(arrival.target);
        let route = visit.target.route;
        let presented = Presented { method, target, headers, body, is_read: route.verb == Verb::Get };
        let identified = config.authenticator.authenticate(&presented, arrival.now).wait().await;
        if let (Err(error), Some(limiter), Some(client)) =
            (&identified, &arrival.live.failed_auth, visit.client)
            && error.kind == ErrorKind::BadCredential
        {
            limiter.failed(client);
        }
        let caller = identified?;
        config.dialect.authorize(&visit.site, &caller, &visit.target)?;
        trace.namespace = visit.site.reach.namespace().cloned();
        if let Some(limits) = &visit.mount.limits {
            trace.standing = limits.count(&caller.client, self.shared_count.as_deref()).await;
            trace.standing.map_or(Ok(()), limits::check)?;
        }
        let request = Request { target: visit.target, query: head.uri.query(), headers, body };
        visit.site.form = config.dialect.form(&visit.site, &caller, &request)?;
        let visit = &*visit;
        digest::check(headers, body)?;
        if !route.action.writes() || head.method == Method::HEAD {
            let decoded = self.decode(visit, &caller, &request)?;
            self.count_unknown(visit, &decoded);
            return self.read(visit, &decoded.operation.without_effect()).await;
        }
        let key = idempotency::key(headers, config.dialect.key_form())?;
        let claim = |kind: &str, key: &[u8], fingerprint| Claim {
            ledger_key: idempotency::ledger_key(kind, visit.site.reach, &caller, key),
            fingerprint,
        };
        let counted = (config.dialect.fingerprinted(), headers);
        let print = idempotency::fingerprint(method, arrival.target, counted, body);
        let proof = config.replay_protection.then(|| config.authenticator.proof(headers)).flatten();
        // A signature is used up together with the key it came with.
        let used_with =
            || idempotency::fingerprint("", "", (&[], headers), key.as_deref().unwrap_or_default());
        let claims = Claims {
            key: key.as_deref().map(|key| claim("key", key, print)),
            signature: proof.map(|proof| claim("signature", &proof, used_with())),
        };
        // On the heap, so that a read does not carry the state of a write.
        Box::pin(self.once(visit, &caller, &request, claims, trace)).await
    }

    pub(crate) fn decode(
        &self,
        visit: &Visit<'_>,
        caller: &Caller,
        request: &Request<'_>,
    ) -> Result<Decoded, Error> {
        visit.mount.config.dialect.decode(&visit.site, caller, request)
    }

    /// Counts the names in a request that mean nothing (decision 8).
    pub(crate) fn count_unknown(&self, visit: &Visit<'_>, decoded: &Decoded) {
        for name in &decoded.unknown {
            self.metrics.unknown_field(&visit.mount.config.name, &visit.mount.unknown_label(name));
        }
    }
}

/// The route, or the answer of a path that is none, of another method, or of a preflight.
fn resolve_target<'r>(
    arrival: &Arrival<'r>,
    trace: &mut Trace<'r>,
) -> Result<Target<'r>, Result<Answer, Error>> {
    let config = &arrival.mount.config;
    let routes = config.dialect.routes();
    match resolve(routes, Verb::of(&arrival.head.method), arrival.path) {
        Resolution::Found(target) => {
            trace.target = Some(target);
            Ok(target)
        }
        Resolution::OtherMethods(template) => {
            let preflight = config.cors.as_ref().and_then(|cors| {
                cors.preflight(&arrival.head.method, &arrival.head.headers, routes, template)
            });
            if let Some(preflight) = preflight {
                return Err(Ok(preflight));
            }
            trace.allow = Some(allow(routes, template));
            Err(Err(ErrorKind::MethodNotAllowed.into()))
        }
        Resolution::Nowhere => Err(Err(ErrorKind::NoRoute.into())),
    }
}

/// Which users this request can see.
fn reach(namespace: &MountNamespace, target: &Target<'_>) -> Reach {
    match namespace {
        MountNamespace::Fixed(reach) => reach.clone(),
        MountNamespace::InPath(parameter) => {
            let named = target.decoded(parameter).and_then(|name| Namespace::parse(&name));
            named.map_or(Reach::Nobody, Reach::Namespace)
        }
    }
}

/// The target as the client sent it to the proxy before us (decision 17).
fn public_target(prefix: &str, arrival: &Arrival<'_>) -> String {
    let query = arrival.head.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    format!("{prefix}{}{query}", arrival.path)
}
