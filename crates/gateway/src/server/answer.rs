//! One request between hyper and the responder: what the raw bytes cannot show, and what the
//! connection adds to an answer.

use std::sync::atomic::Ordering;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::body::AnswerBody;

use super::{
    Respond,
    connection::{Shared, Signs},
    head::parse_length,
    origin::Origin,
    refusal::{ALLOW, Refusal},
    syntax::{MAX_TARGET_BYTES, is_header_name, is_host, is_target},
};

/// The most headers of a request.
const MAX_HEADERS: usize = 64;

/// Answers a request, whatever it is.
pub(super) async fn answer<R: Respond>(
    shared: &Shared<R>,
    signs: &Signs,
    origin: Origin<'_>,
    mut request: Request<Incoming>,
) -> Response<AnswerBody> {
    signs.count();
    if request.version() == Version::HTTP_2 {
        return match check(&request) {
            Ok(()) => Box::pin(shared.responder.respond(origin, request)).await,
            Err(refusal) => {
                shared.figures.refused(refusal);
                refused(refusal)
            }
        };
    }
    forget_nominated(request.headers_mut());
    // On the heap: hyper moves what it is given, and all of it.
    let mut response = Box::pin(shared.responder.respond(origin, request)).await;
    if shared.stopping.load(Ordering::Relaxed) || signs.is_spent() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Takes away what a client calls its own business with the next hop, as any hop does (RFC 9110,
/// 7.6.1): a credential that is nominated so would count at some hops, and not at others.
fn forget_nominated(headers: &mut HeaderMap) {
    let is_plain = |value: &HeaderValue| {
        [&b"close"[..], b"keep-alive"].iter().any(|plain| value.as_bytes().eq_ignore_ascii_case(plain))
    };
    if headers.get_all(header::CONNECTION).iter().all(is_plain) {
        return;
    }
    let values: Vec<HeaderValue> = headers.get_all(header::CONNECTION).iter().cloned().collect();
    for name in values.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        // TE is always nominated (RFC 9110, 10.1.4), and no credential.
        if let Ok(name) = HeaderName::from_bytes(name.trim_ascii())
            && name != header::TE
        {
            headers.remove(name);
        }
    }
}

/// Holds a request of HTTP/2 to the rules that heads of HTTP/1 are held to; its framing is the
/// library's.
fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    if target.len() > MAX_TARGET_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    if !is_target(target.as_bytes()) {
        return Err(Refusal::Target);
    }
    let headers = request.headers();
    if headers.len() > MAX_HEADERS {
        return Err(Refusal::HeadTooLarge);
    }
    if !headers.keys().all(|name| is_header_name(name.as_str().as_bytes())) {
        return Err(Refusal::HeaderName);
    }
    check_host(request.uri().authority().map(|authority| authority.as_str().as_bytes()), headers)?;
    at_most_one(headers, &header::CONTENT_LENGTH, Refusal::Length, |value| parse_length(value).is_some())?;
    at_most_one(headers, &header::EXPECT, Refusal::Expectation, |value| {
        value.eq_ignore_ascii_case(b"100-continue")
    })
}

/// One host, said once, or twice alike.
fn check_host(authority: Option<&[u8]>, headers: &HeaderMap) -> Result<(), Refusal> {
    at_most_one(headers, &header::HOST, Refusal::Host, |host| {
        authority.is_none_or(|authority| authority.eq_ignore_ascii_case(host))
    })?;
    let host = authority.or_else(|| headers.get(header::HOST).map(HeaderValue::as_bytes));
    if host.is_some_and(is_host) { Ok(()) } else { Err(Refusal::Host) }
}

fn at_most_one(
    headers: &HeaderMap,
    name: &HeaderName,
    refusal: Refusal,
    good: impl Fn(&[u8]) -> bool,
) -> Result<(), Refusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().is_none_or(|value| good(value.as_bytes()));
    if first && values.next().is_none() { Ok(()) } else { Err(refusal) }
}

/// The bare answer of HTTP/2, after which the connection goes on.
fn refused(refusal: Refusal) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(Full::default()));
    *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if refusal == Refusal::Connect {
        headers.insert(header::ALLOW, HeaderValue::from_static(ALLOW));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(target: &str, headers: &[(&'static str, &str)]) -> Result<(), Refusal> {
        let mut request = Request::new(());
        *request.uri_mut() = target.parse().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        check(&request)
    }

    #[test]
    fn requests_of_http_2_follow_the_same_rules() {
        let good = "http://a.example/x?y";
        assert_eq!(checked(good, &[]), Ok(()));
        assert_eq!(checked(good, &[("host", "A.example")]), Ok(()));
        assert_eq!(checked("/x", &[("host", "a.example")]), Ok(()));
        assert_eq!(checked("/x", &[]), Err(Refusal::Host));
        assert_eq!(checked(good, &[("host", "b.example")]), Err(Refusal::Host));
        assert_eq!(checked("/x", &[("host", "a"), ("host", "a")]), Err(Refusal::Host));
        assert_eq!(checked("http://u:p@a.example/", &[]), Err(Refusal::Host));
        assert_eq!(checked("*", &[("host", "a")]), Err(Refusal::Target));
        assert_eq!(checked("http://a/é", &[]), Err(Refusal::Target));
        assert_eq!(checked(&format!("http://a/{}", "x".repeat(8192)), &[]), Err(Refusal::TargetTooLong));
        assert_eq!(checked(good, &[("x_y", "z")]), Err(Refusal::HeaderName));
        assert_eq!(checked(good, &[("x", "y"); 65]), Err(Refusal::HeadTooLarge));
        assert_eq!(checked(good, &[("content-length", "4"); 2]), Err(Refusal::Length));
        assert_eq!(checked(good, &[("content-length", "+4")]), Err(Refusal::Length));
        assert_eq!(checked(good, &[("expect", "200-maybe")]), Err(Refusal::Expectation));
        assert_eq!(checked(good, &[("expect", "100-continue"), ("content-length", "4")]), Ok(()));
        let mut request = Request::new(());
        *request.method_mut() = Method::CONNECT;
        assert_eq!(check(&request), Err(Refusal::Connect));
    }

    #[test]
    fn what_is_nominated_is_forgotten() {
        let left = |connection: &[&'static str]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", HeaderValue::from_static("k"));
            for value in connection {
                headers.append(header::CONNECTION, HeaderValue::from_static(value));
            }
            forget_nominated(&mut headers);
            headers.contains_key("x-api-key")
        };
        assert!(
            left(&[]) && left(&["close"]) && left(&["Keep-Alive", "close"]) && left(&["keep-alive, Upgrade"])
        );
        assert!(!left(&["close, X-Api-Key"]) && !left(&["close", "x-api-key"]));
    }
}
