//! Error documents: one object per bad field, each with a pointer into the request (decision 35).

use gateway_core::{Attr, Error, ErrorKind, FieldError, Place, Problem};
use gateway_dialect::{Answer, FieldTable};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    document::escaped,
    negotiate::MEDIA_TYPE,
    wire::{LINKED_IDENTITY_DETAIL, wire_error},
};

#[derive(Serialize)]
struct ErrorDocument<'a> {
    errors: Vec<ErrorObject<'a>>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    id: &'a str,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    status: String,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Pointer(String),
    Parameter(String),
    Header(&'static str),
}

/// Renders an error. `strict` is JSON:API's word, where it differs from PACE's (decision 32).
pub(crate) fn render(error: &Error, request_id: &str, table: &FieldTable, strict: bool) -> Answer {
    let (status, code, title) = wire_error(error.kind, if strict { 400 } else { 422 });
    let mut answered = status;
    let mut errors = Vec::new();
    for field in &error.fields {
        let (status, code) = match (&field.place, field.problem) {
            (Place::Header(_) | Place::Parameter(_), _) => (400, "bad-request"),
            (_, Problem::ReadOnly) => (403, "forbidden"),
            (_, Problem::Mismatch) if strict => (409, "conflict"),
            _ => (status, code),
        };
        // Of several the lowest is the answer's: what is forbidden before what is invalid.
        answered = answered.min(status);
        let (name, detail, source) = describe(field, table);
        let title = format!("{} is invalid", capitalized(&name));
        errors.push(ErrorObject {
            id: request_id,
            title,
            detail: Some(detail),
            status: status.to_string(),
            code,
            source: Some(source),
        });
    }
    if errors.is_empty() {
        let (title, detail) = match (error.kind, error.message.as_deref()) {
            (ErrorKind::Forbidden | ErrorKind::Malformed, Some(message)) => (message, None),
            (ErrorKind::LinkedIdentityMissing, _) => (title, Some(LINKED_IDENTITY_DETAIL)),
            (_, message) => (title, message),
        };
        errors.push(ErrorObject {
            id: request_id,
            title: title.to_owned(),
            detail: detail.map(str::to_owned),
            status: status.to_string(),
            code,
            source: None,
        });
    }
    let status = StatusCode::from_u16(answered).unwrap_or(StatusCode::NOT_IMPLEMENTED);
    let answer = Answer::json(status, MEDIA_TYPE, &ErrorDocument { errors }).retry_after(error);
    match status {
        StatusCode::UNAUTHORIZED => {
            answer.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        _ => answer,
    }
}

/// The name of what is bad, what is wrong with it, and where it stands.
fn describe(field: &FieldError, table: &FieldTable) -> (String, String, Source) {
    let problem = field.problem;
    let pointer = match &field.place {
        Place::Attr(attr) => of_attribute(*attr, table),
        Place::Member(pointer) if pointer.is_empty() || pointer.starts_with('/') => pointer.clone(),
        Place::Member(group) => format!("/data/attributes/{}", escaped(group)),
        Place::Parameter(name) => {
            let name = name.clone().into_owned();
            return (name.clone(), "Is not supported".to_owned(), Source::Parameter(name));
        }
        Place::Header(name) => return ((*name).to_owned(), problem.to_string(), Source::Header(name)),
    };
    let detail = wire_problem(&pointer, problem);
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", "document"));
    let name = name.replace("~1", "/").replace("~0", "~");
    // What is not there cannot be pointed at; what it is missing from can.
    let pointed = if problem == Problem::Required { parent.to_owned() } else { pointer.clone() };
    (name, detail, Source::Pointer(pointed))
}

fn of_attribute(attr: Attr, table: &FieldTable) -> String {
    format!("/data/attributes{}", table.wire(attr).unwrap_or_default())
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Details that differ from the common ones, by the pointer of what they are about.
fn wire_problem(pointer: &str, problem: Problem) -> String {
    let text = match (pointer, problem) {
        ("/errors", _) => "Must not stand beside data",
        ("/data/type", Problem::Mismatch) => "Must be the type of the resource",
        ("/data/id", Problem::Mismatch) => "Must be the id in the URL",
        ("/data/id", Problem::ReadOnly) => "Cannot be chosen by the client",
        ("/data/relationships", Problem::ReadOnly) => "Relationships are not supported",
        ("/data/attributes/address/country", Problem::Region) => "Must fit the region of the address",
        ("/data/attributes/address/houseNo" | "/data/attributes/address/postalCode", Problem::NotText) => {
            "Must be a string or an integer"
        }
        _ => return problem.to_string(),
    };
    text.to_owned()
}
