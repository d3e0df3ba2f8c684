//! The listener: bodies, time-outs, both versions of HTTP on one port.

use std::io::{Read, Write};

use gateway_testkit::client::{Connection, RawRequest};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tests::{Bed, Process, partner};

/// The mounts, with a listener that does not wait for long.
fn hasty() -> Bed {
    let mounts = include_str!("../src/mounts.toml");
    Bed::with(&mounts.replace("[server]\n", "[server]\nheader_timeout_ms = 300\nbody_timeout_ms = 300\n"))
}

/// All that comes until the other side closes.
fn rest(connection: &mut Connection) -> String {
    let mut bytes = Vec::new();
    let _reset_is_an_end_too = connection.socket().read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn head(request: &RawRequest, framing: &str) -> String {
    let mut head =
        format!("{} {} HTTP/1.1\r\nHost: gateway.test\r\n{framing}\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head + "\r\n"
}

#[test]
fn a_head_or_a_body_that_does_not_come_is_not_waited_for() {
    let process = Process::start(&hasty());
    for start in ["", "P", "PRI * HTTP/2.0\r\n", "GET /partner/v1/users/x HTTP/1.1\r\nHost: a\r\n"] {
        let mut connection = Connection::open(process.address).unwrap();
        connection.socket().write_all(start.as_bytes()).unwrap();
        assert!(!rest(&mut connection).contains(" 200 "), "{start:?}");
    }
    let mut connection = Connection::open(process.address).unwrap();
    let request = partner::create("slow", None);
    connection.socket().write_all(head(&request, "Content-Length: 900").as_bytes()).unwrap();
    connection.socket().write_all(b"{\"externalId\":").unwrap();
    let answer = rest(&mut connection);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains(r#""error":"bad_request""#), "{answer}");
}

#[test]
fn a_body_without_a_length_is_bounded_too() {
    let process = Process::start(&Bed::new());
    let mut connection = Connection::open(process.address).unwrap();
    let request = partner::create("wide", None);
    connection.socket().write_all(head(&request, "Transfer-Encoding: chunked").as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    for _ in 0..17 {
        connection.socket().write_all(chunk.as_bytes()).unwrap();
    }
    connection.socket().write_all(b"0\r\n\r\n").unwrap();
    let mut start = [0; 12];
    connection.socket().read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

/// A credential in a trailer is none.
#[test]
fn trailers_are_no_headers() {
    let process = Process::start(&Bed::new());
    let mut request = partner::create("trailer", None);
    let key = request.headers.iter().position(|(name, _)| name == "X-Api-Key").unwrap();
    let (name, value) = request.headers.remove(key);
    let body = String::from_utf8(request.body.clone()).unwrap();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n{name}: {value}\r\n\r\n", body.len());
    let mut connection = Connection::open(process.address).unwrap();
    connection.socket().write_all(head(&request, "Transfer-Encoding: chunked").as_bytes()).unwrap();
    connection.socket().write_all(chunked.as_bytes()).unwrap();
    let mut start = [0; 12];
    connection.socket().read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 401");
}

#[test]
fn a_refused_request_leaves_the_connection_usable() {
    let process = Process::start(&Bed::new());
    let mut connection = Connection::open(process.address).unwrap();
    let mut unsigned = partner::create("kept", None);
    unsigned.headers.clear();
    unsigned.body = vec![b' '; 300_000];
    assert_eq!(connection.send(&unsigned).unwrap().status, 401);
    assert_eq!(connection.send(&partner::create("kept", None)).unwrap().status, 201);
    let head = RawRequest { method: "HEAD".into(), ..partner::read("kept") };
    let signed_as_get = connection.send(&head).unwrap();
    assert_eq!((signed_as_get.status, signed_as_get.body.len()), (401, 0));
    assert_eq!(connection.send(&partner::read("kept")).unwrap().status, 200);
}

#[tokio::test]
async fn http_2_is_spoken_on_the_same_port() {
    let process = Process::start(&Bed::new());
    let stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let running = tokio::spawn(connection);
    for (request, status) in
        [(partner::create("two", None), 201), (partner::read("two"), 200), (partner::read("nobody"), 404)]
    {
        let mut built = http::Request::builder()
            .method(&*request.method)
            .uri(format!("http://gateway.test{}", request.target));
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let sent = built.body(Full::new(bytes::Bytes::from(request.body.clone()))).unwrap();
        let answer = sender.send_request(sent).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    drop(sender);
    running.await.unwrap().unwrap();
}
