//! At most once: many identical requests at one moment have one effect and one answer.

use std::sync::{Arc, Barrier};

use gateway_testkit::client::{Connection, RawResponse};
use tests::{Bed, Party, Process, partner};
use uuid::Uuid;

const CLIENTS: usize = 50;
const ROUNDS: usize = 200;

fn replayed(answer: &RawResponse) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

fn commits(process: &Process) -> usize {
    let (_, metrics) = process.admin("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("interlingua_store_commits_total "));
    line.unwrap().parse().unwrap()
}

/// Fifty clients send the same request with the same key at once, round after round.
#[test]
fn fifty_at_once_have_one_effect() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let before = commits(&process);
    let keys: Arc<Vec<Uuid>> = Arc::new((0..ROUNDS).map(|_| Uuid::new_v4()).collect());
    let start = Arc::new(Barrier::new(CLIENTS));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (keys, start, address) = (Arc::clone(&keys), Arc::clone(&start), process.address);
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                let mut answers = Vec::new();
                for (round, key) in keys.iter().enumerate() {
                    let request = partner::create(&format!("round-{round}"), Some(*key));
                    start.wait();
                    answers.push(connection.send(&request).unwrap());
                }
                answers
            })
        })
        .collect();
    let answers: Vec<Vec<RawResponse>> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    for round in 0..ROUNDS {
        let of_round: Vec<&RawResponse> = answers.iter().map(|answers| &answers[round]).collect();
        assert!(of_round.iter().all(|answer| answer.status == 201 && answer.body == of_round[0].body));
        assert_eq!(of_round.iter().filter(|answer| !replayed(answer)).count(), 1, "round {round}");
    }
    assert_eq!(commits(&process) - before, ROUNDS, "one effect for each key");
}

/// Two different requests with one key: one is done, the other refused, whoever comes first.
#[test]
fn a_key_is_for_one_request() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let mut connection = Connection::open(process.address).unwrap();
    for round in 0..50 {
        let key = Some(Uuid::new_v4());
        let clients = ["a", "b"].map(|half| {
            let (request, address) = (partner::create(&format!("{half}-{round}"), key), process.address);
            std::thread::spawn(move || Connection::open(address).unwrap().send(&request).unwrap().status)
        });
        let mut statuses = clients.map(|client| client.join().unwrap());
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422], "round {round}");
        let found = ["a", "b"]
            .map(|half| connection.send(&partner::read(&format!("{half}-{round}"))).unwrap().status);
        assert!(matches!(found, [200, 404] | [404, 200]), "{found:?}");
    }
}

/// Many ask at once for a user who is not there yet: one makes it, all get it.
#[test]
fn a_user_is_made_once_for_all_who_ask() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let start = Arc::new(Barrier::new(8));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (start, address) = (Arc::clone(&start), process.address);
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                let ask = |round: u128| {
                    start.wait();
                    // No key: each is a request of its own.
                    let mut request = Party::Update.create(Uuid::from_u128(round), Uuid::nil());
                    request.headers.retain(|(name, _)| name != "Idempotency-Key");
                    connection.send(&request).unwrap().status
                };
                (0..50).map(ask).collect::<Vec<_>>()
            })
        })
        .collect();
    let statuses: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    for round in 0..50 {
        let mut of_round: Vec<_> = statuses.iter().map(|statuses| statuses[round]).collect();
        of_round.sort_unstable();
        assert_eq!(of_round, [200, 200, 200, 200, 200, 200, 200, 201], "round {round}");
    }
}
