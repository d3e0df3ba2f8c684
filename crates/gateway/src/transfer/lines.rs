//! An input of lines, cut into chunks of whole lines as it is read.

use std::mem;

use sha2::{Digest as _, Sha256};

/// The most lines of a chunk: half of what shares a sync of the embedded store.
pub const LINES: u64 = 256;
/// From so many bytes on a chunk is cut.
const BYTES: usize = 256 << 10;
/// What Windows puts before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whole lines, a user each.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Chunk {
    /// The number of the first line, from 1.
    pub first: u64,
    /// The lines, each with its end. One that is too long is empty here.
    pub text: Vec<u8>,
}

/// What is to be known of a chunk besides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// The lines of it that are too long.
    pub too_long: Vec<u64>,
    /// How far the input is read with it.
    pub mark: Mark,
}

/// A place in an input.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Mark {
    /// The bytes before it.
    pub bytes: u64,
    /// The lines before it.
    pub lines: u64,
    /// SHA-256 of the bytes before it.
    pub digest: [u8; 32],
}

impl Chunk {
    /// Its lines that are not blank, with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let lines = (self.first..).zip(self.text.split(|byte| *byte == b'\n'));
        lines.filter(|(_, line)| !line.trim_ascii().is_empty())
    }
}

/// Cuts what it is given, in whatever pieces, into chunks.
pub struct Cutter {
    /// The most bytes of a line.
    longest: usize,
    hasher: Sha256,
    bytes: u64,
    /// Whole lines, those of the chunk at hand counted.
    lines: u64,
    chunk: Chunk,
    /// Where the last line of the chunk begins.
    start: usize,
    /// The rest of a line that is too long is on its way.
    skips: bool,
    too_long: Vec<u64>,
}

