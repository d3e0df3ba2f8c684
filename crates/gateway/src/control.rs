//! The control socket: how `backup`, `verify`, `import` and `export` reach a store that a running process
//! has open.
//!
//! A Unix socket in the data directory, so that whoever may enter it, and nobody else, may ask. A
//! client sends one line, `backup DIR` or `verify`; the answer is lines of a word and a text, of which
//! the last begins with anything but `progress`. After `import` and `export` it is as in
//! `transfer/socket.rs`.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{FileTypeExt as _, PermissionsExt as _},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use store_embedded::{BackupError, EmbeddedStore};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _},
    net::UnixListener,
    sync::{Semaphore, watch},
};

use crate::{service::Gateway, transfer::serve::Asked};

const NAME: &str = "control";
/// The longest line that is read.
const LONGEST_LINE: u64 = 8192;
/// For the line of a client, and for each line to it.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the name of a socket may have, less a little.
const LONGEST_PATH: usize = 100;
/// Records between two lines of progress.
const PROGRESS: u64 = 1 << 17;

/// What is asked of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Write a backup into this directory, which has an absolute path.
    Backup(PathBuf),
    /// Read everything.
    Verify,
}

/// How it ended, with a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// As it should.
    Done(String),
    /// The data are damaged.
    Damaged(String),
    /// It could not be done.
    Failed(String),
}

impl Request {
    /// The line that asks for it; `None` for a path that no line can hold.
    #[must_use]
    pub fn to_line(&self) -> Option<String> {
        match self {
            Self::Verify => Some("verify\n".to_owned()),
            Self::Backup(dir) => {
                let dir = dir.to_str().filter(|dir| !dir.contains('\n'))?;
                Some(format!("backup {dir}\n"))
            }
        }
    }

    /// The inverse of [`Request::to_line`], without the end of the line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            None if line == "verify" => Some(Self::Verify),
            Some(("backup", dir)) if Path::new(dir).is_absolute() => Some(Self::Backup(dir.into())),
            _ => None,
        }
    }

    /// Does it; tells progress, and ends early where it is not told to go on.
    pub fn obey(&self, store: &EmbeddedStore, mut go_on: impl FnMut(u64) -> bool) -> Reply {
        match self {
            Self::Backup(dir) => match store.backup(dir, go_on) {
                Ok(told) => Reply::Done(format!(
                    "{}: batch {}, {} records, {} bytes",
                    dir.display(),
                    told.batch,
                    told.records,
                    told.bytes
                )),
                Err(error @ BackupError::Store(_)) => Reply::Damaged(error.to_string()),
                Err(error) => Reply::Failed(error.to_string()),
            },
            Self::Verify => {
                let mut stopped = false;
                let scrubbed = store.scrub_while(|records| {
                    stopped = !go_on(records);
                    !stopped
                });
                match scrubbed {
                    _ if stopped => Reply::Failed("stopped before it was done".to_owned()),
                    Ok(found) if found.damaged == 0 => {
                        Reply::Done(format!("{} records, none damaged", found.records))
                    }
                    Ok(found) => {
                        Reply::Damaged(format!("{} records, {} damaged", found.records, found.damaged))
                    }
                    Err(error) => Reply::Damaged(error.to_string()),
                }
            }
        }
    }
}

impl Reply {
    fn to_line(&self) -> String {
        let (word, text) = match self {
            Self::Done(text) => ("done", text),
            Self::Damaged(text) => ("damaged", text),
            Self::Failed(text) => ("failed", text),
        };
        format!("{word} {}\n", text.replace('\n', " "))
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, text) = line.split_once(' ')?;
        let text = text.to_owned();
        match word {
            "done" => Some(Self::Done(text)),
            "damaged" => Some(Self::Damaged(text)),
            "failed" => Some(Self::Failed(text)),
            _ => None,
        }
    }
}

