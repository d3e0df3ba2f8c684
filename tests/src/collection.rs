//! The collection of bad inputs, where it lies beside the repository.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::root;

/// What the collection expects of each id of these groups; `None` where it is not there.
pub(crate) fn expectations(groups: &[&str]) -> Option<BTreeMap<String, Value>> {
    let text = fs::read_to_string(root().join("../shared/bad-inputs.jsonl")).ok()?;
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let sought = entries.filter(|entry| groups.contains(&entry["group"].as_str().unwrap()));
    Some(sought.map(|entry| (entry["id"].as_str().unwrap().to_owned(), entry["expect"].clone())).collect())
}
