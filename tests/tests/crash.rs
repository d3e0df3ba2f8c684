//! A quick run of the crash trials; `scripts/crash` runs them at length, with power cuts and I/O errors.

use tests::{
    binary,
    crash::{self, Report, Settings},
};

/// A trial of so many rounds, in a folder that goes away with it.
fn settings(rounds: usize) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        gateway: binary().to_owned(),
        folder: folder.path().join("trial"),
        rounds,
        seed: u64::from(std::process::id()),
        clients: 16,
        until_lost: false,
    };
    (folder, settings)
}

fn assert_kept(settings: &Settings, report: &Report) {
    assert!(report.wrongs.is_empty(), "seed {}\n{}\n{}", settings.seed, report.row(), report.words());
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let (_folder, settings) = settings(14);
    let report = crash::kill(&settings);
    assert_kept(&settings, &report);
    assert!(report.acked > 200, "too little was acknowledged to mean anything: {}", report.row());
}

#[test]
fn what_was_acknowledged_survives_a_killed_postgres() {
    let (_folder, settings) = settings(5);
    let report = crash::kill_postgres(&settings);
    assert_kept(&settings, &report);
    assert!(report.acked > 100, "too little was acknowledged to mean anything: {}", report.row());
}

#[test]
fn a_commit_that_nobody_is_told_of_is_found_out() {
    let (_folder, settings) = settings(20);
    let report = crash::cut(&settings);
    assert_kept(&settings, &report);
    assert!(report.acked > 100, "too little was acknowledged to mean anything: {}", report.row());
}

#[test]
fn a_standby_that_takes_over_has_what_was_acknowledged() {
    let (_folder, settings) = settings(2);
    let report = crash::failover(&settings);
    assert_kept(&settings, &report);
    assert!(report.acked > 100, "too little was acknowledged to mean anything: {}", report.row());
}

#[test]
fn damaged_files_are_refused_or_told() {
    let (_folder, settings) = settings(40);
    for report in crash::flips(&settings) {
        assert_kept(&settings, &report);
        assert!(report.rounds > 0, "{} was left out", report.name);
    }
}
