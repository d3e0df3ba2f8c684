//! A store whose contents are known to the last byte, and whether it still tells them.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use gateway_core::{
    Attr, Change, Commit, Committed, ExternalId, Guard, LedgerKey, LedgerRecord, Link, Namespace, Page,
    Selection, Status, StoreError, Timestamp, UniqueKey, User, UserId, UserStore as _, Value, Write,
};
use store_embedded::{EmbeddedStore, OpenError, Options, Scrubbed};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::rng::Rng;

/// How large a store is made.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) users: usize,
    /// Bytes of each user's document: many of them fill the engine's memory, and become tables.
    pub(crate) document: usize,
    /// Commits that go together.
    pub(crate) batch: usize,
}

/// What a store holds.
pub(crate) struct Known {
    pub(crate) at: Timestamp,
    pub(crate) users: BTreeMap<UserId, Arc<User>>,
    gone: Vec<Arc<User>>,
    ledger: BTreeMap<LedgerKey, LedgerRecord>,
}

/// Why a store is not what it was.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It said so.
    Told(String),
    /// It answered otherwise, and said nothing.
    Silent(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Told(error.to_string())
    }
}

/// Opens a store.
pub(crate) fn open(data: &Path) -> Result<EmbeddedStore, OpenError> {
    EmbeddedStore::open(data, Options { cache_bytes: 1 << 20, ..Options::new(Arc::new(crate::now)) })
}

/// Makes a store: every user is created, every second one changed, every tenth deleted.
pub(crate) async fn fill(store: &Arc<EmbeddedStore>, plan: Plan, rng: &mut Rng) -> Known {
    let at = crate::now();
    let mut known = Known { at, users: BTreeMap::new(), gone: Vec::new(), ledger: BTreeMap::new() };
    let made: Vec<_> = (0..plan.users).map(|at| Arc::new(new_user(at, plan, &known, rng))).collect();
    known.write(store, plan, rng, made.iter().cloned().map(Write::Create)).await;
    let changed = made.iter().step_by(2).map(|before| {
        let changes = [
            Change::set(Attr::City, Value::text("Ghent")),
            Change::set(Attr::Username, Value::text(format!("changed{}", before.id))),
        ];
        Write::Update { before: Arc::clone(before), after: Arc::new(before.changed(&changes, at).unwrap()) }
    });
    known.write(store, plan, rng, changed).await;
    let gone: Vec<_> =
        made.iter().skip(1).step_by(10).map(|user| Arc::clone(&known.users[&user.id])).collect();
    known.write(store, plan, rng, gone.into_iter().map(|before| Write::Delete { before })).await;
    known
}

