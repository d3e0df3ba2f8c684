//! Bad inputs that are more than requests one after another.

use std::{collections::BTreeMap, fs, io::Read};

use gateway_testkit::{
    cases::Sign,
    client::{RawRequest, RawResponse},
};
use serde_json::Value;
use uuid::Uuid;

use super::{bed, judge::status_and_code, webhook};
use crate::{Bed, Party, Process, Watched, now, partner};

/// Runs a script by name; with all that is wrong.
#[must_use]
pub fn run(name: &str, watched: &Watched) -> Vec<String> {
    let (first, about) = name.split_once(' ').unwrap_or((name, ""));
    if let Some(ran) = webhook::run(first, about) {
        return ran.err().into_iter().collect();
    }
    let ran = match name {
        "keys_are_guessed" => keys_are_guessed(),
        "one_key_at_once" => one_key_at_once(watched),
        "two_bodies_at_once" => two_bodies_at_once(watched),
        "a_line_feed_over_http2" => a_line_feed_over_http2(watched),
        "killed_after_the_commit" => killed_after_the_commit(),
        "a_signature_outlives_a_crash" => a_signature_outlives_a_crash(),
        "the_partner_is_gone" => the_partner_is_gone(),
        "the_user_is_gone" => the_user_is_gone(watched),
        other => panic!("no script `{other}`"),
    };
    ran.err().into_iter().collect()
}

/// How many clients ask at once.
const CROWD: usize = 50;

/// How many failures a peer has free, and how many guesses it makes.
const FREE: usize = 20;
const GUESSES: usize = 200;

/// A peer that guesses is refused before its signature is looked at, and so is a right guess.
fn keys_are_guessed() -> Result<(), String> {
    let limit = format!("[server]\nfailed_auth_limit = {{ requests = 1, per_s = 3600, burst = {FREE} }}\n");
    let bed = Bed::with(&include_str!("../mounts.toml").replacen("[server]\n", &limit, 1));
    let process = Process::start(&bed);
    for guess in 0..GUESSES {
        let sign = Sign { key: Uuid::new_v4().simple().to_string(), ..Sign::default() };
        let target = "/partner/v1/users/guessed".to_owned();
        let headers = sign.headers("GET", &target, b"", now());
        let request = RawRequest { method: "GET".into(), target, headers, body: Vec::new() };
        let expected = if guess < FREE { "401 unauthorized" } else { "429 too_many_requests" };
        is(&process.send(&request)?, expected).map_err(|found| format!("guess {guess}: {found}"))?;
    }
    is(&process.send(&partner::read("guessed"))?, "429 too_many_requests")
}

fn is(answer: &RawResponse, expected: &str) -> Result<(), String> {
    let found = status_and_code(answer);
    (found == expected).then_some(()).ok_or_else(|| format!("{found} instead of {expected}"))
}

fn is_replay(answer: &RawResponse, first: &RawResponse) -> Result<(), String> {
    let marked = answer.header("idempotency-replayed") == Some("true");
    let same = (answer.status, &answer.body) == (first.status, &first.body);
    (marked && same).then_some(()).ok_or_else(|| format!("no replay of the first answer: {answer:?}"))
}

/// Sends every request on a connection of its own, at the same time; counts answers by status.
fn at_once(watched: &Watched, requests: &[RawRequest]) -> Result<BTreeMap<String, usize>, String> {
    let send = |request: &RawRequest| {
        let mut connection = watched.connect();
        let request = request.clone();
        std::thread::spawn(move || connection.send(&request))
    };
    let threads: Vec<_> = requests.iter().map(send).collect();
    let mut counts = BTreeMap::new();
    for thread in threads {
        let answer = thread.join().map_err(|_fell| "a client fell".to_owned())??;
        *counts.entry(status_and_code(&answer)).or_insert(0) += 1;
    }
    Ok(counts)
}

/// Lets a crowd change one user under one key; one of them does, and the others are told so.
fn crowd(watched: &Watched, bodies: [&str; 2], allowed: &[&str]) -> Result<(), String> {
    let (user, key) = (Uuid::new_v4().to_string(), Uuid::new_v4());
    is(&watched.process().send(&partner::create(&user, None))?, "201")?;
    let before = watched.written();
    let requests: Vec<_> =
        (0..CROWD).map(|number| partner::update(&user, Some(key), bodies[number % 2])).collect();
    let counts = at_once(watched, &requests)?;
    let commits = watched.written().commits - before.commits;
    let is_well = commits == 1 && counts.keys().all(|status| allowed.contains(&status.as_str()));
    (is_well && counts.contains_key("200"))
        .then_some(())
        .ok_or_else(|| format!("{commits} commits, answers {counts:?}"))
}

fn one_key_at_once(watched: &Watched) -> Result<(), String> {
    crowd(watched, ["Ottawa", "Ottawa"], &["200", "409 conflict"])
}

fn two_bodies_at_once(watched: &Watched) -> Result<(), String> {
    crowd(watched, ["Ottawa", "Hull"], &["200", "409 conflict", "422 unprocessable_entity"])
}

