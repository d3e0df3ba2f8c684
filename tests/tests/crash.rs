//! `kill -9` under load in all dialects: every acknowledged write is there, and every key replays its bytes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gateway_testkit::client::{Connection, RawRequest, RawResponse};
use tests::{Bed, Party, Process};
use uuid::Uuid;

const CYCLES: usize = 20;
const CLIENTS: usize = 8;
/// How long each gateway lives under load.
const LIFE: Duration = Duration::from_millis(400);

/// A request that was sent, and its answer, if one came.
struct Sent {
    party: Party,
    user: Uuid,
    key: Uuid,
    /// What the update sets; `None` for a creation.
    text: Option<String>,
    answer: Option<RawResponse>,
}

impl Sent {
    /// The same request, with a credential of now.
    fn again(&self) -> RawRequest {
        match &self.text {
            None => self.party.create(self.user, self.key),
            Some(text) => self.party.update(self.user, self.key, text),
        }
    }
}

/// Creates users and changes them until the gateway is gone.
fn load(address: std::net::SocketAddr, party: Party, stop: &AtomicBool) -> Vec<Sent> {
    let mut sent = Vec::new();
    let Ok(mut connection) = Connection::open(address) else { return sent };
    let mut user = Uuid::new_v4();
    for n in 0.. {
        let text = (n % 3 > 0).then(|| format!("Text {n}"));
        if text.is_none() {
            user = Uuid::new_v4();
        }
        let mut one = Sent { party, user, key: Uuid::new_v4(), text, answer: None };
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
                assert!(matches!(first.status, 200 | 201), "{:?}: {}", one.party, first.status);
                assert_eq!((again.status, &again.body), (first.status, &first.body), "{} lost", one.user);
                assert_eq!(again.header("idempotency-replayed"), Some("true"), "{} done twice", one.user);
                assert_eq!(connection.send(&one.party.read(one.user)).unwrap().status, 200);
            }
            // Never answered: done or not, but the key now has one answer, and its user is there.
            None => assert!(matches!(again.status, 200 | 201), "{:?}: {}", one.party, again.status),
        }
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let bed = Bed::new();
    let mut all = Vec::new();
    let mut process = Process::start(&bed);
    for _ in 0..CYCLES {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (stop, address) = (Arc::clone(&stop), process.address);
                std::thread::spawn(move || load(address, Party::ALL[client % 4], &stop))
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
