//! The engine and its keyspaces: sealed reads from a consistent view, and one synced write at a time.
//!
//! Architecture invariant: nothing else in this crate reads or writes the engine, so nothing unsealed
//! gets in or out.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable as _};
use gateway_core::{LedgerRecord, Page, StoreError, UniqueKey, User, UserId};

use crate::{
    index, ledger,
    ledger::Row,
    lock,
    marker::{self, Marker, Space},
    record::{self, Stored},
    seal::Sealer,
};

const MIB: u64 = 1024 * 1024;
pub(crate) const META: &str = "meta";
pub(crate) const USERS: &str = "users";
pub(crate) const KEYS: &str = "keys";
const SEQ: &[u8] = b"seq";

/// Where a row lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    Meta,
    Users,
    Keys,
    Hour(u32),
}

impl Place {
    fn name(self) -> Cow<'static, str> {
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
            inventory: Mutex::new(marker),
            sealer,
            dir: dir.to_owned(),
            db,
            #[cfg(test)]
            fault: Mutex::new(None),
        })
    }

    /// A consistent view of what is committed.
    pub(crate) fn view(&self) -> View<'_> {
        View { engine: self, snapshot: self.db.snapshot() }
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
        self.put(rows, Place::Meta, SEQ.to_vec(), &seq.to_be_bytes())
    }

    /// Writes rows together, synced to disk on return. After an error nobody knows whether they will
    /// be there when the engine is opened again.
    pub(crate) fn apply(&self, rows: Rows) -> fjall::Result<()> {
        let _structure = lock(&self.inventory);
        #[cfg(test)]
        if let Some(error) = lock(&self.fault).as_mut().and_then(|fault| fault()) {
            return Err(error);
        }
        let mut batch = self.db.batch().durability(Some(PersistMode::SyncData));
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

/// The engine as it was at an instant.
pub(crate) struct View<'a> {
    engine: &'a Engine,
    snapshot: fjall::Snapshot,
}

impl View<'_> {
    /// The last batch in here; 0 before the first.
    pub(crate) fn seq(&self) -> Result<u64, StoreError> {
        let Some(plain) = self.get(Place::Meta, SEQ)? else {
            return Ok(0);
        };
        let seq = plain.as_slice().try_into().map(u64::from_be_bytes);
        seq.ok().ok_or(StoreError::Damaged("batch number"))
    }

    pub(crate) fn user(&self, id: UserId) -> Result<Option<Stored>, StoreError> {
        let plain = self.get(Place::Users, id.as_bytes())?;
        plain.map(|plain| decode_user(&plain)).transpose()
    }

    pub(crate) fn owner(&self, key: &UniqueKey) -> Result<Option<UserId>, StoreError> {
        let Some(plain) = self.get(Place::Keys, &index::owner_key(key))? else {
            return Ok(None);
        };
        let id = plain.as_slice().try_into().map(UserId::from_bytes);
        id.map(Some).ok().ok_or(StoreError::Damaged("index row"))
    }

    /// The user with a unique key: index and user from this one view.
    pub(crate) fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        let Some(id) = self.owner(key)? else {
            return Ok(None);
        };
        match self.user(id)?.and_then(Stored::live) {
            Some(user) if index::holds(&user, key) => Ok(Some(user)),
            Some(_) | None => Err(StoreError::Damaged("index row without its user")),
        }
    }

    /// `None` where the row's hour was dropped.
    pub(crate) fn ledger(&self, row: Row) -> Result<Option<LedgerRecord>, StoreError> {
        let place = Place::Hour(row.hour());
        match self.get(place, &row.encode())? {
            Some(plain) => {
                record::decode_ledger(&plain).map(Some).ok_or(StoreError::Damaged("ledger record"))
            }
            None if self.engine.keyspace(place).is_none() => Ok(None),
            None => Err(StoreError::Damaged("ledger record missing")),
        }
    }

    /// The rows of an hour, by their keys alone.
    pub(crate) fn rows(&self, hour: u32, mut each: impl FnMut(Row)) -> Result<(), StoreError> {
        let Some(keyspace) = self.engine.keyspace(Place::Hour(hour)) else {
            return Ok(());
        };
        for item in self.snapshot.iter(&keyspace) {
            let key = item.key().map_err(fault)?;
            each(Row::decode(&key).ok_or(StoreError::Damaged("ledger key"))?);
        }
        Ok(())
    }

    pub(crate) fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        match &page.namespace {
            None => self.list_all(page),
            Some(namespace) => {
                let (after, end) = index::member_bounds(namespace, page.after);
                let bounds = (Bound::Excluded(after), Bound::Excluded(end));
                let mut users = Vec::new();
                for item in self.snapshot.range(&self.engine.keys, bounds).take(page.limit) {
                    let (key, sealed) = item.into_inner().map_err(fault)?;
                    self.unseal(Place::Keys, &key, &sealed)?;
                    let id = index::member_id(&key).ok_or(StoreError::Damaged("index row"))?;
                    let user = self.user(id)?.and_then(Stored::live);
                    let user = user.filter(|user| user.external_id(namespace).is_some());
                    users.push(user.ok_or(StoreError::Damaged("index row without its user"))?);
                }
                Ok(users)
            }
        }
    }

    fn list_all(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        let after = page.after.map_or(Bound::Unbounded, |id| Bound::Excluded(*id.as_bytes()));
        let mut users = Vec::new();
        let mut items = self.snapshot.range(&self.engine.users, (after, Bound::Unbounded));
        while users.len() < page.limit {
            let Some(item) = items.next() else { break };
            let (key, sealed) = item.into_inner().map_err(fault)?;
            let plain = self.unseal(Place::Users, &key, &sealed)?;
            users.extend(decode_user(&plain)?.live());
        }
        Ok(users)
    }

    fn get(&self, place: Place, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(keyspace) = self.engine.keyspace(place) else {
            return Ok(None);
        };
        let sealed = self.snapshot.get(&keyspace, key).map_err(fault)?;
        sealed.map(|sealed| self.unseal(place, key, &sealed).map(Cow::into_owned)).transpose()
    }

    fn unseal<'b>(&self, place: Place, key: &[u8], sealed: &'b [u8]) -> Result<Cow<'b, [u8]>, StoreError> {
        let plain = self.engine.sealer.open(&place.name(), key, sealed);
        plain.ok_or(StoreError::Damaged(match place {
            Place::Meta => "batch number",
            Place::Users => "user",
            Place::Keys => "index row",
            Place::Hour(_) => "ledger record",
        }))
    }
}

fn decode_user(plain: &[u8]) -> Result<Stored, StoreError> {
    Stored::decode(plain).ok_or(StoreError::Damaged("user"))
}
