//! Backups under load, restores, and everything that must not be restored from.

use std::{collections::BTreeMap, fs, path::PathBuf};

use gateway_core::{Page, Selection, UserStore as _};

use super::*;
use crate::BackupError;

/// A store with users, a tombstone and ledger rows of several hours, and a backup of it.
async fn backed_up(options: impl Fn(&Bench) -> Options) -> (Bench, PathBuf) {
    let bench = Bench::new();
    let store = EmbeddedStore::open(&bench.path().join("data"), options(&bench)).unwrap();
    for number in 1..=20 {
        let mut commit = bench.create(&user(number));
        commit.guards.push(bench.guard(u8::try_from(number).unwrap(), Some(id(number))));
        done(&store, commit).await;
        bench.pass(time::Duration::minutes(11));
    }
    done(&store, bench.delete(&user(20))).await;
    let backup = bench.path().join("backup");
    let told = store.backup(&backup, |_| true).unwrap();
    // 20 users, 19 links, memberships and statuses, 20 ledger rows, the batch number.
    assert_eq!((told.batch, told.records), (21, 20 + 3 * 19 + 20 + 1));
    (bench, backup)
}

fn plain(bench: &Bench) -> Options {
    bench.options()
}

fn keyed(bench: &Bench) -> Options {
    Options { encryption_key: Some([3; 32]), ..bench.options() }
}

async fn check(bench: &Bench, store: &EmbeddedStore) {
    let page = Page { after: None, of: Selection::Namespace(space("a")), limit: 100 };
    assert_eq!(store.list(&page).await.unwrap(), (1..20).map(user).collect::<Vec<_>>());
    assert_eq!(store.user(id(20)).await.unwrap(), None);
    assert_eq!(store.commit(bench.create(&user(20))).await.unwrap(), Committed::Stale, "the tombstone");
    for number in 1..20 {
        let key = LedgerKey([number; 16]);
        let record = store.ledger(key, bench.now()).await.unwrap().unwrap();
        assert_eq!(record.user, Some(id(number.into())));
        assert!(record.answer.is_some());
    }
}

#[tokio::test]
async fn a_restored_store_is_the_store_of_that_moment_and_goes_on() {
    for options in [plain, keyed] {
        let (bench, backup) = backed_up(options).await;
        let dir = bench.path().join("restored");
        EmbeddedStore::restore(&backup, &dir, options(&bench)).unwrap();
        let names = |dir: &Path| {
            let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(names(&dir), names(&bench.path().join("data")), "and no leftovers");
        let key = EmbeddedStore::open(&bench.path().join("data"), options(&bench)).unwrap().key();
        assert_ne!(key, EmbeddedStore::open(Bench::new().path(), options(&bench)).unwrap().key());
        for _ in 0..2 {
            let store = EmbeddedStore::open(&dir, options(&bench)).unwrap();
            check(&bench, &store).await;
            check_lists(&store).await;
            assert_eq!(store.key(), key, "entity tags go on to hold");
            assert_eq!(store.scrub().unwrap().damaged, 0);
        }
        let store = EmbeddedStore::open(&dir, options(&bench)).unwrap();
        assert_eq!(store.stats().acked_seq, 21);
        done(&store, bench.create(&user(30))).await;
        drop(store);
        let store = EmbeddedStore::open(&dir, options(&bench)).unwrap();
        assert_eq!(store.stats().acked_seq, 22);
        // And a backup of a restored store is one, too.
        store.backup(&bench.path().join("again"), |_| true).unwrap();
    }
}

#[tokio::test]
async fn the_backup_of_an_encrypted_store_is_encrypted_and_bound_to_its_key() {
    let (bench, backup) = backed_up(keyed).await;
    for entry in fs::read_dir(&backup).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"answer"));
    }
    let wrong = Options { encryption_key: Some([4; 32]), ..bench.options() };
    for options in [bench.options(), wrong] {
        let error = EmbeddedStore::restore(&backup, &bench.path().join("new"), options).unwrap_err();
        assert!(matches!(error, BackupError::Open(OpenFault::KeyNeeded | OpenFault::KeyWrong)));
        assert!(!bench.path().join("new").exists());
    }
}

#[tokio::test]
async fn only_the_owner_may_look_into_a_backup() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_bench, backup) = backed_up(plain).await;
    let entries = fs::read_dir(&backup).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.chain([backup.clone()]) {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

#[tokio::test]
async fn nothing_is_written_over() {
    let (bench, backup) = backed_up(plain).await;
    let store = EmbeddedStore::open(&bench.path().join("data"), bench.options()).unwrap();
    assert!(matches!(store.backup(&backup, |_| true), Err(BackupError::NotEmpty(_))));
    assert!(matches!(store.backup(&backup.join("no/parent"), |_| true), Err(BackupError::NoPlace(_))));
    drop(store);
    for dir in ["data", "backup"] {
        let refused = EmbeddedStore::restore(&backup, &bench.path().join(dir), bench.options());
        assert!(matches!(refused, Err(BackupError::NotEmpty(_))), "{dir}");
    }
    check(&bench, &EmbeddedStore::open(&bench.path().join("data"), bench.options()).unwrap()).await;
}

#[tokio::test]
async fn a_damaged_or_incomplete_backup_is_refused_and_leaves_nothing() {
    let (bench, backup) = backed_up(plain).await;
    let dir = bench.path().join("new");
    let refused = |what: &str| {
        let error = EmbeddedStore::restore(&backup, &dir, bench.options()).unwrap_err();
        assert!(matches!(error, BackupError::Damaged(_)), "{what}: {error}");
        assert!(!dir.exists(), "{what}");
    };
    for entry in fs::read_dir(&backup).unwrap() {
        let path = entry.unwrap().path();
        let (name, whole) = (path.display().to_string(), fs::read(&path).unwrap());
        for at in (0..whole.len()).step_by(if path.ends_with("MANIFEST") { 1 } else { 37 }) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, flipped).unwrap();
            refused(&format!("{name}, byte {at}"));
        }
        for len in [0, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..len]).unwrap();
            refused(&format!("{name} cut at {len}"));
        }
        fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        refused(&format!("{name} with more"));
        fs::remove_file(&path).unwrap();
        refused(&format!("{name} is missing"));
        fs::write(&path, whole).unwrap();
    }
    EmbeddedStore::restore(&backup, &dir, bench.options()).unwrap();
}

