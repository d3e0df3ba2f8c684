//! Kills and power cuts: a life under load, its end at a random moment, and a check by the next life.

use std::{fs, path::Path, process::Stdio, sync::Arc, time::Duration};

use super::{
    Fault, Report, Settings, check,
    clients::{Clients, Users},
    disk::{Disk, Folder, Image, remove},
    launch::{Launcher, SlowSync},
    oracle::Oracle,
    raw,
    rng::Rng,
};

/// A store grows for so many rounds; then there is a new one.
const STORE_ROUNDS: usize = 50;
/// The first so many of them end while the store is being created.
const CREATION_ROUNDS: usize = 4;
/// So many rounds apart, the store is stopped in order and read by its library.
const RAW_ROUNDS: usize = 10;
/// More wrong things than these tell nothing new.
const ENOUGH: usize = 100;
/// The longest life under load, in milliseconds.
const LIFE_MS: u64 = 400;
/// The same where each sync begins so late.
const SLOW_LIFE_MS: u64 = 1500;
const SYNC_DELAY: Duration = Duration::from_millis(250);
/// The first moments of a process: creation, or recovery.
const START_MS: u64 = 100;
/// How many of 100 rounds end in those.
const EARLY_PERCENT: u64 = 15;

/// `kill -9`, again and again.
#[must_use]
pub fn kill(settings: &Settings) -> Report {
    let folder = settings.folder.join("kill");
    run(settings, "kill -9", &folder, Folder(folder.clone()))
}

/// Power cuts, again and again.
#[must_use]
pub fn power(settings: &Settings) -> Report {
    let folder = settings.folder.join("power");
    run(settings, "power cut", &folder, Image::new(folder.clone()))
}

fn run<D: Disk>(settings: &Settings, name: &'static str, folder: &Path, disk: D) -> Report {
    fs::create_dir_all(folder).unwrap();
    let mut trial = Trial {
        settings,
        folder,
        disk,
        launcher: Launcher::new(settings),
        rng: Rng::new(settings.seed),
        oracle: Oracle::new(folder, settings.seed),
        users: Users::default(),
        report: Report::new(name),
        starts: Vec::new(),
    };
    trial.disk.renew();
    while trial.report.rounds < settings.rounds && !trial.is_over() {
        trial.round();
    }
    trial.close_store();
    trial.finish()
}

struct Trial<'a, D> {
    settings: &'a Settings,
    folder: &'a Path,
    disk: D,
    launcher: Launcher,
    rng: Rng,
    oracle: Arc<Oracle>,
    users: Users,
    report: Report,
    /// How long each start took, recovery included.
    starts: Vec<Duration>,
}

