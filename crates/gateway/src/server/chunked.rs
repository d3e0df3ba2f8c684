//! Follows a chunked body byte by byte, stricter than RFC 9112 asks of a recipient: what two readers
//! could read differently is refused.

use super::{
    refusal::Refusal,
    syntax::{is_header_name, is_header_value},
};

/// The most bytes of chunk extensions and trailers in one body.
const MAX_EXTRA_BYTES: usize = 4 * 1024;
/// The most digits of a chunk's size.
const MAX_DIGITS: u8 = 15;

/// Where in a chunked body the next byte is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// In a size, after so many digits.
    Size(u8),
    Extension,
    /// Before the line feed that ends a size.
    SizeEnd,
    Data,
    /// Before the carriage return that ends a chunk.
    DataReturn,
    DataEnd,
    /// At the start of a trailer, or of the last line.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastEnd,
    Done,
}

/// A reader of one chunked body.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    at: At,
    /// Of the chunk at hand.
    left: u64,
    extra: usize,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: At::Size(0), left: 0, extra: 0 }
    }

    /// Takes what belongs to the body; with how much that is, and whether the body is whole.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut read = 0;
        while read < bytes.len() && self.at != At::Done {
            if self.at == At::Data {
                let data = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - read);
                self.left -= data as u64;
                read += data;
                if self.left == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            self.at = self.step(bytes[read]).ok_or(Refusal::Chunk)?;
            read += 1;
        }
        Ok((read, self.at == At::Done))
    }

    /// Where the byte after this one is; `None` if this one must not be here.
    fn step(&mut self, byte: u8) -> Option<At> {
        match (self.at, byte) {
            (At::Size(digits), _) if byte.is_ascii_hexdigit() && digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16)?;
                self.left = self.left * 16 + u64::from(digit);
                Some(At::Size(digits + 1))
            }
            (At::Size(1..) | At::Extension, b'\r') => Some(At::SizeEnd),
            (At::Size(1..), b';') => self.extra(At::Extension),
            (At::Extension, _) if is_header_value(&[byte]) => self.extra(At::Extension),
            (At::SizeEnd, b'\n') if self.left == 0 => Some(At::Trailer),
            (At::SizeEnd, b'\n') => Some(At::Data),
            (At::DataReturn, b'\r') => Some(At::DataEnd),
            (At::DataEnd, b'\n') => Some(At::Size(0)),
            (At::Trailer, b'\r') => Some(At::LastEnd),
            (At::LastEnd, b'\n') => Some(At::Done),
            (At::Trailer | At::TrailerName, _) if is_header_name(&[byte]) => self.extra(At::TrailerName),
            (At::TrailerName, b':') => self.extra(At::TrailerValue),
            (At::TrailerValue, b'\r') => Some(At::TrailerEnd),
            (At::TrailerValue, _) if is_header_value(&[byte]) => self.extra(At::TrailerValue),
            (At::TrailerEnd, b'\n') => Some(At::Trailer),
            _ => None,
        }
    }

    fn extra(&mut self, next: At) -> Option<At> {
        self.extra += 1;
        (self.extra <= MAX_EXTRA_BYTES).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads it in two parts, split at each place, and so shows that the place does not matter.
    fn read(bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let whole = Chunks::new().read(bytes);
        for split in 0..=bytes.len() {
            let mut chunks = Chunks::new();
            let parts = chunks.read(&bytes[..split]).and_then(|(first, done)| {
                let (second, done) = if done { (0, true) } else { chunks.read(&bytes[split..])? };
                Ok((first + second, done))
            });
            assert_eq!(parts, whole, "split at {split}");
        }
        whole
    }

    #[test]
    fn good_bodies_are_followed_to_their_end() {
        for body in [
            "0\r\n\r\n",
            "4\r\nabcd\r\n0\r\n\r\n",
            "0004\r\nabcd\r\n00\r\n\r\n",
            "A\r\n0123456789\r\na;x=\"y;z\";w\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
            "1\r\na\r\n0\r\nX-Checksum: 1\r\nY:\r\n\r\n",
        ] {
            let next = format!("{body}GET / HTTP/1.1\r\n");
            assert_eq!(read(next.as_bytes()), Ok((body.len(), true)), "{body:?}");
            for end in 0..body.len() {
                assert_eq!(read(&body.as_bytes()[..end]), Ok((end, false)), "{body:?} up to {end}");
            }
        }
    }

    #[test]
    fn bad_bodies_are_refused() {
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "4 \r\nabcd\r\n",
            "4\t\r\nabcd\r\n",
            "4\nabcd\r\n",
            "4\r\rabcd",
            "4;a\nabcd\r\n",
            "4;a\rb\r\n",
            "4;a\0\r\n",
            "4\r\nabcd\n",
            "4\r\nabcd\r\r",
            "4\r\nabcde\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "0000000000000001\r\n",
            "0\r\n\n",
            "0\r\nX\r\n\r\n",
            "0\r\n X: 1\r\n\r\n",
            "0\r\nX_Y: 1\r\n\r\n",
            "0\r\nX : 1\r\n\r\n",
            "0\r\nX: a\nb\r\n\r\n",
            "0\r\n: 1\r\n\r\n",
            "0\r\n\r!",
        ] {
            assert_eq!(read(body.as_bytes()), Err(Refusal::Chunk), "{body:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded_together() {
        let body = |extension, trailer| {
            format!("1;{}\r\na\r\n0\r\nX:{}\r\n\r\n", "e".repeat(extension), "t".repeat(trailer))
        };
        let most = MAX_EXTRA_BYTES - "; X:".replace(' ', "").len();
        assert!(Chunks::new().read(body(most - 9, 9).as_bytes()).is_ok());
        assert!(Chunks::new().read(body(most - 9, 10).as_bytes()).is_err());
        assert!(Chunks::new().read(body(most + 1, 0).as_bytes()).is_err());
    }
}
