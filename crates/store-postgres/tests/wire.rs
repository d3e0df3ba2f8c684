//! What goes over the wire: one round trip for a commit, and no commit lost or done twice where answers are
//! lost.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, atomic::Ordering};

use gateway_core::{
    Attr, Change, Commit, Committed, ExternalId, Guard, LedgerKey, LedgerRecord, Link, Namespace, Status,
    Timestamp, User, UserId, UserStore as _, Value, Write,
};
use gateway_testkit::{contract::Start, postgres::Database};
use store_postgres::{Options, PostgresStore, migrate};
use tokio::task::JoinSet;
use uuid::Uuid;

use support::{Wire, proxy};

const CLIENTS: usize = 8;
/// Cuts of which each must come out right.
const CUTS: usize = 100;

fn now() -> Timestamp {
    Start::default().now
}

async fn open(url: &str, change: impl FnOnce(&mut Options)) -> Arc<PostgresStore> {
    let mut options = Options::new(url, Arc::new(now));
    change(&mut options);
    Arc::new(PostgresStore::open(options).await.unwrap())
}

async fn database() -> Database {
    let database = Database::create();
    migrate(&Options::new(database.url.clone(), Arc::new(now))).await.unwrap();
    database
}

fn user() -> Arc<User> {
    let id = UserId::new(Uuid::now_v7());
    let mut user = User::new(id, Status::Active, now());
    let namespace = Namespace::parse("partner").unwrap();
    user.links = vec![Link { namespace, external_id: ExternalId::parse(&id.to_string()).unwrap() }];
    Arc::new(user)
}

fn guard(user: UserId) -> Guard {
    let (key, answer) = (Uuid::new_v4().into_bytes(), Some(vec![7; 200].into()));
    let record = LedgerRecord { fingerprint: [7; 32], at: now(), user: Some(user), answer };
    Guard { key: LedgerKey(key), record }
}

fn commit(write: Write, guarded: bool) -> Commit {
    let guards = if guarded { vec![guard(write.id())] } else { Vec::new() };
    Commit { write: Some(write), guards, now: now() }
}

