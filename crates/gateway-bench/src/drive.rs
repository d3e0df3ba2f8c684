//! The bench itself: starts the servers, sends the load to one after the other, round by round, and
//! judges what it measured.

use std::{env, fs, path::Path, time::Duration};

use tempfile::TempDir;

use crate::{
    Failure, Plan,
    load::{AWAKE, Until, drive},
    peers,
    process::{GATEWAY, LOAD_CORE, SERVER_CORE, Server, is_installed, pinned},
    request::{Kind, Partner},
    say, syscalls,
    table::{Sample, Series, header, rows},
};

/// What a request may cost at most, over a bare server.
const TARGETS: [(Kind, &str, f64); 2] =
    [(Kind::Get, "signed GET, from the cache", 1.6), (Kind::Patch, "signed PATCH, durable", 6.0)];
/// Reads and writes of the socket for a GET from the cache.
const GET_SYSCALLS: f64 = 2.0;
/// Requests under strace.
const COUNTED: u64 = 4_000;
const CONFIG: &str = include_str!("bench.toml");
const MARKS: [&str; 2] = ["<!-- bench -->\n", "<!-- /bench -->"];

/// Measures everything; false where a target is missed.
pub(crate) fn run(plan: &Plan) -> Result<bool, Failure> {
    let plan = &settled(plan);
    if !is_installed("taskset", "--version") {
        return Err("taskset is not installed (util-linux)".into());
    }
    // Beside the build, because what is measured is a disk: /tmp may be memory.
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in("target")?;
    let gateway = gateway(plan, &folder)?;
    let mut partner = Partner::new(plan.users)?;
    say(&format!("making {} users ...", plan.users));
    send(&gateway, plan, Kind::Create, Until::Requests(plan.users), &mut partner)?;
    let [get, patch] = [Kind::Get, Kind::Patch].map(|kind| {
        send(&gateway, plan, kind, Until::Requests(plan.users), &mut partner).map(|run| run.body_bytes)
    });
    let (get, patch) = (get?, patch?);
    let floor = bare(SERVER_CORE, get, patch)?;
    // What stands behind the peers.
    let upstream = bare(LOAD_CORE, get, patch)?;
    let peers = if plan.no_peers { Vec::new() } else { peers::start(folder.path(), upstream.address, &say)? };

    let servers: Vec<_> = [&floor, &gateway].into_iter().chain(&peers).collect();
    let (mut table, mut good) = (header("bare"), true);
    let mut notes = Vec::new();
    for (kind, name, limit) in TARGETS {
        let before = commits(&gateway)?;
        let series = rounds(plan, kind, &servers, &mut partner)?;
        table.push_str(&rows(name, &series));
        if let Some(own) = series.get(1) {
            let [_, ratio, _] = own.ratio(&series[0]);
            good &= ratio <= limit;
            notes.push(format!("{name}: {ratio:.2} × bare, at most {limit} wanted"));
        }
        if kind == Kind::Patch {
            let after = commits(&gateway)?;
            let shared = (after.0 - before.0) / (after.1 - before.1);
            notes.push(format!("{name}: {shared:.1} commits share a sync, by the store's own count"));
        }
    }
    good &= count(plan, &servers[..2], &folder, &mut partner, &mut notes)?;
    let notes: String = notes.iter().map(|note| format!("- {note}\n")).collect();
    say(&format!("\n{table}\n{notes}"));
    if plan.readme {
        write_readme(MARKS, &format!("{table}\n{notes}"))?;
    }
    Ok(good)
}

pub(crate) fn settled(plan: &Plan) -> Plan {
    let plan = plan.clone();
    if plan.quick {
        Plan { pairs: 3, seconds: 0.7, ..plan }
    } else {
        Plan { pairs: plan.pairs.max(5), ..plan }
    }
}

