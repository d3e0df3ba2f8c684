//! Errors as problem details (RFC 9457).

use std::borrow::Cow;

use gateway_core::{Error, ErrorKind, FieldError, Place};
use gateway_dialect::{Answer, Occasion, Verb};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    negotiate::ACCEPT_PATCH,
    wire::{TABLE, wire_error},
};

/// The media type of errors.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: Cow<'a, str>,
    instance: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<BadField<'a>>,
}

#[derive(Serialize)]
struct BadField<'a> {
    #[serde(flatten)]
    place: Where<'a>,
    detail: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Where<'a> {
    /// Into the document of the user (RFC 6901).
    Pointer(Cow<'a, str>),
    Parameter(&'a str),
    Header(&'a str),
}

pub(crate) fn render(error: &Error, occasion: &Occasion<'_>) -> Answer {
    let (mut status, title) = wire_error(error.kind);
    if error.fields.iter().any(|field| matches!(field.place, Place::Header(_) | Place::Parameter(_))) {
        status = 400;
    }
    let detail = match &error.message {
        Some(message) => Cow::Borrowed(message.as_ref()),
        None if !error.fields.is_empty() => "What is wrong stands in errors.".into(),
        None => format!("{title}.").into(),
    };
    let kind = match status {
        // Whatever the cause (decision 14).
        401 => "unauthorized".to_owned(),
        _ => error.kind.as_str().replace('_', "-"),
    };
    let body = Problem {
        kind: format!("urn:interlingua:problem:{kind}"),
        title,
        status,
        detail,
        instance: format!("urn:request:{}", occasion.request_id),
        errors: error.fields.iter().map(bad_field).collect(),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let answer = Answer::json(status, MEDIA_TYPE, &body).retry_after(error);
    let patches = occasion.target.is_some_and(|target| target.route.verb == Verb::Patch);
    match error.kind {
        ErrorKind::UnsupportedMediaType if patches => {
            answer.header(HeaderName::from_static("accept-patch"), HeaderValue::from_static(ACCEPT_PATCH))
        }
        _ if status == StatusCode::UNAUTHORIZED => {
            answer.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        _ => answer,
    }
}

fn bad_field(field: &FieldError) -> BadField<'_> {
    let place = match &field.place {
        Place::Attr(attr) => Where::Pointer(TABLE.wire(*attr).unwrap_or_default().into()),
        Place::Member(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
            Where::Pointer(pointer.into())
        }
        Place::Member(name) => Where::Pointer(format!("/{name}").into()),
        Place::Parameter(name) => Where::Parameter(name),
        Place::Header(name) => Where::Header(name),
    };
    let detail = match (&place, field.problem) {
        (Where::Parameter(_), gateway_core::Problem::Unknown) => "Is not a known parameter".to_owned(),
        (_, problem) => problem.to_string(),
    };
    BadField { place, detail }
}
