//! Bodies, queries and errors, for the documents.

use gateway_core::{Attr, Error, ErrorKind, FieldError, Place, Problem, Reach, Standing, Status};
use gateway_dialect::{
    Access, Action, Body, Description, Mode, Named, Paper, Parameter, Schema, Side, Unset, Verb, bad, filled,
    schema::{nullable, object, one_of, with},
};
use serde_json::json;

use crate::{
    document::SECRET,
    forms, lacks,
    negotiate::{JSON, JSON_PATCH, MERGE_PATCH},
    query::{LIMIT, MAX_LIMIT, write_cursor},
    scope,
    wire::TABLE,
};

/// What a route takes and answers.
pub(crate) fn describe(paper: &Paper<'_>, demands_match: bool) -> Description {
    let action = paper.route.action;
    let (summary, bodies, answer) = match action {
        Action::Create => ("Create a user", vec![whole(paper)], Some(user())),
        Action::Replace => ("Set all of a user, or create it", vec![whole(paper)], Some(user())),
        Action::Update => {
            ("Change a user by a patch", vec![merge_patch(paper), json_patch(paper)], Some(user()))
        }
        Action::Delete => ("Delete a user", Vec::new(), None),
        Action::List => ("List users", Vec::new(), Some(("UserList", page()))),
        Action::ReadLinks => ("Read the links of a user", Vec::new(), Some(("Links", links()))),
        Action::Link => ("Link a user", Vec::new(), Some(("Link", forms::link(Side::Answered)))),
        Action::Unlink => ("Take a link from a user", Vec::new(), None),
        _ => ("Read a user", Vec::new(), Some(user())),
    };
    Description {
        summary,
        query: if action == Action::List { query(paper) } else { Vec::new() },
        bodies,
        answer,
        error: Some(problem()),
        errors: errors(paper, demands_match),
        creates: *paper.site.reach == Reach::All,
        scopes: vec![scope(paper.route.verb)],
        ..Description::default()
    }
}

fn errors(paper: &Paper<'_>, demands_match: bool) -> Vec<Error> {
    let action = paper.route.action;
    let mut errors = vec![lacks(scope(paper.route.verb))];
    if paper.route.verb != Verb::Delete {
        errors.push(ErrorKind::NotAcceptable.into());
    }
    if matches!(action, Action::Create | Action::Replace | Action::Update) {
        errors.push(Error::invalid(vec![
            FieldError::attr(Attr::Email, Problem::Email),
            FieldError::attr(Attr::BirthDate, Problem::Date),
        ]));
        errors.push(bad(Place::Attr(Attr::CreatedAt), Problem::ReadOnly));
    }
    match action {
        Action::Update => errors.extend([
            ErrorKind::TestFailed.into(),
            bad(Place::Member("/nickname".to_owned()), Problem::Path),
        ]),
        Action::List => errors.push(Error::invalid(vec![FieldError {
            place: Place::Parameter("limit".into()),
            problem: Problem::Number { min: 1, max: MAX_LIMIT },
        }])),
        Action::Link => errors.extend([
            ErrorKind::AlreadyExists.into(),
            bad(Place::Parameter(crate::EXTERNAL_ID.into()), Problem::ExternalId),
        ]),
        _ => {}
    }
    // A record, which no document describes: it is for gateways alone. What it is refused for shows all the
    // same.
    let takes_records = action == Action::Replace && *paper.site.reach == Reach::All;
    if takes_records || demands_match && action.writes() && action != Action::Create {
        errors.push(ErrorKind::PreconditionRequired.into());
    }
    errors
}

/// A user as it is answered.
fn user() -> Named {
    ("User", TABLE.answered(Unset::Omit))
}

fn page() -> Schema {
    let items = json!({"type": "array", "items": user().1, "maxItems": MAX_LIMIT});
    let next =
        with(nullable(json!({"type": "string"})), "description", "Where the list goes on; null at its end.");
    object([("items", items), ("nextCursor", next)])
}

fn links() -> Schema {
    object([("items", json!({"type": "array", "items": forms::link(Side::Answered)}))])
}

/// A whole document. `null` is the same as not there.
fn whole(paper: &Paper<'_>) -> Body {
    let mut schema = TABLE.sent(Mode::Create, paper.site.unknown_fields, paper.sent());
    let is_put = paper.route.action == Action::Replace;
    read_only(&mut schema, |access| access == Access::ReadOnly);
    if !is_put {
        for row in TABLE.rows().iter().filter(|row| row.access == Access::ReadOnly) {
            schema["properties"][row.path().1] = json!({"type": "null", "description": "Read-only."});
        }
    }
    if let Reach::Namespace(namespace) = paper.site.reach {
        let own = json!({"const": namespace.as_str()});
        schema["properties"]["links"]["items"]["properties"]["namespace"] = own;
    }
    for path in ["status", SECRET, "links"] {
        schema["properties"][path] = nullable(schema["properties"][path].take());
    }
    let mut example = TABLE.example(&paper.view(), Mode::Create);
    one_form(&mut example);
    if let Some(members) = example.as_object_mut() {
        members.retain(|name, value| !["status", "suspensions"].contains(&&**name) && *value != json!([]));
    }
    let name = if is_put { "UserReplacement" } else { "UserCreation" };
    Body { media_types: &[JSON], schema: (name, schema), example }
}

