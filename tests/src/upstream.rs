//! A server behind the gateway, of raw sockets: it does what a test says, and keeps what it saw.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

/// Nothing is waited for longer than this: what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of what came by one connection is kept.
const KEPT: usize = 64 * 1024;

/// What came by each connection.
type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

/// The server.
pub struct Upstream {
    /// Where it is.
    pub address: SocketAddr,
    seen: Kept,
    open: Arc<AtomicUsize>,
}

/// A connection to it.
pub struct Visit {
    stream: TcpStream,
    /// Read, and not yet taken.
    ahead: Vec<u8>,
    seen: Kept,
    nth: usize,
}

/// A request as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its first line.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// As `headers`.
    pub trailers: Vec<(String, String)>,
}

impl Seen {
    /// The values of a header, with a bar between them where there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join("|"))
    }
}

impl Upstream {
    /// A server that does this on each connection, which then closes.
    #[must_use]
    pub fn start(serve: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, open) = (Kept::default(), Arc::<AtomicUsize>::default());
        let (all, serve, count) = (Arc::clone(&seen), Arc::new(serve), Arc::clone(&open));
        // It ends with the process, as the test does.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                stream.set_nodelay(true).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                let (seen, serve, count) = (Arc::clone(&all), Arc::clone(&serve), Arc::clone(&count));
                count.fetch_add(1, SeqCst);
                let nth = {
                    let mut all = seen.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                std::thread::spawn(move || {
                    let mut visit = Visit { stream, ahead: Vec::new(), seen, nth };
                    serve(&mut visit);
                    drop(visit);
                    count.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { address, seen, open }
    }

    /// A server that answers every request with this.
    #[must_use]
    pub fn answering(answer: &'static str) -> Self {
        Self::start(move |visit| {
            while visit.request().is_some() {
                visit.send(answer.as_bytes());
            }
        })
    }

    /// A mount of the wrapper dialect at `/social`, with this server behind it.
    #[must_use]
    pub fn config(&self, server: &str, mount: &str) -> String {
        config(server, &format!("passthrough = \"http://{}\"\n{mount}", self.address))
    }

    /// What came by each connection, from its start on.
    #[must_use]
    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }

    /// The whole requests that came.
    ///
    /// # Panics
    /// For bytes that are none.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.seen().iter().flat_map(|bytes| whole(bytes).0).collect()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    /// Waits until no connection is open.
    pub fn wait_until_left(&self) {
        self.wait_for(0);
    }

    /// Waits until so many connections are open.
    pub fn wait_for(&self, open: usize) {
        for _ in 0..1_000 {
            if self.open() == open {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} connections are open, not {open}", self.open());
    }
}

/// A mount of the wrapper dialect at `/social`, and what else a test says of it and of the server.
#[must_use]
pub fn config(server: &str, mount: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{server}\n[log]\nformat = \"json\"\n\
         [store.embedded]\npath = \"$DIR/data\"\n[[mount]]\nname = \"social\"\nprefix = \"/social\"\n\
         dialect = \"update\"\nnamespace = \"{{projectId}}\"\n{mount}\n[[mount.client]]\n\
         name = \"demo-service\"\ntoken = \"demo-service-token\"\nproject = \"proj1234\"\n"
    )
}

impl Visit {
    /// The next request with its body; `None` where there is none any more.
    pub fn request(&mut self) -> Option<Seen> {
        loop {
            if let Some((request, length)) = first(&self.ahead) {
                self.ahead.drain(..length);
                return Some(request);
            }
            self.read_on().ok().filter(|read| *read > 0)?;
        }
    }

    /// The head of the next request, its body still to come.
    pub fn head(&mut self) -> Option<Seen> {
        loop {
            if let Some((head, length)) = head(&self.ahead) {
                self.ahead.drain(..length);
                return Some(head);
            }
            self.read_on().ok().filter(|read| *read > 0)?;
        }
    }

    /// Takes so many more bytes, whatever they are.
    pub fn skip(&mut self, mut bytes: u64) {
        while bytes > 0 {
            if self.ahead.is_empty() {
                assert!(self.read_on().unwrap() > 0, "closed, with {bytes} bytes to come");
            }
            let taken = self.ahead.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.ahead.drain(..taken);
            bytes -= taken as u64;
        }
    }

    /// Writes; false where nobody reads.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Waits until the other side closes; with what it sent before.
    ///
    /// # Panics
    /// When it does not.
    pub fn until_closed(&mut self) -> Vec<u8> {
        loop {
            match self.read_on() {
                Ok(0) => return std::mem::take(&mut self.ahead),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return std::mem::take(&mut self.ahead);
                }
                Err(error) => panic!("not closed: {error}"),
            }
        }
    }

    fn read_on(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let read = self.stream.read(&mut buffer)?;
        self.ahead.extend_from_slice(&buffer[..read]);
        let kept = &mut self.seen.lock().unwrap()[self.nth];
        let room = KEPT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&buffer[..room]);
        Ok(read)
    }
}

/// The whole requests in these bytes, and what is left behind them.
///
/// # Panics
/// For what is no request to a strict reader.
#[must_use]
pub fn whole(mut bytes: &[u8]) -> (Vec<Seen>, &[u8]) {
    let mut requests = Vec::new();
    while let Some((request, length)) = first(bytes) {
        requests.push(request);
        bytes = &bytes[length..];
    }
    (requests, bytes)
}

fn lines(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}"));
        (name.to_ascii_lowercase(), value.to_owned())
    };
    text.split("\r\n").filter(|line| !line.is_empty()).map(pair).collect()
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn head(bytes: &[u8]) -> Option<(Seen, usize)> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = text(&bytes[..end]);
    assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "a bare end of a line: {head:?}");
    let (line, rest) = head.split_once("\r\n").unwrap();
    assert!(line.ends_with(" HTTP/1.1") && line.matches(' ').count() == 2, "no request: {line:?}");
    let (body, trailers) = Default::default();
    Some((Seen { line: line.to_owned(), headers: lines(rest), body, trailers }, end + 4))
}

/// The first request, and its length, once it is whole. It says its framing once, and in one way.
fn first(bytes: &[u8]) -> Option<(Seen, usize)> {
    let (mut seen, start) = head(bytes)?;
    let (length, coding) = (seen.header("content-length"), seen.header("transfer-encoding"));
    match (length, coding.as_deref()) {
        (None, None) => Some((seen, start)),
        (Some(length), None) => {
            let end = start + length.parse::<usize>().unwrap();
            seen.body = bytes.get(start..end)?.to_vec();
            Some((seen, end))
        }
        (None, Some("chunked")) => chunks(bytes, start, seen),
        both => panic!("framing: {both:?}"),
    }
}

fn chunks(bytes: &[u8], mut at: usize, mut seen: Seen) -> Option<(Seen, usize)> {
    loop {
        let end = at + find(&bytes[at..], b"\r\n")?;
        let size = usize::from_str_radix(&text(&bytes[at..end]), 16).unwrap();
        at = end + 2;
        if size == 0 {
            let rest = &bytes[at..];
            let length = if rest.starts_with(b"\r\n") { 2 } else { find(rest, b"\r\n\r\n")? + 4 };
            seen.trailers = lines(&text(&rest[..length]));
            return Some((seen, at + length));
        }
        seen.body.extend_from_slice(bytes.get(at..at + size)?);
        assert_eq!(bytes.get(at + size..at + size + 2)?, b"\r\n");
        at += size + 2;
    }
}
