//! A gateway over PostgreSQL: how it starts and stops, what it says while the database is away, and what
//! its commands say.

use std::process::Output;

use gateway_testkit::{
    client::Connection,
    postgres::{Database, Instance},
};
use tests::{Bed, Party, Process, lines};
use uuid::Uuid;

const CONFIG: &str = include_str!("../src/mounts.toml");
const READY: (u16, &str) = (200, "ready\n");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ends at once, with 74 and one sentence that holds this and nothing of the URL.
fn assert_refused(bed: &Bed, sentence: &str) {
    let refused = bed.command("serve").output().unwrap();
    let said = said(&refused);
    assert_eq!(refused.status.code(), Some(74), "{said}");
    let sentences: Vec<_> = said.lines().filter(|line| line.starts_with("interlingua serve: ")).collect();
    assert!(sentences.len() == 1 && sentences[0].contains(sentence), "{said}");
    assert!(!said.contains("throwaway") && !said.contains("127.0.0.1"), "{said}");
}

/// Reads of every dialect are 503, with a word on when to come back.
fn assert_unavailable(process: &Process) {
    let (status, body) = process.admin("/readyz");
    assert_eq!(status, 503, "{body}");
    assert!(body == "not ready: the database cannot be reached\n", "{body}");
    assert_eq!(process.admin("/livez").0, 200);
    assert_eq!(process.metric("interlingua_store_reached"), Some(0));
    let mut connection = Connection::open(process.address).unwrap();
    for party in Party::ALL {
        for request in [party.read(Uuid::nil()), party.create(Uuid::new_v4(), Uuid::new_v4())] {
            let answer = connection.send(&request).unwrap();
            let body = String::from_utf8_lossy(&answer.body);
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{party:?}: {body}");
            assert!(body.starts_with('{'), "{party:?} is not answered in its dialect: {body}");
        }
    }
}

/// A user is made and read in every dialect.
fn assert_serves(process: &Process) {
    process.wait_until("it is ready", |process| process.admin("/readyz").0 == READY.0);
    assert_eq!(process.admin("/readyz"), (READY.0, READY.1.to_owned()));
    assert_eq!(process.metric("interlingua_store_reached"), Some(1));
    let mut connection = Connection::open(process.address).unwrap();
    for party in Party::ALL {
        let user = Uuid::new_v4();
        assert_eq!(connection.send(&party.create(user, Uuid::new_v4())).unwrap().status, 201, "{party:?}");
        assert_eq!(connection.send(&party.read(user)).unwrap().status, 200, "{party:?}");
    }
}

fn assert_stops(process: Process) {
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
    assert!(!log.contains("throwaway") && !log.contains("postgresql://"), "{log}");
}

#[test]
fn what_is_written_is_there_for_the_next_gateway() {
    let bed = Bed::on_postgres();
    let user = Uuid::new_v4();
    let process = Process::start(&bed);
    assert_serves(&process);
    let made = process.send(&Party::Update.create(user, Uuid::new_v4())).unwrap();
    assert_eq!(made.status, 201);
    assert!(process.metric("interlingua_store_statements_total").unwrap() > 0);
    assert_stops(process);
    assert!(!bed.data().exists(), "it has no data directory");
    let process = Process::start(&bed);
    let read = process.send(&Party::Update.read(user)).unwrap();
    assert_eq!((read.status, read.header("etag")), (200, made.header("etag")));
    assert_stops(process);
}

/// It starts without the database, and serves once that is there: with the demo's user, too.
#[test]
fn a_database_may_come_later_go_and_come_back() {
    let mut server = Instance::start();
    let bed = Bed::on_database(CONFIG, Database::on(&server.url()));
    server.kill();
    let process = Process::start(&bed);
    assert_unavailable(&process);
    server.restart();
    assert_serves(&process);
    let demo = "/social/proj1234/users/67890";
    process.wait_until("the demo's user is there", |process| {
        let read = gateway_testkit::client::RawRequest {
            target: demo.to_owned(),
            ..Party::Update.read(Uuid::nil())
        };
        process.send(&read).unwrap().status == 200
    });
    server.kill();
    process.wait_until("it notices", |process| process.admin("/readyz").0 == 503);
    assert_unavailable(&process);
    server.restart();
    assert_serves(&process);
    assert_stops(process);
}

