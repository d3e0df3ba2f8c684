//! The body of a request that is passed on: as fast as any other must be, and for as long as it takes.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gateway_core::ErrorKind;
use gateway_outbound::{Aborted, Alarm};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::Fault;
use crate::admit::patience;

/// A body whose client is waited for no longer than its rate allows. What the server takes to read it is
/// not the client's time.
pub(super) struct Paced<B> {
    body: B,
    /// For one piece of it.
    limit: Duration,
    received: usize,
    waited: Duration,
    since: Option<Instant>,
    alarm: Option<Alarm>,
    fault: Fault,
}

impl<B> Paced<B> {
    pub(super) const fn new(body: B, limit: Duration, fault: Fault) -> Self {
        Self { body, limit, received: 0, waited: Duration::ZERO, since: None, alarm: None, fault }
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = patience(self.received, Duration::MAX).saturating_sub(self.waited);
        let deadline = since + left.min(self.limit);
        self.alarm.get_or_insert_with(|| Alarm::new(deadline)).poll(context, deadline)
    }

    fn end(&self, kind: ErrorKind) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        // Whatever came first is told.
        let _earlier = Arc::clone(&self.fault).set(kind);
        Poll::Ready(Some(Err(Aborted)))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let paced = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut paced.body).poll_frame(context) else {
            return match paced.poll_patience(context) {
                Poll::Ready(()) => paced.end(ErrorKind::Timeout),
                Poll::Pending => Poll::Pending,
            };
        };
        if let Some(since) = paced.since.take() {
            paced.waited += since.elapsed();
        }
        match frame {
            None => Poll::Ready(None),
            Some(Ok(frame)) => {
                paced.received += frame.data_ref().map_or(0, Bytes::len);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(_)) => paced.end(ErrorKind::Malformed),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
