//! The store of an older release, brought up to date: the rows behind lists, made from the users.
//!
//! First all users are read: a store with a damaged one is left to the older release. Then the marker says
//! that the upgrade was begun: no older release takes the store from then on, and writes users without
//! their rows. Each batch says how far it came, so that the next opening goes on where this one was cut
//! short. Last the marker says that every user has its rows.

use gateway_core::{Selection, StoreError, User, UserId};

use crate::{
    Shared,
    engine::{LISTED, Place, Rows},
    error::OpenFault,
    marker::Lists,
    record::Stored,
};

/// How many users a batch is about.
#[cfg(not(test))]
const BATCH: usize = 1024;
#[cfg(test)]
const BATCH: usize = 4;

/// Makes the rows that a store lacks; until that is done nobody else writes.
pub(crate) fn run(shared: &Shared) -> Result<(), OpenFault> {
    let engine = &shared.engine;
    if engine.lists() == Lists::Whole {
        return Ok(());
    }
    tracing::info!("the store is of an older release: making its index of lists");
    if engine.lists() == Lists::Absent {
        engine.view().stored(None).try_for_each(|stored| stored.map(drop)).map_err(OpenFault::Store)?;
        engine.set_lists(Lists::Begun)?;
    }
    let records = make(shared)?;
    shared.mark.sync()?;
    engine.set_lists(Lists::Whole)?;
    tracing::info!(records, "the index of lists is made");
    Ok(())
}

/// Makes the rows of all users behind the last one that has them; how many those were.
fn make(shared: &Shared) -> Result<usize, OpenFault> {
    let engine = &shared.engine;
    let mut after = engine.view().listed().map_err(OpenFault::Store)?;
    let (mut seq, mut records) = (shared.mark.acked(), 0);
    loop {
        let found: Result<Vec<_>, _> = engine.view().stored(after).take(BATCH).collect();
        let found = found.map_err(OpenFault::Store)?;
        let last = found.last().map(Stored::id).filter(|_| found.len() == BATCH);
        seq += 1;
        engine.apply(rows(shared, &found, last, seq).map_err(OpenFault::Store)?)?;
        shared.mark.note(seq)?;
        records += found.len();
        match last {
            Some(_) => after = last,
            None => return Ok(records),
        }
    }
}

/// A batch: the rows of some users, and after which one the next goes on.
fn rows(shared: &Shared, found: &[Stored], last: Option<UserId>, seq: u64) -> Result<Rows, StoreError> {
    let (engine, mut rows) = (&shared.engine, Rows::default());
    for stored in found {
        if let Stored::Live(user) = stored {
            for key in engine.selected_keys(&missing(user), user.id) {
                engine.put(&mut rows, Place::Keys, key, &[])?;
            }
        }
    }
    match last {
        Some(id) => engine.put(&mut rows, Place::Meta, LISTED.to_vec(), id.as_bytes())?,
        None => rows.remove(Place::Meta, LISTED.to_vec()),
    }
    engine.put_seq(&mut rows, seq)?;
    Ok(rows)
}

/// The selections in which older releases gave a user no row.
fn missing(user: &User) -> Vec<Selection> {
    let mut all = Selection::of(user);
    all.retain(|one| !matches!(one, Selection::Namespace(_)));
    all
}
