//! Commits on their way into one batch: each is checked against what is committed and what the batch's
//! earlier commits are about to change.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use gateway_core::{
    Attr, Commit, Committed, Guard, LedgerKey, LedgerRecord, Selection, StoreError, Timestamp, UniqueKey,
    User, UserId, Write,
};

use crate::{
    Shared,
    engine::{Place, Rows, View},
    index,
    ledger::{self, Row},
    record::{self, Stored},
};

/// The overlay of a batch.
pub(crate) struct Stage<'a> {
    shared: &'a Shared,
    view: View<'a>,
    users: HashMap<UserId, Stored>,
    owners: HashMap<UniqueKey, Option<UserId>>,
    /// The rows of selections that come, or go.
    selected: HashMap<Vec<u8>, bool>,
    /// The row that each ledger key stands for now.
    taken: HashMap<LedgerKey, Row>,
    ledger: BTreeMap<Row, LedgerRecord>,
    deleted: HashSet<UserId>,
}

/// What a batch changes outside of the engine, once it is durable.
#[cfg_attr(feature = "sabotage-ack-before-write", derive(Default))]
pub(crate) struct Staged {
    users: HashMap<UserId, Stored>,
    owners: HashMap<UniqueKey, Option<UserId>>,
    taken: HashMap<LedgerKey, Row>,
}

/// How a write stands to what is there.
enum Standing {
    /// It fits the user as it is; there is none before a creation.
    Fits(Option<Arc<User>>),
    /// The user is not as the write expects it.
    Moved,
}

impl<'a> Stage<'a> {
    /// Over what is committed now; only the writer commits, so that stays so.
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            view: shared.engine.view(),
            users: HashMap::new(),
            owners: HashMap::new(),
            selected: HashMap::new(),
            taken: HashMap::new(),
            ledger: BTreeMap::new(),
            deleted: HashSet::new(),
        }
    }

    /// Checks a commit and adds it; anything but `Done` leaves the batch as it was.
    pub(crate) fn add(&mut self, commit: Commit) -> Result<Committed, StoreError> {
        if let Some(key) = self.first_taken(&commit.guards, commit.now) {
            return Ok(Committed::KeyTaken(key));
        }
        let (before, after) = match &commit.write {
            None => (None, None),
            Some(write) => match self.standing(write)? {
                Standing::Fits(before) => (before, next(write, commit.now)),
                Standing::Moved => return Ok(Committed::Stale),
            },
        };
        let (gone, new) = unique_keys(before.as_deref(), after.as_ref());
        for key in &new {
            if self.owner(key)?.is_some() {
                return Ok(Committed::Taken(key.clone()));
            }
        }
        for guard in &commit.guards {
            // A keyspace half made is a fault of the disk like a batch half written.
            let made = self.shared.engine.ensure_hour(Row::of(guard).hour());
            made.inspect_err(|error| self.shared.poison("a ledger hour cannot be made", error))?;
        }
        if let Some(after) = after {
            self.stage_user(before.as_deref(), after, gone, new);
        }
        for guard in commit.guards {
            self.stage_guard(guard);
        }
        Ok(Committed::Done)
    }

    fn first_taken(&self, guards: &[Guard], now: Timestamp) -> Option<LedgerKey> {
        let taken = |key: LedgerKey| {
            let row = self.taken.get(&key).copied().or_else(|| self.shared.live.get(key));
            row.is_some_and(|row| row.is_live(now))
        };
        let repeated = |at: usize, key| guards[..at].iter().any(|guard| guard.key == key);
        let mut guards = guards.iter().enumerate().map(|(at, guard)| (at, guard.key));
        guards.find(|(at, key)| taken(*key) || repeated(*at, *key)).map(|(_, key)| key)
    }

    fn standing(&self, write: &Write) -> Result<Standing, StoreError> {
        let current = self.state(write.id())?;
        let expected = match write {
            Write::Create(_) if current.is_none() => return Ok(Standing::Fits(None)),
            Write::Create(_) => return Ok(Standing::Moved),
            Write::Update { before, after } if after.id != before.id || after.version <= before.version => {
                return Ok(Standing::Moved);
            }
            Write::Update { before, .. } | Write::Delete { before } => before,
        };
        Ok(match current.and_then(Stored::live) {
            Some(user) if user.version == expected.version => Standing::Fits(Some(user)),
            Some(_) | None => Standing::Moved,
        })
    }

    fn state(&self, id: UserId) -> Result<Option<Stored>, StoreError> {
        if let Some(staged) = self.users.get(&id) {
            return Ok(Some(staged.clone()));
        }
        match self.shared.cache.peek(id) {
            Some(user) => Ok(Some(Stored::Live(user))),
            None => self.view.user(id),
        }
    }

    fn owner(&self, key: &UniqueKey) -> Result<Option<UserId>, StoreError> {
        match self.owners.get(key) {
            Some(staged) => Ok(*staged),
            None => self.view.owner(key),
        }
    }

    fn stage_user(
        &mut self,
        before: Option<&User>,
        after: Stored,
        gone: Vec<UniqueKey>,
        new: Vec<UniqueKey>,
    ) {
        let id = after.id();
        if let Stored::Gone { .. } = &after {
            self.delete_answers(id);
        }
        self.stage_selections(id, before, &after);
        self.owners.extend(gone.into_iter().map(|key| (key, None)));
        self.owners.extend(new.into_iter().map(|key| (key, Some(id))));
        self.users.insert(id, after);
    }

    fn stage_selections(&mut self, id: UserId, before: Option<&User>, after: &Stored) {
        let after = match after {
            Stored::Live(user) => Some(&**user),
            Stored::Gone { .. } => None,
        };
        if let (Some(before), Some(after)) = (before, after)
            && Selection::are_same(before, after)
        {
            return;
        }
        let of = |user: Option<&User>| user.map(Selection::of).unwrap_or_default();
        let (left, entered) = difference(of(before), of(after));
        let keys = |selections: &[Selection]| self.shared.engine.selected_keys(selections, id);
        let (left, entered) = (keys(&left), keys(&entered));
        self.selected.extend(left.into_iter().map(|key| (key, false)));
        self.selected.extend(entered.into_iter().map(|key| (key, true)));
    }

    /// The answers about a deleted user go: those of this batch now, the committed ones in one sweep.
    fn delete_answers(&mut self, id: UserId) {
        self.deleted.insert(id);
        for record in self.ledger.values_mut().filter(|record| record.user == Some(id)) {
            record.answer = None;
        }
    }

    fn stage_guard(&mut self, guard: Guard) {
        let row = Row::of(&guard);
        self.taken.insert(guard.key, row);
        self.ledger.insert(row, guard.record);
    }

    /// The sealed rows of the batch, and what to make known once they are durable.
    pub(crate) fn finish(mut self, seq: u64) -> Result<(Rows, Staged), StoreError> {
        self.strip_committed_answers()?;
        let engine = &self.shared.engine;
        let mut rows = Rows::default();
        for (id, stored) in &self.users {
            engine.put(&mut rows, Place::Users, id.as_bytes().to_vec(), &stored.encode(seq))?;
        }
        for (key, owner) in &self.owners {
            match owner {
                Some(id) => engine.put(&mut rows, Place::Keys, index::owner_key(key), id.as_bytes())?,
                None => rows.remove(Place::Keys, index::owner_key(key)),
            }
        }
        for (key, comes) in std::mem::take(&mut self.selected) {
            match comes {
                true => engine.put(&mut rows, Place::Keys, key, &[])?,
                false => rows.remove(Place::Keys, key),
            }
        }
        for (row, record) in &self.ledger {
            let place = Place::Hour(row.hour());
            engine.put(&mut rows, place, row.encode().to_vec(), &record::encode_ledger(record))?;
        }
        if !rows.is_empty() {
            engine.put_seq(&mut rows, seq)?;
        }
        Ok((rows, Staged { users: self.users, owners: self.owners, taken: self.taken }))
    }

    /// One pass over the live keys for all deletions of the batch. A damaged record stays as it is: it
    /// is never given out.
    fn strip_committed_answers(&mut self) -> Result<(), StoreError> {
        if self.deleted.is_empty() {
            return Ok(());
        }
        let tags = self.deleted.iter().map(|id| ledger::tag(Some(*id))).collect();
        for row in self.shared.live.tagged(&tags) {
            let record = match self.view.ledger(row) {
                Ok(record) => record,
                Err(StoreError::Damaged(_)) => None,
                Err(error) => return Err(error),
            };
            let Some(record) = record.filter(|record| record.answer.is_some()) else {
                continue;
            };
            if record.user.is_some_and(|user| self.deleted.contains(&user)) {
                self.ledger.entry(row).or_insert(LedgerRecord { answer: None, ..record });
            }
        }
        Ok(())
    }
}

