//! Measures the store at a million users: opening after a clean end and after a kill, memory, creations,
//! point reads, and pages of lists beside those of a small store.
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
    Attr, Change, Commit, Committed, ExternalId, Guard, LedgerKey, LedgerRecord, Link, Namespace, Page,
    Selection, Status, StoreError, Timestamp, UniqueKey, User, UserId, UserStore as _, Value, Write,
};
use store_embedded::{EmbeddedStore, Options};
use time::macros::utc_datetime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: Timestamp = utc_datetime!(2026-03-01 10:30);
const FEW: u64 = 10_000;
const WRITERS: u64 = 1024;
/// Users written before a kill, so that there is a journal to replay.
const LATE: u64 = 100_000;
const READING: Duration = Duration::from_secs(3);
/// How many pages of a kind are read, and the users on one.
const PAGES: usize = 300;
const ON_A_PAGE: usize = 100;
/// The e-mail address of every fiftieth user.
const SHARED: &str = "front.desk@example.com";

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["load", dir, first, last, end] => {
            load(dir, first.parse().unwrap(), last.parse().unwrap(), end == "kill")
        }
        ["read", dir, users] => read(dir, users.parse().unwrap()),
        ["pages", dir] => pages(dir),
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
    step(&["pages", dir]);
    step(&["load", dir, &few, &many, "close"]);
    step(&["read", dir, &many]);
    step(&["pages", dir]);
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
    let spent = cpu();
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
    let each = (cpu() - spent).as_micros() / u128::from(count.max(1));
    println!("{count} users committed in {seconds:.1} s, {each} us of CPU each, {}", memory());
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

/// Reads pages of every kind of list: the first one again and again, and ones from the middle.
fn pages(dir: &str) {
    let (store, runtime) = (open(dir), runtime());
    let partner = Selection::Namespace(Namespace::parse("partner").unwrap());
    let (email, status) = (Selection::Email(SHARED.into()), Selection::Status(Status::PendingCompliance));
    for (name, of) in [("all", Selection::All), ("namespace", partner), ("e-mail", email), ("status", status)]
    {
        for place in ["first", "middle"] {
            let (mut times, spent) = (Vec::new(), cpu());
            for count in 0..PAGES as u64 {
                // Between a quarter and a half of all ids.
                let middle = (1 << 62) | (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
                let middle = UserId::from_bytes((u128::from(middle) << 64).to_be_bytes());
                let after = (place == "middle").then_some(middle);
                let page = Page { after, of: of.clone(), limit: ON_A_PAGE };
                let begun = Instant::now();
                let users = runtime.block_on(store.list(&page)).unwrap();
                times.push(begun.elapsed().as_micros());
                assert_eq!(users.len(), ON_A_PAGE);
            }
            let each = (cpu() - spent).as_micros() / PAGES as u128;
            times.sort_unstable();
            println!("{name}, {place} page: {each} us of CPU, {} us at the median", times[PAGES / 2]);
        }
    }
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
    let status = if number % 4 == 1 { Status::PendingCompliance } else { Status::Active };
    let mut user = User::new(id(number), status, NOW);
    user.links.push(link(number));
    let own = format!("jane.doe.{number}@example.com");
    let email = if number.is_multiple_of(50) { SHARED.to_owned() } else { own };
    let text = |attr, text: &str| Change::set(attr, Value::text(text));
    let user = user.changed(
        &[
            text(Attr::Email, &email),
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

/// The CPU time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time, in hundredths of a second, behind the name in brackets.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Duration::from_millis(10 * fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
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
