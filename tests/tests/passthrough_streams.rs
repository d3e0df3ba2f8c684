//! Bodies that are passed on as they come: at constant memory, with their trailers, and to an end that is
//! told from a break on both sides.

use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::{Mutex, mpsc},
};

use gateway_testkit::client::Connection;
use tests::{
    Bed, Process,
    memory::Memory,
    upstream::{Upstream, Visit},
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MIB: u64 = 1024 * 1024;
/// What a stream of any length may take of the gateway's memory.
const GROWTH_KIB: u64 = 24 * 1024;

/// How long a large body is.
const LARGE: u64 = 1024 * MIB;

fn start(
    server: &str,
    mount: &str,
    serve: impl Fn(&mut Visit) + Send + Sync + 'static,
) -> (Upstream, Process) {
    let upstream = Upstream::start(serve);
    let process = Process::start(&Bed::with(&upstream.config(server, mount)));
    (upstream, process)
}

/// A connection on which this was sent.
fn begin(process: &Process, bytes: &str) -> Connection {
    let mut connection = Connection::open(process.address).unwrap();
    connection.socket().write_all(bytes.as_bytes()).unwrap();
    connection
}

/// What comes until the other side closes, and whether it resets.
fn rest(connection: &mut Connection) -> String {
    let mut rest = Vec::new();
    let _reset = connection.socket().read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

/// Reads until a text has come.
fn until(connection: &mut Connection, end: &str) -> String {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !read.ends_with(end.as_bytes()) {
        connection.socket().read_exact(&mut byte).unwrap();
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn a_large_body_goes_up_at_constant_memory() {
    let length = LARGE;
    let (upstream, process) = start("", "", move |visit| {
        let head = visit.head().unwrap();
        assert_eq!(head.header("content-length"), Some(length.to_string()));
        visit.skip(length);
        visit.send(OK);
    });
    let memory = Memory::watch(process.id());
    let head = "POST /social/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    let mut connection = begin(&process, &format!("{head}Content-Length: {length}\r\n\r\n"));
    let piece = vec![b'x'; MIB as usize];
    for _ in 0..length / MIB {
        connection.socket().write_all(&piece).unwrap();
    }
    assert!(rest(&mut connection).ends_with("\r\n\r\nok"));
    let grown = memory.growth_kib();
    assert!(grown <= GROWTH_KIB, "{grown} KiB");
    upstream.wait_until_left();
}

#[test]
fn a_large_body_comes_down_at_constant_memory() {
    let length = LARGE;
    let (_upstream, process) = start("", "", move |visit| {
        visit.request();
        visit.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        let piece = vec![b'x'; MIB as usize];
        for _ in 0..length / MIB {
            assert!(visit.send(&piece));
        }
    });
    let memory = Memory::watch(process.id());
    let mut connection = begin(&process, "GET /social/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    until(&mut connection, "\r\n\r\n");
    // Whoever does not read holds the server back, and nothing piles up between them.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (mut left, mut buffer) = (length, vec![0; MIB as usize]);
    while left > 0 {
        let read = connection.socket().read(&mut buffer).unwrap();
        assert!(read > 0, "{left} bytes are missing");
        left -= read as u64;
    }
    assert!(connection.is_closed());
    let grown = memory.growth_kib();
    assert!(grown <= GROWTH_KIB, "{grown} KiB");
}

#[test]
fn trailers_go_both_ways() {
    let (upstream, process) = start("", "", |visit| {
        visit.request();
        visit.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
              2\r\nok\r\n0\r\nX-Sum: back\r\n\r\n",
        );
        visit.until_closed();
    });
    let mut connection = begin(
        &process,
        "POST /social/x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\nTrailer: X-Sum\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: there\r\n\r\n",
    );
    let answer = rest(&mut connection);
    assert!(answer.ends_with("2\r\nok\r\n0\r\nx-sum: back\r\n\r\n"), "{answer}");
    let seen = upstream.requests().remove(0);
    assert_eq!((&seen.body[..], &seen.trailers[..]), (&b"ab"[..], &[("x-sum".into(), "there".into())][..]));
    assert_eq!(seen.header("te").as_deref(), Some("trailers"));
    assert_eq!(seen.header("trailer").as_deref(), Some("X-Sum"));
}

#[test]
fn a_body_is_asked_for_by_the_server_alone() {
    let (upstream, process) = start("", "", |visit| {
        let head = visit.head().unwrap();
        assert_eq!(head.header("expect").as_deref(), Some("100-continue"));
        if head.line.contains("/wanted") {
            visit.send(b"HTTP/1.1 100 Continue\r\n\r\n");
            visit.skip(5);
            visit.send(OK);
        } else if head.line.contains("/silent") {
            // An old server says nothing, and waits for the body.
            visit.skip(5);
            visit.send(OK);
        } else {
            visit.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
            assert!(visit.until_closed().is_empty(), "a body that nobody asked for");
        }
    });
    let ask = |path: &str| {
        let head = format!("PUT /social/{path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n");
        begin(&process, &format!("{head}Content-Length: 5\r\nConnection: close\r\n\r\n"))
    };
    for path in ["wanted", "silent"] {
        let mut connection = ask(path);
        assert_eq!(until(&mut connection, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        connection.socket().write_all(b"abcde").unwrap();
        assert!(rest(&mut connection).ends_with("ok"), "{path}");
    }
    assert!(rest(&mut ask("refused")).starts_with("HTTP/1.1 413 Too Large\r\n"));
    upstream.wait_until_left();
}

/// The client gets the answer to a request that is still coming, and the server is not sent the rest.
#[test]
fn early_answers_get_through() {
    let (upstream, process) = start("", "", |visit| {
        let head = visit.head().unwrap();
        visit.skip(1000);
        let body = "x".repeat(10_000);
        visit.send(format!("HTTP/1.1 413 Too Large\r\nContent-Length: 10000\r\n\r\n{body}").as_bytes());
        if head.line.contains("/reads") {
            visit.until_closed();
        }
        // Otherwise it closes with bytes unread, which resets.
    });
    for path in ["reads", "resets"] {
        let head = format!("POST /social/{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
        let mut connection = begin(&process, &head);
        let mut writer = connection.socket().try_clone().unwrap();
        let writing = std::thread::spawn(move || drop(writer.write_all(&vec![b'y'; 3_000_000])));
        let answer = rest(&mut connection);
        writing.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 Too Large"), "{path}: {:?}", answer.get(..100));
        assert!(answer.ends_with(&"x".repeat(10_000)), "{path}: {} bytes", answer.len());
        upstream.wait_until_left();
    }
}

#[test]
fn both_directions_stream_at_once() {
    let (_upstream, process) = start("", "", |visit| {
        visit.head();
        visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..3 {
            // A chunk of three bytes with its framing: an echo.
            visit.skip(8);
            visit.send(b"3\r\nabc\r\n");
        }
        visit.skip(5);
        visit.send(b"0\r\n\r\n");
        visit.until_closed();
    });
    let head = "POST /social/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut connection = begin(&process, head);
    until(&mut connection, "\r\n\r\n");
    for _ in 0..3 {
        connection.socket().write_all(b"3\r\nabc\r\n").unwrap();
        assert_eq!(until(&mut connection, "abc\r\n"), "3\r\nabc\r\n");
    }
    connection
        .socket()
        .write_all(b"0\r\n\r\nGET /social/proj1234/users/67890 HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert!(until(&mut connection, "HTTP/1.1 401").starts_with("0\r\n\r\n"));
}

/// Whenever a client goes, the server hears of it.
#[test]
fn a_client_that_goes_takes_its_request_along() {
    let (told, heard) = mpsc::channel();
    let told = Mutex::new(told);
    let (upstream, process) = start("", "", move |visit| {
        let head = visit.head().unwrap();
        if head.line.contains("/down") {
            visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
        }
        told.lock().unwrap().send(()).unwrap();
        let body = visit.until_closed();
        assert!(!body.ends_with(b"0\r\n\r\n"), "a body that broke off was ended");
    });
    let wait = "GET /social/wait HTTP/1.1\r\nHost: a\r\n\r\n";
    let down = "GET /social/down HTTP/1.1\r\nHost: a\r\n\r\n";
    let up = "POST /social/up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    for request in [wait, down, up] {
        let connection = begin(&process, request);
        heard.recv().unwrap();
        assert_eq!(upstream.open(), 1);
        drop(connection);
        upstream.wait_until_left();
    }
    process.wait_until("all are told", |process| {
        process.output().matches("\"outcome\":\"cancelled\"").count() == 2
    });
    assert_eq!(process.metric("interlingua_requests_in_flight"), Some(0));
}

/// What a server did not finish is never taken for whole.
#[test]
fn a_server_that_breaks_off_ends_the_clients_connection() {
    let (_upstream, process) = start("", "passthrough_idle_timeout_ms = 300", |visit| {
        let seen = visit.request().unwrap();
        if seen.line.contains("/length") {
            visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
        } else {
            visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");
        }
        if seen.line.contains("/quiet") {
            visit.until_closed();
        }
    });
    for path in ["length", "chunks", "quiet"] {
        let mut connection = begin(&process, &format!("GET /social/{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = rest(&mut connection);
        assert!(answer.contains("some") && !answer.ends_with("0\r\n\r\n"), "{path}: {answer}");
    }
    let failed = |cause: &str| {
        let name = "interlingua_passthrough_failures_total";
        process.metric(&format!("{name}{{cause=\"{cause}\",mount=\"social\"}}"))
    };
    assert_eq!((failed("reset"), failed("timeout")), (Some(2), Some(1)));
}

/// The times of other requests end no stream that makes progress.
#[test]
fn a_stream_may_take_longer_than_a_request() {
    let limits =
        "request_timeout_ms = 1500\nwrite_timeout_ms = 1500\nbody_timeout_ms = 1500\nidle_timeout_ms = 1500";
    let (_upstream, process) = start(limits, "passthrough_head_timeout_ms = 1500", |visit| {
        let head = visit.head().unwrap();
        if head.line.starts_with("POST") {
            visit.skip(60_000);
            visit.send(OK);
        } else {
            visit.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n");
            for _ in 0..10 {
                std::thread::sleep(std::time::Duration::from_millis(250));
                visit.send(b"x");
            }
        }
        visit.until_closed();
    });
    let close = "Connection: close\r\n\r\n";
    let mut down = begin(&process, &format!("GET /social/x HTTP/1.1\r\nHost: a\r\n{close}"));
    assert!(rest(&mut down).ends_with("xxxxxxxxxx"));
    let mut up =
        begin(&process, &format!("POST /social/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n{close}"));
    for _ in 0..10 {
        std::thread::sleep(std::time::Duration::from_millis(250));
        up.socket().write_all(&[b'x'; 6_000]).unwrap();
    }
    let answer = rest(&mut up);
    assert!(answer.ends_with("ok"), "{answer}");
    // One that makes none is ended.
    let head = "POST /social/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let answer = rest(&mut begin(&process, head));
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// A client that closes its sending half within a body has sent none.
#[test]
fn a_short_body_reaches_nobody_as_whole() {
    let (upstream, process) = start("", "", |visit| {
        visit.head();
        visit.until_closed();
    });
    for framing in [
        "Content-Length: 10\r\n\r\nabc",
        "Content-Length: 99999\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut connection = begin(&process, &format!("POST /social/x HTTP/1.1\r\nHost: a\r\n{framing}"));
        connection.socket().shutdown(Shutdown::Write).unwrap();
        let answer = rest(&mut connection);
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    upstream.wait_until_left();
    assert!(upstream.requests().is_empty());
}
