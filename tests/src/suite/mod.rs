//! Suites that others wrote, as data: each record is fed to a part of ours, and must fare as it says.
//! Where we differ on purpose, a table says so, record by record, with the reason; a record of such a table
//! that fares as the suite says, or is not there, is a mistake, too.

mod formats;
mod json;
mod patch;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde_json::Value;

/// A suite.
pub struct Suite {
    /// Its name on the command line.
    pub name: &'static str,
    /// Reads one of its files.
    pub run: fn(&str, &Value, &mut Report),
    /// How many records it has.
    pub records: usize,
    /// Records that fare otherwise here, and why.
    pub differences: &'static [(&'static str, &'static [&'static str])],
}

/// Every suite.
pub const SUITES: &[Suite] = &[json::SUITE, patch::SUITE, formats::SUITE];

/// How the records fared.
#[derive(Default)]
pub struct Report {
    names: BTreeSet<String>,
    failures: BTreeMap<String, String>,
}

impl Report {
    /// Notes a record, and how it failed where it did.
    pub fn note(&mut self, name: &str, result: Result<(), String>) {
        assert!(self.names.insert(name.to_owned()), "two records are called {name:?}");
        if let Err(failure) = result {
            self.failures.insert(name.to_owned(), failure);
        }
    }

    /// Prints the result.
    pub fn finish(mut self, suite: &Suite) -> ExitCode {
        let listed = || suite.differences.iter().flat_map(|(_, names)| names.iter());
        let differences = listed().count();
        let mut mistakes: Vec<String> = listed()
            .filter(|name| self.failures.remove(**name).is_none())
            .map(|name| format!("{name}: listed as different, but is not"))
            .collect();
        mistakes.extend(self.failures.iter().map(|(name, failure)| format!("{name}: {failure}")));
        if self.names.len() != suite.records {
            mistakes.push(format!("{} records where {} should be", self.names.len(), suite.records));
        }
        for mistake in &mistakes {
            eprintln!("{}: {mistake}", suite.name);
        }
        println!("{}: {} records, {differences} explained differences", suite.name, self.names.len());
        if mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
