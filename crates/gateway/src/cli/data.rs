//! What the commands about the data directory share: its place, its options, and the way to its store.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;
use store_embedded::{EmbeddedStore, OpenError, Options};

use super::{DAMAGED, File, IO_FAILURE, USAGE, printer};
use crate::{
    clock,
    config::{Config, Embedded, Overrides, StoreConfig},
    control::{self, Reply, Request},
};

/// What a command about files says of a configuration without any.
pub(crate) const NOT_EMBEDDED: &str = "this is for the embedded store, and the configuration has another: \
                                       back up and verify that with its own tools (pg_dump, pg_basebackup)";

/// Which store.
#[derive(Args, Debug)]
pub(super) struct Data {
    #[command(flatten)]
    file: File,
    /// The embedded store is in this directory instead
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// A store of the configuration: where it is, and how it is opened.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
}

impl Place {
    /// As the configuration says; `None` where the store is another one.
    pub(crate) fn of(config: &StoreConfig) -> Option<Self> {
        match config {
            StoreConfig::Embedded(embedded) => Some(Self::at(embedded.clone())),
            StoreConfig::Postgres(_) | StoreConfig::Upstream(..) => None,
        }
    }

    /// A directory of this machine, and how it is opened.
    pub(crate) fn at(Embedded { path, cache_bytes, encryption_key }: Embedded) -> Self {
        let options = Options {
            cache_bytes: usize::try_from(cache_bytes).unwrap_or(usize::MAX),
            encryption_key,
            ..Options::new(Arc::new(clock::now))
        };
        Self { dir: path, options }
    }
}

impl Data {
    pub(super) fn config(&self) -> Result<Config, ExitCode> {
        self.file.load(&Overrides { data: self.data.clone(), ..Overrides::default() })
    }

    pub(super) fn place(&self) -> Result<Place, ExitCode> {
        Place::of(&self.config()?.store).ok_or_else(|| {
            printer::err(&format!("interlingua: {NOT_EMBEDDED}"));
            ExitCode::from(USAGE)
        })
    }
}

/// Does what is asked: by the process that has the store open, or else here.
pub(super) fn carry_out(command: &str, place: Place, request: &Request) -> Result<ExitCode, ExitCode> {
    let progress = |text: &str| printer::err(&format!("interlingua {command}: {text}"));
    let asked = control::ask(&place.dir, request, progress);
    let asked =
        asked.map_err(|error| failed(command, &format!("the running process: {error}"), IO_FAILURE))?;
    let reply = match asked {
        Some(reply) => reply,
        None => {
            if !place.dir.exists() {
                let why = format!("there is no directory {}", place.dir.display());
                return Err(failed(command, &why, IO_FAILURE));
            }
            let store = EmbeddedStore::open(&place.dir, place.options);
            request.obey(&store.map_err(|error| unopened(command, &error))?, |_records| true)
        }
    };
    match reply {
        Reply::Done(text) => Ok(printer::out(&text)),
        Reply::Damaged(why) => Err(failed(command, &why, DAMAGED)),
        Reply::Failed(why) => Err(failed(command, &why, IO_FAILURE)),
    }
}

pub(super) fn unopened(command: &str, error: &OpenError) -> ExitCode {
    failed(command, &error.to_string(), if error.fault.is_damage() { DAMAGED } else { IO_FAILURE })
}

pub(super) fn failed(command: &str, why: &str, code: u8) -> ExitCode {
    printer::err(&format!("interlingua {command}: {why}"));
    ExitCode::from(code)
}
