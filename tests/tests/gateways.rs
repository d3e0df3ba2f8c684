//! Two gateways on one PostgreSQL, or in front of one service with their ledger in a PostgreSQL: whatever is
//! sent to both is as if there were one.

use std::sync::{Arc, Barrier};

use gateway_testkit::client::{Connection, RawRequest, RawResponse};
use serde_json::Value;
use tests::{Bed, Party, Process, partner, service};
use uuid::Uuid;

const MOUNTS: &str = include_str!("../src/mounts.toml");
const CLIENTS: usize = 50;
const ROUNDS: usize = 200;

/// The gateways, in the order in which clients take them.
struct Pair {
    gateways: [Process; 2],
    /// The service behind them, where users are there.
    behind: Option<Process>,
    _beds: Vec<Bed>,
}

impl Pair {
    fn start() -> Self {
        let bed = Bed::on_postgres();
        Self { gateways: [Process::start(&bed), Process::start(&bed)], behind: None, _beds: vec![bed] }
    }

    fn in_front() -> Self {
        let keeper = Bed::new();
        let behind = Process::start(&keeper);
        let url = service::base(behind.address);
        let bed = Bed::over_upstream_with_database(MOUNTS, &url, service::GATEWAY);
        let gateways = [Process::start(&bed), Process::start(&bed)];
        Self { gateways, behind: Some(behind), _beds: vec![keeper, bed] }
    }

