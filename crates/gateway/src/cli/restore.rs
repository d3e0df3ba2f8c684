//! `interlingua restore`: the store of a backup, in a data directory that holds none.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use store_embedded::{BackupError, EmbeddedStore};

use super::{DAMAGED, IO_FAILURE, data, printer};

/// What to restore, and where to.
#[derive(Args, Debug)]
pub(super) struct Order {
    #[command(flatten)]
    data: data::Data,
    /// The directory of the backup
    dir: PathBuf,
}

pub(super) fn run(order: &Order) -> Result<ExitCode, ExitCode> {
    let place = order.data.place()?;
    match EmbeddedStore::restore(&order.dir, &place.dir, place.options) {
        Ok(told) => Ok(printer::out(&format!(
            "{}: batch {}, {} records, none damaged",
            place.dir.display(),
            told.batch,
            told.records
        ))),
        Err(error @ BackupError::Damaged(_)) => Err(data::failed("restore", &error.to_string(), DAMAGED)),
        Err(error) => Err(data::failed("restore", &error.to_string(), IO_FAILURE)),
    }
}
