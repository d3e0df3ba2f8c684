//! Follows the frames of HTTP/2 through a stream of bytes, and counts those that carry nothing.

use std::time::Duration;

use tokio::time::Instant;

/// The kinds of frame that are told apart.
pub(super) mod kind {
    pub(in crate::server) const DATA: u8 = 0;
    pub(in crate::server) const HEADERS: u8 = 1;
    pub(in crate::server) const RST_STREAM: u8 = 3;
    pub(in crate::server) const GOAWAY: u8 = 7;
    pub(in crate::server) const CONTINUATION: u8 = 9;
}

/// On DATA and HEADERS: the stream's last.
pub(super) const END_STREAM: u8 = 1;
/// On HEADERS and CONTINUATION: the last of the block.
pub(super) const END_HEADERS: u8 = 4;

/// The start of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Frame {
    fn parse(bytes: [u8; 9]) -> Self {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & 0x7FFF_FFFF,
        }
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A reader of frame after frame.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    start: [u8; 9],
    have: usize,
    /// Bytes to come before the next frame.
    left: usize,
}

impl Frames {
    /// A reader that first passes over `preface` bytes.
    pub(super) const fn new(preface: usize) -> Self {
        Self { start: [0; 9], have: 0, left: preface }
    }

    /// Takes a frame's start, once it is there; with how much was read. Call it until nothing is
    /// left.
    pub(super) fn read(&mut self, bytes: &[u8]) -> (usize, Option<Frame>) {
        let passed = self.left.min(bytes.len());
        self.left -= passed;
        let taken = (9 - self.have).min(bytes.len() - passed);
        self.start[self.have..self.have + taken].copy_from_slice(&bytes[passed..passed + taken]);
        self.have += taken;
        if self.have < 9 {
            return (passed + taken, None);
        }
        let frame = Frame::parse(self.start);
        (self.have, self.left) = (0, frame.length as usize);
        (passed + taken, Some(frame))
    }

    /// Whether a frame may start with the next byte.
    pub(super) const fn between(&self) -> bool {
        self.have == 0 && self.left == 0
    }
}

/// So many at once, and so many a second.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    left: u32,
    most: u32,
    per_second: u32,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(most: u32, per_second: u32, now: Instant) -> Self {
        Self { left: most, most, per_second, filled: now }
    }

    /// Takes one, if there is one. The clock is read only when there seems to be none.
    pub(super) fn take(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.left == 0 {
            let now = now();
            let earned = now.duration_since(self.filled).as_millis() * u128::from(self.per_second) / 1000;
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            if earned == 0 {
                return false;
            }
            let spent = Duration::from_millis(u64::from(earned) * 1000 / u64::from(self.per_second));
            (self.left, self.filled) =
                if earned >= self.most { (self.most, now) } else { (earned, self.filled + spent) };
        }
        self.left -= 1;
        true
    }

    /// Allows some more, never beyond the most.
    pub(super) fn credit(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0x80, 0, 0, stream];
        bytes.extend_from_slice(payload);
        bytes
    }

    fn all(frames: &mut Frames, mut bytes: &[u8]) -> Vec<Frame> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (read, frame) = frames.read(bytes);
            bytes = &bytes[read..];
            found.extend(frame);
        }
        found
    }

    #[test]
    fn frames_are_found_wherever_the_stream_is_split() {
        let stream = [
            b"PRI".to_vec(),
            frame(4, 0, 0, &[]),
            frame(kind::HEADERS, END_HEADERS, 1, b"abc"),
            frame(kind::DATA, END_STREAM, 1, &[0; 20]),
            frame(6, 0, 0, &[1; 8]),
        ]
        .concat();
        let expected = [(0, 4, 0, 0), (3, 1, 4, 1), (20, 0, 1, 1), (8, 6, 0, 0)]
            .map(|(length, kind, flags, stream)| Frame { length, kind, flags, stream });
        for split in 0..=stream.len() {
            let mut frames = Frames::new(3);
            let mut found = all(&mut frames, &stream[..split]);
            found.extend(all(&mut frames, &stream[split..]));
            assert_eq!(found, expected, "split at {split}");
            assert!(frames.between());
        }
        let mut frames = Frames::new(0);
        assert_eq!(all(&mut frames, &stream[3..8]), []);
        assert!(!frames.between());
    }

    #[test]
    fn a_bucket_is_emptied_and_fills_up_by_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, 10, start);
        let mut taken = |millis, wanted| {
            let now = start + Duration::from_millis(millis);
            (0..wanted).filter(|_| bucket.take(|| now)).count()
        };
        assert_eq!(taken(0, 9), 3);
        assert_eq!(taken(99, 1), 0);
        assert_eq!(taken(250, 9), 2);
        assert_eq!(taken(299, 9), 0);
        assert_eq!(taken(300, 9), 1);
        assert_eq!(taken(60_000, 9), 3);
        bucket.credit(9);
        assert_eq!((0..9).filter(|_| bucket.take(|| start + Duration::from_secs(60))).count(), 3);
    }
}
