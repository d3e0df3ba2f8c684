//! `interlingua migrate`: makes the tables of a PostgreSQL, or brings them up to date.

use std::process::ExitCode;

use store_postgres::Migrated;

use super::{File, IO_FAILURE, USAGE, data::failed, printer};
use crate::{
    config::{Ledger, Overrides, StoreConfig},
    remote,
};

pub(super) fn run(file: &File) -> Result<ExitCode, ExitCode> {
    let config = file.load(&Overrides::default())?;
    let (StoreConfig::Postgres(postgres) | StoreConfig::Upstream(_, Ledger::Postgres(postgres))) =
        &config.store
    else {
        let why = "this is for a PostgreSQL, and the configuration has the embedded store, which needs no migration";
        return Err(failed("migrate", why, USAGE));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed("migrate", &error.to_string(), IO_FAILURE))?;
    let migrated = runtime.block_on(store_postgres::migrate(&remote::options(postgres)));
    match migrated {
        Ok(Migrated { from, to }) if from == to => {
            Ok(printer::out(&format!("the database is at migration {to}, as it should be")))
        }
        Ok(Migrated { from, to }) => {
            Ok(printer::out(&format!("the database was at migration {from}, and is at {to}")))
        }
        Err(error) => Err(failed("migrate", &error.to_string(), IO_FAILURE)),
    }
}
