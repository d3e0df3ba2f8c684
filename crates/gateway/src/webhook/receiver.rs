//! The other side of a webhook, to try it out and to test it: it checks what it is asked, and approves,
//! vetoes or misbehaves as it is told.

use std::{io, str::FromStr, sync::Arc, time::Duration};

use gateway_dialect::json;
use http::HeaderName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::keys::{Keys, RESPONSE_SIGNATURE, SIGNATURE, TIMESTAMP};

/// The longest question that is read.
const MAX_QUESTION: usize = 2 * 1024 * 1024;
/// A question that is older, or from so far ahead, is not believed (B.7).
const FRESH_MS: i64 = 5 * 60 * 1_000;
const APPROVES: &str = r#"{"valid":true}"#;

/// What to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A signed 200 with this body.
    Says(String),
    /// Approval, after so long.
    Slow(Duration),
    /// Approval, a byte of it now and then.
    Drip,
    /// Nothing, for ever.
    Hang,
    /// The end of the connection.
    Close,
    /// A connection that is reset amid the answer.
    Reset,
    /// Approval without a signature.
    Unsigned,
    /// Approval with the signature of something else.
    WrongSignature,
    /// A body without end.
    Huge,
    /// A status, with a signed approval.
    Status(u16),
    /// What is no HTTP.
    NoHttp,
}

impl Answer {
    /// A veto, with a message or none.
    #[must_use]
    pub fn veto(message: Option<&str>) -> Self {
        let text = |message| json::Json::Text(std::borrow::Cow::Borrowed(message));
        let said = message.and_then(|message| serde_json::to_string(&text(message)).ok());
        Self::Says(said.map_or_else(
            || r#"{"valid":false}"#.to_owned(),
            |said| format!(r#"{{"valid":false,"message":{said}}}"#),
        ))
    }

    /// Approval.
    #[must_use]
    pub fn approve() -> Self {
        Self::Says(APPROVES.to_owned())
    }
}

/// What there is to answer, for whoever names something else.
const ANSWERS: &str = "approve, veto, veto:MESSAGE, says:BODY, slow:MILLISECONDS, drip, hang, close, reset, unsigned, \
    wrong-signature, huge, redirect, status:NUMBER, not-json, no-http";

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, more) = text.split_once(':').map_or((text, None), |(name, more)| (name, Some(more)));
        let odd = || format!("there is: {ANSWERS}");
        let number = more.and_then(|more| more.parse::<u16>().ok());
        Ok(match (name, more) {
            ("approve", None) => Self::approve(),
            ("veto", message) => Self::veto(message),
            ("says", Some(body)) => Self::Says(body.to_owned()),
            ("slow", Some(_)) => Self::Slow(Duration::from_millis(number.ok_or_else(odd)?.into())),
            ("drip", None) => Self::Drip,
            ("hang", None) => Self::Hang,
            ("close", None) => Self::Close,
            ("reset", None) => Self::Reset,
            ("unsigned", None) => Self::Unsigned,
            ("wrong-signature", None) => Self::WrongSignature,
            ("huge", None) => Self::Huge,
            ("redirect", None) => Self::Status(302),
            ("status", Some(_)) => {
                Self::Status(number.filter(|status| (200..=599).contains(status)).ok_or_else(odd)?)
            }
            ("not-json", None) => Self::Says("<html>".to_owned()),
            ("no-http", None) => Self::NoHttp,
            _ => return Err(odd()),
        })
    }
}

/// A question, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and target.
    pub line: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether one of the secrets signed it.
    pub is_signed: bool,
}

impl Asked {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name.as_str()).map(|(_, value)| value.as_str())
    }

    /// Whether it was asked just now.
    #[must_use]
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        let asked = self.header(&TIMESTAMP).and_then(|value| value.parse::<i64>().ok());
        asked.is_some_and(|asked| now_ms.abs_diff(asked) <= FRESH_MS.unsigned_abs())
    }

    /// The names of the fields that it is about.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let document = json::parse(&self.body).ok();
        let data = document.as_ref().and_then(|document| document.get("data")?.members());
        data.unwrap_or_default().iter().map(|(name, _)| name.to_string()).collect()
    }
}

/// Decides on a question. It may take its time: each connection is served on its own.
pub type Decide = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

