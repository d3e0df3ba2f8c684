//! Syscalls of a request, counted by strace over a bounded run: exact, whatever else the machine does.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Failure,
    process::{LOAD_CORE, Server, pinned},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Counts the syscalls of a server by name while `load` runs.
pub(crate) fn count(
    server: &Server,
    folder: &Path,
    load: impl FnOnce() -> Result<u64, Failure>,
) -> Result<BTreeMap<String, f64>, Failure> {
    let (out, log) = (folder.join("strace.txt"), folder.join("strace.log"));
    let mut command = pinned(LOAD_CORE, "strace");
    command.args(["-f", "-c", "-o"]).arg(&out).args(["-p", &server.id().to_string()]);
    let mut strace = command.stdout(Stdio::null()).stderr(fs::File::create(&log)?).spawn()?;
    let begun = Instant::now();
    // It says so once it has attached to every thread.
    while !fs::read_to_string(&log)?.contains("attached") {
        if strace.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
            strace.kill().ok();
            return Err(format!("strace did not attach: {}", fs::read_to_string(&log)?.trim()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    let requests = load();
    Command::new("kill").args(["-INT", &strace.id().to_string()]).status()?;
    strace.wait()?;
    let requests = requests? as f64;
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(&out)?.lines() {
        // % time, seconds, µs a call, calls, maybe errors, name.
        let fields: Vec<_> = line.split_whitespace().collect();
        if let [_, _, _, calls, .., name] = fields[..]
            && let Ok(calls) = calls.parse::<f64>()
            && name != "total"
        {
            counts.insert(name.to_owned(), calls / requests);
        }
    }
    Ok(counts)
}

/// The syscalls that a request cannot do without, and all others, most of which many requests share.
pub(crate) fn describe(counts: &BTreeMap<String, f64>) -> String {
    let mut others: Vec<_> =
        counts.iter().filter(|(name, calls)| !is_socket(name) && **calls >= 0.005).collect();
    others.sort_by(|a, b| b.1.total_cmp(a.1));
    let list: Vec<_> = others.iter().map(|(name, calls)| format!("{name} {calls:.2}")).collect();
    let rest = if list.is_empty() { String::new() } else { format!("; {}", list.join(", ")) };
    format!("{:.2} on the socket{rest}", on_sockets(counts))
}

/// Reads and writes of connections, for each request.
pub(crate) fn on_sockets(counts: &BTreeMap<String, f64>) -> f64 {
    counts.iter().filter(|(name, _)| is_socket(name)).map(|(_, calls)| calls).sum()
}

fn is_socket(name: &str) -> bool {
    ["recvfrom", "recvmsg", "read", "readv", "sendto", "sendmsg", "writev"].contains(&name)
}
