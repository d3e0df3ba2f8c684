//! The configuration: what is refused, where, and in which words; and what never shows.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{MetadataExt as _, PermissionsExt},
    path::Path,
    process::Command,
};

use gateway::config::{self, Config, Embedded, LogLevel, Overrides, Report, StoreConfig};
use tempfile::TempDir;

const SHIPPED: &str = "../../config/interlingua.toml";

/// A mount that is fine but for what is put behind it.
const MOUNT: &str = "[[mount]]\nname = \"a\"\nprefix = \"/a\"\ndialect = \"partner\"\nnamespace = \"acme\"\n";
const CLIENT: &str =
    "[[mount.client]]\nname = \"acme\"\napi_key = \"demo-partner-key\"\nsecret = \"demo-partner-secret\"\n";

fn load_text(text: &str) -> Result<Config, Report> {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, text).unwrap();
    config::load(&path, &Overrides::default())
}

/// The mistakes of a text, as shown.
fn refused(text: &str) -> String {
    load_text(text).expect_err("to be refused").to_string()
}

fn secret_file(directory: &TempDir, name: &str, bytes: &[u8], mode: u32) -> String {
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    format!("file:{}", path.display())
}

fn client(secret: &str) -> String {
    format!(
        "{MOUNT}[[mount.client]]\nname = \"acme\"\napi_key = \"demo-partner-key\"\nsecret = \"{secret}\"\n"
    )
}

#[track_caller]
fn assert_shows(report: &str, parts: &[&str]) {
    for part in parts {
        assert!(report.contains(part), "no {part:?} in\n{report}");
    }
}

#[test]
fn five_mistakes_are_reported_together() {
    let expected_path = "tests/config/five-mistakes.txt";
    let report =
        config::load(Path::new("tests/config/five-mistakes.toml"), &Overrides::default()).unwrap_err();
    let shown = format!("{report}\n");
    if std::env::var_os("INTERLINGUA_UPDATE").is_some() {
        fs::write(expected_path, &shown).unwrap();
    }
    assert_eq!(report.count(), 5);
    assert_eq!(shown, fs::read_to_string(expected_path).unwrap());
}

#[test]
fn the_shipped_file_is_valid() {
    let config = config::load(Path::new(SHIPPED), &Overrides::default()).unwrap();
    assert!(config.uses_demo_credentials);
    assert_eq!(config.server.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.mounts.len(), 5);
    assert_eq!(config.mounts[0].prefixes, ["/partner/v1"]);
    // The demo's two mounts of bearer tokens share a key, as the documents' examples do.
    assert_eq!(config.warnings.len(), 1);
    assert_shows(&config.warnings[0], &["`social` and `user`", "without an `audience`"]);
}

