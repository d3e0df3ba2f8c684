//! A throwaway Valkey or Redis.

use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A server on a Unix socket, with nothing in it and nothing kept. Killed when dropped.
pub struct Valkey {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

/// By what name it is installed, if it is.
fn program() -> &'static str {
    let is_there = |name: &&str| {
        let asked = Command::new(name).arg("--version").stdout(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let found = ["valkey-server", "redis-server"].into_iter().find(is_there);
    found.expect("neither valkey-server nor redis-server is installed (apt-get install redis-server)")
}

impl Valkey {
    /// Starts one, and waits until it listens.
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self { folder: tempfile::tempdir().unwrap(), child: None };
        server.restart();
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// How a configuration names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Starts it again, empty, at the same place.
    pub fn restart(&mut self) {
        self.kill();
        let child = Command::new(program())
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        for _ in 0..3_000 {
            if UnixStream::connect(self.socket()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not listen");
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Makes it stand still (`STOP`), or go on (`CONT`).
    pub fn signal(&self, signal: &str) {
        let id = self.child.as_ref().map(Child::id).expect("it runs");
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(id.to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// What it answers to a command, as `redis-cli` shows it.
    #[must_use]
    pub fn ask(&self, command: &[&str]) -> String {
        let client = program().replace("-server", "-cli");
        let asked = Command::new(client).arg("-s").arg(self.socket()).args(command).output().unwrap();
        String::from_utf8(asked.stdout).unwrap()
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.kill();
    }
}
