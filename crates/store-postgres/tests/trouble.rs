//! Databases that go, hang or get in each other's way: every commit is answered, and nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/hanging.rs"]
mod hanging;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gateway_core::{
    Attr, Change, Commit, Committed, Guard, LedgerKey, LedgerRecord, Status, StoreError, Timestamp, User,
    UserId, UserStore as _, Value, Write,
};
use gateway_testkit::{
    contract::Start,
    postgres::{Database, Instance},
};
use hanging::hanging;
use store_postgres::{OpenError, Options, PostgresStore, migrate};
use tokio::{net::TcpListener, task::JoinSet};

fn now() -> Timestamp {
    Start::default().now
}

fn options(url: &str) -> Options {
    Options::new(url, Arc::new(now))
}

async fn migrated() -> Database {
    let database = Database::create();
    migrate(&options(&database.url)).await.unwrap();
    database
}

fn user(number: u8) -> Arc<User> {
    Arc::new(User::new(UserId::from_bytes([number; 16]), Status::Active, now()))
}

fn commit(write: Write, guards: Vec<Guard>) -> Commit {
    Commit { write: Some(write), guards, now: now() }
}

fn next(before: &Arc<User>, text: &str) -> Arc<User> {
    Arc::new(before.changed(&[Change::set(Attr::Bio, Value::text(text.to_owned()))], now()).unwrap())
}

fn update(before: &Arc<User>, text: &str) -> Commit {
    commit(Write::Update { before: before.clone(), after: next(before, text) }, Vec::new())
}

fn guard(key: u8, user: &User) -> Guard {
    let record = LedgerRecord {
        fingerprint: [key; 32],
        at: now(),
        user: Some(user.id),
        answer: Some(vec![key; 40].into()),
    };
    Guard { key: LedgerKey([key; 16]), record }
}

/// Users of these numbers, made.
async fn made(store: &PostgresStore, numbers: impl Iterator<Item = u8>) -> Vec<Arc<User>> {
    let mut users = Vec::new();
    for number in numbers {
        let done = store.commit(commit(Write::Create(user(number)), Vec::new())).await.unwrap();
        assert_eq!(done, Committed::Done);
        users.push(user(number));
    }
    users
}

/// Another client that holds the rows of all users until it is dropped.
async fn holding(database: &Database) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT 1 FROM interlingua_users ORDER BY id FOR UPDATE").await.unwrap();
    client
}

