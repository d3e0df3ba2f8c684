//! What is imported: an input cut into lines, a line read as a user, a chunk on a socket.

use std::io::Cursor;

use gateway::transfer::{
    form,
    lines::{Chunk, Cutter, Edge},
    socket::{receive_chunk, send_chunk},
};
use gateway_core::UserId;
use sha2::{Digest, Sha256};

use super::{CANARY, seeds::NOW};

/// The most bytes of a line, so that inputs have longer ones.
const LONGEST: usize = 2_000;

/// Lines are what stands between their ends, in whatever pieces they come; what is read as a user is
/// written so that it reads the same again; what is wrong repeats nothing.
pub(super) fn import_lines(bytes: &[u8]) -> bool {
    let chunks = cut(bytes, usize::MAX);
    for piece in [1, 2, 3, 64] {
        assert!(cut(bytes, piece) == chunks, "in pieces of {piece}");
    }
    let (mut found, mut too_long) = (Vec::new(), Vec::new());
    for (chunk, edge) in &chunks {
        found.extend(chunk.lines().map(|(number, line)| (number, line.to_vec())));
        too_long.extend_from_slice(&edge.too_long);
    }
    assert_eq!((&found, &too_long), (&by_hand(bytes).0, &by_hand(bytes).1));
    match chunks.last() {
        Some((_, Edge { mark, .. })) => {
            assert_eq!(mark.bytes, bytes.len() as u64);
            assert_eq!(mark.digest, <[u8; 32]>::from(Sha256::digest(bytes)));
        }
        None => assert!(bytes.is_empty()),
    }
    found.iter().filter(|(_, line)| is_user(line)).count() > 0
}

fn cut(bytes: &[u8], piece: usize) -> Vec<(Chunk, Edge)> {
    let (mut cutter, mut chunks) = (Cutter::new(LONGEST), Vec::new());
    for piece in bytes.chunks(piece) {
        cutter.push(piece, |chunk, edge| chunks.push((chunk, edge)));
    }
    chunks.extend(cutter.finish());
    chunks
}

/// The lines that are not blank, and the numbers of those that are too long.
fn by_hand(bytes: &[u8]) -> (Vec<(u64, Vec<u8>)>, Vec<u64>) {
    let (mut lines, mut too_long) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if line.len() > LONGEST {
            too_long.push(number);
            continue;
        }
        let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        if !line.trim_ascii().is_empty() {
            lines.push((number, line.to_vec()));
        }
    }
    (lines, too_long)
}

fn is_user(line: &[u8]) -> bool {
    let id = || UserId::from_bytes([7; 16]);
    match form::read(line, NOW, id) {
        Ok(given) => {
            assert!(given.is_so(&given.user, NOW));
            let written = form::write(&given.user, NOW);
            let text = || String::from_utf8_lossy(&written).into_owned();
            let again = form::read(&written, NOW, id).unwrap_or_else(|flaws| panic!("{flaws:?}: {}", text()));
            assert!(again.has_id() && again.secret.is_none());
            assert!(again.is_so(&given.user, NOW), "another user: {}", text());
            assert_eq!(form::write(&again.user, NOW), written);
            true
        }
        Err(flaws) => {
            assert!(!flaws.is_empty());
            let said = format!("{flaws:?}");
            assert!(!said.contains(CANARY), "{said}");
            false
        }
    }
}

/// A chunk that is received is sent in the same bytes.
pub(super) fn import_chunk(bytes: &[u8]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut from = Cursor::new(bytes);
        let Ok(received) = receive_chunk(&mut from).await else { return false };
        let mut sent = Vec::new();
        send_chunk(received.as_ref(), &mut sent).await.unwrap();
        let at = usize::try_from(from.position()).unwrap();
        let plain = |bytes: &[u8]| receive_bytes(bytes);
        assert_eq!(plain(&sent), plain(&bytes[..at]));
        true
    })
}

/// A chunk without leading zeros in its numbers, which say nothing.
fn receive_bytes(bytes: &[u8]) -> (Vec<u64>, Vec<u8>) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let words = std::str::from_utf8(&bytes[..end]).unwrap();
    (words.split(' ').filter_map(|word| word.parse().ok()).collect(), bytes[end..].to_vec())
}
