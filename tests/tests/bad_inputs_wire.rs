//! Bad input below the dialects, from the catalogue: what is refused, and that nothing else happens.

use tests::{
    Bed, Watched, root,
    wire::{listing, raw},
};

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

fn bed() -> Bed {
    Bed::with(&format!("{}{HOSTED}", include_str!("../src/mounts.toml")))
}

fn play(file: &str) {
    let mut watched = Watched::start(&bed());
    watched.mark(raw::CANARY);
    let cases = raw::load(&root().join("tests/bad-inputs").join(file));
    let mut failures = Vec::new();
    for (nth, case) in cases.iter().enumerate() {
        let before = watched.written();
        let mut played = case.play(watched.process().address, raw::TARGET, nth);
        let writes = watched.written().commits - before.commits;
        if played.is_ok() && writes != case.writes {
            played = Err(format!("{writes} writes"));
        }
        failures.extend(played.err().map(|why| format!("{} ({}): {why}", case.id, case.name)));
    }
    failures.extend(watched.stop());
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

#[test]
fn every_bad_input_below_the_dialects_is_listed() {
    let mistakes = listing::mistakes();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}
