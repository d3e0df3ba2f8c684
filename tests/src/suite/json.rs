//! JSONTestSuite's parsing records against the strict reader: `[{name, error?, input}]`. What begins with
//! `y_` must be read, `n_` must not; of `i_` any will do, so long as it is the same every time.

use gateway_dialect::json;
use serde_json::Value;

use super::{Report, Suite};

pub(super) const SUITE: Suite = Suite { name: "json", run, records: 318, differences: DIFFERENCES };

/// Stricter than RFC 8259, as decision 7 has it.
const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "of two members of one name, either could be meant",
        &["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"],
    ),
    (
        "no store of text can be trusted with U+0000",
        &["y_object_escaped_null_in_key.json", "y_string_null_escape.json"],
    ),
];

fn run(_: &str, records: &Value, report: &mut Report) {
    for record in records.as_array().expect("a list of records") {
        let (name, input) = (record["name"].as_str().unwrap(), record["input"].as_str().unwrap());
        let read = json::parse(input.as_bytes());
        let again = json::parse(input.as_bytes());
        assert!(read == again, "{name} is read in two ways");
        let as_it_says = match name.get(..2) {
            Some("y_") => read.map(|_| ()).map_err(|error| error.to_string()),
            Some("n_") => read.map_or(Ok(()), |_| Err("is read".into())),
            Some("i_") => Ok(()),
            _ => Err("is of no kind".into()),
        };
        report.note(name, as_it_says);
    }
}
