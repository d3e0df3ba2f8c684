//! The command line: what it prints, to be read and to be run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use gateway::{
    cli::{routes_table, sign},
    config::{self, Config, Overrides, routing::longest_prefix},
};
use gateway_core::Timestamp;
use tempfile::TempDir;

const SHIPPED: &str = "../../config/interlingua.toml";

fn shipped() -> Config {
    config::load(Path::new(SHIPPED), &Overrides::default()).unwrap()
}

fn load_text(text: &str) -> Config {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("gateway.toml");
    fs::write(&path, text).unwrap();
    config::load(&path, &Overrides::default()).unwrap()
}

/// Mounts with these lines each, for a client `acme`.
fn with_mounts(mounts: &[&str]) -> Config {
    let mount = |(at, lines): (usize, &&str)| {
        format!(
            "[[mount]]\nname = \"m{at}\"\ndialect = \"partner\"\nnamespace = \"acme\"\n{lines}\n[[mount.client]]\n\
             name = \"acme\"\napi_key = \"demo-partner-key\"\nsecret = \"demo-partner-secret\"\n"
        )
    };
    load_text(&mounts.iter().enumerate().map(mount).collect::<String>())
}

fn order(method: &str, url: &str, client: &str, body: Option<&str>) -> sign::Order {
    sign::Order { method: method.into(), url: url.into(), client: client.into(), body: body.map(Into::into) }
}

fn sign(config: &Config, method: &str, url: &str, body: Option<&str>) -> Result<String, String> {
    let client = config.mounts[0].clients[0].to_string();
    sign::curl(config, &order(method, url, &client, body), Timestamp::UNIX_EPOCH)
}

fn interlingua(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interlingua")).args(arguments).output().unwrap()
}

fn sh(arguments: &[&str], script: &str) -> Vec<u8> {
    let mut child = Command::new("sh")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{script}");
    output.stdout
}

/// The arguments that curl would get from the shell.
fn words(command: &str) -> Vec<String> {
    sh(&["-n"], command);
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{command}\n");
    let output = String::from_utf8(sh(&["-s"], &script)).unwrap();
    output.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn a_signed_command_is_for_a_shell() {
    let command = sign(&shipped(), "POST", "/partner/v1/users?a=1&b=$HOME", Some("{\"a\": 1}")).unwrap();
    let words = words(&command);
    assert_eq!(words[..4], ["-sS", "-X", "POST", "http://127.0.0.1:8080/partner/v1/users?a=1&b=$HOME"]);
    assert_eq!(words[4..6], ["-H", "Content-Type: application/json"]);
    assert_eq!(
        words[6..10],
        ["-H", "x-api-key: demo-partner-key", "-H", "x-request-timestamp: 1970-01-01T00:00:00Z"]
    );
    assert!(words[11].starts_with("x-request-signature: "), "{words:?}");
    assert_eq!(words[12..], ["--data-binary", "{\"a\": 1}"]);
}

#[test]
fn odd_bodies_survive_the_shell() {
    for body in [
        "",
        "it's \"it\"",
        "'",
        "''\\''",
        "a\nb\r\n\n",
        "$HOME ${x} $(id) `id`",
        "\\ \\n !! # ; & | < >",
        "é\u{1f600}",
        "-d",
        "%s\t",
    ] {
        let command = sign(&shipped(), "PATCH", "/partner/v1/users/x", Some(body)).unwrap();
        assert_eq!(words(&command).last().map(String::as_str), Some(body));
    }
}

#[test]
fn a_body_may_be_a_files() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("it's a body");
    fs::write(&path, "{\"a\":1}").unwrap();
    let named = format!("@{}", path.display());
    let signature =
        |words: &[String]| words.iter().find(|word| word.starts_with("x-request-signature")).cloned();
    let by_name = words(&sign(&shipped(), "POST", "/partner/v1/users", Some(&named)).unwrap());
    let by_text = words(&sign(&shipped(), "POST", "/partner/v1/users", Some("{\"a\":1}")).unwrap());
    assert_eq!(by_name.last(), Some(&named));
    assert_eq!(signature(&by_name), signature(&by_text));
    for (body, problem) in [("@/nowhere", "cannot be read"), ("@-", "stdin")] {
        let refused = sign(&shipped(), "POST", "/partner/v1/users", Some(body)).unwrap_err();
        assert!(refused.contains(problem), "{refused}");
    }
}

#[test]
fn what_cannot_be_signed_is_said() {
    let config = shipped();
    for (method, url, problem) in [
        ("get", "/partner/v1/users", "did you mean GET?"),
        ("BREW", "/partner/v1/users", "none of the methods GET, HEAD"),
        ("GET", "/partner/v10/users", "the prefixes are: /partner/v1"),
        ("GET", "partner/v1/users", "neither an http:// or https:// URL nor a path"),
        ("GET", "ftp://h/partner/v1", "neither an http:// or https:// URL nor a path"),
        ("GET", "http:///partner/v1", "must have a host"),
        ("GET", "http://u:p@h/partner/v1", "no user name"),
        ("GET", "/partner/v1/a b", "plain ASCII"),
        ("GET", "/partner/v1/users#a", "plain ASCII"),
    ] {
        let refused = sign(&config, method, url, None).unwrap_err();
        assert!(refused.contains(problem), "{url}: {refused}");
    }
    let stranger = sign::curl(&config, &order("GET", "/partner/v1/x", "nobody", None), Timestamp::UNIX_EPOCH);
    assert!(stranger.unwrap_err().contains("has no client `nobody`; its clients are: demo-partner"));
}

