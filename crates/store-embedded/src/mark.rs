//! `users.acked`: the highest batch that was acknowledged, kept apart from the engine.
//!
//! No store can tell a truncated journal from a torn tail; this file can: a store whose last batch is
//! older than the mark has lost what it acknowledged. Two slots take turns, one a sync, so that one is
//! always whole.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{error::OpenFault, lock, marker};

/// The file's name.
pub(crate) const NAME: &str = "users.acked";
const SLOT_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"ILACKED\n";
/// Magic, store, number.
const BODY_BYTES: usize = 8 + 16 + 8;

/// The open file.
pub(crate) struct Mark {
    file: File,
    store: [u8; 16],
    acked: AtomicU64,
    dirty: AtomicBool,
    /// The slot being written; the other one is at rest.
    slot: Mutex<u64>,
}

impl Mark {
    /// A new mark at zero.
    pub(crate) fn create(dir: &Path, store: [u8; 16]) -> io::Result<Self> {
        let file = marker::private(&dir.join(NAME))?;
        file.set_len(2 * SLOT_BYTES as u64)?;
        let mark = Self::over(file, store, 0, 0);
        mark.put(0, 0)?;
        mark.put(1, 0)?;
        mark.file.sync_all()?;
        marker::sync_dir(dir)?;
        Ok(mark)
    }

    /// Opens the mark of a store.
    pub(crate) fn open(dir: &Path, store: [u8; 16]) -> Result<Self, OpenFault> {
        let path = dir.join(NAME);
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenFault::Missing(NAME.into()));
            }
            Err(error) => return Err(OpenFault::Io(error)),
        };
        let slots = read(&file).map_err(OpenFault::Io)?;
        let newest = slots.iter().enumerate().filter_map(|(slot, found)| Some((slot, (*found)?)));
        let (slot, (owner, acked)) =
            newest.max_by_key(|(_, (_, acked))| *acked).ok_or(OpenFault::Damaged(NAME))?;
        if owner != store {
            return Err(OpenFault::OtherStore(NAME));
        }
        Ok(Self::over(file, store, acked, 1 - slot as u64))
    }

    /// What a mark says whose marker is gone: zero, too, where there is none to be read.
    pub(crate) fn peek(dir: &Path) -> io::Result<u64> {
        match File::open(dir.join(NAME)) {
            Ok(file) => Ok(read(&file)?.iter().flatten().map(|(_, acked)| *acked).max().unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn over(file: File, store: [u8; 16], acked: u64, slot: u64) -> Self {
        let (acked, dirty, slot) = (AtomicU64::new(acked), AtomicBool::new(false), Mutex::new(slot));
        Self { file, store, acked, dirty, slot }
    }

    /// The highest acknowledged batch.
    pub(crate) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// Notes an acknowledged batch. It reaches the disk with the next [`Mark::sync`].
    pub(crate) fn note(&self, seq: u64) -> io::Result<()> {
        self.acked.store(seq, Ordering::Release);
        let slot = lock(&self.slot);
        self.put(*slot, seq)?;
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes the mark durable, where there is anything new in it. Fails when the file was deleted: what is
    /// written from then on would be gone with this process.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("`{NAME}` was deleted")));
        }
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.file.sync_data()?;
        let mut slot = lock(&self.slot);
        *slot = 1 - *slot;
        Ok(())
    }

    fn put(&self, slot: u64, seq: u64) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(BODY_BYTES + 4);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.store);
        bytes.extend_from_slice(&seq.to_be_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        self.file.write_all_at(&bytes, slot * SLOT_BYTES as u64)
    }
}

/// A store and the number of its last acknowledged batch.
pub(crate) type Slot = ([u8; 16], u64);

fn read(mut file: &File) -> io::Result<[Option<Slot>; 2]> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(slots(&bytes))
}

/// What each slot holds that is whole.
pub(crate) fn slots(bytes: &[u8]) -> [Option<Slot>; 2] {
    let slot = |at: usize| {
        let bytes = bytes.get(at..at + BODY_BYTES + 4)?;
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let whole = crc32fast::hash(body) == u32::from_be_bytes(*crc) && body.starts_with(MAGIC);
        let (store, seq) = body[MAGIC.len()..].split_first_chunk::<16>()?;
        whole.then_some((*store, u64::from_be_bytes(seq.try_into().ok()?)))
    };
    [slot(0), slot(SLOT_BYTES)]
}
