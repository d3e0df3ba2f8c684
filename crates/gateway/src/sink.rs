//! Where log lines go: into memory, and from there in large pieces to standard error, by a thread
//! of its own. A request never waits for whoever reads the log: lines that do not fit are counted.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines are written when there are so many bytes of them ...
const PIECE: usize = 64 * 1024;
/// ... or after so long.
const PERIOD: Duration = Duration::from_millis(100);
/// The most bytes that wait while nobody reads.
const MOST: usize = 4 * 1024 * 1024;
/// When stopping, a reader gets so long to take the rest.
const LAST: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    closed: bool,
    /// The thread has written everything and ended.
    ended: bool,
}

/// The lines on their way out.
pub(crate) struct Sink {
    lines: Mutex<Lines>,
    /// There is a piece to write, or the end has come.
    due: Condvar,
    dropped: IntCounter,
}

/// Writes what is left when dropped.
pub struct Guard(Arc<Sink>);

impl Sink {
    /// Begins to write to standard error.
    pub(crate) fn start() -> Result<(Arc<Self>, Guard), Box<dyn std::error::Error>> {
        let sink = Arc::new(Self::new()?);
        let own = Arc::clone(&sink);
        thread::Builder::new().name("log".to_owned()).spawn(move || own.run(&mut io::stderr()))?;
        Ok((Arc::clone(&sink), Guard(sink)))
    }

    fn new() -> Result<Self, prometheus::Error> {
        let help = "Log lines that were dropped because the log was not read.";
        let dropped = IntCounter::new("interlingua_log_lines_dropped_total", help)?;
        Ok(Self { lines: Mutex::default(), due: Condvar::new(), dropped })
    }

    /// The count of lines that were dropped.
    pub(crate) fn dropped(&self) -> IntCounter {
        self.dropped.clone()
    }

    /// Takes whole lines.
    pub(crate) fn push(&self, text: &[u8]) {
        let mut lines = self.lock();
        let before = lines.bytes.len();
        if before + text.len() > MOST {
            drop(lines);
            return self.dropped.inc();
        }
        lines.bytes.extend_from_slice(text);
        let after = lines.bytes.len();
        drop(lines);
        if before < PIECE && after >= PIECE {
            self.due.notify_one();
        }
    }

    /// Writes piece after piece until closed.
    fn run(&self, out: &mut impl Write) {
        let mut piece = Vec::with_capacity(2 * PIECE);
        let mut open = true;
        while open {
            let idle = |lines: &mut Lines| lines.bytes.len() < PIECE && !lines.closed;
            let waited = self.due.wait_timeout_while(self.lock(), PERIOD, idle);
            let (mut lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
            open = !lines.closed;
            mem::swap(&mut lines.bytes, &mut piece);
            drop(lines);
            // With no standard error there is nobody to tell.
            out.write_all(&piece).ok();
            piece.clear();
            piece.shrink_to(2 * PIECE);
        }
        self.lock().ended = true;
        self.due.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.due.notify_all();
        let waited = self.0.due.wait_timeout_while(self.0.lock(), LAST, |lines| !lines.ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What `tracing` writes an event to: at once, whole.
pub(crate) struct Event(Arc<Sink>);

impl Write for Event {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the writer of an event.
pub(crate) struct Events(pub(crate) Arc<Sink>);

impl<'a> MakeWriter<'a> for Events {
    type Writer = Event;

    fn make_writer(&'a self) -> Event {
        Event(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_in_order_and_all_of_them_before_the_end() {
        let sink = Sink::new().unwrap();
        let mut out = Vec::new();
        let expected: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        thread::scope(|scope| {
            let writer = scope.spawn(|| sink.run(&mut out));
            expected.split_inclusive('\n').for_each(|line| sink.push(line.as_bytes()));
            sink.lock().closed = true;
            sink.due.notify_all();
            writer.join().unwrap();
        });
        assert!(out == expected.as_bytes());
        assert_eq!(sink.dropped().get(), 0);
    }

    #[test]
    fn lines_that_nobody_reads_are_counted() {
        let sink = Sink::new().unwrap();
        let line = [b'x'; 1000];
        (0..MOST / 1000 + 7).for_each(|_| sink.push(&line));
        assert_eq!(sink.dropped().get(), 7);
        assert!(sink.lock().bytes.len() <= MOST);
    }
}
