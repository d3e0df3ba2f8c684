//! The gateway as a process of its own, over the embedded store.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    thread::JoinHandle,
};

use gateway_testkit::{
    cases::Transport,
    client::{self, RawRequest, RawResponse},
};

use crate::{Bed, root};

/// The built binary. Cargo builds it only for tests of its own package, so ask for it.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "gateway", "--bin", "interlingua"])
            .current_dir(root())
            .status();
        assert!(built.unwrap().success(), "the gateway does not build");
        // This test's own binary is in target/debug/deps.
        let own = std::env::current_exe().unwrap();
        own.ancestors().nth(2).unwrap().join("interlingua")
    })
}

/// A running gateway. Killed when dropped.
pub struct Process {
    child: Child,
    /// Where the mounts are served.
    pub address: SocketAddr,
    /// Where `/readyz` and its like are.
    pub admin: SocketAddr,
    output: Vec<JoinHandle<String>>,
}

impl Process {
    /// Starts one, and waits until it listens.
    #[must_use]
    pub fn start(bed: &Bed) -> Self {
        let mut command = Command::new(binary());
        command.args(["serve", "--config"]).arg(bed.config());
        Self::launch(&mut command)
            .unwrap_or_else(|(status, output)| panic!("the gateway did not start: {status}\n{output}"))
    }

    /// Starts one by this command, and waits until it listens; with its exit status and all that it
    /// printed where it does not.
    ///
    /// # Errors
    /// When it ends before it listens.
    pub fn launch(command: &mut Command) -> Result<Self, (ExitStatus, String)> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        let (mut address, mut admin) = (None, None);
        while address.is_none() || admin.is_none() {
            let start = banner.len();
            if lines.read_line(&mut banner).unwrap() == 0 {
                let status = child.wait().unwrap();
                return Err((status, banner + &errors.join().unwrap()));
            }
            let line = banner[start..].trim();
            address = address.or_else(|| address_in(line, "listening on http://"));
            admin = admin.or_else(|| address_in(line, "admin on http://"));
        }
        let rest = std::thread::spawn(move || {
            let mut text = banner;
            lines.read_to_string(&mut text).unwrap();
            text
        });
        Ok(Self { child, address: address.unwrap(), admin: admin.unwrap(), output: vec![rest, errors] })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a crash would.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.finish().1
    }

    /// Asks it to stop, and waits until it has; with its exit status, all that it printed and logged.
    #[must_use]
    pub fn stop(self) -> (ExitStatus, String) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.unwrap().success());
        self.finish()
    }

    /// Waits until it ends by itself.
    #[must_use]
    pub fn finish(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let output = self.output.drain(..).map(|reader| reader.join().unwrap()).collect();
        (status, output)
    }

    /// A transport to its mounts.
    #[must_use]
    pub fn socket(&self) -> Socket {
        Socket { address: self.address }
    }

    /// A GET at the admin listener: status and body.
    #[must_use]
    pub fn admin(&self, path: &str) -> (u16, String) {
        let request =
            RawRequest { method: "GET".into(), target: path.into(), headers: Vec::new(), body: Vec::new() };
        let answer = client::send(self.admin, &request).unwrap();
        (answer.status, String::from_utf8(answer.body).unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _already_gone = self.child.kill();
            let _status = self.child.wait();
        }
    }
}

fn address_in(line: &str, marker: &str) -> Option<SocketAddr> {
    line.split_once(marker)?.1.split_whitespace().next()?.parse().ok()
}

/// A transport over a socket, one connection for each request.
#[derive(Clone, Copy)]
pub struct Socket {
    /// Where to.
    pub address: SocketAddr,
}

impl Transport for Socket {
    async fn send(&self, request: RawRequest) -> Result<RawResponse, String> {
        client::send(self.address, &request)?.checked()
    }
}
