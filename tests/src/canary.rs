//! What of a request must never come out: not in a log, not in a metric (decision 14).

use std::collections::BTreeSet;

use gateway_testkit::client::RawRequest;

use crate::now;

/// A value that is shorter, or one of these, may stand in a log by chance or by right (a namespace, a
/// part of a route, an unknown name that decision 8 counts).
const MIN_CHARS: usize = 5;
const PUBLIC: [&str; 21] = [
    "Bearer",
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
    "demo-partner",
    "Active",
    "closed",
    "names",
    "taken",
];

/// The secrets of the demo's clients.
pub const SECRETS: [&str; 7] = [
    "demo-partner-secret",
    "demo-jwt-secret",
    "demo-service-token",
    "demo-access-token",
    "demo-admin-token",
    "demo-gateway-token",
    "demo-supplier-secret",
];

/// Ids, credentials, the query, every text in the body: all that tells of one client or user.
#[must_use]
pub fn of(request: &RawRequest) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    found.insert(query.to_owned());
    if let Some((_, id)) = path.split_once("/users/") {
        found.insert(id.to_owned());
    }
    let credentials =
        ["x-api-key", "x-request-signature", "idempotency-key", "x-request-id", "authorization", "cookie"];
    let header = |(name, value): &(String, String)| {
        credentials.contains(&name.to_lowercase().as_str()).then(|| value.trim_matches('"').to_owned())
    };
    found.extend(request.headers.iter().filter_map(header));
    match serde_json::from_slice(&request.body) {
        Ok(json) => texts(&json, &mut found),
        // What is no JSON is whole if it comes out.
        Err(_) => found.extend(std::str::from_utf8(&request.body).map(str::to_owned)),
    }
    found.retain(|text| is_telling(text));
    found
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

/// A log says what day it is, and short numbers stand in every time and every id.
fn is_telling(text: &str) -> bool {
    let number = text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.chars().count() >= MIN_CHARS
        && !number
        && !PUBLIC.contains(&text)
        && text != now().date().to_string()
}
