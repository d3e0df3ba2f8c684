//! `interlingua backup`: the store of this moment, into a new directory, also while it is served.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{IO_FAILURE, data};
use crate::control::Request;

/// What to back up, and where to.
#[derive(Args, Debug)]
pub(super) struct Order {
    #[command(flatten)]
    data: data::Data,
    /// A new directory for the backup, in one that exists
    dir: PathBuf,
}

pub(super) fn run(order: &Order) -> Result<ExitCode, ExitCode> {
    let place = order.data.place()?;
    // The running process may have another working directory.
    let dir = std::path::absolute(&order.dir);
    let dir = dir.map_err(|error| data::failed("backup", &error.to_string(), IO_FAILURE))?;
    data::carry_out("backup", place, &Request::Backup(dir))
}
