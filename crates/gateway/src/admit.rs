//! Taking in a request's body: within the mount's size and the server's time.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use gateway_core::{Error, ErrorKind};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Body;

/// How much of a refused body is read so that its sender sees the answer (decision 10).
const DRAIN_MAX_BYTES: usize = 4 * 1024 * 1024;
/// For how long.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Reads the whole body.
///
/// # Errors
/// [`ErrorKind::TooLarge`], [`ErrorKind::Timeout`], or [`ErrorKind::Malformed`] when the client
/// stops in the middle.
pub async fn read_body<B>(
    headers: &HeaderMap,
    mut body: B,
    max_bytes: usize,
    limit: Duration,
) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if declared_length(headers).is_some_and(|length| length > max_bytes as u64) {
        drain(body);
        return Err(ErrorKind::TooLarge.into());
    }
    match tokio::time::timeout(limit, collect(&mut body, max_bytes)).await {
        Ok(Err(error)) if error.kind == ErrorKind::TooLarge => {
            drain(body);
            Err(error)
        }
        Ok(collected) => collected,
        Err(_elapsed) => Err(Error::new(ErrorKind::Timeout).cause("body_timeout")),
    }
}

async fn collect<B>(body: &mut B, max_bytes: usize) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut whole = Bytes::new();
    while let Some(frame) = body.frame().await {
        let aborted = |_| {
            Error::new(ErrorKind::Malformed).message("The request body ended early").cause("body_aborted")
        };
        // Trailers are no part of the body, and never become headers.
        let Ok(data) = frame.map_err(aborted)?.into_data() else { continue };
        if data.len() > max_bytes - whole.len() {
            return Err(ErrorKind::TooLarge.into());
        }
        // Most bodies come in one piece, which is passed on as it is.
        whole = if whole.is_empty() { data } else { join(whole, &data) };
    }
    Ok(whole)
}

fn join(whole: Bytes, data: &[u8]) -> Bytes {
    let mut longer = whole.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    longer.extend_from_slice(data);
    longer.freeze()
}

/// Reads on in the background what a refused request still sends, and throws it away.
pub fn drain<B>(mut body: B)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(DRAIN_MAX, async move {
        let mut left = DRAIN_MAX_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(read) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    }));
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Runs a future for so long. Most are done at once, and need no timer.
///
/// # Errors
/// The time is up.
pub async fn within<F: Future>(
    limit: Duration,
    mut future: Pin<&mut F>,
) -> Result<F::Output, tokio::time::error::Elapsed> {
    match poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout(limit, future).await,
    }
}

/// Runs a future and turns a panic in it into `None`: one request must not end the others.
pub async fn catch_panic<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|context| {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |poll| poll.map(Some))
    })
    .await
}
