//! What came of an import so far: counted, reported, noted, shown.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{report::Report, state::State};
use crate::{
    cli::printer,
    transfer::{
        lines::Edge,
        verdict::{Refusal, Verdict},
    },
};

/// How often a state is noted.
const NOTED: Duration = Duration::from_secs(1);
/// How often the line of a terminal is written anew.
const SHOWN: Duration = Duration::from_millis(200);
/// How often a line is written where nobody looks.
const TOLD: Duration = Duration::from_secs(10);
/// The characters of a whole bar.
const BAR: usize = 24;

/// Counts verdicts.
pub(super) struct Tally {
    /// How far it came.
    pub(super) state: State,
    /// Where that is noted; `None` for an input that cannot be read twice.
    pub(super) note: Option<PathBuf>,
    /// Where lines that were refused are reported.
    pub(super) report: Report,
    /// The bytes of the input.
    pub(super) size: Option<u64>,
    /// The most bytes of a line.
    pub(super) longest: usize,
    pace: Pace,
}

/// When it began, and what it did last when.
struct Pace {
    is_watched: bool,
    began: Instant,
    /// Lines that an earlier run has dealt with.
    lines: u64,
    /// `None` until it is: the first verdict is noted at once.
    noted: Option<Instant>,
    shown: Instant,
}

impl Tally {
    /// Goes on from a state.
    pub(super) fn new(
        state: State,
        note: Option<PathBuf>,
        report: Report,
        size: Option<u64>,
        longest: usize,
    ) -> Self {
        let (now, lines) = (Instant::now(), state.lines);
        let pace = Pace { is_watched: printer::is_watched(), began: now, lines, noted: None, shown: now };
        Self { state, note, report, size, longest, pace }
    }

    /// Adds what came of a chunk.
    pub(super) fn add(&mut self, mut verdict: Verdict, edge: &Edge) -> io::Result<()> {
        let too_long = edge.too_long.iter().map(|line| Refusal::too_long(*line, self.longest));
        verdict.refused.extend(too_long);
        verdict.refused.sort_by_key(|refusal| refusal.line);
        self.report.add(&verdict.report())?;
        self.state.created += verdict.created;
        self.state.there += verdict.there;
        self.state.refused += verdict.refused.len() as u64;
        self.state.advance(&edge.mark);
        if self.pace.noted.is_none_or(|noted| noted.elapsed() >= NOTED) {
            self.note()?;
        }
        self.show();
        Ok(())
    }

    /// Notes how far it came: first the report, then what counts it.
    pub(super) fn note(&mut self) -> io::Result<()> {
        self.state.report = self.report.sync()?;
        if let Some(path) = &self.note {
            self.state.save(path)?;
        }
        self.pace.noted = Some(Instant::now());
        Ok(())
    }

    /// Forgets the note, once all is done.
    pub(super) fn forget(&self) -> io::Result<()> {
        self.note.as_deref().map_or(Ok(()), fs::remove_file)
    }

    fn show(&mut self) {
        let every = if self.pace.is_watched { SHOWN } else { TOLD };
        if self.pace.shown.elapsed() < every {
            return;
        }
        self.pace.shown = Instant::now();
        let seconds = self.pace.began.elapsed().as_secs_f64();
        let rate = (self.state.lines - self.pace.lines) as f64 / seconds;
        let State { lines, refused, .. } = self.state;
        let figures = format!("{lines} lines, {rate:.0} a second, {refused} refused");
        match (self.part(), self.pace.is_watched) {
            (Some(part), true) => {
                let done = "=".repeat((part * BAR as f64) as usize);
                printer::rewrite(&format!("[{done:<BAR$}] {:.0} %, {figures}", part * 100.0));
            }
            (None, true) => printer::rewrite(&figures),
            (Some(part), false) => {
                printer::err(&format!("interlingua import: {:.0} %, {figures}", part * 100.0))
            }
            (None, false) => printer::err(&format!("interlingua import: {figures}")),
        }
    }

    /// How much of the input is done with.
    fn part(&self) -> Option<f64> {
        let size = self.size.filter(|size| *size > 0)?;
        Some((self.state.bytes as f64 / size as f64).min(1.0))
    }

    /// Leaves no trace of the line of a terminal.
    pub(super) fn hide(&self) {
        if self.pace.is_watched {
            printer::rewrite("");
        }
    }
}
