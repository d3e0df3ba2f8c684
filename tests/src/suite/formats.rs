//! JSON-Schema-Test-Suite's records of formats against our checks of values: files called after a format,
//! `[{tests: [{description, data, valid}]}]`. Data that are no text are every format's, and say nothing.

use std::path::Path;

use gateway_core::{UserId, check};
use gateway_dialect::{ISO_DATE, Json};
use serde_json::Value;
use time::macros::date;

use super::{Report, Suite};

pub(super) const SUITE: Suite = Suite { name: "formats", run, records: 115, differences: DIFFERENCES };

/// A format, and the check of ours that is meant by it.
type Check = (&'static str, fn(&str) -> bool);

const CHECKS: &[Check] = &[
    ("date", |text| ISO_DATE.read(&Json::Text(text.into()), date!(2026 - 03 - 14)).is_ok()),
    ("date-time", |text| gateway_auth::fuzz::rfc3339(text).is_some()),
    ("email", |text| check::email(text).is_ok()),
    ("idn-email", |text| check::email(text).is_ok()),
    ("uri", |text| check::web_url(text).is_ok()),
    ("uuid", |text| UserId::parse(text).is_some()),
];

const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "an address that mail can be sent to for years has a name for its domain",
        &[
            "email: an IPv4-address-literal after the @ is valid",
            "email: an IPv6-address-literal after the @ is valid",
        ],
    ),
    (
        "a picture is fetched from the web: http(s) only",
        &[
            "uri: a valid URL ",
            "uri: a valid URL with ftp scheme",
            "uri: a valid URN",
            "uri: a valid mailto URI",
            "uri: a valid newsgroup URI",
            "uri: a valid tel URI",
        ],
    ),
    ("a URL with user information may carry a password", &["uri: a valid URL with many special characters"]),
];

fn run(path: &str, groups: &Value, report: &mut Report) {
    let format = Path::new(path).file_stem().unwrap().to_str().unwrap();
    let (_, check) = CHECKS.iter().find(|(name, _)| *name == format).expect("a format that we check");
    let tests = groups.as_array().expect("a list of groups").iter().flat_map(|group| {
        let tests = group["tests"].as_array().expect("a list of tests");
        tests.iter().filter(|test| test["data"].is_string())
    });
    for test in tests {
        let (data, valid) = (test["data"].as_str().unwrap(), test["valid"].as_bool().unwrap());
        let taken = check(data);
        let result = if taken == valid { Ok(()) } else { Err(format!("{data:?} is taken: {taken}")) };
        report.note(&format!("{format}: {}", test["description"].as_str().unwrap()), result);
    }
}