fn new_user(number: usize, plan: Plan, known: &Known, rng: &mut Rng) -> User {
    let id = UserId::new(Uuid::from_u64_pair(rng.next(), rng.next()));
    let namespace = Namespace::parse("demo-partner").unwrap();
    let external_id = ExternalId::parse(&format!("user-{number}")).unwrap();
    let noise: String = (0..plan.document / 16).map(|_| format!("{:016x}", rng.next())).collect();
    let changes = [
        Change::set(Attr::Username, Value::text(format!("name{number}"))),
        Change::set(Attr::City, Value::text("Bruges")),
        Change::set(Attr::Email, Value::text("jane@example.com")),
        Change::set(Attr::Metadata, Value::Document(format!(r#"{{"noise":"{noise}"}}"#).into())),
    ];
    let mut user = User::new(id, Status::Active, known.at);
    user.links.push(Link { namespace, external_id });
    user.profile.apply(&changes);
    user
}

impl Known {
    /// Writes, each under a key of its own, so many at once.
    async fn write(
        &mut self,
        store: &Arc<EmbeddedStore>,
        plan: Plan,
        rng: &mut Rng,
        writes: impl Iterator<Item = Write>,
    ) {
        let mut flying = JoinSet::new();
        for write in writes {
            let record = LedgerRecord {
                fingerprint: [7; 32],
                at: self.at,
                user: Some(write.id()),
                answer: Some(Arc::from(format!("answer {}", rng.next()).into_bytes())),
            };
            let key = LedgerKey(*Uuid::from_u64_pair(rng.next(), rng.next()).as_bytes());
            self.note(&write, key, &record);
            let commit = Commit { write: Some(write), guards: vec![Guard { key, record }], now: self.at };
            let store = Arc::clone(store);
            flying.spawn(async move { store.commit(commit).await });
            if flying.len() == plan.batch {
                join(&mut flying).await;
            }
        }
        join(&mut flying).await;
    }

    fn note(&mut self, write: &Write, key: LedgerKey, record: &LedgerRecord) {
        match write {
            Write::Create(user) | Write::Update { after: user, .. } => {
                self.users.insert(user.id, Arc::clone(user));
            }
            Write::Delete { before } => {
                self.users.remove(&before.id);
                self.gone.push(Arc::clone(before));
                // A deletion takes the answers of before with it.
                for old in self.ledger.values_mut().filter(|old| old.user == Some(before.id)) {
                    old.answer = None;
                }
            }
        }
        self.ledger.insert(key, record.clone());
    }

    /// Whether a store still holds this, and all of it.
    pub(crate) async fn verify(&self, store: &EmbeddedStore) -> Result<(), Trouble> {
        let answered = self.read(store).await;
        match (answered, store.scrub()) {
            (Err(Trouble::Told(what)), _) => Err(Trouble::Told(what)),
            (_, Err(error)) => Err(error.into()),
            (_, Ok(Scrubbed { damaged, .. })) if damaged > 0 => {
                Err(Trouble::Told(format!("scrub: {damaged} damaged")))
            }
            (answered, Ok(_)) => answered,
        }
    }

    async fn read(&self, store: &EmbeddedStore) -> Result<(), Trouble> {
        // An error anywhere is told; so what is silent is remembered until all was read.
        let mut silent = Vec::new();
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                silent.push(what.to_owned())
            }
        };
        let namespace = Namespace::parse("demo-partner").unwrap();
        for namespace in [None, Some(namespace)] {
            let listed = list(store, namespace).await?;
            expect(listed.len() == self.users.len(), "users are missing from a list");
            let same = listed.iter().all(|user| self.users.get(&user.id) == Some(user));
            expect(same, "a listed user is another");
        }
        for user in self.users.values() {
            expect(store.user(user.id).await?.as_ref() == Some(user), "a user is another");
            for key in user.unique_keys() {
                expect(store.find(&key).await?.as_ref() == Some(user), "a name finds another user");
            }
        }
        for user in &self.gone {
            expect(store.user(user.id).await?.is_none(), "a deleted user is there");
            for key in user.unique_keys() {
                expect(store.find(&key).await?.is_none(), "a deleted user is found");
            }
        }
        for (key, record) in &self.ledger {
            expect(store.ledger(*key, self.at).await?.as_ref() == Some(record), "a key has another answer");
        }
        let old = UniqueKey::Username(Namespace::parse("demo-partner").unwrap(), "name0".to_owned());
        expect(store.find(&old).await?.is_none(), "an old name is taken");
        match silent.first() {
            None => Ok(()),
            Some(what) => Err(Trouble::Silent(format!("{what} ({} in all)", silent.len()))),
        }
    }
}

async fn join(flying: &mut JoinSet<Result<Committed, StoreError>>) {
    while let Some(committed) = flying.join_next().await {
        assert_eq!(committed.unwrap().unwrap(), Committed::Done);
    }
}

async fn list(store: &EmbeddedStore, namespace: Option<Namespace>) -> Result<Vec<Arc<User>>, StoreError> {
    let of = namespace.map_or(Selection::All, Selection::Namespace);
    let mut page = Page { after: None, of, limit: 1000 };
    let mut all = Vec::new();
    loop {
        let users = store.list(&page).await?;
        let Some(last) = users.last() else { return Ok(all) };
        page.after = Some(last.id);
        all.extend(users);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trial on trial: a store that lacks something, or has something else, is found out.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_missing_or_other_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(open(folder.path()).unwrap());
        let plan = Plan { users: 20, document: 16, batch: 4 };
        let mut known = fill(&store, plan, &mut Rng::new(1)).await;
        known.verify(&store).await.unwrap();

        let (key, record) = known.ledger.pop_first().unwrap();
        let missing = LedgerKey([9; 16]);
        known.ledger.insert(missing, record.clone());
        assert!(matches!(known.verify(&store).await, Err(Trouble::Silent(_))), "a key is missing");
        known.ledger.remove(&missing);
        known.ledger.insert(key, LedgerRecord { answer: Some(Arc::from(*b"other")), ..record });
        assert!(matches!(known.verify(&store).await, Err(Trouble::Silent(_))), "a key replays other bytes");
        known.ledger.remove(&key);
        known.verify(&store).await.unwrap();

        let user = known.users.first_entry().unwrap();
        let city = [Change::set(Attr::City, Value::text("Liège"))];
        let other = Arc::new(user.get().changed(&city, known.at).unwrap());
        *user.into_mut() = other;
        assert!(matches!(known.verify(&store).await, Err(Trouble::Silent(_))), "a user is older");
    }
}
