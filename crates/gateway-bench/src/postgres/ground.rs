//! What is measured on: a server, a database for the gateways and one for the peer, and the gateways.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gateway_testkit::postgres::{Database, Instance, VARIABLE, column, given};
use tempfile::TempDir;

use crate::{
    Failure, Plan,
    process::{GATEWAY, Server, cpu_seconds},
};

const CONFIG: &str = include_str!("bench.toml");
/// Connections for commits that do not coalesce, as many as the smaller load has: more would be slower.
const SINGLE: &str = "coalesce = false\ncommit_connections = 16";
/// What a server of such a machine would be set to; all else as it comes, syncing above all.
const SETTINGS: [&str; 3] = ["max_connections=400", "shared_buffers=512MB", "max_wal_size=4GB"];

/// What is measured on.
pub(super) struct Ground {
    /// The gateways' databases, one for each, as neither is to find what the other has changed.
    pub(super) coalescing: Database,
    pub(super) single: Database,
    /// The peer's: it writes no records that a gateway could go on from.
    pub(super) peer: Database,
    /// The throwaway server's first process.
    postmaster: Option<u32>,
    program: PathBuf,
    folder: TempDir,
    /// Ends after all that is on it.
    _server: Option<Instance>,
}

impl Ground {
    pub(super) fn make(plan: &Plan) -> Result<Self, Failure> {
        let (server, url) = match given() {
            Some(url) => (None, url),
            None => {
                let server = Instance::with(&SETTINGS);
                let url = server.url();
                (Some(server), url)
            }
        };
        for setting in ["fsync", "synchronous_commit"] {
            if column(&url, &format!("SHOW {setting}"))? != ["on"] {
                return Err(format!("{setting} is off: what is measured would not be durable").into());
            }
        }
        let postmaster = server.is_some().then(|| postmaster(&url)).transpose()?;
        let [coalescing, single, peer] = [(); 3].map(|()| Database::on(&url));
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in("target")?;
        Ok(Self {
            coalescing,
            single,
            peer,
            postmaster,
            program: plan.gateway.clone(),
            folder,
            _server: server,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A gateway on a database, whose tables are made where they are not there.
    pub(super) fn gateway(&self, database: &Database, coalesce: bool) -> Result<Server, Failure> {
        let config = self.folder().join(format!("coalesce-{coalesce}.toml"));
        fs::write(&config, CONFIG.replace("$COMMITS", if coalesce { "" } else { SINGLE }))?;
        let command = |name: &str| {
            let mut command = Command::new(&self.program);
            // A password is no argument.
            command.args([name, "--config"]).arg(&config).env(VARIABLE, &database.url);
            command
        };
        let migrated = command("migrate").output()?;
        if !migrated.status.success() {
            return Err(format!("migrate: {}", String::from_utf8_lossy(&migrated.stderr).trim()).into());
        }
        Server::start(GATEWAY, command("serve"))
    }

    /// Seconds on a core so far of all the server's processes; not known of one that was given.
    pub(super) fn database_cpu(&self) -> Result<f64, Failure> {
        let Some(postmaster) = self.postmaster else { return Ok(f64::NAN) };
        let id = postmaster.to_string();
        let tasks = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let own = cpu_seconds(postmaster, 4)?;
        // One that has just ended is among those that the first one has outlived, next time.
        let running = tasks.split_whitespace().filter_map(|id| cpu_seconds(id.parse().ok()?, 2).ok());
        Ok(own + running.sum::<f64>())
    }

    /// How things stand.
    pub(super) fn tally(&self, gateway: &Server) -> Result<Tally, Failure> {
        let figure = |name: &str| gateway.metric(&format!("interlingua_store_{name}"));
        // Every transaction that writes takes a number, and no other does.
        let number = "SELECT pg_snapshot_xmax(pg_current_snapshot())";
        let number = column(&self.coalescing.url, number)?.pop().ok_or("no answer")?;
        Ok(Tally {
            commits: figure("commits_total")?,
            statements: figure("statements_total")?,
            reads: figure("reads_total")?,
            transactions: number.parse()?,
        })
    }
}

fn postmaster(url: &str) -> Result<u32, Failure> {
    let file = column(url, "SELECT pg_read_file('postmaster.pid')")?.concat();
    Ok(file.lines().next().unwrap_or_default().parse()?)
}

/// Counts, since something.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) commits: f64,
    /// Each a round trip, by the store's own count.
    pub(super) statements: f64,
    pub(super) reads: f64,
    /// Those that wrote, by the server's count.
    pub(super) transactions: f64,
}

impl Tally {
    fn with(&self, other: &Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            commits: of(self.commits, other.commits),
            statements: of(self.statements, other.statements),
            reads: of(self.reads, other.reads),
            transactions: of(self.transactions, other.transactions),
        }
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        self.with(before, |own, before| own - before)
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        self.with(other, |own, other| own + other)
    }

    pub(super) fn describe(&self) -> String {
        let [statements, transactions, reads] =
            [self.statements, self.transactions, self.reads].map(|count| count / self.commits);
        format!(
            "a commit is {statements:.3} statements, each a round trip, {transactions:.3} transactions that \
             write, by the server's count, and {reads:.2} statements for reads"
        )
    }
}
