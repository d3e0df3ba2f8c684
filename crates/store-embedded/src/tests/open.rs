//! Creation that is cut short anywhere, and directories that must not be opened.

use std::fs;

use gateway_core::{StoreError, UserStore as _};

use super::*;

/// A store with one user and a ledger row, closed.
async fn filled(bench: &Bench) {
    let store = bench.open();
    let one = user(1);
    let mut commit = bench.create(&one);
    commit.guards.push(bench.guard(1, Some(one.id)));
    done(&store, commit).await;
}

/// The folder of a keyspace.
fn folder(bench: &Bench, name: &str) -> std::path::PathBuf {
    bench.raw(|db| db.keyspace(name, fjall::KeyspaceCreateOptions::default).unwrap().path().to_owned())
}

/// Writes past the journal, in which every batch is numbered.
fn overwrite(users: &fjall::Keyspace, id: UserId, bytes: Vec<u8>) {
    let mut ingestion = users.start_ingestion().unwrap();
    ingestion.write(id.as_bytes(), bytes).unwrap();
    ingestion.finish().unwrap();
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let bench = Bench::new();
    let (one, two) = (user(1), user(2));
    let named = with(&one, Attr::Username, "Jane");
    {
        let store = bench.open();
        done(&store, bench.create(&one)).await;
        done(&store, bench.update(&one, &named)).await;
        let mut deletion = bench.create(&two);
        deletion.guards.push(bench.guard(7, None));
        done(&store, deletion).await;
        done(&store, bench.delete(&two)).await;
    }
    let store = bench.open();
    assert_eq!(store.user(one.id).await.unwrap(), Some(named.clone()));
    let key = UniqueKey::Username(space("a"), "jane".into());
    assert_eq!(store.find(&key).await.unwrap(), Some(named));
    assert_eq!(store.user(two.id).await.unwrap(), None);
    assert_eq!(
        store.commit(bench.create(&two)).await.unwrap(),
        Committed::Stale,
        "an id is never used again"
    );
    let guard = bench.guard(7, None);
    assert_eq!(store.ledger(guard.key, bench.now()).await.unwrap(), Some(guard.record));
    assert_eq!(store.stats().acked_seq, 4);
}

#[test]
fn creation_goes_on_from_every_point_where_it_was_cut_short() {
    let whole = Bench::new();
    drop(whole.open());
    let steps: [(&str, &[&str]); 5] = [
        ("nothing", &[]),
        ("the lock", &[]),
        ("part of the new database", &["users"]),
        ("the database in place", &["users"]),
        ("the mark", &["users", "users.acked"]),
    ];
    for (step, names) in steps {
        let bench = Bench::new();
        if step != "nothing" {
            fs::write(bench.path().join("lock"), "").unwrap();
        }
        for name in names {
            let (from, to) = (whole.path().join(name), bench.path().join(name));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                fs::copy(from, to).unwrap();
            }
        }
        if step == "part of the new database" {
            fs::rename(bench.path().join("users"), bench.path().join("users.tmp")).unwrap();
            fs::remove_file(bench.path().join("users.tmp/version")).unwrap();
        }
        drop(bench.open());
        assert!(!bench.path().join("users.tmp").exists(), "{step}");
        drop(bench.open());
    }
}

#[test]
fn a_marker_cut_short_is_no_marker() {
    let bench = Bench::new();
    fs::write(bench.path().join("users.created.tmp"), b"ILST").unwrap();
    fs::create_dir(bench.path().join("users.tmp")).unwrap();
    drop(bench.open());
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let bench = Bench::new();
    fs::write(bench.path().join("thesis.txt"), "x").unwrap();
    assert!(matches!(bench.refused(), OpenFault::Foreign));
    assert_eq!(fs::read_dir(bench.path()).unwrap().count(), 1);
}

