//! The keys of what a mount passes on: what is taken, and what is refused where.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use gateway::{
    cli::routes_table,
    config::{self, Config, Overrides, Report},
};
use tempfile::TempDir;

fn text(lines: &str) -> String {
    format!(
        "[[mount]]\nname = \"a\"\nprefix = \"/a\"\ndialect = \"partner\"\nnamespace = \"acme\"\n{lines}\n\
         [[mount.client]]\nname = \"acme\"\napi_key = \"demo-partner-key\"\nsecret = \"demo-partner-secret\"\n"
    )
}

fn load(lines: &str) -> Result<Config, Report> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, text(lines)).unwrap();
    config::load(&path, &Overrides::default())
}

#[track_caller]
fn assert_refused(lines: &str, parts: &[&str]) {
    let report = load(lines).unwrap_err().to_string();
    for part in parts {
        assert!(report.contains(part), "no {part:?} in\n{report}");
    }
}

#[test]
fn a_server_of_ones_own_may_be_anywhere() {
    assert!(load("").unwrap().mounts[0].passthrough.is_none());
    for url in ["http://127.0.0.1:9000", "http://legacy.internal/old/", "https://[fd00::1]:8443"] {
        let config = load(&format!("passthrough = \"{url}\"")).unwrap();
        let relay = config.mounts[0].passthrough.as_ref().unwrap();
        assert!(url.starts_with(&relay.passage().endpoint.origin()), "{url}");
        assert_eq!(config.warnings, Vec::<String>::new());
    }
    let times = "passthrough = \"http://a\"\npassthrough_connect_timeout_ms = 1\n\
                 passthrough_head_timeout_ms = 2\npassthrough_idle_timeout_ms = 3";
    let config = load(times).unwrap();
    let passage = config.mounts[0].passthrough.as_ref().unwrap().passage();
    assert_eq!([passage.connect, passage.head, passage.idle].map(|time| time.as_millis()), [1, 2, 3]);
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    assert_refused(
        "passthrough = \"ftp://legacy\"",
        &[":6:15", "^^^^^^^^^^^^^^", "`passthrough` must begin with https:// or http://", ": 1 mistake"],
    );
    for (url, why) in [
        ("legacy.internal", "`passthrough` is not an absolute URL"),
        ("http://u:p@legacy", "`passthrough` must not hold a user name or password"),
        ("http://legacy/x?y", "`passthrough` must not have a query"),
        ("http://legacy/#x", "`passthrough` must not have a fragment"),
        ("http://127.1", "`passthrough` must have a plain host"),
    ] {
        assert_refused(&format!("passthrough = \"{url}\""), &[":6:15", why, ": 1 mistake"]);
    }
    assert_refused(
        "passthrough_ca = \"/nowhere\"\npassthrough_idle_timeout_ms = 0",
        &[
            "`passthrough_ca` says nothing without `passthrough`",
            "`/nowhere` cannot be read",
            "`passthrough_idle_timeout_ms` says nothing without `passthrough`",
            ":7:31",
        ],
    );
    assert_refused(
        "passthrough = 8080\npassthrough_retries = 3",
        &[":6:15", "unknown key `passthrough_retries`"],
    );
}

#[test]
fn issuers_are_for_tls() {
    let directory = TempDir::new().unwrap();
    let (ca, other) = (directory.path().join("ca.pem"), directory.path().join("other.pem"));
    fs::write(&ca, include_str!("config/ca.pem")).unwrap();
    fs::write(&other, "no certificate").unwrap();
    let lines = |url: &str, file: &std::path::Path| {
        format!("passthrough = \"{url}\"\npassthrough_ca = \"{}\"", file.display())
    };
    assert!(load(&lines("https://legacy", &ca)).is_ok());
    assert_refused(
        &lines("http://legacy", &ca),
        &[":7:18", "`passthrough_ca` is for a `passthrough` of https alone", ": 1 mistake"],
    );
    assert_refused(&lines("https://legacy", &other), &["the file of `passthrough_ca` is no certificate"]);
}

#[test]
fn it_is_listed_without_its_path() {
    let config = load("passthrough = \"http://legacy.internal:9000/t0ken/\"").unwrap();
    let table = routes_table(&config.mounts);
    let last = table.lines().last().unwrap();
    assert!(
        last.contains("*") && last.ends_with("/a/... (all else) -> http://legacy.internal:9000"),
        "{last}"
    );
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, text("passthrough = \"http://legacy.internal:9000/t0ken/\"")).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_interlingua"))
        .args(["check", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.contains("mount a passes on what its dialect does not own to http://legacy.internal:9000")
    );
    assert!(!checked.contains("t0ken") && !table.contains("t0ken"));
}
