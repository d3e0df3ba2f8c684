//! The writing half of a connection: the other side must take what it is sent in time.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use gateway_outbound::Alarm;
use tokio::{io::AsyncWrite, time::Instant};

use super::{connection::Signs, refusal::Refusal};

pub(super) struct Writer<IO> {
    pub(super) io: IO,
    pub(super) limit: Duration,
    /// Since when something is to be written that the other side does not take.
    blocked: Option<Instant>,
    /// Nothing more can be written.
    pub(super) broken: bool,
}

impl<IO: AsyncWrite + Unpin> Writer<IO> {
    pub(super) const fn new(io: IO, limit: Duration) -> Self {
        Self { io, limit, blocked: None, broken: false }
    }

    /// Writes, or fails once all that was to be written is on its way for too long.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        alarm: &mut Alarm,
        signs: &Signs,
        write: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = write(Pin::new(&mut self.io), context);
        if let Poll::Ready(written) = written {
            self.broken |= written.is_err();
            if signs.streams.any() {
                // It has no end to be waited for: that some of it is taken is enough.
                self.blocked = None;
            }
            return Poll::Ready(written);
        }
        let since = *self.blocked.get_or_insert_with(Instant::now);
        ready!(alarm.poll(context, since + self.limit));
        self.broken = true;
        signs.figures.refused(Refusal::SlowReader);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// All that was to be written is.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        self.blocked = None;
        Poll::Ready(Ok(()))
    }
}
