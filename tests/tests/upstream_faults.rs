//! A service behind the gateway that is slow, breaks off, lies or is gone: what was asked for once happens once
//! at most, and nobody is told that it failed when that is not known.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use gateway_testkit::client::{Connection, RawRequest, RawResponse};
use tests::{
    Bed, Party, Process,
    middle::{Fault, Middle, Seen},
    service,
};
use uuid::Uuid;

const MOUNTS: &str = include_str!("../src/mounts.toml");

/// A gateway, what stands behind it, and the service behind that.
struct Row {
    front: Process,
    bed: Bed,
    middle: Middle,
    behind: Process,
    _keeper: Bed,
}

impl Row {
    /// With more options of `[store.upstream]`.
    fn start(options: &str) -> Self {
        let keeper = Bed::new();
        let behind = Process::start(&keeper);
        let middle = Middle::start(behind.address);
        let url = service::base(middle.address);
        let bed = Bed::over_upstream(MOUNTS, &url, service::GATEWAY, options);
        Self { front: Process::start(&bed), bed, middle, behind, _keeper: keeper }
    }

    fn connection(&self) -> Connection {
        Connection::open(self.front.address).unwrap()
    }

    fn send(&self, request: &RawRequest) -> RawResponse {
        self.front.send(request).unwrap()
    }

    /// Sends a request until its outcome is known.
    fn insist(&self, request: impl Fn() -> RawRequest) -> RawResponse {
        let answer = RefCell::new(None);
        self.front.wait_until("the outcome is known", |front| {
            let sent = front.send(&request()).unwrap();
            let is_known = sent.status < 500;
            *answer.borrow_mut() = Some(sent);
            is_known
        });
        answer.into_inner().unwrap()
    }

    fn stop(self) {
        for process in [self.front, self.behind] {
            let (status, log) = process.stop();
            assert!(status.success(), "{log}");
        }
    }
}

/// Of every few writes one meets each of these faults.
fn faults(every: usize, faults: &'static [Fault]) -> impl Fn(&Seen) -> Fault + Send + Sync {
    let count = AtomicUsize::new(0);
    move |seen| {
        let at = count.fetch_add(1, Ordering::Relaxed);
        if seen.method == http::Method::GET || !at.is_multiple_of(every) {
            return Fault::None;
        }
        faults[(at / every) % faults.len()]
    }
}

const UNSURE: &[Fault] = &[
    Fault::Lose,
    Fault::Refuse,
    Fault::AnswerAfter(500, "it fell"),
    Fault::Answer(502, "nobody there"),
    Fault::AnswerAfter(503, ""),
    Fault::AnswerAfter(504, "late"),
];

