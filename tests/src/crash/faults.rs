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
    Fault, Report, Settings, Wrong, check,
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
/// A store is kept for so many rounds.
const STORE_ROUNDS: usize = 12;
/// The longest load of a round.
const LOAD: Duration = Duration::from_millis(500);
/// Of so many rounds, one is not told to stop: the gateway ends by itself.
const LEFT_ALONE: usize = 50;
/// So many rounds at most for each fault that is met.
const TRIES: usize = 3;
/// `EX_IOERR` and `EX_TEMPFAIL`, as the README has them.
const REFUSED: i32 = 74;
const STOPPED: i32 = 75;

/// One fault a round, each kind in turn, each time one call later; from the first call of a new store
/// again when there was no such call. Only faults that were met count.
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
        nth: [1; KINDS.len()],
        tries: 0,
        refused: 0,
        stopped: 0,
    };
    trial.disk.renew();
    while trial.report.rounds < settings.rounds && trial.tries < TRIES * settings.rounds {
        trial.round();
    }
    trial.close_store();
    let Trial { refused, stopped, mut report, disk, .. } = trial;
    report.note =
        format!("{refused} refused to start (74), {stopped} stopped writing (75), the rest served on");
    if report.rounds < settings.rounds {
        let what = format!("only {} of {} faults were met", report.rounds, settings.rounds);
        report.wrongs.push(Wrong { fault: Fault::Other, what });
    }
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
    /// Which call of each kind fails next; 0 for the first of a new store.
    nth: [usize; KINDS.len()],
    /// Rounds, also those in which no fault was met.
    tries: usize,
    /// How the gateway ended.
    refused: usize,
    stopped: usize,
}

impl Trial<'_> {
    fn round(&mut self) {
        let kind = self.tries % KINDS.len();
        if self.nth[kind] == 0 || self.tries % STORE_ROUNDS == STORE_ROUNDS - 1 {
            self.renew();
        }
        self.tries += 1;
        let (call, error, on_files) = KINDS[kind];
        let nth = self.nth[kind].max(1);
        let mut arguments = vec![
            format!("--trace={call}"),
            format!("--inject={call}:error={error}:when={nth}"),
            format!("--output={}", self.log().display()),
        ];
        if on_files {
            arguments.extend(self.files().into_iter().map(|path| format!("--trace-path={}", path.display())));
        }
        let what = format!("{error} at {call} {nth}");
        let launched = Process::launch(&mut self.launcher.traced(&self.disk.data(), &arguments));
        let hit = match launched {
            Ok(process) => self.load(process, &what),
            Err((status, output)) => self.refusal(status, &output, &what),
        };
        self.nth[kind] = if hit { nth + 1 } else { 0 };
        self.report.rounds += usize::from(hit);
        self.verify();
    }

    fn renew(&mut self) {
        if self.tries > 0 {
            self.close_store();
        }
        self.disk.renew();
        self.users = Users::default();
        self.oracle = Oracle::new(&self.disk.0, self.rng.next());
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
    fn load(&mut self, process: Process, what: &str) -> bool {
        let begun = Instant::now();
        self.oracle.restarted();
        let clients = Clients::start(
            &self.oracle,
            &self.users,
            &[process.address],
            self.settings.clients,
            &mut self.rng,
        );
        while begun.elapsed() < LOAD && !clients.is_over() {
            std::thread::sleep(Duration::from_millis(10));
        }
        clients.stop();
        let stopped = process.admin("/readyz").1.contains("fault");
        let (status, output) = if stopped && self.tries.is_multiple_of(LEFT_ALONE) {
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
