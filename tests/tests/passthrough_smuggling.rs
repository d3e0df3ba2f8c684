//! The hardened front in front of another server: what it refuses never gets there, and what gets there
//! is framed by the gateway alone.

use std::io::{Read, Write};

use gateway_testkit::client::Connection;
use tests::{
    Bed, Process, root,
    upstream::{Seen, Upstream, whole},
    wire::raw,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const TARGET: &str = "/social/proj1234/legacy/67890";

/// Cases that a dialect or a mount answers otherwise than a server that takes everything: what is sent on
/// is looked at, what is answered is not.
const NOT_THE_FRONTS: [&str; 8] = [
    "h1-framing-048",
    "h1-framing-053",
    "h1-framing-054",
    "h1-framing-058",
    "h1-line-010-good",
    "h1-line-016",
    "h1-line-017",
    "h1-line-031-credential",
];
/// A million chunks of one byte, which a dialect refuses for their length: here they go on, for minutes.
const ENDLESS: &str = "h1-framing-047";

/// Every connection holds whole requests that a client of ours meant, and at most one more that broke off:
/// a whole head, and not all of its body.
fn judge(upstream: &Upstream, is_meant: impl Fn(&Seen) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for bytes in upstream.seen() {
        let (requests, rest) = whole(&bytes);
        wrong.extend(requests.into_iter().filter(|seen| !is_meant(seen)).map(|seen| format!("{seen:?}")));
        let rest = text(rest);
        let begun = rest.is_empty() || (rest.contains(TARGET) || rest.contains("/social/first"));
        if !begun || rest.matches("HTTP/1.1\r\n").count() > 1 {
            wrong.push(format!("left over: {rest:?}"));
        }
    }
    wrong
}

/// The cases of a file against a path that is passed on. Whatever the front refuses it answers as it always
/// does; a case that a dialect refuses may be answered by the server, if the front lets it through.
fn play(file: &str) {
    let upstream = Upstream::answering(OK);
    let process = Process::start(&Bed::with(&upstream.config("", "")));
    let mut wrong = Vec::new();
    let cases = raw::load(&root().join("tests/bad-inputs").join(file));
    for (nth, case) in cases.iter().enumerate().filter(|(_, case)| case.id != ENDLESS) {
        let before = upstream.requests().len();
        let played = case.play(process.address, TARGET, nth);
        let came = upstream.requests()[before..].len();
        match played {
            // The good request that is sent behind a case comes through where its connection lives on.
            _ if NOT_THE_FRONTS.contains(&case.id.as_str()) => {}
            // The good request that is sent behind a case comes through where its connection lives on.
            Ok(()) if came <= case.most_passed() => {}
            Ok(()) => wrong.push(format!("{} ({}): {came} requests came through", case.id, case.name)),
            Err(why) => wrong.push(format!("{} ({}): {why}", case.id, case.name)),
        }
    }
    wrong.extend(judge(&upstream, |seen| {
        let (method, rest) = seen.line.split_once(' ').unwrap();
        let body = text(&seen.body);
        let is_body = match method {
            "GET" => matches!(&*body, "" | "abcd"),
            // The body of h1-framing-054 is the start of what was sent behind it.
            "PATCH" | "patch" => {
                body.is_empty()
                    || (body.len() == 32 && (body.contains(raw::CANARY) || body.starts_with("GET ")))
            }
            _ => false,
        };
        is_body && rest.contains(TARGET)
    }));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn framing_of_http_1() {
    play("h1-framing.toml");
}

#[test]
fn lines_of_http_1() {
    play("h1-line.toml");
}

/// Each hides a second request in what one of two readers takes for the body of the first.
#[test]
fn nothing_hidden_comes_through() {
    let upstream = Upstream::answering(OK);
    let process = Process::start(&Bed::with(&upstream.config("", "")));
    let hidden = "GET /social/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunks = format!("0\r\n\r\n{hidden}");
    let length = format!("Content-Length: {}", chunks.len());
    let chunked = "Transfer-Encoding: chunked";
    let framings: [&[&str]; 9] = [
        &[&length, chunked],
        &[chunked, "Content-Length: 4"],
        &[chunked, "Transfer-Encoding: x"],
        &["Transfer-Encoding: x", chunked],
        &[chunked, chunked],
        &["Transfer-Encoding : chunked", &length],
        &["Transfer_Encoding: chunked", &length],
        &["X: y\nTransfer-Encoding: chunked", &length],
        &[&length, "Content-Length: 0"],
    ];
    let mut all: Vec<(String, String)> =
        framings.iter().map(|lines| (lines.join("\r\n"), chunks.clone())).collect();
    for bad in ["4 \r\nabcd\r\n", "4\nabcd\r\n", "4;x\nabcd\r\n", "4\r\nabcde\r\n", "FFFFFFFFFFFFFFFFF\r\n"] {
        all.push((chunked.to_owned(), format!("{bad}{chunks}")));
    }
    for (lines, body) in all {
        let mut connection = Connection::open(process.address).unwrap();
        let request = format!("POST /social/first HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{body}");
        // It may be refused before all of it is sent.
        let _refused = connection.socket().write_all(request.as_bytes());
        let mut answers = Vec::new();
        connection.socket().read_to_end(&mut answers).unwrap();
        let answers = text(&answers);
        let status = answers.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        assert!(matches!(status, Some("400" | "501")), "{lines:?}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
    let wrong = judge(&upstream, |_| false);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(upstream.seen().iter().all(|bytes| !text(bytes).contains("hidden")));
}

/// However a client frames its body, the server sees it framed by the gateway.
#[test]
fn a_body_is_framed_anew() {
    let upstream = Upstream::answering(OK);
    let process = Process::start(&Bed::with(&upstream.config("", "")));
    let chunked = "transfer-encoding: CHUNKED\r\n\r\n3;a=b\r\nabc\r\n0002\r\nde\r\n0\r\nX: y\r\n\r\n";
    for framing in ["CONTENT-LENGTH: 0005\r\n\r\nabcde", chunked] {
        for method in ["POST", "GET", "DELETE"] {
            let mut connection = Connection::open(process.address).unwrap();
            let head = format!("{method} /social/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}");
            connection.socket().write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            connection.socket().read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 6);
    for (nth, seen) in requests.iter().enumerate() {
        assert_eq!(text(&seen.body), "abcde");
        let framing = (seen.header("content-length"), seen.header("transfer-encoding"));
        let own = if nth < 3 { (Some("5".into()), None) } else { (None, Some("chunked".into())) };
        assert_eq!(framing, own);
        // It was not announced.
        assert!(seen.trailers.is_empty());
    }
    let bytes = upstream.seen().concat();
    assert!(!text(&bytes).contains(";a=b") && !text(&bytes).contains("CHUNKED"));
}