/// Signed is what the gateway checks: the target as it is, with the public prefix where there is one.
#[test]
fn a_public_prefix_is_what_is_signed() {
    let signature = |config: &Config, url: &str| {
        words(&sign(config, "GET", url, None).unwrap())
            .into_iter()
            .find(|word| word.starts_with("x-request-signature"))
    };
    let plain = with_mounts(&["prefix = \"/v1\""]);
    let behind = with_mounts(&["prefix = \"/internal/partner\"\npublic_prefix = \"/v1\""]);
    let expected = signature(&plain, "/v1/users/x?a=1");
    assert_eq!(signature(&behind, "https://api.example.com/v1/users/x?a=1"), expected);
    assert_eq!(signature(&behind, "/internal/partner/users/x?a=1"), expected);
}

#[test]
fn a_host_is_sent_where_only_a_target_is_given() {
    let config = with_mounts(&["prefix = \"/v1\"\nhost = \"api.example.com\""]);
    let words = words(&sign(&config, "GET", "/v1/users/x", None).unwrap());
    assert!(words.contains(&"Host: api.example.com".to_owned()), "{words:?}");
    sign(&config, "GET", "http://API.example.com:8080/v1/users/x", None).unwrap();
    sign(&config, "GET", "http://other.example.com/v1/users/x", None).unwrap_err();
    assert_eq!(
        sign::example(&config, &config.mounts[0]).unwrap().split(" --config").next(),
        Some("interlingua sign GET /v1/users/partner-user-42 --client acme")
    );
}

#[test]
fn the_example_can_be_run() {
    let config = shipped();
    let shown = sign::example(&config, &config.mounts[0]).unwrap();
    let line = shown.strip_suffix(" --config ../../config/interlingua.toml | sh").unwrap();
    assert_eq!(
        line,
        "interlingua sign GET http://127.0.0.1:8080/partner/v1/users/partner-user-42 --client demo-partner"
    );
    let mut arguments: Vec<_> = line.split(' ').skip(1).collect();
    arguments.extend(["--config", SHIPPED]);
    let output = interlingua(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(words(std::str::from_utf8(&output.stdout).unwrap())[2], "GET");
}

#[test]
fn the_longest_prefix_wins() {
    let config = with_mounts(&[
        "prefix = \"/\"",
        "prefix = [\"/a\", \"/a/b/c\"]",
        "prefix = \"/a/b\"",
        "prefix = \"/a\"\nhost = \"H.example\"",
    ]);
    for (host, path, found) in [
        (None, "/", Some(("m0", ""))),
        (None, "/ab", Some(("m0", ""))),
        (None, "/a", Some(("m1", "/a"))),
        (None, "/a/", Some(("m1", "/a"))),
        (None, "/a/b/x", Some(("m2", "/a/b"))),
        (None, "/a/b/c/d", Some(("m1", "/a/b/c"))),
        (Some("h.EXAMPLE:8080"), "/a/x", Some(("m3", "/a"))),
        (Some("h.example"), "/a/b", Some(("m2", "/a/b"))),
        (Some("other"), "/a", Some(("m1", "/a"))),
        (Some("[::1]:80"), "/a", Some(("m1", "/a"))),
        (None, "*", None),
        (None, "", Some(("m0", ""))),
    ] {
        let place = longest_prefix(&config.mounts, host, path).map(|(mount, prefix)| (&*mount.name, prefix));
        assert_eq!(place, found, "{host:?} {path}");
    }
}

#[test]
fn routes_are_listed() {
    let config = with_mounts(&["prefix = \"/\"\nhost = \"h\"", "prefix = [\"/a\", \"/b\"]"]);
    let expected = "\
MOUNT  DIALECT  METHOD  PATH
m0     partner  POST    h/users
m0     partner  GET     h/users/{externalId}
m0     partner  PATCH   h/users/{externalId}
m1     partner  POST    /a/users
m1     partner  GET     /a/users/{externalId}
m1     partner  PATCH   /a/users/{externalId}
m1     partner  POST    /b/users
m1     partner  GET     /b/users/{externalId}
m1     partner  PATCH   /b/users/{externalId}";
    assert_eq!(routes_table(&config.mounts), expected);
}

#[test]
fn exit_codes() {
    for (arguments, code) in [
        (&["--version"][..], 0),
        (&["--help"], 0),
        (&["check", "--config", SHIPPED], 0),
        (&["routes", "--config", SHIPPED], 0),
        (&[], 64),
        (&["chek"], 64),
        (&["serve", "--listen", "localhost"], 64),
        (&["sign", "GET", "/nowhere", "--client", "demo-partner", "--config", SHIPPED], 64),
        (&["check", "--config", "tests"], 78),
        (&["check", "--config", "tests/config/five-mistakes.toml"], 78),
        (&["serve", "--config", SHIPPED, "--listen", "0.0.0.0:0"], 78),
    ] {
        let output = interlingua(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        assert_eq!(output.stdout.is_empty(), code != 0, "{arguments:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        let is_quiet = errors.lines().all(|line| line.starts_with("warning: "));
        assert_eq!(is_quiet, code == 0, "{arguments:?} {errors}");
    }
}
