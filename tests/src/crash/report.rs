//! The table of what was tried, and what came of it.

use std::{fmt::Write as _, sync::atomic::Ordering, time::Duration};

use super::oracle::{Fault, Oracle, Wrong};

/// How many wrong things are told in words.
const TOLD: usize = 12;

/// What one trial came to.
#[derive(Debug, Default)]
pub struct Report {
    /// The trial.
    pub name: &'static str,
    /// Kills, cuts, faults or flips.
    pub rounds: usize,
    /// Writes that were acknowledged.
    pub acked: u64,
    /// Writes that were answered as unknown.
    pub unknown: u64,
    /// What should not have been.
    pub wrongs: Vec<Wrong>,
    /// The longest that a gateway took to come back.
    pub slowest: Duration,
    /// Figures of this trial.
    pub note: String,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Adds what an oracle of this trial knows; once for each oracle.
    pub(crate) fn add(&mut self, oracle: &Oracle) {
        self.acked += oracle.acked.swap(0, Ordering::SeqCst);
        self.unknown += oracle.unknown.swap(0, Ordering::SeqCst);
        self.wrongs.extend(oracle.take_wrongs());
    }

    /// How often a promise was broken.
    #[must_use]
    pub fn count(&self, fault: Fault) -> usize {
        self.wrongs.iter().filter(|wrong| wrong.fault == fault).count()
    }

    /// The head of the table.
    #[must_use]
    pub fn head() -> String {
        let head = "| trial | rounds | acknowledged | unknown | lost | twice | half | silent | other | |";
        format!("{head}\n|{}", "---|".repeat(10))
    }

    /// A row of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let faults = [Fault::Lost, Fault::Twice, Fault::Half, Fault::Silent, Fault::Other];
        let counts = faults.map(|fault| self.count(fault).to_string()).join(" | ");
        format!(
            "| {} | {} | {} | {} | {counts} | {} |",
            self.name, self.rounds, self.acked, self.unknown, self.note
        )
    }

    /// The first wrong things, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = String::new();
        for wrong in self.wrongs.iter().take(TOLD) {
            writeln!(words, "  {wrong}").unwrap();
        }
        if self.wrongs.len() > TOLD {
            writeln!(words, "  and {} more", self.wrongs.len() - TOLD).unwrap();
        }
        words
    }
}
