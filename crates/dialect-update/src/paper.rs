//! The envelopes, for the documents.

use gateway_core::{Attr, ErrorKind, Place, Problem};
use gateway_dialect::{
    Action, Body, Description, FieldTable, Mode, Named, Paper, Parameter, Schema, Side, bad, filled,
    schema::{object, with},
    value_of,
};
use serde_json::json;

use crate::{
    CREATION, SUGGESTIONS,
    wire::{FOREIGN_ID, QUERY, USERNAME_PARAMETER},
};

/// What a route takes and answers.
pub(crate) fn describe(paper: &Paper<'_>, table: &FieldTable) -> Description {
    let common = Description { error: Some(error()), ..Description::default() };
    match paper.route.action {
        Action::Update => Description {
            summary: "Change some fields of a user",
            bodies: vec![update(paper, table)],
            answer: Some(("User", shown(table, |_| true))),
            errors: vec![
                ErrorKind::EmptyUpdate.into(),
                bad(Place::Attr(Attr::Bio), Problem::Length { min: 0, max: 300 }),
                ErrorKind::Forbidden.into(),
            ],
            ..common
        },
        Action::ReadOrCreate => Description {
            summary: "Read a user by its foreign id, or create it",
            query: creation(paper, table),
            answer: Some(("User", shown(table, |_| true))),
            errors: vec![
                bad(Place::Parameter(FOREIGN_ID.into()), Problem::Required),
                bad(Place::Attr(Attr::Bio), Problem::Length { min: 0, max: 300 }),
            ],
            ..common
        },
        Action::CheckUsername => Description {
            summary: "Ask whether a username is free",
            query: vec![username(paper, table)],
            answer: Some(("Availability", object([("available", json!({"type": "boolean"}))]))),
            errors: vec![bad(Place::Parameter(USERNAME_PARAMETER.into()), Problem::Required)],
            ..common
        },
        Action::Suggest => Description {
            summary: "Find users by a part of their usernames",
            query: vec![Parameter {
                name: QUERY,
                description: "A part of the usernames, in either case.",
                is_required: true,
                schema: filled_any(),
                example: "john".into(),
            }],
            answer: Some(("Suggestions", suggestions(table))),
            errors: vec![bad(Place::Parameter(QUERY.into()), Problem::Required)],
            ..common
        },
        _ => Description { summary: "Read a user", answer: Some(("User", shown(table, |_| true))), ..common },
    }
}

fn update(paper: &Paper<'_>, table: &FieldTable) -> Body {
    let fields = table.sent(Mode::Update, paper.site.unknown_fields, paper.sent());
    let fields = with(fields, "minProperties", 1);
    let schema = paper.envelope(&[("update", fields)], &["update"]);
    let mut update = table.example(&paper.view(), Mode::Update);
    // In the form in which it is sent.
    if let Some([longitude, latitude]) =
        update["location"]["coordinates"].as_array().and_then(|pair| <&[_; 2]>::try_from(&pair[..]).ok())
    {
        update["location"] = json!({"longitude": longitude, "latitude": latitude});
    }
    Body {
        media_types: &["application/json"],
        schema: ("UserUpdate", schema),
        example: json!({"update": update}),
    }
}

/// The nine members, always all; fewer where some are not wanted.
fn shown(table: &FieldTable, wanted: fn(Attr) -> bool) -> Schema {
    let mut user = table.answered(gateway_dialect::Unset::Null);
    // What is unset reads as empty here.
    for (path, attr) in [("/metadata", Attr::Metadata), ("/suspensions", Attr::Suspensions)] {
        if let (Some(row), true) = (table.row(path), wanted(attr)) {
            let description = user["properties"][row.path().1]["description"].clone();
            user["properties"][row.path().1] =
                with(row.codec.schema(Side::Answered), "description", description);
        }
    }
    for row in table.rows().iter().filter(|row| !wanted(row.attr)) {
        let name = row.path().1;
        if let Some(members) = user["properties"].as_object_mut() {
            members.shift_remove(name);
        }
        if let Some(required) = user["required"].as_array_mut() {
            required.retain(|one| one.as_str() != Some(name));
        }
    }
    user
}

fn suggestions(table: &FieldTable) -> Schema {
    let user = shown(table, |attr| attr != Attr::Metadata);
    json!({"type": "array", "maxItems": SUGGESTIONS, "items": user})
}

/// The parameters of a creation by foreign id (B.2).
fn creation(paper: &Paper<'_>, table: &FieldTable) -> Vec<Parameter> {
    let foreign_id = Parameter {
        name: FOREIGN_ID,
        description: "The external id of the user in the project.",
        is_required: true,
        schema: filled(128),
        example: paper
            .view()
            .get(Attr::ExternalId)
            .and_then(|id| id.as_text().map(Schema::from))
            .unwrap_or_default(),
    };
    let creates = Parameter {
        name: "createIfNotFound",
        description: "`true`: create the user where there is none; with a service token only. The \
            parameters after this one are its fields.",
        is_required: false,
        schema: json!({"type": "string"}),
        example: "true".into(),
    };
    let of_row = |name: &'static str| {
        let row = table.rows().iter().find(|row| row.path().1 == name)?;
        let is_document = matches!(row.attr, Attr::Metadata | Attr::SecureMetadata);
        let value = paper.view().get(row.attr).map(|value| value_of(&row.codec.write(&value)));
        let example = match value {
            Some(document) if is_document => document.to_string().into(),
            value => value.unwrap_or_else(|| "{}".into()),
        };
        Some(Parameter {
            name,
            description: if is_document { "A JSON object, as text." } else { row.codec.form },
            is_required: false,
            schema: if is_document { json!({"type": "string"}) } else { row.codec.schema(paper.sent()) },
            example,
        })
    };
    [foreign_id, creates].into_iter().chain(CREATION.into_iter().filter_map(of_row)).collect()
}

fn username(paper: &Paper<'_>, table: &FieldTable) -> Parameter {
    let row = table.row("/username");
    Parameter {
        name: USERNAME_PARAMETER,
        description: "Sanitised as a write would do it.",
        is_required: true,
        schema: row.map_or_else(filled_any, |row| row.codec.schema(paper.sent())),
        example: "john.doe".into(),
    }
}

fn filled_any() -> Schema {
    json!({"type": "string", "minLength": 1})
}

fn error() -> Named {
    let text = || json!({"type": "string"});
    let mut schema = object([("error", text()), ("code", text())]);
    schema["properties"]["field"] = with(text(), "description", "What is taken already.");
    schema["properties"]["details"] = text();
    ("Error", schema)
}
