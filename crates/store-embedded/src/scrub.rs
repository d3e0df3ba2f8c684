//! Once a day every record is read, unsealed and decoded: damage is found while there is a backup.

use std::time::Duration;

use gateway_core::StoreError;

use crate::Shared;

const DAY: Duration = Duration::from_secs(24 * 3600);
const CHUNK: usize = 512;
/// Between two chunks, so that a scrub takes a small part of one core.
const REST: Duration = Duration::from_millis(20);

/// What a scrub found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// The records read.
    pub records: u64,
    /// Those that failed their seal, or made no sense: reading one of them is an error.
    pub damaged: u64,
}

/// Runs until stopped.
pub(crate) fn run(shared: &Shared) {
    while !shared.stop.wait(DAY) {
        match scrub(shared, &mut |_records| !shared.stop.wait(REST)) {
            Ok(Scrubbed { damaged: 0, records }) => tracing::info!(records, "scrub: no record is damaged"),
            Ok(Scrubbed { damaged, records }) => {
                tracing::error!(damaged, records, "scrub: records are damaged")
            }
            Err(error) => tracing::error!(%error, "scrub: the engine cannot read its files"),
        }
    }
}

/// Reads every record, as long as it is told to go on; after each few it tells how many it has read.
pub(crate) fn scrub(shared: &Shared, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Scrubbed, StoreError> {
    let mut total = Scrubbed::default();
    for place in shared.engine.places() {
        let mut after = Vec::new();
        loop {
            // A view of its own for each chunk: a long-lived one would keep the engine from tidying up.
            let checked = shared.engine.view().check(place, &after, CHUNK)?;
            total.records += checked.records;
            total.damaged += checked.damaged;
            if !go_on(total.records) {
                return Ok(total);
            }
            match checked.last {
                Some(last) => after = last,
                None => break,
            }
        }
    }
    Ok(total)
}
