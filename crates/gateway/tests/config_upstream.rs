//! The table `[store.upstream]`: what it says, what is refused, and that its token never shows.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use gateway::config::{self, Config, Ledger, Overrides, Report, StoreConfig, Upstream};
use store_upstream::{Form, Meaning};
use tempfile::TempDir;

const SHIPPED: &str = "../../config/interlingua.toml";
const OVER_UPSTREAM: &str = "../../config/upstream.toml";
const MOUNT: &str = "[[mount]]\nname = \"a\"\nprefix = \"/a\"\ndialect = \"partner\"\nnamespace = \"acme\"\n";
const HEAD: &str = "[store]\nkind = \"upstream\"\n[store.upstream]\nurl = \"$URL\"\ntoken = \"$TOKEN\"\n";

/// Loads a configuration whose `$URL` and `$TOKEN` are references to these texts.
fn load(text: &str, url: &str, token: &str) -> Result<Config, Report> {
    let directory = TempDir::new().unwrap();
    let mut text = format!("{text}\n{MOUNT}");
    for (name, secret) in [("$URL", url), ("$TOKEN", token), ("$DATABASE", "postgresql://h/x")] {
        let path = directory.path().join(name.trim_start_matches('$'));
        fs::write(&path, secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        text = text.replace(name, &format!("file:{}", path.display()));
    }
    let path = directory.path().join("gateway.toml");
    fs::write(&path, text).unwrap();
    config::load(&path, &Overrides::default())
}

fn upstream(lines: &str) -> (Upstream, Ledger) {
    let config = load(&format!("{HEAD}{lines}"), "http://h.example/api/v1", "hunter2");
    match config.unwrap_or_else(|report| panic!("{report}")).store {
        StoreConfig::Upstream(upstream, ledger) => (*upstream, ledger),
        other => panic!("another store: {other:?}"),
    }
}

/// What differs between the two is where they listen and where users live, and nothing else.
#[test]
fn the_demo_in_front_of_another_is_the_demo() {
    let table = |path: &str| fs::read_to_string(path).unwrap().parse::<toml::Table>().unwrap();
    let (mut demo, mut in_front) = (table(SHIPPED), table(OVER_UPSTREAM));
    assert_eq!(in_front["store"]["upstream"]["url"].as_str(), Some("env:INTERLINGUA_UPSTREAM_URL"));
    assert_eq!(in_front["store"]["upstream"]["token"].as_str(), Some("env:INTERLINGUA_UPSTREAM_TOKEN"));
    for tables in [&mut demo, &mut in_front] {
        tables.remove("store").unwrap();
        tables.remove("server").unwrap();
    }
    assert_eq!(demo, in_front);
}

/// What the shipped file comments out of the table are the defaults, but for examples.
#[test]
fn the_shipped_defaults_are_true() {
    let shipped = fs::read_to_string(OVER_UPSTREAM).unwrap();
    let (_, table) = shipped.split_once("[store.upstream]\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let is_key = |line: &&str| line.contains(" = ") && !line.starts_with("ca = ");
    let keys: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_key).collect();
    assert!(keys.len() > 5, "{keys:?}");
    assert_eq!(upstream(&keys.join("\n")), upstream(""));
    let (upstream, ledger) = upstream("");
    assert_eq!((upstream.form, upstream.honours_keys), (Form::Auto, true));
    assert_eq!((upstream.timeout, upstream.terms.max_concurrent), (Duration::from_secs(2), 64));
    assert!(matches!(ledger, Ledger::Embedded(embedded) if embedded.path.to_str() == Some("data")));
}

/// The example in the shipped file is one: it describes another service.
#[test]
fn the_shipped_vocabulary_is_one() {
    let shipped = fs::read_to_string(OVER_UPSTREAM).unwrap();
    let (_, example) = shipped.split_once("# [store.upstream.vocabulary]\n").unwrap();
    let (example, _) = example.split_once("\n[store.embedded]").unwrap();
    let lines = example.lines().map(|line| line.trim_start_matches('#').trim_start());
    let lines: Vec<_> = lines.filter(|line| line.contains(" = ") || line.starts_with("[[")).collect();
    let (upstream, _) = upstream(&format!("[store.upstream.vocabulary]\n{}", lines.join("\n")));
    let vocabulary = upstream.vocabulary;
    assert_eq!((upstream.form, &*vocabulary.items, &*vocabulary.next), (Form::Document, "people", "from"));
    assert_eq!(vocabulary.routes.link, None);
    assert_eq!(vocabulary.errors[0].meaning, Meaning::InFlight);
    assert_eq!(vocabulary.fields.rows().len(), 1);
}

#[test]
fn the_ledger_may_be_in_a_database() {
    let (_, ledger) = upstream("ledger = \"postgres\"\n[store.postgres]\nurl = \"$DATABASE\"\n");
    assert!(matches!(ledger, Ledger::Postgres(_)));
}

#[test]
fn mistakes_are_told_where_they_are() {
    let vocabulary = |lines: &str| format!("{HEAD}[store.upstream.vocabulary]\n{lines}");
    for (text, problem, line) in [
        (format!("{HEAD}timeout_ms = 0"), "from 1 to 3600000", 6),
        (format!("{HEAD}max_concurrent = 0"), "from 1 to 10000", 6),
        (format!("{HEAD}form = \"json\""), "`form` must be", 6),
        (format!("{HEAD}ledger = \"redis\""), "`ledger` must be", 6),
        (format!("{HEAD}idempotency_keys = 1"), "must be true or false", 6),
        (format!("{HEAD}time_out_ms = 1"), "did you mean `timeout_ms`?", 6),
        (format!("{HEAD}[store.postgres]"), "`[store.postgres]` has no effect, since the `ledger`", 6),
        ("[store]\nkind = \"upstream\"\n[store.upstream]\n".to_owned(), "`url` is missing", 3),
        (vocabulary("read = \"/people/{id}\""), "must be a method, a space, and a path", 7),
        (vocabulary("read = \"GET /people\""), "needs the parameter {id}", 7),
        (vocabulary("read = \"GET /people/{name}\""), "has no parameter {name}", 7),
        (vocabulary("[[store.upstream.vocabulary.field]]\npath = \"/x\"\nrest = \"/y\""), "no field of", 9),
        (vocabulary("[[store.upstream.vocabulary.error]]\nstatus = 200"), "from 400 to 599", 8),
        (vocabulary("[[store.upstream.vocabulary.error]]\nstatus = 409\nmeans = \"x\""), "must be", 9),
    ] {
        let report = load(&text, "http://h.example", "t").unwrap_err().to_string();
        for part in [problem, &format!("gateway.toml:{line}:")] {
            assert!(report.contains(part), "no {part:?} in\n{report}");
        }
    }
    let report = load(&format!("{HEAD}form = \"record\"\n[store.upstream.vocabulary]\n"), "http://h", "t");
    assert!(report.unwrap_err().to_string().contains("another Interlingua alone"));
    for (url, problem) in [
        ("h.example", "is not an absolute URL"),
        ("ftp://h.example", "must begin with https:// or http://"),
        ("http://user:hunter2@h.example", "must not hold a user name"),
        ("http://h.example/?a=hunter2", "must not have a query"),
    ] {
        let report = load(HEAD, url, "t").unwrap_err().to_string();
        assert!(report.contains(problem) && report.contains("gateway.toml:4:"), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }
}

#[test]
fn the_token_is_never_shown() {
    let report = load(HEAD, "http://h.example", "hunter2\nhunter2").unwrap_err().to_string();
    assert!(report.contains("cannot stand in a header") && !report.contains("hunter2"), "{report}");
    let config = load(HEAD, "http://h.example", "hunter2").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
