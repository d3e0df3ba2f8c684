//! What is refused before anything is spent on it: too many requests at once, and peers that guess.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use gateway::{
    config::{self, Overrides},
    forwarded::{ForwardedHeader, Network, Proxies},
};
use gateway_testkit::{cases::Transport, client::RawRequest, memory::Fault};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use proptest::{collection, prelude::*};
use tests::{Bed, Inside, PEER, Party, partner};
use uuid::Uuid;

/// The mounts, with more in `[server]`.
fn bed(server: &str) -> Bed {
    let mounts = include_str!("../src/mounts.toml");
    Bed::with(&mounts.replacen("[server]\n", &format!("[server]\n{server}\n"), 1))
}

/// How each dialect says that it cannot now (decision 10).
fn unavailable(party: Party) -> &'static str {
    match party {
        Party::Partner => r#"{"error":"internal_error","message":"The service is temporarily unavailable. "#,
        Party::Update => r#"{"error":"The service is temporarily unavailable","code":"user/unavailable"}"#,
        Party::JsonApi => r#"{"errors":[{"id":"#,
        Party::JsonPatch => r#"{"message":"The service is temporarily unavailable","code":1}"#,
    }
}

/// A body that does not come.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn too_many_requests_at_once_are_told_so_in_the_dialect() {
    let inside = Inside::new(&bed("max_requests = 1"));
    let mut slow = http::Request::post("/partner/v1/users").body(Never).unwrap();
    for (name, value) in partner::create("slow", None).headers {
        slow.headers_mut()
            .append(name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap());
    }
    let mut slow = Box::pin(inside.gateway.handle(PEER, slow));
    tokio::select! {
        biased;
        _ = &mut slow => panic!("its body has not come"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(inside.gateway.in_flight(), 1);
    for party in Party::ALL {
        let refused = inside.send(party.create(Uuid::new_v4(), Uuid::new_v4())).await.unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{party:?}");
        let body = String::from_utf8(refused.body).unwrap();
        assert!(body.starts_with(unavailable(party)), "{party:?}: {body}");
    }
    // What costs nothing is answered: a path that is none, another method.
    let odd = RawRequest {
        method: "DELETE".into(),
        target: "/partner/v1/users".into(),
        headers: vec![],
        body: vec![],
    };
    assert_eq!(inside.send(odd).await.unwrap().status, 405);
    let counted = r#"interlingua_requests_total{mount="partner",operation="create",outcome="unavailable"} 1"#;
    assert!(inside.gateway.metrics().render().contains(counted));
    drop(slow);
    assert_eq!(inside.gateway.in_flight(), 0);
    for party in Party::ALL {
        let answer = inside.send(party.create(Uuid::new_v4(), Uuid::new_v4())).await.unwrap();
        assert_eq!(answer.status / 100, 2, "{party:?}");
    }
    assert_eq!(inside.gateway.in_flight(), 0);
}

/// The embedded store sheds commits that it could not begin soon by the same error.
#[tokio::test]
async fn a_store_that_sheds_is_told_so_in_the_dialect() {
    let inside = Inside::new(&Bed::new());
    for party in Party::ALL {
        inside.gateway.store().fail_next_commits(1, Fault::Unavailable);
        let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
        let refused = inside.send(party.create(user, key)).await.unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{party:?}");
        let body = String::from_utf8(refused.body).unwrap();
        assert!(body.starts_with(unavailable(party)), "{party:?}: {body}");
        assert_eq!(inside.send(party.create(user, key)).await.unwrap().status / 100, 2, "{party:?}");
    }
}

fn from(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 4711)
}

/// A read of the demo's project, with a token.
fn with_token(token: &str, forwarded: Option<&str>) -> RawRequest {
    let mut headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    headers.extend(forwarded.map(|value| ("X-Forwarded-For".to_owned(), value.to_owned())));
    let target = "/social/proj1234/users/check-username?username=jane".into();
    RawRequest { method: "GET".into(), target, headers, body: Vec::new() }
}

const GOOD: &str = "demo-service-token";
const LIMITED: &str = "failed_auth_limit = { requests = 1, per_s = 3600, burst = 3 }\n\
                       trusted_proxies = [\"10.0.0.0/8\", \"::1\"]";