/// What would stop a start does not end a process that waits: it says what is wrong until that is mended.
#[test]
fn a_database_that_comes_back_as_another_is_waited_for() {
    let mut server = Instance::start();
    let bed = Bed::on_database(CONFIG, Database::on(&server.url()));
    bed.database().execute("INSERT INTO interlingua_migrations (number) VALUES (1000)").unwrap();
    server.kill();
    let process = Process::start(&bed);
    server.restart();
    process.wait_until("it says why", |process| process.admin("/readyz").1.contains("of a later release"));
    assert_eq!(process.send(&Party::Update.read(Uuid::nil())).unwrap().status, 503);
    bed.database().execute("DELETE FROM interlingua_migrations WHERE number = 1000").unwrap();
    assert_serves(&process);
    assert_stops(process);
}

/// A stop is no matter of the database.
#[test]
fn a_gateway_without_its_database_stops_when_told() {
    let bed = Bed::over_url(CONFIG, "postgresql://interlingua:throwaway@127.0.0.1:1/absent");
    let process = Process::start(&bed);
    assert_unavailable(&process);
    assert_stops(process);
}

/// Nor is it where the database was there and has gone: who waits for it is told.
#[test]
fn a_gateway_whose_database_has_gone_stops_when_told() {
    let mut server = Instance::start();
    let bed = Bed::on_database(CONFIG, Database::on(&server.url()));
    let process = Process::start(&bed);
    assert_serves(&process);
    server.kill();
    let late = process.send(&Party::Update.create(Uuid::new_v4(), Uuid::new_v4())).unwrap();
    assert_eq!(late.status, 503);
    assert_stops(process);
}

/// Users as lines, by a process of its own that asks as soon as it is there.
#[test]
fn users_are_imported_and_exported() {
    let bed = Bed::on_postgres();
    let path = lines::file(&bed, "users.jsonl", lines::people(40));
    let done = lines::import(&bed, &path);
    assert!(done.status.success(), "{}", said(&done));
    let exported = lines::export(&bed);
    assert_eq!(exported.lines().count(), 40);
    let again = lines::import(&bed, &path);
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && told.contains("40 already there"), "{told}{}", said(&again));
    assert_eq!(lines::export(&bed), exported);
}

/// What waiting does not mend stops the start.
#[test]
fn a_database_that_is_not_ours_is_refused() {
    let bed = Bed::on_postgres();
    let applied = "SELECT max(number)::text FROM interlingua_migrations";
    let known: i32 = bed.database().column(applied).unwrap()[0].parse().unwrap();
    let later = format!("INSERT INTO interlingua_migrations (number) VALUES ({})", known + 1);
    bed.database().execute(&later).unwrap();
    assert_refused(&bed, "of a later release");
    let refused = bed.command("migrate").output().unwrap();
    assert_eq!(refused.status.code(), Some(74), "{}", said(&refused));

    bed.replace("postgres-url", &bed.database().url.replace("throwaway", "another-throwaway"));
    assert_refused(&bed, "refused");

    let empty = Database::create();
    bed.replace("postgres-url", &empty.url);
    assert_refused(&bed, "run `interlingua migrate`");
    let migrated = bed.command("migrate").output().unwrap();
    assert!(migrated.status.success(), "{}", said(&migrated));
    let again = bed.command("migrate").output().unwrap();
    assert!(again.status.success(), "a second time: {}", said(&again));
    let process = Process::start(&bed);
    assert_serves(&process);
    assert_stops(process);
}

/// Commands for the other store say so.
#[test]
fn a_command_for_the_other_store_says_so() {
    let (postgres, embedded) = (Bed::over_url(CONFIG, "postgresql://h/x"), Bed::new());
    for (bed, command, argument) in [
        (&postgres, "verify", None),
        (&postgres, "backup", Some("/nowhere/backup")),
        (&postgres, "restore", Some("/nowhere/backup")),
        (&embedded, "migrate", None),
    ] {
        let output = bed.command(command).args(argument).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{command}");
        assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
        assert!(said(&output).contains("the configuration has"), "{}", said(&output));
    }
    let check = postgres.command("check").output().unwrap();
    assert!(check.status.success(), "{}", said(&check));
}
