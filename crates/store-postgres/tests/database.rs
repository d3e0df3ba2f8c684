//! What the store makes of its database: migrations, purging, deletion, damage, reads that may be old.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use gateway_core::{
    Attr, Change, Commit, Committed, ExternalId, Guard, LedgerKey, LedgerRecord, Link, Namespace, Status,
    StoreError, Timestamp, UniqueKey, User, UserId, UserStore as _, Value, Write,
};
use gateway_testkit::{
    contract::Start,
    postgres::{Database, Instance, column, execute},
};
use store_postgres::{OpenError, Options, PostgresStore, migrate};
use tokio::task::JoinSet;

fn now() -> Timestamp {
    Start::default().now
}

fn options(database: &Database) -> Options {
    Options::new(database.url.clone(), Arc::new(now))
}

async fn migrated() -> Database {
    let database = Database::create();
    migrate(&options(&database)).await.unwrap();
    database
}

fn user(byte: u8) -> Arc<User> {
    let user = User::new(UserId::from_bytes([byte; 16]), Status::Active, now());
    Arc::new(user.changed(&[Change::set(Attr::Email, Value::text("Jane@Example.org"))], now()).unwrap())
}

fn creation(user: &Arc<User>) -> Commit {
    Commit { write: Some(Write::Create(user.clone())), guards: Vec::new(), now: now() }
}

