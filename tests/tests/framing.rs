//! What comes before a mount: heads and bodies of HTTP/1 that two readers could read differently,
//! and connections that cost more than they bring.

use std::io::{Read, Write};

use gateway_testkit::client::{Connection, RawRequest};
use tests::{Bed, Process, partner};

/// The mounts, behind a listener with other limits.
fn limited(limits: &str) -> Process {
    let mounts = include_str!("../src/mounts.toml");
    Process::start(&Bed::with(&mounts.replace("[server]\n", &format!("[server]\n{limits}\n"))))
}

/// All that is answered to these bytes until the other side closes.
fn tell(process: &Process, bytes: &[u8]) -> String {
    let mut connection = Connection::open(process.address).unwrap();
    let socket = connection.socket();
    // What was refused early may be refused before all of it is sent.
    let _sent = socket.write_all(bytes);
    let mut answers = Vec::new();
    socket.read_to_end(&mut answers).unwrap();
    String::from_utf8(answers).unwrap()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

/// A request as bytes, with other lines about its body.
fn raw(request: &RawRequest, framing: &[&str], body: &str) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: gateway.test\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    for line in framing {
        head += &format!("{line}\r\n");
    }
    (head + "\r\n" + body).into_bytes()
}

fn read(id: &str) -> Vec<u8> {
    raw(&partner::read(id), &[], "")
}

