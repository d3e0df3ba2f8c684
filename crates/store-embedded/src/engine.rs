//! The engine and its keyspaces: sealed reads from a consistent view, and one synced write at a time.
//!
//! Architecture invariant: nothing else in this crate reads or writes a record in the engine, so nothing
//! unsealed gets in or out.

mod frozen;
mod view;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use gateway_core::{Selection, StoreError, UserId};

use crate::{
    codec::Reader,
    index, ledger, lock,
    marker::{self, Lists, Marker, Space},
    seal::Sealer,
};
pub(crate) use frozen::Frozen;
pub(crate) use view::View;

const MIB: u64 = 1024 * 1024;
pub(crate) const META: &str = "meta";
pub(crate) const USERS: &str = "users";
pub(crate) const KEYS: &str = "keys";
pub(crate) const SEQ: &[u8] = b"seq";
/// The last user whose rows an upgrade has made.
pub(crate) const LISTED: &[u8] = b"listed";
/// The engine's directory.
pub(crate) const DATABASE: &str = "users";

/// What every batch says about itself, in `meta/seq`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    /// Its number: one more than that of the batch before.
    pub(crate) seq: u64,
    /// The engine's own sequence number is at least this.
    pub(crate) floor: u64,
}

impl Stamp {
    pub(crate) fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.floor.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader(bytes);
        let seq = u64::from_be_bytes(input.array()?);
        let stamp = Self { seq, floor: u64::from_be_bytes(input.array()?) };
        input.end()?;
        Some(stamp)
    }
}

/// Where a row lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    Meta,
    Users,
    Keys,
    Hour(u32),
}

impl Place {
    pub(crate) fn name(self) -> Cow<'static, str> {
        match self {
            Self::Meta => META.into(),
            Self::Users => USERS.into(),
            Self::Keys => KEYS.into(),
            Self::Hour(hour) => ledger::name(hour).into(),
        }
    }
}

/// The sealed rows of a batch; `None` removes one.
///
/// A map, because the engine gives a whole batch one sequence number: of two writes to one key in one
/// batch it would not know the later.
#[derive(Default)]
pub(crate) struct Rows(BTreeMap<(Place, Vec<u8>), Option<Vec<u8>>>);

impl Rows {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn count(&self, place: Place) -> usize {
        self.0.keys().filter(|(own, _)| *own == place).count()
    }

    pub(crate) fn remove(&mut self, place: Place, key: Vec<u8>) {
        self.0.insert((place, key), None);
    }
}

#[cfg(test)]
pub(crate) type Fault = Box<dyn FnMut() -> Option<fjall::Error> + Send>;

/// The open engine.
pub(crate) struct Engine {
    db: Database,
    meta: Keyspace,
    users: Keyspace,
    keys: Keyspace,
    hours: RwLock<BTreeMap<u32, Keyspace>>,
    /// The inventory. Held by whoever changes the engine: the engine makes a batch visible at once
    /// only as long as no keyspace comes or goes meanwhile (either moves its visible sequence number).
    inventory: Mutex<Marker>,
    sealer: Sealer,
    key: [u8; 16],
    dir: PathBuf,
    #[cfg(test)]
    pub(crate) fault: Mutex<Option<Fault>>,
}

/// Opens the engine's files; the caller has made sure that they are complete.
pub(crate) fn open_files(path: &Path, cache_bytes: u64) -> fjall::Result<Database> {
    Database::builder(path).cache_size(cache_bytes).max_journaling_size(128 * MIB).worker_threads(1).open()
}

/// The settings of a keyspace; the engine keeps those that it was created with.
pub(crate) fn settings(name: &str) -> KeyspaceCreateOptions {
    let settings = KeyspaceCreateOptions::default().max_memtable_size(16 * MIB);
    match name {
        USERS => settings.with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(512))),
        _ => settings,
    }
}

/// The inventory's entry for an open keyspace.
pub(crate) fn space(keyspace: &Keyspace) -> Space {
    let folder = keyspace.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    Space { folder, name: keyspace.name().to_string() }
}

fn fault(error: fjall::Error) -> StoreError {
    StoreError::Engine(Box::new(error))
}

impl Engine {
    /// Takes over an open database that holds what its marker says.
    pub(crate) fn new(db: Database, dir: &Path, marker: Marker, sealer: Sealer) -> fjall::Result<Self> {
        let base = |name: &str| db.keyspace(name, || settings(name));
        let mut hours = BTreeMap::new();
        for space in &marker.spaces {
            if let Some(hour) = ledger::parse_name(&space.name) {
                hours.insert(hour, base(&space.name)?);
            }
        }
        Ok(Self {
            meta: base(META)?,
            users: base(USERS)?,
            keys: base(KEYS)?,
            hours: RwLock::new(hours),
            key: marker.key(),
            inventory: Mutex::new(marker),
            sealer,
            dir: dir.to_owned(),
            db,
            #[cfg(test)]
            fault: Mutex::new(None),
        })
    }

    /// What was made with the store at random, and stays with it.
    pub(crate) const fn key(&self) -> [u8; 16] {
        self.key
    }

