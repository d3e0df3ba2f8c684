//! The table `[otel]`: what is taken, what is refused, and what never shows.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use gateway::config::{self, Config, Otel, Overrides, Report};
use gateway_outbound::Endpoint;
use tempfile::TempDir;

const MOUNT: &str = "[[mount]]\nname = \"a\"\nprefix = \"/a\"\ndialect = \"partner\"\nnamespace = \"acme\"\n";
const ENDPOINT: &str = "endpoint = \"http://collector.example:4318\"\n";

/// Loads the lines of the table; `$SECRET` in them is a file that holds a secret.
fn load(lines: &str, secret: &str) -> Result<Config, Report> {
    let directory = TempDir::new().unwrap();
    let (path, file) = (directory.path().join("gateway.toml"), directory.path().join("secret"));
    fs::write(&file, secret).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let lines = lines.replace("$SECRET", &format!("file:{}", file.display()));
    fs::write(&path, format!("[otel]\n{lines}\n{MOUNT}")).unwrap();
    config::load(&path, &Overrides::default())
}

fn otel(lines: &str) -> Otel {
    load(lines, "hunter2").unwrap_or_else(|report| panic!("{report}")).otel.unwrap()
}

#[test]
fn it_is_off_unless_it_is_there() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, MOUNT).unwrap();
    assert!(config::load(&path, &Overrides::default()).unwrap().otel.is_none());
}

#[test]
fn the_path_is_that_of_the_specification_unless_one_is_given() {
    for (given, called) in [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("https://c", "https://c/v1/traces"),
        ("http://127.0.0.1:4318/otlp/v1/traces", "http://127.0.0.1:4318/otlp/v1/traces"),
        ("http://c/?token=a", "http://c/?token=a"),
    ] {
        let config = otel(&format!("endpoint = \"{given}\""));
        assert!(config.client.terms().endpoint == Endpoint::parse(called, true).unwrap(), "{given}");
    }
}

#[test]
fn what_is_set_is_taken_and_the_rest_has_defaults() {
    let plain = otel(ENDPOINT);
    assert_eq!((&*plain.service_name, plain.sample_ratio, plain.max_queue), ("interlingua", 1.0, 8192));
    assert_eq!((plain.timeout, plain.interval), (Duration::from_secs(10), Duration::from_secs(5)));
    assert!(plain.headers.is_empty());
    let set = otel(&format!(
        "{ENDPOINT}service_name = \"front\"\nsample_ratio = 0.25\ntimeout_ms = 7\ninterval_ms = 8\n\
         max_queue_spans = 9\nheader = [{{ name = \"Authorization\", secret = \"$SECRET\" }}]"
    ));
    assert_eq!((&*set.service_name, set.sample_ratio, set.max_queue), ("front", 0.25, 9));
    assert_eq!((set.timeout, set.interval), (Duration::from_millis(7), Duration::from_millis(8)));
    assert_eq!(set.headers["authorization"], "hunter2");
    assert!(!format!("{:?}", set.headers).contains("hunter2"));
    for (ratio, read) in [("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("0.0", 0.0), ("1e-3", 0.001)] {
        assert_eq!(otel(&format!("{ENDPOINT}sample_ratio = {ratio}")).sample_ratio, read);
    }
}

#[test]
fn mistakes_are_told_where_they_are() {
    let with = |lines: &str| format!("{ENDPOINT}{lines}");
    for (lines, problem, line) in [
        ("sample_ratio = 1".to_owned(), "`endpoint` is missing", 1),
        ("endpoint = \"collector:4318\"".to_owned(), "`endpoint` is not an absolute URL", 2),
        ("endpoint = \"grpc://collector:4317\"".to_owned(), "must begin with https:// or http://", 2),
        ("endpoint = \"http://u:p@collector\"".to_owned(), "must not hold a user name or password", 2),
        (with("sample_ratio = 1.01"), "`sample_ratio` must be a number from 0 to 1", 3),
        (with("sample_ratio = -1"), "`sample_ratio` must be a number from 0 to 1", 3),
        (with("sample_ratio = nan"), "`sample_ratio` must be a number from 0 to 1", 3),
        (with("sample_ratio = \"1\""), "`sample_ratio` must be a number from 0 to 1", 3),
        (with("timeout_ms = 0"), "from 1 to 60000", 3),
        (with("interval_ms = 60001"), "from 1 to 60000", 3),
        (with("max_queue_spans = 0"), "from 1 to 1000000", 3),
        (with("service_name = \"\""), "`service_name` must be a line", 3),
        (with("sample_rate = 1"), "did you mean `sample_ratio`?", 3),
        (with("ca = \"/nowhere.pem\""), "cannot be read", 3),
        (
            with("header = [{ name = \"a b\", secret = \"$SECRET\" }]"),
            "`name` must be the name of a header",
            3,
        ),
        (with("header = [{ name = \"Host\", secret = \"$SECRET\" }]"), "that the exporter does not set", 3),
        (with("header = [{ name = \"x-a\" }]"), "`secret` is missing", 3),
        (with("header = [{ secret = \"$SECRET\" }]"), "`name` is missing", 3),
    ] {
        let report = load(&lines, "hunter2").map(drop).unwrap_err().to_string();
        for part in [problem, &format!("gateway.toml:{line}:"), ": 1 mistake"] {
            assert!(report.contains(part), "no {part:?} in\n{report}");
        }
    }
}

#[test]
fn a_secret_is_never_shown() {
    for (value, secret) in [("Bearer hunter2", ""), ("$SECRET", "hunter2\nhunter2")] {
        for table in [
            format!("{ENDPOINT}[[otel.header]]\nname = \"authorization\"\nsecret = \"{value}\""),
            format!("{ENDPOINT}header = [{{ name = \"authorization\", secret = \"{value}\" }}]"),
        ] {
            let report = load(&table, secret).map(drop).unwrap_err();
            assert!(!format!("{report}{report:?}").contains("hunter2"), "{report}");
        }
    }
}
