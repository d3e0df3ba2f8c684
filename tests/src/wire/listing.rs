//! Which bad inputs below the dialects there are, and which test runs each.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use super::raw;
use crate::{collection, root};

/// The groups of the collection that are listed here.
const GROUPS: [&str; 10] = [
    "h1-framing",
    "h1-line",
    "h2",
    "resource",
    "network",
    "process",
    "store-fault",
    "clock",
    "config",
    "leak",
];

/// `tests/bad-inputs/transport.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    tested: Vec<Tested>,
    not_applicable: Vec<NotApplicable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tested {
    ids: Vec<String>,
    /// `file::function`
    by: String,
    /// The decision by which the collection's expectation does not hold.
    overridden: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NotApplicable {
    ids: Vec<String>,
    why: String,
}

fn listing() -> Listing {
    let text = fs::read_to_string(root().join("tests/bad-inputs/transport.toml")).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("transport.toml: {error}"))
}

/// The ids that are run from files of raw bytes: a variant has a word behind its id.
fn raw_ids() -> Vec<(String, Option<String>)> {
    let files = ["h1-framing.toml", "h1-line.toml"].map(|file| root().join("tests/bad-inputs").join(file));
    let cases = files.iter().flat_map(|file| raw::load(file));
    cases.map(|case| (case.id, case.overridden)).collect()
}

/// Every mistake in the list: tests that are not there, decisions without a number, ids that the
/// collection beside the repository does not have, or that are not listed once.
#[must_use]
pub fn mistakes() -> Vec<String> {
    let Listing { tested, not_applicable } = listing();
    let mut mistakes: Vec<_> = tested.iter().filter_map(|entry| missing(&entry.by)).collect();
    let raw = raw_ids();
    let overridden = tested.iter().filter_map(|entry| entry.overridden.as_ref());
    let overridden = overridden.chain(raw.iter().filter_map(|(_, overridden)| overridden.as_ref()));
    let nameless = overridden.filter(|text| !text.starts_with("decision "));
    mistakes.extend(nameless.map(|text| format!("{text:?} names no decision")));
    mistakes.extend(
        not_applicable
            .iter()
            .filter(|entry| entry.why.is_empty())
            .map(|entry| format!("{:?}: why?", entry.ids)),
    );
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let listed = tested.iter().map(|entry| &entry.ids).chain(not_applicable.iter().map(|entry| &entry.ids));
    for id in listed.flatten() {
        *times.entry(id.clone()).or_default() += 1;
    }
    let Some(collected) = collection::expectations(&GROUPS) else { return mistakes };
    for (id, _) in &raw {
        if collected.contains_key(id) {
            *times.entry(id.clone()).or_default() += 1;
        }
    }
    mistakes
        .extend(times.keys().filter(|id| !collected.contains_key(*id)).map(|id| format!("{id} is no id")));
    let wrong = collected.keys().filter(|id| times.get(*id) != Some(&1));
    mistakes.extend(wrong.map(|id| format!("{id} is listed {} times", times.get(id).unwrap_or(&0))));
    mistakes
}

/// What is wrong with a reference to a test, or to a trial of a script.
fn missing(by: &str) -> Option<String> {
    let (file, name) = by.split_once("::")?;
    let text = fs::read_to_string(root().join(file)).unwrap_or_default();
    let sought = if file.starts_with("scripts/") { format!("{file} {name} ") } else { format!("fn {name}(") };
    (!text.contains(&sought)).then(|| format!("there is no {by}"))
}
