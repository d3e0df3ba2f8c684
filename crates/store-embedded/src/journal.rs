//! The engine's journals, checked before the engine reads them.
//!
//! The engine takes the first batch that it cannot read for the end, and cuts the file there: one bit
//! would cost every later batch. So each batch is read here first: its form, its checksum, and its
//! number, which every batch of ours writes (`meta/seq`), sealed, beside a lower bound for the engine's
//! sequence number, which no checksum covers. Only what a crash leaves is cut off: the remains of one
//! batch that was never acknowledged, at the very end.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    codec::Reader,
    engine::{DATABASE, META, SEQ, Stamp},
    error::OpenFault,
    seal::Sealer,
};

/// What the names of journals end with.
pub(crate) const EXTENSION: &str = "jnl";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const VALUE: u8 = 0;
const LZ4: u8 = 1;
const TRAILER: &[u8; 4] = b"FJL\x03";
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Reads the number of a batch.
pub(crate) struct Numbers<'a> {
    pub(crate) sealer: &'a Sealer,
    /// The engine's number of the keyspace `meta`.
    pub(crate) meta: u64,
}

/// A whole batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Batch {
    /// The engine's sequence number.
    pub(crate) seqno: u64,
    pub(crate) stamp: Stamp,
    /// How many bytes it takes.
    pub(crate) len: usize,
}

/// What the journals hold.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Checked {
    /// The number of the last batch; `None` where there is none.
    pub(crate) last: Option<u64>,
    /// A journal that ends torn, and how much of it is whole.
    torn: Option<(PathBuf, u64)>,
}

impl Checked {
    /// Cuts off what a crash left behind the last whole batch. The engine would refuse some of it.
    pub(crate) fn cut(&self) -> io::Result<()> {
        let Some((path, len)) = &self.torn else {
            return Ok(());
        };
        let file = File::options().write(true).open(path)?;
        file.set_len(*len)?;
        file.sync_all()
    }
}

/// Reads the journals of a database and changes nothing.
pub(crate) fn check(database: &Path, numbers: &Numbers<'_>, acked: u64) -> Result<Checked, OpenFault> {
    let journals = list(database)?;
    let (mut last, mut torn) = (None, None);
    for (at, (id, path)) in journals.iter().enumerate() {
        if at > 0 && journals[at - 1].0 + 1 != *id {
            return Err(OpenFault::Missing(name(*id - 1)));
        }
        let is_active = at + 1 == journals.len();
        let bytes = fs::read(path)?;
        let end = walk(&bytes, numbers, &mut last);
        let whole = match bytes[end..].iter().all(|byte| *byte == 0) {
            // The engine begins a new journal when the last one is full.
            true => is_active || end > 0,
            false => is_active && is_torn(&bytes, end, numbers, acked),
        };
        if !whole {
            return Err(OpenFault::JournalDamaged { name: name(*id), at: end as u64 });
        }
        if is_active && end < bytes.len() {
            torn = Some((path.clone(), end as u64));
        }
    }
    match last.map(|batch| batch.stamp.seq) {
        Some(found) if found < acked => Err(OpenFault::AcknowledgedLost { acked, found }),
        last => Ok(Checked { last, torn }),
    }
}

/// The journals of a database, the oldest first. The engine reads no others.
fn list(database: &Path) -> Result<Vec<(u64, PathBuf)>, OpenFault> {
    let mut found = Vec::new();
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| !end.eq_ignore_ascii_case(EXTENSION)) {
            continue;
        }
        let id = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        match id.filter(|id| path.ends_with(format!("{id}.{EXTENSION}"))) {
            Some(id) => found.push((id, path)),
            None => return Err(OpenFault::Stray(path.display().to_string())),
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn name(id: u64) -> String {
    format!("{DATABASE}/{id}.{EXTENSION}")
}

/// Reads batches as long as they are whole and follow each other; says where the last one ends.
fn walk(bytes: &[u8], numbers: &Numbers<'_>, last: &mut Option<Batch>) -> usize {
    let mut end = 0;
    while let Some(batch) = read(&bytes[end..], numbers) {
        let follows = last
            .is_none_or(|last| batch.stamp.seq == last.stamp.seq.wrapping_add(1) && batch.seqno > last.seqno);
        if !follows {
            break;
        }
        end += batch.len;
        *last = Some(batch);
    }
    end
}

/// True when a crash can have left these bytes behind the last whole batch: a beginning of the next
/// one, with zeros where sectors were not written.
fn is_torn(bytes: &[u8], end: usize, numbers: &Numbers<'_>, acked: u64) -> bool {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let rest = &bytes[end..used];
    if first_stamp(rest, numbers).is_some_and(|stamp| stamp.seq <= acked) {
        return false;
    }
    // It was written to its end, and nothing in between is missing: so it is not torn, but damaged.
    let first_sector = end.next_multiple_of(SECTOR).min(used);
    let holed = bytes[first_sector..used].chunks(SECTOR).any(|sector| sector.iter().all(|byte| *byte == 0));
    if rest.ends_with(TRAILER) && !holed {
        return false;
    }
    // Each batch is synced before the next one begins.
    let starts = rest.iter().enumerate().filter(|(_, byte)| **byte == START);
    !starts.skip(1).any(|(at, _)| read(&rest[at..], numbers).is_some())
}

/// Reads the batch that bytes begin with; `None` where they do not begin with a whole one of ours.
pub(crate) fn read(bytes: &[u8], numbers: &Numbers<'_>) -> Option<Batch> {
    let mut input = Reader(bytes);
    let (count, seqno) = start(&mut input)?;
    let body = input.0;
    let mut stamp = None;
    for _ in 0..count {
        stamp = item(&mut input, numbers)?.or(stamp);
    }
    let body = &body[..body.len() - input.0.len()];
    let whole = input.u8()? == END
        && u64::from_le_bytes(input.array()?) == xxh3_64(body)
        && input.array::<4>()? == *TRAILER;
    let stamp = stamp.filter(|stamp| whole && (stamp.floor..=i64::MAX as u64).contains(&seqno))?;
    Some(Batch { seqno, stamp, len: bytes.len() - input.0.len() })
}

/// How many items follow, and the engine's sequence number.
fn start(input: &mut Reader<'_>) -> Option<(u32, u64)> {
    let is_start = input.u8()? == START;
    let start = (u32::from_le_bytes(input.array()?), u64::from_le_bytes(input.array()?));
    is_start.then_some(start)
}

/// Reads an item; its value, where it is the number of the batch.
fn item(input: &mut Reader<'_>, numbers: &Numbers<'_>) -> Option<Option<Stamp>> {
    let [tag, kind, compression] = input.array()?;
    let keyspace = u64::from_le_bytes(input.array()?);
    let key_len = u16::from_le_bytes(input.array()?);
    let value_len = u32::from_le_bytes(input.array()?);
    let stored_len = u32::from_le_bytes(input.array()?);
    if tag != ITEM || compression > LZ4 || (compression != LZ4 && value_len != stored_len) {
        return None;
    }
    let key = input.take(key_len.into())?;
    let value = input.take(usize::try_from(stored_len).ok()?)?;
    if keyspace != numbers.meta || key != SEQ || kind != VALUE {
        return Some(None);
    }
    Stamp::decode(&numbers.sealer.open(META, SEQ, value)?).map(Some)
}

/// The number in a batch that may not be whole: it is the first thing in it.
fn first_stamp(bytes: &[u8], numbers: &Numbers<'_>) -> Option<Stamp> {
    let mut input = Reader(bytes);
    // One byte of the head may be wrong.
    input.take(13)?;
    item(&mut input, numbers)?
}
