//! Servers as processes of their own, pinned to a core, and what they use.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Failure;

/// The core of the servers that are measured.
pub(crate) const SERVER_CORE: &str = "0";
/// The core of the load, and of what stands behind a proxy.
pub(crate) const LOAD_CORE: &str = "1";
/// Clock ticks a second in `/proc`: fixed, whatever the kernel's own clock does.
const TICKS: f64 = 100.0;
/// For a server to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    /// Where its metrics are, if it has them.
    pub(crate) admin: Option<SocketAddr>,
    child: Child,
}

/// A command that runs on one core.
pub(crate) fn pinned(core: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core, program]).stdin(Stdio::null());
    command
}

impl Server {
    /// Starts a server that prints its addresses; what it logs is read and thrown away.
    pub(crate) fn start(name: &'static str, mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        drain(child.stderr.take());
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (mut address, mut admin, mut line) = (None, None, String::new());
        while address.is_none() || (name == GATEWAY && admin.is_none()) {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                child.kill().ok();
                return Err(format!("{name} did not start").into());
            }
            address = address.or_else(|| after(&line, "listening on http://"));
            admin = admin.or_else(|| after(&line, "admin on http://"));
        }
        drain(Some(lines));
        Ok(Self { name, address: address.ok_or("no address")?, admin, child })
    }

    /// Starts a server at an address that it was told, and waits until it listens.
    pub(crate) fn start_at(
        name: &'static str,
        address: SocketAddr,
        mut command: Command,
    ) -> Result<Self, Failure> {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut errors = child.stderr.take();
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                let mut why = String::new();
                child.kill().ok();
                errors.as_mut().map(|errors| errors.read_to_string(&mut why)).transpose()?;
                return Err(format!("{name} did not start: {}", why.trim()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drain(errors);
        Ok(Self { name, address, admin: None, child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds on a core so far, user and system, of all its threads, ended ones too.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        cpu_seconds(self.id(), 2)
    }

    /// A figure of its metrics.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, Failure> {
        let text = get(self.admin.ok_or("no metrics")?, "/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.ok_or_else(|| format!("no metric {name}"))?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Seconds on a core of a process (proc(5): the sum is exact to the tick, only its division is sampled):
/// the first two fields are its own, the next two those of the processes that it has outlived.
pub(crate) fn cpu_seconds(id: u32, fields: usize) -> Result<f64, Failure> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in brackets, may hold blanks.
    let rest = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<u64> = rest.skip(11).take(fields).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<u64>() as f64 / TICKS)
}

/// The name of the server that has an admin listener.
pub(crate) const GATEWAY: &str = "interlingua";

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> Result<SocketAddr, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// True where a program can be started.
pub(crate) fn is_installed(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(version).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn drain(stream: Option<impl Read + Send + 'static>) {
    let Some(mut stream) = stream else { return };
    // Ends with the server.
    std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
}

fn after(line: &str, marker: &str) -> Option<SocketAddr> {
    line.split_once(marker)?.1.split_whitespace().next()?.parse().ok()
}

fn get(address: SocketAddr, path: &str) -> Result<String, Failure> {
    let mut stream = std::net::TcpStream::connect(address)?;
    std::io::Write::write_all(
        &mut stream,
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
