//! Entity tags across dialects: of two writers who have read the same, one wins and the other is told.

use std::sync::{Arc, Barrier, OnceLock};

use gateway::webhook::receiver::Answer;
use gateway_testkit::{
    cases::{Sign, credential},
    client::{Connection, RawRequest, RawResponse},
};
use serde_json::{Value, json};
use tests::{
    Bed, Process,
    hook::{self, Hook},
    now,
};
use uuid::Uuid;

const ROUNDS: usize = 40;

/// A client, by its dialect, that writes a field which nobody else writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Writer {
    Partner,
    Update,
    JsonApi,
    JsonPatch,
    Rest,
}

use Writer::{JsonApi, JsonPatch, Partner, Rest, Update};

/// A request with no more than what its client needs to be known.
struct Plain {
    method: &'static str,
    target: String,
    media_type: &'static str,
    body: String,
}

impl Writer {
    fn target(self, user: Uuid) -> String {
        let users = match self {
            Partner => "/partner/v1",
            Update => "/social/proj1234",
            JsonApi => "/user/2025-1",
            JsonPatch => "/supplier-tagged/v1",
            Rest => "/api/v1",
        };
        format!("{users}/users/{user}")
    }

    fn write(self, user: Uuid, text: &str) -> Plain {
        let (media_type, body) = match self {
            Partner => ("application/json", format!(r#"{{"occupation":"{text}"}}"#)),
            Update => ("application/json", format!(r#"{{"update":{{"bio":"{text}"}}}}"#)),
            JsonApi => (
                "application/vnd.api+json",
                format!(
                    r#"{{"data":{{"type":"User","id":"{user}","attributes":{{"phoneNumber":"{text}"}}}}}}"#
                ),
            ),
            JsonPatch => {
                ("application/json", format!(r#"[{{"op":"replace","path":"/lastName","value":"{text}"}}]"#))
            }
            Rest => ("application/merge-patch+json", format!(r#"{{"displayName":"{text}"}}"#)),
        };
        Plain { method: "PATCH", target: self.target(user), media_type, body }
    }

    /// What it writes, as the canonical dialect shows it.
    const fn field(self) -> &'static str {
        match self {
            Partner => "occupation",
            Update => "bio",
            JsonApi => "phone",
            JsonPatch => "familyName",
            Rest => "displayName",
        }
    }

    fn read(self, user: Uuid) -> Plain {
        Plain { method: "GET", target: self.target(user), media_type: "", body: String::new() }
    }

    fn send(self, connection: &mut Connection, plain: &Plain, more: &[(&str, &str)]) -> RawResponse {
        let Plain { method, target, media_type, body } = plain;
        let mut headers = match self {
            Partner => Sign::default().headers(method, target, body.as_bytes(), now()),
            _ => {
                let authorization = match self {
                    Rest => "Bearer demo-admin-token",
                    JsonApi => "Bearer demo-access-token",
                    JsonPatch => "Basic $BASIC(demo-supplier:demo-supplier-secret)",
                    _ => "Bearer demo-service-token",
                };
                vec![("Authorization".to_owned(), credential(authorization, now()))]
            }
        };
        let named = [("Content-Type", *media_type)].into_iter().filter(|_| !body.is_empty());
        headers.extend(named.chain(more.iter().copied()).map(|(name, value)| (name.into(), value.into())));
        let request = RawRequest {
            method: (*method).into(),
            target: target.clone(),
            headers,
            body: body.as_bytes().to_vec(),
        };
        connection.send(&request).unwrap().checked().unwrap()
    }

    /// Its word for "somebody was faster", but for the request's id.
    fn refusal(self, answer: &RawResponse) -> bool {
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        answer.status == 412
            && match self {
                Partner => {
                    body["error"] == "bad_request"
                        && body["message"] == "The user has changed since it was read"
                }
                Update => body["code"] == "user/precondition-failed",
                JsonApi => body["errors"][0]["code"] == "precondition-failed",
                JsonPatch => body == json!({"message": "The user has changed since it was read", "code": 1}),
                Rest => body["type"] == "urn:interlingua:problem:precondition-failed",
            }
    }
}

fn tag(answer: &RawResponse) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no ETag: {answer:?}")).to_owned()
}

/// A user whom all dialects see.
fn shared_user(connection: &mut Connection) -> Uuid {
    let user = Uuid::new_v4();
    let links: Vec<_> = ["demo-partner", "proj1234", "demo-supplier"]
        .map(|namespace| json!({"namespace": namespace, "externalId": user.to_string()}))
        .into();
    let body = json!({
        "email": "jane@example.com",
        "givenName": "Jane",
        "familyName": "Doe",
        "birthDate": "1990-05-15",
        "address": {"line1": "1 Main St", "city": "Boston", "region": "MA", "postalCode": "02134", "country": "US"},
        "locale": "en-US",
        "occupation": "Engineer",
        "links": links,
    });
    let (media_type, body) = ("application/json", body.to_string());
    let made = Plain { method: "PUT", target: Rest.target(user), media_type, body };
    let answer = Rest.send(connection, &made, &[("If-None-Match", "*")]);
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    user
}

/// Two clients, each of whom writes what it last read, again and again.
fn race(address: std::net::SocketAddr, writers: [Writer; 2]) {
    let mut connection = Connection::open(address).unwrap();
    let user = shared_user(&mut connection);
    let start = Arc::new(Barrier::new(2));
    let clients: Vec<_> = writers
        .into_iter()
        .enumerate()
        .map(|(number, writer)| {
            let start = Arc::clone(&start);
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                (0..ROUNDS)
                    .map(|round| write(&mut connection, writer, user, (number, round), &start))
                    .collect()
            })
        })
        .collect();
    let wins: Vec<Vec<bool>> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    for (round, (first, second)) in wins[0].iter().zip(&wins[1]).enumerate() {
        assert!(first ^ second, "{writers:?}, round {round}: {first} and {second}");
    }
    let whole = Rest.send(&mut connection, &Rest.read(user), &[]);
    let whole: Value = serde_json::from_slice(&whole.body).unwrap();
    for (number, writer) in writers.into_iter().enumerate() {
        let last = |number| whole[writer.field()] == text(number, ROUNDS - 1);
        let is_there = if writers[0] == writers[1] { last(0) || last(1) } else { last(number) };
        assert!(is_there, "{writers:?}: {whole}");
    }
}

fn text(number: usize, round: usize) -> String {
    format!("+1 {number} {round}")
}

/// One round of a client; whether it won.
fn write(
    connection: &mut Connection,
    writer: Writer,
    user: Uuid,
    (number, round): (usize, usize),
    start: &Barrier,
) -> bool {
    let read = writer.read(user);
    let known = tag(&writer.send(connection, &read, &[]));
    let change = writer.write(user, &text(number, round));
    let key = Uuid::new_v4().to_string();
    let key = [("Idempotency-Key", key.as_str())];
    let mut headers = vec![("If-Match", known.as_str())];
    headers.extend(key.into_iter().filter(|_| round % 2 == 0));
    start.wait();
    let answer = writer.send(connection, &change, &headers);
    // Both have their answers.
    start.wait();
    let won = answer.status == 200;
    assert!(won || writer.refusal(&answer), "{writer:?}: {answer:?}");
    if round % 2 == 0 {
        let again = writer.send(connection, &change, &headers);
        assert_eq!((again.status, &again.body), (answer.status, &answer.body), "{writer:?}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{writer:?}");
        assert_eq!(again.header("etag"), answer.header("etag"), "{writer:?}");
    }
    if !won {
        // Who is told reads again, and writes upon what is there now: nothing is lost.
        let fresh = tag(&writer.send(connection, &read, &[]));
        assert_ne!(fresh, known);
        let answer = writer.send(connection, &change, &[("If-Match", &fresh)]);
        assert_eq!(answer.status, 200, "{writer:?}: {answer:?}");
    }
    start.wait();
    won
}

#[test]
fn of_two_writers_in_two_dialects_one_wins() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let all = [Partner, Update, JsonApi, JsonPatch, Rest];
    for (at, first) in all.into_iter().enumerate() {
        for second in all.into_iter().skip(at) {
            race(process.address, [first, second]);
        }
    }
}

/// What all five answer about one version is one tag.
#[test]
fn a_user_has_one_tag_in_all_dialects() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let mut connection = Connection::open(process.address).unwrap();
    let user = shared_user(&mut connection);
    let all = [Partner, Update, JsonApi, JsonPatch, Rest];
    let mut known = String::new();
    for (round, writer) in all.into_iter().cycle().take(10).enumerate() {
        let written = tag(&writer.send(&mut connection, &writer.write(user, &text(round, 0)), &[]));
        assert_ne!(written, known);
        for reader in all {
            let answer = reader.send(&mut connection, &reader.read(user), &[("If-None-Match", &written)]);
            assert_eq!((answer.status, tag(&answer)), (304, written.clone()), "{reader:?}");
            let about_a_body = [answer.header("content-type"), answer.header("content-length")];
            assert!(answer.body.is_empty() && about_a_body == [None, None], "{answer:?}");
        }
        known = written;
    }
}

/// The user that is written is the one that was demanded, however long the webhook takes.
#[test]
fn a_condition_is_held_against_what_is_committed() {
    let place = Arc::new(OnceLock::new());
    let known: Arc<OnceLock<(std::net::SocketAddr, Uuid)>> = Arc::clone(&place);
    let hook = Hook::start(move |asked| {
        if asked.body.windows(5).any(|part| part == b"moved") {
            let (address, user) = known.get().unwrap();
            let mut connection = Connection::open(*address).unwrap();
            let answer = Rest.send(&mut connection, &Rest.write(*user, "other"), &[]);
            assert_eq!(answer.status, 200);
        }
        Answer::approve()
    });
    let bed = Bed::with(&hook.bed(""));
    let process = Process::start(&bed);
    let mut connection = Connection::open(process.address).unwrap();
    let user = shared_user(&mut connection);
    place.set((process.address, user)).unwrap();
    let mut update = |text: &str, tag: &str| {
        let mut request = hook::update(user, None, text);
        request.headers.push(("If-Match".into(), tag.into()));
        connection.send(&request).unwrap()
    };
    // Whoever comes too late anyway troubles nobody.
    assert_eq!((update("stale", "\"x\"").status, hook.asked().len()), (412, 0));
    assert_eq!((update("first", "*").status, hook.asked().len()), (200, 1));
    let mut connection = Connection::open(process.address).unwrap();
    let fresh = tag(&Rest.send(&mut connection, &Rest.read(user), &[]));
    let answer = update("moved", &fresh);
    assert!(Update.refusal(&answer), "{answer:?}");
    assert_eq!(hook.asked().len(), 2, "it is not asked about what will not be done");
    let whole: Value =
        serde_json::from_slice(&Rest.send(&mut connection, &Rest.read(user), &[]).body).unwrap();
    assert_eq!((&whole["bio"], &whole["displayName"]), (&"first".into(), &"other".into()));
    let fresh = tag(&Rest.send(&mut connection, &Rest.read(user), &[]));
    assert_eq!((update("second", &fresh).status, hook.asked().len()), (200, 3));
}
