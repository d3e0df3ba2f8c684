//! What stands in a request beside its body: path, query, headers.

use gateway_dialect::{
    Description, EXTERNAL_ID, KeyForm, Naming, Route, Side,
    schema::{external_id, with},
};
use serde_json::{Value, json};

use crate::config::MountConfig;

use super::{failures, sample::Sample};

/// A UUID, as a pattern.
const UUID: &str = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}";

/// All of them.
pub(super) fn of(
    mount: &MountConfig,
    sample: &Sample,
    route: &Route,
    description: &Description,
    side: Side,
) -> Vec<Value> {
    let mut parameters: Vec<_> =
        names(route).map(|name| in_path(mount.dialect.naming(), sample, name, side)).collect();
    for parameter in &description.query {
        parameters.push(json!({
            "name": parameter.name, "in": "query", "description": parameter.description,
            "required": parameter.is_required, "schema": parameter.schema, "example": parameter.example
        }));
    }
    if route.action.writes() {
        parameters.push(idempotency_key(mount.dialect.key_form()));
    }
    if failures::names_user(route) {
        parameters.extend(conditions(route));
    }
    if route.action.writes() && mount.dialect.heeds_preferences() {
        parameters.push(json!({
            "name": "Prefer", "in": "header", "required": false,
            "description": "`return=minimal`: an answer without a body will do (RFC 7240).",
            "schema": {"type": "string"}, "example": "return=minimal"
        }));
    }
    parameters
}

/// The parameters of a template, in order.
pub(super) fn names(route: &Route) -> impl Iterator<Item = &'static str> {
    let segments = route.template.split('/');
    segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn in_path(naming: Naming, sample: &Sample, name: &str, side: Side) -> Value {
    let is_namespace = naming == Naming::InPath("projectId") && name == "projectId" || name == "namespace";
    let (description, schema) = if is_namespace {
        let names = json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"});
        ("The namespace.", names)
    } else if naming == Naming::Canonical && name != "externalId" {
        ("The canonical id of the user.", json!({"type": "string", "format": "uuid"}))
    } else {
        ("The external id of the user, percent-encoded.", external_id(&EXTERNAL_ID, side))
    };
    json!({
        "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        "example": sample.segment(name)
    })
}

fn idempotency_key(form: KeyForm) -> Value {
    let (what, pattern) = match form {
        KeyForm::Uuid => ("A UUID, bare or as a quoted string", format!("^(?:{UUID}|\"{UUID}\")$")),
        KeyForm::Text => {
            let text = r#""(?:[ !#-\[\]-~]|\\["\\]){1,255}""#;
            ("A string of structured fields, or a bare UUID", format!("^(?:{UUID}|{text})$"))
        }
    };
    let mut schema = with(json!({"type": "string"}), "pattern", pattern);
    // Neither the nil nor the max UUID is a key.
    schema["not"] = json!({"pattern": r#"^"?(?:[0-]{36}|[Ff-]{36})"?$"#});
    json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": format!(
            "{what}. The same request with the same key is done once: for 24 hours it is answered with the \
             same bytes, and `Idempotency-Replayed: true`."
        ),
        "schema": schema, "example": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"
    })
}

/// Entity tags (RFC 9110, 13).
fn conditions(route: &Route) -> [Value; 2] {
    let header = |name: &str, description: &str| {
        json!({
            "name": name, "in": "header", "required": false, "description": description,
            "schema": {"type": "string"}
        })
    };
    let none = if route.verb == gateway_dialect::Verb::Get {
        "The entity tags that the client has already, or `*`: if one is the user's, the answer is 304."
    } else {
        "Entity tags that the user must not have, or `*` for any user: else the answer is 412."
    };
    [
        header(
            "If-Match",
            "The entity tags of which the user must have one, or `*`: else the answer is 412.",
        ),
        header("If-None-Match", none),
    ]
}
