//! Faults of a PostgreSQL under two gateways: killed, cut off at a commit, replaced by its standby. The
//! gateways live on, and follow by themselves.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use gateway_testkit::{
    client::Connection,
    postgres::{Database, Instance, column},
};

use super::{
    Fault, Report, Settings, check,
    clients::{Clients, Users},
    launch::CONFIG,
    oracle::{Kind, Oracle, Sent},
    proxy::{Cut, Proxy},
    raw,
    rng::Rng,
};
use crate::{Bed, Party, Process};

/// The longest life under load before the fault, and the load after it, in milliseconds.
const LIFE_MS: u64 = 400;
const AFTER: Duration = Duration::from_millis(100);
/// Connections that are cut in one life.
const CUTS: usize = 10;
const CUT_PAUSE_MS: u64 = 40;
/// Users are new after so many lives: each check looks at all that were written.
const STORE_LIVES: usize = 20;
/// A gateway that takes longer to come back does not come back.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
/// How soon gateways take writes again, once there is a database that does.
pub const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);

/// `kill -9` of the server with all its processes, and a start.
#[must_use]
pub fn kill(settings: &Settings) -> Report {
    let mut server = Instance::start();
    let mut trial = Trial::new(settings, "PostgreSQL, kill -9", &server.url(), server.port());
    while trial.goes_on(settings.rounds) {
        trial.report.rounds += 1;
        trial.life(|_| {
            server.kill();
            server.restart();
        });
    }
    trial.finish()
}

/// Connections cut at a commit, most of them right behind it.
#[must_use]
pub fn cut(settings: &Settings) -> Report {
    let server = Instance::start();
    let proxy = Proxy::start(server.port());
    let mut trial = Trial::new(settings, "PostgreSQL, cut off", &server.url(), proxy.port());
    while trial.goes_on(settings.rounds) {
        let end = settings.rounds.min(proxy.cuts() + CUTS);
        trial.life(|rng| {
            while proxy.cuts() < end {
                let cuts = proxy.cuts();
                proxy.arm(if rng.chance(75) { Cut::Behind } else { Cut::Before });
                wait_until("a commit is cut", || proxy.cuts() > cuts);
                std::thread::sleep(Duration::from_millis(rng.below(CUT_PAUSE_MS)));
            }
        });
        trial.report.rounds = proxy.cuts();
    }
    trial.finish()
}

/// A primary that is killed, and its synchronous standby that takes over.
#[must_use]
pub fn failover(settings: &Settings) -> Report {
    let mut primary = Instance::start();
    let mut standby = None;
    let mut trial = Trial::with(settings, "PostgreSQL, fail-over", &primary.url(), |url| {
        let follower = standby.insert(Instance::standby(&primary));
        let hosts = format!("127.0.0.1:{},127.0.0.1:{}/", primary.port(), follower.port());
        url.replace(&format!("127.0.0.1:{}/", primary.port()), &hosts) + "?target_session_attrs=read-write"
    });
    while trial.goes_on(settings.rounds) {
        trial.report.rounds += 1;
        let next = standby.take().unwrap();
        trial.at = next.url();
        trial.life(|_| {
            primary.kill();
            next.promote();
        });
        let port = std::mem::replace(&mut primary, next).port();
        standby = Some(Instance::standby_at(&primary, port));
    }
    trial.finish()
}

struct Trial<'a> {
    settings: &'a Settings,
    folder: PathBuf,
    rng: Rng,
    oracle: Arc<Oracle>,
    users: Users,
    report: Report,
    gateways: [Process; 2],
    lives: usize,
    /// The server as it is now.
    at: String,
    database: String,
    /// How long it took from the repair until both gateways took writes.
    followed: Vec<Duration>,
    /// Before its server.
    _bed: Bed,
}

impl<'a> Trial<'a> {
    /// Two gateways that find the server at this port.
    fn new(settings: &'a Settings, name: &'static str, server: &str, port: u16) -> Self {
        let own = server.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap().1.to_owned();
        Self::with(settings, name, server, |url| url.replace(&format!(":{own}/"), &format!(":{port}/")))
    }

