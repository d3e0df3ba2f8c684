//! Which bad inputs there are: held to the collection beside the repository, and told to the reader.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::{
    GROUPS,
    format::{Case, Dialect, Dialects, Group, Step},
};
use crate::collection;

/// Holds the cases to the collection of bad inputs, where it lies beside the repository: every id of
/// our groups is there, and an answer other than the collection's is a decision's.
#[must_use]
pub fn against_the_collection(groups: &[Group], dialects: &Dialects) -> Vec<String> {
    let Some(mut ours) = collection::expectations(&GROUPS) else { return Vec::new() };
    let mut wrong = Vec::new();
    for group in groups {
        for case in &group.cases {
            match ours.get(&case.id) {
                None => wrong.push(format!("{} is no id", case.id)),
                Some(expect) => wrong.extend(differences(case, expect, dialects)),
            }
        }
    }
    for id in listed(groups) {
        ours.remove(&id);
    }
    wrong.extend(ours.into_keys().map(|id| format!("{id} is not listed")));
    wrong
}

fn listed(groups: &[Group]) -> Vec<String> {
    let run = groups.iter().flat_map(|group| &group.cases).map(|case| case.id.clone());
    let not = groups.iter().flat_map(|group| &group.not_applicable).flat_map(|entry| entry.ids.clone());
    run.chain(not).collect()
}

/// Where a case expects what the collection does not, and no decision is named for it.
fn differences(case: &Case, expect: &Value, dialects: &Dialects) -> Vec<String> {
    let Some(step) = case.step.last() else { return Vec::new() };
    let differs = case.on.iter().filter_map(|dialect| {
        let wanted = wanted(expect, *dialect);
        let found = expected(step, *dialect, dialects);
        let writes = writes(step, *dialect);
        let all = case.step.iter().map(|step| self::writes(step, *dialect)).sum();
        let is_refusal = writes == 0 && !found.starts_with('2');
        let same_writes =
            expect["writes"].as_u64().is_none_or(|due| is_refusal || [writes, all].contains(&due));
        let is_same = same_writes && wanted.iter().any(|wanted| fits(wanted, &found));
        let by_kind = by_kind(step, *dialect, dialects).is_some();
        (!is_same).then(|| (by_kind, format!("{found}, {writes} writes; not {wanted:?}")))
    });
    let differs: Vec<_> = differs.collect();
    match &case.overridden {
        None => differs
            .into_iter()
            .filter(|(by_kind, _)| !by_kind)
            .map(|(_, difference)| format!("{} names no decision: {difference}", case.id))
            .collect(),
        Some(decision) if !decision.starts_with("decision ") => {
            vec![format!("{}: `{decision}` names no decision", case.id)]
        }
        Some(_) if differs.is_empty() => vec![format!("{} is overridden by nothing", case.id)],
        Some(_) => Vec::new(),
    }
}

fn writes(step: &Step, dialect: Dialect) -> u64 {
    step.writes.of(dialect).copied().unwrap_or(0)
}

/// The decision that overrides by the kind of the answer.
fn by_kind(step: &Step, dialect: Dialect, dialects: &Dialects) -> Option<String> {
    let kind = dialects.answer.get(step.expect.of(dialect)?)?;
    kind.overrides.get(&dialect).cloned()
}

fn expected(step: &Step, dialect: Dialect, dialects: &Dialects) -> String {
    let text = step.expect.of(dialect).cloned().unwrap_or_default();
    let kind = dialects.answer.get(&text).and_then(|kind| kind.of(dialect)).map(str::to_owned);
    kind.unwrap_or(text)
}

/// The answers that the collection allows, as `400 bad_request`.
fn wanted(expect: &Value, dialect: Dialect) -> Vec<String> {
    let one = expect.get("by").and_then(|by| by.get(dialect.name())).unwrap_or(expect);
    let code = match &one["code"] {
        Value::String(text) => format!(" {text}"),
        Value::Number(number) => format!(" {number}"),
        _ => String::new(),
    };
    let statuses = match &one["status"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    statuses.iter().map(|status| format!("{status}{code}")).collect()
}

/// A success has no code, and 201 is one; what the collection allows several of is told by status.
fn fits(wanted: &str, found: &str) -> bool {
    let status = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    if wanted.starts_with('2') {
        return found.starts_with('2');
    }
    let is_code =
        |text: &str| text.split_once(' ').is_some_and(|(_, code)| !code.contains(' ') && code != "policy");
    wanted == found || (!is_code(wanted) && status(wanted) == status(found))
}

/// The table and the lists of `tests/bad-inputs/README.md`.
#[must_use]
pub fn report(groups: &[Group], dialects: &Dialects) -> String {
    let mut text = String::from("| group | cases | run | of these overridden | not applicable |\n");
    text.push_str("|---|---:|---:|---:|---:|\n");
    let mut lists = String::new();
    for group in groups {
        let (run, overridden) = (ids(group, |_| true), ids(group, |case| reason(case, dialects).is_some()));
        let not: usize = group.not_applicable.iter().map(|entry| entry.ids.len()).sum();
        row(
            &mut text,
            format_args!(
                "| {} | {} | {} | {} | {not} |",
                group.name,
                run.len() + not,
                run.len(),
                overridden.len()
            ),
        );
        for (id, case) in overridden {
            row(&mut lists, format_args!("- {id}: {}", reason(case, dialects).unwrap_or_default()));
        }
    }
    text.push_str("\n## Overridden by a settled decision\n\n");
    text.push_str(&lists);
    text.push_str("\n## Not applicable\n\n");
    for entry in groups.iter().flat_map(|group| &group.not_applicable) {
        row(&mut text, format_args!("- {}: {}", entry.ids.join(", "), entry.why));
    }
    text
}

fn row(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{line}");
}

fn ids(group: &Group, is: impl Fn(&Case) -> bool) -> BTreeMap<String, &Case> {
    group.cases.iter().filter(|case| is(case)).map(|case| (case.id.clone(), case)).collect()
}

/// The decisions that override: the case's own, or those of the kinds of answer that it expects.
fn reason(case: &Case, dialects: &Dialects) -> Option<String> {
    case.overridden.clone().or_else(|| {
        let step = case.step.last()?;
        let kinds = case.on.iter().filter_map(|dialect| by_kind(step, *dialect, dialects));
        let reasons: Vec<_> = kinds.collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    })
}
