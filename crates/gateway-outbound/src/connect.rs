//! A connection to an address that was checked: no name is resolved a second time.

use std::{
    error::Error,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::{
    body::Body,
    client::conn::http1::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;

use crate::{CallError, Endpoint, endpoint::Host, is_special, patient::Patient, pool::Waiting};

/// The most addresses of a name that are tried.
const CANDIDATES: usize = 4;
/// The longest head of an answer.
const MAX_HEAD: usize = 32 * 1024;

/// Asks for the addresses of a name.
pub(crate) type Lookup = fn(String, u16) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// As the system resolves names.
pub(crate) fn system(
    name: String,
    port: u16,
) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
}

/// A connection that takes requests, and what moves its bytes: nothing happens on it but while that is
/// polled. Closed when dropped.
pub(crate) struct Line<B> {
    pub(crate) sender: SendRequest<B>,
    pub(crate) driver: Driver,
}

/// What moves the bytes of a connection, until it has ended.
pub(crate) struct Driver(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Driver {
    /// Ready once the connection has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let polled = self.0.as_mut().map_or(Poll::Ready(()), |driver| driver.as_mut().poll(context));
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }

    /// Waits for what comes by the connection. The one who waits drives it: that costs no task, and no word
    /// between tasks.
    pub(crate) async fn bring<F: Future>(&mut self, awaited: F) -> Result<F::Output, CallError> {
        let mut awaited = pin!(awaited);
        poll_fn(|context| {
            // Twice, since what is looked at may ask for more, such as the body of an answer.
            for _ in 0..2 {
                let has_ended = self.poll(context).is_ready();
                match awaited.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(output) => return Poll::Ready(Ok(output)),
                    Poll::Pending if has_ended => return Poll::Ready(Err(CallError::Reset)),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl<B> Waiting for Line<B> {
    fn is_ready(&mut self) -> bool {
        // Nobody waits for what happens later: whoever takes it looks again.
        self.driver.poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.sender.is_ready()
    }
}

/// Connects, by the deadline at most.
pub(crate) async fn connect<B>(
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
    lookup: Lookup,
    deadline: Instant,
) -> Result<Line<B>, CallError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let candidates = candidates(endpoint, lookup).await?;
    let stream = reach(&candidates, deadline).await?;
    // What is sent is one small request at a time.
    stream.set_nodelay(true).ok().ok_or(CallError::Connect)?;
    if !endpoint.is_tls {
        return speak(TokioIo::new(stream)).await;
    }
    let name = match &endpoint.host {
        Host::Name(name) => ServerName::try_from(name.clone()).ok().ok_or(CallError::Tls)?,
        Host::Address(address) => ServerName::from(*address),
    };
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    speak(TokioIo::new(stream.ok().ok_or(CallError::Tls)?)).await
}

/// Every address of the host, if all of them may be called: one that may not be among them says that
/// the name is not what it should be.
async fn candidates(endpoint: &Endpoint, lookup: Lookup) -> Result<Vec<SocketAddr>, CallError> {
    let mut addresses = match &endpoint.host {
        Host::Address(address) => vec![SocketAddr::new(*address, endpoint.port)],
        Host::Name(name) => lookup(name.clone(), endpoint.port).await.ok().ok_or(CallError::Resolve)?,
    };
    if addresses.is_empty() {
        return Err(CallError::Resolve);
    }
    if !endpoint.allow_private && addresses.iter().any(|address| is_special(address.ip())) {
        return Err(CallError::Refused);
    }
    addresses.truncate(CANDIDATES);
    Ok(addresses)
}

/// The first that answers; each has its share of the time that is left.
async fn reach(candidates: &[SocketAddr], deadline: Instant) -> Result<TcpStream, CallError> {
    for (done, candidate) in candidates.iter().enumerate() {
        let left = u32::try_from(candidates.len() - done).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        if let Ok(Ok(stream)) = tokio::time::timeout(share, TcpStream::connect(candidate)).await {
            return Ok(stream);
        }
    }
    // The last had all the time that was left.
    if deadline <= Instant::now() { Err(CallError::Timeout) } else { Err(CallError::Connect) }
}

async fn speak<T, B>(io: T) -> Result<Line<B>, CallError>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    let handshake = builder.max_buf_size(MAX_HEAD).max_headers(100).handshake(Patient::new(io)).await;
    let (sender, connection) = handshake.ok().ok_or(CallError::Protocol)?;
    let driver = Box::pin(async move {
        // Whoever waits for the answer is told what went wrong.
        drop(connection.await);
    });
    Ok(Line { sender, driver: Driver(Some(driver)) })
}
