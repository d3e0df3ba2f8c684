//! What no dialect owns goes to the server behind, unchanged but for what one hop is about.

use std::{
    io::{Read, Write},
    net::Shutdown,
};

use gateway_testkit::client::{Connection, RawRequest, RawResponse};
use tests::{
    Bed, Process, unreachable,
    upstream::{Seen, Upstream, config},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> RawRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    RawRequest { method: method.into(), target: target.into(), headers, body: body.into() }
}

fn send(process: &Process, request: &RawRequest) -> RawResponse {
    Connection::open(process.address).unwrap().send(request).unwrap()
}

fn get(process: &Process, target: &str) -> RawResponse {
    send(process, &request("GET", target, &[], ""))
}

/// All that is answered to these bytes; the other side closes.
fn tell(process: &Process, bytes: &str) -> String {
    let mut connection = Connection::open(process.address).unwrap();
    connection.socket().write_all(bytes.as_bytes()).unwrap();
    let mut answers = Vec::new();
    connection.socket().read_to_end(&mut answers).unwrap();
    String::from_utf8(answers).unwrap()
}

fn start(upstream: &Upstream, server: &str, mount: &str) -> (Bed, Process) {
    let bed = Bed::with(&upstream.config(server, mount));
    let process = Process::start(&bed);
    (bed, process)
}

/// What the server saw of one request with these headers.
fn seen(server: &str, headers: &[(&str, &str)]) -> Seen {
    let upstream = Upstream::answering(OK);
    let (_bed, process) = start(&upstream, server, "");
    assert_eq!(send(&process, &request("GET", "/social/legacy", headers, "")).status, 200);
    upstream.requests().remove(0)
}

#[test]
fn the_dialect_keeps_its_own_and_the_rest_goes_on_byte_for_byte() {
    let upstream = Upstream::answering(OK);
    let (_bed, process) = start(&upstream, "", "");
    let odd = "/social/a//b/%7e%E9;x=[1]/?q=%2e%2e&&r";
    for (method, target, body) in [
        ("GET", odd, ""),
        ("POST", "/social/proj1234/uploads", "{}"),
        ("DELETE", "/social", ""),
        ("PURGE", "/social/?x", "y"),
        ("OPTIONS", "/social/proj1234/entities", ""),
    ] {
        let answer = send(&process, &request(method, target, &[("X-Api-Key", "k")], body));
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]), "{method} {target}");
        assert!(answer.header("cache-control").is_none(), "{:?}", answer.headers);
    }
    let lines: Vec<_> = upstream.requests().into_iter().map(|seen| (seen.line, seen.body)).collect();
    assert_eq!(lines[0], (format!("GET {odd} HTTP/1.1"), Vec::new()));
    assert_eq!(lines[1], ("POST /social/proj1234/uploads HTTP/1.1".into(), b"{}".to_vec()));
    assert_eq!(lines[3], ("PURGE /social/?x HTTP/1.1".into(), b"y".to_vec()));
    // The dialect's own: a user, without a credential and with one; another method of its path.
    let user = "/social/proj1234/users/67890";
    assert_eq!(get(&process, user).status, 401);
    let other = send(&process, &request("DELETE", user, &[], ""));
    assert_eq!(other.status, 405);
    // What may lead out of the mount, and what repeats credentials, stays here; what is in no mount, too.
    for outside in
        ["/social/../admin", "/social/a/%2E./..%2fadmin", "/social/x%5c..%5cadmin", "/social/..;/a"]
    {
        assert_eq!(get(&process, outside).status, 404, "{outside}");
    }
    assert_eq!(send(&process, &request("TRACE", "/social/x", &[], "")).status, 404);
    assert_eq!(get(&process, "/elsewhere").status, 404);
    assert_eq!(upstream.requests().len(), 5);
}

#[test]
fn the_servers_own_path_goes_first_and_one_connection_serves_many() {
    let upstream = Upstream::answering(OK);
    let url = format!("passthrough = \"http://{}/old/\"", upstream.address);
    let process = Process::start(&Bed::with(&config("", &url)));
    let mut connection = Connection::open(process.address).unwrap();
    for _ in 0..20 {
        let answer = connection.send(&request("GET", "/social/x?y", &[], "")).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
    }
    assert!(upstream.requests().iter().all(|seen| seen.line == "GET /old/social/x?y HTTP/1.1"));
    assert_eq!((upstream.requests().len(), upstream.seen().len()), (20, 1));
    // What waits for too long is closed.
    upstream.wait_until_left();
}

