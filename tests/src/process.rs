//! The gateway as a process of its own, over the embedded store.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock},
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
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    /// A store that is deleted while it is open ends the process.
    folder: Option<Arc<tempfile::TempDir>>,
}

impl Process {
    /// Starts one, and waits until it listens.
    #[must_use]
    pub fn start(bed: &Bed) -> Self {
        Self::start_in(bed, ":")
    }

    /// The same in a shell that runs a command first, such as `ulimit -n 64`.
    #[must_use]
    pub fn start_in(bed: &Bed, first: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{first}; exec \"$@\""), "sh"]).arg(binary());
        command.args(["serve", "--config"]).arg(bed.config());
        let mut process = Self::launch(&mut command)
            .unwrap_or_else(|(status, output)| panic!("the gateway did not start: {status}\n{output}"));
        process.folder = Some(Arc::clone(&bed.folder));
        process
    }

    /// Starts one by this command, and waits until it listens; with its exit status and all that it
    /// printed where it does not.
    ///
    /// # Errors
    /// When it ends before it listens.
    pub fn launch(command: &mut Command) -> Result<Self, (ExitStatus, String)> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let errors = read_on(BufReader::new(child.stderr.take().unwrap()), Arc::clone(&output));
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        let (mut address, mut admin) = (None, None);
        while address.is_none() || admin.is_none() {
            let start = banner.len();
            if lines.read_line(&mut banner).unwrap() == 0 {
                errors.join().unwrap();
                let status = child.wait().unwrap();
                return Err((status, banner + &output.lock().unwrap()));
            }
            let line = banner[start..].trim();
            address = address.or_else(|| address_in(line, "listening on "));
            admin = admin.or_else(|| address_in(line, "admin on "));
        }
        output.lock().unwrap().push_str(&banner);
        let rest = read_on(lines, Arc::clone(&output));
        let readers = vec![rest, errors];
        Ok(Self { child, address: address.unwrap(), admin: admin.unwrap(), output, readers, folder: None })
    }

    /// All that it has printed and logged so far, in whole lines.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// True until it has ended.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
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

    /// Asks it to load its configuration.
    pub fn hang_up(&self) {
        let asked = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status();
        assert!(asked.unwrap().success());
    }

    /// The value of a metric, labels included in its name.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<u64> {
        let text = self.admin("/metrics").1;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until a condition holds.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..3_000 {
            if condition(self) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("waited in vain until {what}");
    }

    /// Waits until it ends by itself.
    #[must_use]
    pub fn finish(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        (status, self.output())
    }

    /// A transport to its mounts.
    #[must_use]
    pub fn socket(&self) -> Socket {
        Socket { address: self.address }
    }

    /// Sends one request on a connection of its own.
    ///
    /// # Errors
    /// Of the socket, or for an answer that is no HTTP.
    pub fn send(&self, request: &RawRequest) -> Result<RawResponse, String> {
        client::send(self.address, request)
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

fn read_on(mut from: impl BufRead + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).unwrap() > 0 {
            into.lock().unwrap().push_str(std::str::from_utf8(&line).unwrap());
            line.clear();
        }
    })
}

fn address_in(line: &str, marker: &str) -> Option<SocketAddr> {
    let (_scheme, address) = line.split_once(marker)?.1.split_once("://")?;
    address.split_whitespace().next()?.parse().ok()
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