    fn with(
        settings: &'a Settings,
        name: &'static str,
        server: &str,
        reached: impl FnOnce(&str) -> String,
    ) -> Self {
        let folder = settings.folder.join(name.replace([' ', ','], "-"));
        fs::create_dir_all(&folder).unwrap();
        let bed = Bed::on_database(CONFIG, Database::on(server));
        let url = bed.database().url.clone();
        bed.replace("postgres-url", &reached(&url));
        let start = || {
            let mut command = Command::new(&settings.gateway);
            command.args(["serve", "--config"]).arg(bed.config());
            Process::launch(&mut command).unwrap_or_else(|(status, output)| panic!("{status}: {output}"))
        };
        Self {
            settings,
            rng: Rng::new(settings.seed),
            oracle: Oracle::lasting(&folder, settings.seed),
            users: Users::default(),
            report: Report::new(name),
            gateways: [start(), start()],
            lives: 0,
            at: server.to_owned(),
            database: url.rsplit_once('/').unwrap().1.to_owned(),
            followed: Vec::new(),
            folder,
            _bed: bed,
        }
    }

    fn goes_on(&self, rounds: usize) -> bool {
        self.report.rounds < rounds && self.oracle.wrongs() + self.report.wrongs.len() == 0
    }

    fn url(&self) -> String {
        format!("{}/{}", self.at.rsplit_once('/').unwrap().0, self.database)
    }

    /// Load, a fault that comes and goes in it, more load; then a check.
    fn life(&mut self, fault: impl FnOnce(&mut Rng)) {
        let addresses = [0, 1].map(|at| self.gateways[at].address);
        let clients =
            Clients::start(&self.oracle, &self.users, &addresses, self.settings.clients, &mut self.rng);
        std::thread::sleep(Duration::from_millis(self.rng.below(LIFE_MS)));
        fault(&mut self.rng);
        self.follow();
        std::thread::sleep(AFTER);
        clients.stop();
        self.settle();
        let address = addresses[self.lives % 2];
        check::check(&self.oracle, address, &mut self.rng);
        self.lives += 1;
        if self.lives.is_multiple_of(STORE_LIVES) {
            self.report.add(&self.oracle);
        }
    }

    /// Waits until both gateways take writes again.
    fn follow(&mut self) {
        let repaired = Instant::now();
        for gateway in &self.gateways {
            // A user of the oracle's: all are counted at the end.
            let subject = self.oracle.subject(Party::Partner);
            let op = self.oracle.op(&subject, Party::Partner, Kind::Create, true);
            let mut connection = Connection::open(gateway.address).unwrap();
            while !matches!(self.oracle.send(&mut connection, &subject, &op), Sent::Acked { .. }) {
                if repaired.elapsed() > PATIENCE {
                    return self.oracle.wrong(Fault::Other, "a gateway takes no writes any more".to_owned());
                }
                std::thread::sleep(PAUSE);
            }
        }
        self.followed.push(repaired.elapsed());
    }

    /// Waits until nothing is at work in the database: what was cut off may still go on there.
    fn settle(&self) {
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND pid <> pg_backend_pid() AND state <> 'idle'";
        wait_until("the database is at rest", || column(&self.url(), busy).is_ok_and(|count| count == ["0"]));
    }

    fn finish(mut self) -> Report {
        let figure = |name: &str| -> u64 {
            self.gateways.iter().map(|one| one.metric(name).unwrap_or_default()).sum()
        };
        let (resolved, unknown) = (
            figure("interlingua_store_commits_resolved_total"),
            figure("interlingua_store_commits_unknown_total"),
        );
        raw::check_postgres(&self.oracle, &self.url());
        for gateway in self.gateways {
            let (status, output) = gateway.stop();
            if !status.success() {
                self.oracle.wrong(Fault::Other, format!("SIGTERM: {status}: {}", output.trim()));
            }
        }
        self.report.add(&self.oracle);
        self.followed.sort_unstable();
        let of =
            |part: usize| self.followed.get(self.followed.len() * part / 100).map_or(0, Duration::as_millis);
        let worst = self.followed.last().copied().unwrap_or_default();
        self.report.slowest = worst;
        self.report.note = format!(
            "{resolved} lost answers found out, {unknown} not; writes again after p50 {} ms, worst {} ms",
            of(50),
            worst.as_millis()
        );
        if self.report.wrongs.is_empty() {
            fs::remove_dir_all(&self.folder).unwrap_or_default();
        }
        self.report
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}