    /// Every client sends its request of each round at the same moment, half of them to each gateway; with
    /// the answers, by round.
    fn race(
        &self,
        clients: usize,
        rounds: usize,
        request: impl Fn(usize, usize) -> RawRequest + Send + Sync + 'static,
    ) -> Vec<Vec<RawResponse>> {
        let (request, start) = (Arc::new(request), Arc::new(Barrier::new(clients)));
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let (request, start) = (Arc::clone(&request), Arc::clone(&start));
                let address = self.gateways[client % 2].address;
                std::thread::spawn(move || {
                    let mut connection = Connection::open(address).unwrap();
                    let mut once = |round| {
                        let request = request(client, round);
                        start.wait();
                        connection.send(&request).unwrap()
                    };
                    (0..rounds).map(&mut once).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut answers: Vec<_> =
            threads.into_iter().map(|thread| thread.join().unwrap().into_iter()).collect();
        (0..rounds).map(|_| answers.iter_mut().map(|of_one| of_one.next().unwrap()).collect()).collect()
    }

    fn connections(&self) -> [Connection; 2] {
        [0, 1].map(|at| Connection::open(self.gateways[at].address).unwrap())
    }

    /// Of all that keep users.
    fn commits(&self) -> u64 {
        let keepers = match &self.behind {
            Some(behind) => std::slice::from_ref(behind),
            None => &self.gateways,
        };
        keepers.iter().map(|one| one.metric("interlingua_store_commits_total").unwrap()).sum()
    }

    fn stop(self) {
        for gateway in self.gateways.into_iter().chain(self.behind) {
            let (status, log) = gateway.stop();
            assert!(status.success(), "{log}");
        }
    }
}

fn statuses(answers: &[RawResponse]) -> Vec<u16> {
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

fn json(answer: &RawResponse) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// Fifty clients send the same request with the same key at once to both, round after round.
#[test]
fn fifty_at_once_over_both_have_one_effect() {
    have_one_effect(Pair::start(), ROUNDS);
}

#[test]
fn fifty_at_once_in_front_of_a_service_have_one_effect() {
    have_one_effect(Pair::in_front(), 50);
}

fn have_one_effect(pair: Pair, rounds: usize) {
    let before = pair.commits();
    let keys: Vec<_> = (0..rounds).map(|_| Uuid::new_v4()).collect();
    let answered = pair
        .race(CLIENTS, rounds, move |_, round| partner::create(&format!("round-{round}"), Some(keys[round])));
    for (round, answers) in answered.iter().enumerate() {
        let same = answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body);
        assert!(same, "round {round}: {:?}", statuses(answers));
        let first = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
        assert_eq!(first, 1, "round {round} was done {first} times");
    }
    assert_eq!(pair.commits() - before, rounds as u64);
    pair.stop();
}

/// Two users want one name, two requests one external id, two requests one key.
#[test]
fn what_is_unique_is_had_by_one() {
    is_had_by_one(&Pair::start());
}

#[test]
fn what_is_unique_in_a_service_is_had_by_one() {
    is_had_by_one(&Pair::in_front());
}

fn is_had_by_one(pair: &Pair) {
    const ROUNDS: usize = 60;
    let users: Vec<_> = (0..2 * ROUNDS).map(|_| Uuid::new_v4()).collect();
    let mut connections = pair.connections();
    for user in &users {
        assert_eq!(connections[0].send(&Party::Update.create(*user, Uuid::new_v4())).unwrap().status, 201);
    }
    let rename = |user: Uuid, name: &str| {
        let mut request = Party::Update.update(user, Uuid::new_v4(), "");
        request.body = format!(r#"{{"update":{{"username":"{name}"}}}}"#).into_bytes();
        request
    };
    let renamed = pair
        .race(2, ROUNDS, move |client, round| rename(users[2 * round + client], &format!("name-{round}")));
    let linked =
        pair.race(2, ROUNDS, |_, round| partner::create(&format!("only-{round}"), Some(Uuid::new_v4())));
    let keys: Vec<_> = (0..ROUNDS).map(|_| Uuid::new_v4()).collect();
    let keyed = pair.race(2, ROUNDS, move |client, round| {
        partner::create(&format!("key-{round}-{client}"), Some(keys[round]))
    });
    for round in 0..ROUNDS {
        assert_eq!(statuses(&renamed[round]), [200, 409], "the name of round {round}");
        assert_eq!(statuses(&linked[round]), [201, 409], "the external id of round {round}");
        assert_eq!(statuses(&keyed[round]), [201, 422], "the key of round {round}");
    }
}

/// Four write one user at once, each a field of its own, through both: every write that was acknowledged is
/// there, and both gateways show it under one entity tag.
#[test]
fn writers_of_one_user_lose_nothing() {
    lose_nothing(Pair::start());
}

#[test]
fn writers_of_one_user_of_a_service_lose_nothing() {
    lose_nothing(Pair::in_front());
}

fn lose_nothing(pair: Pair) {
    const ROUNDS: usize = 100;
    const FIELDS: [&str; 4] = ["name", "bio", "username", "avatar"];
    let value = |field: &str, round: usize| match field {
        "avatar" => format!("https://{round}.example.com"),
        _ => format!("{field}{round}"),
    };
    let user = Uuid::new_v4();
    let mut connections = pair.connections();
    assert_eq!(connections[0].send(&Party::Update.create(user, Uuid::new_v4())).unwrap().status, 201);
    let rounds = pair.race(FIELDS.len(), ROUNDS, move |client, round| {
        let mut request = Party::Update.update(user, Uuid::new_v4(), "");
        let (field, value) = (FIELDS[client], value(FIELDS[client], round));
        request.body = format!(r#"{{"update":{{"{field}":"{value}"}}}}"#).into_bytes();
        request
    });
    for (round, answers) in rounds.iter().enumerate() {
        assert_eq!(statuses(answers), [200; FIELDS.len()], "round {round}");
    }
    let read = connections.each_mut().map(|connection| connection.send(&Party::Update.read(user)).unwrap());
    for answer in &read {
        for field in FIELDS {
            assert_eq!(json(answer)[field].as_str(), Some(&*value(field, ROUNDS - 1)), "{field}");
        }
    }
    assert!(read[0].header("etag").is_some());
    assert_eq!(read[0].header("etag"), read[1].header("etag"));
    pair.stop();
}

/// What one acknowledges, the other shows at once; also that somebody is gone.
#[test]
fn a_read_sees_what_the_other_has_acknowledged() {
    const USERS: usize = 4;
    const WRITES: usize = 100;
    let pair = Pair::start();
    let addresses = [0, 1].map(|at| pair.gateways[at].address);
    let readers: Vec<_> = (0..USERS)
        .map(|at| {
            std::thread::spawn(move || {
                let [mut writer, mut reader] =
                    [at, at + 1].map(|at| Connection::open(addresses[at % 2]).unwrap());
                let user = Uuid::new_v4();
                let made = writer.send(&Party::JsonApi.create(user, Uuid::new_v4())).unwrap();
                assert_eq!(made.status, 201);
                for write in 0..WRITES {
                    let city = format!("city {write}");
                    let written = writer.send(&Party::JsonApi.update(user, Uuid::new_v4(), &city)).unwrap();
                    assert_eq!(written.status, 200);
                    let read = json(&reader.send(&Party::JsonApi.read(user)).unwrap());
                    let found = read.pointer("/data/attributes/address/locality").and_then(Value::as_str);
                    assert_eq!(found, Some(&*city));
                }
                let delete = RawRequest { method: "DELETE".into(), ..Party::JsonApi.read(user) };
                assert_eq!(writer.send(&delete).unwrap().status, 202);
                assert_eq!(reader.send(&Party::JsonApi.read(user)).unwrap().status, 404);
            })
        })
        .collect();
    for reader in readers {
        reader.join().unwrap();
    }
    pair.stop();
}
