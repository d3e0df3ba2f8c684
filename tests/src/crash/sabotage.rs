//! The trials on trial: a gateway that breaks a promise must fail the one that is there to find it.

use std::path::Path;

use super::{Fault, Report, Settings, Wrong, cycles, disk::remove};

/// So many kills show that a kill does not find the second one.
const BLIND_ROUNDS: usize = 20;

/// Runs both sabotaged builds in a folder of binaries until they are found out.
#[must_use]
pub fn run(settings: &Settings, binaries: &Path) -> Vec<Report> {
    let with = |build: &str| Settings {
        gateway: binaries.join(build),
        folder: settings.folder.join(build),
        until_lost: true,
        ..settings.clone()
    };
    let killed = cycles::kill(&with("ack-before-write"));
    let cut = cycles::power(&with("ack-before-sync"));
    // What was written, though not synced, outlives a kill: only information.
    let blind = Settings { rounds: settings.rounds.min(BLIND_ROUNDS), ..with("ack-before-sync") };
    let mut blind = cycles::kill(&blind);
    blind.name = "sabotage: answers before the sync; kill -9";
    blind.note = format!("{} found, as kill -9 cannot find it", blind.wrongs.drain(..).count());
    for build in ["ack-before-write", "ack-before-sync"] {
        remove(&settings.folder.join(build));
    }
    vec![
        found("sabotage: answers before the write; kill -9", killed),
        found("sabotage: answers before the sync; power cut", cut),
        blind,
    ]
}

/// A sabotage that was found is as it should be; one that was not, is not.
fn found(name: &'static str, mut report: Report) -> Report {
    let lost = report.count(Fault::Lost);
    report.name = name;
    let first = report
        .wrongs
        .iter()
        .find(|wrong| wrong.fault == Fault::Lost)
        .map(ToString::to_string)
        .unwrap_or_default();
    report.note = format!("found in round {}: {lost} lost; {first}", report.rounds);
    report.wrongs.clear();
    if lost == 0 {
        report.note = "not found".to_owned();
        report.wrongs.push(Wrong { fault: Fault::Other, what: format!("{name}: not found") });
    }
    report
}
