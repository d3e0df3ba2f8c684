//! Opening a data directory: creating what is new, finishing what was begun, refusing what is broken.
//!
//! The engine takes a missing file for a file that never was: it would open without its data, and
//! delete the rest. So nothing is left for it to find out: every file that it needs is checked first,
//! against the marker, and a new database is made aside and renamed into place.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write as _},
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::atomic::AtomicBool,
};

use aes_gcm_siv::aead::Generate;
use fjall::Database;

use crate::{
    Options, Shared,
    cache::Cache,
    engine::{self, DATABASE, Engine, KEYS, META, USERS},
    error::OpenFault,
    journal::{self, EXTENSION as JOURNAL, Numbers},
    ledger::{self, LiveKeys},
    maintenance::Stop,
    manifest::{self, CURRENT, KEYSPACES},
    mark::{self, Mark},
    marker::{self, Marker, Space},
    queue::Queue,
    restore,
    seal::Sealer,
    stats::Counters,
};

pub(crate) const LOCK: &str = "lock";
/// Where a process that has the store open may be asked for a backup.
const CONTROL: &str = "control";
const NEW: &str = "users.tmp";
const OURS: [&str; 7] = [LOCK, CONTROL, DATABASE, NEW, marker::NAME, marker::NEW, mark::NAME];
/// The engine's own names.
const VERSION: &str = "version";
const CATALOGUE: &str = "0";

/// What a directory holds, opened.
struct Parts {
    marker: Marker,
    sealer: Sealer,
    mark: Mark,
    db: Database,
    /// The last batch of the journals, where they hold any.
    journaled: Option<u64>,
}

/// Opens the directory; everything but the threads.
pub(crate) fn open(dir: &Path, options: Options) -> Result<Shared, OpenFault> {
    claim(dir)?;
    let mut lock = take_lock(dir)?;
    let Parts { marker, sealer, mark, db, journaled } = match Marker::read(dir)? {
        Some(marker) => reopen(dir, marker, &options)?,
        None if lock.metadata()?.len() > 0 => return Err(OpenFault::MarkerLost),
        None => create(dir, &options)?,
    };
    remember(&mut lock)?;
    let engine = Engine::new(db, dir, marker, sealer)?;
    let found = engine.view().seq().map_err(OpenFault::Store)?;
    let acked = mark.acked();
    if found < acked {
        return Err(OpenFault::AcknowledgedLost { acked, found });
    }
    check_last(journaled, found)?;
    if found > acked {
        // Synced, though never acknowledged: from now on it may be read, so it counts.
        mark.note(found)?;
    }
    let live = live_keys(&engine)?;
    Ok(Shared {
        engine,
        live,
        cache: Cache::new(options.cache_bytes),
        mark,
        queue: Queue::default(),
        counters: Counters::default(),
        stop: Stop::default(),
        clock: options.clock,
        poisoned: AtomicBool::new(false),
        _lock: lock,
    })
}

/// Makes the mark anew from what is found, in a store whose mark is lost or damaged; returns the last
/// batch.
pub(crate) fn repair_mark(dir: &Path, options: Options) -> Result<u64, OpenFault> {
    let marker = Marker::read(dir)?.ok_or(OpenFault::MarkerLost)?;
    let lock = take_lock(dir)?;
    match Mark::open(dir, marker.store) {
        Ok(_) => {}
        Err(OpenFault::Missing(_) | OpenFault::Damaged(_)) => drop(Mark::create(dir, marker.store)?),
        Err(fault) => return Err(fault),
    }
    drop(lock);
    let shared = open(dir, options)?;
    shared.mark.sync()?;
    Ok(shared.mark.acked())
}

/// The engine must have found what its journals end with.
fn check_last(journaled: Option<u64>, found: u64) -> Result<(), OpenFault> {
    match journaled.filter(|last| *last != found) {
        Some(last) => Err(OpenFault::JournalMisread { last, found }),
        None => Ok(()),
    }
}

/// Makes sure that the directory exists and is ours: by its marker, or, where that is not written yet,
/// because nothing is in it but what a creation leaves.
fn claim(dir: &Path) -> Result<(), OpenFault> {
    if !dir.try_exists()? {
        private_dir(dir)?;
        if let Some(parent) = dir.canonicalize()?.parent() {
            marker::sync_dir(parent)?;
        }
    }
    if dir.join(marker::NAME).try_exists()? {
        return Ok(());
    }
    if dir.join(restore::ASIDE).try_exists()? {
        return Err(OpenFault::RestoreCutShort);
    }
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if !(OURS.contains(&&*name) || is_of_nobody(&name)) {
            return Err(OpenFault::Foreign);
        }
    }
    if is_of_engine(&dir.join(DATABASE))? && is_of_engine(&dir.join(NEW))? {
        Ok(())
    } else {
        Err(OpenFault::Foreign)
    }
}

