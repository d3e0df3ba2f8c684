//! HTTP/2 connections that cost more than they bring, beside a client that is served as ever.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use gateway_testkit::client::Connection;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tests::{Bed, Process, partner};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET http://a/`, compressed.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
const ENHANCE_YOUR_CALM: u32 = 11;

/// Makes the n-th frame of a flood.
type Flood = fn(u32) -> Vec<u8>;

fn limited(limits: &str) -> Process {
    let mounts = include_str!("../src/mounts.toml");
    Process::start(&Bed::with(&mounts.replace("[server]\n", &format!("[server]\n{limits}\n"))))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The error codes of the GOAWAY frames in what was read.
fn goaways(mut bytes: &[u8]) -> Vec<u32> {
    let mut codes = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        if *kind == GOAWAY {
            codes.push(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        bytes = rest;
    }
    codes
}

/// Sends frames to a gateway until it closes, and reads what it says meanwhile.
fn attack(process: &Process, frames: impl Iterator<Item = Vec<u8>>) -> Vec<u32> {
    let mut socket = TcpStream::connect(process.address).unwrap();
    let mut reading = socket.try_clone().unwrap();
    reading.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _reset_is_an_end_too = reading.read_to_end(&mut bytes);
        bytes
    });
    socket.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
    for frame in frames {
        if socket.write_all(&frame).is_err() {
            break;
        }
    }
    // The gateway is the one that ends it.
    let said = reader.join().unwrap();
    let _closed_already = socket.shutdown(Shutdown::Both);
    goaways(&said)
}

#[test]
fn floods_are_cut_off_and_others_served() {
    let process = limited("");
    let mut good = Connection::open(process.address).unwrap();
    let floods: [(&str, Flood); 6] = [
        ("ping", |_| frame(PING, 0, 0, &[7; 8])),
        ("settings", |_| frame(SETTINGS, 0, 0, &[])),
        ("window", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("priority", |n| frame(PRIORITY, 0, n * 2 + 1, &[0, 0, 0, 0, 1])),
        ("unknown", |_| frame(99, 0, 0, &[])),
        ("reset", |n| {
            let stream = n * 2 + 1;
            let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, GET);
            [head, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        }),
    ];
    for (name, make) in floods {
        let codes = attack(&process, (0..20_000).map(make));
        assert_eq!(codes.last(), Some(&ENHANCE_YOUR_CALM), "{name}: {codes:?}");
        assert_eq!(good.send(&partner::read("nobody")).unwrap().status, 404);
    }
    let head = frame(HEADERS, END_HEADERS, 1, &[&[0x83], &GET[1..]].concat());
    let empty = (0..20_000).map(|_| frame(DATA, 0, 1, &[]));
    let codes = attack(&process, std::iter::once(head).chain(empty));
    assert_eq!(codes.last(), Some(&ENHANCE_YOUR_CALM), "empty data: {codes:?}");
    assert_eq!(good.send(&partner::read("nobody")).unwrap().status, 404);
}

#[test]
fn a_header_block_that_does_not_end_is_not_waited_for() {
    let process = limited("header_timeout_ms = 200\nidle_timeout_ms = 600000");
    let open = frame(HEADERS, END_STREAM, 1, GET);
    assert_eq!(attack(&process, std::iter::once(open)), [ENHANCE_YOUR_CALM]);
    let mut half = frame(HEADERS, END_STREAM | END_HEADERS, 1, GET);
    half.truncate(12);
    assert_eq!(attack(&process, std::iter::once(half)), [ENHANCE_YOUR_CALM]);
}

#[test]
fn a_client_that_opens_no_window_is_dropped() {
    let process = limited("write_timeout_ms = 200\nidle_timeout_ms = 600000");
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, GET);
    assert_eq!(attack(&process, [no_window, head].into_iter()), [ENHANCE_YOUR_CALM]);
}

#[test]
fn an_idle_connection_is_closed() {
    let process = limited("idle_timeout_ms = 200");
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, GET);
    assert_eq!(attack(&process, std::iter::once(head)), [0]);
}

/// Thousands of answers on one connection, each with its windows: none is mistaken for a flood. The
/// connection ends where it has had its requests.
#[tokio::test]
async fn a_busy_client_is_no_flood() {
    let process = limited("max_connection_requests = 3000");
    let stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let running = tokio::spawn(connection);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let mut sender = sender.clone();
        clients.spawn(async move {
            for _ in 0..100 {
                let request =
                    http::Request::get("http://gateway.test/nowhere").body(Empty::<bytes::Bytes>::new());
                let answer = sender.send_request(request.unwrap()).await.unwrap();
                assert_eq!(answer.status(), 404);
                answer.into_body().collect().await.unwrap();
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn hosts_and_targets_of_http_2_are_checked() {
    let process = limited("");
    let stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let _running = tokio::spawn(connection);
    for (name, value, status) in
        [("host", "gateway.test", 404), ("host", "evil.test", 400), ("x_y", "z", 400), ("expect", "y", 417)]
    {
        let request = http::Request::get("http://gateway.test/nowhere").header(name, value);
        let answer = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{name}: {value}");
    }
}
