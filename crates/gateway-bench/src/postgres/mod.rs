//! Guarded updates over PostgreSQL: signed PATCHes through a gateway that coalesces commits, the same
//! through one that does not, and pgbench with the same update as one statement. Round by round, all on
//! one server and on all cores.

mod ground;
mod pgbench;
mod table;

use std::time::Duration;

use gateway_testkit::postgres::Database;

use self::{
    ground::Ground,
    pgbench::Pgbench,
    table::{HEADER, Sample, Series},
};
use crate::{
    Failure, Plan,
    drive::write_readme,
    load::{ASLEEP, Run, Until, drive},
    process::Server,
    request::{Kind, Partner},
    say,
};

const MANY: usize = 256;
const FEW: usize = 16;
/// With fewer, clients would wait for each other's rows.
const LEAST_USERS: u64 = 20_000;
const MARKS: [&str; 2] = ["<!-- bench postgres -->\n", "<!-- /bench postgres -->"];

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The gateway as it is configured by default.
    Coalescing,
    /// The same with `coalesce = false`.
    Single,
    Pgbench,
}

/// Everybody, in the order of a round: over so many connections.
const ALL: [(Who, usize); 5] = [
    (Who::Coalescing, MANY),
    (Who::Single, MANY),
    (Who::Pgbench, MANY),
    (Who::Single, FEW),
    (Who::Pgbench, FEW),
];

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Coalescing => "interlingua",
            Self::Single => "interlingua, not coalescing",
            Self::Pgbench => "pgbench",
        }
    }
}

/// What is wanted, as times pgbench over as many connections.
const TARGETS: [(Who, usize, f64); 2] = [(Who::Coalescing, MANY, 3.0), (Who::Single, FEW, 0.9)];

/// What takes part.
struct Bench<'g> {
    ground: &'g Ground,
    coalescing: Server,
    single: Server,
    pgbench: Pgbench,
    partner: Partner,
    /// Whole seconds of a run: pgbench knows no others.
    seconds: u64,
}

/// Measures everything; false where a target is missed.
pub(crate) fn run(plan: &Plan) -> Result<bool, Failure> {
    let users = plan.users.max(LEAST_USERS);
    let (pairs, seconds) = if plan.quick { (3, 1) } else { (plan.pairs.max(5), plan.seconds.ceil() as u64) };
    let ground = Ground::make(plan)?;
    let mut partner = Partner::new(users)?;
    say(&format!("making {users} users, three times ..."));
    let mut populated = |database: &Database, coalesce| -> Result<Server, Failure> {
        let gateway = ground.gateway(database, coalesce)?;
        partner.begin_again();
        for kind in [Kind::Create, Kind::Patch] {
            send(&gateway, MANY, kind, Until::Requests(users), &mut partner)?;
        }
        // Without figures of its own, the server goes through whole tables for the peer.
        database.execute("VACUUM ANALYZE")?;
        Ok(gateway)
    };
    drop(populated(&ground.peer, true)?);
    // Those that are measured know their users by now.
    let (coalescing, single) = (populated(&ground.coalescing, true)?, populated(&ground.single, false)?);
    let pgbench = Pgbench::prepare(ground.folder(), &ground.peer.url, users)?;
    let mut bench = Bench { ground: &ground, coalescing, single, pgbench, partner, seconds: seconds.max(1) };

    let mut all = ALL.map(|(who, connections)| Series { who, connections, samples: Vec::new() });
    for round in 0..=pairs {
        say(&format!("round {round} of {pairs}"));
        for series in &mut all {
            let sample = bench.measure(series.who, series.connections)?;
            // The first one warms everything up.
            if round > 0 {
                series.samples.push(sample);
            }
        }
    }
    let (verdicts, good) = judge(&all);
    let text = format!("{HEADER}{}\n{verdicts}", table::rows(&all));
    say(&format!("\n{text}"));
    if plan.readme {
        write_readme(MARKS, &text)?;
    }
    Ok(good)
}

fn send(
    gateway: &Server,
    connections: usize,
    kind: Kind,
    until: Until,
    partner: &mut Partner,
) -> Result<Run, Failure> {
    let mut next = |out: &mut Vec<u8>| partner.write(kind, out);
    drive(gateway.address, connections, ASLEEP, until, kind.status(), &mut next)
}

impl Bench<'_> {
    /// One run.
    fn measure(&mut self, who: Who, connections: usize) -> Result<Sample, Failure> {
        let gateway = match who {
            Who::Coalescing => &self.coalescing,
            Who::Single => &self.single,
            Who::Pgbench => {
                // What connecting costs the database cannot be told from what the updates do.
                let per_second = self.pgbench.run(connections, self.seconds)?;
                return Ok(Sample { per_second, ..Sample::default() });
            }
        };
        let until = Until::After(Duration::from_secs(self.seconds));
        let (before, own, database) =
            (self.ground.tally(gateway)?, gateway.cpu_seconds()?, self.ground.database_cpu()?);
        let run = send(gateway, connections, Kind::Patch, until, &mut self.partner)?;
        let (own, database) = (gateway.cpu_seconds()? - own, self.ground.database_cpu()? - database);
        let requests = run.requests() as f64;
        Ok(Sample {
            per_second: run.per_second(),
            gateway_us: own * 1e6 / requests,
            database_us: database * 1e6 / requests,
            p50_us: run.quantile(0.5),
            p99_us: run.quantile(0.99),
            tally: self.ground.tally(gateway)?.since(&before),
        })
    }
}

/// What came of it, a line each; false where something wanted is missed.
fn judge(all: &[Series]) -> (String, bool) {
    let (mut lines, mut good) = (Vec::new(), true);
    for (who, connections, wanted) in TARGETS {
        let ([_, ratio, _], name) = (table::ratio(all, who, connections), who.name());
        let sentence = format!("{ratio:.2} × pgbench, at least {wanted} wanted");
        lines.push(format!("- {name}, {connections} connections: {sentence}{}\n", missed(ratio >= wanted)));
        good &= ratio >= wanted;
    }
    for series in all.iter().filter(|series| series.who != Who::Pgbench) {
        let (tally, name, connections) = (series.tally(), series.who.name(), series.connections);
        // The server's own cleaning is a transaction now and then.
        let holds = series.who == Who::Coalescing
            || (tally.statements == tally.commits
                && (tally.transactions / tally.commits - 1.0).abs() < 0.005);
        lines.push(format!("- {name}, {connections} connections: {}{}\n", tally.describe(), missed(holds)));
        good &= holds;
    }
    (lines.concat(), good)
}

const fn missed(holds: bool) -> &'static str {
    if holds { "" } else { " (missed)" }
}
