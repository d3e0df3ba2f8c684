//! A wire that tests hold in their hands: a proxy before the server that counts round trips and loses
//! answers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

/// Statements shorter than this are no commits.
const COMMIT_BYTES: usize = 200;

/// What becomes of a statement whose connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// It never arrives.
    Before,
    /// It arrives, and the connection is cut at once.
    After,
    /// It is answered, and the answer is lost.
    Answered,
}

/// What the proxy saw and is to do.
#[derive(Default)]
pub(crate) struct Wire {
    /// Round trips: what a client waits for an answer to.
    pub(crate) trips: AtomicU64,
    /// Connections that were cut.
    pub(crate) cuts: AtomicUsize,
    commits: AtomicUsize,
    every: AtomicUsize,
}

impl Wire {
    /// Cuts at every so-manieth commit; 0 for never.
    pub(crate) fn cut_every(&self, every: usize) {
        self.every.store(every, Ordering::Relaxed);
    }

    /// What is to happen to this statement of a client.
    fn judge(&self, trips: u64, executes: bool, bytes: usize) -> Option<Cut> {
        self.trips.fetch_add(trips, Ordering::Relaxed);
        let every = self.every.load(Ordering::Relaxed);
        if trips == 0 || !executes || bytes < COMMIT_BYTES || every == 0 {
            return None;
        }
        let commit = self.commits.fetch_add(1, Ordering::Relaxed);
        commit.is_multiple_of(every).then(|| {
            let cut = self.cuts.fetch_add(1, Ordering::Relaxed);
            [Cut::Answered, Cut::After, Cut::Before][cut % 3]
        })
    }
}

/// A proxy before the server of a URL; the URL through it.
pub(crate) async fn proxy(url: &str) -> (String, Arc<Wire>) {
    let (before, rest) = url.split_once('@').unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let path = path.split('?').next().unwrap();
    let wire = Arc::new(Wire::default());
    let (host, seen) = (host.to_owned(), Arc::clone(&wire));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&host).await else { continue };
            tokio::spawn(run(client, server, Arc::clone(&seen)));
        }
    });
    (format!("{before}@{own}/{path}?sslmode=disable"), wire)
}

async fn run(client: TcpStream, server: TcpStream, wire: Arc<Wire>) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // Told once the next answer is to be lost.
    let (lose, lost) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let up = forward(from_client, to_server, wire, (Arc::clone(&lose), Arc::clone(&lost)));
    let down = answer(from_server, to_client, lose, lost);
    // Whichever ends first ends both: the halves are dropped, and with them the connections.
    tokio::select! { () = up => {}, () = down => {} }
}

/// Client to server, whole messages at a time.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    wire: Arc<Wire>,
    (lose, lost): (Arc<AtomicUsize>, Arc<Notify>),
) {
    let (mut buffer, mut begun) = (Vec::new(), false);
    loop {
        let mut piece = vec![0; 1 << 16];
        let Ok(read @ 1..) = from.read(&mut piece).await else { return };
        buffer.extend_from_slice(&piece[..read]);
        let (whole, trips, executes) = messages(&buffer, &mut begun);
        let ready: Vec<_> = buffer.drain(..whole).collect();
        match wire.judge(trips, executes, ready.len()) {
            Some(Cut::Before) => return,
            Some(Cut::Answered) => {
                lose.store(1, Ordering::SeqCst);
                if to.write_all(&ready).await.is_ok() {
                    lost.notified().await;
                }
                return;
            }
            cut => {
                if to.write_all(&ready).await.is_err() || cut.is_some() {
                    return;
                }
            }
        }
    }
}

/// How many bytes are whole messages, how many of them are waited for (a Sync or a Query each), and
/// whether one gives a prepared statement its parameters.
fn messages(bytes: &[u8], begun: &mut bool) -> (usize, u64, bool) {
    let (mut at, mut trips, mut executes) = (0, 0, false);
    loop {
        let head = usize::from(*begun);
        let Some(length) = bytes.get(at + head..at + head + 4) else { return (at, trips, executes) };
        let end = at + head + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if end > bytes.len() {
            return (at, trips, executes);
        }
        trips += u64::from(*begun && matches!(bytes[at], b'S' | b'Q'));
        executes |= *begun && bytes[at] == b'B';
        *begun = true;
        at = end;
    }
}

/// Server to client.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lose: Arc<AtomicUsize>, lost: Arc<Notify>) {
    let mut piece = vec![0; 1 << 16];
    loop {
        let Ok(read @ 1..) = from.read(&mut piece).await else { return };
        if lose.load(Ordering::SeqCst) != 0 {
            lost.notify_one();
            return;
        }
        if to.write_all(&piece[..read]).await.is_err() {
            return;
        }
    }
}
