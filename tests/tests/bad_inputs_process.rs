//! What the process is given by its surroundings: configurations, signals, disks.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use gateway_testkit::client::{Connection, RawRequest, RawResponse};
use tests::{Bed, Party, Process, Watched, binary, partner};
use uuid::Uuid;

const MOUNTS: &str = include_str!("../src/mounts.toml");
const READ: &str = "/social/proj1234/users/67890";

/// A bad configuration: what of a good one is replaced by what, and what is said.
const MISTAKES: [(&str, &str, &str, &str); 14] = [
    ("config-001", "[log]\n", "[log\n", "not TOML"),
    ("config-002", "[log]\n", "[log]\nlevle = \"info\"\n", "unknown key `levle`"),
    ("config-003", "file:$DIR/other-secret", "file:$DIR/absent", "cannot be read"),
    ("config-004", "file:$DIR/other-secret", "file:$DIR/open", "(mode 0644)"),
    ("config-005", "file:$DIR/other-secret", "file:$DIR/weak", "shorter than 32 bytes"),
    (
        "config-006",
        "file:$DIR/old-key\", \"file:$DIR/new-key",
        "file:$DIR/old-key\", \"file:$DIR/old-key",
        "",
    ),
    ("config-007", "prefix = \"/strict/v1\"", "prefix = \"/partner/v1\"", "is taken already"),
    (
        "config-010",
        "[log]\n",
        "[server.tls]\ncertificate = \"$DIR/a\"\nkey = \"$DIR/b\"\nmin_version = \"1.0\"\n[log]\n",
        "`min_version` must be \"1.2\" or \"1.3\"",
    ),
    (
        "config-012",
        "requests = 1, per_s = 3600",
        "requests = 0, per_s = 1",
        "`requests` must be an integer from 1",
    ),
    ("config-013", "max_body_bytes = 2000", "max_body_bytes = 10000000000", "from 1 to 16777216"),
    ("config-014", "[server]\n", "[server]\nrequest_timeout_ms = 0\n", "from 1 to 3600000"),
    ("config-014", "[server]\n", "[server]\nheader_timeout_ms = 0\n", "from 1 to 3600000"),
    ("config-014", "[server]\n", "[server]\nbody_timeout_ms = 0\n", "from 1 to 3600000"),
    ("config-014", "[server]\n", "[server]\ndrain_timeout_ms = 0\n", "from 1 to 3600000"),
];

/// The files that the mistakes name.
fn bed(config: &str) -> Bed {
    let bed = Bed::with(config);
    let strong = "x".repeat(32);
    for (name, secret, mode) in [("open", strong.as_str(), 0o644), ("weak", "hunter2", 0o600)] {
        let path = bed.folder().join(name);
        fs::write(&path, secret).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    bed
}

/// Said with file, line and column; without a listener, a store or a secret.
#[test]
fn a_bad_configuration_does_not_start() {
    for (id, good, bad, said) in MISTAKES {
        let config = MOUNTS.replacen(good, bad, 1);
        assert_ne!(config, MOUNTS, "{id}");
        let bed = bed(&config);
        for command in ["serve", "check"] {
            let output =
                Command::new(binary()).args([command, "--config"]).arg(bed.config()).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(78), "{id} {errors}");
            let place = errors.split_once("interlingua.toml:").map(|(_, place)| place);
            let place = place.and_then(|place| place.split_once('\n')).unwrap().0.split_once(':').unwrap();
            assert!(place.0.parse::<u32>().is_ok() && place.1.parse::<u32>().is_ok(), "{id} {errors}");
            assert!(errors.contains(said) && !errors.contains("hunter2"), "{id} {errors}");
            assert!(output.stdout.is_empty() && !bed.data().exists(), "{id}");
        }
    }
}

