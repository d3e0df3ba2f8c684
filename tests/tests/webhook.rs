//! The validation webhook: no write that was not approved, no veto that is lost.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use gateway::webhook::receiver::Answer;
use gateway_testkit::client::RawResponse;
use serde_json::Value;
use tests::{
    Bed, Party, Process,
    hook::{self, Hook},
    unreachable,
};
use uuid::Uuid;

fn start(config: &str) -> (Bed, Process, Uuid) {
    let bed = Bed::with(config);
    let process = Process::start(&bed);
    let user = Uuid::new_v4();
    assert_eq!(process.send(&Party::Update.create(user, Uuid::new_v4())).unwrap().status, 201);
    (bed, process, user)
}

fn body(answer: &RawResponse) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn read(process: &Process, user: Uuid) -> Value {
    body(&process.send(&Party::Update.read(user)).unwrap())
}

fn verdicts(process: &Process, verdict: &str) -> Option<u64> {
    process.metric(&format!(r#"interlingua_webhook_calls_total{{mount="guarded",verdict="{verdict}"}}"#))
}

/// Somebody else writes the user whenever the webhook is asked, so many times.
fn moving(times: usize) -> (u16, Value, usize, Option<u64>) {
    let place = Arc::new(OnceLock::new());
    let (known, asks) = (Arc::clone(&place), AtomicUsize::new(0));
    let hook = Hook::start(move |_| {
        let ask = asks.fetch_add(1, SeqCst);
        if ask < times {
            let (address, user): &(_, Uuid) = known.get().unwrap();
            let other = Party::Update.update(*user, Uuid::new_v4(), &format!("other {ask}"));
            assert_eq!(gateway_testkit::client::send(*address, &other).unwrap().status, 200);
        }
        Answer::approve()
    });
    let (_bed, process, user) = start(&hook.bed(""));
    place.set((process.address, user)).unwrap();
    let name = hook::update_with(user, r#"{"update":{"name":"Ann","unheard":1}}"#);
    let answer = process.send(&name).unwrap();
    if answer.status == 503 {
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let unknown = process.metric(r#"interlingua_unknown_fields_total{field="unheard",mount="guarded"}"#);
    assert_eq!(unknown, Some(1), "the request is one, however often it is worked out");
    (answer.status, read(&process, user), hook.asked().len(), verdicts(&process, "approved"))
}

#[test]
fn a_user_that_moves_is_validated_again_once() {
    let (status, user, asked, approved) = moving(0);
    assert_eq!((status, &user["name"], asked, approved), (200, &"Ann".into(), 1, Some(1)));
    let (status, user, asked, approved) = moving(1);
    assert_eq!((status, &user["name"], asked, approved), (200, &"Ann".into(), 2, Some(2)));
    assert_eq!(user["bio"], "other 0");
    let (status, user, asked, _) = moving(2);
    assert_eq!((status, asked), (503, 2));
    assert_eq!((&user["name"], &user["bio"]), (&"Jane".into(), &"other 1".into()));
}

/// A veto of the second question counts, though the first was approved.
#[test]
fn a_veto_of_the_new_state_holds() {
    let place: Arc<OnceLock<(std::net::SocketAddr, Uuid)>> = Arc::default();
    let (known, asks) = (Arc::clone(&place), AtomicUsize::new(0));
    let hook = Hook::start(move |_| {
        if asks.fetch_add(1, SeqCst) > 0 {
            return Answer::veto(Some("not any more"));
        }
        let (address, user) = known.get().unwrap();
        let other = Party::Update.update(*user, Uuid::new_v4(), "other");
        assert_eq!(gateway_testkit::client::send(*address, &other).unwrap().status, 200);
        Answer::approve()
    });
    let (_bed, process, user) = start(&hook.bed(""));
    place.set((process.address, user)).unwrap();
    let key = Some(Uuid::new_v4());
    let answer = process.send(&hook::update(user, key, "mine")).unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(
        String::from_utf8(answer.body).unwrap(),
        r#"{"error":"not any more","code":"user/validation-failed"}"#
    );
    assert_eq!(read(&process, user)["bio"], "other");
    // A veto is no fact about the store: the same request may be approved later, or asked about again.
    assert_eq!(process.send(&hook::update(user, key, "mine")).unwrap().status, 400);
    assert_eq!((hook.asked().len(), verdicts(&process, "vetoed")), (3, Some(2)));
}

#[test]
fn what_changes_nothing_and_what_was_answered_before_ask_nobody() {
    let hook = Hook::start(|_| Answer::approve());
    let (_bed, process, user) = start(&hook.bed(""));
    let key = Some(Uuid::new_v4());
    let first = process.send(&hook::update(user, key, "mine")).unwrap();
    let again = process.send(&hook::update(user, key, "mine")).unwrap();
    assert_eq!((first.status, again.status, &first.body), (200, 200, &again.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for same in [hook::update(user, None, "mine"), hook::update_with(user, r#"{"update":{"role":"admin"}}"#)]
    {
        assert_eq!(process.send(&same).unwrap().status, 200);
    }
    // Nor do reads, creations, refusals, and writes through other mounts.
    let made = Party::Update.create(Uuid::new_v4(), Uuid::new_v4());
    let made =
        gateway_testkit::client::RawRequest { target: made.target.replace("/social/", "/guarded/"), ..made };
    assert_eq!(process.send(&made).unwrap().status, 201);
    let bad = hook::update_with(user, r#"{"update":{"bio":7}}"#);
    assert_eq!(process.send(&bad).unwrap().status, 400);
    assert_eq!(process.send(&hook::update(Uuid::new_v4(), None, "nobody")).unwrap().status, 404);
    let beside = Party::Update.update(user, Uuid::new_v4(), "beside");
    assert_eq!(process.send(&beside).unwrap().status, 200);
    assert_eq!(hook.asked().len(), 1);
    assert_eq!(hook.asked()[0].line, "POST /hook");
    assert!(hook.asked()[0].is_signed);
}

/// `on_failure = "allow"` is for what is down, and for nothing else.
#[test]
fn what_is_down_may_be_gone_without_and_what_is_odd_may_not() {
    let answer = Arc::new(Mutex::new(Answer::approve()));
    let given = Arc::clone(&answer);
    let hook = Hook::start(move |_| given.lock().unwrap().clone());
    let (_bed, process, user) = start(&hook.bed("on_failure = \"allow\"\ntimeout_ms = 200"));
    for (number, (word, status)) in [
        ("approve", 200),
        ("veto", 400),
        ("hang", 200),
        ("drip", 200),
        ("status:500", 200),
        ("status:503", 200),
        ("unsigned", 500),
        ("wrong-signature", 500),
        ("status:403", 500),
        ("redirect", 500),
        ("close", 500),
        ("reset", 500),
        ("huge", 500),
        ("no-http", 500),
        ("not-json", 400),
    ]
    .into_iter()
    .enumerate()
    {
        *answer.lock().unwrap() = word.parse().unwrap();
        let text = format!("text {number}");
        assert_eq!(process.send(&hook::update(user, None, &text)).unwrap().status, status, "{word}");
        assert_eq!(read(&process, user)["bio"] == text, status == 200, "{word}");
    }
    assert_eq!(verdicts(&process, "allowed"), Some(4));
    assert_eq!(process.metric(r#"interlingua_webhook_circuit{mount="guarded"}"#), Some(0));
    // 502, 503 and 504 are asked once more, and nothing else is.
    assert_eq!(hook.asked().len(), 16);
}

/// After ten failures the webhook is left alone; updates fail at once, or go ahead, as is configured.
#[test]
fn a_webhook_that_is_gone_is_left_alone() {
    for (on_failure, status) in [("reject", 500), ("allow", 200)] {
        let webhook = format!(
            "url = \"http://{}/\"\nallow_private = true\nsecret = \"{}\"\non_failure = \"{on_failure}\"",
            unreachable::refused(),
            hook::SECRET
        );
        let (_bed, process, user) = start(&hook::bed(&webhook));
        for number in 0..12 {
            let answer = process.send(&hook::update(user, None, &number.to_string())).unwrap();
            assert_eq!(answer.status, status);
        }
        assert_eq!(process.metric(r#"interlingua_webhook_circuit{mount="guarded"}"#), Some(2));
        let (_, log) = process.stop();
        assert!(log.contains("webhook_connect") && log.contains("webhook_circuit_open"));
    }
}