/// Clients of every dialect make users and change them, each thing under a key of its own, and insist.
fn write_through_faults(row: &Arc<Row>, updates: usize) {
    let clients: Vec<_> = Party::ALL
        .into_iter()
        .flat_map(|party| [party; 2])
        .map(|party| {
            let row = Arc::clone(row);
            std::thread::spawn(move || {
                let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
                let made = row.insist(|| party.create(user, key));
                assert_eq!(made.status, 201, "{party:?}: {}", String::from_utf8_lossy(&made.body));
                for update in 0..updates {
                    let (key, text) = (Uuid::new_v4(), format!("text {update}"));
                    let changed = row.insist(|| party.update(user, key, &text));
                    assert_eq!(changed.status, 200, "{party:?}: {}", String::from_utf8_lossy(&changed.body));
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

/// The service honours keys: every request of a client has its one effect there.
#[test]
fn a_lost_answer_is_found_out() {
    const UPDATES: usize = 25;
    let row = Arc::new(Row::start(""));
    row.middle.decide(faults(3, UNSURE));
    write_through_faults(&row, UPDATES);
    let effects = row.middle.effects();
    assert_eq!(effects.len(), 2 * Party::ALL.len(), "{effects:?}");
    assert!(effects.values().all(|count| *count == 1 + UPDATES), "{effects:?}");
    assert!(row.front.metric("interlingua_upstream_commits_resolved_total").unwrap() > 20);
    Arc::into_inner(row).unwrap().stop();
}

/// The service does not: a write is sent once, and then only looked for.
#[test]
fn a_service_without_keys_is_sent_nothing_twice() {
    let row = Row::start("idempotency_keys = false\ntimeout_ms = 5000\n");
    let (user, other) = (Uuid::new_v4(), Uuid::new_v4());
    for user in [user, other] {
        assert_eq!(row.send(&Party::Update.create(user, Uuid::new_v4())).status, 201);
    }
    let before = row.middle.writes().len();
    assert!(row.middle.writes().iter().all(|seen| seen.key.is_none()));
    // Carried out: that it was shows.
    row.middle.decide(faults(1, &[Fault::Lose]));
    let key = Uuid::new_v4();
    let changed = row.send(&Party::Update.update(user, key, "lost"));
    assert_eq!(changed.status, 200, "{}", String::from_utf8_lossy(&changed.body));
    // Not carried out: that does not show, however often the client asks.
    row.middle.decide(faults(1, &[Fault::Refuse]));
    let refused = Uuid::new_v4();
    for _ in 0..3 {
        let unknown = row.send(&Party::Update.update(other, refused, "refused"));
        let body = String::from_utf8_lossy(&unknown.body);
        assert_eq!((unknown.status, unknown.header("retry-after")), (503, Some("1")), "{body}");
        assert!(body.contains("user/unknown-outcome"), "{body}");
    }
    row.middle.decide(|_| Fault::None);
    assert_eq!(row.send(&Party::Update.update(other, refused, "refused")).status, 503);
    let replayed = row.send(&Party::Update.update(user, key, "lost"));
    assert_eq!((replayed.status, replayed.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(replayed.body, changed.body);
    // Another key is another request.
    assert_eq!(row.send(&Party::Update.update(other, Uuid::new_v4(), "again")).status, 200);
    assert_eq!(row.middle.writes().len() - before, 3, "{:?}", row.middle.writes());
    row.stop();
}

/// A gateway that dies between the service's deed and its own record finds out what came of it.
#[test]
fn a_gateway_that_dies_leaves_an_intent() {
    let mut row = Row::start("");
    for party in Party::ALL {
        let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
        row.middle.decide(faults(1, &[Fault::Hold]));
        let mut connection = row.connection();
        let before = row.middle.writes().len();
        connection.write(&gateway_testkit::client::encode(&party.create(user, key))).unwrap();
        row.front.wait_until("the service has done it", |_| row.middle.writes().len() > before);
        row.front.kill();
        row.middle.decide(|_| Fault::None);
        row.front = Process::start(&row.bed);
        let answer = row.insist(|| party.create(user, key));
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (201, Some("true")), "{party:?}");
        assert_eq!(row.send(&party.read(user)).status, 200, "{party:?}");
    }
    assert!(row.middle.effects().values().all(|count| *count == 1));
    row.stop();
}

/// What is slow does not hold anybody for longer than `timeout_ms`: the service still has not answered when
/// the client is told.
#[test]
fn the_budget_holds() {
    let row = Row::start("timeout_ms = 200\n");
    let user = Uuid::new_v4();
    assert_eq!(row.send(&Party::Update.create(user, Uuid::new_v4())).status, 201);
    row.middle.decide(|_| Fault::Hold);
    for request in [Party::Update.read(user), Party::Update.update(user, Uuid::new_v4(), "held")] {
        let answer = row.send(&request);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    }
    row.middle.decide(|_| Fault::None);
    row.middle.release();
    assert_eq!(row.insist(|| Party::Update.read(user)).status, 200);
    row.stop();
}

/// Answers that are none: an error in each dialect, which is not kept with the key, and nothing is written.
#[test]
fn nonsense_is_unavailable_and_is_not_kept() {
    let row = Row::start("");
    let users: Vec<_> = Party::ALL.map(|party| (party, Uuid::new_v4(), Uuid::new_v4())).into();
    for (party, user, _) in &users {
        assert_eq!(row.send(&party.create(*user, Uuid::new_v4())).status, 201);
    }
    let before = row.middle.effects();
    for fault in [
        Fault::Answer(200, "nonsense"),
        Fault::Answer(200, "{\"items\":7}"),
        Fault::Answer(302, ""),
        Fault::Answer(401, "{}"),
        Fault::Answer(429, "{}"),
        Fault::Answer(418, "{}"),
        // The last one, since it opens the circuit.
        Fault::Answer(500, "no"),
    ] {
        row.middle.decide(move |seen| if seen.method == http::Method::GET { fault } else { Fault::None });
        for (party, user, key) in &users {
            let read = row.send(&party.read(*user));
            let body = String::from_utf8_lossy(&read.body);
            assert_eq!(
                (read.status, read.header("retry-after")),
                (503, Some("1")),
                "{party:?} {fault:?}: {body}"
            );
            assert!(body.starts_with('{'), "{party:?}: {body}");
            // Somebody whom this gateway has never seen.
            let absent = row.send(&party.update(Uuid::new_v4(), *key, "x"));
            assert_eq!(absent.status, 503, "{party:?} {fault:?}");
        }
    }
    row.middle.decide(|_| Fault::None);
    assert_eq!(row.middle.effects(), before);
    assert!(row.front.metric("interlingua_upstream_garbage_total").unwrap() > 0);
    row.front.wait_until("it is ready again", |front| front.admin("/readyz").0 == 200);
    for (party, user, key) in &users {
        let changed = row.insist(|| party.update(*user, *key, "good"));
        assert_eq!((changed.status, changed.header("idempotency-replayed")), (200, None), "{party:?}");
    }
    row.stop();
}

/// A refusal of the service's own rules is one in each dialect.
#[test]
fn a_rule_of_the_service_is_a_rule() {
    let row = Row::start("");
    let users: Vec<_> = Party::ALL.map(|party| (party, Uuid::new_v4())).into();
    for (party, user) in &users {
        assert_eq!(row.send(&party.create(*user, Uuid::new_v4())).status, 201);
    }
    row.middle.decide(faults(1, &[Fault::Answer(422, "{\"type\":\"about:blank\"}")]));
    for ((party, user), status) in users.iter().zip([422, 400, 422, 500]) {
        let answer = row.send(&party.update(*user, Uuid::new_v4(), "no"));
        assert_eq!(answer.status, status, "{party:?}: {}", String::from_utf8_lossy(&answer.body));
    }
    row.stop();
}

/// A service that is gone is left alone, shows in readiness, and is found again by itself. What needs no user
/// is answered meanwhile.
#[test]
fn a_service_that_is_gone_comes_back() {
    let row = Row::start("");
    let user = Uuid::new_v4();
    assert_eq!(row.send(&Party::Update.create(user, Uuid::new_v4())).status, 201);
    row.middle.decide(|_| Fault::Refuse);
    row.front.wait_until("it notices", |front| {
        assert_eq!(front.send(&Party::Update.read(user)).unwrap().status, 503);
        front.admin("/readyz") == (503, "not ready: the upstream service cannot be reached\n".to_owned())
    });
    assert_eq!(row.front.admin("/livez").0, 200);
    let mut unknown = Party::Partner.read(user);
    unknown.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-api-key"));
    assert_eq!(row.send(&unknown).status, 401);
    row.middle.decide(|_| Fault::None);
    row.front.wait_until("it is ready again", |front| front.admin("/readyz").0 == 200);
    assert_eq!(row.send(&Party::Update.read(user)).status, 200);
    row.stop();
}

/// Nobody is there at the start: it starts all the same. Then nobody is there for long: the circuit opens, and
/// closes once somebody is.
#[test]
fn the_circuit_opens_and_closes() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let bed = Bed::over_upstream(MOUNTS, &service::base(address), service::GATEWAY, "");
    let front = Process::start(&bed);
    assert_eq!(front.admin("/readyz").0, 503);
    front.wait_until("the circuit is open", |front| {
        assert_eq!(front.send(&Party::Update.read(Uuid::new_v4())).unwrap().status, 503);
        front.metric("interlingua_upstream_circuit") == Some(2)
    });
    let config = MOUNTS.replacen("127.0.0.1:0", &address.to_string(), 1);
    let service = Bed::with(&config);
    let behind = Process::start(&service);
    front
        .wait_until("the circuit is closed", |front| front.metric("interlingua_upstream_circuit") == Some(0));
    front.wait_until("it is ready", |front| front.admin("/readyz").0 == 200);
    let user = Uuid::new_v4();
    assert_eq!(front.send(&Party::Update.create(user, Uuid::new_v4())).unwrap().status, 201);
    for process in [front, behind] {
        let (status, log) = process.stop();
        assert!(status.success(), "{log}");
    }
}
