//! `interlingua import`: users of a file into the store, also while it is served.

mod input;
mod report;
mod state;
mod tally;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

pub(super) use self::state::private;
use self::{input::Input, report::Report, state::State, tally::Tally};
use super::{DAMAGED, INTERRUPTED, IO_FAILURE, REFUSED, data, host::Host, printer};
use crate::{
    config::Config,
    transfer::{
        Failure,
        lines::{Chunk, Edge},
        serve::Asked,
    },
};

/// Which users, and where to.
#[derive(Args, Debug)]
pub(super) struct Order {
    #[command(flatten)]
    data: data::Data,
    /// Only say what is wrong with the lines by themselves; no store is opened
    #[arg(long)]
    dry_run: bool,
    /// Report the refused lines here, by number and reason [default: FILE.refused; stderr for -]
    #[arg(long, value_name = "PATH")]
    refused: Option<PathBuf>,
    /// The users, one JSON object a line, as the `rest` dialect answers them; - for stdin
    file: PathBuf,
}

/// How an import ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Interrupted,
}

pub(super) fn run(order: &Order) -> Result<ExitCode, ExitCode> {
    let config = order.data.config()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| data::failed("import", &error.to_string(), IO_FAILURE))?;
    let done = runtime.block_on(import(order, config));
    // A thread may still wait for stdin.
    runtime.shutdown_background();
    done.map_err(|Failure { why, is_damage }| {
        data::failed("import", &why, if is_damage { DAMAGED } else { IO_FAILURE })
    })
}

async fn import(order: &Order, config: Config) -> Result<ExitCode, Failure> {
    let mut host = match order.dry_run {
        true => Host::Nowhere,
        false => Host::find(&config, Asked::Import).await?,
    };
    let store = host.ready().await?;
    let (input, mut tally) = order.open(store, config.server.max_body_bytes)?;
    let (pieces_in, pieces) = mpsc::channel(1);
    let ((chunks_in, chunks), (edges_in, mut edges)) = (mpsc::channel(1), mpsc::unbounded_channel());
    let (verdicts_in, mut verdicts) = mpsc::channel(1);
    let ended = input.start(pieces_in).map_err(|error| order.failed(&error))?;
    let importing = tokio::spawn(host.import(chunks, verdicts_in));
    let handing = tokio::spawn(hand_on(pieces, chunks_in, edges_in));
    while let Some(verdict) = verdicts.recv().await {
        let Some(edge) = edges.recv().await else { break };
        tally.add(verdict, &edge).map_err(|error| noted(&error))?;
    }
    tally.hide();
    // How far it came counts, however it ended.
    tally.note().map_err(|error| noted(&error))?;
    importing.await.map_err(|fallen| Failure::new(fallen.to_string()))??;
    let end = handing.await.map_err(|fallen| Failure::new(fallen.to_string()))?;
    if end == End::Whole {
        let read = ended.await.map_err(|_gone| Failure::new("the reader fell"))?;
        read.map_err(|error| order.failed(&error))?;
        tally.forget().map_err(|error| noted(&error))?;
    }
    Ok(order.told(&tally, end))
}

/// Hands chunks on until there are no more, or a signal ends it: what is on its way is then still done.
async fn hand_on(
    mut pieces: mpsc::Receiver<(Chunk, Edge)>,
    chunks: mpsc::Sender<Chunk>,
    edges: mpsc::UnboundedSender<Edge>,
) -> End {
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(interrupt), Ok(terminate)] = &mut signals else { return End::Interrupted };
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            _ = interrupt.recv() => return End::Interrupted,
            _ = terminate.recv() => return End::Interrupted,
        };
        let Some((chunk, edge)) = piece else { return End::Whole };
        // Where nobody takes it, another says why.
        if edges.send(edge).is_err() || chunks.send(chunk).await.is_err() {
            return End::Whole;
        }
    }
}

impl Order {
    /// The input, from where an earlier run ended, and what is to be told of it.
    fn open(&self, store: String, longest: usize) -> Result<(Input, Tally), Failure> {
        let failed = |error: io::Error| self.failed(&error);
        let is_stdin = self.file == Path::new("-");
        let report = match (&self.refused, is_stdin) {
            (Some(path), _) => Some(path.clone()),
            (None, false) => Some(beside(&self.file, ".refused")),
            (None, true) => None,
        };
        let note = (!is_stdin && !self.dry_run).then(|| beside(&self.file, ".state"));
        let input = match is_stdin {
            true => Input::stdin(longest),
            false => {
                let state = note.as_deref().and_then(|note| State::load(note, &store));
                let is_reported = |state: &State| {
                    let bytes = report.as_deref().and_then(|path| fs::metadata(path).ok());
                    bytes.map_or(0, |about| about.len()) >= state.report
                };
                Input::open(&self.file, state.filter(is_reported), longest).map_err(failed)?
            }
        };
        let note = note.filter(|_| input.size.is_some());
        let state = input.state.clone();
        if let Some(State { lines, .. }) = &state {
            printer::err(&format!("interlingua import: goes on after line {lines}"));
        }
        let state = state.unwrap_or_else(|| State { store, ..State::default() });
        let report = match report {
            Some(path) => Report::open(path, state.report).map_err(|error| noted(&error))?,
            None => Report::Stderr,
        };
        let tally = Tally::new(state, note, report, input.size, longest);
        Ok((input, tally))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::new(format!("{}: {error}", self.file.display()))
    }

    /// Says how it ended.
    fn told(&self, tally: &Tally, end: End) -> ExitCode {
        let State { lines, created, there, refused, .. } = tally.state;
        let made = if self.dry_run { "fit" } else { "created" };
        let name = self.file.display();
        let counts =
            format!("{name}: {lines} lines, {created} {made}, {there} already there, {refused} refused");
        let told = printer::out(&counts);
        if refused > 0
            && let Some(path) = tally.report.path()
        {
            printer::err(&format!("interlingua import: why lines were refused: {}", path.display()));
        }
        if end == End::Interrupted {
            printer::err("interlingua import: interrupted; the same command goes on from here");
            return ExitCode::from(INTERRUPTED);
        }
        if refused > 0 { ExitCode::from(REFUSED) } else { told }
    }
}

/// A file beside another.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn noted(error: &io::Error) -> Failure {
    Failure::new(format!("what is noted beside the input: {error}"))
}
