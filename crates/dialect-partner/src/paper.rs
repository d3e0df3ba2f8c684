//! The envelopes, for the documents.

use gateway_core::{Attr, Error, ErrorKind, FieldError, Problem, Status, regions};
use gateway_dialect::{
    Action, Body, Description, Mode, Named, Paper, Schema, UnknownFields,
    schema::{in_any_case, one_of, with},
};
use serde_json::json;

use crate::{JSON, too_young, wire::TABLE};

/// What a route takes and answers.
pub(crate) fn describe(paper: &Paper<'_>, minimum_age: Option<u8>) -> Description {
    let (summary, mode) = match paper.route.action {
        Action::Create => ("Create a user", Some(Mode::Create)),
        Action::Update => ("Change some fields of a user", Some(Mode::Update)),
        _ => ("Read the standing of a user", None),
    };
    let mut errors = Vec::new();
    if mode.is_some() {
        errors.push(Error::invalid(vec![
            FieldError::attr(Attr::Email, Problem::Email),
            FieldError::attr(Attr::BirthDate, Problem::Date),
        ]));
        errors.extend(minimum_age.map(too_young));
    }
    if mode == Some(Mode::Update) {
        errors.push(Error::invalid(vec![FieldError::attr(Attr::ExternalId, Problem::ReadOnly)]));
        errors.push(ErrorKind::EmptyUpdate.into());
    }
    Description {
        summary,
        bodies: mode.map(|mode| body(paper, mode)).into_iter().collect(),
        answer: Some(receipt(paper)),
        error: Some(error()),
        errors,
        ..Description::default()
    }
}

fn body(paper: &Paper<'_>, mode: Mode) -> Body {
    let mut schema = TABLE.sent(mode, paper.site.unknown_fields, paper.sent());
    let name = match mode {
        Mode::Create => "UserCreation",
        Mode::Update => "UserUpdate",
    };
    schema["allOf"] = json!([of_country("CA", true), of_country("US", false)]);
    if mode == Mode::Update {
        schema["minProperties"] = 1.into();
        if paper.site.unknown_fields == UnknownFields::Ignore {
            // Names that mean nothing are no update.
            let names = TABLE.rows().iter().map(|row| (row.path().1.to_owned(), Schema::Bool(false)));
            schema["not"] = json!({"properties": Schema::Object(names.collect())});
        }
    }
    Body { media_types: &[JSON], schema: (name, schema), example: TABLE.example(&paper.view(), mode) }
}

/// What must fit the country, where it is in the body.
fn of_country(country: &str, has_postal_codes: bool) -> Schema {
    const POSTAL_CODE: &str = "^[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z] ?[0-9][ABCEGHJ-NPRSTV-Z][0-9]$";
    let mut then = json!({"province": one_of(regions::regions_of(country))});
    if has_postal_codes {
        then["postalCode"] = json!({"pattern": POSTAL_CODE});
    }
    let is_country = json!({"type": "string", "pattern": in_any_case([country].into_iter())});
    json!({
        "if": {"properties": {"country": is_country}, "required": ["country"]},
        "then": {"properties": then}
    })
}

fn receipt(paper: &Paper<'_>) -> Named {
    let answered = |path: &str| TABLE.row(path).map(|row| row.codec.schema(gateway_dialect::Side::Answered));
    let standings = [Status::PendingCompliance, Status::Active].map(Status::as_str);
    let mut schema = gateway_dialect::schema::object([
        ("userId", answered("/userId").unwrap_or_default()),
        ("externalId", answered("/externalId").unwrap_or_default()),
        ("status", one_of(standings.into_iter())),
    ]);
    let is_update = paper.route.action == Action::Update;
    if is_update {
        schema["properties"]["updatedAt"] = answered("/updatedAt").unwrap_or_default();
        schema["required"] = json!(["userId", "externalId", "status", "updatedAt"]);
    }
    (if is_update { "UpdateReceipt" } else { "Receipt" }, schema)
}

fn error() -> Named {
    let words = [
        "bad_request",
        "unauthorized",
        "not_found",
        "conflict",
        "unprocessable_entity",
        "too_many_requests",
        "internal_error",
    ];
    let request_id =
        with(json!({"type": "string"}), "pattern", "^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$");
    let field = gateway_dialect::schema::object([
        ("field", json!({"type": "string"})),
        ("message", json!({"type": "string"})),
    ]);
    let mut schema = gateway_dialect::schema::object([
        ("error", one_of(words.into_iter())),
        ("message", json!({"type": "string"})),
        ("requestId", request_id),
    ]);
    schema["properties"]["fieldErrors"] =
        json!({"type": "array", "items": field, "minItems": 1, "description": "One for each bad field."});
    ("Error", schema)
}