/// Of street and line, one says it all.
fn one_form(example: &mut Schema) {
    if let Some(address) = example["address"].as_object_mut() {
        address.shift_remove("street");
        address.shift_remove("houseNumber");
    }
}

/// Members that are only answered may be sent back as they were.
fn read_only(schema: &mut Schema, is_sent_back: fn(Access) -> bool) {
    if let Some(words) = schema.as_object_mut() {
        words.shift_remove("propertyNames");
    }
    for row in TABLE.rows().iter().filter(|row| is_sent_back(row.access)) {
        let mut answered = with(row.codec.schema(Side::Answered), "readOnly", true);
        answered["description"] = "Read-only: as it was answered, or refused.".into();
        schema["properties"][row.path().1] = answered;
    }
}

/// What it does not name stays (RFC 7396).
fn merge_patch(paper: &Paper<'_>) -> Body {
    let mut schema = TABLE.sent(Mode::Update, paper.site.unknown_fields, paper.sent());
    read_only(&mut schema, |access| matches!(access, Access::ReadOnly | Access::Initial));
    // Of a point one half may stay.
    let degrees = || json!({"type": "number", "minimum": -180, "maximum": 180});
    schema["properties"]["geo"] = json!({
        "type": ["object", "null"],
        "properties": {"longitude": degrees(), "latitude": degrees()},
        "additionalProperties": false,
        "description": "Degrees within ±180. Optional; can be cleared."
    });
    schema["properties"][SECRET] = nullable(schema["properties"][SECRET].take());
    Body {
        media_types: &[MERGE_PATCH, JSON],
        schema: ("UserMergePatch", schema),
        example: json!({"bio": "New bio text", "address": {"city": "Perrysburg"}, "phone": null}),
    }
}

/// Operations on the user as it is answered (RFC 6902).
fn json_patch(_: &Paper<'_>) -> Body {
    // A JSON pointer: one operation may take away what another has put where nothing can be.
    let path = json!({"type": "string", "pattern": "^(?:/(?:[^/~]|~[01])*)*$"});
    let of = |op: &str, members: &[(&str, Schema)]| {
        let mut schema =
            json!({"type": "object", "title": op, "properties": {"op": {"const": op}, "path": path}});
        let mut required = vec!["op", "path"];
        for (name, member) in members {
            schema["properties"][*name] = member.clone();
            required.push(name);
        }
        with(schema, "required", json!(required))
    };
    let value = || [("value", json!({"description": "Any value."}))];
    let from = || [("from", path.clone())];
    let kinds = json!([
        of("add", &value()),
        of("remove", &[]),
        of("replace", &value()),
        of("move", &from()),
        of("copy", &from()),
        of("test", &value()),
    ]);
    Body {
        media_types: &[JSON_PATCH],
        schema: ("UserJsonPatch", json!({"type": "array", "items": {"anyOf": kinds}})),
        example: json!([
            {"op": "test", "path": "/address/city", "value": "Perrysburg"},
            {"op": "replace", "path": "/address/city", "value": "Toledo"}
        ]),
    }
}

fn query(paper: &Paper<'_>) -> Vec<Parameter> {
    let view = paper.view();
    let text = |attr| view.get(attr).and_then(|value| value.as_text().map(Schema::from)).unwrap_or_default();
    let parameter = |name, description, schema, example| Parameter {
        name,
        description,
        is_required: false,
        schema,
        example,
    };
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": LIMIT});
    let cursor = with(json!({"type": "string"}), "pattern", "^A[Q-Za-f][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$");
    let standings = [Status::PendingCompliance, Status::Active, Status::Closed].map(Status::as_str);
    let standings = standings.into_iter().chain([Standing::Suspended.as_str()]);
    let link = with(
        json!({"type": "string"}),
        "pattern",
        "^[A-Za-z0-9._-]{1,64}:[^\\u0000-\\u001f\\u007f-\\u009f]{1,128}$",
    );
    vec![
        parameter("limit", "The most users of an answer.", limit, json!(LIMIT)),
        parameter(
            "cursor",
            "Where to go on: the nextCursor of an answer.",
            cursor,
            write_cursor(paper.user.id).into(),
        ),
        parameter(
            "email",
            "Only users with this e-mail address, in either case.",
            filled(254),
            text(Attr::Email),
        ),
        parameter(
            "username",
            "Only users with this username, in either case.",
            filled(255),
            text(Attr::Username),
        ),
        parameter("status", "Only users that stand so.", one_of(standings), "active".into()),
        parameter(
            "link",
            "Only the user with this link: `NAMESPACE:EXTERNALID`.",
            link,
            "demo-partner:partner-user-42".into(),
        ),
    ]
}

/// RFC 9457.
fn problem() -> Named {
    let text = || json!({"type": "string"});
    let place = json!({
        "type": "object",
        "properties": {"pointer": text(), "parameter": text(), "header": text(), "detail": text()},
        "required": ["detail"], "minProperties": 2, "maxProperties": 2, "additionalProperties": false
    });
    let mut problem = object([
        ("type", with(text(), "pattern", "^urn:interlingua:problem:[a-z-]+$")),
        ("title", text()),
        ("status", json!({"type": "integer", "minimum": 400, "maximum": 599})),
        ("detail", text()),
        ("instance", with(text(), "pattern", "^urn:request:[0-9a-f-]{36}$")),
    ]);
    problem["properties"]["errors"] = json!({"type": "array", "items": place, "minItems": 1});
    ("Problem", problem)
}
