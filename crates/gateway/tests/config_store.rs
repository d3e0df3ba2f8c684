//! The table `[store]`: what is refused, and that the URL of a database never shows.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use gateway::config::{self, Config, Overrides, Report, StoreConfig};
use tempfile::TempDir;

const SHIPPED: &str = "../../config/interlingua.toml";
const OVER_POSTGRES: &str = "../../config/postgres.toml";
const VARIABLE: &str = "INTERLINGUA_POSTGRES_URL";
const MOUNT: &str = "[[mount]]\nname = \"a\"\nprefix = \"/a\"\ndialect = \"partner\"\nnamespace = \"acme\"\n";

/// Loads a configuration whose `$URL` is a reference to this text.
fn load(text: &str, url: &str) -> Result<Config, Report> {
    let directory = TempDir::new().unwrap();
    let (path, secret) = (directory.path().join("gateway.toml"), directory.path().join("url"));
    fs::write(&secret, url).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!("{text}\n{MOUNT}").replace("$URL", &format!("file:{}", secret.display()));
    fs::write(&path, text).unwrap();
    config::load(&path, &Overrides::default())
}

fn refused(text: &str, url: &str) -> String {
    load(text, url).expect_err("to be refused").to_string()
}

fn check(path: &str, url: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interlingua"));
    command.args(["check", "--config", path]).env_remove(VARIABLE);
    let output = command.envs(url.map(|url| (VARIABLE, url))).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// There are no includes: what differs between the two is where users live, and nothing else.
#[test]
fn the_demo_over_postgres_is_the_demo() {
    let table = |path: &str| fs::read_to_string(path).unwrap().parse::<toml::Table>().unwrap();
    let (mut demo, mut over_postgres) = (table(SHIPPED), table(OVER_POSTGRES));
    assert_eq!(over_postgres["store"]["postgres"]["url"].as_str(), Some("env:INTERLINGUA_POSTGRES_URL"));
    for tables in [&mut demo, &mut over_postgres] {
        tables.remove("store").unwrap();
    }
    assert_eq!(demo, over_postgres);
}

#[test]
fn the_url_comes_from_the_environment() {
    let (code, said) = check(OVER_POSTGRES, Some("postgresql://user:hunter2@a:1,b:2/name?sslmode=require"));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(OVER_POSTGRES, None);
    assert_eq!(code, Some(78));
    assert!(said.contains("`INTERLINGUA_POSTGRES_URL` is not set") && said.contains(": 1 mistake"), "{said}");
    for bad in ["hunter2", "postgresql://hunter2:hunter2@h:port/x", "postgresql://h/x?hunter2=hunter2"] {
        let (code, said) = check(OVER_POSTGRES, Some(bad));
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("the URL cannot be used") && said.contains("postgres.toml:"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

/// What the shipped file comments out are the defaults, and nothing that is not known.
#[test]
fn the_shipped_defaults_are_true() {
    let shipped = fs::read_to_string(OVER_POSTGRES).unwrap();
    let (_, table) = shipped.split_once("[store.postgres]\n").unwrap();
    let (table, _) = table.split_once("\n[").unwrap();
    let keys: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert!(keys.len() > 5);
    let text =
        |lines: &str| format!("[store]\nkind = \"postgres\"\n[store.postgres]\nurl = \"$URL\"\n{lines}");
    let of = |lines: &str| load(&text(lines), "postgresql://h/x").map(|config| config.store);
    assert_eq!(of(&keys.join("\n")), of(""));
    let StoreConfig::Postgres(set) =
        of("max_stale_ms = 5\ncoalesce = false\ncommit_connections = 7\nwait_timeout_ms = 9").unwrap()
    else {
        panic!("another store")
    };
    assert_eq!((set.max_stale, set.coalesce), (Some(Duration::from_millis(5)), false));
    assert_eq!((set.commit_connections, set.wait_timeout), (7, Duration::from_millis(9)));
}

#[test]
fn mistakes_are_told_where_they_are() {
    let table =
        |lines: &str| format!("[store]\nkind = \"postgres\"\n[store.postgres]\nurl = \"$URL\"\n{lines}");
    for (text, problem, line) in [
        (table("commit_connections = 0"), "from 1 to 1000", 5),
        (table("read_connections = \"2\""), "from 1 to 1000", 5),
        (table("max_stale_ms = 60001"), "from 0 to 60000", 5),
        (table("connect_timeout_ms = 0"), "from 1 to 3600000", 5),
        (table("statement_timeout_s = 1"), "did you mean `statement_timeout_ms`?", 5),
        (table("coalesce = 1"), "`coalesce` must be true or false", 5),
        ("[store]\nkind = \"postgres\"".to_owned(), "`url` is missing", 1),
        (table("[store.embedded]"), "`[store.embedded]` has no effect, since `kind` is \"postgres\"", 5),
        ("[store.postgres]\nurl = \"$URL\"".to_owned(), "has no effect, since `kind` is \"embedded\"", 1),
    ] {
        let report = refused(&text, "postgresql://h/x");
        for part in [problem, &format!("gateway.toml:{line}:"), ": 1 mistake"] {
            assert!(report.contains(part), "no {part:?} in\n{report}");
        }
    }
    let data = Overrides { data: Some("here".into()), ..Overrides::default() };
    let (directory, path) = (TempDir::new().unwrap(), "gateway.toml");
    let path = directory.path().join(path);
    fs::write(&path, format!("[store]\nkind = \"postgres\"\n{MOUNT}")).unwrap();
    let report = config::load(Path::new(&path), &data).unwrap_err().to_string();
    assert!(report.contains("no directory for `--data`") && report.contains(":2:8"), "{report}");
}

/// Wherever it stands, and whatever else is wrong.
#[test]
fn the_url_is_never_shown() {
    const URL: &str = "postgresql://user:hunter2@h/x";
    for text in [
        format!("[store.postgres]\nurl = \"{URL}\"\n[store]\nkind = \"postgres\""),
        "[store]\nkind = \"postgres\"\n[store.postgres]\nurl = \"host=h password=hunter2\"".to_owned(),
        "store = { kind = \"postgres\", postgres = { url = 'hunter2', ulr = 'hunter2' } }".to_owned(),
        "store.postgres.url = \"\"\"\nhunter2\nhunter2\"\"\"".to_owned(),
        format!("[store.postgres]\nurl = \"{URL}"),
        format!("[store.postgres]\nurl = {URL}"),
        "[store.postgres]\nurl = \"hunter2".to_owned(),
        "[store.postgre]\nurl = \"hunter2\"".to_owned(),
        format!("dsn = \"{URL}\""),
        format!("dsn {URL}"),
    ] {
        let report = load(&text, "").unwrap_err();
        assert!(!report.to_string().contains("hunter2"), "{text}\n{report}");
        assert!(!format!("{report:?}").contains("hunter2"), "{text}");
    }
    let config = load("[store]\nkind = \"postgres\"\n[store.postgres]\nurl = \"$URL\"", URL).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
