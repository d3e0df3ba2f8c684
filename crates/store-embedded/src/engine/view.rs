//! Reads, all from one consistent view of what is committed.
//!
//! The engine's own reads look past its snapshots and may see half of a batch; a snapshot never does.

use std::{borrow::Cow, ops::Bound, sync::Arc};

use fjall::Readable as _;
use gateway_core::{LedgerRecord, Namespace, Page, Selection, Status, StoreError, UniqueKey, User, UserId};

use super::{Engine, LISTED, Place, SEQ, Stamp, fault};
use crate::{
    index,
    ledger::Row,
    marker::Lists,
    record::{self, Stored},
};

/// The engine as it was at an instant.
pub(crate) struct View<'a> {
    engine: &'a Engine,
    snapshot: fjall::Snapshot,
}

/// What a check of some records found.
#[derive(Default)]
pub(crate) struct Checked {
    pub(crate) records: u64,
    pub(crate) damaged: u64,
    /// Where to go on; `None` at the end.
    pub(crate) last: Option<Vec<u8>>,
}

impl<'a> View<'a> {
    pub(super) fn of(engine: &'a Engine) -> Self {
        Self { engine, snapshot: engine.db.snapshot() }
    }

    /// The last batch in here; 0 before the first.
    pub(crate) fn seq(&self) -> Result<u64, StoreError> {
        let stamp = self.get(Place::Meta, SEQ, Stamp::decode)?;
        Ok(stamp.map_or(0, |stamp| stamp.seq))
    }

    pub(crate) fn user(&self, id: UserId) -> Result<Option<Stored>, StoreError> {
        self.get(Place::Users, id.as_bytes(), Stored::decode)
    }

