//! Listeners: HTTP/1.1 and h2c on one port, bounded in connections, time and patience, stopped
//! without losing a request that was accepted.

mod answer;
mod ceiling;
mod chunked;
mod connection;
mod figures;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod guard;
mod head;
mod origin;
mod refusal;
mod syntax;
mod writer;

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{body::AnswerBody, tls::Tls};
use ceiling::Ceiling;
pub use connection::Protocol;
use connection::Shared;
pub use figures::Figures;
pub use origin::{Origin, Streaming};

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
    /// For a connection to be open without a request.
    pub idle: Duration,
    /// For an answer to be taken, once its client no longer keeps up.
    pub write: Duration,
    /// For running requests to end, once stopped.
    pub drain: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_peer: usize,
    /// Requests on one connection.
    pub requests: u32,
}

/// Where connections come in, and what is allowed there.
pub struct Listener {
    /// The bound socket.
    pub socket: TcpListener,
    /// Its TLS, if it speaks that.
    pub tls: Option<Tls>,
    /// What it allows.
    pub limits: ListenerLimits,
    /// What is counted of it.
    pub figures: Arc<Figures>,
}

/// Something that answers requests, whatever they are.
pub trait Respond: Send + Sync + 'static {
    /// Answers one.
    fn respond(
        &self,
        origin: Origin<'_>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<AnswerBody>> + Send;

    /// Whether a peer stands for many clients, so that the ceiling of one does not count for it.
    fn is_proxy(&self, peer: SocketAddr) -> bool {
        let _none_by_default = peer;
        false
    }
}

/// Serves until `stop` turns true and every request that was accepted is answered, or the time to
/// drain is up.
pub async fn serve<R: Respond>(listener: Listener, responder: Arc<R>, mut stop: watch::Receiver<bool>) {
    let Listener { socket: listener, tls, limits, figures } = listener;
    let ceiling = Ceiling::new(limits.connections, limits.connections_per_peer, Arc::clone(&figures));
    let (stopping, leaving) = (AtomicBool::new(false), AtomicBool::new(false));
    let shared = Arc::new(Shared { responder, tls, limits, figures, stopping, leaving });
    let (leave, left) = watch::channel(false);
    let open = |accepted| open(accepted, &shared, &ceiling, &left);
    loop {
        tokio::select! {
            accepted = accept(&listener) => open(accepted),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // Clients that are told to go come back by a new connection until the port is closed.
    shared.stopping.store(true, Ordering::Relaxed);
    let lingered = tokio::time::sleep(LINGER);
    tokio::pin!(lingered);
    loop {
        tokio::select! {
            accepted = accept(&listener) => open(accepted),
            () = &mut lingered => break,
        }
    }
    // What is in the queue by now was connected while the port was open, and may have sent its request:
    // a connection that was read nothing from is closed without an answer, so it gets time to be read.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            open(adopt(stream).map(|stream| (stream, peer)));
        }
    }
    tokio::time::sleep(LINGER).await;
    shared.leaving.store(true, Ordering::Release);
    leave.send_replace(true);
    let drained = tokio::time::timeout(limits.drain, ceiling.emptied()).await;
    if drained.is_err() {
        tracing::warn!("stopped before every request was answered: the time to drain is up");
    }
}

/// Serves a connection in a task of its own, if there is a place for it.
fn open<R: Respond>(
    accepted: Option<(TcpStream, SocketAddr)>,
    shared: &Arc<Shared<R>>,
    ceiling: &Arc<Ceiling>,
    leave: &watch::Receiver<bool>,
) {
    let Some((stream, peer)) = accepted else { return };
    let place = match ceiling.enter(peer.ip(), shared.responder.is_proxy(peer)) {
        Ok(place) => place,
        Err(full) => {
            shared.figures.turned_away(full);
            return turn_away(stream, shared.tls.is_some());
        }
    };
    shared.figures.accepted.inc();
    let (shared, leave) = (Arc::clone(shared), leave.clone());
    tokio::spawn(async move {
        let _place = place;
        match &shared.tls {
            None => connection::serve(shared, stream, None, peer, leave).await,
            Some(tls) => {
                if let Some((stream, protocol)) = tls.accept(stream).await {
                    Box::pin(connection::serve(shared, stream, Some(protocol), peer, leave)).await;
                }
            }
        }
    });
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are one write each; without this the kernel may hold the last part back.
            stream.set_nodelay(true).ok()?;
            Some((stream, peer))
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

/// Says that there is no place, where that costs no handshake, and waits for nothing.
fn turn_away(stream: TcpStream, encrypted: bool) {
    if !encrypted && let Ok(mut stream) = stream.into_std() {
        // Heard or not, the connection ends.
        drop(stream.write(&refusal::bare(503)));
    }
}
