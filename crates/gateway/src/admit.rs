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
use tokio::time::{Instant, timeout, timeout_at};

/// How long a body may take to begin with, and how fast it must be from then on.
const GRACE: Duration = Duration::from_secs(5);
const MIN_BYTES_PER_SECOND: u32 = 1000;
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
        drain(headers, body);
        return Err(ErrorKind::TooLarge.into());
    }
    let collected = collect(&mut body, max_bytes, limit).await;
    if collected.as_ref().is_err_and(|error| error.kind == ErrorKind::TooLarge) {
        drain(headers, body);
    }
    collected
}

async fn collect<B>(body: &mut B, max_bytes: usize, limit: Duration) -> Result<Bytes, Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    let begun = Instant::now();
    let too_slow = |_elapsed| Error::new(ErrorKind::Timeout).cause("body_timeout");
    let mut whole = Bytes::new();
    loop {
        let deadline = begun + patience(whole.len(), limit);
        let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(too_slow)? else {
            return Ok(whole);
        };
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
}

/// How long after its start a body may take of which so much is here.
pub(crate) fn patience(received: usize, limit: Duration) -> Duration {
    limit.min(GRACE + Duration::from_secs(received as u64) / MIN_BYTES_PER_SECOND)
}

fn join(whole: Bytes, data: &[u8]) -> Bytes {
    let mut longer = whole.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    longer.extend_from_slice(data);
    longer.freeze()
}

/// Reads on in the background what a refused request still sends, and throws it away.
///
/// Reading would ask a client for a body that waits to be asked: that one is told no, and the
/// connection closes.
pub fn drain<B>(headers: &HeaderMap, mut body: B)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(timeout(DRAIN_MAX, async move {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_while_and_then_keeps_up() {
        let limit = Duration::from_secs(15);
        for (received, seconds) in [(0, 5), (1000, 6), (9_000, 14), (10_000, 15), (1_000_000, 15)] {
            assert_eq!(patience(received, limit), Duration::from_secs(seconds), "{received}");
        }
        assert_eq!(patience(0, Duration::from_millis(300)), Duration::from_millis(300));
    }
}