/// The user one version on, told apart by a token.
fn next(before: &Arc<User>, token: &str) -> Arc<User> {
    Arc::new(before.changed(&[Change::set(Attr::Bio, Value::text(token.to_owned()))], now()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_one_round_trip() {
    let database = database().await;
    let (url, wire) = proxy(&database.url).await;
    let store = open(&url, |options| (options.coalesce, options.commit_connections) = (false, 1)).await;
    let mut current = user();
    assert_eq!(store.commit(commit(Write::Create(current.clone()), true)).await.unwrap(), Committed::Done);
    // Both connections for reads stand, too: nothing else is to come.
    while store.stats().connections < 3 {
        tokio::task::yield_now().await;
    }
    let before = wire.trips.load(Ordering::Relaxed);
    for round in 0..100 {
        let after = next(&current, &round.to_string());
        let write = Write::Update { before: current, after: after.clone() };
        assert_eq!(store.commit(commit(write, true)).await.unwrap(), Committed::Done);
        current = after;
    }
    assert_eq!(wire.trips.load(Ordering::Relaxed) - before, 100);
    assert_eq!(store.stats().statements, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_at_once_share_round_trips_and_keep_their_own_ends() {
    let database = database().await;
    let (url, wire) = proxy(&database.url).await;
    let store = open(&url, |options| options.commit_connections = 1).await;
    let standing = user();
    store.commit(commit(Write::Create(standing.clone()), true)).await.unwrap();
    let before = wire.trips.load(Ordering::Relaxed);
    let mut tasks = JoinSet::new();
    for at in 0..300 {
        let (store, mut user) = (store.clone(), user());
        if at % 3 == 0 {
            // Another has that link.
            Arc::make_mut(&mut user).links.clone_from(&standing.links);
        }
        tasks.spawn(async move { (at, store.commit(commit(Write::Create(user), true)).await.unwrap()) });
    }
    let taken = Committed::Taken(standing.unique_keys()[0].clone());
    for (at, answer) in tasks.join_all().await {
        assert_eq!(answer, if at % 3 == 0 { taken.clone() } else { Committed::Done }, "commit {at}");
    }
    let trips = wire.trips.load(Ordering::Relaxed) - before;
    let stats = store.stats();
    assert!(trips < 300, "{trips} round trips");
    assert_eq!((stats.commits, stats.rejected, stats.collisions), (201, 100, 0));
}

/// What a client was told of its writes.
#[derive(Default, Debug)]
struct Told {
    done: u64,
    unknown: u64,
    /// Answered as not done.
    failed: u64,
    /// Guards of what was done, and of what was not.
    kept: Vec<Guard>,
    refused: Vec<Guard>,
}

impl Told {
    fn note(&mut self, guards: Vec<Guard>, answer: &Result<Committed, gateway_core::StoreError>) {
        match answer {
            Ok(Committed::Done) => {
                self.done += 1;
                self.kept.extend(guards);
            }
            Ok(Committed::Unknown) => self.unknown += 1,
            Ok(Committed::Stale) | Err(_) => {
                self.failed += 1;
                self.refused.extend(guards);
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
}

/// Updates one user of its own until enough connections were cut; reads beside the cut wire.
async fn client(
    store: Arc<PostgresStore>,
    plain: Arc<PostgresStore>,
    wire: Arc<Wire>,
    guarded: bool,
) -> (UserId, Told) {
    let user = user();
    let mut told = Told::default();
    let creation = commit(Write::Create(user.clone()), guarded);
    loop {
        // The same again, as a client would: it is done once.
        match store.commit(creation.clone()).await {
            Ok(Committed::Done | Committed::Stale | Committed::KeyTaken(_)) => break,
            Ok(Committed::Unknown) | Err(_) => {}
            Ok(other) => panic!("{other:?}"),
        }
    }
    let mut round = 0;
    while wire.cuts.load(Ordering::Relaxed) < CUTS {
        round += 1;
        let before = plain.user(user.id).await.unwrap().unwrap();
        let write = Write::Update { after: next(&before, &round.to_string()), before };
        let commit = commit(write, guarded);
        let guards = commit.guards.clone();
        told.note(guards, &store.commit(commit).await);
    }
    (user.id, told)
}

async fn no_answer_lost_is_a_commit_lost(guarded: bool, coalesce: bool) {
    let database = database().await;
    let (url, wire) = proxy(&database.url).await;
    let plain = open(&database.url, |_| {}).await;
    let store = open(&url, |options| (options.coalesce, options.commit_connections) = (coalesce, 2)).await;
    wire.cut_every(3);
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        tasks.spawn(client(store.clone(), plain.clone(), wire.clone(), guarded));
    }
    let all = tasks.join_all().await;
    wire.cut_every(0);
    store.close().await;
    for (id, told) in &all {
        let user = plain.user(*id).await.unwrap().unwrap();
        let applied = user.version - 1;
        assert!(applied >= told.done, "{} done, {applied} applied", told.done);
        assert!(applied <= told.done + told.unknown, "{told:?}, {applied} applied");
        for guard in &told.kept {
            assert_eq!(plain.ledger(guard.key, now()).await.unwrap().as_ref(), Some(&guard.record));
        }
        for guard in &told.refused {
            assert_eq!(plain.ledger(guard.key, now()).await.unwrap(), None);
        }
    }
    let stats = store.stats();
    assert!(stats.resolved > 0, "{stats:?}");
    let sum = |of: fn(&Told) -> u64| all.iter().map(|(_, told)| of(told)).sum::<u64>();
    println!(
        "{} cuts: {} done, {} failed, {} unknown; {} resolved, {} statements",
        wire.cuts.load(Ordering::Relaxed),
        sum(|told| told.done),
        sum(|told| told.failed),
        sum(|told| told.unknown),
        stats.resolved,
        stats.statements
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_guarded_commit_is_lost_with_its_answer() {
    no_answer_lost_is_a_commit_lost(true, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_guarded_commit_is_lost_with_its_answer_without_coalescing() {
    no_answer_lost_is_a_commit_lost(true, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plain_commit_is_lost_with_its_answer() {
    no_answer_lost_is_a_commit_lost(false, true).await;
}
