//! The configuration, loaded again under a running process: by SIGHUP, by a changed file, and by a
//! bad one, which changes nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gateway_testkit::{
    cases::Sign,
    client::{Connection, RawRequest},
};
use tests::{Bed, Process, now, partner};

const OK: &str = r#"interlingua_config_reloads_total{outcome="ok"}"#;
const FAILED: &str = r#"interlingua_config_reloads_total{outcome="failed"}"#;
const IS_BAD: &str = "interlingua_config_reload_failed";

/// Two mounts: the demo's partner, and one whose secret is in a file. `$SERVER` is more of `[server]`.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
$SERVER

[log]
format = "json"

[store.embedded]
path = "$DIR/data"

[[mount]]
name = "partner"
prefix = "/partner/v1"
dialect = "partner"
namespace = "demo-partner"

[[mount.client]]
name = "demo-partner"
api_key = "demo-partner-key"
secret = "demo-partner-secret"

[[mount]]
name = "other"
prefix = "/other/v1"
dialect = "partner"
namespace = "other-partner"

[[mount.client]]
name = "other-partner"
api_key = "file:$DIR/other-key"
secret = "file:$DIR/other-secret"
"#;

fn config(server: &str) -> String {
    CONFIG.replace("$SERVER", server)
}

/// Puts a configuration there, and says so.
fn reload(bed: &Bed, process: &Process, config: &str) {
    let counted = |process: &Process| process.metric(OK).unwrap() + process.metric(FAILED).unwrap();
    let before = counted(process);
    bed.replace("interlingua.toml", config);
    process.hang_up();
    process.wait_until("the configuration was read", |process| counted(process) > before);
}

fn status(process: &Process, request: &RawRequest) -> u16 {
    Connection::open(process.address).unwrap().send(request).unwrap().status
}

/// A read in the mount `other`, signed with a secret.
fn other(secret: &str) -> RawRequest {
    let target = "/other/v1/users/nobody";
    let sign =
        Sign { key: "other-partner-key-0123456789abcdef".into(), secret: secret.into(), ..Sign::default() };
    let headers = sign.headers("GET", target, b"", now());
    RawRequest { method: "GET".into(), target: target.into(), headers, body: Vec::new() }
}

const OLD: &str = "other-partner-secret-0123456789abcdef";
const NEW: &str = "newer-partner-secret-0123456789abcdef";

#[test]
fn sighup_brings_mounts_and_takes_them_away() {
    let bed = Bed::with(&config("watch = false"));
    let process = Process::start(&bed);
    let loaded = process.metric("interlingua_config_loaded_timestamp_seconds").unwrap();
    assert!(loaded > 1_700_000_000);
    assert_eq!(
        (process.metric(OK), process.metric(FAILED), process.metric(IS_BAD)),
        (Some(0), Some(0), Some(0))
    );
    assert_eq!(status(&process, &other(OLD)), 404);
    let user = || partner::create("kept", None);
    assert_eq!(status(&process, &user()), 201);
    let moved = config("watch = false").replace("/other/v1", "/moved/v1");
    reload(&bed, &process, &moved);
    let unmounted = Connection::open(process.address).unwrap().send(&other(OLD)).unwrap();
    assert_eq!(unmounted.header("content-type"), Some("application/problem+json"));
    assert_eq!(status(&process, &user()), 409);
    let mut there = other(OLD);
    there.target = "/moved/v1/users/nobody".into();
    assert_eq!(status(&process, &there), 401, "it is another target that was signed");
    assert_eq!((process.metric(OK), process.metric(FAILED)), (Some(1), Some(0)));
    assert_eq!(process.admin("/readyz").0, 200);
}

#[test]
fn a_rotated_secret_is_taken_without_being_told() {
    let bed = Bed::with(&config(""));
    let process = Process::start(&bed);
    assert_eq!((status(&process, &other(OLD)), status(&process, &other(NEW))), (404, 401));
    bed.replace("other-secret", NEW);
    process.wait_until("the secret is another", |process| status(process, &other(NEW)) == 404);
    assert_eq!(status(&process, &other(OLD)), 401);
    // One that others may read is refused, and the last good one stays.
    let path = bed.folder().join("other-secret");
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&path, mode(0o644)).unwrap();
    process.wait_until("the mode was seen", |process| process.metric(IS_BAD) == Some(1));
    assert_eq!(status(&process, &other(NEW)), 404);
    std::fs::set_permissions(&path, mode(0o600)).unwrap();
    process.wait_until("the mode was mended", |process| process.metric(IS_BAD) == Some(0));
    // A file that goes away is a mistake; when it is back, that is noticed.
    std::fs::remove_file(&path).unwrap();
    process.wait_until("it is missed", |process| process.metric(IS_BAD) == Some(1));
    assert_eq!(status(&process, &other(NEW)), 404);
    bed.replace("other-secret", OLD);
    process.wait_until("it is back", |process| process.metric(IS_BAD) == Some(0));
    assert_eq!((status(&process, &other(OLD)), status(&process, &other(NEW))), (404, 401));
}

