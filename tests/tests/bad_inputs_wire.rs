//! Bad input below the dialects, from the catalogue: what is refused, and that nothing else happens.

use gateway_testkit::client::Connection;
use tests::{Bed, Process, partner, root, wire::raw};

/// The mounts of the other tests, and one that has a host.
const HOSTED: &str = r#"
[[mount]]
name = "hosted"
prefix = "/hosted"
host = "hosted.example"
dialect = "update"
namespace = "{projectId}"

[[mount.client]]
name = "hosted-service"
token = "demo-service-token"
project = "proj1234"
"#;

fn commits(process: &Process) -> u64 {
    let metrics = process.admin("/metrics").1;
    let line = metrics.lines().find_map(|line| line.strip_prefix("interlingua_store_commits_total "));
    line.unwrap().parse().unwrap()
}

fn play(file: &str) {
    let bed = Bed::with(&format!("{}{HOSTED}", include_str!("../src/mounts.toml")));
    let process = Process::start(&bed);
    let cases = raw::load(&root().join("tests/bad-inputs").join(file));
    let mut failures = Vec::new();
    for (nth, case) in cases.iter().enumerate() {
        let before = commits(&process);
        let mut played = case.play(process.address, nth);
        let writes = commits(&process) - before;
        if played.is_ok() && writes != case.writes {
            played = Err(format!("{writes} writes"));
        }
        failures.extend(played.err().map(|why| format!("{} ({}): {why}", case.id, case.name)));
    }
    let mut good = Connection::open(process.address).unwrap();
    assert_eq!(good.send(&partner::create("after-all", None)).unwrap().status, 201);
    let metrics = process.admin("/metrics").1;
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
    for text in [&metrics, &log] {
        assert!(!text.contains(raw::CANARY), "{text}");
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn framing_of_http_1() {
    play("h1-framing.toml");
}

#[test]
fn lines_of_http_1() {
    play("h1-line.toml");
}
