//! `kill -9` under load: every acknowledged write is there, and every key replays its bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gateway_testkit::client::{Connection, RawRequest, RawResponse};
use tests::{Bed, Process, partner};
use uuid::Uuid;

const CYCLES: usize = 20;
const CLIENTS: usize = 8;
/// How long each gateway lives under load.
const LIFE: Duration = Duration::from_millis(400);

/// A request that was sent, and its answer, if one came.
struct Sent {
    external_id: String,
    key: Uuid,
    city: Option<String>,
    answer: Option<RawResponse>,
}

impl Sent {
    /// The same request, signed anew.
    fn again(&self) -> RawRequest {
        match &self.city {
            None => partner::create(&self.external_id, Some(self.key)),
            Some(city) => partner::update(&self.external_id, Some(self.key), city),
        }
    }
}

/// Creates users and changes them until the gateway is gone.
fn load(address: std::net::SocketAddr, name: &str, stop: &AtomicBool) -> Vec<Sent> {
    let mut sent = Vec::new();
    let Ok(mut connection) = Connection::open(address) else { return sent };
    for n in 0.. {
        let external_id = format!("{name}-{}", n / 3);
        let city = (n % 3 > 0).then(|| format!("City {n}"));
        let mut one = Sent { external_id, key: Uuid::new_v4(), city, answer: None };
        let answer = connection.send(&one.again());
        let gone = answer.is_err();
        one.answer = answer.ok();
        sent.push(one);
        if gone || stop.load(Ordering::Relaxed) {
            break;
        }
    }
    sent
}

/// What the restarted gateway says of everything that was sent before.
fn verify(address: std::net::SocketAddr, sent: &[Sent]) {
    let mut connection = Connection::open(address).unwrap();
    for one in sent {
        let again = connection.send(&one.again()).unwrap();
        match &one.answer {
            Some(first) => {
                assert!(matches!(first.status, 200 | 201), "{}", first.status);
                assert_eq!(
                    (again.status, &again.body),
                    (first.status, &first.body),
                    "{} lost",
                    one.external_id
                );
                assert_eq!(
                    again.header("idempotency-replayed"),
                    Some("true"),
                    "{} done twice",
                    one.external_id
                );
                assert_eq!(connection.send(&partner::read(&one.external_id)).unwrap().status, 200);
            }
            // Never answered: done or not, but the key now has one answer, and its user is there.
            None => assert!(matches!(again.status, 200 | 201), "{}", again.status),
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let bed = Bed::new();
    let mut all = Vec::new();
    let mut process = Process::start(&bed);
    for cycle in 0..CYCLES {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (stop, address) = (Arc::clone(&stop), process.address);
                std::thread::spawn(move || load(address, &format!("c{cycle}-{client}"), &stop))
            })
            .collect();
        std::thread::sleep(LIFE);
        process.kill();
        stop.store(true, Ordering::Relaxed);
        let sent: Vec<Sent> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert!(
            sent.iter().filter(|one| one.answer.is_some()).count() > CLIENTS,
            "too little was answered to mean anything"
        );
        process = Process::start(&bed);
        verify(process.address, &sent);
        all.extend(sent);
    }
    verify(process.address, &all);
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
}
