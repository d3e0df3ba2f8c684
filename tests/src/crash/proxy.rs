//! A proxy before a PostgreSQL that cuts a connection at a commit: right behind it, so that it happens and
//! nobody is told, or right before it.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Where a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// The commit has been sent, and nothing of its answer comes back.
    Behind,
    /// Nothing of it has been sent.
    Before,
}

/// A proxy. It accepts no more connections once it is dropped.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    /// How the next commit is met.
    armed: Mutex<Option<Cut>>,
    cuts: AtomicUsize,
    ended: AtomicBool,
}

impl Proxy {
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target: (Ipv4Addr::LOCALHOST, target).into(),
            armed: Mutex::new(None),
            cuts: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&own);
                // A server that is away closes the connection, as it would its own.
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Meets the next commit like this.
    pub(crate) fn arm(&self, cut: Cut) {
        *self.shared.armed.lock().unwrap() = Some(cut);
    }

    /// How many connections have been cut.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the one that accepts.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) -> Option<()> {
        let server = TcpStream::connect(self.target).ok()?;
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let is_cut = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                answers(&server, &client, &is_cut);
                close(&client, &server);
            });
            self.requests(&client, &server, &is_cut);
            close(&client, &server);
        });
        Some(())
    }

    /// Passes on what the client sends, until there is a commit to be cut at.
    fn requests(&self, mut client: &TcpStream, mut server: &TcpStream, is_cut: &AtomicBool) {
        let (mut reader, mut bytes) = (Reader::default(), [0; 1 << 16]);
        let mut met = None;
        while let Ok(length @ 1..) = client.read(&mut bytes) {
            let seen = reader.read(&bytes[..length]);
            if seen.write && met.is_none() {
                met = self.armed.lock().unwrap().take();
            }
            if met.is_some() {
                is_cut.store(true, Ordering::SeqCst);
            }
            if met != Some(Cut::Before) && server.write_all(&bytes[..length]).is_err() {
                return;
            }
            if met == Some(Cut::Before) || (met.is_some() && seen.sync) {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// Passes on what the server answers, and nothing more once the connection is to be cut.
fn answers(mut server: &TcpStream, mut client: &TcpStream, is_cut: &AtomicBool) {
    let mut bytes = [0; 1 << 16];
    while let Ok(length @ 1..) = server.read(&mut bytes) {
        if is_cut.load(Ordering::SeqCst) || client.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// Ends both, whatever state they are in.
fn close(client: &TcpStream, server: &TcpStream) {
    for stream in [client, server] {
        stream.shutdown(Shutdown::Both).ok();
    }
}

/// What a piece of the stream holds the end of.
#[derive(Default)]
struct Seen {
    /// A statement that writes is bound.
    write: bool,
    /// The server is asked to carry out what it was sent.
    sync: bool,
}

/// Follows the messages of a client (PostgreSQL's protocol, version 3).
#[derive(Default)]
struct Reader {
    rest: Vec<u8>,
    /// Behind the start-up message, messages have a type.
    is_typed: bool,
    /// The prepared statements that write.
    writes: BTreeSet<Vec<u8>>,
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Seen {
        self.rest.extend_from_slice(bytes);
        let mut seen = Seen::default();
        while let Some((kind, body)) = self.next() {
            let mut texts = body.split(|byte| *byte == 0);
            let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
            match kind {
                b'P' if is_write(second) => drop(self.writes.insert(first.to_owned())),
                b'P' => drop(self.writes.remove(first)),
                b'B' => seen.write |= self.writes.contains(second),
                b'S' => seen.sync = true,
                _ => {}
            }
        }
        seen
    }

    /// The next message, once all of it is there.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        const START_UP: [u8; 4] = [0, 3, 0, 0];
        let at = usize::from(self.is_typed);
        let length = self.rest.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)?;
        let end = at + usize::try_from(length).unwrap();
        let body = self.rest.get(at + 4..end)?.to_owned();
        let kind = if self.is_typed { self.rest[0] } else { 0 };
        self.rest.drain(..end);
        self.is_typed |= body.starts_with(&START_UP);
        Some((kind, body))
    }
}

fn is_write(sql: &[u8]) -> bool {
    let sql = String::from_utf8_lossy(sql).to_uppercase();
    ["INSERT INTO", "UPDATE ", "DELETE FROM"].iter().any(|word| sql.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        kind.into_iter().chain(length).chain(body.iter().copied()).collect()
    }

    #[test]
    fn a_commit_is_found_however_it_is_cut_apart() {
        let stream = [
            message(None, &80_877_103_u32.to_be_bytes()),
            message(None, b"\0\x03\0\0user\0a\0\0"),
            message(Some(b'P'), b"r\0select 1\0\0\0"),
            message(Some(b'P'), b"w\0with x as (insert into t values ($1)) select 1\0\0\0"),
            message(Some(b'B'), b"\0r\0\0\0"),
            message(Some(b'S'), b""),
        ]
        .concat();
        let commit = [message(Some(b'B'), b"\0w\0\0\0"), message(Some(b'S'), b"")].concat();
        for piece in [1, 3, 1000] {
            let mut reader = Reader::default();
            assert!(stream.chunks(piece).all(|bytes| !reader.read(bytes).write));
            let seen: Vec<_> = commit.chunks(piece).map(|bytes| reader.read(bytes)).collect();
            assert_eq!(seen.iter().filter(|seen| seen.write).count(), 1);
            assert!(seen.last().unwrap().sync);
        }
    }
}
