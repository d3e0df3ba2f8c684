//! A socket whose reader has the last word: a server may answer before it has taken all of a request,
//! and close. What is written from then on fails, and would hide an answer that can still be read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};

pub(crate) struct Patient<T> {
    io: T,
    /// Nothing more is taken; what is written goes nowhere, until a read says how it ended.
    deaf: bool,
}

impl<T> Patient<T> {
    pub(crate) const fn new(io: T) -> Self {
        Self { io, deaf: false }
    }

    /// As the write ended, or as if all of it had been taken.
    fn taken(&mut self, written: io::Result<usize>, all: usize) -> usize {
        self.deaf |= written.is_err();
        written.unwrap_or(all)
    }
}

impl<T: Read + Unpin> Read for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: Write + Unpin> Write for Patient<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes));
        Poll::Ready(Ok(self.taken(written, bytes.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.deaf {
            let flushed = ready!(Pin::new(&mut self.io).poll_flush(context));
            self.deaf |= flushed.is_err();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.deaf {
            return Poll::Ready(Ok(all));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(context, slices));
        Poll::Ready(Ok(self.taken(written, all)))
    }
}
