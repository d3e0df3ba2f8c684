//! Kills, cuts, breaks and damages a gateway, and tells whether it kept its promises.
//! `scripts/crash` builds what this needs, and says how to call it.

use std::{path::PathBuf, process::ExitCode};

use tests::crash::{self, FOLLOWS_WITHIN, Fault, Report, Settings, Wrong};

const USAGE: &str = "usage: crash kill|power|io|flips|postgres|sabotage|all --binaries DIR [--rounds N] [--seed N] [--folder DIR] [--quick]";

struct Call {
    trials: Vec<&'static str>,
    binaries: PathBuf,
    rounds: Option<usize>,
    seed: u64,
    folder: PathBuf,
    quick: bool,
}

fn main() -> ExitCode {
    let Some(call) = call(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    println!("seed {}", call.seed);
    let reports: Vec<_> = call.trials.iter().flat_map(|trial| run(&call, trial)).collect();
    println!("\n{}", Report::head());
    for report in &reports {
        println!("{}", report.row());
    }
    match reports.iter().all(|report| report.wrongs.is_empty()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn call(mut arguments: impl Iterator<Item = String>) -> Option<Call> {
    let mut call = Call {
        trials: Vec::new(),
        binaries: PathBuf::new(),
        rounds: None,
        seed: u64::from(std::process::id()),
        folder: std::env::temp_dir(),
        quick: false,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "all" => call.trials = ROUNDS.map(|(trial, ..)| trial).to_vec(),
            "--binaries" => call.binaries = arguments.next()?.into(),
            "--folder" => call.folder = arguments.next()?.into(),
            "--rounds" => call.rounds = Some(arguments.next()?.parse().ok()?),
            "--seed" => call.seed = arguments.next()?.parse().ok()?,
            "--quick" => call.quick = true,
            trial => call.trials.push(ROUNDS.iter().find(|(name, ..)| *name == trial)?.0),
        }
    }
    (!call.trials.is_empty() && call.binaries.is_dir()).then_some(call)
}

/// A trial, its rounds, and those of a quick look.
const ROUNDS: [(&str, usize, usize); 6] = [
    ("kill", 500, 20),
    ("power", 100, 5),
    ("io", 300, 15),
    ("flips", 1000, 100),
    ("postgres", 100, 10),
    ("sabotage", 500, 100),
];
/// Of so many kills of a PostgreSQL, one is of a primary with a standby.
const KILLS_PER_FAILOVER: usize = 5;

fn run(call: &Call, trial: &str) -> Vec<Report> {
    let (_, full, quick) = ROUNDS.into_iter().find(|(name, ..)| *name == trial).unwrap();
    let settings = Settings {
        gateway: call.binaries.join("honest"),
        folder: call.folder.join(format!("interlingua-crash-{}-{trial}", std::process::id())),
        rounds: call.rounds.unwrap_or(if call.quick { quick } else { full }),
        seed: call.seed,
        clients: 32,
        until_lost: false,
    };
    let reports = match trial {
        "kill" => vec![crash::kill(&settings)],
        "power" => vec![crash::power(&settings)],
        "io" => vec![crash::faults(&settings)],
        "flips" => crash::flips(&settings),
        "postgres" => postgres(settings.clone()),
        _ => crash::sabotage(&settings, &call.binaries),
    };
    for report in &reports {
        println!("{}\n{}", report.row(), report.words());
    }
    match reports.iter().all(|report| report.wrongs.is_empty()) {
        true => std::fs::remove_dir_all(&settings.folder).unwrap_or_default(),
        false => println!("stores and the oracle's journals are kept in {}", settings.folder.display()),
    }
    reports
}

fn postgres(settings: Settings) -> Vec<Report> {
    let fewer = Settings { rounds: settings.rounds.div_ceil(KILLS_PER_FAILOVER), ..settings.clone() };
    let mut failover = crash::failover(&fewer);
    if failover.slowest > FOLLOWS_WITHIN {
        let what = format!("a gateway took {:?} to follow", failover.slowest);
        failover.wrongs.push(Wrong { fault: Fault::Other, what });
    }
    vec![crash::kill_postgres(&settings), crash::cut(&settings), failover]
}