impl Cutter {
    /// From the beginning of an input, with lines of at most so many bytes.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self::after(&Mark::default(), Sha256::new(), longest)
    }

    /// From a place on, with a hasher that was given all before it.
    #[must_use]
    pub fn after(mark: &Mark, hasher: Sha256, longest: usize) -> Self {
        let chunk = Chunk { first: mark.lines + 1, text: Vec::new() };
        let (bytes, lines) = (mark.bytes, mark.lines);
        Self { longest, hasher, bytes, lines, chunk, start: 0, skips: false, too_long: Vec::new() }
    }

    /// Takes the next piece of the input; gives out every chunk that it completes.
    pub fn push(&mut self, mut piece: &[u8], mut out: impl FnMut(Chunk, Edge)) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(end + 1);
            self.add(line);
            self.end_line();
            if self.lines >= self.chunk.first - 1 + LINES || self.chunk.text.len() >= BYTES {
                let (chunk, edge) = self.cut();
                out(chunk, edge);
            }
            piece = rest;
        }
        self.add(piece);
    }

    /// The last chunk; the last line needs no end.
    #[must_use]
    pub fn finish(mut self) -> Option<(Chunk, Edge)> {
        if self.skips || self.chunk.text.len() > self.start {
            self.chunk.text.push(b'\n');
            self.end_line();
        }
        (self.lines >= self.chunk.first).then(|| self.cut())
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        if self.skips {
            return;
        }
        let line = self.chunk.text.len() - self.start + bytes.len();
        // The end of a line is no part of it.
        if line - usize::from(bytes.ends_with(b"\n")) > self.longest {
            self.chunk.text.truncate(self.start);
            self.skips = true;
        } else {
            self.chunk.text.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        self.lines += 1;
        if mem::take(&mut self.skips) {
            self.chunk.text.truncate(self.start);
            self.chunk.text.push(b'\n');
            self.too_long.push(self.lines);
        }
        if self.lines == 1 && self.chunk.text.starts_with(BYTE_ORDER_MARK) {
            self.chunk.text.drain(..BYTE_ORDER_MARK.len());
        }
        self.start = self.chunk.text.len();
    }

    fn cut(&mut self) -> (Chunk, Edge) {
        let next = Chunk { first: self.lines + 1, text: Vec::new() };
        let digest = self.hasher.clone().finalize().into();
        let mark = Mark { bytes: self.bytes, lines: self.lines, digest };
        self.start = 0;
        (mem::replace(&mut self.chunk, next), Edge { too_long: mem::take(&mut self.too_long), mark })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(input: &[u8], piece: usize, longest: usize) -> Vec<(Chunk, Edge)> {
        let (mut cutter, mut chunks) = (Cutter::new(longest), Vec::new());
        for piece in input.chunks(piece) {
            cutter.push(piece, |chunk, edge| chunks.push((chunk, edge)));
        }
        chunks.extend(cutter.finish());
        chunks
    }

    fn lines(input: &[u8], longest: usize) -> Vec<(u64, String)> {
        let chunks = cut(input, usize::MAX, longest);
        for piece in 1..6 {
            assert!(cut(input, piece, longest) == chunks, "in pieces of {piece}");
        }
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        let lines = |(chunk, _): &(Chunk, Edge)| {
            chunk.lines().map(|(number, line)| (number, text(line))).collect::<Vec<_>>()
        };
        chunks.iter().flat_map(lines).collect()
    }

    #[test]
    fn lines_keep_their_numbers() {
        let of = |expected: &[(u64, &str)]| {
            expected.iter().map(|(number, line)| (*number, (*line).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(lines(b"", 9), of(&[]));
        assert_eq!(lines(b"{}", 9), of(&[(1, "{}")]));
        assert_eq!(lines(b"{}\n", 9), of(&[(1, "{}")]));
        assert_eq!(lines(b"a\n\n \t\r\nb\r\nc", 9), of(&[(1, "a"), (4, "b\r"), (5, "c")]));
        assert_eq!(lines(b"\xef\xbb\xbfa\n\xef\xbb\xbf\n", 9), of(&[(1, "a"), (2, "\u{feff}")]));
        assert_eq!(lines(b"\xef\xbb\xbf", 9), of(&[]));
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_not_kept() {
        let input = b"123456789\n1234567890\n1234567890";
        assert_eq!(lines(input, 9), [(1, "123456789".to_owned())]);
        let chunks = cut(input, 4, 9);
        assert_eq!((chunks[0].1.too_long.clone(), chunks[0].0.text.len()), (vec![2, 3], 12));
        let endless = vec![b'x'; 3 << 20];
        assert_eq!(cut(&endless, 4096, 9)[0].0.text, b"\n");
    }

    #[test]
    fn chunks_are_bounded_and_say_where_they_end() {
        let input = "{\"a\":1}\n".repeat(600);
        let chunks = cut(input.as_bytes(), 100, 1 << 20);
        let ends: Vec<_> =
            chunks.iter().map(|(chunk, edge)| (chunk.first, edge.mark.lines, edge.mark.bytes)).collect();
        assert_eq!(ends, [(1, 256, 2048), (257, 512, 4096), (513, 600, 4800)]);
        let long = format!("{}\n", "x".repeat(200 << 10)).repeat(5);
        assert_eq!(cut(long.as_bytes(), 1 << 16, 1 << 20).len(), 3);
    }

    #[test]
    fn cutting_goes_on_where_it_ended() {
        let input = "{\"a\":1}\n".repeat(600);
        let all = cut(input.as_bytes(), 1000, 1 << 20);
        let mark = &all[0].1.mark;
        let (before, after) = input.as_bytes().split_at(usize::try_from(mark.bytes).unwrap());
        let hasher = Sha256::new_with_prefix(before);
        assert_eq!(mark.digest, <[u8; 32]>::from(hasher.clone().finalize()));
        let (mut cutter, mut rest) = (Cutter::after(mark, hasher, 1 << 20), Vec::new());
        cutter.push(after, |chunk, edge| rest.push((chunk, edge)));
        rest.extend(cutter.finish());
        assert!(rest == all[1..]);
    }
}