/// A line of the metrics, once it shows what is wanted.
fn wait_for_figure(process: &Process, line: &str) {
    for _ in 0..1000 {
        if process.admin("/metrics").1.lines().any(|found| found == line) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no {line} in\n{}", process.admin("/metrics").1);
}

#[test]
fn what_came_before_a_bad_head_is_answered_first() {
    let process = limited("");
    for bad in ["GET /x\r\n\r\n", "GET /x HTTP/1.1\n\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"] {
        let both = [read("nobody"), bad.into()].concat();
        let answers = tell(&process, &both);
        assert_eq!(statuses(&answers), ["404", "400"], "{bad:?}: {answers}");
        assert!(answers.ends_with("Connection: close\r\n\r\n"), "{answers}");
    }
    wait_for_figure(&process, r#"interlingua_protocol_errors_total{reason="host"} 1"#);
}

/// Each hides a second request in what one of two readers takes for the body of the first.
#[test]
fn a_smuggled_request_is_never_answered() {
    let process = limited("");
    let hidden = String::from_utf8(read("nobody")).unwrap();
    let chunks = format!("0\r\n\r\n{hidden}");
    let length = format!("Content-Length: {}", chunks.len());
    let chunked = "Transfer-Encoding: chunked";
    let create = partner::create("smuggler", None);
    let cases: [(&[&str], &str, &str); 10] = [
        (&[&length, chunked], &chunks, "400"),
        (&[chunked, "Content-Length: 4"], &chunks, "400"),
        (&[chunked, "Transfer-Encoding: x"], &chunks, "501"),
        (&["Transfer-Encoding: x", chunked], &chunks, "501"),
        (&[chunked, chunked], &chunks, "400"),
        (&["Transfer-Encoding : chunked", &length], &chunks, "400"),
        (&["Transfer_Encoding: chunked", &length], &chunks, "400"),
        (&["X: y\nTransfer-Encoding: chunked", &length], &chunks, "400"),
        (&["Content-Length: 0", &length], &chunks, "400"),
        (&[&length, "Content-Length: 0"], &chunks, "400"),
    ];
    for (framing, body, status) in cases {
        assert_eq!(statuses(&tell(&process, &raw(&create, framing, body))), [status], "{framing:?}");
    }
    // Within a body, the answer is the mount's, and it is the last one.
    for bad in
        ["4 \r\nabcd\r\n", "4\nabcd\r\n", "4;x\nabcd\r\n", "4\r\nabcde\r\n", "FFFFFFFFFFFFFFFFF\r\n", "\r\n"]
    {
        let answers = tell(&process, &raw(&create, &[chunked], &format!("{bad}{chunks}")));
        assert_eq!(statuses(&answers), ["400"], "{bad:?}");
        assert!(answers.contains(r#""error":"bad_request""#), "{answers}");
    }
    let mut connection = Connection::open(process.address).unwrap();
    assert_eq!(connection.send(&partner::read("smuggler")).unwrap().status, 404);
}

#[test]
fn heads_are_refused_with_a_bare_answer() {
    let process = limited("");
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    let header = |header: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
    for (head, status) in [
        (line("OPTIONS * HTTP/1.1"), "400"),
        (line("GET http://evil/ HTTP/1.1"), "400"),
        (line("CONNECT a:1 HTTP/1.1"), "405"),
        (line(&format!("GET /{} HTTP/1.1", "x".repeat(9000))), "414"),
        (line("GET / HTTP/3.0"), "505"),
        (header("Expect: 200-maybe"), "417"),
        (header("X_Y: z"), "400"),
        (header(&format!("X: {}", "y".repeat(17_000))), "431"),
        (header(&["X: y"; 64].join("\r\n")), "431"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
        ("\u{16}\u{3}\u{1}".into(), "400"),
    ] {
        let answers = tell(&process, head.as_bytes());
        assert_eq!(statuses(&answers), [status], "{head:?}");
        assert!(answers.contains("\r\nContent-Length: 0\r\n") && answers.contains("\r\nDate: "), "{answers}");
    }
}

#[test]
fn what_only_looks_odd_is_served() {
    let process = limited("");
    let mut connection = Connection::open(process.address).unwrap();
    // Byte by byte, in chunks with extensions and a trailer.
    let create = partner::create("odd", None);
    let body = String::from_utf8(create.body.clone()).unwrap();
    let (start, rest) = body.split_at(7);
    let chunks = format!("7;a=\"b\"\r\n{start}\r\n{:X}\r\n{rest}\r\n0\r\nX-Sum: 1\r\n\r\n", rest.len());
    for byte in raw(&create, &["Transfer-Encoding: chunked"], &chunks) {
        connection.socket().write_all(&[byte]).unwrap();
    }
    // Behind it, on the same connection: what asks for another protocol goes on in this one.
    let mut upgrade = partner::read("odd");
    upgrade.headers.push(("Connection".into(), "Upgrade, HTTP2-Settings".into()));
    upgrade.headers.push(("Upgrade".into(), "h2c".into()));
    upgrade.headers.push(("HTTP2-Settings".into(), "AAMAAABkAARAAAAAAAIAAAAA".into()));
    connection.socket().write_all(&raw(&upgrade, &[], "")).unwrap();
    connection.socket().write_all(&raw(&partner::read("odd"), &["Connection: close"], "")).unwrap();
    let mut answers = String::new();
    connection.socket().read_to_string(&mut answers).unwrap();
    assert_eq!(statuses(&answers), ["201", "200", "200"], "{answers}");
}

#[test]
fn a_credential_for_the_next_hop_is_none() {
    let process = limited("");
    let mut request = partner::read("nobody");
    request.headers.push(("Connection".into(), "close, X-Api-Key".into()));
    assert_eq!(statuses(&tell(&process, &raw(&request, &[], ""))), ["401"]);
    let traced = RawRequest { method: "TRACE".into(), ..partner::read("nobody") };
    let answers = tell(&process, &raw(&traced, &["Connection: close"], ""));
    assert_eq!(statuses(&answers), ["405"]);
    assert!(!answers.to_lowercase().contains("x-api-key"), "{answers}");
}

#[test]
fn a_body_that_is_not_wanted_is_not_asked_for() {
    let process = limited("");
    let mut unsigned = partner::create("unasked", None);
    unsigned.headers.clear();
    let answers = tell(&process, &raw(&unsigned, &["Expect: 100-continue", "Content-Length: 900000"], ""));
    assert_eq!(statuses(&answers), ["401"], "{answers}");
    let create = partner::create("asked", None);
    let length = format!("Content-Length: {}", create.body.len());
    let framing = ["Expect: 100-continue", &length, "Connection: close"];
    let body = String::from_utf8(create.body.clone()).unwrap();
    assert_eq!(statuses(&tell(&process, &raw(&create, &framing, &body))), ["100", "201"]);
}

#[test]
fn silence_is_answered_by_silence_and_half_a_head_by_408() {
    let process = limited("header_timeout_ms = 200\nidle_timeout_ms = 200");
    assert_eq!(tell(&process, b""), "");
    assert_eq!(statuses(&tell(&process, b"PRI * HT")), ["408"]);
    assert_eq!(statuses(&tell(&process, b"GET / HTTP/1.1\r\nHo")), ["408"]);
    assert_eq!(statuses(&tell(&process, &read("nobody"))), ["404"]);
    let then_half = [read("nobody"), b"GET".to_vec()].concat();
    assert_eq!(statuses(&tell(&process, &then_half)), ["404", "408"]);
    wait_for_figure(&process, r#"interlingua_protocol_errors_total{reason="head_timeout"} 3"#);
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let process = limited("write_timeout_ms = 300\nidle_timeout_ms = 600000");
    let mut deaf = Connection::open(process.admin).unwrap();
    deaf.socket().set_write_timeout(None).unwrap();
    let questions = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    // Ends only when the gateway has closed the connection.
    while deaf.socket().write_all(questions.as_bytes()).is_ok() {}
    let mut connection = Connection::open(process.address).unwrap();
    assert_eq!(connection.send(&partner::read("nobody")).unwrap().status, 404);
}

#[test]
fn connections_are_counted_by_peer() {
    let process = limited("max_connections_per_peer = 2");
    let connect = || {
        let mut connection = Connection::open(process.address).unwrap();
        let status = connection.send(&partner::read("nobody")).map(|answer| answer.status);
        (connection, status)
    };
    let (first, one) = connect();
    let (_second, two) = connect();
    assert_eq!((one, two), (Ok(404), Ok(404)));
    assert_eq!(statuses(&tell(&process, b"")), ["503"]);
    wait_for_figure(&process, r#"interlingua_connections_refused_total{reason="peer"} 1"#);
    wait_for_figure(&process, "interlingua_connections_open 2");
    drop(first);
    wait_for_figure(&process, "interlingua_connections_open 1");
    assert_eq!(connect().1, Ok(404));
}

#[test]
fn a_connection_has_its_requests() {
    let process = limited("max_connection_requests = 3");
    let answers = tell(&process, &read("nobody").repeat(3));
    assert_eq!(statuses(&answers), ["404"; 3]);
    assert_eq!(answers.matches("connection: close").count(), 1, "{answers}");
    assert_eq!(statuses(&tell(&process, &read("nobody").repeat(9))), ["404"; 3]);
}
