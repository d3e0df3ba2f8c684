//! A restore: a store made from a backup, in a directory that holds none.
//!
//! Every checksum is looked at before anything is written, and again on the way. The store is built
//! aside, opened and read from end to end; only then are its parts moved into place, the marker last.
//! It keeps the id of the store that was backed up: seals hold under no other, and so it takes no key
//! to copy them. The two are one store at two times; which of them goes on is the operator's to say.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use fjall::{Database, Keyspace};
use sha2::{Digest as _, Sha256};

use crate::{
    Options,
    backup::{
        BackedUp, BackupError,
        manifest::{self, Entry, Manifest},
        require_nothing_but, rows,
    },
    engine::{self, DATABASE, KEYS, META, USERS},
    error::OpenFault,
    ledger,
    mark::{self, Mark},
    marker::{self, Marker},
    open::{self, LOCK, private_dir, sync_tree},
    scrub,
};

/// Where a restore builds, in the data directory.
pub(crate) const ASIDE: &str = "restore.tmp";
const DAMAGED: io::ErrorKind = io::ErrorKind::InvalidData;

impl From<OpenFault> for BackupError {
    fn from(fault: OpenFault) -> Self {
        Self::Open(fault)
    }
}

impl From<fjall::Error> for BackupError {
    fn from(error: fjall::Error) -> Self {
        Self::Open(error.into())
    }
}

/// Makes the store of a backup in a directory that is absent or empty. After an error it is so again.
pub(crate) fn restore(backup: &Path, dir: &Path, options: Options) -> Result<BackedUp, BackupError> {
    let (manifest, marker) = verify(backup)?;
    marker.sealer(options.encryption_key.as_ref())?;
    clear_leftovers(dir)?;
    // A file system of its own has the one, tools leave the others.
    require_nothing_but(dir, |name| name == "lost+found" || name.starts_with('.'))?;
    let existed = dir.try_exists()?;
    private_dir(dir)?;
    let mut lock = open::take_lock(dir)?;
    let restored = build(backup, &manifest, marker, &dir.join(ASIDE))
        .and_then(|()| prove(&dir.join(ASIDE), &manifest, options))
        .and_then(|()| Ok(install(dir, &mut lock)?));
    if let Err(error) = restored {
        // The first error is the one to tell.
        clear_leftovers(dir).ok();
        if !existed {
            fs::remove_dir(dir).ok();
        }
        return Err(error);
    }
    Ok(BackedUp { batch: manifest.batch, records: manifest.rows(), bytes: manifest.bytes() })
}

/// Removes what a restore left that was cut short.
fn clear_leftovers(dir: &Path) -> io::Result<()> {
    if !dir.join(ASIDE).try_exists()? || dir.join(marker::NAME).try_exists()? {
        return Ok(());
    }
    for name in [DATABASE, mark::NAME, LOCK] {
        let path = dir.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else if path.try_exists()? {
            fs::remove_file(path)?;
        }
    }
    fs::remove_dir_all(dir.join(ASIDE))
}

/// Reads the whole backup, for nothing but to see whether it is one.
fn verify(backup: &Path) -> Result<(Manifest, Marker), BackupError> {
    let damaged = |name: &str| BackupError::Damaged(name.to_owned());
    let text = fs::read_to_string(backup.join(manifest::NAME)).ok();
    let manifest = text.as_deref().and_then(Manifest::parse).ok_or_else(|| damaged(manifest::NAME))?;
    for file in &manifest.files {
        let mut input = Verified::open(backup, file).map_err(|_unreadable| damaged(&file.name))?;
        io::copy(&mut input, &mut io::sink())?;
        input.finish().map_err(|_differs| damaged(&file.name))?;
    }
    let expected = [META, USERS, KEYS].map(|name| format!("{name}{}", rows::SUFFIX));
    if let Some(name) = expected.iter().find(|name| !manifest.files.iter().any(|file| file.name == **name)) {
        return Err(damaged(name));
    }
    match Marker::read(backup) {
        Ok(Some(marker)) if marker.store == manifest.store => Ok((manifest, marker)),
        _ => Err(damaged(marker::NAME)),
    }
}

