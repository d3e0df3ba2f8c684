//! One connection, from its first byte to its last.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::BytesMut;
use http::Response;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use crate::{body::AnswerBody, tls::Tls};

use super::{
    ListenerLimits, Respond,
    answer::answer,
    figures::Figures,
    gate::Gate,
    guard::Guard,
    head::MAX_HEAD_BYTES,
    origin::{Origin, Streams},
    refusal::Refusal,
};

/// What a client of HTTP/2 sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long, and up to how much, is read from a client that is not answered any more (decision 10).
pub(super) const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// The most that is read of an HTTP/1 body at once, and buffered of an answer.
const BUFFER_BYTES: usize = 64 * 1024;
/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// What may be on its way of one body, and of all bodies of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that were reset before they were looked at, and that broke a rule.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERRORS: usize = 100;

/// The versions of HTTP that a connection can speak from its first byte on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// HTTP/1.1 and 1.0.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What the connections of a listener share.
pub(super) struct Shared<R> {
    pub(super) responder: Arc<R>,
    pub(super) tls: Option<Tls>,
    pub(super) limits: ListenerLimits,
    pub(super) figures: Arc<Figures>,
    /// Answers ask their clients to go.
    pub(super) stopping: AtomicBool,
    /// Idle connections are closed. Set before the channel of that name is.
    pub(super) leaving: AtomicBool,
}

/// What the parts of one connection tell each other.
pub(super) struct Signs {
    pub(super) limits: ListenerLimits,
    pub(super) figures: Arc<Figures>,
    requests: AtomicU32,
    leaving: AtomicBool,
    pub(super) streams: Streams,
}

impl Signs {
    /// Counts a request.
    pub(super) fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the connection has had its requests.
    pub(super) fn is_spent(&self) -> bool {
        self.requests.load(Ordering::Relaxed) >= self.limits.requests
    }

    /// Whether the connection was told to end once nothing is open.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}

/// Serves a connection to its end. `agreed` is what TLS has negotiated, if that was spoken.
pub(super) async fn serve<R, IO>(
    shared: Arc<Shared<R>>,
    mut io: IO,
    agreed: Option<Protocol>,
    peer: SocketAddr,
    mut leave: watch::Receiver<bool>,
) where
    R: Respond,
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let begun = Instant::now();
    let mut first = BytesMut::new();
    let protocol = match agreed {
        Some(protocol) => protocol,
        None => tokio::select! {
            chosen = choose(&mut io, &mut first, begun + shared.limits.header) => match chosen {
                Some(protocol) => protocol,
                None => return cut_off(io, &first, &shared.figures).await,
            },
            () = told(&mut leave) => return,
        },
    };
    let signs = Arc::new(Signs {
        limits: shared.limits,
        figures: Arc::clone(&shared.figures),
        requests: AtomicU32::new(0),
        leaving: AtomicBool::new(false),
        streams: Streams::default(),
    });
    let service = service_fn(|request| {
        let (shared, signs) = (Arc::clone(&shared), Arc::clone(&signs));
        async move {
            let origin = Origin::new(peer, shared.tls.is_some(), &signs);
            Ok::<Response<AnswerBody>, Infallible>(answer(&shared, &signs, origin, request).await)
        }
    });
    match protocol {
        Protocol::Http1 => {
            let mut gate = Gate::new(io, first, begun, Arc::clone(&signs));
            let connection = http1().serve_connection(TokioIo::new(&mut gate), &service);
            drive(connection, http1::Connection::graceful_shutdown, &shared, &signs, leave).await;
            gate.close().await;
        }
        Protocol::Http2 => {
            let mut guard = Guard::new(io, first, begun, Arc::clone(&signs));
            let connection = http2().serve_connection(TokioIo::new(&mut guard), &service);
            drive(connection, http2::Connection::graceful_shutdown, &shared, &signs, leave).await;
            guard.close().await;
        }
    }
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The gate keeps the time of heads, and bounds them.
    // Answers are small: one piece is sent faster than two are gathered.
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES).half_close(true).writev(false);
    builder
}

fn http2() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERRORS)
        .max_send_buf_size(BUFFER_BYTES);
    builder
}

/// Tells the version of HTTP by the first bytes, which are kept. `None` if they do not come.
async fn choose<IO>(io: &mut IO, first: &mut BytesMut, deadline: Instant) -> Option<Protocol>
where
    IO: AsyncRead + Unpin,
{
    loop {
        match timeout_at(deadline, io.read_buf(first)).await {
            Ok(Ok(1..)) if first.starts_with(PREFACE) => return Some(Protocol::Http2),
            Ok(Ok(1..)) if PREFACE.starts_with(first) => {}
            Ok(Ok(1..)) => return Some(Protocol::Http1),
            _ => return None,
        }
    }
}

/// Ends a connection that never said what it speaks.
async fn cut_off<IO>(mut io: IO, first: &[u8], figures: &Figures)
where
    IO: AsyncWrite + Unpin,
{
    if !first.is_empty() {
        figures.refused(Refusal::HeadTimeout);
        // The connection ends, whether this is heard or not.
        drop(timeout(LINGER, io.write_all(&Refusal::HeadTimeout.answer())).await);
    }
}

/// Runs a connection of hyper's to its end, and tells it to go when it is time to.
async fn drive<C, R>(
    connection: C,
    go: fn(Pin<&mut C>),
    shared: &Shared<R>,
    signs: &Signs,
    mut leave: watch::Receiver<bool>,
) where
    C: Future,
{
    let mut connection = pin!(connection);
    let mut leave = pin!(told(&mut leave));
    let (mut listening, mut going) = (false, false);
    poll_fn(|context| {
        loop {
            // An error here is the client's: a broken frame or a closed socket.
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if going {
                return Poll::Pending;
            }
            // It is the same task each time, so that asking once is enough to be woken.
            let told = (!listening || shared.leaving.load(Ordering::Acquire))
                && leave.as_mut().poll(context).is_ready();
            listening = true;
            if !told && !signs.is_spent() {
                return Poll::Pending;
            }
            going = true;
            signs.leaving.store(true, Ordering::Relaxed);
            go(connection.as_mut());
        }
    })
    .await;
}

/// Waits for the word to leave. The listener's end is one, too.
async fn told(leave: &mut watch::Receiver<bool>) {
    drop(leave.wait_for(|leave| *leave).await);
}

/// Closes a socket. Where the other side may still be sending, that is read for a while: a reset
/// would take the last answer from it.
pub(super) async fn linger<IO>(mut io: IO, sending: bool)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let closed = timeout(LINGER, io.shutdown()).await;
    if !sending || !matches!(closed, Ok(Ok(()))) {
        return;
    }
    let drained = async {
        let mut scrap = BytesMut::with_capacity(8 * 1024);
        let mut left = LINGER_BYTES;
        while let Ok(read @ 1..) = io.read_buf(&mut scrap).await {
            scrap.clear();
            match left.checked_sub(read) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Over or not, the connection is done.
    drop(timeout(LINGER, drained).await);
}
