//! Measures the store at a million users: opening after a clean end and after a kill, memory, point reads.
//!
//! `cargo run --release -p store-embedded --example million -- DIR [USERS]`; DIR must not exist. Each
//! step runs in a process of its own, so that its memory is its own.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a developer's terminal")]

use std::{
    path::Path,
    process::{Command, abort},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gateway_core::{
    Attr, Change, Commit, Committed, ExternalId, Guard, LedgerKey, LedgerRecord, Link, Namespace, Status,
    StoreError, Timestamp, UniqueKey, User, UserId, UserStore as _, Value, Write,
};
use store_embedded::{EmbeddedStore, Options};
use time::macros::utc_datetime;

const NOW: Timestamp = utc_datetime!(2026-03-01 10:30);
const FEW: u64 = 10_000;
const WRITERS: u64 = 1024;
/// Users written before a kill, so that there is a journal to replay.
const LATE: u64 = 100_000;
const READING: Duration = Duration::from_secs(3);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["load", dir, first, last, end] => {
            load(dir, first.parse().unwrap(), last.parse().unwrap(), end == "kill")
        }
        ["read", dir, users] => read(dir, users.parse().unwrap()),
        [dir] => all(dir, 1_000_000),
        [dir, users] => all(dir, users.parse().unwrap()),
        _ => println!("usage: million DIR [USERS]"),
    }
}

fn all(dir: &str, users: u64) {
    let step =
        |arguments: &[&str]| drop(Command::new(std::env::current_exe().unwrap()).args(arguments).status());
    let (few, many, late) = (FEW.to_string(), users.to_string(), (users + LATE).to_string());
    step(&["load", dir, "0", &few, "close"]);
    step(&["read", dir, &few]);
    step(&["load", dir, &few, &many, "close"]);
    step(&["read", dir, &many]);
    step(&["load", dir, &many, &late, "kill"]);
    step(&["read", dir, &late]);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap()
}

fn open(dir: &str) -> Arc<EmbeddedStore> {
    let begun = Instant::now();
    let store = EmbeddedStore::open(Path::new(dir), Options::new(Arc::new(|| NOW))).unwrap();
    println!("opened in {:.2} s, {}", begun.elapsed().as_secs_f64(), memory());
    Arc::new(store)
}

fn load(dir: &str, first: u64, last: u64, kill: bool) {
    let (store, next, begun) = (open(dir), Arc::new(AtomicU64::new(first)), Instant::now());
    let runtime = runtime();
    let writers = (0..WRITERS).map(|_| {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        runtime.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= last {
                    return;
                }
                let done = loop {
                    match store.commit(creation(number)).await {
                        // Shed, since the queue stood still for a moment: nothing was begun.
                        Err(StoreError::Unavailable("busy")) => {
                            tokio::time::sleep(Duration::from_millis(50)).await
                        }
                        done => break done,
                    }
                };
                assert_eq!(done.unwrap(), Committed::Done);
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    runtime.block_on(async {
        for writer in writers {
            writer.await.unwrap();
        }
    });
    let (seconds, count) = (begun.elapsed().as_secs_f64(), last - first);
    println!("{count} users committed in {seconds:.1} s, {}", memory());
    if kill {
        println!("killed");
        abort();
    }
    let begun = Instant::now();
    store.close();
    println!("closed in {:.2} s", begun.elapsed().as_secs_f64());
}

/// Reads users at random, by id and by link, in as many tasks as there are cores.
fn read(dir: &str, users: u64) {
    let store = open(dir);
    let runtime = runtime();
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let readers: Vec<_> = (0..64u64)
        .map(|seed| {
            let (store, count) = (Arc::clone(&store), Arc::clone(&count));
            runtime.spawn(async move {
                let mut random = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                while begun.elapsed() < READING {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let number = random % users;
                    let found = match random >> 63 {
                        0 => store.user(id(number)).await,
                        _ => store.find(&UniqueKey::Link(link(number))).await,
                    };
                    assert_eq!(found.unwrap().unwrap().id, id(number));
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for reader in readers {
            reader.await.unwrap();
        }
    });
    let per_second = count.load(Ordering::Relaxed) / READING.as_secs();
    println!(
        "{users} users: {per_second} point reads/s, {} ledger keys, {}",
        store.stats().ledger_keys,
        memory()
    );
}

/// Scattered, as random ids are.
fn id(number: u64) -> UserId {
    let scattered = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64;
    UserId::from_bytes((scattered | u128::from(number)).to_be_bytes())
}

fn link(number: u64) -> Link {
    let external_id = ExternalId::parse(&format!("partner-user-{number}")).unwrap();
    Link { namespace: Namespace::parse("partner").unwrap(), external_id }
}

fn creation(number: u64) -> Commit {
    let mut user = User::new(id(number), Status::Active, NOW);
    user.links.push(link(number));
    let text = |attr, text: &str| Change::set(attr, Value::text(text));
    let user = user.changed(
        &[
            text(Attr::Email, &format!("jane.doe.{number}@example.com")),
            text(Attr::GivenName, "Jane"),
            text(Attr::FamilyName, "Doe"),
            text(Attr::Occupation, &"Software Engineer, ".repeat(20)),
            text(Attr::City, "Toronto"),
        ],
        NOW,
    );
    let key =
        LedgerKey(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes());
    let record = LedgerRecord {
        fingerprint: [7; 32],
        at: NOW,
        user: Some(id(number)),
        answer: Some(Arc::from(vec![b'a'; 200])),
    };
    Commit {
        write: Some(Write::Create(Arc::new(user.unwrap()))),
        guards: vec![Guard { key, record }],
        now: NOW,
    }
}

/// Resident memory, now and at its most.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    format!("{} MiB resident ({} at most)", of("VmRSS:"), of("VmHWM:"))
}
