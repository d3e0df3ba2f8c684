//! Chunks, verdicts and lines over a control socket: a line of words each, and bytes behind some.

use std::io;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};

use super::{Failure, export::Lines, lines::Chunk, verdict::Verdict};

/// The longest line of words; a verdict is one.
const LONGEST_LINE: u64 = 64 << 20;
/// The most bytes of a chunk: one that was about to be cut, and a line of the longest that there are.
const MOST_BYTES: u64 = 17 << 20;

/// What the process says that has the store open.
#[derive(PartialEq, Eq)]
pub enum Said {
    /// It is ready, and this is its store's name.
    Ready(String),
    /// What came of the next chunk.
    Verdict(Verdict),
    /// Some users.
    Lines(Lines),
    /// It is done.
    Done,
    /// It could not be done.
    Failed(Failure),
}

impl Said {
    /// Says it.
    ///
    /// # Errors
    /// Of the connection.
    pub async fn send(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let line = match self {
            Self::Ready(store) => format!("ready {store}\n"),
            Self::Verdict(verdict) => format!("verdict {}\n", serde_json::to_string(verdict)?),
            Self::Lines(lines) => format!("lines {} {} {}\n", lines.users, lines.secrets, lines.text.len()),
            Self::Done => "done\n".to_owned(),
            Self::Failed(Failure { why, is_damage }) => {
                let word = if *is_damage { "damaged" } else { "failed" };
                format!("{word} {}\n", why.replace('\n', " "))
            }
        };
        to.write_all(line.as_bytes()).await?;
        if let Self::Lines(lines) = self {
            to.write_all(&lines.text).await?;
        }
        to.flush().await
    }

    /// Hears it.
    ///
    /// # Errors
    /// Of the connection; and where it ends, or says something else.
    pub async fn hear(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        let line = read_line(from).await?;
        let (word, text) = line.split_once(' ').unwrap_or((&line, ""));
        let failed = |is_damage| Self::Failed(Failure { why: text.to_owned(), is_damage });
        Ok(match word {
            "ready" => Self::Ready(text.to_owned()),
            "verdict" => Self::Verdict(serde_json::from_str(text)?),
            "lines" => {
                let [users, secrets, bytes] = numbers(text).ok_or_else(unheard)?;
                Self::Lines(Lines { users, secrets, text: read_bytes(from, bytes).await? })
            }
            "done" => Self::Done,
            "damaged" => failed(true),
            "failed" => failed(false),
            _ => return Err(unheard()),
        })
    }
}

/// Sends a chunk, or says that there are no more.
///
/// # Errors
/// Of the connection.
pub async fn send_chunk(chunk: Option<&Chunk>, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    match chunk {
        Some(Chunk { first, text }) => {
            to.write_all(format!("chunk {first} {}\n", text.len()).as_bytes()).await?;
            to.write_all(text).await?;
        }
        None => to.write_all(b"end\n").await?,
    }
    to.flush().await
}

/// Receives a chunk, or hears that there are no more.
///
/// # Errors
/// Of the connection; and where it ends, or says something else.
pub async fn receive_chunk(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Chunk>> {
    let line = read_line(from).await?;
    if line == "end" {
        return Ok(None);
    }
    let [first, bytes] = line.strip_prefix("chunk ").and_then(numbers).ok_or_else(unheard)?;
    if bytes > MOST_BYTES {
        return Err(unheard());
    }
    Ok(Some(Chunk { first, text: read_bytes(from, bytes).await? }))
}

fn unheard() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not understood")
}

fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let numbers: Option<Vec<u64>> = text.split(' ').map(|number| number.parse().ok()).collect();
    numbers?.try_into().ok()
}

async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    from.take(LONGEST_LINE).read_line(&mut line).await?;
    match line.pop() {
        Some('\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Takes memory only as the bytes arrive.
async fn read_bytes(from: &mut (impl AsyncRead + Unpin), count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(count).read_to_end(&mut bytes).await?;
    match bytes.len() as u64 == count {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::transfer::verdict::{Flaw, Refusal};

    #[tokio::test]
    async fn what_is_said_is_heard() {
        let refused = vec![Refusal { line: 3, errors: vec![Flaw::at("/email", "Is\nodd")] }];
        let all = [
            Said::Ready("ab12".into()),
            Said::Verdict(Verdict { created: 1, there: 2, refused }),
            Said::Lines(Lines { users: 2, secrets: 1, text: b"{}\n{}\n".to_vec() }),
            Said::Lines(Lines::default()),
            Said::Failed(Failure { why: "a b".into(), is_damage: true }),
            Said::Failed(Failure::new("")),
            Said::Done,
        ];
        let mut sent = Vec::new();
        for said in &all {
            said.send(&mut sent).await.unwrap();
        }
        let mut from = Cursor::new(sent);
        for said in all {
            assert!(Said::hear(&mut from).await.unwrap() == said);
        }
        assert_eq!(Said::hear(&mut from).await.err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn chunks_are_received_whole_or_not() {
        let chunk = Chunk { first: 7, text: b"{}\nend\n".to_vec() };
        let mut sent = Vec::new();
        send_chunk(Some(&chunk), &mut sent).await.unwrap();
        send_chunk(None, &mut sent).await.unwrap();
        for short in 0..sent.len() - 5 {
            assert!(receive_chunk(&mut Cursor::new(&sent[..short])).await.is_err(), "{short} bytes");
        }
        let mut from = Cursor::new(sent);
        assert!(receive_chunk(&mut from).await.unwrap() == Some(chunk));
        assert!(receive_chunk(&mut from).await.unwrap().is_none());
        for bad in ["chunk 1\n", "chunk 1 2 3\n", "chunk -1 0\n", "chunk 1 99999999999\n", "chunks\n", "\n"] {
            assert!(receive_chunk(&mut Cursor::new(bad)).await.is_err(), "{bad}");
        }
    }
}