    /// A consistent view of what is committed.
    pub(crate) fn view(&self) -> View<'_> {
        View::of(self)
    }

    /// Whether there is a row for each user in each of its selections.
    pub(crate) fn lists(&self) -> Lists {
        lock(&self.inventory).lists
    }

    /// Says so from now on, whatever happens.
    pub(crate) fn set_lists(&self, lists: Lists) -> std::io::Result<()> {
        let mut inventory = lock(&self.inventory);
        let mut next = inventory.clone();
        next.lists = lists;
        next.write(&self.dir)?;
        *inventory = next;
        Ok(())
    }

    /// The keys of a user's rows in selections.
    pub(crate) fn selected_keys(&self, selections: &[Selection], id: UserId) -> Vec<Vec<u8>> {
        selections.iter().filter_map(|of| index::selected_key(of, id, &self.sealer)).collect()
    }

    /// Seals a row into a batch.
    pub(crate) fn put(
        &self,
        rows: &mut Rows,
        place: Place,
        key: Vec<u8>,
        plain: &[u8],
    ) -> Result<(), StoreError> {
        let sealed = self.sealer.seal(&place.name(), &key, plain)?;
        rows.0.insert((place, key), Some(sealed));
        Ok(())
    }

    /// Numbers a batch.
    pub(crate) fn put_seq(&self, rows: &mut Rows, seq: u64) -> Result<(), StoreError> {
        let stamp = Stamp { seq, floor: self.db.seqno() };
        self.put(rows, Place::Meta, SEQ.to_vec(), &stamp.encode())
    }

    /// Writes rows together, synced to disk on return. After an error nobody knows whether they will
    /// be there when the engine is opened again.
    pub(crate) fn apply(&self, rows: Rows) -> fjall::Result<()> {
        let _structure = lock(&self.inventory);
        #[cfg(test)]
        if let Some(error) = lock(&self.fault).as_mut().and_then(|fault| fault()) {
            return Err(error);
        }
        let durability = if cfg!(feature = "sabotage-ack-before-sync") {
            PersistMode::Buffer
        } else {
            PersistMode::SyncData
        };
        let mut batch = self.db.batch().durability(Some(durability));
        for ((place, key), value) in rows.0 {
            let Some(keyspace) = self.keyspace(place) else {
                continue;
            };
            match value {
                Some(value) => batch.insert(&keyspace, key, value),
                None => batch.remove(&keyspace, key),
            }
        }
        batch.commit()
    }

    /// The sync that a sabotaged [`Engine::apply`] leaves out.
    #[cfg(feature = "sabotage-ack-before-sync")]
    pub(crate) fn sync_late(&self) -> fjall::Result<()> {
        self.db.persist(PersistMode::SyncData)
    }

    /// Moves everything from memory to tables.
    #[cfg(test)]
    pub(crate) fn flush(&self) {
        for keyspace in self.places().into_iter().filter_map(|place| self.keyspace(place)) {
            keyspace.rotate_memtable_and_wait().unwrap();
        }
    }

    /// An error once the engine has stopped itself, which its own threads may do, too.
    pub(crate) fn probe(&self) -> fjall::Result<()> {
        self.db.persist(PersistMode::Buffer)
    }

    /// `None` for an hour that was dropped: what it held has expired.
    fn keyspace(&self, place: Place) -> Option<Keyspace> {
        Some(match place {
            Place::Meta => self.meta.clone(),
            Place::Users => self.users.clone(),
            Place::Keys => self.keys.clone(),
            Place::Hour(hour) => {
                self.hours.read().unwrap_or_else(PoisonError::into_inner).get(&hour)?.clone()
            }
        })
    }

    /// Everything that holds records.
    pub(crate) fn places(&self) -> Vec<Place> {
        let hours = self.hours().into_iter().map(Place::Hour);
        [Place::Meta, Place::Users, Place::Keys].into_iter().chain(hours).collect()
    }

    /// The hours that there are keyspaces for.
    pub(crate) fn hours(&self) -> Vec<u32> {
        self.hours.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Makes sure of an hour's keyspace: first the keyspace, then the inventory, then its use.
    pub(crate) fn ensure_hour(&self, hour: u32) -> Result<(), StoreError> {
        if self.keyspace(Place::Hour(hour)).is_some() {
            return Ok(());
        }
        let mut inventory = lock(&self.inventory);
        if self.keyspace(Place::Hour(hour)).is_some() {
            return Ok(());
        }
        let name = ledger::name(hour);
        let keyspace = self.db.keyspace(&name, || settings(&name)).map_err(fault)?;
        // The engine syncs the new folder, but not its name in the folder above.
        if let Some(parent) = keyspace.path().parent() {
            marker::sync_dir(parent).map_err(|error| fault(error.into()))?;
        }
        let mut next = inventory.clone();
        next.spaces.push(space(&keyspace));
        next.write(&self.dir).map_err(|error| fault(error.into()))?;
        *inventory = next;
        self.hours.write().unwrap_or_else(PoisonError::into_inner).insert(hour, keyspace);
        Ok(())
    }

    /// Drops an hour: first from the inventory, then from the engine.
    pub(crate) fn drop_hour(&self, hour: u32) -> Result<(), StoreError> {
        let mut inventory = lock(&self.inventory);
        let mut next = inventory.clone();
        let name = ledger::name(hour);
        next.spaces.retain(|space| space.name != name);
        next.write(&self.dir).map_err(|error| fault(error.into()))?;
        *inventory = next;
        let dropped = self.hours.write().unwrap_or_else(PoisonError::into_inner).remove(&hour);
        dropped.map_or(Ok(()), |keyspace| self.db.delete_keyspace(keyspace).map_err(fault))
    }
}
