//! One route as an operation.

use gateway_core::{Caller, Error, Operation, Outcome, Status, User};
use gateway_dialect::{Action, Answer, Description, Hygiene, Occasion, Paper, Request, Route, Site, Verb};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{
    TAG,
    answers::Answers,
    components::{Components, requirement},
    failures, parameters,
    sample::{Sample, target},
};
use crate::{
    config::MountConfig,
    idempotency::{REPLAYED, is_kept},
    prefer::minimal,
};

/// An entity tag, for examples.
const ETAG: &str = "\"jX2tGIQ4Kz9mZ0p3c1nWlA\"";

/// What a route takes and answers.
pub(super) fn describe(
    mount: &MountConfig,
    site: &Site<'_>,
    sample: &Sample,
    route: &'static Route,
    components: &mut Components,
) -> Value {
    let paper = Paper { route, site, user: sample.user() };
    let description = mount.dialect.describe(&paper);
    let mut security = vec![requirement(&mount.authenticator.manner())];
    if !failures::is_needed(mount, route) {
        security.insert(0, json!({}));
    }
    let mut parameters = json!(parameters::of(mount, sample, route, &description, paper.sent()));
    components.lift(&mut parameters);
    let mut operation = json!({
        "operationId": operation_id(route.action),
        "summary": description.summary,
        "description": about(&description),
        "tags": [TAG],
        "security": security,
        "parameters": parameters,
    });
    if let Some(body) = body(&description, components) {
        operation["requestBody"] = body;
    }
    operation["responses"] = answers(mount, &paper, sample, description, components);
    operation
}

/// The summary, and the scopes: only schemes of OAuth list theirs beside a requirement.
fn about(description: &Description) -> String {
    let needed = |scope: &&str| format!(" A token needs the scope `{scope}`.");
    format!("{}.{}", description.summary, description.scopes.iter().map(needed).collect::<String>())
}

/// Unique, since no dialect has two routes of one action.
const fn operation_id(action: Action) -> &'static str {
    match action {
        Action::Create => "createUser",
        Action::Read => "readUser",
        Action::Update => "updateUser",
        Action::Replace => "replaceUser",
        Action::Delete => "deleteUser",
        Action::ReadOrCreate => "readOrCreateUser",
        Action::CheckUsername => "checkUsername",
        Action::Suggest => "suggestUsers",
        Action::List => "listUsers",
        Action::ReadLinks => "readLinks",
        Action::Link => "linkUser",
        Action::Unlink => "unlinkUser",
    }
}

fn body(description: &Description, components: &mut Components) -> Option<Value> {
    let mut content = Map::new();
    for body in &description.bodies {
        let schema = components.schema(&body.schema);
        for media_type in body.media_types {
            let media = json!({"schema": schema, "examples": {"user": {"value": body.example}}});
            content.insert((*media_type).to_owned(), media);
        }
    }
    let is_required = !description.body_is_optional;
    (!content.is_empty()).then(|| json!({"required": is_required, "content": content}))
}

