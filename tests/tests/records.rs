//! Records, by which another gateway keeps its users here: whatever a user may hold comes back to the last bit,
//! and of two who replace one version one wins.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use gateway_core::{Attr, Date, Point, Status, Suspension, Timestamp, User, UserId, Value};
use gateway_record::MEDIA_TYPE;
use gateway_testkit::client::RawResponse;
use tests::records::{NEW, Peer, id, link, next, record, tag, text, user, with};
use time::{Duration, macros::date, macros::utc_datetime};

/// The status, and the type of the problem.
fn refusal(answer: &RawResponse) -> (u16, String) {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("a problem");
    (answer.status, problem["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned())
}

fn refused(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

fn document(text: &str) -> Value<'static> {
    Value::Document(text.to_owned().into())
}

/// Values that no JSON of this API could say, or would say otherwise.
fn values() -> Vec<(Attr, Value<'static>)> {
    let mut all: Vec<_> = Attr::STORED
        .into_iter()
        .filter(|attr| *attr != Attr::Username)
        .flat_map(|attr| {
            ["", " \t\r\n\u{0}", "e\u{301}\u{202e}\u{feff}", "\u{10ffff}"].map(|odd| (attr, Value::text(odd)))
        })
        .collect();
    for text in ["", "{ \"z\" : 1.00, \"a\" : 12345678901234567890 }", "sealed:1:7:AAAA", "no JSON at all"] {
        all.extend([Attr::Metadata, Attr::SecureMetadata].map(|attr| (attr, document(text))));
    }
    all.extend([Date::MIN, date!(0000 - 01 - 01), Date::MAX].map(|day| (Attr::BirthDate, Value::Date(day))));
    all.extend(instants().map(|instant| (Attr::BirthInstant, Value::Instant(instant))));
    for number in [-0.0, 5e-324, 0.1 + 0.2, f64::MAX] {
        all.push((Attr::Geo, Value::Point(Point { longitude: number, latitude: -number })));
    }
    all.extend([true, false].map(|flag| (Attr::CiroAffiliate, Value::Flag(flag))));
    all
}

fn instants() -> [Timestamp; 4] {
    let epoch = Timestamp::UNIX_EPOCH;
    [
        Timestamp::MIN,
        epoch - Duration::NANOSECOND,
        utc_datetime!(2026-06-30 23:59:59.000_000_001),
        Timestamp::MAX,
    ]
}

/// Users of every shape that there is.
fn shapes() -> Vec<User> {
    let count = std::cell::Cell::new(0);
    let new = || {
        count.set(count.get() + 1);
        user(count.get())
    };
    let mut all = vec![new(), with(new(), Attr::Bio, Value::text("\u{1f600}".repeat(200_000)))];
    all.extend(values().into_iter().map(|(attr, value)| with(new(), attr, value)));
    all.push(values().into_iter().fold(new(), |user, (attr, value)| with(user, attr, value)));
    for status in [Status::PendingCompliance, Status::Active, Status::Closed] {
        all.push(User { status, ..new() });
    }
    for instant in instants() {
        all.push(User { created_at: instant, updated_at: instant, ..new() });
        let reasons = [None, Some(String::new()), Some("\u{1f600}\n".to_owned())];
        let suspension = |reason| Suspension { reason, starts_at: instant, ends_at: Some(instant) };
        let mut suspensions: Vec<_> = reasons.map(suspension).to_vec();
        suspensions.extend_from_within(..);
        suspensions[0].ends_at = None;
        all.push(User { suspensions, ..new() });
    }
    all.extend([2, 1 << 32, (1 << 62) - 1].map(|version| User { version, ..new() }));
    let many = (0..User::MAX_LINKS).map(|at| link(["b", "a", "n.1"][at % 3], format!("é/{at}"))).collect();
    all.push(with(User { links: many, ..new() }, Attr::Username, Value::text("Jane É")));
    all
}

#[test]
fn users_of_every_shape_survive() {
    let peer = Peer::start();
    let shapes = shapes();
    for user in &shapes {
        let made = peer.make(user);
        peer.assert_stands(user, &made);
        // What was there is replaced whole; and back again.
        let empty = User { version: user.version + 1, ..tests::records::user(0) };
        let empty = User { id: user.id, ..empty };
        let replaced = peer.put(&empty, &[("If-Match", &made)]);
        assert_eq!((replaced.status, replaced.body.len()), (204, 0), "{}", text(&replaced));
        peer.assert_stands(&empty, &tag(&replaced));
        let back = User { version: user.version + 2, ..user.clone() };
        let replaced = peer.put(&back, &[("If-Match", &tag(&replaced))]);
        assert_eq!(replaced.status, 204, "{}", text(&replaced));
        peer.assert_stands(&back, &tag(&replaced));
        // Every document can be read, whatever it makes of this.
        let plain = peer.send("GET", &format!("/{}", user.id), &[], Vec::new());
        assert_eq!((plain.status, plain.header("content-type")), (200, Some("application/json")));
        assert_eq!(tag(&plain).split('.').next(), tag(&replaced).split('.').next());
    }
    let listed: Vec<_> = std::iter::successors(Some(peer.page("limit=7")), |(_, next)| {
        next.map(|next| peer.page(&format!("limit=7&after={next}")))
    })
    .flat_map(|(users, _)| users)
    .filter(|user| shapes.iter().any(|own| own.id == user.id))
    .collect();
    assert_eq!(listed.len(), shapes.len());
    for (user, found) in shapes.iter().zip(listed) {
        assert!(record(&User { version: user.version + 2, ..user.clone() }) == record(&found), "{user:?}");
    }
}

#[test]
fn what_a_state_replaces_must_stand() {
    let peer = Peer::start();
    let first = user(1);
    let made = peer.make(&first);
    let failed = || refused(412, "precondition-failed");
    let second = next(&first);
    for (user, condition) in [
        (&second, NEW),
        (&second, &[("If-Match", "\"other\"")]),
        (&second, &[("If-Match", &made), ("If-None-Match", "*")]),
        (&second, &[("If-Match", "*"), ("If-None-Match", &made)]),
        (&tests::records::user(2), &[("If-Match", &*made)]),
        (&tests::records::user(2), &[("If-Match", "*")]),
        // A version that does not rise.
        (&first, &[("If-Match", &*made)]),
        (&User { version: 0, ..first.clone() }, &[("If-Match", "*")]),
    ] {
        assert_eq!(refusal(&peer.put(user, condition)), failed(), "{condition:?}");
    }
    for condition in [&[][..], &[("If-None-Match", &*made)]] {
        assert_eq!(refusal(&peer.put(&second, condition)), refused(428, "precondition-required"));
    }
    peer.assert_stands(&first, &made);
    // Any version above the one that stands.
    let far = User { version: 9, ..first };
    let replaced = peer.put(&far, &[("If-Match", &format!("\"other\", {made}"))]);
    assert_eq!(replaced.status, 204);
    peer.assert_stands(&far, &tag(&replaced));
    let again = User { version: 10, ..far };
    assert_eq!(peer.put(&again, &[("If-Match", "*")]).status, 204);
}

#[test]
fn what_is_anothers_is_refused_by_name() {
    let peer = Peer::start();
    let named = |number, name: &'static str| {
        let user = User { links: vec![link("n", number)], ..user(number) };
        with(user, Attr::Username, Value::text(name))
    };
    let (one, two) = (named(1, "jane"), named(2, "joan"));
    peer.make(&one);
    let made = peer.make(&two);
    let exists = || refused(409, "already-exists");
    let taken = || refused(409, "username-taken");
    for (user, refusal) in
        [(named(3, "JANE"), taken()), (User { links: vec![link("n", 1)], ..user(3) }, exists())]
    {
        assert_eq!(self::refusal(&peer.put(&user, NEW)), refusal);
        let moved = User { id: two.id, version: 2, ..user };
        assert_eq!(self::refusal(&peer.put(&moved, &[("If-Match", &made)])), refusal);
        // The condition is held first.
        let stale = refused(412, "precondition-failed");
        assert_eq!(self::refusal(&peer.put(&moved, &[("If-Match", "\"other\"")])), stale);
        assert_eq!(self::refusal(&peer.put(&moved, NEW)), stale);
        assert_eq!(peer.get(id(3)).status, 404);
    }
    peer.assert_stands(&two, &made);
    // An id is never free again, its other names are.
    let deleted = peer.send("DELETE", &format!("/{}", two.id), &[("If-Match", &made)], Vec::new());
    assert_eq!(deleted.status, 204);
    assert_eq!(refusal(&peer.put(&two, NEW)), exists());
    assert_eq!(refusal(&peer.put(&next(&two), &[("If-Match", &made)])), refused(412, "precondition-failed"));
    peer.make(&User { id: id(4), ..two });
}

#[test]
fn a_key_counts_once() {
    let peer = Peer::start();
    let first = user(1);
    let key = ("Idempotency-Key", "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb60");
    let made = peer.put(&first, &[NEW[0], key]);
    assert_eq!((made.status, made.header("idempotency-replayed")), (201, None));
    let again = peer.put(&first, &[NEW[0], key]);
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!((tag(&again), again.body.len()), (tag(&made), 0));
    // The same key for another state, or under another condition, is another request.
    assert_eq!(refusal(&peer.put(&next(&first), &[NEW[0], key])), refused(422, "key-reused"));
    let tag = tag(&made);
    assert_eq!(refusal(&peer.put(&first, &[("If-Match", &tag), key])), refused(422, "key-reused"));
    peer.assert_stands(&first, &tag);
    // A refusal is kept, too.
    let other = ("Idempotency-Key", "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb61");
    let refused = peer.put(&first, &[NEW[0], other]);
    let again = peer.put(&first, &[NEW[0], other]);
    assert_eq!((refused.status, &refused.body), (412, &again.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
}

#[test]
fn of_two_who_replace_one_version_one_wins() {
    let peer = Peer::start();
    let mut stands = user(1);
    let mut tag = peer.make(&stands);
    for round in 0..30 {
        let states = ["one", "two", "three"]
            .map(|city| with(next(&stands), Attr::City, Value::text(format!("{city} {round}"))));
        let answers = thread::scope(|scope| {
            let put = |state| peer.put(state, &[("If-Match", &tag)]);
            let running: Vec<_> = states.iter().map(|state| scope.spawn(move || put(state))).collect();
            running.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        let won: Vec<_> = (0..3).filter(|at| answers[*at].status == 204).collect();
        assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        for (at, answer) in answers.iter().enumerate().filter(|(at, _)| *at != won[0]) {
            assert_eq!(refusal(answer), refused(412, "precondition-failed"), "{at}");
        }
        stands = states[won[0]].clone();
        tag = tests::records::tag(&answers[won[0]]);
        peer.assert_stands(&stands, &tag);
    }
    // The same of those who make one.
    let states = [1, 2, 3].map(|version| User { version, ..user(2) });
    let statuses = thread::scope(|scope| {
        let running = states.each_ref().map(|state| scope.spawn(|| peer.put(state, NEW).status));
        let mut statuses = running.map(|one| one.join().unwrap());
        statuses.sort_unstable();
        statuses
    });
    assert_eq!(statuses, [201, 412, 412]);
}

/// Users of two namespaces, some suspended, some closed; a few of them large.
fn crowd() -> Vec<User> {
    let at = utc_datetime!(2020-01-01 0:00);
    let past = Suspension { reason: None, starts_at: at, ends_at: Some(at + Duration::DAY) };
    let one = |number: u32| {
        let namespaces: &[&str] = [&["a"][..], &["b"], &["a", "b"], &[]][number as usize % 4];
        let user = User {
            links: namespaces.iter().map(|namespace| link(namespace, number)).collect(),
            suspensions: if number.is_multiple_of(5) { vec![past.clone()] } else { Vec::new() },
            status: if number.is_multiple_of(7) { Status::Closed } else { Status::Active },
            ..user(number * 2)
        };
        let large = number.is_multiple_of(2);
        let bio = Value::text("x".repeat(if large { 150_000 } else { 1 }));
        let user = with(user, Attr::Bio, bio);
        let user = with(user, Attr::Username, Value::text(format!("Crowd{number}")));
        with(
            user,
            Attr::Email,
            Value::text(if number < 9 { "DESK@a.example".to_owned() } else { String::new() }),
        )
    };
    (1..=80).map(one).collect()
}

/// What a list is asked for, and who is on it.
type Asked = (&'static str, fn(&User) -> bool);

fn in_namespace(user: &User, name: &str) -> bool {
    user.links.iter().any(|link| link.namespace.as_str() == name)
}

const ASKED: [Asked; 9] = [
    ("", |_| true),
    ("&namespace=a", |user| in_namespace(user, "a")),
    ("&namespace=b&suspended=true", |user| in_namespace(user, "b") && !user.suspensions.is_empty()),
    ("&suspended=true", |user| !user.suspensions.is_empty()),
    ("&status=closed", |user| user.status == Status::Closed),
    // Suspended or not: it is the status that is stored.
    ("&status=active", |user| user.status == Status::Active),
    ("&email=desk%40A.example", |user| user.profile.text(Attr::Email) == Some("DESK@a.example")),
    ("&email=", |user| user.profile.text(Attr::Email) == Some("")),
    ("&namespace=nobody", |_| false),
];

#[test]
fn whoever_stays_is_listed_once_while_others_come_and_go() {
    let peer = Peer::start();
    let crowd = crowd();
    let is_of_crowd = |id: &UserId| crowd.iter().any(|user| user.id == *id);
    for user in &crowd {
        peer.make(user);
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Between the others, and of every list.
            for number in (0..).map(|turn| 1 + 2 * (turn % 80)) {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let guest = User { id: UserId::from_bytes(*uuid::Uuid::now_v7().as_bytes()), ..user(number) };
                let guest = User { links: vec![link("a", guest.id), link("b", guest.id)], ..guest };
                let tag = peer.make(&guest);
                let gone = peer.send("DELETE", &format!("/{}", guest.id), &[("If-Match", &tag)], Vec::new());
                assert_eq!(gone.status, 204);
            }
        });
        for (filter, holds) in ASKED {
            let expected: Vec<_> = crowd.iter().filter(|user| holds(user)).map(|user| user.id).collect();
            for limit in [3, 50, 1_000] {
                let mut found = peer.walk(filter, limit);
                assert!(found.is_sorted_by(|a, b| a < b), "{filter}: in order, nobody twice");
                found.retain(is_of_crowd);
                assert_eq!(found, expected, "{filter}, by {limit}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    // One page of all of them would be of twice the bytes that a page may have.
    let (users, next) = peer.page("limit=1000");
    assert!(users.len() < crowd.len() && next == users.last().map(|user| user.id));
    let found = |query: &str| peer.page(query).0.iter().map(|user| user.id).collect::<Vec<_>>();
    assert_eq!(found("link=a:2"), [id(4)]);
    assert_eq!(found("username=cROWD1&namespace=a"), []);
    assert_eq!(found("username=cROWD1&namespace=b"), [id(2)]);
    assert_eq!(found("username=cROWD1"), [id(2)]);
    assert_eq!(found(&format!("link=a:2&after={}", id(4))), []);
}

#[test]
fn a_record_is_had_by_those_who_ask_for_it() {
    let peer = Peer::start();
    let user = with(user(1), Attr::SecureMetadata, document(r#"{"ssn":"c4n4ry"}"#));
    let made = peer.make(&user);
    let path = format!("/{}", user.id);
    let get = |accept: &str| peer.send("GET", &path, &[("Accept", accept)], Vec::new());
    for (accept, is_record) in [
        ("APPLICATION/vnd.interlingua.RECORD", true),
        ("application/vnd.interlingua.record, application/json", true),
        ("application/vnd.interlingua.record, */*", true),
        ("application/json;q=0.5, application/vnd.interlingua.record;q=0.6", true),
        ("application/problem+json, application/vnd.interlingua.record", true),
        ("application/vnd.interlingua.record;q=0.5, application/json;q=0, */*", true),
        ("application/json, application/vnd.interlingua.record", false),
        ("application/vnd.interlingua.record;q=0.9, application/json", false),
        ("application/vnd.interlingua.record;q=0, application/json", false),
        ("application/*", false),
    ] {
        let found = get(accept);
        let kind = if is_record { MEDIA_TYPE } else { "application/json" };
        assert_eq!((found.status, found.header("content-type")), (200, Some(kind)), "{accept}");
        assert_eq!(text(&found).contains("c4n4ry"), is_record, "{accept}");
    }
    assert_eq!(refusal(&get("application/vnd.interlingua.record;q=0")), refused(406, "not-acceptable"));
    let rows = [("Accept", MEDIA_TYPE), ("If-None-Match", &*made)];
    let known = peer.send("GET", &path, &rows, Vec::new());
    assert_eq!((known.status, known.header("etag"), known.body.len()), (304, Some(&*made), 0));
    let head = peer.send("HEAD", &path, &rows[..1], Vec::new());
    assert_eq!((head.status, head.header("content-type"), head.body.len()), (200, Some(MEDIA_TYPE), 0));
    let missing = peer.get(id(9));
    assert_eq!(refusal(&missing), refused(404, "not-found"));
    assert_eq!(missing.header("content-type"), Some("application/problem+json"));
}