/// The same mistakes, and a directory in the file's place, in a gateway that runs: the configuration
/// before stays, and nobody notices.
#[test]
fn a_bad_configuration_is_not_taken() {
    let bed = bed(&MOUNTS.replacen("[server]\n", "[server]\nwatch = false\n", 1));
    let watched = Watched::start(&bed);
    let failed = |process: &Process| process.metric(r#"interlingua_config_reloads_total{outcome="failed"}"#);
    let is_bad = |process: &Process| process.metric("interlingua_config_reload_failed");
    let good = fs::read(bed.config()).unwrap();
    let process = watched.process();
    for (nth, (id, good, bad, _)) in (1..).zip(MISTAKES) {
        bed.replace("interlingua.toml", &MOUNTS.replacen(good, bad, 1));
        process.hang_up();
        process.wait_until(id, |process| failed(process) == Some(nth));
        assert_eq!(is_bad(process), Some(1), "{id}");
    }
    fs::remove_file(bed.config()).unwrap();
    fs::create_dir(bed.config()).unwrap();
    process.hang_up();
    process.wait_until("config-019", |process| failed(process) == Some(MISTAKES.len() as u64 + 1));
    fs::remove_dir(bed.config()).unwrap();
    fs::write(bed.config(), good).unwrap();
    process.hang_up();
    process.wait_until("the good one again", |process| is_bad(process) == Some(0));
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// `config-018`.
#[test]
fn a_million_mounts_are_refused() {
    let mount = "[[mount]]\nname = \"m\"\nprefix = \"/m\"\ndialect = \"partner\"\nnamespace = \"n\"\n";
    let bed = Bed::with(&mount.repeat(1_000_000));
    let output = Command::new(binary()).args(["check", "--config"]).arg(bed.config()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{errors}");
    assert!(errors.contains("is longer than"), "{errors}");
}

/// Creates users with keys until the gateway is gone; with what was acknowledged.
fn load(process: &Process, stop: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<Vec<Acknowledged>>> {
    let client = |party: Party| {
        let (stop, address) = (Arc::clone(stop), process.address);
        thread::spawn(move || {
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let Ok(mut connection) = Connection::open(address) else { break };
                loop {
                    let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
                    let Ok(answer) = connection.send(&party.create(user, key)) else { break };
                    assert_eq!(answer.status, 201);
                    let goodbye = answer.header("connection") == Some("close");
                    acknowledged.push((party, user, key, answer));
                    if goodbye {
                        break;
                    }
                }
            }
            acknowledged
        })
    };
    Party::ALL.into_iter().map(client).collect()
}

type Acknowledged = (Party, Uuid, Uuid, RawResponse);

/// `process-020`, `process-021`: killed while it loads a configuration, and while it drains.
#[test]
fn killed_while_it_reloads_or_drains_it_has_lost_nothing() {
    let (bed, mut kept) = (Bed::new(), 0);
    for round in 0..8 {
        let process = Process::start(&bed);
        let stop = Arc::new(AtomicBool::new(false));
        let clients = load(&process, &stop);
        thread::sleep(Duration::from_millis(150));
        if round % 2 == 0 {
            process.hang_up();
        } else {
            let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
            assert!(asked.unwrap().success());
        }
        thread::sleep(Duration::from_millis(round * 30));
        process.kill();
        stop.store(true, Ordering::Relaxed);
        let acknowledged: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        kept += acknowledged.len();
        let process = Process::start(&bed);
        for (party, user, key, first) in acknowledged {
            let again = process.send(&party.create(user, key)).unwrap();
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{party:?}: lost");
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{party:?}: done twice");
        }
        assert!(process.stop().0.success());
    }
    assert!(kept > 0, "nothing was acknowledged, so nothing could be lost");
}

/// `process-022`, `process-024`: killed while it makes its store, and while it recovers, again and again.
#[test]
fn killed_while_it_starts_it_has_lost_nothing() {
    let kill_at_the_start = |bed: &Bed, after: u64| {
        let mut child = Command::new(binary())
            .args(["serve", "--config"])
            .arg(bed.config())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
    };
    for after in (0..100).step_by(10) {
        let bed = Bed::new();
        kill_at_the_start(&bed, after);
        let process = Process::start(&bed);
        let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
        let first = process.send(&Party::JsonApi.create(user, key)).unwrap();
        assert_eq!(first.status, 201);
        process.kill();
        kill_at_the_start(&bed, after);
        kill_at_the_start(&bed, after / 2);
        let process = Process::start(&bed);
        let again = process.send(&Party::JsonApi.create(user, key)).unwrap();
        assert_eq!((again.status, again.body), (201, first.body), "after {after} ms");
        assert!(process.stop().0.success());
    }
}

/// `process-033`: a body that is nothing but depth.
#[test]
fn depth_does_not_reach_the_stack() {
    let watched = Watched::start(&Bed::new());
    let before = watched.written();
    for party in Party::ALL {
        for bomb in ["[".repeat(1_000_000), "{\"a\":".repeat(200_000), "[{\"op\":".repeat(140_000)] {
            let mut request = party.update(Uuid::new_v4(), Uuid::new_v4(), "x");
            if party == Party::Partner {
                request = partner::signed("POST", "/partner/v1/users", None, &bomb);
            }
            request.body = bomb.into_bytes();
            let answer = watched.process().send(&request).unwrap();
            assert!((400..500).contains(&answer.status), "{party:?}: {}", answer.status);
        }
    }
    assert_eq!(watched.written(), before);
    assert_eq!(watched.stop(), Vec::<String>::new());
}

/// A gateway whose disk is in strace's hands; `inject` as in its manual. Until dropped.
struct Strace(std::process::Child);

impl Strace {
    fn on(process: &Process, inject: &str) -> Self {
        let quiet = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        let may_trace = quiet(Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]));
        assert!(may_trace, "strace is missing or may not trace here; scripts/test installs it");
        let id = process.id().to_string();
        let child = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", inject, "-p", &id])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let is_traced = |task: fs::DirEntry| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            !status.lines().any(|line| line == "TracerPid:\t0")
        };
        process.wait_until("every thread is traced", |_| {
            fs::read_dir(format!("/proc/{id}/task")).unwrap().all(|task| is_traced(task.unwrap()))
        });
        Self(child)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _already_gone = Command::new("kill").arg(self.0.id().to_string()).status();
        let _status = self.0.wait();
    }
}

