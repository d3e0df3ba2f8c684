//! Cases of raw HTTP/1 bytes (`tests/bad-inputs/h1-*.toml`), and the client that sends them.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use serde::Deserialize;

/// Nothing is waited for longer than this: what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(10);
/// The user that is written and read.
pub const TARGET: &str = "/social/proj1234/users/67890";
const HOST: &str = "Host: gateway.test\r\n";
const CREDENTIAL: &str = "Authorization: Bearer demo-service-token\r\n";
/// A value that must not come out anywhere but in the answer to a read.
pub const CANARY: &str = "canary-";

/// A file of cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// Bytes to send, and what is to be answered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its id in the catalogue, and maybe a word behind it.
    pub id: String,
    /// What is odd about it.
    pub name: String,
    send: Vec<Piece>,
    /// What the first answer may be.
    status: Vec<u16>,
    /// How many answers there are.
    #[serde(default = "one")]
    answers: usize,
    /// Whether the connection ends after them.
    #[serde(default = "yes")]
    close: bool,
    /// How many commits it makes.
    #[serde(default)]
    pub writes: u64,
    /// The settled decisions by which the catalogue's expectation does not hold.
    #[serde(default)]
    pub overridden: Option<String>,
}

const fn one() -> usize {
    1
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Text(String),
    Repeat { repeat: usize, text: String },
    AwaitAnswers { await_answers: usize },
    HalfClose { half_close: bool },
}

/// The cases of a file.
#[must_use]
pub fn load(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.case
}

/// The bytes that a text of a case stands for; `nth` makes its write another one than every other's.
fn bytes(text: &str, target: &str, nth: usize) -> Vec<u8> {
    let text = text
        .replace("$WRITE", &format!("$START{HOST}$CREDENTIAL"))
        .replace("$LINES", &format!("{HOST}$CREDENTIAL"))
        .replace("$READ", &read(target))
        .replace("$START", "PATCH $TARGET HTTP/1.1\r\n")
        .replace("$CREDENTIAL", CREDENTIAL)
        .replace("$BODY", &format!(r#"{{"update":{{"bio":"{CANARY}{nth:04}"}}}}"#))
        .replace("$TARGET", target);
    let byte = |c: char| u8::try_from(c).unwrap_or_else(|_| panic!("{c:?} is no byte"));
    text.chars().map(byte).collect()
}

fn read(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HOST}{CREDENTIAL}\r\n")
}

/// An answer: its status, and all its bytes.
struct Answer {
    status: u16,
    text: String,
}

/// A connection, and all that has come from it.
struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
    ended: bool,
}

impl Wire {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, received: Vec::new(), ended: false }
    }

    /// Reads until so many answers are there, or the other side has closed.
    fn read_answers(&mut self, wanted: usize) -> Result<Vec<Answer>, String> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let (answers, rest) = answers(&self.received)?;
            if self.ended && rest > 0 {
                return Err(format!("{rest} bytes behind the last answer"));
            }
            if self.ended || answers.len() >= wanted {
                return Ok(answers);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => self.ended = true,
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                // A socket that is closed with unread bytes in it resets.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.ended = true,
                Err(error) => return Err(format!("after {} answers: {error}", answers.len())),
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        // A refused request may have closed the connection while it is being sent.
        let _refused = self.stream.write_all(bytes);
    }
}

/// The whole answers in these bytes, and how many bytes are left behind them.
fn answers(mut bytes: &[u8]) -> Result<(Vec<Answer>, usize), String> {
    let mut answers = Vec::new();
    while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head.strip_prefix("http/1.1 ").or_else(|| head.strip_prefix("http/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {head:?}"))?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse()).unwrap_or(0);
        let Some(answer) = bytes.get(..end + 4 + length) else { break };
        answers.push(Answer { status, text: String::from_utf8_lossy(answer).into_owned() });
        bytes = &bytes[end + 4 + length..];
    }
    Ok((answers, bytes.len()))
}

impl Case {
    /// Plays it on a connection of its own, about this target.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn play(&self, address: SocketAddr, target: &str, nth: usize) -> Result<(), String> {
        let mut wire = Wire::open(address);
        let mut half_closed = false;
        for piece in &self.send {
            match piece {
                Piece::Text(text) => wire.send(&bytes(text, target, nth)),
                Piece::Repeat { repeat, text } => wire.send(&bytes(text, target, nth).repeat(*repeat)),
                Piece::AwaitAnswers { await_answers } => {
                    let _checked_at_the_end = wire.read_answers(*await_answers)?;
                }
                Piece::HalfClose { half_close } => {
                    half_closed = *half_close;
                    wire.stream.shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
                }
            }
        }
        let all = if self.close {
            self.close(&mut wire, target, half_closed)?
        } else {
            self.keep(&mut wire, target)?
        };
        let (first, leaks) = (all.first().map(|answer| answer.status), all.iter().any(Answer::leaks));
        if !first.is_some_and(|first| self.status.contains(&first)) {
            return Err(format!("answered {first:?}, not {:?}", self.status));
        }
        if leaks { Err("an answer tells of the request".to_owned()) } else { Ok(()) }
    }

    /// How many requests of it a server behind may get to see: those that may be answered well, and the
    /// good one behind it on a connection that lives on.
    #[must_use]
    pub fn most_passed(&self) -> usize {
        let good =
            if self.status.iter().any(|status| (100..300).contains(status)) { self.answers } else { 0 };
        good + usize::from(!self.close)
    }

    /// The connection ends after the answers, and what is sent behind the request has none.
    fn close(&self, wire: &mut Wire, target: &str, half_closed: bool) -> Result<Vec<Answer>, String> {
        if !half_closed {
            wire.send(read(target).as_bytes());
        }
        let all = wire.read_answers(usize::MAX)?;
        self.counted(all, self.answers)
    }

    /// The connection serves a good request after the answers, and ends when told to.
    fn keep(&self, wire: &mut Wire, target: &str) -> Result<Vec<Answer>, String> {
        let before = wire.read_answers(self.answers)?;
        self.counted(before, self.answers)?;
        wire.send(read(target).as_bytes());
        let after = wire.read_answers(self.answers + 1)?;
        let last = after.last().map(|answer| answer.status);
        wire.stream.shutdown(Shutdown::Write).map_err(|error| format!("already closed: {error}"))?;
        let all = self.counted(wire.read_answers(usize::MAX)?, self.answers + 1)?;
        if last == Some(200) { Ok(all) } else { Err(format!("a good request behind it: {last:?}")) }
    }

    fn counted(&self, all: Vec<Answer>, wanted: usize) -> Result<Vec<Answer>, String> {
        let statuses: Vec<_> = all.iter().map(|answer| answer.status).collect();
        if all.len() == wanted { Ok(all) } else { Err(format!("{statuses:?} where {wanted} are due")) }
    }
}

impl Answer {
    /// Whether a refusal repeats what was sent.
    fn leaks(&self) -> bool {
        self.status != 200 && (self.text.contains(CANARY) || self.text.contains("demo-service-token"))
    }
}
