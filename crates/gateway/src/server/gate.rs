//! The socket of an HTTP/1 connection, as the parser behind it sees it: bytes come through only in
//! whole heads that are well formed, and in the bodies that these announce.
//!
//! The parser forgives what only the raw bytes show: a second Content-Length, one beside a transfer
//! coding, a bare line feed. Mostly a request comes in one piece, which is looked at where it lies.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use gateway_outbound::Alarm;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout},
};

use super::{
    chunked::Chunks,
    connection::{Signs, linger},
    head::{Framing, Head},
    refusal::Refusal,
    writer::Writer,
};

/// How much is read at once of what does not come in one piece.
const PIECE: usize = 4096;

/// What the next byte belongs to.
enum Next {
    Head(Head),
    Body(u64),
    Chunks(Chunks),
}

/// Why no more bytes come through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The other side sends no more, or was idle for too long.
    Silence,
    Refused(Refusal),
}

pub(super) struct Gate<IO> {
    writer: Writer<IO>,
    /// The start of a head, or what came behind it.
    held: BytesMut,
    /// How much of it may come through.
    ready: usize,
    next: Next,
    /// Whether a head came through.
    any: bool,
    /// Since when the head at hand, or its first byte, is waited for.
    since: Option<Instant>,
    end: Option<End>,
    /// Whether the parser was told of the end: it has answered all that came before.
    told: bool,
    alarm: Alarm,
    signs: Arc<Signs>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Gate<IO> {
    /// A gate over a connection that was opened at `begun`, and has sent `first`.
    pub(super) fn new(io: IO, first: BytesMut, begun: Instant, signs: Arc<Signs>) -> Self {
        let mut gate = Self {
            writer: Writer::new(io, signs.limits.write),
            held: BytesMut::new(),
            ready: 0,
            next: Next::Head(Head::default()),
            any: false,
            since: None,
            end: None,
            told: false,
            alarm: Alarm::new(begun + signs.limits.header),
            signs,
        };
        gate.ready = gate.follow(&first);
        gate.held = first;
        if !gate.any {
            gate.since = Some(begun);
        }
        gate
    }

    /// How many of the bytes may come through. The rest is the start of a head, or was refused.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            match &mut self.next {
                Next::Body(left) => {
                    let data = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= data as u64;
                    passed += data;
                    if *left == 0 {
                        self.next = Next::Head(Head::default());
                    }
                }
                Next::Chunks(chunks) => match chunks.read(rest) {
                    Ok((read, whole)) => {
                        passed += read;
                        if whole {
                            self.next = Next::Head(Head::default());
                        }
                    }
                    Err(refusal) => return self.refuse(refusal, passed),
                },
                Next::Head(head) => match head.read(rest) {
                    Ok(Some((length, framing))) => {
                        passed += length;
                        self.pass_head(framing);
                    }
                    Ok(None) => break,
                    Err(refusal) => return self.refuse(refusal, passed),
                },
            }
        }
        passed
    }

    fn pass_head(&mut self, framing: Framing) {
        self.since = None;
        self.any = true;
        self.next = match framing {
            Framing::Length(0) => Next::Head(Head::default()),
            Framing::Length(length) => Next::Body(length),
            Framing::Chunked => Next::Chunks(Chunks::new()),
        };
    }

    fn refuse(&mut self, refusal: Refusal, passed: usize) -> usize {
        self.signs.figures.refused(refusal);
        self.end = Some(End::Refused(refusal));
        passed
    }

    /// Reads into the parser's own buffer, and holds back what may not come through yet.
    fn poll_direct(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let start = out.filled().len();
        ready!(Pin::new(&mut self.writer.io).poll_read(context, out))?;
        let read = out.filled().len() - start;
        let passed = self.follow(&out.filled()[start..]);
        if passed < read && self.end.is_none() {
            self.since = None;
            self.held.extend_from_slice(&out.filled()[start + passed..]);
        }
        out.set_filled(start + passed);
        Poll::Ready(Ok(read))
    }

    /// Reads more of what is held back.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.held.reserve(PIECE);
        let read = ready!(pin!(self.writer.io.read_buf(&mut self.held)).poll(context))?;
        let held = std::mem::take(&mut self.held);
        self.ready = self.follow(&held);
        self.held = held;
        Poll::Ready(Ok(read))
    }

    /// Where an answer streams, looks whether its client has gone, which nobody would notice before
    /// more of it is written. What the client sends instead is kept.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if !matches!(self.next, Next::Head(_)) || !self.held.is_empty() || self.end.is_some() {
            return Ok(());
        }
        let mut piece = [0; 256];
        let mut read = ReadBuf::new(&mut piece);
        match Pin::new(&mut self.writer.io).poll_read(context, &mut read) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
            Poll::Ready(gone) => {
                self.writer.broken = true;
                return gone.and(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
        let held = BytesMut::from(read.filled());
        self.ready = self.follow(&held);
        self.held = held;
        Ok(())
    }

    fn release(&mut self, out: &mut ReadBuf<'_>) {
        let released = self.ready.min(out.remaining());
        out.put_slice(&self.held[..released]);
        self.held.advance(released);
        self.ready -= released;
        if self.held.is_empty() {
            // An idle connection keeps no memory.
            self.held = BytesMut::new();
        }
    }

    /// Waits for the next byte, as long as a head or an idle connection may take. A body's time is
    /// kept where it is read.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.next, Next::Head(_)) {
            return Poll::Pending;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let limits = &self.signs.limits;
        let idle = self.held.is_empty();
        let patience = if idle && self.any { limits.idle } else { limits.header };
        ready!(self.alarm.poll(context, since + patience));
        if idle {
            self.end = Some(End::Silence);
        } else {
            self.refuse(Refusal::HeadTimeout, 0);
        }
        Poll::Ready(())
    }

    /// Ends the connection, once the parser is done with it: says why, if that is still to be said,
    /// and takes what the other side is about to send, so that it can read its last answer.
    pub(super) async fn close(self) {
        let Self { mut writer, end, told, next, held, .. } = self;
        if writer.broken {
            return;
        }
        let between = matches!(next, Next::Head(_));
        if let Some(End::Refused(refusal)) = end
            && told
            && between
        {
            let answer = refusal.answer();
            let written = timeout(writer.limit, writer.io.write_all(&answer)).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
        let more = !between || !held.is_empty() || matches!(end, Some(End::Refused(_)));
        linger(writer.io, more).await;
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gate<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        let start = out.filled().len();
        loop {
            if gate.ready > 0 {
                gate.release(out);
                return Poll::Ready(Ok(()));
            }
            if gate.end.is_some() {
                gate.told = true;
                return Poll::Ready(Ok(()));
            }
            let polled =
                if gate.held.is_empty() { gate.poll_direct(context, out) } else { gate.poll_held(context) };
            match polled {
                Poll::Pending => ready!(gate.poll_patience(context)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(0)) => gate.end = Some(End::Silence),
                Poll::Ready(Ok(_)) if out.filled().len() > start => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(_)) => {}
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { writer, alarm, signs, .. } = self.get_mut();
        writer.poll(context, alarm, signs, |io, context| io.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { writer, alarm, signs, .. } = self.get_mut();
        writer.poll(context, alarm, signs, |io, context| io.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.signs.streams.any() {
            gate.poll_gone(context)?;
        }
        gate.writer.poll_flush(context)
    }

    /// The socket is closed in [`Gate::close`].
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
