//! Measures what a slow webhook costs others: the reads of other mounts while a thousand updates wait for
//! a webhook that takes 200 ms, and before. It prints figures and judges none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use gateway::webhook::receiver::Answer;
use gateway_testkit::client::{self, Connection};
use tests::{
    Bed, Party, Process,
    hook::{self, Hook},
};
use uuid::Uuid;

const UPDATES: usize = 1_000;
const TAKES: Duration = Duration::from_millis(200);
const MOUNTS: [Party; 3] = [Party::Partner, Party::JsonApi, Party::JsonPatch];

fn main() {
    for places in [32, UPDATES] {
        measure(places);
    }
}

fn measure(places: usize) {
    let hook = Hook::start(|_| Answer::Slow(TAKES));
    let config = hook.bed(&format!("max_concurrent = {places}"));
    let config = config.replacen("[server]\n", "[server]\nmax_connections_per_peer = 4000\n", 1);
    let bed = Bed::with(&config);
    let process = Process::start(&bed);
    let users: Vec<_> = (0..UPDATES).map(|_| Uuid::new_v4()).collect();
    let mut connection = Connection::open(process.address).unwrap();
    for user in &users {
        assert_eq!(connection.send(&Party::Update.create(*user, Uuid::new_v4())).unwrap().status, 201);
    }
    let reader = Uuid::new_v4();
    for party in MOUNTS {
        assert_eq!(process.send(&party.create(reader, Uuid::new_v4())).unwrap().status, 201);
    }
    let ends = Instant::now() + Duration::from_secs(4);
    let quiet = read_until(&process, reader, || Instant::now() > ends);
    let done = Arc::new(AtomicBool::new(false));
    let (load, is_over) = (Arc::clone(&done), process.address);
    let crowd = thread::spawn(move || {
        let send = |user: Uuid| {
            let request = hook::update(user, None, "changed");
            thread::spawn(move || client::send(is_over, &request).map_or(0, |answer| answer.status))
        };
        let clients: Vec<_> = users.into_iter().map(send).collect();
        let statuses: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        load.store(true, Relaxed);
        statuses.iter().filter(|status| **status == 200).count()
    });
    let loaded = read_until(&process, reader, || done.load(Relaxed));
    let written = crowd.join().unwrap();
    println!("{places} places, {written} of {UPDATES} updates written");
    for (name, times) in [("quiet", quiet), ("loaded", loaded)] {
        let at = |part: usize| times[(times.len() - 1) * part / 1_000];
        println!(
            "  {name}: {} reads, p50 {:?}, p99 {:?}, p99.9 {:?}",
            times.len(),
            at(500),
            at(990),
            at(999)
        );
    }
}

/// How long each read took, in order; one at a time, in each mount in turn, on a connection that is kept.
fn read_until(process: &Process, user: Uuid, is_over: impl Fn() -> bool) -> Vec<Duration> {
    let mut connection = Connection::open(process.address).unwrap();
    let mut times = Vec::new();
    for party in MOUNTS.into_iter().cycle() {
        if is_over() {
            break;
        }
        let request = party.read(user);
        let began = Instant::now();
        let answer = connection.send(&request).unwrap();
        times.push(began.elapsed());
        assert_eq!(answer.status, 200);
        if answer.header("connection") == Some("close") {
            connection = Connection::open(process.address).unwrap();
        }
    }
    times.sort_unstable();
    times
}