/// Every key that the shipped file comments out is one that the gateway knows.
#[test]
fn the_shipped_comments_are_true() {
    let shipped = fs::read_to_string(SHIPPED).unwrap();
    let is_key = |line: &&str| {
        let is_table = line.starts_with("# [") && line.ends_with(']');
        is_table
            || line
                .strip_prefix("# ")
                .and_then(|line| line.split_once(" = "))
                .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    assert!(shipped.lines().filter(is_key).count() > 10);
    let all: Vec<_> = shipped.lines().map(|line| if is_key(&line) { &line[2..] } else { line }).collect();
    let report = refused(&all.join("\n"));
    assert_shows(
        &report,
        &[
            "the file `/etc/interlingua/tls.crt` cannot be read",
            "the secret file `/etc/interlingua/tls.key` cannot be read",
            "`INTERLINGUA_KEY` is not set",
            "`INTERLINGUA_SECRETS_KEY` is not set",
            "the file `/etc/interlingua/ca.crt` cannot be read",
            "the file `/etc/interlingua/ca.pem` cannot be read",
            "`INTROSPECTION_SECRET` is not set",
            "`INTERLINGUA_LIMITS_URL` is not set",
            "`INTERLINGUA_OTEL_AUTHORIZATION` is not set",
            ": 12 mistakes",
        ],
    );
}

#[test]
fn tables_may_be_left_out() {
    let config = load_text(&format!("{MOUNT}{CLIENT}")).unwrap();
    assert_eq!(config.server.max_body_bytes, 1_048_576);
    assert_eq!(config.server.drain_timeout.as_millis(), 25_000);
    let StoreConfig::Embedded(Embedded { path, cache_bytes, encryption_key }) = config.store else {
        panic!("another store")
    };
    assert_eq!((path.to_str(), cache_bytes, encryption_key), (Some("data"), 67_108_864, None));
}

/// `config-001`: nothing of a file with syntax errors is used, and several are found at once.
#[test]
fn broken_toml() {
    let report = refused("[server\nlisten = \"127.0.0.1:1\"\nadmin \"127.0.0.1:2\"\n");
    assert_shows(&report, &["not TOML", "gateway.toml:1:8", "gateway.toml:3:", ": 2 mistakes"]);
}

/// `config-002`.
#[test]
fn a_misspelt_key() {
    let report = refused(&format!("{MOUNT}max_body_byte = 1\n{CLIENT}"));
    assert_shows(
        &report,
        &["unknown key `max_body_byte`; did you mean `max_body_bytes`?", ":6:1", "minimum_age"],
    );
}

/// `config-003`, `config-004`, `config-005`, `config-022`.
#[test]
fn secrets_by_file() {
    let directory = TempDir::new().unwrap();
    let strong = [b'x'; 32];
    let with_break = [&strong[..], b"\r\n"].concat();
    for (name, bytes, mode, problem) in [
        ("open", &strong[..], 0o644, "is open to its group or to others (mode 0644)"),
        ("group", &strong, 0o660, "(mode 0660)"),
        ("weak", b"hunter2", 0o600, "shorter than 32 bytes"),
        ("empty", b"", 0o600, "is empty"),
        ("blank", b"\n", 0o600, "is empty"),
    ] {
        let report = refused(&client(&secret_file(&directory, name, bytes, mode)));
        assert_shows(&report, &[problem, ":9:10", ": 1 mistake"]);
        assert!(!report.contains("hunter2"));
    }
    assert_shows(&refused(&client("file:/nowhere/at/all")), &["`/nowhere/at/all` cannot be read", ":9:10"]);
    let folder = format!("file:{}", directory.path().display());
    assert_shows(&refused(&client(&folder)), &["is not a regular file"]);

    let good = load_text(&client(&secret_file(&directory, "good", &strong, 0o400))).unwrap();
    assert_eq!(good.warnings, [""; 0]);
    let trimmed = load_text(&client(&secret_file(&directory, "trimmed", &with_break, 0o600))).unwrap();
    assert_eq!(trimmed.warnings.len(), 1);
    assert_shows(&trimmed.warnings[0], &["trimmed", "line break"]);
}

/// As systemd and Kubernetes do it; what anybody else owns is for its owner alone.
#[test]
fn a_secret_that_root_hands_to_a_group() {
    let directory = TempDir::new().unwrap();
    let reference = secret_file(&directory, "handed", &[b'x'; 32], 0o440);
    let path = directory.path().join("handed");
    if fs::metadata(&path).unwrap().uid() == 0 {
        load_text(&client(&reference)).unwrap();
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
    }
    assert_shows(&refused(&client(&reference)), &["(mode 0440)"]);
}

/// A shipped credential is known to everybody, wherever it comes from.
#[test]
fn shipped_credentials_by_reference_are_shipped_ones() {
    let directory = TempDir::new().unwrap();
    let secret = secret_file(&directory, "demo", b"demo-partner-secret", 0o600);
    let file = format!("[server]\nlisten = \"0.0.0.0:0\"\n{MOUNT}{CLIENT}")
        .replace("\"demo-partner-secret\"", &format!("\"{secret}\""));
    assert_shows(
        &refused(&file.replace("\"demo-partner-key\"", &format!("\"{secret}\""))),
        &["is not a loopback address"],
    );
}

/// `config-006`.
#[test]
fn an_api_key_twice() {
    let second = CLIENT.replace("\"acme\"", "\"other\"");
    assert_shows(&refused(&format!("{MOUNT}{CLIENT}{second}")), &["`api_key` is another client's", ":12:11"]);
}

#[test]
fn a_dialect_of_external_ids_has_a_namespace() {
    let everywhere = MOUNT.replace("namespace = \"acme\"", "namespace = \"*\"");
    assert_ne!(everywhere, MOUNT);
    assert_shows(&refused(&format!("{everywhere}{CLIENT}")), &["`namespace` must be a name", ": 1 mistake"]);
}

/// `config-007`.
#[test]
fn prefixes_that_shadow() {
    let mounts = |first: &str, second: &str| {
        let one = |name: &str, rest: &str| {
            format!(
                "[[mount]]\nname = \"{name}\"\ndialect = \"partner\"\nnamespace = \"acme\"\n{rest}\n{CLIENT}"
            )
        };
        format!("{}{}", one("a", first), one("b", second))
    };
    for (first, second) in [
        ("prefix = \"/a\"", "prefix = \"/a\""),
        ("prefix = \"/a/\"", "prefix = [\"/b\", \"/a\"]"),
        ("prefix = \"/\"", "prefix = \"/\""),
        ("prefix = \"/a\"\nhost = \"H\"", "prefix = \"/a\"\nhost = \"h\""),
        ("prefix = [\"/a\", \"/a/\"]", "prefix = \"/b\""),
    ] {
        let report = refused(&mounts(first, second));
        assert_shows(&report, &["is taken already, on line 5", "taken here", ": 1 mistake"]);
    }
    for (first, second) in [
        ("prefix = \"/a\"", "prefix = \"/a/b\""),
        ("prefix = \"/a\"", "prefix = \"/A\""),
        ("prefix = \"/a\"\nhost = \"h\"", "prefix = \"/a\""),
        ("prefix = \"/a\"\nhost = \"h\"", "prefix = \"/a\"\nhost = \"i\""),
    ] {
        load_text(&mounts(first, second)).unwrap();
    }
}

#[test]
fn names_that_are_taken() {
    let again = MOUNT.replace("/a", "/b");
    let report = refused(&format!("{MOUNT}{CLIENT}{again}{CLIENT}"));
    assert_shows(&report, &["there is a mount `a` already, on line 2", ":11:8", ": 1 mistake"]);
}

/// `config-012`, `config-013`, `config-014`, and other values out of bounds or of a wrong type.
#[test]
fn values_out_of_bounds() {
    for (text, problem) in [
        ("[server]\nheader_timeout_ms = 0", "from 1 to 3600000"),
        ("[server]\nrequest_timeout_ms = 3600001", "from 1 to 3600000"),
        ("[server]\nmax_body_bytes = 10000000000", "from 1 to 16777216"),
        ("[server]\nmax_connections = 99999999999999999999", "from 1 to 1000000"),
        ("[server]\nlisten = 8080", "`listen` must be a string"),
        ("[server]\nadmin = \"127.0.0.1\"", "`admin` must be an IP address and a port"),
        ("[server]\nadmin = \"127.0.0.1:8080\"", "the same address as `listen`"),
        ("[server]\nmax_requests = 0", "from 1 to 1000000"),
        ("[server]\nwatch = 1", "`watch` must be true or false"),
        ("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]", "must be an IP address, or a network"),
        ("[server]\ntrusted_proxies = \"10.0.0.1/8\"", "has bits set behind its network's length"),
        ("[server]\nforwarded_header = \"via\"", "\"x-forwarded-for\" or \"forwarded\""),
        ("[server]\nfailed_auth_limit = { requests = 30 }", "`per_s` is missing"),
        ("[server.tls]\ncertificate = \"Cargo.toml\"\nkey = \"\"", "the path of a PEM file"),
        ("[server]\ntls = true", "`tls` must be a table"),
        ("[log]\nlevel = \"loud\"", "\"error\" or \"warn\" or \"info\" or \"debug\""),
        ("[log]\nformat = true", "\"pretty\" or \"json\""),
        ("[store]\nkind = \"oracle\"", "`kind` must be \"embedded\" or \"postgres\""),
        ("[store.embedded]\nencryption_key = \"env:NOT SET\"", "a secret is not written"),
        ("log = 1979-05-27", "`log` must be a table"),
    ] {
        let (table, rest) = (text, format!("\n{MOUNT}{CLIENT}"));
        assert_shows(&refused(&format!("{table}{rest}")), &[problem, ": 1 mistake"]);
    }
    for (line, problem) in [
        ("rate_limit = { requests = 0, per_s = 1 }", "`requests` must be an integer from 1"),
        ("rate_limit = { requests = 1, per_s = 0 }", "`per_s` must be an integer from 1"),
        ("rate_limit = { requests = 1, per_s = 1, burst = 0 }", "`burst` must be an integer from 1"),
        ("rate_limit = { requests = 1 }", "`per_s` is missing"),
        ("rate_limit = \"1/s\"", "`rate_limit` must be a table"),
        ("max_body_bytes = 16777217", "from 1 to 16777216"),
        ("unknown_fields = \"drop\"", "\"ignore\" or \"reject\""),
        ("public_prefix = \"v1\"", "must begin with `/`"),
        ("host = \"http://h\"", "without a port"),
        ("clock_skew_s = 0", "from 5 to 300"),
    ] {
        assert_shows(&refused(&format!("{MOUNT}{line}\n{CLIENT}")), &[problem, ":6:", ": 1 mistake"]);
    }
}

#[test]
fn a_mount_says_what_it_must() {
    let report = refused("[[mount]]\n");
    assert_shows(
        &report,
        &["`name` is missing", "`prefix` is missing", "`dialect` is missing", ": 4 mistakes"],
    );
    assert_shows(&refused(""), &["there is no [[mount]]"]);
    let idle = load_text(MOUNT).unwrap();
    assert_shows(&idle.warnings[0], &["mount `a` has no [[mount.client]]"]);
}

/// `config-019`.
#[test]
fn what_is_no_file() {
    let load = |path: &Path| config::load(path, &Overrides::default()).unwrap_err().to_string();
    let directory = TempDir::new().unwrap();
    assert_shows(&load(directory.path()), &["this is a directory"]);
    let path = directory.path().join("gateway.toml");
    assert_shows(&load(&path), &["there is no such file", "gateway.toml"]);
    fs::write(&path, b"[log]\nlevel = \"\xff\"\n").unwrap();
    assert_shows(&load(&path), &["not UTF-8", ":2:10"]);
}

#[test]
fn demo_credentials_stay_on_loopback() {
    let everywhere: SocketAddr = "0.0.0.0:8080".parse().unwrap();
    let over = |overrides: Overrides| config::load(Path::new(SHIPPED), &overrides).map(|_| ());
    let flag = over(Overrides { listen: Some(everywhere), ..Overrides::default() }).unwrap_err();
    assert_shows(&flag.to_string(), &["`--listen 0.0.0.0:8080` is not a loopback address", ": 1 mistake"]);
    let admin = over(Overrides { admin: Some(everywhere), ..Overrides::default() }).unwrap_err();
    assert_shows(&admin.to_string(), &["`--admin 0.0.0.0:8080`"]);
    over(Overrides { listen: "[::1]:1".parse().ok(), ..Overrides::default() }).unwrap();

    let text = format!("[server]\nlisten = \"0.0.0.0:8080\"\n{MOUNT}{CLIENT}");
    assert_shows(&refused(&text), &["`listen` is not a loopback address", ":2:10", ": 1 mistake"]);
    let directory = TempDir::new().unwrap();
    let own = secret_file(&directory, "own", &[b'x'; 32], 0o600);
    let text = text.replace("demo-partner-key", &own).replace("demo-partner-secret", &own);
    assert!(!load_text(&text).unwrap().uses_demo_credentials);
}

/// Whatever is wrong with a file, and wherever: the secrets in it are not in what is shown.
#[test]
fn no_secret_is_shown() {
    let directory = TempDir::new().unwrap();
    let weak = secret_file(&directory, "weak", b"hunter2", 0o600);
    for line in [
        "secret = \"hunter2\"",
        "secret = 'hunter2'\napi_key = \"hunter2\"",
        "secret = [\"env:NO_SUCH_NAME\",\n  \"hunter2\",\n  \"hunter2\"]",
        "secret = \"\"\"\nhunter2\nhunter2\"\"\"\nunknown = 1",
        "secret = \"env:hunter2 and more\"",
        "secret = \"hunter2",
        "secret = hunter2",
        "secret \"hunter2\"",
        "secret = [\"hunter2\",\nhunter2",
        "secrt = \"hunter2\"",
        "sign_with = \"hunter2\"",
        "secret = \"hunter2\"\nsecret = \"hunter2\"",
        "secret = { value = \"hunter2\" }",
        "\"secret\" = \"hunter2\"",
        "token = \"hunter2\"",
        &format!("secret = \"{weak}\""),
    ] {
        let report = load_text(&format!("{MOUNT}[[mount.client]]\nname = \"acme\"\n{line}\n")).unwrap_err();
        assert!(!report.to_string().contains("hunter2"), "{line}\n{report}");
        assert!(!format!("{report:?}").contains("hunter2"), "{line}");
    }
    let key = "0a".repeat(32);
    let sealed = secret_file(&directory, "key", key.as_bytes(), 0o600);
    let config =
        load_text(&format!("[store.embedded]\nencryption_key = \"{sealed}\"\n{MOUNT}{CLIENT}")).unwrap();
    assert_eq!(
        config.store,
        StoreConfig::Embedded(Embedded {
            path: "data".into(),
            cache_bytes: 67_108_864,
            encryption_key: Some([10; 32]),
        })
    );
    let shown = format!("{config:?}");
    for secret in ["demo-partner-key", "demo-partner-secret", "10, 10", "0a0a", "\\n"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// From the environment, which a test can set for another process only.
#[test]
fn secrets_by_variable() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, client("env:PARTNER_SECRET")).unwrap();
    let check = |value: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlingua"));
        command.arg("check").arg("--config").arg(&path).env_remove("PARTNER_SECRET");
        let output = command.envs(value.map(|value| ("PARTNER_SECRET", value))).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let strong = "x".repeat(32);
    let (code, stdout, stderr) = check(Some(&strong));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.ends_with("gateway.toml: ok, 1 mount\n"), "{stdout}");
    let (code, _, stderr) = check(Some(&format!("{strong}\n")));
    assert_eq!(code, Some(0));
    assert_shows(&stderr, &["warning: ", "`PARTNER_SECRET` ends with a line break"]);
    for (value, problem) in
        [(None, "is not set"), (Some(""), "is empty"), (Some("hunter2"), "is shorter than 32")]
    {
        let (code, stdout, stderr) = check(value);
        assert_eq!((code, stdout.as_str()), (Some(78), ""));
        assert_shows(&stderr, &[problem, ":9:10"]);
        assert!(!stderr.contains("hunter2") && !stderr.contains('\x1b'), "{stderr}");
    }
}