#[tokio::test]
async fn a_restore_that_was_cut_short_is_no_store_and_can_be_run_again() {
    let (bench, backup) = backed_up(plain).await;
    let dir = bench.path().join("new");
    EmbeddedStore::restore(&backup, &dir, bench.options()).unwrap();
    // As if it had ended before the marker came.
    fs::create_dir(dir.join("restore.tmp")).unwrap();
    fs::rename(dir.join("users.created"), dir.join("restore.tmp/users.created")).unwrap();
    let error = EmbeddedStore::open(&dir, bench.options()).unwrap_err();
    assert!(matches!(error.fault, OpenFault::RestoreCutShort));
    EmbeddedStore::restore(&backup, &dir, bench.options()).unwrap();
    check(&bench, &EmbeddedStore::open(&dir, bench.options()).unwrap()).await;
}

#[tokio::test]
async fn a_directory_that_lost_all_but_its_lock_is_restored_into() {
    let (bench, backup) = backed_up(plain).await;
    let dir = bench.path().join("data");
    fs::remove_dir_all(dir.join("users")).unwrap();
    for name in ["users.created", "users.acked"] {
        fs::remove_file(dir.join(name)).unwrap();
    }
    let lost = EmbeddedStore::open(&dir, bench.options()).unwrap_err();
    assert!(matches!(lost.fault, OpenFault::MarkerLost));
    EmbeddedStore::restore(&backup, &dir, bench.options()).unwrap();
    check(&bench, &EmbeddedStore::open(&dir, bench.options()).unwrap()).await;
}

#[tokio::test]
async fn a_damaged_record_does_not_get_into_a_backup() {
    let bench = Bench::new();
    {
        let store = bench.open();
        done(&store, bench.create(&user(1))).await;
    }
    bench.raw(|db| {
        let users = db.keyspace("users", fjall::KeyspaceCreateOptions::default).unwrap();
        let mut ingestion = users.start_ingestion().unwrap();
        ingestion.write(id(2).as_bytes(), b"nonsense").unwrap();
        ingestion.finish().unwrap();
    });
    let target = tempfile::tempdir().unwrap();
    let refused = bench.open().backup(&target.path().join("backup"), |_| true);
    assert!(matches!(refused, Err(BackupError::Store(_))));
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}

/// Four writers update users of their own, each update with a ledger row; meanwhile backups are taken.
/// Each must be the state after some prefix of each writer's commits, users and ledger alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_of_one_moment() {
    let bench = Bench::new();
    let store = Arc::new(EmbeddedStore::open(&bench.path().join("data"), bench.options()).unwrap());
    let now = bench.now();
    let going = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let writers: Vec<_> = (1..=4u8)
        .map(|writer| {
            let (store, going) = (Arc::clone(&store), Arc::clone(&going));
            tokio::spawn(async move {
                let mut before = user(writer.into());
                let mut write = Write::Create(Arc::clone(&before));
                for count in 1u64.. {
                    let key = LedgerKey(((u128::from(writer) << 64) | u128::from(count)).to_be_bytes());
                    let record =
                        LedgerRecord { fingerprint: [0; 32], at: now, user: Some(before.id), answer: None };
                    let commit = Commit { write: Some(write), guards: vec![Guard { key, record }], now };
                    done(&store, commit).await;
                    if !going.load(Ordering::Relaxed) {
                        return count;
                    }
                    let after = with(&before, Attr::City, &count.to_string());
                    write = Write::Update { before, after: Arc::clone(&after) };
                    before = after;
                }
                0
            })
        })
        .collect();
    let mut backups = Vec::new();
    for number in 0..4 {
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        let (store, dir) = (Arc::clone(&store), bench.path().join(format!("backup{number}")));
        let taken = tokio::task::spawn_blocking(move || (store.backup(&dir, |_| true).unwrap(), dir));
        backups.push(taken.await.unwrap());
    }
    going.store(false, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 4, "commits went on");
    }
    let mut last = 0;
    for (told, backup) in backups {
        let dir = backup.with_extension("restored");
        EmbeddedStore::restore(&backup, &dir, bench.options()).unwrap();
        let restored = EmbeddedStore::open(&dir, bench.options()).unwrap();
        assert!(told.batch > last, "a later moment");
        last = told.batch;
        let mut rows = BTreeMap::new();
        for writer in 1..=4u64 {
            let version = restored.user(id(writer)).await.unwrap().map_or(0, |user| user.version);
            let taken =
                |count: u64| LedgerKey(((u128::from(writer) << 64) | u128::from(count)).to_be_bytes());
            for count in 1..=version + 1 {
                let row = restored.ledger(taken(count), now).await.unwrap();
                assert_eq!(row.is_some(), count <= version, "writer {writer}, commit {count} of {version}");
            }
            rows.insert(writer, version);
        }
        assert_eq!(restored.stats().ledger_keys as u64, rows.values().sum::<u64>());
    }
}
