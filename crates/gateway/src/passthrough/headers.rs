//! The headers of what is passed on: all of them, but for what concerns one connection only (RFC 9110,
//! 7.6.1), and with what a hop adds.

use std::{fmt::Write, net::IpAddr};

use gateway_outbound::{Inflow, Outgoing};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header, request::Parts,
};
use hyper::body::Body;

use crate::{
    forwarded::{ForwardedHeader, Proxies},
    server::Origin,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What is between two neighbours. `TE` is, too, but may ask for trailers.
const HOP: [HeaderName; 9] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATION_INFO,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The hop that a request has come by.
pub(super) struct Hop<'h> {
    pub(super) origin: Origin<'h>,
    /// Who sent it, where that is known.
    pub(super) client: Option<IpAddr>,
    pub(super) proxies: &'h Proxies,
}

/// The headers of a request on its way to the server. Its framing is our own.
pub(super) fn outward(head: &mut Parts, hop: &Hop<'_>, body: &Outgoing) {
    let wants_trailers = asks_for_trailers(&head.headers);
    let host = host(head);
    let headers = &mut head.headers;
    take_off(headers);
    headers.remove(header::CONTENT_LENGTH);
    if body.size_hint().exact().is_none() {
        headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("TE"));
    }
    if head.version == Version::HTTP_2 {
        join_cookies(headers);
    }
    say_via(headers, head.version);
    say_forwarded(headers, hop, host.as_ref());
}

/// The headers of an answer on its way to the client.
pub(super) fn homeward(response: &mut Response<Inflow>) {
    let status = response.status();
    let headers = response.headers_mut();
    let nominated: Vec<HeaderName> = words(headers, &header::CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::TRAILER))
        .collect();
    for name in nominated {
        headers.remove(name);
    }
    // A length beside chunks is none (RFC 9112, 6.3), and there is none without a body.
    if headers.contains_key(header::TRANSFER_ENCODING) || status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
    take_off(headers);
    let length = headers.get(header::CONTENT_LENGTH).cloned();
    if let Some(length) = length {
        // Said twice alike, it was read as said once.
        headers.insert(header::CONTENT_LENGTH, length);
    }
}

fn take_off(headers: &mut HeaderMap) {
    for name in &HOP {
        headers.remove(name);
    }
}

/// The words of a list, line after line.
fn words<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn asks_for_trailers(headers: &HeaderMap) -> bool {
    words(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// The host that the client named.
fn host(head: &Parts) -> Option<HeaderValue> {
    let authority = || head.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    head.headers.get(header::HOST).cloned().or_else(authority)
}

/// HTTP/2 may say them one by one (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(cookies) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookies);
    }
}

/// Adds this hop to a list.
fn append(headers: &mut HeaderMap, name: HeaderName, entry: &str) {
    let before: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    let list = if before.is_empty() {
        HeaderValue::from_str(entry)
    } else {
        let mut list = before.join(&b", "[..]);
        list.extend_from_slice(b", ");
        list.extend_from_slice(entry.as_bytes());
        HeaderValue::from_bytes(&list)
    };
    // All of it came out of headers.
    if let Ok(list) = list {
        headers.insert(name, list);
    }
}

fn say_via(headers: &mut HeaderMap, version: Version) {
    let entry = match version {
        Version::HTTP_10 => "1.0 interlingua",
        Version::HTTP_2 => "2.0 interlingua",
        _ => "1.1 interlingua",
    };
    append(headers, header::VIA, entry);
}

/// Says who is before us. What a client that is no trusted proxy says itself is not passed on, nor is
/// what a trusted one has passed on as its own client wrote it: the header that is not believed.
fn say_forwarded(headers: &mut HeaderMap, hop: &Hop<'_>, host: Option<&HeaderValue>) {
    let peer = hop.origin.peer.ip().to_canonical();
    let is_trusted = hop.proxies.trusts(peer);
    let believed = is_trusted.then_some(hop.proxies.header);
    let proto = if hop.origin.is_tls { "https" } else { "http" };
    if believed != Some(ForwardedHeader::XForwardedFor) {
        forget_own(headers);
    }
    if believed != Some(ForwardedHeader::Forwarded) {
        headers.remove(header::FORWARDED);
    }
    // A list that begins here begins with the client, as far as it is known.
    let known = hop.client.unwrap_or(peer);
    let begins = |headers: &HeaderMap, name| if headers.contains_key(name) { peer } else { known };
    let node = begins(headers, header::FORWARDED);
    append(headers, header::FORWARDED, &element(node, host, proto));
    let node = begins(headers, FORWARDED_FOR);
    append(headers, FORWARDED_FOR, &node.to_string());
    if let Some(host) = host {
        headers.entry(FORWARDED_HOST).or_insert_with(|| host.clone());
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
}

/// Takes away what only a proxy may say.
fn forget_own(headers: &mut HeaderMap) {
    let own = |name: &&HeaderName| **name == REAL_IP || name.as_str().starts_with("x-forwarded-");
    let names: Vec<HeaderName> = headers.keys().filter(own).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// An element of `Forwarded` (RFC 7239, 4).
fn element(node: IpAddr, host: Option<&HeaderValue>, proto: &'static str) -> String {
    let mut element = String::with_capacity(64);
    let written = match node {
        IpAddr::V4(address) => write!(element, "for={address}"),
        IpAddr::V6(address) => write!(element, "for=\"[{address}]\""),
    };
    if let Some(host) = host.and_then(|host| host.to_str().ok())
        && written.is_ok()
    {
        element.push_str(";host=\"");
        element.extend(host.chars().filter(|letter| !matches!(letter, '"' | '\\')));
        element.push('"');
    }
    element.push_str(";proto=");
    element.push_str(proto);
    element
}

/// Whether a request is one to pass on: not one that shows its own headers to whoever asks, and none
/// whose path may lead out of the mount for whoever reads its dots.
pub(crate) fn may_pass(method: &Method, path: &str) -> bool {
    if *method == Method::TRACE {
        return false;
    }
    if !path.contains('%') && !path.contains("/.") {
        return true;
    }
    let read = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    // What stands behind a semicolon is a parameter to some, and no part of the name.
    let name = |segment: &str| segment.split([';', '%']).next().map(str::to_owned).unwrap_or_default();
    !read.split(['/', '\\']).any(|segment| matches!(&*name(segment), "." | ".."))
}
