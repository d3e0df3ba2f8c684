//! Faults of the disk: the N-th sync, write, open or rename of a gateway's own files fails, while it
//! creates its store, recovers it, or serves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Fault, Report, Settings, check,
    clients::{Clients, Users},
    disk::{Disk as _, Folder, remove},
    launch::{Launcher, signal},
    oracle::Oracle,
    raw,
    rng::Rng,
};
use crate::Process;

/// Calls of the system, and how each fails. What only files are given to needs no path; the others are
/// watched on the store's files alone, or sockets would fail with them.
const KINDS: [(&str, &str, bool); 14] = [
    ("fdatasync", "EIO", false),
    ("write", "EIO", true),
    ("fsync", "EIO", false),
    ("write", "ENOSPC", true),
    ("pwrite64", "EIO", false),
    ("openat", "EIO", true),
    ("pwrite64", "ENOSPC", false),
    ("ftruncate", "ENOSPC", false),
    ("rename", "EIO", false),
    ("openat", "ENOSPC", true),
    ("fdatasync", "ENOSPC", false),
    ("openat", "EMFILE", true),
    ("mkdir", "ENOSPC", false),
    ("ftruncate", "EIO", false),
];
/// A store is kept for so many rounds; the first of them create it.
const STORE_ROUNDS: usize = 12;
/// The longest load of a round.
const LOAD: Duration = Duration::from_millis(500);
/// The last rounds of a store are not told to stop: the gateway ends by itself.
const LEFT_ALONE: usize = 100;
/// `EX_IOERR` and `EX_TEMPFAIL`, as the README has them.
const REFUSED: i32 = 74;
const STOPPED: i32 = 75;

/// One fault a round, each kind in turn, each time one call later.
#[must_use]
pub fn run(settings: &Settings) -> Report {
    let folder = settings.folder.join("io");
    fs::create_dir_all(&folder).unwrap();
    let mut trial = Trial {
        settings,
        launcher: Launcher::new(settings),
        rng: Rng::new(settings.seed),
        oracle: Oracle::new(&folder, settings.seed),
        users: Users::default(),
        report: Report::new("I/O errors"),
        disk: Folder(folder),
        hit: 0,
        refused: 0,
        stopped: 0,
    };
    trial.disk.renew();
    for round in 0..settings.rounds {
        trial.round(round);
    }
    trial.close_store();
    let Trial { hit, refused, stopped, mut report, disk, .. } = trial;
    report.note = format!("{hit} hit: {refused} refused to start (74), {stopped} stopped by themselves (75)");
    if report.wrongs.is_empty() {
        remove(&disk.0);
    }
    report
}

struct Trial<'a> {
    settings: &'a Settings,
    launcher: Launcher,
    disk: Folder,
    rng: Rng,
    oracle: Arc<Oracle>,
    users: Users,
    report: Report,
    /// Rounds in which the fault was met, and how the gateway ended then.
    hit: usize,
    refused: usize,
    stopped: usize,
}

impl Trial<'_> {
    fn round(&mut self, round: usize) {
        if round > 0 && round.is_multiple_of(STORE_ROUNDS) {
            self.close_store();
            self.report.add(&self.oracle);
            self.disk.renew();
            self.users = Users::default();
            self.oracle = Oracle::new(&self.disk.0, self.rng.next());
        }
        self.report.rounds += 1;
        let (call, error, on_files) = KINDS[round % KINDS.len()];
        let nth = 1 + round / KINDS.len();
        let mut arguments = vec![
            format!("--trace={call}"),
            format!("--inject={call}:error={error}:when={nth}"),
            format!("--output={}", self.log().display()),
        ];
        if on_files {
            arguments.extend(self.files().into_iter().map(|path| format!("--trace-path={}", path.display())));
        }
        let what = format!("round {round}, {error} at {call} {nth}");
        let launched = Process::launch(&mut self.launcher.traced(&self.disk.data(), &arguments));
        let hit = match launched {
            Ok(process) => self.load(process, &what, round),
            Err((status, output)) => self.refusal(status, &output, &what),
        };
        self.hit += usize::from(hit);
        self.verify();
    }

    fn log(&self) -> PathBuf {
        self.disk.0.join("strace.log")
    }

    /// The last line of what was traced may be late: the tracer is a process of its own.
    fn was_hit(&self) -> bool {
        std::thread::sleep(Duration::from_millis(20));
        fs::read_to_string(self.log()).is_ok_and(|log| log.contains("(INJECTED)"))
    }

    /// Every file of the store, and those that it may come to have.
    fn files(&self) -> Vec<PathBuf> {
        let data = self.disk.data();
        let mut files = Vec::new();
        walk(&data, &mut files);
        let names = ["lock", "users.created", "users.created.tmp", "users.acked"];
        files.extend(names.map(|name| data.join(name)));
        for users in ["users", "users.tmp"].map(|users| data.join(users)) {
            files.extend(["version", "lock", "keyspaces", "0.jnl", "1.jnl"].map(|name| users.join(name)));
            for keyspace in 0..6 {
                let folder = users.join("keyspaces").join(keyspace.to_string());
                files.extend(["current", "v0", "v1", "tables", "blobs"].map(|name| folder.join(name)));
                files.push(folder);
            }
            files.push(users);
        }
        files.sort();
        files.dedup();
        files
    }

    /// A gateway that meets the fault before it serves says so, and ends.
    fn refusal(&mut self, status: ExitStatus, output: &str, what: &str) -> bool {
        self.refused += 1;
        let said = output.lines().any(|line| line.starts_with("interlingua serve: "));
        if status.code() != Some(REFUSED) || !said {
            self.oracle.wrong(Fault::Other, format!("{what}: {status}: {}", output.trim()));
        }
        true
    }

    /// A gateway that meets it under load stops writing; the oracle tells whether it acknowledges any
    /// more.
    fn load(&mut self, process: Process, what: &str, round: usize) -> bool {
        let begun = Instant::now();
        self.oracle.restarted();
        let clients =
            Clients::start(&self.oracle, &self.users, process.address, self.settings.clients, &mut self.rng);
        while begun.elapsed() < LOAD && !clients.is_over() {
            std::thread::sleep(Duration::from_millis(10));
        }
        clients.stop();
        let stopped = process.admin("/readyz").1.contains("fault");
        let (status, output) = if stopped && round % LEFT_ALONE == LEFT_ALONE - 1 {
            process.finish()
        } else {
            signal(process.id(), "TERM");
            process.finish()
        };
        let expected = if stopped { STOPPED } else { 0 };
        // A fault that comes while it stops shows in the exit code only.
        let late = !stopped && status.code() == Some(STOPPED);
        self.stopped += usize::from(stopped || late);
        if status.code() != Some(expected) && !late {
            self.oracle.wrong(Fault::Other, format!("{what}: {status}, not {expected}: {}", output.trim()));
        }
        self.was_hit()
    }

    /// Without faults, everything acknowledged is there.
    fn verify(&mut self) {
        match self.launcher.start(&self.disk.data()) {
            Ok((process, _)) => {
                check::check(&self.oracle, process.address, &mut self.rng);
                let (status, output) = process.stop();
                if !status.success() {
                    self.oracle.wrong(Fault::Other, format!("SIGTERM: {status}: {}", output.trim()));
                }
            }
            Err(why) => self.oracle.wrong(Fault::Lost, why),
        }
    }

    fn close_store(&mut self) {
        raw::check(&self.oracle, &self.disk.data());
        self.report.add(&self.oracle);
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            walk(&entry.path(), files);
        }
        files.push(entry.path());
    }
}