/// The client did not see the answer, and asks again, freshly signed.
fn killed_after_the_commit() -> Result<(), String> {
    let bed = bed();
    let (user, key) = (Uuid::new_v4().to_string(), Uuid::new_v4());
    let process = Process::start(&bed);
    let first = process.send(&partner::create(&user, Some(key)))?;
    is(&first, "201")?;
    process.kill();
    let process = Process::start(&bed);
    is_replay(&process.send(&partner::create(&user, Some(key)))?, &first)
}

/// A captured request is sent to a gateway that crashed after it.
fn a_signature_outlives_a_crash() -> Result<(), String> {
    // The clock's window must not be what refuses it.
    let config = include_str!("../mounts.toml").replace("clock_skew_s = 5", "clock_skew_s = 60");
    let bed = Bed::with(&config);
    let (user, key) = (Uuid::new_v4().to_string(), Uuid::new_v4());
    let plain = strict(&partner::create(&user, None));
    let keyed = strict(&partner::create(&format!("{user}-keyed"), Some(key)));
    let process = Process::start(&bed);
    is(&process.send(&plain)?, "201")?;
    let first = process.send(&keyed)?;
    is(&first, "201")?;
    process.kill();
    let process = Process::start(&bed);
    is(&process.send(&plain)?, "401 unauthorized")?;
    is_replay(&process.send(&keyed)?, &first)
}

/// The same request at the mount with replay protection.
fn strict(request: &RawRequest) -> RawRequest {
    let target = request.target.replace("/partner/", "/strict/");
    let kept = request.headers.iter().filter(|(name, _)| name == "Idempotency-Key").cloned();
    let mut headers = Sign::default().headers(&request.method, &target, &request.body, now());
    headers.extend(kept);
    RawRequest { target, headers, ..request.clone() }
}

/// A replay needs valid authentication now (decision 2).
fn the_partner_is_gone() -> Result<(), String> {
    let bed = bed();
    let (user, key) = (Uuid::new_v4().to_string(), Uuid::new_v4());
    let process = Process::start(&bed);
    is(&process.send(&partner::create(&user, Some(key)))?, "201")?;
    let (_, _output) = process.stop();
    let config = fs::read_to_string(bed.config()).unwrap();
    let client = "name = \"demo-partner\"\napi_key = \"demo-partner-key\"";
    let key_file = bed.folder().join("new-key");
    let other = format!("name = \"next-partner\"\napi_key = \"file:{}\"", key_file.display());
    assert!(config.contains(client));
    fs::write(bed.config(), config.replace(client, &other)).unwrap();
    let process = Process::start(&bed);
    is(&process.send(&partner::create(&user, Some(key)))?, "401 unauthorized")
}

/// A stored answer goes with the user whom it names (decision 9).
fn the_user_is_gone(watched: &Watched) -> Result<(), String> {
    let (user, key) = (Uuid::new_v4().to_string(), Uuid::new_v4());
    let made = watched.process().send(&partner::create(&user, Some(key)))?;
    is(&made, "201")?;
    let made: Value = serde_json::from_slice(&made.body).map_err(|error| error.to_string())?;
    let id = made["userId"].as_str().and_then(|id| id.parse().ok()).ok_or("no userId")?;
    let gone = RawRequest { method: "DELETE".into(), ..Party::JsonApi.read(id) };
    is(&watched.process().send(&gone)?, "202")?;
    let before = watched.written();
    is(&watched.process().send(&partner::create(&user, Some(key)))?, "404 not_found")?;
    is(&watched.process().send(&partner::read(&user))?, "404 not_found")?;
    (watched.written() == before).then_some(()).ok_or_else(|| "the replay wrote".into())
}

/// Over HTTP/2 a value is counted, so that a line feed in it can be sent. Such a request is malformed
/// (RFC 9113, 8.2.1); the same one without it is answered.
fn a_line_feed_over_http2(watched: &Watched) -> Result<(), String> {
    let before = watched.written();
    let good = http2_answer(watched, "2026-03-13T12:00:00Z")?;
    let bad = http2_answer(watched, "2026-03-13\nX-Api-Key: demo-partner-key")?;
    let is_well = good == HEADERS && [RST_STREAM, GOAWAY].contains(&bad) && watched.written() == before;
    is_well.then_some(()).ok_or_else(|| format!("frames of type {good} and {bad}"))
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// The type of the frame that answers a request with this timestamp.
fn http2_answer(watched: &Watched, timestamp: &str) -> Result<u8, String> {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "gateway.test"),
        (":path", "/partner/v1/users/x"),
        ("x-request-timestamp", timestamp),
    ];
    // Literals without indexing and without Huffman coding (RFC 7541, 6.2.2): 0, length, name, length, value.
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block: Vec<u8> =
        fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let (settings, request) = (frame(4, 0, 0, &[]), frame(HEADERS, 0x5, 1, &block));
    let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings, &request].concat();
    let mut connection = watched.connect();
    connection.write(&bytes)?;
    loop {
        let mut head = [0; 9];
        connection.socket().read_exact(&mut head).map_err(|error| error.to_string())?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        connection.socket().read_exact(&mut payload).map_err(|error| error.to_string())?;
        if [HEADERS, RST_STREAM, GOAWAY].contains(&head[3]) {
            return Ok(head[3]);
        }
    }
}
