//! Dialect D: the JSON Patch array API (section D of the wire reference, decisions 37 to 41).
//!
//! The whole wire format stands in `wire.rs`; this file is its grammar.

mod codec;
mod operations;
mod paper;
mod rules;
#[cfg(test)]
mod tests;
mod wire;

use std::{borrow::Cow, sync::Arc};

use gateway_core::{
    Caller, Change, Error, ErrorKind, FieldError, Operation, Outcome, Place, Problem, User, View,
};
use gateway_dialect::{
    Action, Answer, Decoded, Description, Dialect, Expressed, FieldTable, Hygiene, Json, Naming, Occasion,
    Options, Paper, Request, Route, Ruling, Site, Target, UnknownFields, Unset,
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use wire::{ROUTES, TABLE, wire_error};

const JSON: &str = "application/json";
const USER_ID: &str = "userId";

/// The dialect, with a mount's options.
#[derive(Debug)]
pub struct JsonPatch {
    etag: bool,
}

impl JsonPatch {
    /// Reads `etag` (whether answers carry entity tags; not when absent).
    pub fn build(options: &mut Options<'_>) -> Arc<dyn Dialect> {
        Arc::new(Self { etag: options.flag("etag", false) })
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

#[derive(Serialize)]
struct PatchOperation<'a> {
    op: &'static str,
    path: &'a str,
    value: &'a Json<'a>,
}

impl Dialect for JsonPatch {
    fn name(&self) -> &'static str {
        "jsonpatch"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn fields(&self) -> &FieldTable {
        &TABLE
    }

    fn naming(&self) -> Naming {
        Naming::External
    }

    fn unknown_fields(&self) -> UnknownFields {
        UnknownFields::Reject
    }

    /// No answer of this dialect carries one (decision 11).
    fn request_id_header(&self) -> Option<HeaderName> {
        None
    }

    /// The original has no additional headers: only where the mount says so (decision 12).
    fn has_entity_tags(&self) -> bool {
        self.etag
    }

    fn media_type(&self) -> &'static str {
        JSON
    }

    fn decode(&self, site: &Site<'_>, _: &Caller, request: &Request<'_>) -> Result<Decoded, Error> {
        let user = || request.external_locator(USER_ID);
        match request.target.route.action {
            Action::Create => operations::create(site, request.body),
            Action::Update => operations::update(site, user(), request.body),
            _ => Ok(Decoded { operation: Operation::Read(user()), unknown: Vec::new() }),
        }
    }

    fn settle(&self, before: &User, changes: &mut Vec<Change>) {
        rules::settle(before, changes);
    }

    fn judge(&self, ruling: &Ruling<'_>) -> Result<(), Error> {
        rules::judge(ruling)
    }

    fn encode(&self, site: &Site<'_>, outcome: &Outcome<'_>) -> Answer {
        match *outcome {
            Outcome::Created(_) => Answer::empty(StatusCode::CREATED, Hygiene::None),
            Outcome::Updated(_) => Answer::empty(StatusCode::OK, Hygiene::None),
            Outcome::Found(user) => Answer::json(StatusCode::OK, JSON, &shown(site, user)),
            // No route of this dialect leads to the others.
            _ => Answer::empty(StatusCode::NO_CONTENT, Hygiene::None),
        }
    }

    fn render(&self, error: &Error, occasion: &Occasion<'_>) -> Answer {
        let (status, code, message) = spoken(error, occasion);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let answer = Answer::json(status, JSON, &ErrorBody { message, code }).retry_after(error);
        if status == StatusCode::UNAUTHORIZED {
            return answer.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        }
        answer
    }

    fn describe(&self, paper: &Paper<'_>) -> Description {
        paper::describe(paper)
    }

    fn compose(&self, fields: &[Expressed<'_>], _: &str) -> Vec<u8> {
        const CLEARED: &Json<'_> = &Json::Text(Cow::Borrowed(""));
        let operations: Vec<_> = fields
            .iter()
            .map(|one| PatchOperation {
                op: "replace",
                path: &one.field.wire,
                value: one.value.as_ref().unwrap_or(CLEARED),
            })
            .collect();
        serde_json::to_vec(&operations).unwrap_or_default()
    }
}

/// The create fields; one whose value could not be sent back is left out (E.3, 7).
fn shown<'a>(site: &Site<'a>, user: &'a User) -> Json<'a> {
    let view = View { user, namespace: site.reach.namespace(), now: site.now };
    let Json::Object(mut members) = TABLE.write(&view, Unset::Omit) else { return Json::Null };
    members.retain(|(name, json)| {
        let row = TABLE.rows().iter().find(|row| row.path() == (None, name.as_ref()));
        row.is_some_and(|row| {
            rules::is_expressible(&user.profile, row.attr) && row.codec.read(json, site.today()).is_ok()
        })
    });
    Json::Object(members)
}

/// Status, code and message of an error.
fn spoken<'e>(error: &'e Error, occasion: &Occasion<'e>) -> (u16, Option<u8>, Cow<'e, str>) {
    let (status, code, message) = wire_error(error.kind, failed(occasion));
    let named = |id: Option<Cow<'e, str>>| match id {
        Some(id) => format!("{message} with id: {id}").into(),
        None => Cow::Borrowed(message),
    };
    match (error.kind, error.fields.first()) {
        (ErrorKind::NotFound | ErrorKind::Forbidden, _) => (status, code, named(named_user(occasion))),
        (ErrorKind::AlreadyExists, _) => (status, code, named(occasion.external_id.map(Cow::Borrowed))),
        (ErrorKind::Invalid, Some(field)) => match refused(field) {
            Some((code, message)) => (400, Some(code), message.into()),
            None => (status, code, message.into()),
        },
        // What the gateway refused to read at all was not empty.
        (ErrorKind::Malformed, _) if error.message.is_some() => (status, Some(1), own(error, message)),
        _ if code == Some(1) && status != 500 => (status, code, own(error, message)),
        _ => (status, code, message.into()),
    }
}

fn own<'e>(error: &'e Error, message: &'static str) -> Cow<'e, str> {
    error.message.as_deref().unwrap_or(message).into()
}

/// A name that cannot be written, or a header that cannot be read; other bad fields are not told.
fn refused(field: &FieldError) -> Option<(u8, String)> {
    match (&field.place, field.problem) {
        (Place::Member(name), Problem::Unknown | Problem::ReadOnly) => {
            Some((4, format!("Property {name} cannot be updated")))
        }
        (Place::Header(name), problem) => Some((1, format!("{name}: {problem}"))),
        (Place::Parameter(name), problem) => Some((1, format!("{name}: {problem}"))),
        (Place::Attr(_) | Place::Member(_), _) => None,
    }
}

/// The user that the path names: decoded, or as it stands where it cannot be.
fn named_user<'e>(occasion: &Occasion<'e>) -> Option<Cow<'e, str>> {
    let target = occasion.target?;
    target.decoded(USER_ID).or_else(|| target.parameter(USER_ID).map(Cow::Borrowed))
}

fn failed(occasion: &Occasion<'_>) -> &'static str {
    let action = |target: Target<'_>| target.route.action;
    match occasion.target.map(action) {
        Some(Action::Create) => "Failed creating user",
        Some(Action::Read) => "Failed reading user",
        _ => "Failed updating user",
    }
}