async fn until(mut it_is_so: impl FnMut() -> bool) {
    while !it_is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A figure of the server's about a database, once nobody but the asker is connected.
async fn figure(database: &Database, name: &str) -> String {
    let alone = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()";
    until(|| database.column(alone).unwrap() == ["1"]).await;
    let figure = format!("SELECT {name}::text FROM pg_stat_database WHERE datname = current_database()");
    database.column(&figure).unwrap().concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_its_database_answers_what_it_took_and_closes() {
    let mut server = Instance::start();
    let database = Database::on(&server.url());
    migrate(&options(&database.url)).await.unwrap();
    let store = PostgresStore::open(options(&database.url)).await.unwrap();
    let users = made(&store, 1..20).await;
    server.kill();
    let store = Arc::new(store);
    let mut answers = JoinSet::new();
    for user in users {
        let store = Arc::clone(&store);
        answers.spawn(async move { store.commit(update(&user, "late")).await });
    }
    until(|| store.stats().connections == 0).await;
    store.close().await;
    // What was on its way when the server went is not known; all else was not done.
    for answer in answers.join_all().await {
        assert!(matches!(answer, Ok(Committed::Unknown) | Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(matches!(store.commit(update(&user(1), "later")).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_can_be_used_once_it_is_open() {
    let database = migrated().await;
    for _ in 0..20 {
        let store = PostgresStore::open(options(&database.url)).await.unwrap();
        assert_eq!(store.health(), store_postgres::Health::Ready);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_is_no_error_in_the_log_of_the_server() {
    let database = migrated().await;
    let before: u64 = figure(&database, "xact_rollback").await.parse().unwrap();
    let store = PostgresStore::open(options(&database.url)).await.unwrap();
    made(&store, 1..3).await;
    until(|| store.stats().connections == 4).await;
    store.close().await;
    drop(store);
    assert_eq!(figure(&database, "xact_rollback").await, before.to_string());
}

/// Two gateways that update the same users, each in an order of its own, wait for each other and never both.
#[tokio::test(flavor = "multi_thread")]
async fn statements_of_two_gateways_never_lock_each_other_out() {
    let database = migrated().await;
    let one = Options { commit_connections: 1, ..options(&database.url) };
    let stores = [PostgresStore::open(one.clone()).await.unwrap(), PostgresStore::open(one).await.unwrap()];
    let stores = stores.map(Arc::new);
    let mut users = made(&stores[0], 1..65).await;
    for round in 0..40 {
        let mut tasks = JoinSet::new();
        for (at, store) in stores.iter().enumerate() {
            let mut own = users.clone();
            if at == 1 {
                own.reverse();
            }
            for user in own {
                let store = Arc::clone(store);
                tasks.spawn(async move { store.commit(update(&user, &format!("{round} {at}"))).await });
            }
        }
        let ends = tasks.join_all().await;
        let done = ends.into_iter().filter(|end| matches!(end, Ok(Committed::Done))).count();
        assert_eq!(done, users.len(), "one of two for each user");
        for user in &mut users {
            *user = stores[0].current(user.id).await.unwrap().unwrap();
        }
    }
    for store in stores {
        store.close().await;
    }
    assert_eq!(figure(&database, "deadlocks").await, "0");
}

/// A deletion blanks the answers about its user, also one under a key that a neighbour in its statement asks
/// for and is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_is_refused_keeps_no_answer_of_the_deleted() {
    let database = migrated().await;
    let store = PostgresStore::open(Options { commit_connections: 1, ..options(&database.url) });
    let store = Arc::new(store.await.unwrap());
    let users = made(&store, 1..4).await;
    let kept = Commit { write: None, guards: vec![guard(9, &users[0])], now: now() };
    assert_eq!(store.commit(kept).await.unwrap(), Committed::Done);
    let held = holding(&database).await;
    let spawn = |commit: Commit| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(commit).await.unwrap() })
    };
    let first = spawn(update(&users[2], "waits for its row"));
    until(|| store.stats().statements == 5).await;
    let deleted = spawn(commit(Write::Delete { before: users[0].clone() }, Vec::new()));
    let write = Write::Update { before: users[1].clone(), after: next(&users[1], "refused") };
    let refused = spawn(commit(write, vec![guard(9, &users[1])]));
    until(|| store.stats().queue_depth == 2).await;
    held.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(first.await.unwrap(), Committed::Done);
    assert_eq!(deleted.await.unwrap(), Committed::Done);
    assert_eq!(refused.await.unwrap(), Committed::KeyTaken(LedgerKey([9; 16])));
    assert_eq!(store.stats().statements, 6, "in one statement");
    assert_eq!(store.ledger(LedgerKey([9; 16]), now()).await.unwrap().unwrap().answer, None);
}

/// Where a statement was too slow for all of its commits, those who wait behind it are not made to wait for
/// each of them in turn.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_statement_leaves_is_not_tried_for_ever() {
    let database = migrated().await;
    let (statement_timeout, wait) = (Duration::from_millis(300), Duration::from_millis(100));
    let slow = Options { commit_connections: 1, statement_timeout, wait, ..options(&database.url) };
    let store = Arc::new(PostgresStore::open(slow).await.unwrap());
    let users = made(&store, 1..33).await;
    let held = holding(&database).await;
    let before = store.stats().statements;
    let mut tasks = JoinSet::new();
    for user in &users {
        let (store, commit) = (Arc::clone(&store), update(user, "late"));
        tasks.spawn(async move { store.commit(commit).await });
    }
    for answer in tasks.join_all().await {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    assert!(store.stats().statements - before < 8, "{} statements", store.stats().statements - before);
    held.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.commit(update(&users[0], "on time")).await.unwrap(), Committed::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_after_the_login_keeps_no_connections() {
    let (address, open) = hanging().await;
    let connect_timeout = Duration::from_millis(100);
    let url = format!("postgres://a@{address}/b?sslmode=disable");
    let hung = Options { connect_timeout, ..options(&url) };
    for _ in 0..3 {
        let refused = PostgresStore::open(hung.clone()).await;
        assert!(matches!(refused, Err(OpenError::Unreachable)), "{refused:?}");
    }
    assert_eq!(open.waited.load(Ordering::SeqCst), 3);
    until(|| open.standing.load(Ordering::SeqCst) == 0).await;
}

/// The host that took writes last is asked first.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_away_is_not_asked_for_each_connection() {
    let database = migrated().await;
    let (before, rest) = database.url.split_once('@').unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let url = format!("{before}@{},{rest}", closed.local_addr().unwrap());
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while closed.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let store = PostgresStore::open(options(&url)).await.unwrap();
    until(|| store.stats().connections == 4).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
