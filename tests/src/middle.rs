//! What stands between a gateway and the service behind it, and does to requests what networks and services do.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::Notify,
};

/// What is done to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing: it is passed on, and its answer back.
    None,
    /// It is read, and the connection closed; the service never sees it.
    Refuse,
    /// It is carried out, and the connection closed: the answer is lost.
    Lose,
    /// It is answered so, and never seen by the service.
    Answer(u16, &'static str),
    /// It is carried out, and answered so all the same.
    AnswerAfter(u16, &'static str),
    /// It is carried out, and its answer held back until [`Middle::release`].
    Hold,
    /// It is passed on after so many milliseconds.
    Slow(u64),
}

/// A request as it was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The target.
    pub target: String,
    /// Its Idempotency-Key.
    pub key: Option<String>,
    /// `If-Match`.
    pub condition: Option<String>,
    /// The body.
    pub body: Bytes,
    /// Whether the service answered it with 2xx, as something new.
    pub is_effect: bool,
}

type Decide = dyn Fn(&Seen) -> Fault + Send + Sync;

struct Shared {
    behind: SocketAddr,
    decide: Mutex<Arc<Decide>>,
    seen: Mutex<Vec<Seen>>,
    released: Notify,
}

/// A running middle.
pub struct Middle {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Middle {
    /// Starts one that does nothing yet.
    #[must_use]
    pub fn start(behind: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behind,
            decide: Mutex::new(Arc::new(|_: &Seen| Fault::None)),
            seen: Mutex::default(),
            released: Notify::new(),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, runtime: Some(runtime) }
    }

    /// Decides on each request from now on.
    pub fn decide(&self, decide: impl Fn(&Seen) -> Fault + Send + Sync + 'static) {
        *self.shared.decide.lock().unwrap() = Arc::new(decide);
    }

    /// Lets go of every answer that is held back now.
    pub fn release(&self) {
        self.shared.released.notify_waiters();
    }

    /// All requests so far that were not reads.
    #[must_use]
    pub fn writes(&self) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.method != Method::GET).cloned().collect()
    }

    /// How many requests had an effect, by their target.
    #[must_use]
    pub fn effects(&self) -> BTreeMap<String, usize> {
        let mut effects = BTreeMap::new();
        for seen in self.writes().into_iter().filter(|seen| seen.is_effect) {
            *effects.entry(seen.target).or_default() += 1;
        }
        effects
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&shared, request));
            // An answer that is an error closes the connection.
            drop(server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut seen = Seen {
        method: head.method.clone(),
        target: head.uri.to_string(),
        key: text("idempotency-key"),
        condition: text("if-match"),
        body: body.clone(),
        is_effect: false,
    };
    let decide = Arc::clone(&shared.decide.lock().unwrap());
    let fault = decide(&seen);
    if let Fault::Slow(ms) = fault {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if matches!(fault, Fault::Refuse | Fault::Answer(..)) {
        shared.seen.lock().unwrap().push(seen);
        return match fault {
            Fault::Answer(status, text) => Ok(made_up(status, text)),
            _ => Err(io::ErrorKind::ConnectionReset.into()),
        };
    }
    let released = shared.released.notified();
    // The client may go away; the request is carried out all the same.
    let passed = tokio::spawn(pass(shared.behind, head.method, head.uri.to_string(), head.headers, body));
    let passed = passed.await.map_err(io::Error::other)?.map_err(io::Error::other);
    seen.is_effect = passed.as_ref().is_ok_and(|answer| {
        answer.status().is_success() && !answer.headers().contains_key("idempotency-replayed")
    });
    shared.seen.lock().unwrap().push(seen);
    match fault {
        Fault::Lose => Err(io::ErrorKind::ConnectionReset.into()),
        Fault::AnswerAfter(status, text) => Ok(made_up(status, text)),
        Fault::Hold => {
            released.await;
            passed
        }
        _ => passed,
    }
}

async fn pass(
    behind: SocketAddr,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(behind).await?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::new(Full::new(body));
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, target.parse()?, headers);
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
}

fn made_up(status: u16, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if (300..400).contains(&status) {
        response.headers_mut().insert("location", http::HeaderValue::from_static("http://127.0.0.1:1/"));
    }
    let media_type = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", media_type);
    response
}