    pub(crate) fn owner(&self, key: &UniqueKey) -> Result<Option<UserId>, StoreError> {
        self.get(Place::Keys, &index::owner_key(key), user_id)
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
        match self.get(place, &row.encode(), record::decode_ledger)? {
            Some(record) => Ok(Some(record)),
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
        let Some(selection) = index::selection(&page.of, &self.engine.sealer) else {
            return self.list_all(page);
        };
        let (after, end) = index::selected_bounds(&selection, page.after);
        let bounds = (Bound::Excluded(after), Bound::Included(end));
        let mut users = Vec::new();
        for item in self.snapshot.range(&self.engine.keys, bounds).take(page.limit) {
            let (key, sealed) = item.into_inner().map_err(fault)?;
            self.unseal(Place::Keys, &key, &sealed)?;
            let id = index::selected_id(&key).ok_or(StoreError::Damaged("index row"))?;
            let user = self.user(id)?.and_then(Stored::live).filter(|user| page.of.holds(user));
            users.push(user.ok_or(StoreError::Damaged("index row without its user"))?);
        }
        Ok(users)
    }

    fn list_all(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        let live = |stored: Result<Stored, StoreError>| stored.map(Stored::live).transpose();
        self.stored(page.after).filter_map(live).take(page.limit).collect()
    }

    /// Everything that stands under ids after this one, in their order.
    pub(crate) fn stored(
        &self,
        after: Option<UserId>,
    ) -> impl Iterator<Item = Result<Stored, StoreError>> + use<'_, 'a> {
        let after = after.map_or(Bound::Unbounded, |id| Bound::Excluded(*id.as_bytes()));
        self.snapshot.range(&self.engine.users, (after, Bound::Unbounded)).map(|item| {
            let (key, sealed) = item.into_inner().map_err(fault)?;
            Stored::decode(&self.unseal(Place::Users, &key, &sealed)?).ok_or_else(|| damaged(Place::Users))
        })
    }

    /// The last user whose rows an upgrade has made.
    pub(crate) fn listed(&self) -> Result<Option<UserId>, StoreError> {
        self.get(Place::Meta, LISTED, user_id)
    }

    /// Users whose names begin with a part, then those whose names only hold it; by the index alone,
    /// but for the users that are given out.
    pub(crate) fn suggest(
        &self,
        namespace: &Namespace,
        part: &str,
        limit: usize,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        let begins = index::username_prefix(namespace, part);
        let all = index::username_prefix(namespace, "");
        let mut found = self.suggested(&begins, limit, |_| true)?;
        let holds = |name: &[u8]| {
            let name = std::str::from_utf8(&name[all.len()..]);
            name.is_ok_and(|name| name.contains(part) && !name.starts_with(part))
        };
        let left = limit.saturating_sub(found.len());
        found.extend(self.suggested(&all, left, holds)?);
        Ok(found)
    }

    /// The users of index rows that begin with a prefix, in their order, closed ones apart.
    fn suggested(
        &self,
        prefix: &[u8],
        limit: usize,
        fits: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        let mut users = Vec::new();
        let mut items = self.snapshot.prefix(&self.engine.keys, prefix);
        while users.len() < limit {
            let Some(item) = items.next() else { break };
            let (key, sealed) = item.into_inner().map_err(fault)?;
            if !fits(&key) {
                continue;
            }
            let plain = self.unseal(Place::Keys, &key, &sealed)?;
            let id = user_id(&plain).ok_or(StoreError::Damaged("index row"))?;
            let user = self.user(id)?.and_then(Stored::live);
            let user = user.ok_or(StoreError::Damaged("index row without its user"))?;
            users.extend(Some(user).filter(|user| user.status != Status::Closed));
        }
        Ok(users)
    }

    /// Unseals and decodes up to so many records of a keyspace, for nothing but to see whether it can be
    /// done.
    pub(crate) fn check(&self, place: Place, after: &[u8], limit: usize) -> Result<Checked, StoreError> {
        let Some(keyspace) = self.engine.keyspace(place) else {
            return Ok(Checked::default());
        };
        let mut checked = Checked::default();
        let has_rows = self.engine.lists() == Lists::Whole;
        let bounds = (Bound::Excluded(after), Bound::Unbounded);
        for item in self.snapshot.range::<&[u8], _>(&keyspace, bounds).take(limit) {
            let (key, sealed) = item.into_inner().map_err(fault)?;
            let whole = self.unseal(place, &key, &sealed).is_ok_and(|plain| match place {
                Place::Meta | Place::Keys => true,
                Place::Users => Stored::decode(&plain).is_some_and(|user| !has_rows || self.is_listed(&user)),
                Place::Hour(_) => record::decode_ledger(&plain).is_some(),
            });
            checked.records += 1;
            checked.damaged += u64::from(!whole);
            checked.last = Some(key.to_vec());
        }
        Ok(checked)
    }

    /// Whether a user has its row in each selection: where one is missing, a list would pass the user over.
    fn is_listed(&self, stored: &Stored) -> bool {
        let Stored::Live(user) = stored else {
            return true;
        };
        let keys = self.engine.selected_keys(&Selection::of(user), user.id);
        keys.iter().all(|key| self.get(Place::Keys, key, |_row| Some(())).is_ok_and(|row| row.is_some()))
    }

    fn get<T>(
        &self,
        place: Place,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let Some(keyspace) = self.engine.keyspace(place) else {
            return Ok(None);
        };
        let Some(sealed) = self.snapshot.get(&keyspace, key).map_err(fault)? else {
            return Ok(None);
        };
        let plain = self.unseal(place, key, &sealed)?;
        decode(&plain).map(Some).ok_or_else(|| damaged(place))
    }

    fn unseal<'b>(&self, place: Place, key: &[u8], sealed: &'b [u8]) -> Result<Cow<'b, [u8]>, StoreError> {
        let plain = self.engine.sealer.open(&place.name(), key, sealed);
        plain.ok_or_else(|| damaged(place))
    }
}

/// What a record that fails its seal is told as.
pub(super) fn damaged(place: Place) -> StoreError {
    StoreError::Damaged(match place {
        Place::Meta => "batch number",
        Place::Users => "user",
        Place::Keys => "index row",
        Place::Hour(_) => "ledger record",
    })
}

fn user_id(plain: &[u8]) -> Option<UserId> {
    plain.try_into().map(UserId::from_bytes).ok()
}
