//! Reads the head of an HTTP/1 request as it comes in, stricter than the parser behind it: what two
//! readers could read differently is refused, and so is what nobody here answers.

use memchr::memchr;

use super::{
    refusal::Refusal,
    syntax::{MAX_TARGET_BYTES, is_header_name, is_header_value, is_host, is_target, is_token},
};

/// The most bytes of a head.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most header lines.
const MAX_HEADERS: u8 = 64;
/// What a request line has beside its target: a method, a version and what is between them.
const MAX_LINE_BYTES: usize = MAX_TARGET_BYTES + 64;

/// How the body of a request is delimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// By so many bytes; none at all, mostly.
    Length(u64),
    /// By chunks.
    Chunked,
}

/// A reader of one head. It goes on where it stopped when more bytes have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// Where the line at hand starts.
    line: usize,
    /// Up to where there is no end of it.
    searched: usize,
    headers: u8,
    version: Option<Version>,
    led_by_empty_line: bool,
    host: bool,
    length: Option<u64>,
    chunked: bool,
    expects: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    Http10,
    Http11,
}

impl Head {
    /// Reads on. `bytes` starts where the head does, each time. With the head's length and what
    /// follows it, once it is whole.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<(usize, Framing)>, Refusal> {
        while let Some(found) = memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found;
            // As if its end were not here yet: the reason given does not hang on how bytes come in.
            self.incomplete(&bytes[self.line..end])?;
            let line = bytes[self.line..end].strip_suffix(b"\r").ok_or(Refusal::HeaderLine)?;
            (self.line, self.searched) = (end + 1, end + 1);
            match self.version {
                None if line.is_empty() && !self.led_by_empty_line => self.led_by_empty_line = true,
                None => self.request_line(line)?,
                Some(version) if line.is_empty() => {
                    return self.framing(version).map(|framing| Some((self.line, framing)));
                }
                Some(version) => self.header(version, line)?,
            }
        }
        self.searched = bytes.len();
        self.incomplete(&bytes[self.line..])?;
        Ok(None)
    }

    /// What can be said of a line that is not whole yet.
    fn incomplete(&self, line: &[u8]) -> Result<(), Refusal> {
        if self.version.is_none() {
            if line.len() > MAX_LINE_BYTES {
                return Err(Refusal::TargetTooLong);
            }
            // A greeting of TLS, say.
            if line.first().is_some_and(|byte| !byte.is_ascii_alphabetic() && *byte != b'\r') {
                return Err(Refusal::RequestLine);
            }
        }
        if self.line + line.len() >= MAX_HEAD_BYTES { Err(Refusal::HeadTooLarge) } else { Ok(()) }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Refusal::TargetTooLong);
        }
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::RequestLine);
        };
        if !is_token(method) {
            return Err(Refusal::RequestLine);
        }
        self.version = Some(match version {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(Refusal::Version),
            _ => return Err(Refusal::RequestLine),
        });
        if method == b"CONNECT" {
            return Err(Refusal::Connect);
        }
        if target.len() > MAX_TARGET_BYTES {
            return Err(Refusal::TargetTooLong);
        }
        if is_target(target) { Ok(()) } else { Err(Refusal::Target) }
    }

    fn header(&mut self, version: Version, line: &[u8]) -> Result<(), Refusal> {
        self.headers += 1;
        if self.headers > MAX_HEADERS {
            return Err(Refusal::HeadTooLarge);
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Refusal::HeaderLine);
        }
        let colon = memchr(b':', line).ok_or(Refusal::HeaderLine)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_header_name(name) {
            return Err(Refusal::HeaderName);
        }
        if !is_header_value(&line[colon + 1..]) {
            return Err(Refusal::HeaderLine);
        }
        // The lengths tell most names apart without a comparison.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            6 if name.eq_ignore_ascii_case(b"expect") => self.expectation(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.coding(version, value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.host, true) || !is_host(value) { Err(Refusal::Host) } else { Ok(()) }
    }

    fn expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let twice = std::mem::replace(&mut self.expects, true);
        if twice || !value.eq_ignore_ascii_case(b"100-continue") { Err(Refusal::Expectation) } else { Ok(()) }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let length = parse_length(value).ok_or(Refusal::Length)?;
        if self.chunked || self.length.replace(length).is_some() { Err(Refusal::Length) } else { Ok(()) }
    }

    fn coding(&mut self, version: Version, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::Length);
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            let twice = std::mem::replace(&mut self.chunked, true);
            return if twice || version == Version::Http10 { Err(Refusal::Coding) } else { Ok(()) };
        }
        let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let named = codings.clone().all(is_token);
        let known = codings.all(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        Err(if named && !known { Refusal::UnknownCoding } else { Refusal::Coding })
    }

    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        if !self.host && version == Version::Http11 {
            return Err(Refusal::Host);
        }
        Ok(if self.chunked { Framing::Chunked } else { Framing::Length(self.length.unwrap_or(0)) })
    }
}

/// Digits, and no more of them than a file system counts.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