/// Asks the process that has the store open, and tells its lines of progress; `None` where there is no
/// such process.
///
/// # Errors
/// When the connection fails, or ends before the answer does.
pub fn ask(data: &Path, request: &Request, mut progress: impl FnMut(&str)) -> io::Result<Option<Reply>> {
    let unfit = || io::Error::new(io::ErrorKind::InvalidInput, "the path holds what no line can");
    let line = request.to_line().ok_or_else(unfit)?;
    let Some(mut stream) = connect(data)? else { return Ok(None) };
    stream.write_all(line.as_bytes())?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        match (Reply::parse(&line), line.strip_prefix("progress ")) {
            (Some(reply), _) => return Ok(Some(reply)),
            (None, Some(text)) => progress(text),
            (None, None) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the process ended before it was done"))
}

/// A connection to the process that has the store open; `None` where there is no such process.
///
/// # Errors
/// When there may be one, and it cannot be connected to.
pub(crate) fn connect(data: &Path) -> io::Result<Option<UnixStream>> {
    match Place::of(data).and_then(|place| UnixStream::connect(&place.path)) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Where the socket is. Where its name is too long for a socket, by way of the directory, held open.
struct Place {
    path: PathBuf,
    _dir: Option<File>,
}

impl Place {
    fn of(data: &Path) -> io::Result<Self> {
        let path = data.join(NAME);
        if path.as_os_str().len() <= LONGEST_PATH {
            return Ok(Self { path, _dir: None });
        }
        let dir = File::open(data)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd()));
        Ok(Self { path, _dir: Some(dir) })
    }

    /// Listens here; whoever calls has the store's lock, so that an old socket is nobody's.
    fn listen(&self) -> io::Result<UnixListener> {
        match fs::symlink_metadata(&self.path) {
            Ok(old) if old.file_type().is_socket() => fs::remove_file(&self.path)?,
            Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(&self.path)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }
}

/// An open control socket.
pub struct Control {
    listener: UnixListener,
    place: Place,
}

impl Control {
    /// Listens in a data directory; needs a runtime. Without a control socket the gateway serves all the
    /// same.
    #[must_use]
    pub fn open(data: &Path) -> Option<Self> {
        let opened = Place::of(data).and_then(|place| Ok(Self { listener: place.listen()?, place }));
        let told = opened.inspect_err(|error| {
            tracing::error!(%error, "no control socket: backups and the like cannot be asked for");
        });
        told.ok()
    }
}

/// Answers at the socket until stopped.
pub async fn serve(
    control: Option<Control>,
    gateway: Arc<Gateway<EmbeddedStore>>,
    mut stopped: watch::Receiver<bool>,
) {
    let Some(Control { listener, place }) = control else { return };
    let stopping = Arc::new(AtomicBool::new(false));
    let turn = Arc::new(Semaphore::new(1));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match stream {
            Ok((stream, _)) => {
                let stop = Stop { now: Arc::clone(&stopping), told: stopped.clone() };
                tokio::spawn(answer(stream, Arc::clone(&gateway), stop, Arc::clone(&turn)));
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket accepts nothing for a moment");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    stopping.store(true, Ordering::Relaxed);
    if let Err(error) = fs::remove_file(&place.path) {
        tracing::warn!(%error, "the control socket cannot be removed");
    }
    // The one that was at work ends soon, and its client is told.
    if tokio::time::timeout(PATIENCE, turn.acquire()).await.is_err() {
        tracing::warn!("a client of the control socket does not end");
    }
}

/// Whether the process is about to end.
struct Stop {
    now: Arc<AtomicBool>,
    told: watch::Receiver<bool>,
}

/// Reads the line of a client, and does what it says if nothing else is being done.
async fn answer(
    mut stream: tokio::net::UnixStream,
    gateway: Arc<Gateway<EmbeddedStore>>,
    stop: Stop,
    turn: Arc<Semaphore>,
) {
    let mut line = String::new();
    let mut input = tokio::io::BufReader::new((&mut stream).take(LONGEST_LINE));
    let read = tokio::time::timeout(PATIENCE, input.read_line(&mut line)).await;
    let line = line.strip_suffix('\n').filter(|_| matches!(read, Ok(Ok(_)))).unwrap_or_default();
    let at_work = turn.try_acquire_owned();
    if let (Some(asked), Ok(_turn)) = (Asked::parse(line), &at_work) {
        return asked.obey(stream, gateway, stop.told).await;
    }
    let request = Request::parse(line);
    let begin = || {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok::<_, io::Error>(stream)
    };
    let mut stream = match begin() {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "a client of the control socket cannot be answered"),
    };
    let work = tokio::task::spawn_blocking(move || {
        let reply = match (request, &at_work) {
            (_, Err(_)) => Reply::Failed("it is at work for another command".to_owned()),
            (None, Ok(_)) => Reply::Failed("not understood".to_owned()),
            (Some(request), Ok(_)) => attend(&request, gateway.store(), &mut stream, &stop.now),
        };
        // A client that went away needs no answer.
        stream.write_all(reply.to_line().as_bytes()).ok();
    });
    if let Err(error) = work.await {
        tracing::error!(%error, "a backup or verification fell");
    }
}

/// Does what is asked, as long as the client is there and the process goes on.
fn attend(request: &Request, store: &EmbeddedStore, client: &mut UnixStream, stopping: &AtomicBool) -> Reply {
    let mut told = 0;
    let reply = request.obey(store, |records| {
        let due = records / PROGRESS > told;
        told = records / PROGRESS;
        let heard = !due || client.write_all(format!("progress {records} records\n").as_bytes()).is_ok();
        heard && !stopping.load(Ordering::Relaxed)
    });
    let kind = if *request == Request::Verify { "verification" } else { "backup" };
    match &reply {
        Reply::Done(_) => tracing::info!(kind, "asked for at the control socket, and done"),
        Reply::Damaged(_) => tracing::error!(kind, "asked for at the control socket: data are damaged"),
        Reply::Failed(_) => tracing::warn!(kind, "asked for at the control socket, and failed"),
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line() {
        for request in [Request::Verify, Request::Backup("/a b/c".into())] {
            let line = request.to_line().unwrap();
            assert_eq!(Request::parse(line.strip_suffix('\n').unwrap()), Some(request));
        }
        assert_eq!(Request::Backup("/a\nb".into()).to_line(), None);
        for line in ["", "backup", "backup ", "backup a/b", "verify now", "Verify", "restore /a"] {
            assert_eq!(Request::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_reply_is_one_line() {
        for reply in [Reply::Done("a b".into()), Reply::Damaged("c".into()), Reply::Failed(String::new())] {
            assert_eq!(Reply::parse(reply.to_line().strip_suffix('\n').unwrap()), Some(reply));
        }
        assert_eq!(Reply::Failed("a\nb".into()).to_line(), "failed a b\n");
        assert_eq!(Reply::parse("progress 1 records"), None);
    }

    #[test]
    fn where_nobody_listens_nobody_answers() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        for data in [dir.path(), &deep, &dir.path().join("absent")] {
            assert_eq!(ask(data, &Request::Verify, |_| {}).unwrap(), None);
        }
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(NAME)).unwrap());
        assert_eq!(ask(dir.path(), &Request::Verify, |_| {}).unwrap(), None, "an old socket");
    }
}
