//! What is wrong with an answer to a bad input.

use gateway_testkit::{
    cases::{expand, generalize},
    client::{RawRequest, RawResponse},
};
use serde_json::Value;

use super::format::{Conn, Dialect, Step};
use crate::{canary, now};

/// Compares an answer with what the step expects: status and code, then all that no answer may do.
#[must_use]
pub fn judge(
    step: &Step,
    expected: &str,
    dialect: Dialect,
    id: &str,
    request: &RawRequest,
    answer: &RawResponse,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let found = status_and_code(answer);
    if found != expected {
        wrong.push(format!("{found} instead of {expected}"));
    }
    if let Err(header) = answer.clone().checked() {
        wrong.push(header);
    }
    if answer.status >= 500 && !is_documented(dialect, &found) {
        wrong.push(format!("no document has {found}"));
    }
    let closes = answer.header("connection") == Some("close");
    if closes != (step.conn == Conn::Close) {
        wrong.push(format!("Connection: close is {closes}"));
    }
    for (name, value) in &step.answer_headers {
        if answer.header(name) != Some(value) {
            wrong.push(format!("{name} is {:?}, not {value}", answer.header(name)));
        }
    }
    for name in &step.answer_lacks {
        if let Some(value) = answer.header(name) {
            wrong.push(format!("{name} is there: {value}"));
        }
    }
    let body = String::from_utf8_lossy(&answer.body);
    if let Some(text) = step.shows.as_ref().and_then(|by| by.of(dialect)) {
        let text = expand(text, id, now());
        if !body.contains(&text) {
            wrong.push(format!("the answer lacks {text}: {body}"));
        }
    }
    wrong.extend(echoes(step, request, answer));
    wrong
}

/// The 5xx that a seed documents: D's of an invalid value (decision 41), C's of a fault (decision 35).
fn is_documented(dialect: Dialect, found: &str) -> bool {
    match dialect {
        Dialect::Patch => found == "500 1",
        Dialect::Jsonapi => found == "501 internal-server-error",
        _ => false,
    }
}

/// No answer holds a secret; a refusal holds nothing that was sent.
fn echoes(step: &Step, request: &RawRequest, answer: &RawResponse) -> Vec<String> {
    let headers: String = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let text = headers + &String::from_utf8_lossy(&answer.body);
    let mut kept: Vec<_> = canary::SECRETS.map(str::to_owned).into();
    if answer.status >= 400 && !step.echoes {
        kept.extend(canary::of(request));
    }
    let said = kept.into_iter().filter(|secret| text.contains(secret.as_str()));
    said.map(|secret| format!("the answer holds {secret:?}: {text}")).collect()
}

/// `400 bad_request`: the status, and the code where the dialect has one.
#[must_use]
pub fn status_and_code(answer: &RawResponse) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = if answer.status < 400 {
        None
    } else if answer.header("content-type").is_some_and(|media| media.starts_with("text/plain")) {
        Some(String::from_utf8_lossy(&answer.body).into_owned())
    } else {
        // C's list of errors, then D's number, B's code, A's error, D's message without a number.
        let one = body.get("errors").and_then(|errors| errors.get(0)).unwrap_or(&body);
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        ["code", "error", "message"].iter().find_map(|name| one.get(name)).map(text)
    };
    match code {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}

/// An answer less what differs between any two: the date, the request's id.
#[must_use]
pub fn likeness(answer: &RawResponse) -> String {
    let mut text = format!("{}\n", answer.status);
    let kept = answer.headers.iter().filter(|(name, _)| name != "date");
    for (name, value) in kept {
        text.push_str(&format!("{name}: {}\n", generalize(value, "$")));
    }
    text + &generalize(&String::from_utf8_lossy(&answer.body), "$")
}
