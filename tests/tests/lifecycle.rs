//! Starting, stopping, and the mistakes of operators.

use std::{
    net::SocketAddr,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use gateway_testkit::client::Connection;
use tests::{Bed, Process, binary, partner};

fn serve(bed: &Bed, arguments: &[&str]) -> Output {
    Command::new(binary()).args(["serve", "--config"]).arg(bed.config()).args(arguments).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Gateways that are stopped under load: as many as `INTERLINGUA_STOPS` says. 100 take a minute or so.
const STOPS: usize = 20;
/// So many run beside each other, each with its own clients.
const LANES: usize = 4;
const CLIENTS: usize = 4;

/// Each request that was sent gets its answer, and what was acknowledged is there afterwards.
#[test]
fn sigterm_under_load_loses_no_request() {
    let stops = std::env::var_os("INTERLINGUA_STOPS")
        .map_or(STOPS, |number| number.to_str().unwrap().parse().unwrap());
    let left = Arc::new(AtomicUsize::new(stops));
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let left = Arc::clone(&left);
            std::thread::spawn(move || {
                let bed = Bed::new();
                let mut acknowledged = Vec::new();
                while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let round = acknowledged.len();
                    acknowledged.extend(stopped_under_load(&bed, &format!("l{lane}-{round}")));
                }
                let process = Process::start(&bed);
                let mut connection = Connection::open(process.address).unwrap();
                for id in &acknowledged {
                    assert_eq!(connection.send(&partner::read(id)).unwrap().status, 200, "{id}");
                }
                acknowledged.len()
            })
        })
        .collect();
    let answered: usize = lanes.into_iter().map(|lane| lane.join().unwrap()).sum();
    // Every client was answered in every round, and told to go twice.
    assert!(answered >= stops * CLIENTS * 2, "{answered} answers");
}

/// Starts a gateway, and stops it while clients create users; with the users of all answers.
fn stopped_under_load(bed: &Bed, round: &str) -> Vec<String> {
    let process = Process::start(bed);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (address, name) = (process.address, format!("{round}-{client}"));
            std::thread::spawn(move || create_until_told_to_go(address, &name))
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(150));
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
    clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
}

/// Told to go, a client comes back at once, and is served once more.
fn create_until_told_to_go(address: SocketAddr, name: &str) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(address).unwrap();
        loop {
            let id = format!("{name}-{}", acknowledged.len());
            let answer = connection.send(&partner::create(&id, None));
            let answer = answer.unwrap_or_else(|error| panic!("{id} was sent and not answered: {error}"));
            assert_eq!(answer.status, 201);
            acknowledged.push(id);
            if answer.header("connection") == Some("close") {
                break;
            }
        }
    }
    acknowledged
}

#[test]
fn readiness_and_metrics_are_served() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    assert_eq!(process.admin("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(process.admin("/readyz"), (200, "ready\n".to_owned()));
    let mut connection = Connection::open(process.address).unwrap();
    assert_eq!(connection.send(&partner::create("a", None)).unwrap().status, 201);
    assert_eq!(connection.send(&partner::read("nobody")).unwrap().status, 404);
    let metrics = process.admin("/metrics").1;
    for line in [
        r#"interlingua_requests_total{mount="partner",operation="create",outcome="ok"} 1"#,
        r#"interlingua_requests_total{mount="partner",operation="read",outcome="not_found"} 1"#,
        r#"interlingua_request_duration_seconds_count{mount="partner",operation="create"} 1"#,
        // The demo's user was the first.
        "interlingua_store_commits_total 2",
        "interlingua_store_batch_size_count 2",
        "interlingua_store_poisoned 0",
        "interlingua_requests_in_flight 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in\n{metrics}");
    }
}

#[test]
fn two_processes_cannot_share_a_directory() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let second = serve(&bed, &[]);
    assert_eq!(second.status.code(), Some(74));
    assert!(errors(&second).contains("another process"), "{}", errors(&second));
    let mut connection = Connection::open(process.address).unwrap();
    assert_eq!(connection.send(&partner::create("still", None)).unwrap().status, 201);
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let bed = Bed::new();
    std::fs::create_dir(bed.data()).unwrap();
    std::fs::write(bed.data().join("letters.txt"), "Dear Jane").unwrap();
    let refused = serve(&bed, &[]);
    assert_eq!(refused.status.code(), Some(74));
    let sentences = errors(&refused);
    let sentences: Vec<_> = sentences.lines().filter(|line| !line.starts_with("warning: ")).collect();
    assert_eq!(sentences.len(), 1, "{sentences:?}");
    assert_eq!(std::fs::read_dir(bed.data()).unwrap().count(), 1);
}

#[test]
fn demo_credentials_stay_on_loopback() {
    let bed = Bed::new();
    for flag in ["--listen", "--admin"] {
        let refused = serve(&bed, &[flag, "0.0.0.0:0"]);
        assert_eq!(refused.status.code(), Some(78), "{}", errors(&refused));
        assert!(!bed.data().exists());
    }
}

#[test]
fn a_taken_port_is_said_in_one_sentence() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let other = Bed::new();
    let refused = serve(&other, &["--listen", &process.address.to_string()]);
    assert_eq!(refused.status.code(), Some(69));
    assert!(errors(&refused).contains("cannot listen on"), "{}", errors(&refused));
}

#[test]
fn a_probe_tells_how_a_gateway_stands() {
    let probe = |admin: SocketAddr, flags: &[&str]| {
        let admin = admin.to_string();
        let asked = Command::new(binary()).args(["probe", "--admin", &admin]).args(flags).output().unwrap();
        (asked.status.code(), String::from_utf8_lossy(&asked.stdout).into_owned(), errors(&asked))
    };
    let none = String::new;
    let ready = Process::start(&Bed::new());
    assert_eq!(probe(ready.admin, &[]), (Some(0), "ready\n".into(), none()));
    assert_eq!(probe(ready.admin, &["--live"]), (Some(0), "ok\n".into(), none()));
    // Clients are served there, who know no /readyz.
    let (code, _, said) = probe(ready.address, &[]);
    assert_eq!(code, Some(69));
    assert!(said.contains("no admin listener"), "{said}");

    let away = Process::start(&Bed::over_url(
        include_str!("../src/mounts.toml"),
        "postgresql://interlingua:throwaway@127.0.0.1:1/absent",
    ));
    let (code, _, said) = probe(away.admin, &[]);
    assert_eq!(code, Some(69));
    assert!(said.starts_with("interlingua probe: not ready: "), "{said}");
    assert_eq!(probe(away.admin, &["--live"]), (Some(0), "ok\n".into(), none()));
    let admin = away.admin;
    assert!(away.stop().0.success());
    assert_eq!(probe(admin, &[]).0, Some(69));
}
