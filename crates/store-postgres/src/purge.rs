//! Takes expired records out of the ledger: any gateway may, in small pieces, without a lock.

use std::{sync::atomic::Ordering, time::Duration};

use gateway_core::{LedgerRecord, Timestamp};
use tokio::time;

use crate::{Shared, backoff::chance, error::Failure, pack::nanoseconds};

const PIECE: i64 = 1_000;
const EVERY: Duration = Duration::from_secs(300);
/// The database's own clock has a say, too: a gateway whose clock runs ahead purges nothing too early.
const CLOCK: &str = "SELECT cast(extract(epoch FROM now()) AS bigint)";
const DELETE: &str = "DELETE FROM interlingua_ledger WHERE at < $1 AND key IN \
    (SELECT l.key FROM interlingua_ledger l WHERE l.at < $1 ORDER BY l.at LIMIT $2)";

/// Purges now and then, for ever.
pub(crate) async fn run(shared: &Shared) {
    loop {
        time::sleep(EVERY.mul_f64(0.5 + chance())).await;
        if let Err(error) = purge(shared).await {
            tracing::warn!(?error, "the ledger could not be purged");
        }
    }
}

/// Purges all that may be purged now; how many records.
pub(crate) async fn purge(shared: &Shared) -> Result<u64, Failure> {
    let link = shared.connector.connect().await.or(Err(Failure::NotSent))?;
    let failed = |error: tokio_postgres::Error| Failure::of(&error);
    let row = link.client.query_one(CLOCK, &[]).await.map_err(failed)?;
    let seconds = row.try_get(0).map_err(failed)?;
    let theirs = Timestamp::from_unix_timestamp(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let now = theirs.min((shared.options.clock)());
    let before = nanoseconds(now - LedgerRecord::PURGE_AFTER);
    let delete = link.client.prepare(DELETE).await.map_err(failed)?;
    let mut purged = 0;
    loop {
        let piece = link.client.execute(&delete, &[&before, &PIECE]).await.map_err(failed)?;
        shared.counters.purged.fetch_add(piece, Ordering::Relaxed);
        purged += piece;
        if piece == 0 {
            return Ok(purged);
        }
    }
}