#[test]
fn a_bad_file_changes_nothing_and_the_reason_is_told_without_secrets() {
    let bed = Bed::with(&config("watch = false"));
    let process = Process::start(&bed);
    let bad = config("watch = false")
        .replace("namespace = \"other-partner\"", "namespaces = 3\npassword = \"hunter2\"")
        .replace("/partner/v1", "/stolen");
    reload(&bed, &process, &bad);
    assert_eq!((process.metric(FAILED), process.metric(IS_BAD)), (Some(1), Some(1)));
    reload(&bed, &process, "[[mount]\nsecret = \"hunter2\"");
    assert_eq!((process.metric(FAILED), process.metric(IS_BAD)), (Some(2), Some(1)));
    assert_eq!(status(&process, &partner::create("a", None)), 201);
    assert_eq!(status(&process, &other(OLD)), 404);
    reload(&bed, &process, &config("watch = false"));
    assert_eq!((process.metric(OK), process.metric(IS_BAD)), (Some(1), Some(0)));
    let (stopped, output) = process.stop();
    assert!(stopped.success());
    for said in ["SIGHUP", "unknown key `namespaces`", "not TOML", "the one before stays"] {
        assert!(output.contains(said), "no {said:?} in\n{output}");
    }
    assert!(!output.contains("hunter2"), "{output}");
}

#[test]
fn what_cannot_change_is_named_and_the_rest_is_applied() {
    let bed = Bed::with(&config("watch = false"));
    let process = Process::start(&bed);
    let changed = config("watch = false\nmax_connections = 7\ndrain_timeout_ms = 9\nheader_timeout_ms = 9")
        .replace("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:1\"")
        .replace("admin = \"127.0.0.1:0\"", "admin = \"127.0.0.1:2\"")
        .replace("$DIR/data", "$DIR/elsewhere")
        .replace("\"json\"", "\"pretty\"\nlevel = \"warn\"")
        .replace("/other/v1", "/moved/v1")
        + "\n[demo]\nuser = true\n";
    reload(&bed, &process, &changed);
    assert_eq!((process.metric(OK), process.metric(IS_BAD)), (Some(1), Some(0)));
    let unmounted = Connection::open(process.address).unwrap().send(&other(OLD)).unwrap();
    assert_eq!(unmounted.header("content-type"), Some("application/problem+json"));
    assert!(!bed.folder().join("elsewhere").exists());
    let talkative = config("watch = false\ntrusted_proxies = \"10.0.0.1\"")
        .replace("\"json\"", "\"json\"\nlevel = \"debug\"");
    reload(&bed, &process, &talkative);
    let (_, output) = process.stop();
    let settings = [
        "[server] listen",
        "[server] admin",
        "[server] header_timeout_ms",
        "[server] drain_timeout_ms",
        "[server] max_connections",
        "[log] format",
        "[store]",
        "[demo] user",
    ];
    for setting in settings {
        let named = format!("`{setting}` has changed; that takes effect at the next start");
        assert_eq!(output.matches(&named).count(), 1, "{setting} in\n{output}");
    }
    // The log was quiet from the change to `warn` until the change to `debug`.
    assert_eq!(output.matches("the configuration was loaded").count(), 1, "{output}");
    assert!(!output.contains("`[server.tls]` has changed"));
    assert!(!output.contains("`[store] secrets_key` has changed"));
}

/// Every other configuration is bad; what is bad would serve the partner elsewhere.
#[test]
fn two_hundred_reloads_under_load_fail_no_request() {
    let bed = Bed::with(&config("watch = false"));
    let process = Process::start(&bed);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (stop, address) = (Arc::clone(&stop), process.address);
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) {
                    let id = format!("c{client}-{rounds}");
                    assert_eq!(connection.send(&partner::create(&id, None)).unwrap().status, 201);
                    assert_eq!(connection.send(&partner::read(&id)).unwrap().status, 200);
                    assert_eq!(connection.send(&other(OLD)).unwrap().status, 404);
                    let bad = RawRequest { target: "/bad/v1/users/a".into(), ..partner::read("a") };
                    let bad = connection.send(&bad).unwrap();
                    assert_eq!(bad.header("content-type"), Some("application/problem+json"));
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    for round in 0..100 {
        let mount = "[[mount]]\nname = \"new\"\ndialect = \"partner\"\nnamespace = \"new\"";
        let good = config("watch = false") + &format!("\n{mount}\nprefix = \"/new/{round}\"\n");
        let new = RawRequest { target: format!("/new/{round}/users/a"), ..partner::read("a") };
        reload(&bed, &process, &good);
        assert_eq!(status(&process, &new), 401);
        let bad = good.replace("/partner/v1", "/bad/v1").replace(&format!("/new/{round}"), "/worse");
        reload(&bed, &process, &bad.replace("$DIR/other-secret", "/nowhere"));
        assert_eq!(status(&process, &new), 401);
    }
    stop.store(true, Ordering::Relaxed);
    let rounds: Vec<u32> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert!(rounds.iter().all(|rounds| *rounds > 0), "{rounds:?}");
    assert_eq!((process.metric(OK), process.metric(FAILED)), (Some(100), Some(100)));
    assert!(process.stop().0.success());
}
