//! `import` and `export`: what goes out comes in again, beside a running process and without one.

use std::{fs, os::unix::fs::PermissionsExt as _};

use gateway_testkit::client::RawRequest;
use tests::{
    Bed, Process,
    lines::{command, export, file, import, import_from_pipe},
    partner,
};

/// Personal data, which nothing but users may hold.
const CANARY: &str = "c4n4ry";
const REFUSED: Option<i32> = Some(1);
const IO_FAILURE: Option<i32> = Some(74);

fn rest(method: &str, target: &str, body: &str) -> RawRequest {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers = vec![header("Authorization", "Bearer demo-admin-token")];
    if !body.is_empty() {
        headers.push(header("Content-Type", "application/json"));
    }
    RawRequest { method: method.into(), target: format!("/api/v1{target}"), headers, body: body.into() }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Users as the dialects make them: of every standing, with an address in either form, with all that
/// there is, and with nothing.
fn populate(process: &Process) {
    let send = |request: &RawRequest| {
        let answer = process.send(request).unwrap();
        assert!((200..300).contains(&answer.status), "{}: {}", request.target, text(&answer.body));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        body["userId"].as_str().or(body["id"].as_str()).unwrap_or_default().to_owned()
    };
    let pending = send(&partner::create("pending", None));
    let suspension = r#"{"suspensions":[{"reason":"spam, \"lots\"","startsAt":"2025-01-01T00:00:00.5Z"},{"startsAt":"2024-01-01T00:00:00Z","endsAt":"2024-02-01T00:00:00Z"}]}"#;
    send(&rest("PATCH", &format!("/users/{pending}"), suspension));
    send(&partner::create("usual", None));
    let all = r#"{"username":"Jane.Doe","displayName":"J\u00e4ne \ud83d\ude00","givenName":"Jane","familyName":"O\u2019Neil","email":"jane@example.com","phone":"+1 555","avatarUrl":"https://example.com/a?b","bio":"two\nlines","gender":"female","birthDate":"1990-05-15","address":{"street":"7 Ring 9","city":"Ghent","country":"BE"},"geo":{"longitude":-118.25,"latitude":34.05},"locale":"nl-BE","timeZone":"Europe/Brussels","occupation":"x","ciroAffiliate":true,"metadata":{"b":[1,{"a":null}],"a":0.5},"secureMetadata":{"ssn":"c4n4ry"},"links":[{"namespace":"crm","externalId":"a/b"},{"namespace":"billing","externalId":"7"},{"namespace":"shop","externalId":"7"}]}"#;
    let all = send(&rest("POST", "/users", all));
    send(&rest("PATCH", &format!("/users/{all}"), suspension));
    let parts = r#"{"address":{"street":"Am Ring","houseNumber":"7","postalCode":"76131","country":"DE"}}"#;
    send(&rest("POST", "/users", parts));
    send(&rest("POST", "/users", r#"{"status":"closed"}"#));
    let gone = send(&rest("POST", "/users", "{}"));
    send(&rest("DELETE", &format!("/users/{gone}"), ""));
}

#[test]
fn what_is_exported_is_imported_and_exported_alike() {
    let (bed, stopped) = (Bed::new(), Bed::new());
    let served = Bed::with(&include_str!("../src/mounts.toml").replace("user = true", "user = false"));
    let process = Process::start(&bed);
    populate(&process);
    let path = bed.folder().join("users.jsonl");
    let written = command(&bed, "export", &[&path.to_string_lossy()]).output().unwrap();
    assert!(written.status.success(), "{}", text(&written.stderr));
    assert!(
        text(&written.stderr).contains("6 users") && text(&written.stderr).contains("1 of them have secure")
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let exported = fs::read_to_string(&path).unwrap();
    assert!(!exported.contains(CANARY), "a secret document is shown");
    let again = command(&bed, "export", &[&path.to_string_lossy()]).output().unwrap();
    assert_eq!(again.status.code(), IO_FAILURE, "nothing is written over");
    let (status, log) = process.stop();
    assert!(status.success() && log.contains("\"kind\":\"export\""), "{log}");
    assert_eq!(export(&bed), exported, "a stopped store says the same");
    assert_eq!(fs::read_dir(bed.folder()).unwrap().filter(|one| is_partial(one)).count(), 0);

    let done = import(&stopped, &path);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("6 lines, 6 created, 0 already there, 0 refused"));
    assert_eq!(export(&stopped), exported);
    let again = import(&stopped, &path);
    assert!(text(&again.stdout).contains("0 created, 6 already there"), "{}", text(&again.stderr));

    let process = Process::start(&served);
    let mut child = import_from_pipe(&served, &exported);
    drop(child.stdin.take());
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(export(&served), exported);
    let (status, log) = process.stop();
    assert!(status.success() && log.contains("\"kind\":\"import\""), "{log}");
}

fn is_partial(entry: &Result<fs::DirEntry, std::io::Error>) -> bool {
    entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".partial")
}

/// A suspension hides that compliance is pending; a copy has both.
#[test]
fn a_copy_of_a_suspended_account_is_what_the_account_was() {
    let (bed, copy) = (Bed::new(), Bed::new());
    let process = Process::start(&bed);
    populate(&process);
    drop(process);
    let path = file(&copy, "users.jsonl", export(&bed));
    assert!(import(&copy, &path).status.success());
    let process = Process::start(&copy);
    let read = |id: &str| process.send(&partner::read(id)).unwrap();
    assert!(text(&read("pending").body).contains("\"status\":\"pendingCompliance\""));
    let jane = process.send(&rest("GET", "/users?username=jane.doe", "")).unwrap();
    assert!(text(&jane.body).contains("\"status\":\"suspended\""), "{}", text(&jane.body));
    drop(process);
}

/// The lines of the report of an import that refuses some: number, pointer, reason.
fn report(text: &str) -> Vec<(u64, Vec<(String, String)>)> {
    let own = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let errors = line["errors"].as_array().unwrap();
        let errors = errors.iter().map(|error| (own(&error["pointer"]), own(&error["detail"])));
        (line["line"].as_u64().unwrap(), errors.collect())
    };
    text.lines().map(line).collect()
}

/// Lines that are refused, each with the pointers and the beginning of the reasons.
const BAD: &[(&str, &[(&str, &str)])] = &[
    ("c4n4ry", &[("", "Is not JSON")]),
    (r#"["c4n4ry"]"#, &[("", "Must be an object")]),
    (r#"{"email":"c4n4ry","email":"c4n4ry"}"#, &[("", "Is not JSON: duplicate member name")]),
    (
        r#"{"email":"c4n4ry","address":{"country":"c4n4ry","c4n4ry":1},"c4n4ry":1,"x":1}"#,
        &[
            ("/email", "Must be a valid email"),
            ("/address/country", "Must be a two-letter"),
            ("", "Is not a known"),
            ("", "Is not a known"),
            ("/x", "Is not a known"),
        ],
    ),
    (
        r#"{"id":"c4n4ry","createdAt":"c4n4ry"}"#,
        &[("/id", "Must be a UUID"), ("/createdAt", "Must be an ISO")],
    ),
    (r#"{"updatedAt":"2999-01-01T00:00:00Z"}"#, &[("/updatedAt", "Must not be in the future")]),
    (r#"{"status":"suspended"}"#, &[("/status", "Needs suspensions")]),
    (
        r#"{"username":"JANE.DOE","links":[{"namespace":"crm","externalId":"c4n4ry"}]}"#,
        &[("/username", "Is that of another")],
    ),
    (
        r#"{"links":[{"namespace":"crm","externalId":"x"},{"namespace":"crm","externalId":"1"}]}"#,
        &[("/links/1", "Is that of another")],
    ),
    (r#"{"id":"00000000-0000-4000-8000-000000000001","bio":"c4n4ry"}"#, &[("/id", "Is that of another")]),
];

#[test]
fn a_refused_line_is_told_by_number_and_reason_alone_and_the_others_are_in() {
    let bed = Bed::new();
    let first = r#"{"id":"00000000-0000-4000-8000-000000000001","username":"jane.doe","links":[{"namespace":"crm","externalId":"1"}]}"#;
    let long = format!("{{\"bio\":\"{}\"}}", CANARY.repeat(200_000));
    let bad: Vec<_> = BAD.iter().map(|(line, _)| *line).collect();
    let input = format!("\u{feff}{first}\r\n\n \t\r\n{}\n{long}\n{{\"bio\":\"the last\"}}", bad.join("\n"));
    let path = file(&bed, "users.jsonl", input);
    for run in ["first", "second"] {
        let done = import(&bed, &path);
        assert_eq!(done.status.code(), REFUSED, "{run}: {}", text(&done.stderr));
        assert!(!(text(&done.stdout) + &text(&done.stderr)).contains(CANARY), "{run}");
        let refused = fs::read_to_string(bed.folder().join("users.jsonl.refused")).unwrap();
        assert!(!refused.contains(CANARY), "{refused}");
        let told = report(&refused);
        let expected =
            (4..).zip(BAD.iter().map(|(_, errors)| *errors)).chain([(14, &[("", "Must be at most")][..])]);
        for ((line, errors), (number, reasons)) in told.iter().zip(expected) {
            assert_eq!((*line, errors.len()), (number, reasons.len()), "{errors:?}");
            for ((pointer, detail), (at, reason)) in errors.iter().zip(reasons) {
                assert!(pointer == at && detail.starts_with(reason), "line {line}: {pointer} {detail}");
            }
        }
        assert_eq!(told.len(), BAD.len() + 1);
        let counts =
            if run == "first" { "2 created, 0 already there, 11" } else { "0 created, 2 already there, 11" };
        assert!(text(&done.stdout).contains(counts), "{}", text(&done.stdout));
        assert!(!bed.folder().join("users.jsonl.state").exists());
    }
    assert_eq!(export(&bed).lines().count(), 2);
}

#[test]
fn lines_alone_are_rehearsed_without_a_store() {
    let bed = Bed::new();
    let path = file(&bed, "users.jsonl", "{}\n{\"email\":1}\n{}\n");
    let done = command(&bed, "import", &["--dry-run", &path.to_string_lossy()]).output().unwrap();
    assert_eq!(done.status.code(), REFUSED);
    assert!(text(&done.stdout).contains("3 lines, 2 fit, 0 already there, 1 refused"));
    assert!(!bed.data().exists() && !bed.folder().join("users.jsonl.state").exists());
    assert!(text(&fs::read(bed.folder().join("users.jsonl.refused")).unwrap()).contains("\"line\":2"));
    let whole = file(&bed, "users.jsonl", "{}\n");
    let done = command(&bed, "import", &["--dry-run", &whole.to_string_lossy()]).output().unwrap();
    assert!(
        done.status.success() && !bed.folder().join("users.jsonl.refused").exists(),
        "an old report goes"
    );
}

#[test]
fn an_id_that_was_deleted_stays_deleted() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let id = "00000000-0000-4000-8000-000000000002";
    let path = file(&bed, "users.jsonl", format!("{{\"id\":\"{id}\"}}"));
    assert!(import(&bed, &path).status.success());
    assert_eq!(process.send(&rest("DELETE", &format!("/users/{id}"), "")).unwrap().status, 204);
    let again = import(&bed, &path);
    assert_eq!(again.status.code(), REFUSED);
    assert!(text(&fs::read(bed.folder().join("users.jsonl.refused")).unwrap()).contains("was deleted"));
    drop(process);
}

#[test]
fn what_cannot_be_read_is_no_usage_error() {
    let bed = Bed::new();
    let absent = bed.folder().join("absent");
    assert_eq!(import(&bed, &absent).status.code(), IO_FAILURE);
    assert_eq!(command(&bed, "export", &["-"]).output().unwrap().status.code(), IO_FAILURE, "no store");
    assert_eq!(command(&bed, "import", &[]).output().unwrap().status.code(), Some(64));
}
