//! Attacks by HTTP/2 from the catalogue, each beside a good client: how each ends, that nothing is
//! written, and that memory stays bounded.

use std::time::Duration;

use tests::{
    Bed, Process, Watched,
    wire::h2::{Client, END_HEADERS, END_STREAM, End, Fields, block, frame, kind},
};

const PATH: &str = "/social/proj1234/users/67890";
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
/// What an attack may leave behind in memory.
const GROWTH_KIB: u64 = 16 * 1024;

type Outcome = Result<(), String>;

/// A request with a credential: `more` after its own fields.
fn fields<'a>(method: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "gateway.test"),
        (":path", PATH),
        ("authorization", "Bearer demo-service-token"),
    ];
    own.into_iter().chain(more.iter().copied()).collect()
}

/// The same without its path, and with other pseudo-fields.
fn with_path<'a>(pseudo: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = fields("GET", &[]);
    fields.retain(|(name, _)| *name != ":path");
    fields.splice(3..3, pseudo.iter().copied());
    fields
}

fn expect(found: End, allowed: impl Fn(End) -> bool) -> Outcome {
    if allowed(found) { Ok(()) } else { Err(format!("{found:?}")) }
}

/// The connection still serves.
fn serves(client: &mut Client) -> Outcome {
    let stream = client.request(&fields("GET", &[]));
    expect(client.end(stream), |end| end == End::Answered(200)).map_err(|end| format!("afterwards {end}"))
}

/// One request with an odd head, of which the connection survives.
fn odd_head(watched: &Watched, head: &Fields<'_>, wanted: End) -> Outcome {
    let mut client = open(watched);
    let stream = client.request(head);
    expect(client.end(stream), |end| end == wanted)?;
    serves(&mut client)
}

fn open(watched: &Watched) -> Client {
    Client::open(watched.process().address, &[])
}

fn resets_at_a_pace(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    for _ in 0..1_000 {
        let stream = client.request(&fields("GET", &[]));
        // By now the server has begun on it, which is what the guard of the h2 crate does not count.
        std::thread::sleep(Duration::from_millis(2));
        if !client.send(&frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes())) {
            break;
        }
    }
    let last = client.request(&fields("GET", &[]));
    expect(client.end(last), End::is_over)
}

fn empty_continuations(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    let stream = client.stream();
    let head = frame(kind::HEADERS, END_STREAM, stream, &block(&fields("GET", &[])));
    let flood = frame(kind::CONTINUATION, 0, stream, &[]).repeat(100_000);
    let last = frame(kind::CONTINUATION, END_HEADERS, stream, &[]);
    expect(client.flood([head, flood, last].concat(), stream), End::is_over)
}

fn empty_data(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    let stream = client.begin(&fields("PATCH", &[]));
    let flood = frame(kind::DATA, 0, stream, &[]).repeat(100_000);
    let last = frame(kind::DATA, END_STREAM, stream, &[]);
    expect(client.flood([flood, last].concat(), stream), End::is_over)
}

fn a_head_of_64_kib(watched: &Watched) -> Outcome {
    let value = "x".repeat(8_000);
    let mut client = open(watched);
    let stream = client.request(&fields("GET", &[("x-a", &*value); 9]));
    expect(client.end(stream), End::is_over)
}

fn a_head_of_17_kib(watched: &Watched) -> Outcome {
    let value = "x".repeat(8_500);
    odd_head(watched, &fields("GET", &[("x-a", &*value); 2]), End::Answered(431))
}

/// 20,000 of a frame that asks for an answer.
fn flood(watched: &Watched, one: &[u8]) -> Outcome {
    let mut client = open(watched);
    let stream = client.stream();
    let good = frame(kind::HEADERS, END_STREAM | END_HEADERS, stream, &block(&fields("GET", &[])));
    expect(client.flood([one.repeat(20_000), good].concat(), stream), End::is_over)
}

fn windows_of_nothing(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    let stream = client.begin(&fields("PATCH", &[]));
    client.send(&frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4]));
    expect(client.end(stream), |end| {
        matches!(end, End::Reset(PROTOCOL_ERROR) | End::GoAway(PROTOCOL_ERROR))
    })?;
    // As an attack: each makes the server reset a request that it has begun on (CVE-2025-8671).
    let mut client = open(watched);
    for _ in 0..2_000 {
        let stream = client.begin(&fields("PATCH", &[]));
        if !client.send(&frame(kind::WINDOW_UPDATE, 0, stream, &[0; 4])) {
            break;
        }
    }
    let last = client.request(&fields("GET", &[]));
    expect(client.end(last), End::is_over)
}

fn a_window_too_far(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    client.send(&frame(kind::WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()));
    expect(client.end(1), |end| end == End::GoAway(FLOW_CONTROL_ERROR))
}

fn line_breaks_in_a_value(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    let stream = client.request(&fields("GET", &[("x-a", "a\r\nb:c")]));
    expect(client.end(stream), |end| matches!(end, End::GoAway(PROTOCOL_ERROR) | End::Reset(PROTOCOL_ERROR)))
}

/// Malformed, says RFC 9113 8.1.1: an answer of 400, or a reset without one.
fn a_path_without_a_slash(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    let stream = client.request(&with_path(&[(":path", "x")]));
    expect(client.end(stream), |end| matches!(end, End::Answered(400) | RESET))?;
    serves(&mut client)
}

