//! The socket of an HTTP/2 connection, as the library behind it sees it: it is closed when the other
//! side sends more control frames than anyone needs, or lets a stream wait for ever.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use gateway_outbound::Alarm;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout},
};

use super::{
    connection::{LINGER, PREFACE, Signs, linger},
    frames::{Bucket, END_HEADERS, END_STREAM, Frame, Frames, kind},
    refusal::Refusal,
    writer::Writer,
};

/// Control frames that are fine at once, and each second.
const CONTROL: (u32, u32) = (500, 100);
/// Streams that a client may reset at once, and each second.
const RESETS: (u32, u32) = (100, 50);
/// For each frame of ours with an answer in it, a client may send two windows and a ping.
const CREDIT: u32 = 3;
/// Streams in the books beyond what was allowed: they are about to be refused.
const MAX_BOOKED: usize = 500;
/// Error codes of GOAWAY.
const NO_ERROR: u8 = 0;
const ENHANCE_YOUR_CALM: u8 = 11;

/// A stream that is open.
struct Stream {
    id: u32,
    /// Since when it is answered.
    answered: Option<Instant>,
}

/// A header block that is coming in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Block {
    None,
    /// More frames of it follow.
    Open,
    /// Its last frame is at hand.
    Last,
}

pub(super) struct Guard<IO> {
    writer: Writer<IO>,
    /// What was read before it was known that this is HTTP/2.
    first: BytesMut,
    inbound: Frames,
    outbound: Frames,
    control: Bucket,
    resets: Bucket,
    streams: Vec<Stream>,
    newest: u32,
    block: Block,
    /// Since when the header block at hand is coming, or nothing.
    since: Option<Instant>,
    /// The error code to end with.
    end: Option<u8>,
    alarm: Alarm,
    signs: Arc<Signs>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Guard<IO> {
    /// A guard over a connection that was opened at `begun`, and has sent `first`.
    pub(super) fn new(io: IO, first: BytesMut, begun: Instant, signs: Arc<Signs>) -> Self {
        let mut guard = Self {
            writer: Writer::new(io, signs.limits.write),
            first: BytesMut::new(),
            inbound: Frames::new(PREFACE.len()),
            outbound: Frames::new(0),
            control: Bucket::new(CONTROL.0, CONTROL.1, begun),
            resets: Bucket::new(RESETS.0, RESETS.1, begun),
            streams: Vec::new(),
            newest: 0,
            block: Block::None,
            since: None,
            end: None,
            alarm: Alarm::new(begun + signs.limits.header),
            signs,
        };
        guard.follow(&first);
        guard.first = first;
        guard
    }

    /// Looks at what came in.
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (read, frame) = self.inbound.read(bytes);
            bytes = &bytes[read..];
            if let Some(frame) = frame
                && !self.take(frame)
            {
                self.signs.figures.refused(Refusal::Flood);
                self.end = Some(ENHANCE_YOUR_CALM);
                return;
            }
            if self.block == Block::Last && self.inbound.between() {
                self.block = Block::None;
            }
        }
    }

    /// Books a frame that came in; false if it was one too many.
    fn take(&mut self, frame: Frame) -> bool {
        if self.block == Block::Last {
            self.block = Block::None;
        }
        match frame.kind {
            kind::HEADERS => {
                if frame.stream > self.newest {
                    self.newest = frame.stream;
                    self.streams.push(Stream { id: frame.stream, answered: None });
                }
                self.begin_block(frame);
                self.streams.len() <= MAX_BOOKED
            }
            kind::CONTINUATION => {
                self.block = if frame.has(END_HEADERS) { Block::Last } else { Block::Open };
                frame.length > 0 || self.control.take(Instant::now)
            }
            kind::RST_STREAM => {
                self.forget(frame.stream);
                self.resets.take(Instant::now)
            }
            kind::DATA if frame.length > 0 || frame.has(END_STREAM) => true,
            _ => self.control.take(Instant::now),
        }
    }

    fn begin_block(&mut self, frame: Frame) {
        self.block = if frame.has(END_HEADERS) { Block::Last } else { Block::Open };
        self.since = None;
    }

    fn forget(&mut self, stream: u32) {
        self.streams.retain(|open| open.id != stream);
        self.since = None;
    }

    /// Books what went out: at most `length` bytes of these.
    fn wrote<'b>(&mut self, mut length: usize, slices: impl Iterator<Item = &'b [u8]>) {
        for slice in slices {
            let mut bytes = &slice[..length.min(slice.len())];
            length -= bytes.len();
            while !bytes.is_empty() {
                let (read, frame) = self.outbound.read(bytes);
                bytes = &bytes[read..];
                let Some(frame) = frame else { continue };
                match frame.kind {
                    kind::HEADERS | kind::DATA => self.answered(frame),
                    kind::RST_STREAM => self.forget(frame.stream),
                    _ => {}
                }
            }
        }
    }

    fn answered(&mut self, frame: Frame) {
        self.control.credit(CREDIT);
        if frame.has(END_STREAM) {
            self.forget(frame.stream);
        } else if let Some(open) = self.streams.iter_mut().find(|open| open.id == frame.stream) {
            let streams = self.signs.streams.any();
            open.answered = open.answered.filter(|_| !streams).or_else(|| Some(Instant::now()));
        }
    }

    /// Waits for the next byte, as long as an idle connection, a header block or a client that does
    /// not take its answer may take.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limits = &self.signs.limits;
        let mut wait = None;
        if self.block != Block::None {
            wait = Some((limits.header, Some(Refusal::HeadTimeout)));
        } else if self.streams.is_empty() {
            wait = Some((if self.signs.is_leaving() { LINGER } else { limits.idle }, None));
        }
        let waiting = wait
            .map(|(patience, refusal)| (*self.since.get_or_insert_with(Instant::now) + patience, refusal));
        let slow = self.streams.iter().filter_map(|open| open.answered).min();
        // What streams may be quiet for a while, for all that can be told here.
        let streams = &self.signs.streams;
        let most = if streams.any() { limits.write + streams.patience() } else { limits.write };
        let slow = slow.map(|since| (since + most, Some(Refusal::SlowReader)));
        let Some((deadline, refusal)) = waiting.into_iter().chain(slow).min_by_key(|(deadline, _)| *deadline)
        else {
            return Poll::Pending;
        };
        ready!(self.alarm.poll(context, deadline));
        if let Some(refusal) = refusal {
            self.signs.figures.refused(refusal);
        }
        self.end = Some(if refusal.is_some() { ENHANCE_YOUR_CALM } else { NO_ERROR });
        Poll::Ready(())
    }

    /// Ends the connection, once the library is done with it: says why it was cut off, if there is
    /// room for a frame.
    pub(super) async fn close(self) {
        let Self { mut writer, end, outbound, newest, .. } = self;
        if writer.broken {
            return;
        }
        if let Some(code) = end
            && outbound.between()
        {
            let mut goaway = [0; 17];
            (goaway[2], goaway[3], goaway[16]) = (8, kind::GOAWAY, code);
            goaway[9..13].copy_from_slice(&newest.to_be_bytes());
            let written = timeout(writer.limit, writer.io.write_all(&goaway)).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
        linger(writer.io, end == Some(ENHANCE_YOUR_CALM)).await;
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.end.is_some() {
            return Poll::Ready(Ok(()));
        }
        if !guard.first.is_empty() {
            let length = guard.first.len().min(out.remaining());
            out.put_slice(&guard.first[..length]);
            guard.first.advance(length);
            return Poll::Ready(Ok(()));
        }
        let start = out.filled().len();
        match Pin::new(&mut guard.writer.io).poll_read(context, out) {
            Poll::Pending => guard.poll_patience(context).map(Ok),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                guard.follow(&out.filled()[start..]);
                if guard.end.is_some() {
                    out.set_filled(start);
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let Self { writer, alarm, signs, .. } = guard;
        let written =
            ready!(writer.poll(context, alarm, signs, |io, context| io.poll_write(context, bytes)))?;
        guard.wrote(written, std::iter::once(bytes));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let Self { writer, alarm, signs, .. } = guard;
        let write = |io: Pin<&mut IO>, context: &mut Context<'_>| io.poll_write_vectored(context, slices);
        let written = ready!(writer.poll(context, alarm, signs, write))?;
        guard.wrote(written, slices.iter().map(|slice| &**slice));
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.io.is_write_vectored()
    }

    /// An answer may have begun after the last look at the clock.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        ready!(guard.writer.poll_flush(context))?;
        if guard.end.is_none() && guard.poll_patience(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    /// The socket is closed in [`Guard::close`].
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
