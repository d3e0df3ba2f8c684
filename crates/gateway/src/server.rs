//! Listeners: HTTP/1.1 and h2c on one port, bounded in connections and time, stopped without
//! losing a request that was accepted.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use crate::tls::{self, Tls};

/// The most header lines of a request.
const MAX_HEADERS: usize = 64;
/// The most bytes of a request's head.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// After the word to stop, answers ask their clients to go for so long, before idle connections are
/// closed: a client that is just sending is not cut off.
const LINGER: Duration = Duration::from_millis(250);
/// The pause after a failed accept (no file descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub struct ListenerLimits {
    /// For a request's head to arrive.
    pub header: Duration,
    /// Connections at once.
    pub connections: usize,
    /// For running requests to end, once stopped.
    pub drain: Duration,
}

/// A connection, whom it is with, and its place among the open ones.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// Something that answers requests, whatever they are.
pub trait Respond: Send + Sync + 'static {
    /// Answers one; `peer` is the socket's other end.
    fn respond(
        &self,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// Serves until `stop` turns true and every request that was accepted is answered, or the time to
/// drain is up.
pub async fn serve<R: Respond>(
    listener: TcpListener,
    responder: Arc<R>,
    limits: ListenerLimits,
    tls: Option<Tls>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let stopping = Arc::new(AtomicBool::new(false));
    let builder = Arc::new(connection_builder(limits));
    let open = |accepted: Option<Accepted>| {
        let Some((stream, peer, place)) = accepted else { return };
        let begun = Arc::new(AtomicBool::new(false));
        let service = {
            let (responder, stopping, begun) =
                (Arc::clone(&responder), Arc::clone(&stopping), Arc::clone(&begun));
            service_fn(move |request| {
                begun.store(true, Ordering::Relaxed);
                let (responder, stopping) = (Arc::clone(&responder), Arc::clone(&stopping));
                async move { Ok::<_, Infallible>(answer(&*responder, &stopping, peer, request).await) }
            })
        };
        let (builder, watcher, tls) = (Arc::clone(&builder), graceful.watcher(), tls.clone());
        tokio::spawn(async move {
            let _place = place;
            let Some(stream) = tls::open(tls.as_ref(), stream).await else { return };
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            tokio::select! {
                // An error here is the client's: a broken head or a closed socket.
                _ended = watcher.watch(connection) => {}
                () = never_began(begun, limits.header) => {}
            }
        });
    };
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => open(accepted),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // Clients that are told to go come back by a new connection until the port is closed.
    stopping.store(true, Ordering::Relaxed);
    let lingered = tokio::time::sleep(LINGER);
    tokio::pin!(lingered);
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => open(accepted),
            () = &mut lingered => break,
        }
    }
    // What is in the queue by now was connected while the port was open, and may have sent its request:
    // a connection that was read nothing from is closed without an answer, so it gets time to be read.
    if let Ok(listener) = listener.into_std() {
        while let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let Ok((stream, peer)) = listener.accept() else { break };
            open(adopt(stream).map(|stream| (stream, peer, place)));
        }
    }
    tokio::time::sleep(LINGER).await;
    let drained = tokio::time::timeout(limits.drain, graceful.shutdown()).await;
    if drained.is_err() {
        tracing::warn!("stopped before every request was answered: the time to drain is up");
    }
}

fn connection_builder(limits: ListenerLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES as usize)
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are one write each; without this the kernel may hold the last part back.
            stream.set_nodelay(true).ok()?;
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn adopt(stream: std::net::TcpStream) -> Option<TcpStream> {
    stream.set_nonblocking(true).ok()?;
    TcpStream::from_std(stream).ok()
}

async fn answer<R: Respond>(
    responder: &R,
    stopping: &AtomicBool,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let version = request.version();
    let mut response = responder.respond(peer, request).await;
    if stopping.load(Ordering::Relaxed) && version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Ends when a connection's first request has not begun in time: hyper's own time-out for heads
/// starts only once it knows the protocol.
async fn never_began(begun: Arc<AtomicBool>, limit: Duration) {
    tokio::time::sleep(limit).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
