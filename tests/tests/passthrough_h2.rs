//! Clients of HTTP/2 in front of a server of HTTP/1.1.

use bytes::Bytes;
use http_body_util::{BodyExt, Channel, Empty, combinators::BoxBody};
use hyper::{Request, Response, body::Frame, body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tests::{
    Bed, Process,
    upstream::{Upstream, Visit},
};
use tokio::net::TcpStream;

type Sender = SendRequest<BoxBody<Bytes, std::convert::Infallible>>;

fn start(serve: impl Fn(&mut Visit) + Send + Sync + 'static) -> (Upstream, Process) {
    let upstream = Upstream::start(serve);
    let limits = "write_timeout_ms = 300\nidle_timeout_ms = 300";
    let process = Process::start(&Bed::with(&upstream.config(limits, "")));
    (upstream, process)
}

async fn connect(process: &Process) -> Sender {
    let stream = TcpStream::connect(process.address).await.unwrap();
    let executor = TokioExecutor::new();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(executor, TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

async fn send(
    sender: &mut Sender,
    method: &str,
    body: BoxBody<Bytes, std::convert::Infallible>,
) -> Response<Incoming> {
    let request = Request::builder().method(method).uri("http://gateway.test/social/x?y");
    let request = request.header("cookie", "a=b").header("cookie", "c=d").header("trailer", "x-sum");
    sender.send_request(request.body(body).unwrap()).await.unwrap()
}

#[tokio::test]
async fn bodies_and_trailers_go_both_ways() {
    let (upstream, process) = start(|visit| {
        while visit.request().is_some() {
            visit.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n\
                  2\r\nok\r\n0\r\nX-Sum: back\r\n\r\n",
            );
        }
    });
    let mut sender = connect(&process).await;
    let (mut body, channel) = Channel::new(4);
    body.send_data(Bytes::from_static(b"abc")).await.unwrap();
    body.send(Frame::trailers([("x-sum".parse().unwrap(), "there".parse().unwrap())].into_iter().collect()))
        .await
        .unwrap();
    drop(body);
    let answer = send(&mut sender, "POST", channel.boxed()).await;
    assert_eq!(answer.status(), 200);
    let answer = answer.into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-sum"], "back");
    assert_eq!(answer.to_bytes(), "ok");
    let seen = upstream.requests().remove(0);
    assert_eq!(seen.line, "POST /social/x?y HTTP/1.1");
    assert_eq!((&seen.body[..], &seen.trailers[..]), (&b"abc"[..], &[("x-sum".into(), "there".into())][..]));
    for (name, value) in [
        ("host", upstream.address.to_string()),
        ("via", "2.0 interlingua".into()),
        ("cookie", "a=b; c=d".into()),
        ("forwarded", "for=127.0.0.1;host=\"gateway.test\";proto=http".into()),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_stream_lasts_and_a_break_is_a_reset() {
    let (upstream, process) = start(|visit| {
        visit.request();
        visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        // Longer than any answer may take to be read.
        for _ in 0..8 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            visit.send(b"x");
        }
    });
    let mut sender = connect(&process).await;
    let mut body = send(&mut sender, "GET", Empty::new().boxed()).await.into_body();
    let mut read = 0;
    let ended = loop {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().unwrap().len(),
            ended => break ended,
        }
    };
    assert!(read > 4 && ended.is_some_and(|end| end.is_err()), "{read}");
    upstream.wait_until_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_takes_the_request_along() {
    let (upstream, process) = start(|visit| {
        visit.head();
        visit.until_closed();
    });
    let mut sender = connect(&process).await;
    let asking = tokio::spawn(async move {
        send(&mut sender, "GET", Empty::new().boxed()).await;
    });
    upstream.wait_for(1);
    asking.abort();
    upstream.wait_until_left();
    assert_eq!(process.admin("/livez").0, 200);
}
