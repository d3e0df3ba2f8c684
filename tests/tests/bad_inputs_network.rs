//! Networks that break: whatever is cut, delayed or delivered twice, a request with an
//! Idempotency-Key has one effect, and the same request again tells which.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use gateway_testkit::client::{self, RawRequest};
use tests::{Bed, Party, Process, Watched, partner};
use uuid::Uuid;

/// What the network does to one connection.
#[derive(Clone, Copy)]
enum Trouble {
    /// Resets both ends once so many bytes of the request were passed on.
    ResetAfterSent(usize),
    /// Resets both ends once so many bytes of the answer were passed on.
    ResetAfterAnswered(usize),
    /// Passes the request on in pieces, with a pause behind each.
    Slow { piece: usize, pause: Duration },
    /// Passes on half of the request, is gone for a while, and comes back.
    Away(Duration),
}

/// Passes one connection on to `target`, with trouble; with the address to connect to.
fn network(target: SocketAddr, trouble: Trouble) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(target).unwrap();
        server.set_nodelay(true).unwrap();
        let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let answers = thread::spawn(move || {
            let limit = if let Trouble::ResetAfterAnswered(limit) = trouble { limit } else { usize::MAX };
            pass_on(&back, &forth, limit, |bytes| write(&forth, bytes));
        });
        match trouble {
            Trouble::ResetAfterSent(limit) => pass_on(&client, &server, limit, |bytes| write(&server, bytes)),
            Trouble::ResetAfterAnswered(_) => {
                pass_on(&client, &server, usize::MAX, |bytes| write(&server, bytes));
            }
            Trouble::Slow { piece, pause } => pass_on(&client, &server, usize::MAX, |bytes| {
                for piece in bytes.chunks(piece) {
                    write(&server, piece);
                    thread::sleep(pause);
                }
            }),
            Trouble::Away(pause) => pass_on(&client, &server, usize::MAX, |bytes| {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                write(&server, first);
                thread::sleep(pause);
                write(&server, second);
            }),
        }
        answers.join().unwrap();
    });
    address
}

/// Passes bytes on until there are no more, or so many were; then both ends are closed.
fn pass_on(mut from: &TcpStream, to: &TcpStream, mut limit: usize, write: impl Fn(&[u8])) {
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let passed = read.min(limit);
        write(&buffer[..passed]);
        limit -= passed;
        if limit == 0 {
            let (_gone, _too) = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
    }
    let _already_gone = to.shutdown(Shutdown::Write);
}

fn write(mut to: &TcpStream, bytes: &[u8]) {
    let _other_end_is_gone = to.write_all(bytes);
}

/// Sends through trouble, and the same again without: one effect, and an answer. With whether the first
/// one was answered.
fn once(watched: &Watched, party: Party, trouble: Trouble) -> bool {
    let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
    let before = watched.written();
    let address = network(watched.process().address, trouble);
    let first = client::send(address, &party.create(user, key));
    // A head that was cut is no answer.
    let first = first.ok().filter(|first| first.header("content-length").is_some());
    let again = watched.process().send(&party.create(user, key)).unwrap();
    assert_eq!(again.status, 201, "{party:?}: {}", String::from_utf8_lossy(&again.body));
    assert_eq!(watched.written().commits, before.commits + 1, "{party:?}: not one effect");
    if let Some(first) = &first {
        assert_eq!((first.status, &first.body), (again.status, &again.body));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    let read = watched.process().send(&party.read(user)).unwrap();
    assert_eq!(read.status, 200, "{party:?}");
    first.is_some()
}

/// `network-003`, `network-004`, `network-005`: cut anywhere in the request, right behind it, and
/// anywhere in the answer.
#[test]
fn cut_anywhere_a_request_has_one_effect() {
    let watched = Watched::start(&Bed::new());
    for party in Party::ALL {
        for limit in (1..2_000).step_by(97) {
            once(&watched, party, Trouble::ResetAfterSent(limit));
        }
        for limit in (1..600).step_by(61) {
            once(&watched, party, Trouble::ResetAfterAnswered(limit));
        }
        assert!(!once(&watched, party, Trouble::ResetAfterAnswered(1)), "the trouble makes none");
    }
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `network-002`, `network-007`, `network-011`: 64 kbit/s, two seconds' delay, a link that is down for a
/// while. Late is no failure.
#[test]
fn slow_networks_are_served() {
    let watched = Watched::start(&Bed::new());
    let pause = Duration::from_millis(12);
    thread::scope(|scope| {
        for party in Party::ALL {
            for trouble in [Trouble::Slow { piece: 96, pause }, Trouble::Away(Duration::from_secs(2))] {
                let address = network(watched.process().address, trouble);
                scope.spawn(move || {
                    let answer = client::send(address, &party.create(Uuid::new_v4(), Uuid::new_v4()));
                    assert_eq!(answer.unwrap().status, 201, "{party:?}");
                });
            }
        }
    });
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `network-006`: the same bytes on many connections at once.
#[test]
fn a_request_delivered_many_times_has_one_effect() {
    let watched = Watched::start(&Bed::new());
    for party in Party::ALL {
        let request = party.create(Uuid::new_v4(), Uuid::new_v4());
        let before = watched.written();
        let answers: Vec<_> = thread::scope(|scope| {
            let sent: Vec<_> =
                (0..8).map(|_| scope.spawn(|| watched.process().send(&request).unwrap())).collect();
            sent.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(watched.written().commits, before.commits + 1, "{party:?}");
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (201, &answers[0].body), "{party:?}");
        }
    }
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `network-019`: what was signed is what was sent, not what a proxy made of it.
#[test]
fn a_target_that_a_proxy_tidied_is_not_the_signed_one() {
    let process = Process::start(&Bed::new());
    assert_eq!(process.send(&partner::create("tidy", None)).unwrap().status, 201);
    for target in ["/partner/v1//users/tidy", "/partner/v1/./users/tidy", "/partner/v1/users/tid%79"] {
        let signed = partner::signed("PATCH", target, None, r#"{"city":"Ghent"}"#);
        let tidied = RawRequest { target: "/partner/v1/users/tidy".into(), ..signed };
        assert_eq!(process.send(&tidied).unwrap().status, 401, "{target}");
    }
}
