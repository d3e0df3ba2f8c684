//! A backup: the records of one moment, as they are stored, in a directory of files with a manifest.
//!
//! Records stay sealed: the backup of an encrypted store is encrypted with its key, and the marker of
//! the store goes along, since seals hold under its id. A backup is written beside its place and
//! renamed into it when all of it is on disk.

pub(crate) mod manifest;
pub(crate) mod rows;

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use gateway_core::{StoreError, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    Shared,
    engine::Frozen,
    marker::{self, private},
    open::private_dir,
};
use manifest::{Entry, Manifest};

/// How often progress is told, in records.
const PROGRESS: u64 = 100_000;

/// What a backup holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackedUp {
    /// The last batch in it.
    pub batch: u64,
    /// How many records.
    pub records: u64,
    /// Their bytes in the backup.
    pub bytes: u64,
}

/// Why there is no backup, or nothing was restored from it.
#[derive(Debug)]
pub enum BackupError {
    /// The directory holds something.
    NotEmpty(PathBuf),
    /// It has no name or no parent to be made in.
    NoPlace(PathBuf),
    /// A file of the backup is missing, damaged or not of it.
    Damaged(String),
    /// What was restored cannot be opened.
    Open(crate::OpenFault),
    /// The store could not be read.
    Store(StoreError),
    /// The file system.
    Io(io::Error),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEmpty(path) => write!(f, "{} is not empty", path.display()),
            Self::NoPlace(path) => write!(f, "{} is no name for a new directory", path.display()),
            Self::Damaged(name) => write!(f, "{name} of the backup is missing or damaged"),
            Self::Open(fault) => fault.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BackupError {}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Writes a backup into a new directory, while commits go on.
pub(crate) fn write(
    shared: &Shared,
    dir: &Path,
    at: Timestamp,
    progress: &mut dyn FnMut(u64),
) -> Result<BackedUp, BackupError> {
    require_empty(dir)?;
    let name = dir.file_name().ok_or_else(|| BackupError::NoPlace(dir.to_owned()))?;
    let parent = dir.parent().filter(|parent| parent.is_dir());
    let parent = parent.ok_or_else(|| BackupError::NoPlace(dir.to_owned()))?;
    let aside = parent.join(format!("{}.tmp", name.to_string_lossy()));
    require_empty(&aside)?;
    private_dir(&aside)?;
    let written = fill(&shared.engine.freeze(), &aside, at, progress).and_then(|written| {
        fs::rename(&aside, dir)?;
        marker::sync_dir(parent)?;
        Ok(written)
    });
    if written.is_err() {
        // The first error is the one to tell.
        fs::remove_dir_all(&aside).ok();
    }
    written
}

fn require_empty(dir: &Path) -> Result<(), BackupError> {
    require_nothing_but(dir, |_name| false)
}

/// An absent directory holds nothing.
pub(crate) fn require_nothing_but(dir: &Path, ignored: impl Fn(&str) -> bool) -> Result<(), BackupError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BackupError::Io(error)),
    };
    for entry in entries {
        if !ignored(&entry?.file_name().to_string_lossy()) {
            return Err(BackupError::NotEmpty(dir.to_owned()));
        }
    }
    Ok(())
}

fn fill(
    frozen: &Frozen<'_>,
    dir: &Path,
    at: Timestamp,
    progress: &mut dyn FnMut(u64),
) -> Result<BackedUp, BackupError> {
    let marker = |out: &mut Hashed| Ok(out.write_all(&frozen.marker.encode()).map(|()| 0)?);
    let mut files = vec![write_file(dir, marker::NAME, marker)?];
    let mut total = 0;
    for place in frozen.places() {
        let file = format!("{}{}", place.name(), rows::SUFFIX);
        files.push(write_file(dir, &file, |out| {
            let mut count = 0;
            out.write_all(rows::MAGIC)?;
            frozen.each(place, |key, sealed| {
                rows::write(out, key, sealed)?;
                count += 1;
                total += 1;
                if total % PROGRESS == 0 {
                    progress(total);
                }
                Ok::<_, BackupError>(())
            })?;
            Ok(count)
        })?);
    }
    let manifest = Manifest { store: frozen.marker.store, created_at: at, batch: frozen.seq()?, files };
    let backed_up = BackedUp { batch: manifest.batch, records: manifest.rows(), bytes: manifest.bytes() };
    let mut file = private(&dir.join(manifest::NAME))?;
    file.write_all(manifest.render().as_bytes())?;
    file.sync_all()?;
    marker::sync_dir(dir)?;
    Ok(backed_up)
}

/// Writes a file to disk; its contents tell how many rows they have.
fn write_file(
    dir: &Path,
    name: &str,
    contents: impl FnOnce(&mut Hashed) -> Result<u64, BackupError>,
) -> Result<Entry, BackupError> {
    let mut out = Hashed { file: BufWriter::new(private(&dir.join(name))?), hash: Sha256::new(), bytes: 0 };
    let rows = contents(&mut out)?;
    let file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(Entry { name: name.to_owned(), rows, bytes: out.bytes, sha256: out.hash.finalize().into() })
}

/// A file, with the hash of what went into it.
struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
