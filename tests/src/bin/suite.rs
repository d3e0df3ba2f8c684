//! Feeds records of a suite that others wrote to a part of ours: `suite NAME FILE...`; `scripts/suites`
//! fetches the files. Ends with 1 where a record fares otherwise than it says, and fewer of them are here
//! than there should be.

use std::{process::ExitCode, str::FromStr};

use tests::suite::{Report, SUITES};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(suite) = SUITES.iter().find(|suite| suite.name == name) else {
        let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        eprintln!("usage: suite {} FILE...", names.join("|"));
        return ExitCode::from(64);
    };
    let mut report = Report::default();
    for path in arguments {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let records = serde_json::Value::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        (suite.run)(&path, &records, &mut report);
    }
    report.finish(suite)
}