/// True for what may be in a directory that holds no data: file systems put `lost+found` into an empty
/// one, tools a dotted file, and a process that ended leaves its lock and its socket.
pub(crate) fn is_of_nobody(name: &str) -> bool {
    name.starts_with('.') || ["lost+found", LOCK, CONTROL].contains(&name)
}

/// True for a directory that holds only what the engine puts there, and for none at all.
fn is_of_engine(path: &Path) -> io::Result<bool> {
    if !path.try_exists()? {
        return Ok(true);
    }
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let is_known = [LOCK, VERSION, KEYSPACES].contains(&&*name) || name.starts_with('.');
        if !is_known && Path::new(&*name).extension().is_none_or(|extension| extension != JOURNAL) {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn take_lock(dir: &Path) -> Result<File, OpenFault> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenFault::Locked),
        Err(TryLockError::Error(error)) => Err(OpenFault::Io(error)),
    }
}

/// Leaves word in the lock that a store was created: should all the rest be lost, nobody takes the
/// directory for a new one.
pub(crate) fn remember(lock: &mut File) -> io::Result<()> {
    if lock.metadata()?.len() == 0 {
        lock.write_all(b"a store was created here\n")?;
        lock.sync_all()?;
    }
    Ok(())
}

/// Creates the store, or finishes a creation that was interrupted anywhere before its marker.
fn create(dir: &Path, options: &Options) -> Result<Parts, OpenFault> {
    let database = dir.join(DATABASE);
    let created = database.try_exists()?;
    if Mark::peek(dir)? > 0 || (created && !is_pristine(&database)?) {
        return Err(OpenFault::MarkerLost);
    }
    if !created {
        build(dir)?;
    }
    let db = open_database(&database, options)?;
    let mut marker = Marker::new(random()?, random()?, options.encryption_key.as_ref())?;
    for name in [META, USERS, KEYS] {
        let found = db.keyspace_exists(name);
        let missing = || OpenFault::KeyspaceLost(name.to_owned());
        let keyspace = found.then(|| db.keyspace(name, || engine::settings(name))).ok_or_else(missing)??;
        marker.spaces.push(engine::space(&keyspace));
    }
    let mark = Mark::create(dir, marker.store)?;
    marker.write(dir)?;
    let sealer = marker.sealer(options.encryption_key.as_ref())?;
    Ok(Parts { marker, sealer, mark, db, journaled: None })
}

/// Makes an empty database aside and renames it into place when all of it is on disk.
fn build(dir: &Path) -> Result<(), OpenFault> {
    let new = dir.join(NEW);
    if new.try_exists()? {
        fs::remove_dir_all(&new)?;
    }
    private_dir(&new)?;
    let db = engine::open_files(&new, 1 << 20)?;
    for name in [META, USERS, KEYS] {
        db.keyspace(name, || engine::settings(name))?;
    }
    drop(db);
    sync_tree(&new)?;
    fs::rename(&new, dir.join(DATABASE))?;
    marker::sync_dir(dir)?;
    Ok(())
}

/// A directory that only its owner may enter, so that the engine's files need no care of their own.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

