//! The stores' figures in the Prometheus text format.

use std::fmt::Write;

use gateway_outbound::Circuit;
use store_embedded::{BATCH_BOUNDS, EmbeddedStore, Health};
use store_upstream::Form;

/// Name, type and help of a figure, and what it stands at.
type Row = (&'static str, &'static str, &'static str, u64);

/// Renders the embedded store's; rates are left to whoever reads them.
#[must_use]
pub fn embedded(store: &EmbeddedStore) -> String {
    let stats = store.stats();
    let figures = [
        ("commits_total", "counter", "Commits answered as done, each of them synced.", stats.commits),
        (
            "commits_rejected_total",
            "counter",
            "Commits refused for a version or a taken key.",
            stats.rejected,
        ),
        ("commits_unknown_total", "counter", "Commits whose end is not known.", stats.unknown),
        ("commits_shed_total", "counter", "Commits not accepted for overload.", stats.shed),
        ("syncs_total", "counter", "Batches synced to disk.", stats.synced_batches),
        ("cache_hits_total", "counter", "Users found in the cache.", stats.cache_hits),
        ("cache_misses_total", "counter", "Users looked for in the engine.", stats.cache_misses),
        ("queue_depth", "gauge", "Commits waiting for the writer.", stats.queue_depth as u64),
        ("ledger_keys", "gauge", "Idempotency keys and signatures in memory.", stats.ledger_keys as u64),
        ("acknowledged_batch", "gauge", "Sequence number of the last acknowledged batch.", stats.acked_seq),
        (
            "poisoned",
            "gauge",
            "1 after a fault that ended all writing.",
            u64::from(store.health() == Health::Poisoned),
        ),
    ];
    let text = rows(&figures);
    let sizes = BATCH_BOUNDS.iter().zip(stats.batch_sizes).map(|(bound, count)| (bound.to_string(), count));
    text + &histogram(
        "batch_size",
        "Commits in one batch, synced together.",
        sizes,
        stats.batches,
        stats.batched_commits,
    )
}

/// The same of a PostgreSQL.
#[must_use]
pub fn postgres(stats: &store_postgres::Stats, is_reached: bool) -> String {
    let figures = [
        ("commits_total", "counter", "Commits answered as done.", stats.commits),
        (
            "commits_rejected_total",
            "counter",
            "Commits refused for a version or a taken key.",
            stats.rejected,
        ),
        ("commits_resolved_total", "counter", "Commits whose answer was lost and found out.", stats.resolved),
        ("commits_unknown_total", "counter", "Commits whose end is not known.", stats.unknown),
        ("commits_shed_total", "counter", "Commits not accepted for overload.", stats.shed),
        (
            "commit_collisions_total",
            "counter",
            "Commits sent again after another gateway's.",
            stats.collisions,
        ),
        ("statements_total", "counter", "Statements sent for commits, a round trip each.", stats.statements),
        ("reads_total", "counter", "Statements sent for reads.", stats.reads),
        ("pool_waits_total", "counter", "Reads that had to wait for a connection.", stats.read_waits),
        ("cache_hits_total", "counter", "Reads answered from memory (max_stale_ms).", stats.cache_hits),
        ("connects_total", "counter", "Connections made, the first ones included.", stats.connects),
        ("connects_failed_total", "counter", "Attempts to connect that failed.", stats.failed_connects),
        ("ledger_purged_total", "counter", "Ledger records purged.", stats.purged),
        ("connections", "gauge", "Connections that stand.", stats.connections as u64),
        ("queue_depth", "gauge", "Commits waiting to be sent.", stats.queue_depth as u64),
        ("reached", "gauge", "1 while the database is there.", u64::from(is_reached)),
    ];
    let sizes = store_postgres::BATCH_BOUNDS.iter().zip(stats.batch_sizes);
    let sizes = sizes.map(|(bound, count)| (bound.to_string(), count));
    let help = "Commits in one statement.";
    rows(&figures) + &histogram("batch_size", help, sizes, stats.statements, stats.batched_commits)
}

/// Those of another service; the store that its ledger is in has its own beside them.
#[must_use]
pub fn upstream(stats: &store_upstream::Stats, form: Form) -> String {
    let circuit = match stats.circuit {
        Circuit::Closed => 0,
        Circuit::HalfOpen => 1,
        Circuit::Open => 2,
    };
    let figures = [
        ("calls_total", "counter", "Calls to the upstream service, repeated ones included.", stats.calls),
        ("answered_total", "counter", "Calls that it answered.", stats.answered),
        ("failed_total", "counter", "Calls that it answered with a fault of its own (5xx).", stats.failed),
        ("unsent_total", "counter", "Calls of which it can have read nothing.", stats.unsent),
        ("lost_total", "counter", "Calls that it may have read and did not answer.", stats.lost),
        ("retries_total", "counter", "Reads that were tried again.", stats.retries),
        ("garbage_total", "counter", "Answers that made no sense.", stats.garbage),
        ("commits_total", "counter", "Writes that are done.", stats.commits),
        ("commits_resolved_total", "counter", "Writes whose answer was lost and found out.", stats.resolved),
        ("commits_unknown_total", "counter", "Writes whose end is not known.", stats.unknown),
        ("reached", "gauge", "1 while the upstream service answers.", u64::from(stats.reached)),
        ("circuit", "gauge", "2 while it is left alone, 1 while it is tried.", circuit),
        ("records", "gauge", "1 where users are exchanged as records.", u64::from(form == Form::Record)),
    ];
    named("interlingua_upstream_", &figures)
}

fn rows(rows: &[Row]) -> String {
    named("interlingua_store_", rows)
}

fn named(prefix: &str, rows: &[Row]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        let name = format!("{prefix}{name}");
        line(&mut text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"));
    }
    text
}

/// A histogram from the count of each bound alone.
fn histogram(
    name: &str,
    help: &str,
    counts: impl Iterator<Item = (String, u64)>,
    count: u64,
    sum: u64,
) -> String {
    let name = format!("interlingua_store_{name}");
    let mut text = format!("# HELP {name} {help}\n# TYPE {name} histogram\n");
    let mut cumulative = 0;
    for (bound, count) in counts {
        cumulative += count;
        line(&mut text, format_args!("{name}_bucket{{le=\"{bound}\"}} {cumulative}"));
    }
    line(
        &mut text,
        format_args!("{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}"),
    );
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{arguments}");
}
