//! `interlingua export`: all users of the store into a file, also while it is served.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use tokio::sync::mpsc;

use super::{DAMAGED, IO_FAILURE, data, host::Host, import::private, printer};
use crate::{
    config::Config,
    transfer::{Failure, export::Lines, serve::Asked},
};

/// Which users, and where to.
#[derive(Args, Debug)]
pub(super) struct Order {
    #[command(flatten)]
    data: data::Data,
    /// A new file; - for stdout
    file: PathBuf,
}

/// Where lines go.
enum Target {
    Stdout(io::Stdout),
    /// A file under another name, until it is whole.
    File {
        file: BufWriter<fs::File>,
        partial: PathBuf,
        path: PathBuf,
    },
}

pub(super) fn run(order: &Order) -> Result<ExitCode, ExitCode> {
    let config = order.data.config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| data::failed("export", &error.to_string(), IO_FAILURE))?;
    let done = runtime.block_on(export(order, config));
    done.map_err(|Failure { why, is_damage }| {
        data::failed("export", &why, if is_damage { DAMAGED } else { IO_FAILURE })
    })
}

async fn export(order: &Order, config: Config) -> Result<ExitCode, Failure> {
    let unwritten = |error: io::Error| Failure::new(format!("{}: {error}", order.file.display()));
    let mut target = Target::open(&order.file).map_err(unwritten)?;
    let written = write(&config, &mut target).await;
    let (users, secrets) = match written {
        Ok(counts) => counts,
        Err(failure) => {
            target.discard();
            return Err(failure);
        }
    };
    target.finish().map_err(unwritten)?;
    printer::err(&format!("interlingua export: {users} users"));
    if secrets > 0 {
        let why = "have secureMetadata, which is never shown and is not in it";
        printer::err(&format!("interlingua export: {secrets} of them {why}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes all users; says how many there are, and how many have a secret document.
async fn write(config: &Config, target: &mut Target) -> Result<(u64, u64), Failure> {
    let host = Host::find(config, Asked::Export).await?;
    let (lines_in, mut lines) = mpsc::channel(1);
    let exporting = tokio::spawn(host.export(lines_in));
    let (mut users, mut secrets) = (0, 0);
    while let Some(Lines { users: count, secrets: hidden, text }) = lines.recv().await {
        (users, secrets) = (users + count, secrets + hidden);
        target.write(&text).map_err(|error| Failure::new(format!("the output: {error}")))?;
    }
    exporting.await.map_err(|fallen| Failure::new(fallen.to_string()))??;
    Ok((users, secrets))
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        is_free(path)?;
        let mut partial = OsString::from(path);
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        Ok(Self::File { file: BufWriter::new(private(&partial)?), partial, path: path.to_owned() })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.write_all(text),
            Self::File { file, .. } => file.write_all(text),
        }
    }

    /// Gives the file its name, once all of it is on the disk.
    fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush(),
            Self::File { file, partial, path } => {
                file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
                is_free(&path)?;
                fs::rename(&partial, &path)?;
                let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
                fs::File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
            }
        }
    }

    fn discard(self) {
        if let Self::File { partial, .. } = self {
            // That it failed is told; what is left of it is of no use.
            fs::remove_file(partial).ok();
        }
    }
}

/// Nothing is written over.
fn is_free(path: &Path) -> io::Result<()> {
    match path.try_exists()? {
        true => Err(io::ErrorKind::AlreadyExists.into()),
        false => Ok(()),
    }
}