/// Answers questions until it is dropped.
///
/// # Errors
/// Of the listener.
pub async fn serve(listener: TcpListener, keys: Keys, decide: Decide) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let (keys, decide) = (keys.clone(), Arc::clone(&decide));
        tokio::spawn(async move {
            // A client that goes away is none of ours.
            drop(converse(stream, &keys, &decide).await);
        });
    }
}

async fn converse(mut stream: TcpStream, keys: &Keys, decide: &Decide) -> io::Result<()> {
    let mut read = Vec::new();
    while let Some(asked) = next(&mut stream, &mut read, keys).await? {
        let deciding = Arc::clone(decide);
        let decided = tokio::task::spawn_blocking(move || deciding(&asked)).await;
        if !give(&mut stream, keys, decided.map_err(io::Error::other)?).await? {
            break;
        }
    }
    Ok(())
}

/// The next question on a connection, if there is one.
async fn next(stream: &mut TcpStream, read: &mut Vec<u8>, keys: &Keys) -> io::Result<Option<Asked>> {
    let odd = || io::Error::from(io::ErrorKind::InvalidData);
    let head = loop {
        if let Some(end) = memchr::memmem::find(read, b"\r\n\r\n") {
            break end;
        }
        if read.len() > MAX_QUESTION || stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    };
    let text = std::str::from_utf8(&read[..head]).ok().ok_or_else(odd)?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(Some(0), |(_, length)| length.parse::<usize>().ok());
    let length = length.filter(|length| *length <= MAX_QUESTION).ok_or_else(odd)?;
    let (start, end) = (head + 4, head + 4 + length);
    while read.len() < end {
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
    let body = read[start..end].to_vec();
    read.drain(..end);
    let mut asked = Asked { line, headers, body, is_signed: false };
    let of = |name| asked.header(&name).unwrap_or_default().as_bytes();
    asked.is_signed = keys.signed_request(of(TIMESTAMP), &asked.body, of(SIGNATURE));
    Ok(Some(asked))
}

/// Answers; false where nothing more is to come on the connection.
async fn give(stream: &mut TcpStream, keys: &Keys, answer: Answer) -> io::Result<bool> {
    let approval = || whole(200, APPROVES, &keys.of_response(APPROVES.as_bytes()));
    let text = match answer {
        Answer::Says(body) => whole(200, &body, &keys.of_response(body.as_bytes())),
        Answer::Slow(time) => {
            tokio::time::sleep(time).await;
            approval()
        }
        Answer::Status(status) => whole(status, APPROVES, &keys.of_response(APPROVES.as_bytes())),
        Answer::Unsigned => whole(200, APPROVES, ""),
        Answer::WrongSignature => whole(200, APPROVES, &keys.of_response(b"something else")),
        Answer::NoHttp => "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        Answer::Close => return Ok(false),
        Answer::Hang => {
            while stream.read(&mut [0; 64]).await? > 0 {}
            return Ok(false);
        }
        Answer::Reset => {
            stream.write_all(&approval().as_bytes()[..40]).await?;
            // What is not sent yet is dropped, and the peer is told so.
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Answer::Drip => {
            for byte in approval().bytes() {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            return Ok(true);
        }
        Answer::Huge => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
    };
    stream.write_all(text.as_bytes()).await?;
    Ok(true)
}

fn whole(status: u16, body: &str, signature: &str) -> String {
    // These have no body, whatever is said.
    let body = if status == 204 { "" } else { body };
    let mut head = format!("HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\n");
    if status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    if (300..400).contains(&status) {
        head.push_str("Location: http://169.254.169.254/latest/meta-data\r\n");
    }
    if !signature.is_empty() {
        head.push_str(&format!("{RESPONSE_SIGNATURE}: {signature}\r\n"));
    }
    format!("{head}\r\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_named() {
        let is = |text: &str| text.parse::<Answer>().unwrap();
        assert_eq!(is("approve"), Answer::Says(r#"{"valid":true}"#.to_owned()));
        assert_eq!(is("veto"), Answer::Says(r#"{"valid":false}"#.to_owned()));
        assert_eq!(is("veto:no \"x\""), Answer::Says(r#"{"valid":false,"message":"no \"x\""}"#.to_owned()));
        assert_eq!(is("slow:250"), Answer::Slow(Duration::from_millis(250)));
        assert_eq!((is("redirect"), is("status:503")), (Answer::Status(302), Answer::Status(503)));
        for odd in ["", "approve:x", "slow", "slow:x", "status", "status:99", "approved"] {
            assert!(odd.parse::<Answer>().is_err(), "{odd}");
        }
    }
}
