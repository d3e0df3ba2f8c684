//! What the fuzz targets see of the readers of a connection. Each takes its bytes as they come in:
//! `ends` says up to where they had come, time after time.

use super::{
    chunked::Chunks,
    frames::Frames,
    head::{Framing, Head},
};

/// A head's length, and that of the body behind it: `None` for chunks.
pub type Headed = (usize, Option<u64>);

/// Reads the head of an HTTP/1 request; `Ok(None)` where it is not whole yet.
///
/// # Errors
/// The name of the refusal.
pub fn head(bytes: &[u8], ends: &[usize]) -> Result<Option<Headed>, &'static str> {
    let mut head = Head::default();
    for end in ends.iter().copied().chain([bytes.len()]) {
        let read = head.read(bytes.get(..end).unwrap_or(bytes)).map_err(|refusal| refusal.label())?;
        if let Some((length, framing)) = read {
            let body = match framing {
                Framing::Length(length) => Some(length),
                Framing::Chunked => None,
            };
            return Ok(Some((length, body)));
        }
    }
    Ok(None)
}

/// Reads a chunked body: how long it is, and whether it is whole.
///
/// # Errors
/// The name of the refusal.
pub fn chunked(bytes: &[u8], ends: &[usize]) -> Result<(usize, bool), &'static str> {
    let mut chunks = Chunks::new();
    let (mut read, mut is_whole) = (0, false);
    for end in ends.iter().copied().chain([bytes.len()]) {
        let (more, done) = chunks
            .read(bytes.get(read..end.min(bytes.len())).unwrap_or_default())
            .map_err(|refusal| refusal.label())?;
        read += more;
        is_whole = done;
    }
    Ok((read, is_whole))
}

/// Length, kind, flags and stream of each HTTP/2 frame, and whether another may start now.
#[must_use]
pub fn frames(bytes: &[u8], ends: &[usize]) -> (Vec<(u32, u8, u8, u32)>, bool) {
    let (mut frames, mut found, mut read) = (Frames::new(0), Vec::new(), 0);
    for end in ends.iter().copied().chain([bytes.len()]) {
        while read < end.min(bytes.len()) {
            let (more, frame) = frames.read(&bytes[read..end.min(bytes.len())]);
            read += more;
            found.extend(frame.map(|frame| (frame.length, frame.kind, frame.flags, frame.stream)));
        }
    }
    (found, frames.between())
}
