//! The envelopes, for the documents.

use gateway_core::{Attr, ErrorKind, Place, Problem, Reach};
use gateway_dialect::{
    Action, Body, Description, FieldTable, Mode, Named, Paper, Schema, Unset, Verb, bad,
    schema::{object, one_of, with},
};
use serde_json::json;

use crate::{lacks, negotiate::MEDIA_TYPE, scope};

/// What a route takes and answers.
pub(crate) fn describe(paper: &Paper<'_>, table: &FieldTable, types: &[String], strict: bool) -> Description {
    let (summary, mode) = match paper.route.action {
        Action::Create => ("Create a user", Some(Mode::Create)),
        Action::Replace => ("Set all attributes of a user", Some(Mode::Create)),
        Action::Update => ("Change some attributes of a user", Some(Mode::Update)),
        Action::Delete => ("Delete a user", None),
        _ => ("Read a user", None),
    };
    let scope = scope(paper.route.verb);
    // A query that JSON:API keeps for what is not served here.
    let mut errors = vec![lacks(scope), bad(Place::Parameter("include".into()), Problem::Unknown)];
    if paper.route.verb != Verb::Delete {
        errors.push(ErrorKind::NotAcceptable.into());
    }
    if mode.is_some() {
        errors.push(bad(Place::Attr(Attr::Email), Problem::Email));
        errors.push(bad(Place::Member("/data/type".to_owned()), Problem::Mismatch));
        errors.push(bad(Place::Attr(Attr::CreatedAt), Problem::ReadOnly));
    }
    let is_deletion = paper.route.action == Action::Delete;
    Description {
        summary,
        bodies: mode.map(|mode| body(paper, table, types, mode)).into_iter().collect(),
        body_is_optional: paper.route.action == Action::Update,
        answer: (!is_deletion).then(|| ("User", record(table, types, strict))),
        error: Some(error()),
        errors,
        scopes: vec![scope],
        ..Description::default()
    }
}

fn body(paper: &Paper<'_>, table: &FieldTable, types: &[String], mode: Mode) -> Body {
    let mut attributes = table.sent(mode, paper.site.unknown_fields, paper.sent());
    let is_creation = paper.route.action == Action::Create;
    if !is_creation {
        // One sent back as it was answered is none (decision 5).
        attributes["properties"]["createdAt"] =
            json!({"type": "string", "description": "Read-only: the same as answered, or refused."});
    }
    let id = paper.user.id.to_string();
    let kind = with(one_of(types.iter().map(String::as_str)), "description", "The type of the resource.");
    let given = with(json!({"type": "string", "format": "uuid"}), "description", "The id in the path.");
    let chosen = match paper.site.reach {
        Reach::All => with(given.clone(), "description", "An id of the client's choosing."),
        _ => json!({"not": {}, "description": "Cannot be chosen by the client."}),
    };
    let relationships = json!({"type": "object", "maxProperties": 0});
    let mut resource = paper.envelope(
        &[
            ("type", kind),
            ("id", if is_creation { chosen } else { given }),
            ("attributes", attributes),
            ("relationships", relationships),
        ],
        match (mode, is_creation) {
            (_, true) => &["type", "attributes"],
            (Mode::Create, false) => &["type", "id", "attributes"],
            (Mode::Update, false) => &["type", "id"],
        },
    );
    allow(&mut resource, &["lid", "links", "meta"]);
    let mut document = paper.envelope(&[("data", resource)], &["data"]);
    document["properties"]["errors"] = json!({"not": {}, "description": "Must not stand beside data."});
    allow(&mut document, &["meta", "jsonapi", "links", "included"]);
    let mut data = json!({
        "type": types.first(), "id": id, "attributes": table.example(&paper.view(), mode)
    });
    if let (true, Some(data)) = (is_creation, data.as_object_mut()) {
        data.shift_remove("id");
    }
    let name = match paper.route.action {
        Action::Create => "UserCreation",
        Action::Replace => "UserReplacement",
        _ => "UserUpdate",
    };
    Body { media_types: &[MEDIA_TYPE], schema: (name, document), example: json!({"data": data}) }
}

/// Members that JSON:API names, and that say nothing here.
fn allow(object: &mut Schema, names: &[&str]) {
    for name in names {
        object["properties"][name] = json!({"description": "Ignored."});
    }
}

fn record(table: &FieldTable, types: &[String], strict: bool) -> Schema {
    let mut resource = object([
        ("type", json!({"const": types.first()})),
        ("id", json!({"type": "string", "format": "uuid"})),
        ("attributes", table.answered(Unset::Omit)),
    ]);
    if strict {
        resource["properties"]["links"] =
            object([("self", json!({"type": "string", "format": "uri-reference"}))]);
        resource["required"] = json!(["type", "id", "attributes", "links"]);
    }
    object([("data", resource)])
}

fn error() -> Named {
    let text = || json!({"type": "string"});
    let source = json!({
        "type": "object",
        "properties": {"pointer": text(), "parameter": text(), "header": text()},
        "minProperties": 1, "maxProperties": 1, "additionalProperties": false
    });
    let mut one = object([
        ("id", json!({"type": "string", "format": "uuid", "description": "The id of the request."})),
        ("title", text()),
        ("status", with(text(), "pattern", "^[45][0-9]{2}$")),
        ("code", text()),
    ]);
    one["properties"]["detail"] = text();
    one["properties"]["source"] = source;
    ("Errors", object([("errors", json!({"type": "array", "items": one, "minItems": 1}))]))
}
