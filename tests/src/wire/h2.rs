//! A client of HTTP/2 that sends what no honest one would: frames by hand (RFC 9113), header blocks
//! without compression (RFC 7541).

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Nothing is waited for longer than this: what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(30);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A kind of frame.
pub mod kind {
    #![expect(missing_docs, reason = "the names are those of RFC 9113, section 6")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The end of a stream: no more of the request.
pub const END_STREAM: u8 = 1;
/// The answer to a PING.
const ACK: u8 = 1;
/// The end of a header block.
pub const END_HEADERS: u8 = 4;

/// Names and values, as they are sent.
pub type Fields<'a> = [(&'a str, &'a str)];

/// What came of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// A status.
    Answered(u16),
    /// The stream was reset, with this code.
    Reset(u32),
    /// The connection was ended, with this code.
    GoAway(u32),
    /// The connection was closed without a word.
    Closed,
}

impl End {
    /// Whether the connection is over.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::GoAway(_) | Self::Closed)
    }
}

/// A frame that came.
pub struct Frame {
    /// Its kind.
    pub kind: u8,
    flags: u8,
    /// Its stream.
    pub stream: u32,
    payload: Vec<u8>,
}

/// The bytes of a frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header block: each field a literal that is not indexed.
#[must_use]
pub fn block(fields: &Fields<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            length(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541, 5.1).
fn length(bytes: &mut Vec<u8>, mut value: usize) {
    let Some(rest) = value.checked_sub(127) else { return bytes.push(value.to_le_bytes()[0]) };
    bytes.push(127);
    value = rest;
    while value >= 128 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// A connection.
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    next: u32,
    /// Whether it answers PING, as it must.
    pub answers_pings: bool,
}

impl Client {
    /// Connects, with the preface and these settings; and tells the server to remember no fields, so
    /// that its answers can be read without a table.
    #[must_use]
    pub fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut payload = Vec::new();
        for (name, value) in [(1, 0)].iter().chain(settings) {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let mut client = Self { stream, received: Vec::new(), next: 1, answers_pings: true };
        client.send(PREFACE);
        client.send(&frame(kind::SETTINGS, 0, 0, &payload));
        // The connection's window is never in the way; a stream's is the settings' business.
        client.send(&frame(kind::WINDOW_UPDATE, 0, 0, &0x4000_0000_u32.to_be_bytes()));
        client
    }

    /// Sends bytes; a connection that the server has ended swallows them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The number of the next stream.
    pub fn stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Sends a whole request without a body, split where a frame is full; with its stream.
    pub fn request(&mut self, fields: &Fields<'_>) -> u32 {
        let stream = self.stream();
        let block = block(fields);
        let parts: Vec<_> = block.chunks(16_384).collect();
        for (at, part) in parts.iter().enumerate() {
            let kind = if at == 0 { kind::HEADERS } else { kind::CONTINUATION };
            let end = if at == 0 { END_STREAM } else { 0 };
            let flags = end | if at + 1 == parts.len() { END_HEADERS } else { 0 };
            self.send(&frame(kind, flags, stream, part));
        }
        stream
    }

    /// Begins a request whose body is yet to come; with its stream.
    pub fn begin(&mut self, fields: &Fields<'_>) -> u32 {
        let stream = self.stream();
        self.send(&frame(kind::HEADERS, END_HEADERS, stream, &block(fields)));
        stream
    }

    /// Sends these bytes while answers are read, and then waits for the end of a stream.
    pub fn flood(&mut self, bytes: Vec<u8>, stream: u32) -> End {
        let mut writer = self.stream.try_clone().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(&bytes).is_ok());
        let end = self.end(stream);
        let _all_was_taken = writing.join().unwrap();
        end
    }

    /// The next frame; none when the connection is over.
    pub fn read(&mut self) -> Option<Frame> {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(frame) = self.whole() {
                if frame.kind == kind::PING && frame.flags & ACK == 0 && self.answers_pings {
                    self.send(&self::frame(kind::PING, ACK, 0, &frame.payload));
                }
                return Some(frame);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing more comes, and it is not closed: {error}"),
            }
        }
    }

    fn whole(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.received.get(..9)?.try_into().unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let end = 9 + usize::try_from(length).unwrap();
        let payload = self.received.get(9..end)?.to_vec();
        self.received.drain(..end);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until this stream has its answer whole, or never will.
    pub fn end(&mut self, stream: u32) -> End {
        let mut status = None;
        while let Some(frame) = self.read() {
            match frame.kind {
                kind::GOAWAY => return End::GoAway(word(&frame.payload[4..])),
                kind::RST_STREAM if frame.stream == stream && status.is_none() => {
                    return End::Reset(word(&frame.payload));
                }
                kind::HEADERS if frame.stream == stream => status = Some(read_status(&frame.payload)),
                _ => {}
            }
            if let Some(status) = status.filter(|_| frame.stream == stream && frame.flags & END_STREAM != 0) {
                return End::Answered(status);
            }
        }
        End::Closed
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// The status in a header block of a server that remembers no fields: it comes first.
fn read_status(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // Changes of the table's size come before the fields.
    let start = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap();
    match block[start] {
        byte @ 0x88..=0x8e => INDEXED[usize::from(byte - 0x88)],
        0x08 | 0x18 | 0x48 => {
            let length = usize::from(block[start + 1] & 0x7f);
            let value = &block[start + 2..start + 2 + length];
            let digits = if block[start + 1] & 0x80 == 0 { value.to_vec() } else { digits(value) };
            std::str::from_utf8(&digits).unwrap().parse().unwrap()
        }
        byte => panic!("no status at the start of a header block: {byte:#x}"),
    }
}

/// Three digits in the code of RFC 7541, appendix B: 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    let (mut at, mut digits) = (0, Vec::new());
    while digits.len() < 3 {
        let short = number(&bits[at..at + 5]);
        if short <= 2 {
            digits.push(b'0' + short);
            at += 5;
        } else {
            digits.push(b'3' + number(&bits[at..at + 6]) - 0b01_1001);
            at += 6;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the `h2` crate and RFC 7541, C.6.1 write them.
    #[test]
    fn statuses_are_read() {
        for (block, status) in [
            (&[0x88][..], 200),
            (&[0x20, 0x8d], 404),
            (&[0x20, 0x08, 0x82, 0x64, 0x02], 302),
            (&[0x48, 0x03, b'4', b'3', b'1'], 431),
        ] {
            assert_eq!(read_status(block), status);
        }
    }

    #[test]
    fn lengths_are_written() {
        for (value, expected) in [(5, &[5][..]), (127, &[127, 0]), (254, &[127, 127]), (255, &[127, 128, 1])]
        {
            let mut bytes = Vec::new();
            length(&mut bytes, value);
            assert_eq!(bytes, expected);
        }
    }
}