fn update(before: &Arc<User>, bio: &str) -> (Arc<User>, Commit) {
    let changed = before.changed(&[Change::set(Attr::Bio, Value::text(bio.to_owned()))], now());
    let after = Arc::new(changed.unwrap());
    let write = Some(Write::Update { before: before.clone(), after: after.clone() });
    (after, Commit { write, guards: Vec::new(), now: now() })
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_run_once_however_many_run_them() {
    for _ in 0..5 {
        let database = Database::create();
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            let options = options(&database);
            tasks.spawn(async move { migrate(&options).await.unwrap() });
        }
        assert!(tasks.join_all().await.iter().all(|migrated| migrated.to == 1));
        assert_eq!(database.column("SELECT number::text FROM interlingua_migrations").unwrap(), ["1"]);
        let key = PostgresStore::open(options(&database)).await.unwrap();
        let again = migrate(&options(&database)).await.unwrap();
        assert_eq!((again.from, again.to), (1, 1));
        let other = PostgresStore::open(options(&database)).await.unwrap();
        assert_eq!(gateway_core::UserStore::key(&key), gateway_core::UserStore::key(&other));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_release_is_refused() {
    let database = Database::create();
    let refused = PostgresStore::open(options(&database)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Behind { wanted: 1, found: 0 }), "{refused}");
    migrate(&options(&database)).await.unwrap();
    database.execute("INSERT INTO interlingua_migrations (number) VALUES (2)").unwrap();
    let refused = PostgresStore::open(options(&database)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Ahead { known: 1, found: 2 }), "{refused}");
    assert!(matches!(migrate(&options(&database)).await, Err(OpenError::Ahead { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_records_of_more_than_25_hours_are_purged() {
    let database = migrated().await;
    let later = now() + LedgerRecord::PURGE_AFTER;
    let store =
        PostgresStore::open(Options { clock: Arc::new(move || later), ..options(&database) }).await.unwrap();
    let guards = |count: u16, at: Timestamp| {
        (0..count).map(move |number| {
            let [high, low] = number.to_be_bytes();
            let mut key = [u8::from(at < now()); 16];
            (key[1], key[2]) = (high, low);
            Guard {
                key: LedgerKey(key),
                record: LedgerRecord { fingerprint: [0; 32], at, user: None, answer: None },
            }
        })
    };
    let old = guards(2_500, now() - time::Duration::NANOSECOND).collect();
    let young = guards(500, now()).collect();
    for guards in [old, young] {
        assert_eq!(store.commit(Commit { write: None, guards, now: now() }).await.unwrap(), Committed::Done);
    }
    assert_eq!(store.purge().await.unwrap(), 2_500);
    assert_eq!(store.purge().await.unwrap(), 0);
    assert_eq!(database.column("SELECT count(*)::text FROM interlingua_ledger").unwrap(), ["500"]);
    assert_eq!(store.stats().purged, 2_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_nothing_of_its_user() {
    let database = migrated().await;
    let store = PostgresStore::open(options(&database)).await.unwrap();
    let one = user(1);
    store.commit(creation(&one)).await.unwrap();
    let write = Some(Write::Delete { before: one.clone() });
    let deleted = store.commit(Commit { write, guards: Vec::new(), now: now() }).await.unwrap();
    assert_eq!(deleted, Committed::Done);
    let left = "SELECT status || ',' || version || ',' || (email IS NULL) || ',' || (length(record) < 50)
        FROM interlingua_users";
    assert_eq!(database.column(left).unwrap(), ["0,3,true,true"]);
    assert_eq!(database.column("SELECT count(*)::text FROM interlingua_keys").unwrap(), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_told_and_never_given_out() {
    let database = migrated().await;
    let store = PostgresStore::open(options(&database)).await.unwrap();
    let (one, two) = (user(1), user(2));
    for user in [&one, &two] {
        store.commit(creation(user)).await.unwrap();
    }
    let damage = "UPDATE interlingua_users SET record = set_byte(record, 40, get_byte(record, 40) # 1)
        WHERE id = '01010101-0101-0101-0101-010101010101'";
    database.execute(damage).unwrap();
    assert!(matches!(store.user(one.id).await, Err(StoreError::Damaged(_))));
    assert_eq!(store.user(two.id).await.unwrap(), Some(two.clone()));
    // The record of another, whole in itself.
    let misplaced = "UPDATE interlingua_users SET record =
        (SELECT record FROM interlingua_users WHERE id = '02020202-0202-0202-0202-020202020202')";
    database.execute(misplaced).unwrap();
    assert!(matches!(store.user(one.id).await, Err(StoreError::Damaged(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_as_of_its_time_unless_it_may_be_old() {
    let database = migrated().await;
    let plain = PostgresStore::open(options(&database)).await.unwrap();
    let max_stale = Some(Duration::from_secs(3600));
    let stale = PostgresStore::open(Options { max_stale, ..options(&database) }).await.unwrap();
    let first = user(1);
    plain.commit(creation(&first)).await.unwrap();
    assert_eq!(stale.user(first.id).await.unwrap(), Some(first.clone()));
    let (second, commit) = update(&first, "second");
    assert_eq!(plain.commit(commit).await.unwrap(), Committed::Done);
    assert_eq!(plain.user(first.id).await.unwrap(), Some(second.clone()));
    assert_eq!(stale.user(first.id).await.unwrap(), Some(first.clone()), "within the time allowed");
    // What is refused as stale is read anew.
    let (_, commit) = update(&first, "lost");
    assert_eq!(stale.commit(commit).await.unwrap(), Committed::Stale);
    assert_eq!(stale.user(first.id).await.unwrap(), Some(second.clone()));
    // One's own writes are seen at once.
    let (third, commit) = update(&second, "third");
    assert_eq!(stale.commit(commit).await.unwrap(), Committed::Done);
    assert_eq!(stale.user(first.id).await.unwrap(), Some(third.clone()));
    let write = Some(Write::Delete { before: third.clone() });
    stale.commit(Commit { write, guards: Vec::new(), now: now() }).await.unwrap();
    assert_eq!(stale.user(first.id).await.unwrap(), None);
    assert_eq!(stale.stats().cache_hits, 2);
}

/// What a store last knew is at hand without a question, told apart from what stands, and no newer.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_last_seen_is_at_hand_for_writes() {
    let database = migrated().await;
    let max_stale = Some(Duration::from_secs(3600));
    let own = PostgresStore::open(Options { max_stale, ..options(&database) }).await.unwrap();
    let other = PostgresStore::open(options(&database)).await.unwrap();
    let link = Link {
        namespace: Namespace::parse("partner").unwrap(),
        external_id: ExternalId::parse("jane").unwrap(),
    };
    let key = UniqueKey::Link(link.clone());
    let first = Arc::new(User { links: vec![link], ..(*user(1)).clone() });
    assert_eq!(own.recent(first.id), None);
    own.commit(creation(&first)).await.unwrap();
    assert_eq!((own.recent(first.id), own.recent_by(&key)), (Some(first.clone()), Some(first.clone())));
    // A store that asks knows it from then on, without being allowed older reads.
    assert_eq!((other.recent(first.id), other.recent_by(&key)), (None, None));
    assert_eq!(other.find(&key).await.unwrap(), Some(first.clone()));
    assert_eq!((other.recent(first.id), other.recent_by(&key)), (Some(first.clone()), Some(first.clone())));
    // Behind its back: what is recent is old, what is current is not.
    let (second, commit) = update(&first, "second");
    assert_eq!(other.commit(commit).await.unwrap(), Committed::Done);
    assert_eq!(
        (own.recent(first.id), own.user(first.id).await.unwrap()),
        (Some(first.clone()), Some(first.clone()))
    );
    assert_eq!(own.current(first.id).await.unwrap(), Some(second.clone()));
    assert_eq!(own.recent(first.id), Some(second.clone()));
    // A commit that is stale or done says what it is worth; one that lost a key says nothing.
    let (_, commit) = update(&first, "lost");
    assert_eq!(other.commit(commit.clone()).await.unwrap(), Committed::Stale);
    assert_eq!(other.recent(first.id), Some(second.clone()));
    let (third, next) = update(&second, "third");
    assert_eq!(own.commit(next).await.unwrap(), Committed::Done);
    assert_eq!(own.recent_by(&key), Some(third.clone()));
    let (_, commit) = update(&second, "lost");
    assert_eq!(other.commit(commit).await.unwrap(), Committed::Stale);
    assert_eq!((other.recent(first.id), other.recent_by(&key)), (None, None));
    let write = Some(Write::Delete { before: third });
    own.commit(Commit { write, guards: Vec::new(), now: now() }).await.unwrap();
    assert_eq!((own.recent(first.id), own.user(first.id).await.unwrap()), (None, None));
}

fn guarded(user: &Arc<User>) -> (LedgerKey, Commit) {
    let key = LedgerKey(*user.id.as_bytes());
    let record = LedgerRecord { fingerprint: [7; 32], at: now(), user: Some(user.id), answer: None };
    (key, Commit { guards: vec![Guard { key, record }], ..creation(user) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_too_long_was_not_done() {
    let database = migrated().await;
    let statement_timeout = Duration::from_millis(200);
    let store = PostgresStore::open(Options { statement_timeout, ..options(&database) }).await.unwrap();
    let first = user(1);
    store.commit(creation(&first)).await.unwrap();
    let (mut other, connection) =
        tokio_postgres::connect(&database.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let held = other.transaction().await.unwrap();
    held.execute("SELECT 1 FROM interlingua_users FOR UPDATE", &[]).await.unwrap();
    let (second, commit) = update(&first, "second");
    assert!(matches!(store.commit(commit.clone()).await, Err(StoreError::Unavailable(_))));
    held.rollback().await.unwrap();
    assert_eq!(store.user(first.id).await.unwrap(), Some(first));
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Done);
    assert_eq!(store.user(second.id).await.unwrap(), Some(second));
}

/// A commit whose wait for its standby is cut short by somebody is there, and may be lost with its host: it
/// is never said to be done, however it is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_no_standby_has_is_not_done() {
    let server = Instance::start();
    let database = Database::on(&server.url());
    migrate(&options(&database)).await.unwrap();
    let store = PostgresStore::open(options(&database)).await.unwrap();
    let standby = |name: &str| {
        execute(&server.url(), &format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'")).unwrap();
        execute(&server.url(), "SELECT pg_reload_conf()").unwrap();
    };
    let cut = async {
        loop {
            let waits =
                "SELECT pg_cancel_backend(pid)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            column(&server.url(), waits).unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answers = async {
        standby("nobody");
        // The server takes a moment to know of its standby: until then all is done.
        for byte in 1..=200 {
            let (key, commit) = guarded(&user(byte));
            let answer = store.commit(commit).await.unwrap();
            if answer != Committed::Done {
                return (byte, key, answer);
            }
        }
        panic!("nothing waited for the standby, or its answer was taken for good");
    };
    let (byte, key, answer) = tokio::select! { answer = answers => answer, () = cut => return };
    assert_eq!(answer, Committed::Unknown);
    standby("");
    assert_eq!(store.user(user(byte).id).await.unwrap(), Some(user(byte)));
    assert_eq!(store.commit(guarded(&user(byte)).1).await.unwrap(), Committed::KeyTaken(key));
    let stats = store.stats();
    assert_eq!((stats.unknown, stats.resolved), (1, 0));
}
