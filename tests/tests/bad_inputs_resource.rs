//! Floods of honest requests, and limits of the machine: the gateway stays up, bounded and fair. And
//! what answers, logs and metrics must not tell.

use std::{
    fs,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use gateway::config;
use gateway_testkit::{
    cases::Sign,
    client::{Connection, RawRequest, RawResponse},
};
use serde_json::Value;
use tests::{Bed, Party, Process, Watched, now, partner};
use uuid::Uuid;

const MOUNTS: &str = include_str!("../src/mounts.toml");
const READ: &str = "/social/proj1234/users/67890";

/// The mounts, with another limit of requests.
fn limited(limit: &str) -> Bed {
    let config = MOUNTS.replacen("{ requests = 1, per_s = 3600, burst = 2 }", limit, 1);
    assert_ne!(config, MOUNTS);
    Bed::with(&config)
}

fn create_limited(id: &str, key: Option<Uuid>) -> RawRequest {
    let body = partner::create(id, None).body;
    partner::signed("POST", "/limited/v1/users", key, std::str::from_utf8(&body).unwrap())
}

fn read(token: &str) -> RawRequest {
    let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    RawRequest { method: "GET".into(), target: READ.into(), headers, body: Vec::new() }
}

fn text(answer: &RawResponse) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// `resource-001`, `resource-003`: exactly the burst is let in; whoever goes on is told to wait, writes
/// nothing and leaves no record of a key; others are served.
#[test]
fn over_its_quota_a_client_is_told_to_wait() {
    let watched = Watched::start(&limited("{ requests = 1, per_s = 3600, burst = 50 }"));
    let mut connection = watched.connect();
    let before = watched.written();
    for n in 0..50 {
        let answer = connection.send(&create_limited(&n.to_string(), Some(Uuid::new_v4()))).unwrap();
        assert_eq!(answer.status, 201, "{n}");
    }
    assert_eq!(watched.written().commits, before.commits + 50);
    let full = watched.written();
    let keys = watched.process().metric("interlingua_store_ledger_keys").unwrap();
    for n in 0..500 {
        let answer = connection.send(&create_limited(&format!("x{n}"), Some(Uuid::new_v4()))).unwrap();
        assert_eq!(answer.status, 429, "{n}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=3_600).contains(&wait), "{wait}");
        assert!(answer.checked().is_ok());
    }
    assert_eq!(watched.written(), full);
    assert_eq!(watched.process().metric("interlingua_store_ledger_keys"), Some(keys));
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `resource-002`: whenever requests come, no more are let in than the rate and one burst allow.
#[test]
fn no_edge_of_a_quota_lets_in_more() {
    let process = Process::start(&limited("{ requests = 50, per_s = 1, burst = 10 }"));
    let start = Instant::now();
    let admitted: usize = thread::scope(|scope| {
        let client = |name: char| {
            let mut connection = Connection::open(process.address).unwrap();
            (0..150)
                .filter(|n| {
                    connection.send(&create_limited(&format!("{name}{n}"), None)).unwrap().status == 201
                })
                .count()
        };
        let clients: Vec<_> = ['a', 'b', 'c', 'd'].map(|name| scope.spawn(move || client(name))).into();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    // This is about a number: how many fit into the time that it took, however long that was.
    let allowed = 10.0 + 50.0 * start.elapsed().as_secs_f64() + 1.0;
    assert!(
        admitted >= 10 && f64::from(u32::try_from(admitted).unwrap()) <= allowed,
        "{admitted} of {allowed}"
    );
}

/// `resource-009`: no file descriptors are left. Connections wait, and are served once others close.
#[test]
fn without_file_descriptors_it_waits_and_recovers() {
    let process = Process::start_in(&Bed::new(), "ulimit -n 128");
    let idle: Vec<_> = (0..150).map(|_| Connection::open(process.address).unwrap()).collect();
    process.wait_until("it runs out", |process| process.output().contains("cannot accept a connection"));
    drop(idle);
    let mut connection = Connection::open(process.address).unwrap();
    assert_eq!(connection.send(&partner::create("after", None)).unwrap().status, 201);
    assert_eq!(process.admin("/livez").0, 200);
    assert!(process.stop().0.success());
}

fn kib(process: &Process, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// `resource-010`: bodies of 1 MiB from 48 clients at once fit into 256 MiB.
#[test]
fn large_bodies_stay_within_the_memory_that_there_is() {
    let watched = Watched::start(&Bed::new());
    let padding = " ".repeat(1_000_000);
    thread::scope(|scope| {
        for client in 0..48 {
            let (watched, padding) = (&watched, &padding);
            scope.spawn(move || {
                let body = String::from_utf8(partner::create(&format!("m{client}"), None).body).unwrap();
                let body = format!("{padding}{body}");
                let answer =
                    watched.process().send(&partner::signed("POST", "/partner/v1/users", None, &body));
                assert!(matches!(answer.unwrap().status, 201 | 503));
            });
        }
    });
    assert!(kib(watched.process(), "VmHWM:") < 256 * 1024);
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `resource-011`, `resource-019`: every core is taken by others, and clients load it besides.
#[test]
fn a_machine_under_load_serves_on() {
    let watched = Watched::start(&Bed::new());
    let stop = Arc::new(AtomicBool::new(false));
    let burners: Vec<_> = (0..thread::available_parallelism().unwrap().get() * 2)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
        })
        .collect();
    thread::scope(|scope| {
        for party in Party::ALL {
            let watched = &watched;
            scope.spawn(move || {
                let mut connection = watched.connect();
                for _ in 0..50 {
                    let answer = connection.send(&party.create(Uuid::new_v4(), Uuid::new_v4())).unwrap();
                    assert!(matches!(answer.status, 201 | 503), "{party:?}: {}", answer.status);
                    assert_eq!(watched.process().admin("/livez").0, 200);
                }
            });
        }
    });
    stop.store(true, Ordering::Relaxed);
    burners.into_iter().for_each(|burner| burner.join().unwrap());
    assert_eq!(watched.process().admin("/readyz").0, 200);
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `resource-013`: 100 clients ask for a user of 10 kB a hundred times each, and read nothing.
#[test]
fn answers_that_nobody_reads_do_not_pile_up() {
    let watched = Watched::start(&Bed::new());
    let large = format!(r#"{{"update":{{"metadata":{{"a":"{}"}}}}}}"#, "x".repeat(10_000));
    let mut write = read("demo-service-token");
    (write.method, write.body) = ("PATCH".into(), large.into_bytes());
    assert_eq!(watched.process().send(&write).unwrap().status, 200);
    let before = kib(watched.process(), "VmRSS:");
    let one = format!(
        "GET {READ} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer demo-service-token\r\n\r\n"
    );
    let deaf: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = watched.connect();
            connection.socket().write_all(one.repeat(100).as_bytes()).unwrap();
            connection
        })
        .collect();
    assert_eq!(watched.process().admin("/livez").0, 200);
    let grown = kib(watched.process(), "VmRSS:").saturating_sub(before);
    // At most 64 KiB for each of them, and what a connection needs anyway.
    assert!(grown < 100 * 128, "{grown} KiB");
    drop(deaf);
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `resource-016`, `resource-017`: texts and numbers that are dear to read.
#[test]
fn dear_values_are_refused() {
    let watched = Watched::start(&Bed::new());
    let before = watched.written();
    let patch = |member: &str, value: &str| {
        let mut request = read("demo-service-token");
        request.method = "PATCH".into();
        request.body = format!(r#"{{"update":{{"{member}":{value}}}}}"#).into_bytes();
        request
    };
    let email = |value: &str| {
        let body = String::from_utf8(partner::create("dear", None).body).unwrap();
        partner::signed("POST", "/partner/v1/users", None, &body.replace("jane.doe@example.com", value))
    };
    let dots = format!("{}@{}com", "a.".repeat(16_000), "a.".repeat(16_000));
    let url = format!("\"http://{}\"", "a@:/?#[]".repeat(8_000));
    for request in [
        email(&dots),
        email(&format!("{}!", "a".repeat(64_000))),
        email(&format!("\\\"{}\\\"@b", "\\\\ ".repeat(16_000))),
        patch("avatar", &url),
        patch("metadata", r#"{"a":1e1000000}"#),
        patch("metadata", r#"{"a":-1e999999999}"#),
        patch("metadata", &format!(r#"{{"a":1{}}}"#, "0".repeat(9_000))),
        // `store-fault-036`
        patch("bio", r#""a\u0000b""#),
        patch("location", r#"{"latitude":1e1000000,"longitude":0}"#),
    ] {
        let answer = watched.process().send(&request).unwrap();
        assert!(matches!(answer.status, 400 | 422), "{} {}", answer.status, text(&answer));
    }
    assert_eq!(watched.written(), before);
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `leak-007`: a test that panics as a request might, in a process of its own.
#[test]
fn a_panic_tells_its_place_only() {
    const SECRET: &str = "canary-of-a-panic";
    const NAME: &str = "a_panic_tells_its_place_only";
    if std::env::var_os("INTERLINGUA_TEST_PANICS").is_some() {
        let log = config::Log { format: config::LogFormat::Json, level: config::LogLevel::Info };
        let _until_written = gateway::log::init(&log);
        assert!(std::panic::catch_unwind(|| panic!("{SECRET}")).is_err());
        return;
    }
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env("INTERLINGUA_TEST_PANICS", "1")
        .output()
        .unwrap();
    let told = String::from_utf8([again.stdout, again.stderr].concat()).unwrap();
    assert!(told.contains("a panic was caught") && told.contains("bad_inputs_resource.rs"), "{told}");
    assert!(!told.contains(SECRET), "{told}");
}

/// `leak-008`: nothing is served besides what is documented.
#[test]
fn there_are_no_other_endpoints() {
    let process = Process::start(&Bed::new());
    for path in
        ["/debug", "/debug/pprof/", "/console", "/config", "/env", "/heap", "/trace", "/metrics/../config"]
    {
        assert_eq!(process.admin(path).0, 404, "{path}");
        let mut request = read("demo-service-token");
        request.target = path.into();
        assert!(matches!(process.send(&request).unwrap().status, 400 | 404), "{path}");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        let mut request = read("demo-service-token");
        request.target = path.into();
        assert_eq!(process.send(&request).unwrap().status, 404, "{path}");
    }
}

/// `leak-009`, `leak-017`, `leak-018`: every answer names no server, is not compressed, and is not to be
/// stored; but D's bare success has no more headers than are documented (decisions 11 and 40).
#[test]
fn answers_have_the_headers_that_they_should() {
    let process = Process::start(&Bed::new());
    for party in Party::ALL {
        let user = Uuid::new_v4();
        let mut stranger = party.read(user);
        stranger.headers.clear();
        let writes = [party.create(user, Uuid::new_v4()), party.update(user, Uuid::new_v4(), "Ghent")];
        let requests = writes.into_iter().chain([party.read(user), party.read(Uuid::new_v4()), stranger]);
        for mut request in requests {
            request.headers.push(("Accept-Encoding".into(), "gzip, br, zstd, deflate".into()));
            let answer = process.send(&request).unwrap().checked().unwrap();
            for name in ["server", "x-powered-by", "via", "content-encoding"] {
                assert_eq!(answer.header(name), None, "{party:?}");
            }
            let is_bare = party == Party::JsonPatch && answer.body.is_empty();
            let wanted = if is_bare { None } else { Some("no-store") };
            assert_eq!(answer.header("cache-control"), wanted, "{party:?} {}", answer.status);
        }
    }
}

/// `leak-010`: an unknown key, a bad signature and a clock that is off are refused in the same words.
#[test]
fn failed_authentications_look_alike() {
    let process = Process::start(&Bed::new());
    let target = "/partner/v1/users/nobody";
    let sign = |sign: Sign, at: time::UtcDateTime| RawRequest {
        method: "GET".into(),
        target: target.into(),
        headers: sign.headers("GET", target, b"", at),
        body: Vec::new(),
    };
    let faces: Vec<_> = [
        sign(Sign { key: "unknown-key".into(), ..Sign::default() }, now()),
        sign(Sign { secret: "another-secret".into(), ..Sign::default() }, now()),
        sign(Sign::default(), now() - time::Duration::hours(1)),
        sign(Sign::default(), now() + time::Duration::hours(1)),
    ]
    .iter()
    .map(|request| {
        let answer = process.send(request).unwrap();
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
        let id = body.as_object_mut().unwrap().remove("requestId");
        assert!(id.is_some());
        let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
        (answer.status, body, names)
    })
    .collect();
    assert_eq!(faces[0].0, 401);
    assert!(faces.iter().all(|face| *face == faces[0]), "{faces:?}");
}

/// `leak-015`: whatever stands in a request, a line of the log stays a line, and an object.
#[test]
fn nothing_breaks_out_of_a_log_line() {
    let process = Process::start(&Bed::new());
    let odd = ["%0d%0a", "\u{1b}[31m", "\",\"level\":\"ERROR", "}{", "é", "%1b[2J", "\t"];
    for text in odd {
        for (method, target, name) in [
            ("GET", format!("/partner/v1/users/{text}?{text}"), "X-Request-Id"),
            ("PATCH", format!("/social/{text}/users/{text}"), "User-Agent"),
            ("BREW", format!("/{text}"), "Idempotency-Key"),
        ] {
            let headers = vec![(name.to_owned(), text.to_owned())];
            let request = RawRequest { method: method.into(), target, headers, body: text.into() };
            let _answered_or_refused = process.send(&request);
        }
    }
    let (status, output) = process.stop();
    assert!(status.success());
    let log: Vec<_> = output.lines().skip_while(|line| !line.starts_with('{')).collect();
    let log: Vec<_> = log.into_iter().filter(|line| line.contains("interlingua::access")).collect();
    assert!(log.len() >= odd.len(), "{output}");
    for line in log {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(entry["level"], "INFO", "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains("31m"), "{line}");
    }
    assert!(!output.contains('\u{1b}'));
}
