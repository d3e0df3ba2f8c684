//! The executable model of a store: one mutex around plain maps.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gateway_core::{
    Commit, Committed, LedgerKey, LedgerRecord, Page, StoreError, Timestamp, UniqueKey, User, UserId,
    UserStore, Write,
};

/// A store in memory that does what the contract says and nothing else. It never purges.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    faults: Mutex<VecDeque<Fault>>,
}

/// How a commit is made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The answer is [`Committed::Unknown`]; nothing was written.
    Unknown,
    /// The answer is [`Committed::Unknown`], although the commit was carried out.
    UnknownDone,
    /// The answer is [`StoreError::Unavailable`]; nothing was written.
    Unavailable,
}

#[derive(Clone, Default, PartialEq)]
struct State {
    /// A deleted user leaves `None`: its tombstone.
    users: BTreeMap<UserId, Option<Arc<User>>>,
    owners: BTreeMap<UniqueKey, UserId>,
    ledger: BTreeMap<LedgerKey, LedgerRecord>,
}

/// All that a store held at a moment, to be compared with another moment: equal means that nothing
/// was written between. Its `Debug` form counts only, as the rest is personal data.
#[derive(Clone, PartialEq)]
pub struct Digest(State);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { users, owners, ledger } = &self.0;
        let live = users.values().flatten();
        f.debug_struct("Digest")
            .field("users", &live.clone().count())
            .field("versions", &live.map(|user| user.version).sum::<u64>())
            .field("tombstones", &users.values().filter(|user| user.is_none()).count())
            .field("unique_keys", &owners.len())
            .field("ledger_records", &ledger.len())
            .finish()
    }
}

impl MemoryStore {
    /// Everything the store holds: users, tombstones, unique keys and ledger records.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(self.state().clone())
    }

    /// Makes the next `n` commits fail, after those that are to fail already.
    pub fn fail_next_commits(&self, n: usize, fault: Fault) {
        self.faults().extend(std::iter::repeat_n(fault, n));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn user(&self, id: UserId) -> Option<Arc<User>> {
        self.users.get(&id).cloned().flatten()
    }

    fn live(&self, key: LedgerKey, now: Timestamp) -> Option<&LedgerRecord> {
        self.ledger.get(&key).filter(|record| record.is_live(now))
    }

    fn commit(&mut self, Commit { write, guards, now }: Commit) -> Committed {
        for (at, guard) in guards.iter().enumerate() {
            if self.live(guard.key, now).is_some() || guards[..at].iter().any(|one| one.key == guard.key) {
                return Committed::KeyTaken(guard.key);
            }
        }
        if let Some(write) = write {
            if !self.fits(&write) {
                return Committed::Stale;
            }
            let id = write.id();
            let after = match write {
                Write::Create(after) | Write::Update { after, .. } => Some(after),
                Write::Delete { .. } => None,
            };
            let keys = after.as_ref().map(|user| user.unique_keys()).unwrap_or_default();
            if let Some(taken) =
                keys.iter().find(|key| self.owners.get(key).is_some_and(|owner| *owner != id))
            {
                return Committed::Taken(taken.clone());
            }
            self.put(id, after, keys);
        }
        self.ledger.extend(guards.into_iter().map(|guard| (guard.key, guard.record)));
        Committed::Done
    }

    /// True if the write starts from what stands.
    fn fits(&self, write: &Write) -> bool {
        let stands = |before: &User| self.user(before.id).is_some_and(|user| user.version == before.version);
        match write {
            Write::Create(user) => !self.users.contains_key(&user.id),
            Write::Update { before, after } => {
                stands(before) && after.id == before.id && after.version > before.version
            }
            Write::Delete { before } => stands(before),
        }
    }

    fn put(&mut self, id: UserId, after: Option<Arc<User>>, keys: Vec<UniqueKey>) {
        if after.is_none() {
            for record in self.ledger.values_mut().filter(|record| record.user == Some(id)) {
                record.answer = None;
            }
        }
        self.owners.retain(|_, owner| *owner != id);
        self.owners.extend(keys.into_iter().map(|key| (key, id)));
        self.users.insert(id, after);
    }
}

impl UserStore for MemoryStore {
    fn key(&self) -> [u8; 16] {
        *b"a store for test"
    }

    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        Ok(self.state().user(id))
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        let state = self.state();
        Ok(state.owners.get(key).and_then(|id| state.user(*id)))
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        let state = self.state();
        let after = |user: &&Arc<User>| page.after.is_none_or(|after| user.id > after);
        let member = |user: &&Arc<User>| page.of.holds(user);
        Ok(state.users.values().flatten().filter(after).filter(member).take(page.limit).cloned().collect())
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        Ok(self.state().live(key, now).cloned())
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let fault = self.faults().pop_front();
        match fault {
            None => Ok(self.state().commit(commit)),
            Some(Fault::Unknown) => Ok(Committed::Unknown),
            Some(Fault::UnknownDone) => {
                self.state().commit(commit);
                Ok(Committed::Unknown)
            }
            Some(Fault::Unavailable) => Err(StoreError::Unavailable("told to fail")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::Status;
    use time::macros::utc_datetime;

    fn creation(first_byte: u8) -> Commit {
        let now = utc_datetime!(2026-01-01 0:00);
        let user = User::new(UserId::from_bytes([first_byte; 16]), Status::Active, now);
        Commit { write: Some(Write::Create(Arc::new(user))), guards: Vec::new(), now }
    }

    #[tokio::test]
    async fn faults_come_in_order_and_then_end() {
        let store = MemoryStore::default();
        let empty = store.digest();
        store.fail_next_commits(1, Fault::Unknown);
        store.fail_next_commits(1, Fault::Unavailable);
        assert_eq!(store.commit(creation(1)).await.unwrap(), Committed::Unknown);
        assert!(matches!(store.commit(creation(1)).await, Err(StoreError::Unavailable(_))));
        assert_eq!(store.digest(), empty);
        assert_eq!(store.commit(creation(1)).await.unwrap(), Committed::Done);
        assert_ne!(store.digest(), empty);
    }

    #[tokio::test]
    async fn an_unknown_commit_may_have_been_carried_out() {
        let (store, plain) = (MemoryStore::default(), MemoryStore::default());
        store.fail_next_commits(1, Fault::UnknownDone);
        assert_eq!(store.commit(creation(1)).await.unwrap(), Committed::Unknown);
        assert_eq!(plain.commit(creation(1)).await.unwrap(), Committed::Done);
        assert_eq!(store.digest(), plain.digest());
    }

    #[tokio::test]
    async fn a_digest_tells_states_apart_and_shows_no_values() {
        let store = MemoryStore::default();
        store.commit(creation(1)).await.unwrap();
        let one = store.digest();
        store.commit(creation(2)).await.unwrap();
        assert_ne!(store.digest(), one);
        let shown = "Digest { users: 1, versions: 1, tombstones: 0, unique_keys: 0, ledger_records: 0 }";
        assert_eq!(format!("{one:?}"), shown);
    }
}