fn a_frame_too_large(watched: &Watched) -> Outcome {
    let mut client = open(watched);
    let stream = client.begin(&fields("PATCH", &[]));
    client.send(&frame(kind::DATA, END_STREAM, stream, &[b'x'; 16_385]));
    expect(client.end(stream), |end| end == End::GoAway(FRAME_SIZE_ERROR))
}

fn resident_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

type Case = (&'static str, fn(&Watched) -> Outcome);

const RESET: End = End::Reset(PROTOCOL_ERROR);
const CASES: [Case; 18] = [
    ("control", |watched| serves(&mut open(watched))),
    ("h2-002", resets_at_a_pace),
    ("h2-004", empty_continuations),
    ("h2-005", empty_data),
    ("h2-007", a_head_of_64_kib),
    ("h2-008", a_head_of_17_kib),
    ("h2-010", |watched| flood(watched, &frame(kind::SETTINGS, 0, 0, &[]))),
    ("h2-010 with PING", |watched| flood(watched, &frame(kind::PING, 0, 0, &[0; 8]))),
    ("h2-013", windows_of_nothing),
    ("h2-014", a_window_too_far),
    ("h2-019", |watched| odd_head(watched, &fields("GET", &[("transfer-encoding", "chunked")]), RESET)),
    ("h2-020", |watched| odd_head(watched, &fields("GET", &[("connection", "close")]), RESET)),
    ("h2-021", line_breaks_in_a_value),
    ("h2-023", |watched| odd_head(watched, &with_path(&[(":path", PATH), (":path", PATH)]), RESET)),
    ("h2-024", |watched| odd_head(watched, &with_path(&[]), RESET)),
    ("h2-025", a_path_without_a_slash),
    ("h2-026", |watched| odd_head(watched, &fields("GET", &[("host", "evil.example")]), End::Answered(400))),
    ("h2-030", a_frame_too_large),
];

#[test]
fn attacks_end_and_nobody_else_is_hurt() {
    let watched = Watched::start(&Bed::new());
    let mut failures = Vec::new();
    for (id, case) in CASES {
        let (before, memory) = (watched.written(), resident_kib(watched.process()));
        failures.extend(case(&watched).err().map(|why| format!("{id}: {why}")));
        if watched.written() != before {
            failures.push(format!("{id}: it wrote"));
        }
        let grown = resident_kib(watched.process()).saturating_sub(memory);
        if grown > GROWTH_KIB {
            failures.push(format!("{id}: {grown} KiB more memory"));
        }
    }
    failures.extend(watched.stop());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// `h2-031`: a client that goes on with new streams after it was told to go, or does not even answer
/// the server's PING, does not hold up the end for longer than `drain_timeout_ms`.
#[test]
fn a_client_that_does_not_go_is_left() {
    let mounts = include_str!("../src/mounts.toml");
    let hasty = mounts.replace("[server]\n", "[server]\ndrain_timeout_ms = 500\n");
    for (config, answers_pings) in [(mounts, true), (&hasty, false)] {
        let process = Process::start(&Bed::with(config));
        let mut client = Client::open(process.address, &[]);
        client.answers_pings = answers_pings;
        serves(&mut client).unwrap();
        let stopping = std::thread::spawn(move || process.stop());
        // Whatever it asks for once it was told: the connection ends.
        let mut told = false;
        loop {
            let stream = client.request(&fields("GET", &[]));
            match client.end(stream) {
                End::Closed => break,
                End::GoAway(code) => {
                    assert_eq!(code, 0);
                    told = true;
                }
                // Cut off at the end of the time to drain.
                End::Reset(_) if told => {}
                end => assert_eq!(end, End::Answered(200)),
            }
        }
        assert!(told, "it was closed without a word");
        let (status, log) = stopping.join().unwrap();
        assert!(status.success(), "{log}");
    }
}

/// `h2-015`: a client that takes no byte of 100 large answers. They wait in bounded memory, and are given
/// up after `write_timeout_ms`.
#[test]
fn answers_that_are_not_let_through_are_given_up() {
    let mounts = include_str!("../src/mounts.toml");
    let hasty = mounts.replacen("[server]\n", "[server]\nwrite_timeout_ms = 500\n", 1);
    let watched = Watched::start(&Bed::with(&hasty));
    let mut client = open(&watched);
    let stream = client.begin(&fields("PATCH", &[]));
    let large = format!(r#"{{"update":{{"metadata":{{"a":"{}"}}}}}}"#, "x".repeat(10_000));
    client.send(&frame(kind::DATA, END_STREAM, stream, large.as_bytes()));
    assert_eq!(client.end(stream), End::Answered(200));
    let before = resident_kib(watched.process());
    // SETTINGS_INITIAL_WINDOW_SIZE
    let mut client = Client::open(watched.process().address, &[(4, 0)]);
    let streams: Vec<_> = (0..100).map(|_| client.request(&fields("GET", &[]))).collect();
    let end = client.end(streams[0]);
    assert!(end.is_over() || matches!(end, End::Reset(_)), "{end:?}");
    let grown = resident_kib(watched.process()).saturating_sub(before);
    assert!(grown < GROWTH_KIB, "{grown} KiB");
    assert_eq!(watched.stop(), Vec::<String>::new());
}
