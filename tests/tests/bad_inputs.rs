//! Bad inputs, each at a gateway process under watch.

use std::fs;

use tests::{
    Bed, Party, Watched,
    bad_inputs::{self, Group, Runner},
    root,
};
use uuid::Uuid;

fn groups() -> Vec<Group> {
    bad_inputs::GROUPS.map(bad_inputs::group).into()
}

/// Runs some of the groups at one gateway.
fn run(is_run: impl Fn(&str) -> bool) {
    let mut runner = Runner::start();
    let groups = groups();
    let run = groups.iter().filter(|group| is_run(&group.name));
    let mut wrong: Vec<_> = run.flat_map(|group| runner.run(group)).collect();
    wrong.extend(runner.stop());
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_bad_input_is_answered_as_it_should_be() {
    run(|group| group != "webhook");
}

/// These have a gateway each, which takes its time.
#[test]
fn every_bad_input_of_the_webhook_is_answered_as_it_should_be() {
    run(|group| group == "webhook");
}

#[test]
fn every_bad_input_of_the_collection_is_listed() {
    let wrong = bad_inputs::against_the_collection(&groups(), &bad_inputs::dialects());
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is overridden and what is not run, with the reasons: rewritten by `INTERLINGUA_UPDATE=1`.
#[test]
fn the_list_in_the_readme_is_fresh() {
    let path = root().join("tests/bad-inputs/README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once("| group |").unwrap();
    let fresh = before.to_owned() + &bad_inputs::report(&groups(), &bad_inputs::dialects());
    if std::env::var_os("INTERLINGUA_UPDATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    } else {
        assert_eq!(text, fresh, "{} is stale", path.display());
    }
}

/// A watch that sees nothing would let every case pass.
#[test]
fn the_watch_sees_what_it_should() {
    let mut watched = Watched::start(&Bed::new());
    let mut connection = watched.connect();
    let user = Uuid::new_v4();
    let before = watched.written();
    let answer = connection.send(&Party::Partner.read(user)).unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(watched.written(), before);
    watched.in_step(&mut connection, &answer).unwrap();
    connection.send(&Party::Partner.create(user, Uuid::new_v4())).unwrap();
    assert_eq!(watched.written().commits, before.commits + 1);
    assert_eq!(watched.complaints(), Vec::<String>::new());
    watched.mark("interlingua::access");
    watched.mark("interlingua_store_commits");
    assert!(!watched.complaints().is_empty());
    // All of the log is looked through at the end.
    assert_eq!(watched.stop().len(), 2);
}