#[tokio::test]
async fn a_peer_that_guesses_credentials_is_refused_and_nobody_else() {
    let inside = Inside::new(&bed(LIMITED));
    let send = async |peer: &str, request: RawRequest| inside.send_from(from(peer), request).await.unwrap();
    // No credential at all is no guess.
    let bare = RawRequest { headers: Vec::new(), ..with_token(GOOD, None) };
    for _ in 0..5 {
        assert_eq!(send("203.0.113.9", bare.clone()).await.status, 401);
    }
    for _ in 0..3 {
        assert_eq!(send("203.0.113.9", with_token(GOOD, None)).await.status, 200);
        assert_eq!(send("203.0.113.9", with_token("guess", None)).await.status, 403);
    }
    // A right guess would tell as well, so that nothing is looked at any more, in any mount.
    for request in [with_token(GOOD, None), with_token("guess", None), bare] {
        let refused = send("203.0.113.9", request).await;
        let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!(refused.status == 429 && (1..=3600).contains(&wait));
    }
    let user = Uuid::new_v4();
    for party in Party::ALL {
        assert_eq!(send("203.0.113.9", party.create(user, user)).await.status, 429, "{party:?}");
        assert_eq!(send("203.0.113.10", party.create(Uuid::new_v4(), user)).await.status / 100, 2);
    }
    // Whoever is no proxy cannot say that he is somebody else, or that somebody else is he.
    assert_eq!(send("203.0.113.9", with_token(GOOD, Some("198.51.100.1"))).await.status, 429);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_the_peer() {
    let inside = Inside::new(&bed(LIMITED));
    let send = async |request: RawRequest| inside.send_from(from("10.0.0.1"), request).await.unwrap();
    for n in 0..3 {
        let forged = format!("192.0.2.{n}, 198.51.100.1");
        assert_eq!(send(with_token("guess", Some(&forged))).await.status, 403);
    }
    assert_eq!(send(with_token(GOOD, Some("192.0.2.9, 198.51.100.1"))).await.status, 429);
    assert_eq!(send(with_token(GOOD, Some("198.51.100.1, 198.51.100.2"))).await.status, 200);
    // A proxy that does not say is not held to account for all who are behind it.
    for _ in 0..5 {
        assert_eq!(send(with_token("guess", None)).await.status, 403);
    }
    assert_eq!(send(with_token(GOOD, None)).await.status, 200);
    // The prefix that the proxy took away is the one that was signed.
    let mut signed = partner::signed("GET", "/v1/users/nobody", None, "");
    signed.target = "/proxied/users/nobody".into();
    signed.headers.push(("X-Forwarded-For".into(), "198.51.100.2".into()));
    assert_eq!(send(signed.clone()).await.status, 404);
    signed.target = "/proxied/users/somebody".into();
    assert_eq!(send(signed).await.status, 401);
}

/// What clients and peers have used up counts on over a reload, unless their limit is another one.
#[tokio::test]
async fn limits_outlive_a_reload() {
    let bed = bed(LIMITED);
    let inside = Inside::new(&bed);
    let guesser = from("203.0.113.9");
    for _ in 0..3 {
        assert_eq!(inside.send_from(guesser, with_token("guess", None)).await.unwrap().status, 403);
    }
    let limited = || partner::signed("GET", "/limited/v1/users/nobody", None, "");
    for expected in [404, 404, 429] {
        assert_eq!(inside.send(limited()).await.unwrap().status, expected);
    }
    let reload = |replace: &str, by: &str| {
        let text = std::fs::read_to_string(bed.config()).unwrap();
        bed.replace("interlingua.toml", &text.replace(replace, by));
        let config = config::load(&bed.config(), &Overrides::default()).unwrap();
        inside.gateway.swap(inside.gateway.live().renewed(config.mounts, &config.server));
    };
    reload("minimum_age = 18", "minimum_age = 19");
    assert_eq!(inside.send(limited()).await.unwrap().status, 429);
    assert_eq!(inside.send_from(guesser, with_token(GOOD, None)).await.unwrap().status, 429);
    reload("burst = 2", "burst = 4");
    assert_eq!(inside.send(limited()).await.unwrap().status, 404);
    assert_eq!(inside.send_from(guesser, with_token(GOOD, None)).await.unwrap().status, 429);
    reload("burst = 3", "burst = 5");
    assert_eq!(inside.send_from(guesser, with_token(GOOD, None)).await.unwrap().status, 200);
}

proptest! {
    /// Whatever a client writes, in as many lines as it likes: what the proxy adds is what counts.
    #[test]
    fn a_client_cannot_hide_behind_a_proxy(
        lines in collection::vec("[ -~\u{80}-\u{ff}]{0,40}", 0..3),
        is_joined: bool,
        is_standard: bool,
    ) {
        let (header, name, added) = if is_standard {
            (ForwardedHeader::Forwarded, "forwarded", "for=198.51.100.1;proto=https")
        } else {
            (ForwardedHeader::XForwardedFor, "x-forwarded-for", "198.51.100.1")
        };
        let mut lines = lines;
        match lines.last_mut() {
            Some(last) if is_joined => last.push_str(&format!(", {added}")),
            _ => lines.push(added.to_owned()),
        }
        let mut headers = http::HeaderMap::new();
        for line in lines {
            headers.append(name, http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let proxies = Proxies { trusted: vec![Network::parse("10.0.0.0/8").unwrap()], header };
        let client = proxies.client("10.0.0.1".parse().unwrap(), &headers);
        prop_assert_eq!(client, Some("198.51.100.1".parse().unwrap()));
    }
}

/// A request that began before a reload ends by the configuration that it began with.
#[tokio::test]
async fn a_request_keeps_its_configuration() {
    let bed = Bed::new();
    let inside = Inside::new(&bed);
    let request = partner::create("begun", None);
    let (mut sender, body) = http_body_util::channel::Channel::<Bytes>::new(1);
    let mut built = http::Request::post(&request.target).body(body).unwrap();
    for (name, value) in &request.headers {
        built
            .headers_mut()
            .append(name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap());
    }
    let mut begun = Box::pin(inside.gateway.handle(PEER, built));
    tokio::select! {
        biased;
        _ = &mut begun => panic!("its body has not come"),
        () = std::future::ready(()) => {}
    }
    let text = std::fs::read_to_string(bed.config()).unwrap();
    bed.replace("interlingua.toml", &text.replace("\"/partner/v1\"", "\"/elsewhere\""));
    let config = config::load(&bed.config(), &Overrides::default()).unwrap();
    inside.gateway.swap(inside.gateway.live().renewed(config.mounts, &config.server));
    assert_eq!(inside.send(partner::read("begun")).await.unwrap().status, 404);
    sender.send_data(Bytes::from(request.body)).await.unwrap();
    drop(sender);
    let answer = begun.await;
    assert_eq!(answer.status(), 201);
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}
