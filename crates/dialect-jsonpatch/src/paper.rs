//! The envelopes, for the documents.

use gateway_core::{Attr, ErrorKind, Place, Problem};
use gateway_dialect::{
    Action, Body, Description, Field, Mode, Named, Paper, Schema, UnknownFields, bad,
    schema::{object, with},
};
use serde_json::json;

use crate::{JSON, operations::PATH, rules, wire::TABLE};

/// What a route takes and answers.
pub(crate) fn describe(paper: &Paper<'_>) -> Description {
    let bad_value = || bad(Place::Attr(Attr::Email), Problem::Email);
    let refuses = paper.site.unknown_fields == UnknownFields::Reject;
    let unknown = || refuses.then(|| bad(Place::Member("unknown".to_owned()), Problem::Unknown));
    let common = Description { error: Some(error()), ..Description::default() };
    match paper.route.action {
        Action::Create => Description {
            summary: "Create a user",
            bodies: vec![creation(paper)],
            errors: [bad_value()].into_iter().chain(unknown()).collect(),
            ..common
        },
        Action::Update => Description {
            summary: "Replace fields of a user",
            bodies: vec![update(paper)],
            errors: [
                ErrorKind::EmptyUpdate.into(),
                bad(Place::Member("externalId".to_owned()), Problem::ReadOnly),
                bad_value(),
            ]
            .into_iter()
            .chain(unknown())
            .collect(),
            ..common
        },
        _ => Description {
            summary: "Read a user",
            answer: Some(("User", TABLE.answered(gateway_dialect::Unset::Omit))),
            ..common
        },
    }
}

fn creation(paper: &Paper<'_>) -> Body {
    let mut schema = TABLE.sent(Mode::Create, paper.site.unknown_fields, paper.sent());
    schema["allOf"] = json!([abroad()]);
    Body { media_types: &[JSON], schema: ("UserCreation", schema), example: example(paper, Mode::Create) }
}

/// A state and a +4 are for users in the US, a +4 with its ZIP (decision 39).
fn abroad() -> Schema {
    let empty = || json!({"const": ""});
    json!({
        "if": {"properties": {"country": {"const": "US"}}, "required": ["country"]},
        "then": {
            "properties": {"zip": {"pattern": "^([0-9]{5})?$"}},
            "anyOf": [
                {"properties": {"zip": {"minLength": 1}}, "required": ["zip"]},
                {"properties": {"zip4": empty()}}
            ]
        },
        "else": {"properties": {"state": empty(), "zip4": empty()}}
    })
}

fn example(paper: &Paper<'_>, mode: Mode) -> Schema {
    let mut example = TABLE.example(&paper.view(), mode);
    for row in TABLE.rows().iter().filter(|row| !rules::is_expressible(&paper.user.profile, row.attr)) {
        if let Some(members) = example.as_object_mut() {
            members.shift_remove(row.path().1);
        }
    }
    example
}

/// An array of operations, one of which at least is `replace`: what is not is passed over.
fn update(paper: &Paper<'_>) -> Body {
    let is_replace = || json!({"const": "replace"});
    let mut kinds: Vec<Schema> = TABLE.rows().iter().filter_map(|row| replacement(paper, row)).collect();
    if paper.site.unknown_fields == UnknownFields::Ignore {
        let known: Vec<_> = TABLE.rows().iter().map(|row| &*row.wire).collect();
        kinds.push(json!({
            "type": "object", "description": "Of a path that is not known: ignored.",
            "properties": {"op": is_replace(), PATH: {"type": "string", "not": {"enum": known}}},
            "required": ["op", PATH]
        }));
    }
    kinds.push(json!({
        "description": "Anything that is no `replace`: ignored.",
        "not": {"type": "object", "properties": {"op": is_replace()}, "required": ["op"]}
    }));
    let schema = json!({
        "type": "array",
        "items": {"anyOf": kinds},
        "contains": {"type": "object", "properties": {"op": is_replace()}, "required": ["op"]}
    });
    let example = example(paper, Mode::Update);
    let operation = |row: &Field| {
        let value = example.get(row.path().1)?;
        Some(json!({"op": "replace", "path": row.wire, "value": value}))
    };
    let operations: Vec<_> = TABLE.rows().iter().filter_map(operation).collect();
    Body { media_types: &[JSON], schema: ("UserUpdate", schema), example: json!(operations) }
}

/// What `replace` takes for a row.
fn replacement(paper: &Paper<'_>, row: &Field) -> Option<Schema> {
    let value = TABLE.sent_value(row, Mode::Update, paper.sent())?;
    Some(json!({
        "type": "object",
        "title": row.path().1,
        "properties": {"op": {"const": "replace"}, "path": {"const": row.wire}, "value": value},
        "required": ["op", "path", "value"]
    }))
}

fn error() -> Named {
    let mut schema = object([("message", json!({"type": "string"}))]);
    let code = json!({"type": "integer", "minimum": 1, "maximum": 5});
    schema["properties"]["code"] = with(code, "description", "Not there where the credential is refused.");
    ("Error", schema)
}