/// A mount with a webhook that is fine but for this.
fn webhook(dialect: &str, lines: &str) -> String {
    let (namespace, client) = match dialect {
        "update" => ("{projectId}", "token = \"demo-service-token\"\nproject = \"p\""),
        _ => ("acme", "api_key = \"demo-partner-key\"\nsecret = \"demo-partner-secret\""),
    };
    format!(
        "[[mount]]\nname = \"a\"\nprefix = \"/a\"\ndialect = \"{dialect}\"\nnamespace = \"{namespace}\"\n\
         [mount.webhook]\nsecret = \"demo-webhook-secret\"\n{lines}\n[[mount.client]]\nname = \"c\"\n{client}\n"
    )
}

/// `config-015`, by decision 30.
#[test]
fn webhooks() {
    let fine = load_text(&webhook("update", "url = \"https://hooks.example.com/validate\"")).unwrap();
    assert!(fine.mounts[0].webhook.is_some() && fine.uses_demo_credentials);
    assert_eq!(fine.warnings, Vec::<String>::new());
    let plain = load_text(&webhook("update", "url = \"http://hooks.example.com/validate\"")).unwrap();
    assert_shows(&plain.warnings[0], &["the webhook of mount `a` is not https"]);
    let private = "url = \"http://10.0.0.1/validate\"\nallow_private = true";
    assert_eq!(load_text(&webhook("update", private)).unwrap().warnings, Vec::<String>::new());
    let report = refused(&webhook(
        "update",
        "url = \"http://169.254.169.254/\"\ntimeout_ms = 10000\non_failure = \"ignore\"\nca = \"/nowhere\"\nretries = 3",
    ));
    assert_shows(
        &report,
        &[
            "`url` is at a private or special address; that needs `allow_private = true`",
            "`timeout_ms` (10000) must be less than `request_timeout_ms` of [server] (10000)",
            "`on_failure` must be",
            "`/nowhere` cannot be read",
            "unknown key `retries`",
            ": 5 mistakes",
        ],
    );
    let short = "[server]\nrequest_timeout_ms = 5000\n".to_owned();
    let report = refused(&(short + &webhook("update", "url = \"https://hooks.example.com/\"")));
    assert_shows(&report, &["`timeout_ms` (5000) must be less", ": 1 mistake"]);
    let report = refused(&webhook("partner", "url = \"https://hooks.example.com/\""));
    assert_shows(&report, &["the dialect `partner` has no validation webhook", ": 1 mistake"]);
}