fn read() -> RawRequest {
    let headers = vec![("Authorization".to_owned(), "Bearer demo-service-token".to_owned())];
    RawRequest { method: "GET".into(), target: READ.into(), headers, body: Vec::new() }
}

/// `store-fault-010`, `resource-012`: while every sync hangs, nothing is acknowledged, reads and health
/// are served, and the same request with the same key has one effect afterwards.
#[test]
fn a_disk_that_hangs_holds_up_writes_only() {
    let bed = Bed::with(&MOUNTS.replacen("[server]\n", "[server]\nrequest_timeout_ms = 500\n", 1));
    let process = Process::start(&bed);
    let strace = Strace::on(&process, "inject=fdatasync,fsync:delay_enter=3000000");
    let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
    thread::scope(|scope| {
        let written = scope.spawn(|| process.send(&Party::Partner.create(user, key)).unwrap());
        while !written.is_finished() {
            assert_eq!(process.admin("/livez").0, 200);
            assert_eq!(process.send(&read()).unwrap().status, 200);
        }
        let answer = written.join().unwrap();
        assert!(matches!(answer.status, 503 | 504), "{}", answer.status);
    });
    drop(strace);
    process.wait_until("the write is done", |process| {
        process.send(&Party::Partner.create(user, key)).unwrap().status == 201
    });
    assert_eq!(process.send(&Party::Partner.read(user)).unwrap().status, 200);
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
}

/// `store-fault-009`: a disk that is read-only by now. Nothing is acknowledged, `/readyz` says so, and
/// the process ends with 75; started again on a good disk, it serves.
#[test]
fn a_disk_that_turns_read_only_ends_all_writing() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    let strace = Strace::on(&process, "inject=fdatasync,fsync:error=EROFS");
    for party in Party::ALL {
        let answer = process.send(&party.create(Uuid::new_v4(), Uuid::new_v4())).unwrap();
        let wanted = if party == Party::JsonApi { [501, 503] } else { [500, 503] };
        assert!(wanted.contains(&answer.status), "{party:?}: {}", answer.status);
    }
    assert_eq!(process.admin("/readyz").0, 503);
    assert_eq!(process.admin("/livez").0, 200);
    assert_eq!(process.send(&read()).unwrap().status, 200);
    let (status, _) = process.finish();
    assert_eq!(status.code(), Some(75));
    drop(strace);
    let process = Process::start(&bed);
    assert_eq!(process.send(&partner::create("again", None)).unwrap().status, 201);
}

/// `store-fault-023`: the disk of the log is full.
#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    let bed = Bed::new();
    let process = Process::start_in(&bed, "exec 2>/dev/full");
    for n in 0..50 {
        assert_eq!(process.send(&partner::create(&n.to_string(), None)).unwrap().status, 201);
    }
    assert!(process.stop().0.success());
}

/// `store-fault-014`: files that are deleted under it.
#[test]
fn a_store_that_is_deleted_is_noticed() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    // It makes files of its own meanwhile.
    while fs::remove_dir_all(bed.data()).is_err() {}
    process.wait_until("it is noticed", |process| process.admin("/readyz").0 == 503);
    assert_eq!(process.send(&partner::create("lost", None)).unwrap().status, 503);
    assert_eq!(process.finish().0.code(), Some(75));
}
