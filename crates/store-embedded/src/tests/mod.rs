//! Tests of the store as a whole, over directories of their own.

mod backup;
mod commit;
mod damage;
mod fault;
mod ledger;
mod open;
mod selections;
mod upgrade;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use gateway_core::{
    Attr, Change, Commit, Committed, ExternalId, Guard, LedgerKey, LedgerRecord, Link, Namespace, Page,
    Selection, Status, Timestamp, UniqueKey, User, UserId, UserStore as _, Value, Write,
};
use tempfile::TempDir;
use time::macros::utc_datetime;

use crate::{EmbeddedStore, OpenFault, Options};

const START: Timestamp = utc_datetime!(2026-03-01 10:30);

/// A directory, and a clock that stands until it is moved.
struct Bench {
    dir: TempDir,
    seconds: Arc<AtomicI64>,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), seconds: Arc::new(AtomicI64::new(0)) }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn now(&self) -> Timestamp {
        START + time::Duration::seconds(self.seconds.load(Ordering::Relaxed))
    }

    fn pass(&self, time: time::Duration) {
        self.seconds.fetch_add(time.whole_seconds(), Ordering::Relaxed);
    }

    fn options(&self) -> Options {
        let seconds = Arc::clone(&self.seconds);
        let clock = move || START + time::Duration::seconds(seconds.load(Ordering::Relaxed));
        Options { maintained: false, ..Options::new(Arc::new(clock)) }
    }

    fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(self.path(), self.options()).unwrap()
    }

    /// Opening fails; and its message is one sentence that names the directory.
    fn refused(&self) -> OpenFault {
        self.refused_with(self.options())
    }

    fn refused_with(&self, options: Options) -> OpenFault {
        let error = EmbeddedStore::open(self.path(), options).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&*self.path().display().to_string()) && !text.contains('\n'), "{text}");
        error.fault
    }

    /// The engine without its wrapper.
    fn raw<T>(&self, act: impl FnOnce(&fjall::Database) -> T) -> T {
        let db = crate::engine::open_files(&self.path().join("users"), 1 << 20).unwrap();
        let result = act(&db);
        db.persist(fjall::PersistMode::SyncAll).unwrap();
        result
    }

    fn commit(&self, write: Option<Write>, guards: Vec<Guard>) -> Commit {
        Commit { write, guards, now: self.now() }
    }

    fn create(&self, user: &Arc<User>) -> Commit {
        self.commit(Some(Write::Create(Arc::clone(user))), Vec::new())
    }

    fn update(&self, before: &Arc<User>, after: &Arc<User>) -> Commit {
        self.commit(Some(Write::Update { before: Arc::clone(before), after: Arc::clone(after) }), Vec::new())
    }

    fn delete(&self, before: &Arc<User>) -> Commit {
        self.commit(Some(Write::Delete { before: Arc::clone(before) }), Vec::new())
    }

    fn guard(&self, key: u8, user: Option<UserId>) -> Guard {
        let record = LedgerRecord {
            fingerprint: [key; 32],
            at: self.now(),
            user,
            answer: Some(Arc::from(b"answer".as_slice())),
        };
        Guard { key: LedgerKey([key; 16]), record }
    }
}

fn id(number: u64) -> UserId {
    UserId::from_bytes(u128::from(number).to_be_bytes())
}

fn space(name: &str) -> Namespace {
    Namespace::parse(name).unwrap()
}

fn link(namespace: &str, external_id: &str) -> Link {
    Link { namespace: space(namespace), external_id: ExternalId::parse(external_id).unwrap() }
}

fn link_key(namespace: &str, external_id: &str) -> UniqueKey {
    UniqueKey::Link(link(namespace, external_id))
}

/// A user linked in namespace `a` by its number.
fn user(number: u64) -> Arc<User> {
    let mut user = User::new(id(number), Status::Active, START);
    user.links.push(link("a", &number.to_string()));
    Arc::new(user)
}

fn with(before: &Arc<User>, attr: Attr, text: &str) -> Arc<User> {
    Arc::new(before.changed(&[Change::set(attr, Value::text(text))], START).unwrap())
}

async fn done(store: &EmbeddedStore, commit: Commit) {
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Done);
}

/// Holds every list of a store against what each user says of itself; how many users there are.
async fn check_lists(store: &EmbeddedStore) -> usize {
    let list = async |of| store.list(&Page { after: None, of, limit: usize::MAX }).await.unwrap();
    let users = list(Selection::All).await;
    let all: std::collections::BTreeSet<_> = users.iter().flat_map(|user| Selection::of(user)).collect();
    for of in all {
        let held: Vec<_> = users.iter().filter(|user| of.holds(user)).cloned().collect();
        assert_eq!(list(of.clone()).await, held, "{of:?}");
    }
    users.len()
}

/// Copies a directory as it is, as a crash would leave it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
