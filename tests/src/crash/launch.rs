//! Starts the gateway of a trial: its configuration, its command, and how it may refuse.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::Settings;
use crate::{Bed, Process};

/// One mount of each dialect.
pub(crate) const CONFIG: &str = include_str!("crash.toml");

/// How a gateway of this trial is started.
pub(crate) struct Launcher {
    bed: Bed,
    gateway: PathBuf,
}

impl Launcher {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { bed: Bed::with(CONFIG), gateway: settings.gateway.clone() }
    }

    /// The command that serves a data directory.
    pub(crate) fn command(&self, data: &Path) -> Command {
        self.add(Command::new(&self.gateway), data)
    }

    /// The same under `strace` with these arguments, as its tracer's parent: the process is the gateway.
    pub(crate) fn traced(&self, data: &Path, arguments: &[String]) -> Command {
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-qq", "--seccomp-bpf"]).args(arguments).arg(&self.gateway);
        self.add(command, data)
    }

    fn add(&self, mut command: Command, data: &Path) -> Command {
        command.args(["serve", "--config"]).arg(self.bed.config()).arg("--data").arg(data);
        command
    }

    /// Starts it; also says how long that took.
    pub(crate) fn start(&self, data: &Path) -> Result<(Process, Duration), String> {
        let begun = Instant::now();
        let process = Process::launch(&mut self.command(data))
            .map_err(|(status, output)| format!("does not start: {status}: {}", output.trim()))?;
        Ok((process, begun.elapsed()))
    }
}

/// Makes every `fdatasync` of a process begin late, until dropped or the process ends: a cut that comes
/// at random then mostly comes before a sync and after the write.
pub(crate) struct SlowSync(Child);

impl SlowSync {
    pub(crate) fn attach(id: u32, delay: Duration) -> Self {
        let inject = format!("--inject=fdatasync:delay_enter={}", delay.as_micros());
        let mut command = Command::new("strace");
        command.args(["-f", "--trace=fdatasync", &inject, "--output=/dev/null", "-p", &id.to_string()]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.as_mut().unwrap());
        lines.read_line(&mut said).unwrap();
        assert!(said.contains("attached"), "strace: {said}");
        Self(child)
    }
}

impl Drop for SlowSync {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    assert!(sent.unwrap().success(), "no signal {name} to process {id}");
}

/// Runs a command that must succeed.
pub(crate) fn must(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}", errors.trim());
    String::from_utf8_lossy(&output.stdout).into_owned()
}