/// The gateway, with a partner's mount, an embedded store, a JSON log and metrics.
fn gateway(plan: &Plan, folder: &TempDir) -> Result<Server, Failure> {
    let config = folder.path().join("interlingua.toml");
    let text = CONFIG.replace("$DIR", &fs::canonicalize(folder.path())?.to_string_lossy());
    fs::write(&config, text.replace("$CACHE", &(plan.cache_mib << 20).to_string()))?;
    let mut command = pinned(SERVER_CORE, &plan.gateway.to_string_lossy());
    command.args(["serve", "--config"]).arg(&config);
    Server::start(GATEWAY, command)
}

fn bare(core: &str, get: usize, patch: usize) -> Result<Server, Failure> {
    let mut command = pinned(core, &env::current_exe()?.to_string_lossy());
    command.args(["bare", "--get", &get.to_string(), "--patch", &patch.to_string()]);
    Server::start("bare hyper", command)
}

pub(crate) fn send(
    server: &Server,
    plan: &Plan,
    kind: Kind,
    until: Until,
    partner: &mut Partner,
) -> Result<crate::load::Run, Failure> {
    let mut next = |out: &mut Vec<u8>| partner.write(kind, out);
    // A bare server, alone or behind a peer, answers 200 to all.
    let run = drive(server.address, plan.connections, AWAKE, until, kind.status(), &mut next);
    run.map_err(|error| format!("{}, {kind:?}: {error}", server.name).into())
}

/// Rounds of one run for each server, after one that does not count.
pub(crate) fn rounds(
    plan: &Plan,
    kind: Kind,
    servers: &[&Server],
    partner: &mut Partner,
) -> Result<Vec<Series>, Failure> {
    let mut all: Vec<_> =
        servers.iter().map(|server| Series { name: server.name, samples: Vec::new() }).collect();
    let time = Duration::from_secs_f64(plan.seconds);
    for round in 0..=plan.pairs {
        say(&format!("{kind:?}: round {round} of {}", plan.pairs));
        for (server, series) in servers.iter().zip(&mut all) {
            let until = Until::After(if round == 0 { time.min(Duration::from_millis(500)) } else { time });
            let before = server.cpu_seconds()?;
            let run = send(server, plan, kind, until, partner)?;
            let cpu = server.cpu_seconds()? - before;
            if round > 0 {
                series.samples.push(Sample {
                    cpu_us: cpu * 1e6 / run.requests() as f64,
                    per_second: run.per_second(),
                    p50_us: run.quantile(0.5),
                    p99_us: run.quantile(0.99),
                });
            }
        }
    }
    Ok(all)
}

/// Commits, and syncs, so far.
fn commits(gateway: &Server) -> Result<(f64, f64), Failure> {
    Ok((gateway.metric("interlingua_store_commits_total")?, gateway.metric("interlingua_store_syncs_total")?))
}

/// Syscalls of a request, where strace is installed; false where a GET makes too many.
fn count(
    plan: &Plan,
    servers: &[&Server],
    folder: &TempDir,
    partner: &mut Partner,
    notes: &mut Vec<String>,
) -> Result<bool, Failure> {
    if !is_installed("strace", "--version") {
        say("skipped: syscalls are not counted, strace is not installed");
        return Ok(true);
    }
    let mut good = true;
    for (kind, name, _) in TARGETS {
        for server in servers {
            let load =
                || send(server, plan, kind, Until::Requests(COUNTED), partner).map(|run| run.requests());
            let counts = syscalls::count(server, folder.path(), load)?;
            if server.name == GATEWAY && kind == Kind::Get {
                good &= syscalls::on_sockets(&counts) <= GET_SYSCALLS + 0.05;
            }
            notes.push(format!(
                "{name}, {}: syscalls for each request: {}",
                server.name,
                syscalls::describe(&counts)
            ));
        }
    }
    Ok(good)
}

/// Puts a table between its marks.
pub(crate) fn write_readme([open, close]: [&str; 2], table: &str) -> Result<(), Failure> {
    let path = Path::new("README.md");
    let text = fs::read_to_string(path)?;
    let parts = text.split_once(open).and_then(|(before, rest)| Some((before, rest.split_once(close)?.1)));
    let (before, after) = parts.ok_or("README.md has no marks for the table")?;
    Ok(fs::write(path, format!("{before}{open}{table}{close}{after}"))?)
}