/// Names that a creation leaves make nothing ours that it does not leave.
#[test]
fn foreign_files_under_our_names_are_refused_and_left_alone() {
    for paths in [
        &["users.tmp/precious.txt"][..],
        &["users.tmp/precious.txt", "other.txt"],
        &["users/alice.txt"],
        &["users/0.jnl", "users.csv"],
        &["lock", "data.db"],
    ] {
        let bench = Bench::new();
        for path in paths {
            let path = bench.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let entries = fs::read_dir(bench.path()).unwrap().count();
        assert!(matches!(bench.refused(), OpenFault::Foreign), "{paths:?}");
        assert!(paths.iter().all(|path| bench.path().join(path).exists()), "{paths:?}");
        assert_eq!(fs::read_dir(bench.path()).unwrap().count(), entries, "{paths:?}");
    }
}

#[test]
fn an_empty_file_system_is_not_foreign() {
    let bench = Bench::new();
    fs::create_dir(bench.path().join("lost+found")).unwrap();
    fs::write(bench.path().join(".gitkeep"), "").unwrap();
    drop(bench.open());
}

#[test]
fn a_second_open_is_refused_while_the_first_lasts() {
    let bench = Bench::new();
    let first = bench.open();
    assert!(matches!(bench.refused(), OpenFault::Locked));
    drop(first);
    drop(bench.open());
}

#[tokio::test]
async fn data_without_a_marker_is_refused_and_left_alone() {
    let bench = Bench::new();
    filled(&bench).await;
    fs::remove_file(bench.path().join("users.created")).unwrap();
    assert!(matches!(bench.refused(), OpenFault::MarkerLost));
    fs::remove_file(bench.path().join("users.acked")).unwrap();
    assert!(matches!(bench.refused(), OpenFault::MarkerLost), "the journal alone tells");
    assert!(!bench.path().join("users.acked").exists());
}

#[tokio::test]
async fn a_mark_without_a_database_is_refused() {
    let bench = Bench::new();
    filled(&bench).await;
    fs::remove_file(bench.path().join("users.created")).unwrap();
    fs::remove_dir_all(bench.path().join("users")).unwrap();
    assert!(matches!(bench.refused(), OpenFault::MarkerLost));
}

/// Also where nothing was ever written to it.
#[test]
fn a_lock_that_remembers_a_store_is_refused_alone() {
    let bench = Bench::new();
    drop(bench.open());
    drop(bench.open());
    for name in ["users.created", "users.acked"] {
        fs::remove_file(bench.path().join(name)).unwrap();
        assert!(matches!(bench.refused(), OpenFault::MarkerLost));
    }
    fs::remove_dir_all(bench.path().join("users")).unwrap();
    assert!(matches!(bench.refused(), OpenFault::MarkerLost));
    assert_eq!(fs::read_dir(bench.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn every_file_that_the_engine_would_do_without_is_missed() {
    for name in ["users", "users/version", "users/0.jnl", "users/keyspaces/0/current", "users.acked"] {
        let bench = Bench::new();
        filled(&bench).await;
        let path = bench.path().join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        assert!(matches!(bench.refused(), OpenFault::Missing(_)), "{name}");
        assert!(!path.exists(), "{name} was made anew");
    }
}

#[tokio::test]
async fn a_lost_keyspace_is_refused_and_its_folder_kept() {
    for name in ["users", "keys", "meta", "l_2026030110"] {
        let bench = Bench::new();
        filled(&bench).await;
        let folder = folder(&bench, name);
        fs::remove_file(folder.join("current")).unwrap();
        assert!(matches!(bench.refused(), OpenFault::KeyspaceLost(lost) if lost == name));
        assert!(folder.exists());
    }
}

#[tokio::test]
async fn a_keyspace_that_the_engine_forgot_is_missed() {
    let bench = Bench::new();
    filled(&bench).await;
    bench.raw(|db| {
        let keyspace = db.keyspace("l_2026030110", fjall::KeyspaceCreateOptions::default).unwrap();
        let copied = keyspace.path().to_owned();
        copy(&copied, &bench.path().join("kept"));
        db.delete_keyspace(keyspace).unwrap();
    });
    assert!(matches!(bench.refused(), OpenFault::KeyspaceLost(lost) if lost == "l_2026030110"));
}

#[tokio::test]
async fn an_hour_that_is_not_in_the_inventory_yet_is_taken_in() {
    let bench = Bench::new();
    filled(&bench).await;
    bench.raw(|db| drop(db.keyspace("l_2026030111", fjall::KeyspaceCreateOptions::default).unwrap()));
    drop(bench.open());
    fs::remove_file(folder(&bench, "l_2026030111").join("current")).unwrap();
    assert!(matches!(bench.refused(), OpenFault::KeyspaceLost(lost) if lost == "l_2026030111"));
}

#[tokio::test]
async fn a_store_that_ends_before_its_mark_is_refused() {
    let bench = Bench::new();
    filled(&bench).await;
    let older = Bench::new();
    copy(bench.path(), older.path());
    {
        let store = bench.open();
        done(&store, bench.create(&user(2))).await;
    }
    // The newer mark beside the older data, as after a journal that lost its end.
    fs::copy(bench.path().join("users.acked"), older.path().join("users.acked")).unwrap();
    assert!(matches!(older.refused(), OpenFault::AcknowledgedLost { acked: 2, found: 1 }));
}

#[tokio::test]
async fn a_truncated_journal_is_noticed() {
    let bench = Bench::new();
    filled(&bench).await;
    let journal = bench.path().join("users/0.jnl");
    fs::File::options().write(true).open(journal).unwrap().set_len(0).unwrap();
    assert!(matches!(bench.refused(), OpenFault::AcknowledgedLost { found: 0, .. }));
}

#[tokio::test]
async fn damaged_and_mixed_up_files_are_refused() {
    let (bench, other) = (Bench::new(), Bench::new());
    filled(&bench).await;
    filled(&other).await;
    let kept = fs::read(bench.path().join("users.acked")).unwrap();
    fs::copy(other.path().join("users.acked"), bench.path().join("users.acked")).unwrap();
    assert!(matches!(bench.refused(), OpenFault::OtherStore(_)));
    fs::write(bench.path().join("users.acked"), vec![0; 8192]).unwrap();
    assert!(matches!(bench.refused(), OpenFault::Damaged("users.acked")));
    fs::write(bench.path().join("users.acked"), kept).unwrap();
    let mut marker = fs::read(bench.path().join("users.created")).unwrap();
    marker[30] ^= 1;
    fs::write(bench.path().join("users.created"), marker).unwrap();
    assert!(matches!(bench.refused(), OpenFault::Damaged("users.created")));
}

/// A rollback to an older release must not guess at what a later one has written.
#[tokio::test]
async fn a_store_of_a_later_release_is_refused_and_left_alone() {
    let bench = Bench::new();
    filled(&bench).await;
    let path = bench.path().join("users.created");
    let marker = fs::read(&path).unwrap();
    let mut later = marker[..marker.len() - 4].to_vec();
    let format = crate::marker::MAGIC.len();
    later[format] += 1;
    let crc = crc32fast::hash(&later);
    later.extend(crc.to_be_bytes());
    fs::write(&path, &later).unwrap();
    assert!(matches!(bench.refused(), OpenFault::Format(_)));
    assert_eq!(fs::read(&path).unwrap(), later);
    fs::write(&path, marker).unwrap();
    drop(bench.open());
}

#[tokio::test]
async fn one_torn_slot_of_the_mark_does_no_harm() {
    for slot in [0, 4096] {
        let bench = Bench::new();
        filled(&bench).await;
        let mut mark = fs::read(bench.path().join("users.acked")).unwrap();
        mark[slot + 30] ^= 1;
        fs::write(bench.path().join("users.acked"), mark).unwrap();
        drop(bench.open());
    }
}

#[tokio::test]
async fn a_mark_is_made_anew_from_what_is_there() {
    let bench = Bench::new();
    filled(&bench).await;
    let repaired = || EmbeddedStore::repair_mark(bench.path(), bench.options()).unwrap();
    assert_eq!(repaired(), 1, "also where it is whole");
    fs::remove_file(bench.path().join("users.acked")).unwrap();
    let missing = EmbeddedStore::open(bench.path(), bench.options()).unwrap_err().to_string();
    assert!(missing.contains("users.acked is missing") && missing.contains("--repair-mark"), "{missing}");
    assert_eq!(repaired(), 1);
    fs::write(bench.path().join("users.acked"), vec![0; 8192]).unwrap();
    let damaged = EmbeddedStore::open(bench.path(), bench.options()).unwrap_err().to_string();
    assert!(damaged.contains("users.acked is damaged") && damaged.contains("--repair-mark"), "{damaged}");
    assert_eq!(repaired(), 1);
    let store = bench.open();
    assert_eq!(store.stats().acked_seq, 1);
    assert!(store.user(id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn an_encrypted_store_opens_with_its_key_only() {
    let bench = Bench::new();
    let keyed = |key| Options { encryption_key: key, ..bench.options() };
    {
        let store = EmbeddedStore::open(bench.path(), keyed(Some([1; 32]))).unwrap();
        done(&store, bench.create(&with(&user(1), Attr::City, "Ouagadougou"))).await;
    }
    let journal = fs::read(bench.path().join("users/0.jnl")).unwrap();
    assert!(!journal.windows(11).any(|window| window == b"Ouagadougou"));
    assert!(matches!(bench.refused_with(keyed(None)), OpenFault::KeyNeeded));
    assert!(matches!(bench.refused_with(keyed(Some([2; 32]))), OpenFault::KeyWrong));
    let store = EmbeddedStore::open(bench.path(), keyed(Some([1; 32]))).unwrap();
    assert!(store.user(id(1)).await.unwrap().is_some());
    drop(store);

    let plain = Bench::new();
    filled(&plain).await;
    let keyed = Options { encryption_key: Some([1; 32]), ..plain.options() };
    assert!(matches!(plain.refused_with(keyed), OpenFault::NotEncrypted));
}

#[tokio::test]
async fn a_damaged_record_is_never_given_out_nor_built_upon() {
    let bench = Bench::new();
    let one = user(1);
    filled(&bench).await;
    bench.raw(|db| {
        let users = db.keyspace("users", fjall::KeyspaceCreateOptions::default).unwrap();
        let mut bytes = users.get(one.id.as_bytes()).unwrap().unwrap().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        overwrite(&users, one.id, bytes);
    });
    let store = bench.open();
    let damaged = |result: Result<_, StoreError>| matches!(result, Err(StoreError::Damaged(_)));
    assert!(damaged(store.user(one.id).await.map(drop)));
    assert!(damaged(store.find(&link_key("a", "1")).await.map(drop)));
    let page = gateway_core::Page { after: None, of: gateway_core::Selection::All, limit: 10 };
    assert!(damaged(store.list(&page).await.map(drop)));
    let changed = with(&one, Attr::City, "Ghent");
    assert!(damaged(store.commit(bench.update(&one, &changed)).await.map(drop)));
    done(&store, bench.create(&user(2))).await;
    // Two users, two links, memberships and statuses, a ledger row, the batch number.
    assert_eq!(store.scrub().unwrap(), crate::Scrubbed { records: 10, damaged: 1 });
}

#[test]
fn only_the_owner_may_look() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let dir = bench.path().join("a/b");
    drop(EmbeddedStore::open(&dir, bench.options()).unwrap());
    for name in ["", "users", "users.created", "users.acked"] {
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[tokio::test]
async fn a_record_in_the_place_of_another_is_damaged() {
    let bench = Bench::new();
    filled(&bench).await;
    {
        let store = bench.open();
        done(&store, bench.create(&user(2))).await;
    }
    bench.raw(|db| {
        let users = db.keyspace("users", fjall::KeyspaceCreateOptions::default).unwrap();
        let bytes = users.get(id(1).as_bytes()).unwrap().unwrap();
        overwrite(&users, id(2), bytes.to_vec());
    });
    let store = bench.open();
    assert!(matches!(store.user(id(2)).await, Err(StoreError::Damaged(_))));
    assert!(store.user(id(1)).await.unwrap().is_some());
}