#[test]
fn what_is_between_neighbours_stays_there() {
    let seen = seen(
        "",
        &[
            ("Authorization", "Basic YTpi"),
            ("Connection", "keep-alive, X-Mine, TE"),
            ("X-Mine", "1"),
            ("Keep-Alive", "timeout=9"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic YTpi"),
            ("Upgrade", "websocket"),
            ("TE", "gzip, trailers"),
            ("Via", "1.0 before"),
            ("Cookie", "a=b"),
        ],
    );
    for gone in
        ["x-mine", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade", "content-length"]
    {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    for (name, value) in [
        ("authorization", "Basic YTpi"),
        ("connection", "TE"),
        ("te", "trailers"),
        ("via", "1.0 before, 1.1 interlingua"),
        ("cookie", "a=b"),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn only_a_trusted_proxy_says_who_is_before_it() {
    let said = [
        ("Forwarded", "for=6.6.6.6"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("X-Real-IP", "6.6.6.6"),
    ];
    let own = "for=127.0.0.1;host=\"gateway.test\";proto=http";
    let untrusted = seen("", &said);
    assert_eq!(untrusted.header("forwarded").as_deref(), Some(own));
    assert_eq!(untrusted.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(untrusted.header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(untrusted.header("x-forwarded-host").as_deref(), Some("gateway.test"));
    assert_eq!((untrusted.header("x-forwarded-port"), untrusted.header("x-real-ip")), (None, None));

    let trusted = seen("trusted_proxies = [\"127.0.0.1\"]", &said);
    assert_eq!(trusted.header("x-forwarded-for").as_deref(), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(trusted.header("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(trusted.header("x-forwarded-port").as_deref(), Some("443"));
    // The other header is not believed, and says what is known by this one.
    let known = "for=203.0.113.9;host=\"gateway.test\";proto=http";
    assert_eq!(trusted.header("forwarded").as_deref(), Some(known));

    let standard = seen("trusted_proxies = [\"127.0.0.1\"]\nforwarded_header = \"forwarded\"", &said);
    assert_eq!(standard.header("forwarded"), Some(format!("for=6.6.6.6, {own}")));
    assert_eq!(standard.header("x-forwarded-for").as_deref(), Some("6.6.6.6"));
    assert_eq!(standard.header("x-forwarded-port"), None);
}

#[test]
fn answers_come_back_as_they_are_but_for_their_hop() {
    let upstream = Upstream::start(|visit| {
        while let Some(seen) = visit.request() {
            let answer: &str = match seen.line.split(' ').nth(1).unwrap() {
                "/social/plain" => {
                    "HTTP/1.1 299 Odd\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nServer: old\r\n\
                     Connection: X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nok"
                }
                "/social/head" => "HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\n\r\n",
                "/social/204" => "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
                "/social/304" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9\r\n\r\n",
                "/social/chunks" => {
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
                }
                _ => {
                    visit.send(b"HTTP/1.0 200 OK\r\nX-Old: 1\r\n\r\nto the end");
                    return;
                }
            };
            visit.send(answer.as_bytes());
        }
    });
    let (_bed, process) = start(&upstream, "", "");
    let ask = |method: &str, path: &str, close: &str| {
        tell(&process, &format!("{method} /social/{path} HTTP/1.1\r\nHost: a\r\n{close}\r\n"))
    };
    let close = "Connection: close\r\n";
    let plain = ask("GET", "plain", close);
    assert!(plain.starts_with("HTTP/1.1 299 Odd\r\n") && plain.ends_with("\r\n\r\nok"), "{plain}");
    for kept in ["set-cookie: a=b", "set-cookie: c=d", "server: old", "content-length: 2"] {
        assert!(plain.to_lowercase().contains(kept), "{kept} in {plain}");
    }
    assert!(!plain.contains("mine") && !plain.contains("keep-alive"), "{plain}");
    let head = ask("HEAD", "head", close);
    assert!(head.contains("content-length: 1234567\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for (path, status) in [("204", "204 No Content"), ("304", "304 Not Modified")] {
        let both = ask("GET", path, "\r\nGET /social/plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        assert!(both.contains(status) && both.ends_with("ok") && both.contains(" 299 Odd"), "{both}");
    }
    let chunks = ask("GET", "chunks", close);
    assert!(chunks.contains("transfer-encoding: chunked") && chunks.ends_with("0\r\n\r\n"), "{chunks}");
    let old = ask("GET", "old", close);
    assert!(old.contains("HTTP/1.1 200 OK") && old.contains("\r\nto the end\r\n0\r\n\r\n"), "{old}");
}

#[test]
fn failures_are_answered_in_the_dialect_and_counted() {
    let upstream = Upstream::start(|visit| {
        while let Some(seen) = visit.request() {
            let answer: &[u8] = match seen.line.split(' ').nth(1).unwrap() {
                "/social/garbage" => b"\x15\x03\x01 not http\r\n\r\n",
                "/social/upgrade" => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
                "/social/coded" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
                "/social/silence" => {
                    visit.until_closed();
                    return;
                }
                _ => return,
            };
            visit.send(answer);
        }
    });
    let (_bed, process) = start(&upstream, "", "passthrough_head_timeout_ms = 200");
    for (path, status, code) in [
        ("garbage", 502, "user/bad-gateway"),
        ("upgrade", 502, "user/bad-gateway"),
        ("coded", 502, "user/bad-gateway"),
        ("closed", 502, "user/bad-gateway"),
        ("silence", 504, "user/gateway-timeout"),
    ] {
        let answer = get(&process, &format!("/social/{path}"));
        assert_eq!(answer.status, status, "{path}");
        assert!(String::from_utf8(answer.body).unwrap().contains(code), "{path}");
    }
    let failures = |cause: &str| {
        process
            .metric(&format!("interlingua_passthrough_failures_total{{cause=\"{cause}\",mount=\"social\"}}"))
    };
    assert_eq!((failures("protocol"), failures("reset"), failures("timeout")), (Some(3), Some(1), Some(1)));
    let classes = process.metric("interlingua_passthrough_requests_total{mount=\"social\",status=\"5xx\"}");
    assert_eq!(classes, Some(5));
    let (_, log) = process.stop();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("\"route\":\"passthrough\"")).collect();
    assert_eq!(lines.len(), 5);
    assert!(
        lines[4].contains("\"status\":504") && lines[4].contains("\"cause\":\"timeout\""),
        "{}",
        lines[4]
    );
    assert!(!log.contains("silence") && !log.contains("garbage"), "a target is in the log");
    upstream.wait_until_left();
}

#[test]
fn a_server_that_is_gone_is_left_alone_and_the_dialect_served() {
    let url = format!("passthrough = \"http://{}\"", unreachable::refused());
    let process = Process::start(&Bed::with(&config("", &url)));
    let statuses: Vec<_> = (0..12).map(|_| get(&process, "/social/x").status).collect();
    assert_eq!(statuses[..10], [502; 10]);
    assert_eq!(statuses[10..], [503, 503]);
    assert_eq!(get(&process, "/social/proj1234/users/67890").status, 401);
}

#[test]
fn a_connection_that_was_closed_meanwhile_costs_no_answer() {
    let upstream = Upstream::start(|visit| {
        // It says nothing of closing, and does.
        visit.request();
        visit.send(OK.as_bytes());
    });
    let (_bed, process) = start(&upstream, "", "");
    for _ in 0..50 {
        assert_eq!(get(&process, "/social/x").status, 200);
    }
    assert_eq!(upstream.seen().len(), 50);
}

#[test]
fn what_streams_has_a_place_until_its_end() {
    let upstream = Upstream::start(|visit| {
        visit.request();
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        visit.until_closed();
    });
    let (_bed, process) = start(&upstream, "max_requests = 1", "");
    let mut first = Connection::open(process.address).unwrap();
    first.socket().write_all(b"GET /social/x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    upstream.wait_for(1);
    process.wait_until("it has its place", |process| {
        process.metric("interlingua_requests_in_flight") == Some(1)
    });
    assert_eq!(get(&process, "/social/y").status, 503);
    first.socket().shutdown(Shutdown::Both).unwrap();
    upstream.wait_until_left();
    process.wait_until("it is free", |process| process.metric("interlingua_requests_in_flight") == Some(0));
}

#[test]
fn a_reload_takes_another_server() {
    let (one, other) =
        (Upstream::answering(OK), Upstream::answering("HTTP/1.1 299 X\r\nContent-Length: 0\r\n\r\n"));
    let (bed, process) = start(&one, "watch = false", "");
    assert_eq!(get(&process, "/social/x").status, 200);
    let reloads = "interlingua_config_reloads_total{outcome=\"ok\"}";
    for (nth, (config, status)) in
        [(other.config("watch = false", ""), 299), (config("watch = false", ""), 404)].into_iter().enumerate()
    {
        bed.replace("interlingua.toml", &config);
        process.hang_up();
        process.wait_until("it was read", |process| process.metric(reloads) == Some(nth as u64 + 1));
        assert_eq!(get(&process, "/social/x").status, status);
        one.wait_until_left();
    }
    other.wait_until_left();
}
