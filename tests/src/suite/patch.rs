//! json-patch-tests against the engine of the dialect `rest`: `[{doc, patch, expected? | error?,
//! disabled?, comment?}]`. A record without `expected` and `error` need only be applied.

use std::path::Path;

use serde_json::Value;

use super::{Report, Suite};

pub(super) const SUITE: Suite = Suite { name: "json-patch", run, records: 91, differences: DIFFERENCES };

const DIFFERENCES: &[(&str, &[&str])] = &[];

fn run(path: &str, records: &Value, report: &mut Report) {
    let file = Path::new(path).file_stem().unwrap().to_str().unwrap();
    let enabled = |record: &&Value| record["disabled"] != true;
    let records = records.as_array().expect("a list of records").iter().enumerate();
    for (at, record) in records.filter(|(_, record)| enabled(record)) {
        let comment = record["comment"].as_str().or(record["error"].as_str()).unwrap_or_default();
        let patched =
            dialect_rest::fuzz::apply(record["doc"].clone(), record["patch"].to_string().as_bytes());
        let result = match (patched, record.get("expected"), record.get("error")) {
            (Ok(_), _, Some(error)) => Err(format!("is applied, but {error}")),
            (Err(_), _, Some(_)) | (Ok(_), None, None) => Ok(()),
            (Err(error), _, None) => Err(format!("is refused: {:?}", error.kind)),
            // Members may stand in any order.
            (Ok(is), Some(should), None) if is == *should => Ok(()),
            (Ok(is), Some(should), None) => Err(format!("gives {is}, not {should}")),
        };
        report.note(&format!("{file} {at}: {comment}"), result);
    }
}