pub(crate) fn sync_tree(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            sync_tree(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}

fn random<T: Generate>() -> Result<T, OpenFault> {
    T::try_generate().map_err(|error| OpenFault::Io(io::Error::other(error)))
}

/// True for a complete database that nothing was ever written to. Found out without the engine, which
/// would change what it finds.
fn is_pristine(database: &Path) -> Result<bool, OpenFault> {
    let keyspaces = database.join(KEYSPACES);
    if !database.join(VERSION).try_exists()? || !keyspaces.join(CATALOGUE).join(CURRENT).try_exists()? {
        return Ok(false);
    }
    for journal in journals(database)? {
        if !is_blank(&journal)? {
            return Ok(false);
        }
    }
    for entry in fs::read_dir(&keyspaces)? {
        let entry = entry?;
        for part in ["tables", "blobs"].map(|part| entry.path().join(part)) {
            let used = part.try_exists()? && fs::read_dir(&part)?.next().is_some();
            if used && entry.file_name() != CATALOGUE {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn journals(database: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let paths: io::Result<Vec<_>> = fs::read_dir(database)?.map(|entry| Ok(entry?.path())).collect();
    Ok(paths?.into_iter().filter(|path| path.extension().is_some_and(|end| end == JOURNAL)).collect())
}

/// True for a file of zero bytes only: a journal's space is set aside before it is used.
fn is_blank(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(true),
            count if chunk[..count].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// Opens a store that its marker says is complete.
fn reopen(dir: &Path, mut marker: Marker, options: &Options) -> Result<Parts, OpenFault> {
    let sealer = marker.sealer(options.encryption_key.as_ref())?;
    check_files(dir, &marker)?;
    let mark = Mark::open(dir, marker.store)?;
    let database = dir.join(DATABASE);
    manifest::check(&database)?;
    let numbers = Numbers { sealer: &sealer, meta: meta_number(&marker)? };
    let journals = journal::check(&database, &numbers, mark.acked())?;
    journals.cut()?;
    let db = open_database(&database, options)?;
    let mut found = Vec::new();
    for name in db.list_keyspace_names() {
        found.push(engine::space(&db.keyspace(&name, || engine::settings(&name))?));
    }
    if let Some(lost) = marker.spaces.iter().find(|space| !found.contains(space)) {
        return Err(OpenFault::KeyspaceLost(lost.name.clone()));
    }
    found.retain(|space| !marker.spaces.contains(space));
    if let Some(stray) = found.iter().find(|space| ledger::parse_name(&space.name).is_none()) {
        return Err(OpenFault::Stray(format!("keyspace {}", stray.name)));
    }
    if !found.is_empty() {
        // A crash between the two steps of creating an hour, or of dropping one: it is kept, and
        // dropped again in its time.
        marker.spaces.extend(found);
        marker.write(dir)?;
    }
    Ok(Parts { marker, sealer, mark, db, journaled: journals.last })
}

/// The engine's number of the keyspace `meta`.
fn meta_number(marker: &Marker) -> Result<u64, OpenFault> {
    let meta = marker.spaces.iter().find(|space| space.name == META);
    meta.and_then(|space| space.folder.parse().ok()).ok_or(OpenFault::Damaged(marker::NAME))
}

/// Every file without which the engine would silently start anew.
fn check_files(dir: &Path, marker: &Marker) -> Result<(), OpenFault> {
    let database = dir.join(DATABASE);
    let needed = |path: &str| match database.join(path).try_exists()? {
        true => Ok(()),
        false => Err(OpenFault::Missing(format!("{DATABASE}/{path}"))),
    };
    if !database.try_exists()? {
        return Err(OpenFault::Missing(DATABASE.to_owned()));
    }
    needed(VERSION)?;
    needed(&format!("{KEYSPACES}/{CATALOGUE}/{CURRENT}"))?;
    if journals(&database)?.is_empty() {
        return Err(OpenFault::Missing(format!("{DATABASE}/*.{JOURNAL}")));
    }
    for Space { folder, name } in &marker.spaces {
        if !database.join(KEYSPACES).join(folder).join(CURRENT).try_exists()? {
            return Err(OpenFault::KeyspaceLost(name.clone()));
        }
    }
    for entry in fs::read_dir(database.join(KEYSPACES))? {
        let entry = entry?;
        let number = entry.file_name().to_string_lossy().parse::<u64>().is_ok();
        if !number && entry.file_type()?.is_dir() {
            return Err(OpenFault::Stray(entry.path().display().to_string()));
        }
    }
    Ok(())
}

/// Some damage makes the engine panic rather than say so.
fn open_database(path: &Path, options: &Options) -> Result<Database, OpenFault> {
    let open = AssertUnwindSafe(|| engine::open_files(path, options.engine_cache_bytes));
    match panic::catch_unwind(open) {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(fjall::Error::Locked)) => Err(OpenFault::Locked),
        Ok(Err(error)) => Err(OpenFault::Engine(error)),
        Err(_) => Err(OpenFault::EnginePanic),
    }
}

/// The live ledger keys, by a scan of the rows' keys.
fn live_keys(engine: &Engine) -> Result<LiveKeys, OpenFault> {
    let live = LiveKeys::new();
    let view = engine.view();
    for hour in engine.hours() {
        view.rows(hour, |row| live.insert_newer(row)).map_err(OpenFault::Store)?;
    }
    Ok(live)
}
