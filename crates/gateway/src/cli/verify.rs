//! `interlingua verify`: reads every record of the store, also while it is served.

use std::process::ExitCode;

use clap::Args;
use store_embedded::EmbeddedStore;

use super::{data, printer};
use crate::control::Request;

/// What to verify.
#[derive(Args, Debug)]
pub(super) struct Order {
    #[command(flatten)]
    data: data::Data,
    /// Accept what is there where users.acked is lost or damaged, and make it anew
    ///
    /// A loss at the very end of the data can then not be told any more: restore a backup if you have
    /// one. The process must not run.
    #[arg(long)]
    repair_mark: bool,
}

pub(super) fn run(order: &Order) -> Result<ExitCode, ExitCode> {
    let place = order.data.place()?;
    if order.repair_mark {
        let repaired = EmbeddedStore::repair_mark(&place.dir, place.options.clone());
        let batch = repaired.map_err(|error| data::unopened("verify", &error))?;
        printer::err(&format!("interlingua verify: users.acked says batch {batch}"));
    }
    data::carry_out("verify", place, &Request::Verify)
}
