//! The end of a commit whose answer was lost.
//!
//! It is sent again, on a new connection. That can do no harm: a guard, a version or an id is good for one
//! commit only. If the first one is still on its way, the second waits for its locks; if it never came,
//! the second takes its place, and should the first come later, it finds the place taken. What is left to
//! tell is whether the commit that stands in the second one's way is its own first one.

use gateway_core::{Committed, LedgerKey};
use tokio_postgres::Client;

use crate::{
    pack::{self, UserRow},
    queue::Job,
    reads,
};

/// What became of a commit in doubt, after what its second sending came to.
pub(crate) async fn resolve(client: &Client, job: &Job, second: Committed) -> Committed {
    match second {
        Committed::Done | Committed::Unknown => second,
        Committed::KeyTaken(key) => match own(client, job, key).await {
            Some(true) => Committed::Done,
            Some(false) => second,
            None => Committed::Unknown,
        },
        // The guards are free, so it was not done; and a version that moved never comes back.
        Committed::Stale if !job.commit.guards.is_empty() => second,
        Committed::Stale => stale(client, job).await,
        // The first one may yet find the key free.
        Committed::Taken(_) => Committed::Unknown,
    }
}

/// Whether the record under a guard is that of this commit.
async fn own(client: &Client, job: &Job, key: LedgerKey) -> Option<bool> {
    let guard = job.commit.guards.iter().find(|guard| guard.key == key)?;
    let row = client.query_opt(reads::LEDGER, &[&pack::ledger_key(key)]).await.ok()??;
    let mut found = reads::ledger_row(&row).ok()?;
    if found.answer.is_none() {
        // The user was deleted meanwhile.
        found.answer.clone_from(&guard.record.answer);
    }
    Some(found == guard.record)
}

/// A write without guards that is stale: by itself, or by another's?
async fn stale(client: &Client, job: &Job) -> Committed {
    let Some(row) = &job.pack.user else {
        return Committed::Unknown;
    };
    let Ok(found) = client.query_opt(reads::ROW, &[&row.id]).await else {
        return Committed::Unknown;
    };
    let found = found.and_then(|found| Some((found.try_get(0).ok()?, found.try_get::<_, Vec<u8>>(1).ok()?)));
    judge(row, found)
}

fn judge(row: &UserRow, found: Option<(i64, Vec<u8>)>) -> Committed {
    match found {
        Some((version, record)) if version == row.version && record == row.record => Committed::Done,
        // Done, and changed since? Or never done?
        Some((version, _)) if version > row.version => Committed::Unknown,
        // Another's write stands in its place, or nothing: what it starts from never comes back.
        Some(_) | None => Committed::Stale,
    }
}