impl<D: Disk> Trial<'_, D> {
    fn is_over(&self) -> bool {
        if self.settings.until_lost {
            return self.oracle.has_lost() || self.report.count(Fault::Lost) > 0;
        }
        self.oracle.wrongs() + self.report.wrongs.len() > ENOUGH
    }

    fn round(&mut self) {
        let round = self.report.rounds;
        if round > 0 && round.is_multiple_of(STORE_ROUNDS) {
            self.close_store();
            self.open_store();
        }
        self.report.rounds += 1;
        if round % STORE_ROUNDS < CREATION_ROUNDS || self.rng.chance(EARLY_PERCENT) {
            return self.early();
        }
        if round % RAW_ROUNDS == RAW_ROUNDS - 1 {
            self.look_inside();
        }
        self.life();
    }

    /// Ends it while it creates its store, or recovers it.
    fn early(&mut self) {
        let mut command = self.launcher.command(&self.disk.data());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(self.rng.below(START_MS)));
        let id = child.id();
        self.disk.strike(id, &mut || {
            child.kill().unwrap();
            child.wait().unwrap();
        });
    }

    /// Checks what the lives before left, and ends under load.
    fn life(&mut self) {
        let Some(process) = self.start() else { return };
        // A stopped process still ends the sync that it is in: a cut finds a gap only before it.
        let slow = (D::FORGETS && self.rng.chance(50)).then(|| SlowSync::attach(process.id(), SYNC_DELAY));
        let longest = if slow.is_some() { SLOW_LIFE_MS } else { LIFE_MS };
        let clients = Clients::start(
            &self.oracle,
            &self.users,
            &[process.address],
            self.settings.clients,
            &mut self.rng,
        );
        std::thread::sleep(Duration::from_millis(self.rng.below(longest)));
        let (id, mut process) = (process.id(), Some(process));
        self.disk.strike(id, &mut || {
            process.take().map(crate::Process::kill);
        });
        clients.stop();
    }

    fn start(&mut self) -> Option<crate::Process> {
        match self.launcher.start(&self.disk.data()) {
            Ok((process, took)) => {
                self.starts.push(took);
                check::check(&self.oracle, process.address, &mut self.rng);
                Some(process)
            }
            Err(why) => {
                self.oracle.wrong(Fault::Lost, why);
                self.open_store();
                None
            }
        }
    }

    /// Stops in order, and reads the store by its library.
    fn look_inside(&mut self) {
        let Some(process) = self.start() else { return };
        let (status, output) = process.stop();
        if !status.success() {
            self.oracle.wrong(Fault::Other, format!("SIGTERM: {status}: {}", output.trim()));
        }
        raw::check(&self.oracle, &self.disk.data());
    }

    fn close_store(&mut self) {
        self.look_inside();
        self.report.add(&self.oracle);
    }

    fn open_store(&mut self) {
        self.report.add(&self.oracle);
        self.disk.renew();
        self.users = Users::default();
        self.oracle = Oracle::new(self.folder, self.rng.next());
    }

    fn finish(mut self) -> Report {
        self.starts.sort_unstable();
        let of = |part: usize| self.starts.get(self.starts.len() * part / 100).map_or(0, Duration::as_millis);
        let worst = self.starts.last().map_or(0, Duration::as_millis);
        self.report.note = format!("start p50 {} ms, p99 {} ms, worst {worst} ms", of(50), of(99));
        // An image is unmounted first.
        drop(self.disk);
        if self.report.wrongs.is_empty() {
            remove(self.folder);
        }
        self.report
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, process::Command};

    use super::*;
    use crate::{binary, crash::launch::must};

    /// A disk that goes back to what it held at the strike before.
    struct Forgetful(Folder);

    impl Forgetful {
        fn kept(&self) -> PathBuf {
            self.0.0.join("kept")
        }
    }

    impl Disk for Forgetful {
        const FORGETS: bool = false;

        fn data(&self) -> PathBuf {
            self.0.data()
        }

        fn strike(&mut self, id: u32, kill: &mut dyn FnMut()) {
            self.0.strike(id, kill);
            let before = self.0.0.join("before");
            remove(&before);
            if self.kept().exists() {
                fs::rename(self.kept(), &before).unwrap();
            }
            let copy = |from: PathBuf, to: PathBuf| {
                must(Command::new("cp").args(["-r", "--sparse=always"]).args([from, to]));
            };
            if self.data().exists() {
                copy(self.data(), self.kept());
            }
            if before.exists() {
                remove(&self.data());
                copy(before, self.data());
            }
        }

        fn renew(&mut self) {
            self.0.renew();
        }
    }

    /// The trial on trial: what was acknowledged is gone, and the store does not know.
    #[test]
    fn a_disk_that_forgets_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            gateway: binary().to_owned(),
            folder: PathBuf::new(),
            rounds: 20,
            seed: 1,
            clients: 8,
            until_lost: true,
        };
        let report =
            run(&settings, "forgetful", folder.path(), Forgetful(Folder(folder.path().join("disk"))));
        assert!(report.count(Fault::Lost) > 0, "{}\n{}", report.row(), report.words());
    }
}