/// The name of the keyspace whose rows a file holds; `None` for the marker, and for what no store has.
fn keyspace_of(file: &Entry) -> Option<&str> {
    let name = file.name.strip_suffix(rows::SUFFIX)?;
    ([META, USERS, KEYS].contains(&name) || ledger::parse_name(name).is_some()).then_some(name)
}

fn build(backup: &Path, manifest: &Manifest, mut marker: Marker, aside: &Path) -> Result<(), BackupError> {
    private_dir(aside)?;
    let database = aside.join(DATABASE);
    private_dir(&database)?;
    let db = engine::open_files(&database, 1 << 20)?;
    marker.spaces.clear();
    for file in manifest.files.iter().filter(|file| file.name != marker::NAME) {
        let name = keyspace_of(file).ok_or_else(|| BackupError::Damaged(file.name.clone()))?;
        let keyspace = db.keyspace(name, || engine::settings(name))?;
        marker.spaces.push(engine::space(&keyspace));
        fill(&keyspace, backup, file)?;
    }
    close(db);
    sync_tree(&database)?;
    let mark = Mark::create(aside, marker.store)?;
    mark.note(manifest.batch)?;
    mark.sync()?;
    marker.write(aside)?;
    Ok(())
}

/// The engine's threads end with it.
fn close(db: Database) {
    drop(db);
}

/// Writes the rows of a file past the journal, as tables.
fn fill(keyspace: &Keyspace, backup: &Path, file: &Entry) -> Result<(), BackupError> {
    let damaged = |_error| BackupError::Damaged(file.name.clone());
    let mut input = BufReader::with_capacity(1 << 16, Verified::open(backup, file)?);
    rows::begin(&mut input).map_err(damaged)?;
    let mut ingestion = keyspace.start_ingestion()?;
    let (mut count, mut before) = (0, None);
    while let Some((key, sealed)) = rows::next(&mut input).map_err(damaged)? {
        if before.as_ref().is_some_and(|before| *before >= key) {
            return Err(damaged(DAMAGED.into()));
        }
        ingestion.write(key.as_slice(), sealed)?;
        before = Some(key);
        count += 1;
    }
    input.into_inner().finish().map_err(damaged)?;
    if count != file.rows {
        return Err(damaged(DAMAGED.into()));
    }
    if count > 0 {
        ingestion.finish()?;
    }
    Ok(())
}

/// Opens what was built as it will be opened, and reads all of it.
fn prove(aside: &Path, manifest: &Manifest, options: Options) -> Result<(), BackupError> {
    let shared = open::open(aside, options)?;
    let scrubbed = scrub::scrub(&shared, None)?;
    let found = shared.engine.view().seq()?;
    if scrubbed.damaged > 0 || scrubbed.records != manifest.rows() || found != manifest.batch {
        return Err(BackupError::Damaged(manifest::NAME.to_owned()));
    }
    Ok(())
}

/// Moves the parts into place; with the marker there is a store.
fn install(dir: &Path, lock: &mut File) -> io::Result<()> {
    let aside = dir.join(ASIDE);
    for name in [DATABASE, mark::NAME, marker::NAME] {
        fs::rename(aside.join(name), dir.join(name))?;
        marker::sync_dir(dir)?;
    }
    open::remember(lock)?;
    fs::remove_dir_all(aside)?;
    marker::sync_dir(dir)
}

/// A file of a backup, hashed while it is read.
struct Verified<'a> {
    file: BufReader<File>,
    hash: Sha256,
    bytes: u64,
    expected: &'a Entry,
}

impl<'a> Verified<'a> {
    fn open(backup: &Path, expected: &'a Entry) -> io::Result<Self> {
        let file = BufReader::with_capacity(1 << 16, File::open(backup.join(&expected.name))?);
        Ok(Self { file, hash: Sha256::new(), bytes: 0, expected })
    }

    /// At the end of the file: whether it is the one that was written.
    fn finish(mut self) -> io::Result<()> {
        let hash: [u8; 32] = self.hash.finalize().into();
        let whole = self.file.fill_buf()?.is_empty();
        if whole && self.bytes == self.expected.bytes && hash == self.expected.sha256 {
            Ok(())
        } else {
            Err(DAMAGED.into())
        }
    }
}

impl Read for Verified<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
