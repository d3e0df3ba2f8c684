//! A gateway process under watch: what it writes, what it lets out, whether it lives, and whether it
//! serves a good client meanwhile.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use gateway_testkit::client::{Connection, RawResponse};
use uuid::Uuid;

use crate::{Bed, Party, Process};

/// A gateway process under watch.
pub struct Watched {
    process: Process,
    user: Uuid,
    good: GoodClient,
    markers: BTreeSet<String>,
}

/// What the store has written so far. Any write raises it, and nothing else does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Commits answered as done.
    pub commits: u64,
    /// Batches synced; counted before their commits are answered.
    pub batches: u64,
}

impl Watched {
    /// Starts a gateway, makes a user in it in each dialect's mount, and lets a good client read them.
    #[must_use]
    pub fn start(bed: &Bed) -> Self {
        let process = Process::start(bed);
        let user = Uuid::new_v4();
        for party in Party::ALL {
            let made = process.send(&party.create(user, Uuid::new_v4())).unwrap();
            assert_eq!(made.status, 201, "{party:?} cannot make a user");
        }
        let good = GoodClient::start(process.address, user);
        Self { process, user, good, markers: BTreeSet::new() }
    }

    /// The process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// A new connection to the mounts.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.process.address).unwrap()
    }

    /// What is written: taken before and after a request, it tells whether that wrote.
    #[must_use]
    pub fn written(&self) -> Written {
        let (_, metrics) = self.process.admin("/metrics");
        let figure = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no metric {name}"))
        };
        Written {
            commits: figure("interlingua_store_commits_total"),
            batches: figure("interlingua_store_syncs_total"),
        }
    }

    /// Marks a text that must come out nowhere: not in a log, not in a metric.
    pub fn mark(&mut self, text: impl Into<String>) {
        self.markers.insert(text.into());
    }

    /// Asks for a good answer on a connection that has been answered before. A server that took a part
    /// of the last request for the next, or that answered twice, is out of step.
    ///
    /// # Errors
    /// How the connection is not as the answer says.
    pub fn in_step(&self, connection: &mut Connection, last: &RawResponse) -> Result<(), String> {
        if !connection.left_over().is_empty() {
            return Err("the answer is followed by bytes that nobody asked for".into());
        }
        if last.header("connection") == Some("close") {
            return connection.is_closed().then_some(()).ok_or_else(|| "said close, and stays open".into());
        }
        let answer = connection.send(&Party::JsonPatch.read(self.user))?;
        is_good(Party::JsonPatch, self.user, &answer)
    }

    /// What is wrong by now: it ended, the good client was refused, or a log line or a metric holds a
    /// marked text.
    #[must_use]
    pub fn complaints(&mut self) -> Vec<String> {
        let mut complaints = Vec::new();
        if !self.process.is_alive() {
            complaints.push("the process has ended".into());
            return complaints;
        }
        complaints.extend(self.good.failures());
        let (_, metrics) = self.process.admin("/metrics");
        complaints.extend(self.leaks("a metric", &metrics));
        complaints.extend(self.log_complaints(&self.process.output()));
        complaints
    }

    /// Stops the process; with all that is wrong at the end, its exit among it.
    #[must_use]
    pub fn stop(mut self) -> Vec<String> {
        let mut complaints = self.complaints();
        complaints.extend(self.good.stop());
        let Self { process, markers, .. } = self;
        let (status, output) = process.stop();
        if !status.success() {
            complaints.push(format!("it ended with {status}"));
        }
        complaints.extend(log_complaints(&markers, &output));
        complaints.sort();
        complaints.dedup();
        complaints
    }

    fn leaks(&self, place: &str, text: &str) -> Vec<String> {
        leaks(&self.markers, place, text)
    }

    fn log_complaints(&self, output: &str) -> Vec<String> {
        log_complaints(&self.markers, output)
    }
}

fn leaks(markers: &BTreeSet<String>, place: &str, text: &str) -> Vec<String> {
    let found = markers.iter().filter(|marker| text.contains(marker.as_str()));
    found.map(|marker| format!("{place} holds the marked text {marker:?}")).collect()
}

/// What is printed on start shows how to read the demo's user; the log is the lines of JSON.
fn log_complaints(markers: &BTreeSet<String>, output: &str) -> Vec<String> {
    let log: Vec<_> = output.lines().filter(|line| line.starts_with('{')).collect();
    let mut complaints = leaks(markers, "the log", &log.join("\n"));
    complaints.extend(output.lines().filter(|line| line.contains("panicked")).map(str::to_owned));
    complaints
}

/// A client that reads in every dialect, over and over, until it is told to stop.
struct GoodClient {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

/// Between two reads of the good client: often enough to stand beside every case, and no load.
const PAUSE: Duration = Duration::from_millis(5);

impl GoodClient {
    fn start(address: SocketAddr, user: Uuid) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicUsize::new(0));
        let failures = Arc::new(Mutex::new(Vec::new()));
        let (ending, count, noted) = (Arc::clone(&stop), Arc::clone(&answers), Arc::clone(&failures));
        let thread = std::thread::spawn(move || {
            let mut kept = None;
            for party in Party::ALL.iter().copied().cycle() {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                match read_once(address, &mut kept, party, user) {
                    Ok(()) => count.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        kept = None;
                        noted.lock().unwrap().push(format!("the good client ({party:?}): {error}"));
                        0
                    }
                };
                std::thread::sleep(PAUSE);
            }
        });
        Self { stop, answers, failures, thread: Some(thread) }
    }

    fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    fn stop(&mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        let mut failures = self.failures();
        if self.answers.load(Ordering::Relaxed) == 0 {
            failures.push("the good client was never answered".into());
        }
        failures
    }
}

impl Drop for GoodClient {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Reads on the connection that is kept, or on a new one.
fn read_once(
    address: SocketAddr,
    kept: &mut Option<Connection>,
    party: Party,
    user: Uuid,
) -> Result<(), String> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => Connection::open(address).map_err(|error| error.to_string())?,
    };
    let answer = connection.send(&party.read(user))?;
    is_good(party, user, &answer)?;
    if answer.header("connection") != Some("close") {
        *kept = Some(connection);
    }
    Ok(())
}

fn is_good(party: Party, user: Uuid, answer: &RawResponse) -> Result<(), String> {
    let body = String::from_utf8_lossy(&answer.body);
    // D's record names no id; nobody else's is in the country.
    let own = if party == Party::JsonPatch { "\"country\"".to_owned() } else { user.to_string() };
    if answer.status == 200 && body.contains(&own) {
        return Ok(());
    }
    Err(format!("a good request is answered {} {body}", answer.status))
}
