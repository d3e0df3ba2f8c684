//! The peer: pgbench, with the same update as one statement for one user, prepared.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use gateway_testkit::postgres::column;

use crate::{Failure, process::is_installed};

const SCRIPT: &str = include_str!("update.sql");
/// Threads of pgbench: one for each core.
const THREADS: &str = "2";
/// How many connect in a second at the least: its clock runs meanwhile, and its rate leaves that out.
const CONNECTS: usize = 32;

/// pgbench, ready to run.
pub(super) struct Pgbench {
    program: PathBuf,
    script: PathBuf,
    url: String,
    /// What the script is told: `name=value`.
    variables: Vec<String>,
}

impl Pgbench {
    /// With rows as long as the gateway's in the same database.
    pub(super) fn prepare(folder: &Path, url: &str, users: u64) -> Result<Self, Failure> {
        let program = find()
            .ok_or("pgbench is not installed: it comes with PostgreSQL (apt-get install postgresql)")?;
        let script = folder.join("update.sql");
        fs::write(&script, SCRIPT)?;
        let ledger = "FROM interlingua_ledger WHERE length(answer) > 0 LIMIT 1";
        let mut variables = vec![format!("users={users}")];
        for (name, statement) in [
            ("record", "SELECT record::text FROM interlingua_users WHERE status > 0 LIMIT 1".to_owned()),
            ("fingerprint", format!("SELECT fingerprint::text {ledger}")),
            ("answer", format!("SELECT answer::text {ledger}")),
        ] {
            let value = column(url, &statement)?.pop().ok_or("the gateway wrote nothing")?;
            variables.push(format!("{name}={value}"));
        }
        Ok(Self { program, script, url: url.to_owned(), variables })
    }

    /// Updates a second, over so many connections for so many seconds.
    pub(super) fn run(&self, connections: usize, seconds: u64) -> Result<f64, Failure> {
        let seconds = seconds + connections.div_ceil(CONNECTS) as u64;
        let mut command = Command::new(&self.program);
        command.args(["-n", "-M", "prepared", "-j", THREADS, "-c", &connections.to_string()]);
        command.args(["-T", &seconds.to_string(), "-f"]).arg(&self.script);
        for variable in &self.variables {
            command.args(["-D", variable]);
        }
        // A password is no argument.
        let output = command.env("PGDATABASE", &self.url).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        rate(&said).ok_or_else(|| format!("pgbench says no rate: {said}").into())
    }
}

/// As Debian and its kin have it, the newest; or wherever it is.
fn find() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        let version = entry.file_name().to_str()?.parse::<u32>().ok()?;
        Some((version, entry.path().join("bin/pgbench")))
    });
    let newest = numbered.filter(|(_, program)| program.is_file()).max().map(|(_, program)| program);
    newest.or_else(|| is_installed("pgbench", "--version").then(|| "pgbench".into()))
}

/// The rate that it prints, without the time that connecting took; none where a transaction failed.
fn rate(said: &str) -> Option<f64> {
    let failed = said.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
    if failed.is_some_and(|failed| !failed.starts_with("0 ")) {
        return None;
    }
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    rate.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_failures_are_seen() {
        let said = "number of failed transactions: 0 (0.000%)\ninitial connection time = 9 ms\ntps = 812.5 (without initial connection time)\n";
        assert_eq!(rate(said), Some(812.5));
        assert_eq!(rate(&said.replace(": 0 (0", ": 3 (0")), None);
        assert_eq!(rate("no such file"), None);
    }
}