/// What is to stand under the id after a write.
fn next(write: &Write, now: Timestamp) -> Option<Stored> {
    Some(match write {
        Write::Create(user) | Write::Update { after: user, .. } => Stored::Live(user.clone()),
        Write::Delete { before } => {
            Stored::Gone { id: before.id, version: before.version.saturating_add(1), deleted_at: now }
        }
    })
}

/// The unique keys that go and those that come.
fn unique_keys(before: Option<&User>, after: Option<&Stored>) -> (Vec<UniqueKey>, Vec<UniqueKey>) {
    if let (Some(before), Some(Stored::Live(after))) = (before, after)
        && before.links == after.links
        && before.profile.text(Attr::Username) == after.profile.text(Attr::Username)
    {
        return (Vec::new(), Vec::new());
    }
    let new = match after {
        Some(Stored::Live(user)) => user.unique_keys(),
        Some(Stored::Gone { .. }) | None => Vec::new(),
    };
    difference(before.map(User::unique_keys).unwrap_or_default(), new)
}

/// Of two sorted sets what goes and what comes.
fn difference<T: Ord + Clone>(before: Vec<T>, after: Vec<T>) -> (Vec<T>, Vec<T>) {
    let is_in = |set: &[T], one: &T| set.binary_search(one).is_ok();
    let gone = before.iter().filter(|one| !is_in(&after, one)).cloned().collect();
    let new = after.into_iter().filter(|one| !is_in(&before, one)).collect();
    (gone, new)
}

impl Staged {
    /// Makes a durable batch known: ledger keys and caches, before anybody is answered.
    pub(crate) fn publish(self, shared: &Shared) {
        for row in self.taken.into_values() {
            shared.live.insert(row);
        }
        for (id, stored) in self.users {
            shared.cache.publish(id, stored.live().as_ref());
        }
        for (key, owner) in self.owners {
            shared.cache.put_owner(key, owner);
        }
    }
}