fn answers(
    mount: &MountConfig,
    paper: &Paper<'_>,
    sample: &Sample,
    description: Description,
    components: &mut Components,
) -> Value {
    let (dialect, route) = (&mount.dialect, paper.route);
    let mut answers = Answers::default();
    let made = User { status: first_status(mount, paper, &description), ..sample.user().clone() };
    for (name, outcome) in outcomes(route.action, description.creates, sample, &made) {
        let answer = encode(mount, paper.site, &outcome);
        answers.add(mount, (name, &answer), description.answer.as_ref(), components);
        if route.action.writes() && dialect.heeds_preferences() {
            answers.add(mount, (name, &minimal(answer)), None, components);
        }
    }
    if route.action.writes() {
        for status in answers.statuses() {
            answers.header(status, REPLAYED.as_str(), components);
        }
    }
    if route.verb == Verb::Get && failures::names_user(route) && dialect.has_entity_tags() {
        let tag = tagged(Answer::empty(StatusCode::NOT_MODIFIED, Hygiene::Full), mount);
        answers.add(mount, ("not_modified", &tag), None, components);
    }
    let segments: Vec<_> = parameters::names(route).map(|name| sample.segment(name)).collect();
    let occasion = Occasion {
        request_id: super::REQUEST_ID,
        target: Some(target(route, &segments)),
        external_id: Some(sample.external_id()),
    };
    let error = description.error.clone();
    for failure in failures::of(mount, route, description) {
        let answer = dialect.render(&failure, &occasion);
        answers.add(mount, (failure.kind.as_str(), &answer), error.as_ref(), components);
        // What is decided is kept with the key.
        if route.action.writes() && is_kept(failure.kind, answer.status) {
            answers.header(answer.status, REPLAYED.as_str(), components);
        }
    }
    if mount.rate_limit.is_some() && dialect.tells_limits() {
        for status in answers.statuses() {
            answers.header(status, "ratelimit-policy", components);
            answers.header(status, "ratelimit", components);
        }
    }
    // Too large to be read: answered before any mount has a say.
    for status in [StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE] {
        answers.add_bare(status, components);
    }
    answers.into_value()
}

/// What an operation can come to, each with a name.
fn outcomes<'u>(
    action: Action,
    creates: bool,
    sample: &'u Sample,
    made: &'u User,
) -> Vec<(&'static str, Outcome<'u>)> {
    let user = sample.user();
    match action {
        Action::Create => vec![("created", Outcome::Created(made))],
        Action::Read => vec![("found", Outcome::Found(user))],
        Action::Update => vec![("updated", Outcome::Updated(user))],
        Action::Replace if creates => {
            vec![("updated", Outcome::Updated(user)), ("created", Outcome::Created(made))]
        }
        Action::Replace => vec![("updated", Outcome::Updated(user))],
        Action::Delete => vec![("deleted", Outcome::Deleted)],
        Action::ReadOrCreate => vec![("found", Outcome::Found(user)), ("created", Outcome::Created(made))],
        Action::CheckUsername => {
            vec![("free", Outcome::Available(true)), ("taken", Outcome::Available(false))]
        }
        Action::ReadLinks => vec![("links", Outcome::Links(user))],
        Action::Link => vec![("linked", Outcome::Linked(user, true)), ("kept", Outcome::Linked(user, false))],
        Action::Unlink => vec![("unlinked", Outcome::Unlinked(user))],
        Action::List => vec![
            ("page", Outcome::Listed(&sample.users, Some(user.id))),
            ("last_page", Outcome::Listed(&sample.users, None)),
        ],
        Action::Suggest => vec![("suggested", Outcome::Suggested(&sample.users))],
    }
}

/// How a new user stands, by what a creation is read as.
fn first_status(mount: &MountConfig, paper: &Paper<'_>, description: &Description) -> Status {
    let Some(body) = description.bodies.first() else { return Status::Active };
    let bytes = serde_json::to_vec(&body.example).unwrap_or_default();
    let headers = HeaderMap::new();
    let request = Request { target: target(paper.route, &[]), query: None, headers: &headers, body: &bytes };
    match mount.dialect.decode(paper.site, &Caller::client("example"), &request) {
        Ok(decoded) => match decoded.operation {
            Operation::Create(creation) => creation.status,
            _ => Status::Active,
        },
        Err(Error { .. }) => Status::Active,
    }
}

/// As the gateway answers, with an entity tag where it has one.
fn encode(mount: &MountConfig, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer {
    let answer = mount.dialect.encode(site, outcome);
    if outcome.user().is_some() { tagged(answer, mount) } else { answer }
}

fn tagged(answer: Answer, mount: &MountConfig) -> Answer {
    if !mount.dialect.has_entity_tags() {
        return answer;
    }
    answer.header(header::ETAG, HeaderValue::from_static(ETAG))
}
