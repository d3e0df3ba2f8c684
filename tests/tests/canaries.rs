//! Logs, metrics and spans of a run over all cases hold nothing of the requests (decision 14).

use std::collections::BTreeSet;

use gateway_testkit::cases::{self, Transport};
use tests::{Bed, Collector, Process, canary, now};

#[tokio::test]
async fn nothing_of_a_request_is_logged_counted_or_traced() {
    let collector = Collector::start();
    let config = include_str!("../src/mounts.toml").to_owned() + &collector.table("");
    assert_silent(&Bed::with(&config), Some(&collector)).await;
}

#[tokio::test]
async fn nothing_of_a_request_is_logged_or_counted_over_postgres() {
    assert_silent(&Bed::on_postgres(), None).await;
}

async fn assert_silent(bed: &Bed, collector: Option<&Collector>) {
    let process = Process::start(bed);
    let socket = process.socket();
    let mut found = BTreeSet::from(canary::SECRETS.map(str::to_owned));
    for (_, file) in tests::dialects().into_iter().flat_map(|(_, files)| files) {
        for case in &file.case {
            let id = format!("canary-{}", case.name);
            let given =
                file.given.iter().filter(|given| case.given.contains(&given.name)).map(|given| &given.step);
            for step in given.chain(&case.step) {
                let request = cases::prepare(step, &id, now());
                found.extend(canary::of(&request));
                let _answered = socket.send(request).await;
            }
        }
    }
    let metrics = process.admin("/metrics").1;
    let (_, output) = process.stop();
    // What is printed on start shows how to read the demo's user.
    let log: Vec<_> = output.lines().filter(|line| line.starts_with('{')).collect();
    let log = log.join("\n");
    assert!(log.lines().filter(|line| line.contains("interlingua::access")).count() > 100, "{log}");
    let spans = collector.map_or_else(String::new, |collector| {
        assert!(collector.spans().len() > 100);
        collector.requests().into_iter().map(|(_, body)| body).collect()
    });
    let is_out = |text: &&String| [&log, &metrics, &spans].iter().any(|told| told.contains(*text));
    let leaked: Vec<_> = found.iter().filter(is_out).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}
