//! The embedded store's figures in the Prometheus text format.

use std::fmt::Write;

use store_embedded::{BATCH_BOUNDS, EmbeddedStore, Health};

/// Renders them; rates are left to whoever reads them.
#[must_use]
pub fn render(store: &EmbeddedStore) -> String {
    let stats = store.stats();
    let rows = [
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
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        line(
            &mut text,
            format_args!(
                "# HELP interlingua_store_{name} {help}\n# TYPE interlingua_store_{name} {kind}\ninterlingua_store_{name} {value}"
            ),
        );
    }
    let name = "interlingua_store_batch_size";
    line(
        &mut text,
        format_args!("# HELP {name} Commits in one batch, synced together.\n# TYPE {name} histogram"),
    );
    let mut cumulative = 0;
    for (bound, count) in BATCH_BOUNDS.iter().zip(stats.batch_sizes) {
        cumulative += count;
        line(&mut text, format_args!("{name}_bucket{{le=\"{bound}\"}} {cumulative}"));
    }
    line(
        &mut text,
        format_args!(
            "{name}_bucket{{le=\"+Inf\"}} {}\n{name}_sum {}\n{name}_count {}",
            stats.batches, stats.batched_commits, stats.batches
        ),
    );
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{arguments}");
}
