//! Codecs that several dialects share beside those of every one: free text, documents, and the parts of
//! points and instants.

use gateway_core::{Problem, Timestamp, Value, check};
use time::{format_description::BorrowedFormatItem, macros::format_description};

use crate::{Codec, Day, Json, json, schema, text, write_text};

/// The most bytes of a document, as compact JSON (decision 29).
const DOCUMENT_MAX_BYTES: u32 = 10_240;
/// The furthest east, west, north and south; seed 002 has latitude -118.25 (decision 23).
const DEGREES: std::ops::RangeInclusive<f64> = -180.0..=180.0;

/// Printable text; blanks alone are kept as well (section E.2).
pub const FREE_TEXT: Codec =
    Codec::new("text", "text", read_free_text, write_text).free_text().described(schema::free_text);
/// Some lines of text.
pub const LINES: Codec = Codec::new("lines", "text", read_lines, write_text).described(schema::lines);
/// One of three words.
pub const GENDER: Codec =
    Codec::new("gender", "`male`, `female` or `other`", read_gender, write_text).described(schema::gender);
/// A JSON object, kept as it is.
pub const DOCUMENT: Codec =
    Codec::new("document", "object of at most 10,240 bytes", read_document, write_document)
        .described(schema::document);

const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// An instant in milliseconds, UTC: `2026-03-14T15:45:00.000Z`.
#[must_use]
pub fn milliseconds(instant: Timestamp) -> Json<'static> {
    Json::Text(instant.format(MILLISECONDS).unwrap_or_default().into())
}

/// Degrees within ±180.
#[must_use]
pub fn read_degrees(json: Option<&Json<'_>>) -> Option<f64> {
    match json? {
        Json::Number(number) => number.as_f64().filter(|degrees| DEGREES.contains(degrees)),
        _ => None,
    }
}

/// As JavaScript writes it: 34, not 34.0.
#[allow(clippy::cast_possible_truncation, reason = "a whole number of degrees within ±180")]
#[must_use]
pub fn write_degrees(degrees: f64) -> Json<'static> {
    if degrees.fract() == 0.0 && DEGREES.contains(&degrees) {
        return Json::Number((degrees as i64).into());
    }
    serde_json::Number::from_f64(degrees).map_or(Json::Null, Json::Number)
}

/// An object of these members.
#[must_use]
pub fn object<const N: usize>(members: [(&'static str, Json<'static>); N]) -> Json<'static> {
    Json::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

fn read_free_text(codec: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let text = text(json)?;
    check::length(text, codec.min, codec.max)?;
    if !text.bytes().all(|byte| byte == b' ') {
        check::printable(text)?;
    }
    Ok(Value::text(text))
}

fn read_lines(codec: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let lines = text(json)?;
    check::length(lines, codec.min, codec.max)?;
    let one_line = lines.replace(['\n', '\r', '\t'], " ");
    if !one_line.trim().is_empty() {
        check::printable(&one_line)?;
    }
    Ok(Value::text(lines))
}

fn read_gender(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    match text(json)? {
        text @ ("male" | "female" | "other") => Ok(Value::text(text)),
        _ => Err(Problem::NotOneOf { values: "male, female, other" }),
    }
}

fn read_document(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    if json.members().is_none() {
        return Err(Problem::NotObject);
    }
    let too_large = Problem::Bytes { max: DOCUMENT_MAX_BYTES };
    let compact = serde_json::to_string(json).unwrap_or_default();
    let fits = u32::try_from(compact.len()).is_ok_and(|bytes| bytes <= DOCUMENT_MAX_BYTES);
    if fits { Ok(Value::Document(compact.into())) } else { Err(too_large) }
}

fn write_document<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Document(text) => json::parse(text.as_bytes()).map_or(Json::Null, Json::into_owned),
        _ => Json::Null,
    }
}
