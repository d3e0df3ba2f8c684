//! Damaged files: a store is copied, one thing in it is damaged, and it must be refused, tell of it, or
//! be none the worse.

use std::{
    collections::BTreeMap,
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use gateway_testkit::client::Connection;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{
    Fault, Report, Settings, Wrong,
    disk::remove,
    files::{self, Part},
    known::{self, Known, Plan, Trouble},
    launch::{Launcher, must},
    rng::Rng,
};
use crate::{Process, party::Party};

/// Of so many rounds, one goes through a gateway; the others open the store by its library.
const PROCESS_ROUNDS: usize = 20;
/// A journal, and no more.
const SMALL: Plan = Plan { users: 200, document: 64, batch: 8 };
/// Tables, blobs and journals.
const LARGE: Plan = Plan { users: 1200, document: 16_000, batch: 256 };

/// What a damaged store did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Refused,
    Told,
    Unharmed,
    Silent,
}

/// One bit or one cut a round, over all parts of three stores; a row for each part.
#[must_use]
pub fn run(settings: &Settings) -> Vec<Report> {
    let mut trial = Trial::new(settings);
    let mut reports: BTreeMap<Part, (Report, BTreeMap<Outcome, usize>)> =
        Part::ALL.map(|part| (part, (Report::new(part.name()), BTreeMap::new()))).into();
    for round in 0..settings.rounds {
        // Each once, then by chance.
        let part = Part::ALL.get(round).copied().unwrap_or_else(|| part(&mut trial.rng));
        let (outcome, what) = trial.round(part, round % PROCESS_ROUNDS == PROCESS_ROUNDS - 1);
        let (report, outcomes) = reports.get_mut(&part).unwrap();
        report.rounds += 1;
        *outcomes.entry(outcome).or_default() += 1;
        if outcome == Outcome::Silent {
            report.wrongs.push(Wrong { fault: Fault::Silent, what });
        }
    }
    remove(&trial.folder);
    let told = |outcomes: BTreeMap<Outcome, usize>| {
        let of = |outcome| outcomes.get(&outcome).copied().unwrap_or_default();
        let (refused, told, unharmed) = (of(Outcome::Refused), of(Outcome::Told), of(Outcome::Unharmed));
        format!("{refused} refused, {told} told on reading, {unharmed} without effect")
    };
    reports.into_values().map(|(report, outcomes)| Report { note: told(outcomes), ..report }).collect()
}

/// The journal's headers most of all: the engine does not guard them.
fn part(rng: &mut Rng) -> Part {
    match rng.below(100) {
        0..30 => Part::Headers,
        30..45 => Part::Journal,
        45..60 => Part::Tables,
        60..75 => Part::Manifests,
        75..85 => Part::Beside,
        _ => Part::Cut,
    }
}

struct Template {
    data: PathBuf,
    known: Known,
}

struct Trial {
    folder: PathBuf,
    rng: Rng,
    runtime: Runtime,
    launcher: Launcher,
    /// Killed, closed in order, and large.
    templates: [Template; 3],
}

impl Trial {
    fn new(settings: &Settings) -> Self {
        // Nothing here is about disks: memory is as good, and faster.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory } else { &settings.folder };
        let folder = folder.join(format!("interlingua-flips-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut rng = Rng::new(settings.seed);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let mut make =
            |name: &str, plan, killed| template(&folder.join(name), plan, killed, &runtime, &mut rng);
        let templates =
            [make("killed", SMALL, true), make("closed", SMALL, false), make("large", LARGE, false)];
        Self { folder, rng, runtime, launcher: Launcher::new(settings), templates }
    }

    fn round(&mut self, part: Part, by_process: bool) -> (Outcome, String) {
        let at = match (part, by_process) {
            (Part::Tables, _) => 2,
            (_, true) => 0,
            _ => [0, 0, 0, 1, 1, 2][usize::try_from(self.rng.below(6)).unwrap()],
        };
        let work = self.folder.join("work");
        remove(&work);
        copy(&self.templates[at].data, &work);
        let damage = files::damage(&work, part, &mut self.rng).expect("the store lacks this part");
        let known = &self.templates[at].known;
        let (outcome, what) =
            if by_process && at == 0 { self.serve(&work, known) } else { open(&work, known, &self.runtime) };
        (outcome, format!("{damage}: {what}"))
    }

    /// What a gateway makes of it.
    fn serve(&self, data: &Path, known: &Known) -> (Outcome, String) {
        match Process::launch(&mut self.launcher.command(data)) {
            Ok(process) => read_all(&process, known),
            Err((status, output)) => {
                let sentences = output.lines().filter(|line| line.starts_with("interlingua serve: ")).count();
                let said = status.code() == Some(74) && sentences == 1;
                (
                    if said { Outcome::Refused } else { Outcome::Silent },
                    format!("{status}: {}", output.trim()),
                )
            }
        }
    }
}

/// A store that is known. Killed means copied while it is open: what `kill -9` would leave.
fn template(data: &Path, plan: Plan, killed: bool, runtime: &Runtime, rng: &mut Rng) -> Template {
    let open = data.with_extension("open");
    let store = Arc::new(known::open(&open).unwrap());
    let known = runtime.block_on(known::fill(&store, plan, rng));
    if killed {
        copy(&open, data);
    }
    drop(store);
    if !killed {
        // Opened once more, for what the engine writes out only then.
        drop(known::open(&open).unwrap());
        copy(&open, data);
    }
    remove(&open);
    let (outcome, what) = {
        let work = data.with_extension("work");
        copy(data, &work);
        let found = self::open(&work, &known, runtime);
        remove(&work);
        found
    };
    assert_eq!(outcome, Outcome::Unharmed, "{what}");
    Template { data: data.to_owned(), known }
}

fn copy(from: &Path, to: &Path) {
    must(Command::new("cp").args(["-r", "--sparse=always"]).args([from, to]));
}

/// What the library makes of a store; a thread that falls in it is a process that ends.
fn open(data: &Path, known: &Known, runtime: &Runtime) -> (Outcome, String) {
    let read = AssertUnwindSafe(|| match known::open(data) {
        Err(error) => (Outcome::Refused, error.to_string()),
        Ok(store) => match runtime.block_on(known.verify(&store)) {
            Ok(()) => (Outcome::Unharmed, String::new()),
            Err(Trouble::Told(what)) => (Outcome::Told, what),
            Err(Trouble::Silent(what)) => (Outcome::Silent, what),
        },
    });
    panic::catch_unwind(read).unwrap_or((Outcome::Told, "a thread fell".to_owned()))
}

/// Reads every user through a gateway.
fn read_all(process: &Process, known: &Known) -> (Outcome, String) {
    let Ok(mut connection) = Connection::open(process.address) else {
        return (Outcome::Told, "no connection".to_owned());
    };
    for user in known.users.values() {
        let id = Uuid::from_bytes(*user.id.as_bytes());
        match connection.send(&Party::JsonApi.read(id)) {
            Err(error) => return (Outcome::Told, error),
            Ok(answer) if answer.status >= 500 => return (Outcome::Told, answer.status.to_string()),
            Ok(answer) => {
                let body = String::from_utf8_lossy(&answer.body);
                let city = user.profile.text(gateway_core::Attr::City).unwrap();
                if answer.status != 200 || !body.contains(city) {
                    return (Outcome::Silent, format!("{} {body}", answer.status));
                }
            }
        }
    }
    (Outcome::Unharmed, String::new())
}
