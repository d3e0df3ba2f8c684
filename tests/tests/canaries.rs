//! Logs and metrics of a run over all cases hold nothing of the requests (decision 14).

use std::collections::BTreeSet;

use gateway_testkit::{
    cases::{self, Transport},
    client::RawRequest,
};
use tests::{Bed, Process, now};

/// A value that is shorter, or one of these, may stand in a log by chance or by right (a namespace, a
/// part of a route, an unknown name that decision 8 counts).
const MIN_CHARS: usize = 5;
const PUBLIC: [&str; 15] = [
    "partner",
    "demo-par",
    "active",
    "pendingCompliance",
    "__proto__",
    "false",
    "replace",
    "Users",
    "users",
    "admin",
    "email",
    "other",
    "by-foreign-id",
    "check-username",
    "suggestions",
];

/// Everything in a request that must not come out: ids, credentials, every text in the body.
fn canaries(request: &RawRequest, found: &mut BTreeSet<String>) {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    found.insert(query.to_owned());
    if let Some((_, id)) = path.split_once("/users/") {
        found.insert(id.to_owned());
    }
    let credentials =
        ["x-api-key", "x-request-signature", "idempotency-key", "x-request-id", "authorization"];
    let header = |(name, value): &(String, String)| {
        credentials.contains(&name.to_lowercase().as_str()).then(|| value.trim_matches('"').to_owned())
    };
    found.extend(request.headers.iter().filter_map(header));
    if let Ok(json) = serde_json::from_slice(&request.body) {
        texts(&json, found);
    }
}

fn texts(json: &serde_json::Value, found: &mut BTreeSet<String>) {
    match json {
        serde_json::Value::String(text) => {
            found.insert(text.clone());
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        serde_json::Value::Object(members) => members.values().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn nothing_of_a_request_is_logged_or_counted() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let socket = process.socket();
    let mut found = BTreeSet::from(["demo-partner-secret", "demo-jwt-secret"].map(str::to_owned));
    for (_, file) in tests::dialects().into_iter().flat_map(|(_, files)| files) {
        for case in &file.case {
            let id = format!("canary-{}", case.name);
            let given =
                file.given.iter().filter(|given| case.given.contains(&given.name)).map(|given| &given.step);
            for step in given.chain(&case.step) {
                let request = cases::prepare(step, &id, now());
                canaries(&request, &mut found);
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
    // A log says what day it is.
    found.remove(&now().date().to_string());
    // Short numbers stand in every time and every id.
    found.retain(|text| text.len() > 6 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
    let telling =
        found.iter().filter(|text| text.chars().count() >= MIN_CHARS && !PUBLIC.contains(&text.as_str()));
    let leaked: Vec<_> = telling.filter(|text| log.contains(*text) || metrics.contains(*text)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}
