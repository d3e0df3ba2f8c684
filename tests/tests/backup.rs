//! `backup`, `restore` and `verify`, beside a running process and without one.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use gateway_testkit::client::Connection;
use tests::{Bed, Process, binary, partner};

const DAMAGED: Option<i32> = Some(65);
const IO_FAILURE: Option<i32> = Some(74);

fn interlingua(bed: &Bed, command: &str, arguments: &[&Path]) -> Output {
    Command::new(binary()).args([command, "--config"]).arg(bed.config()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn create(process: &Process, id: &str) -> u16 {
    Connection::open(process.address).unwrap().send(&partner::create(id, None)).unwrap().status
}

#[test]
fn a_running_store_is_verified_backed_up_and_restored_elsewhere() {
    let (bed, other) = (Bed::new(), Bed::new());
    let backup = bed.folder().join("backup");
    let process = Process::start(&bed);
    for id in ["one", "two"] {
        assert_eq!(create(&process, id), 201);
    }
    assert!(succeeds(&interlingua(&bed, "verify", &[])).contains("none damaged"));
    assert!(succeeds(&interlingua(&bed, "backup", &[&backup])).contains("records"));
    assert_eq!(create(&process, "three"), 201);
    let again = interlingua(&bed, "backup", &[&backup]);
    assert_eq!(again.status.code(), IO_FAILURE);
    assert!(text(&again.stderr).contains("is not empty"));
    let over = interlingua(&bed, "restore", &[&backup]);
    assert_eq!(over.status.code(), IO_FAILURE, "never over a store");
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
    assert!(!bed.data().join("control").exists());

    succeeds(&interlingua(&other, "restore", &[&backup]));
    let process = Process::start(&other);
    assert_eq!(
        [create(&process, "one"), create(&process, "two"), create(&process, "three")],
        [409, 409, 201]
    );
    drop(process);
}

#[test]
fn a_stopped_store_is_backed_up_and_an_old_socket_is_replaced() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    assert_eq!(create(&process, "one"), 201);
    process.kill();
    assert!(bed.data().join("control").exists(), "killed, it left its socket");
    succeeds(&interlingua(&bed, "backup", &[&bed.folder().join("backup")]));
    let process = Process::start(&bed);
    assert!(succeeds(&interlingua(&bed, "verify", &[])).contains("none damaged"));
    drop(process);
}

#[test]
fn only_the_owner_may_ask() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::new();
    let process = Process::start(&bed);
    for (name, mode) in [("control", 0o600), ("", 0o700)] {
        let found = fs::metadata(bed.data().join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    drop(process);
}

#[test]
fn damage_is_told_by_the_exit_code() {
    let bed = Bed::new();
    let backup = bed.folder().join("backup");
    let process = Process::start(&bed);
    assert_eq!(create(&process, "one"), 201);
    succeeds(&interlingua(&bed, "backup", &[&backup]));
    assert!(process.stop().0.success());

    let other = Bed::new();
    let rows = backup.join("users.rows");
    let mut bytes = fs::read(&rows).unwrap();
    bytes[40] ^= 1;
    fs::write(&rows, bytes).unwrap();
    let refused = interlingua(&other, "restore", &[&backup]);
    assert_eq!(refused.status.code(), DAMAGED);
    assert!(text(&refused.stderr).contains("users.rows"));
    assert!(!other.data().exists());

    fs::remove_file(bed.data().join("users.acked")).unwrap();
    let refused = interlingua(&bed, "verify", &[]);
    assert_eq!(refused.status.code(), DAMAGED);
    assert!(text(&refused.stderr).contains("--repair-mark"));
    succeeds(&interlingua(&bed, "verify", &[Path::new("--repair-mark")]));
    succeeds(&interlingua(&bed, "verify", &[]));
}

#[test]
fn nothing_is_made_where_there_is_nothing() {
    let bed = Bed::new();
    for (command, arguments) in [("verify", &[][..]), ("backup", &[Path::new("/absent/x")])] {
        let output = interlingua(&bed, command, arguments);
        assert_eq!(output.status.code(), IO_FAILURE, "{command}");
        assert!(!bed.data().exists(), "{command}");
    }
    let absent = interlingua(&bed, "restore", &[&bed.folder().join("absent")]);
    assert_eq!(absent.status.code(), DAMAGED);
    assert!(!bed.data().exists());
}
