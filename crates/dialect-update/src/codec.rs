//! The codecs that only this dialect needs: each a pair of functions, inverse to each other for
//! every value that the first accepts.

use std::borrow::Cow;

use crate::forms;
use gateway_core::{Point, Problem, Suspension, Timestamp, Value, check};
use gateway_dialect::{
    Codec, Day, Json, LINES, URL, milliseconds, object, read_degrees, read_nothing, text, write_degrees,
    write_text,
};
use time::{
    Date, PrimitiveDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description,
};

/// Sanitised (decision 26).
pub(crate) const USERNAME: Codec =
    Codec::new("username", "characters of `[a-zA-Z0-9._]`; others are deleted", read_username, write_text)
        .described(forms::username);
/// Sanitised, and in lower case, also where it is stored otherwise.
pub(crate) const LOWER_USERNAME: Codec =
    Codec::new("lower-username", "as `username`, in lower case", read_lower_username, write_lower)
        .described(forms::username);
/// One line, trimmed, also where it is stored otherwise; `""` is a value (decision 28).
pub(crate) const NAME: Codec =
    Codec::new("trimmed", "text", read_name, write_trimmed).chars(0, 255).described(forms::name);
/// Some lines; `""` is a value.
pub(crate) const BIO: Codec = LINES.chars(0, 300);
/// An absolute http(s) URL, or `""`.
pub(crate) const AVATAR: Codec =
    Codec::new("avatar", "http(s) URL or `\"\"`", read_avatar, write_text).described(forms::avatar);
/// A birth date with a time of day.
pub(crate) const BIRTH_INSTANT: Codec =
    Codec::new("birth-instant", "ISO 8601 date or instant", read_birth_instant, write_instant)
        .described(forms::birth_instant);
/// `{longitude, latitude}` or a GeoJSON Point in, a Point out.
pub(crate) const LOCATION: Codec =
    Codec::new("location", "`{longitude, latitude}`, degrees within ±180", read_location, write_location)
        .described(forms::location);
/// Only written.
pub(crate) const SUSPENSIONS: Codec =
    Codec::new("suspensions", "array of `{reason, startDate, endDate}`", read_nothing, write_suspensions)
        .described(forms::suspensions);

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const LOCAL: &[BorrowedFormatItem<'_>] = format_description!(
    "[year]-[month]-[day]T[hour]:[minute][optional [:[second][optional [.[subsecond]]]]]"
);
const OFFSET: &[BorrowedFormatItem<'_>] = format_description!("[offset_hour sign:mandatory]:[offset_minute]");

fn read_username(codec: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let name = check::sanitized_username(text(json)?)?;
    check::length(&name, codec.min, codec.max)?;
    Ok(Value::text(name))
}

fn read_lower_username(codec: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    let lower = |name: &str| Value::text(name.to_ascii_lowercase());
    read_username(codec, json, today)?.as_text().map(lower).ok_or(Problem::Username)
}

fn write_lower<'a>(value: &Value<'a>) -> Json<'a> {
    value.as_text().map_or(Json::Null, |name| Json::Text(name.to_ascii_lowercase().into()))
}

fn read_name(codec: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let name = text(json)?.trim();
    check::length(name, codec.min, codec.max)?;
    if !name.is_empty() {
        check::printable(name)?;
    }
    Ok(Value::text(name))
}

fn write_trimmed<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Text(Cow::Borrowed(name)) => Json::Text(name.trim().into()),
        Value::Text(Cow::Owned(name)) => Json::Text(name.trim().to_owned().into()),
        _ => Json::Null,
    }
}

fn read_avatar(_: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    if json.as_text() == Some("") { Ok(Value::text("")) } else { URL.read(json, today) }
}

/// The birth date is the UTC date of the instant (decision 28).
fn read_birth_instant(_: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    let text = text(json)?;
    let plain_year = text.starts_with(|c: char| c.is_ascii_digit());
    let instant = date(text).or_else(|| instant(text)).filter(|_| plain_year).ok_or(Problem::Instant)?;
    check::birth_date(instant.date(), today)?;
    Ok(Value::Instant(instant))
}

fn date(text: &str) -> Option<Timestamp> {
    Some(Date::parse(text, DATE).ok()?.midnight().as_utc())
}

/// In whole milliseconds, as it is echoed.
fn instant(text: &str) -> Option<Timestamp> {
    let (local, offset) = match text.strip_suffix('Z') {
        Some(local) => (local, UtcOffset::UTC),
        None => {
            let (local, offset) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
            (local, UtcOffset::parse(offset, OFFSET).ok()?)
        }
    };
    let instant = PrimitiveDateTime::parse(local, LOCAL).ok()?.assume_offset(offset).checked_to_utc()?;
    instant.replace_millisecond(instant.millisecond()).ok()
}

fn write_instant<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Instant(instant) => milliseconds(*instant),
        _ => Json::Null,
    }
}

/// What we answer is taken too, so that it can be sent back (decision 5).
fn read_location(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let (longitude, latitude) = match (json.get("type").and_then(Json::as_text), json.get("coordinates")) {
        (Some("Point"), Some(Json::Array(pair))) if pair.len() == 2 => (pair.first(), pair.get(1)),
        _ => (json.get("longitude"), json.get("latitude")),
    };
    match (read_degrees(longitude), read_degrees(latitude)) {
        (Some(longitude), Some(latitude)) => Ok(Value::Point(Point { longitude, latitude })),
        _ => Err(Problem::Coordinates),
    }
}

fn write_location<'a>(value: &Value<'a>) -> Json<'a> {
    let Value::Point(Point { longitude, latitude }) = value else { return Json::Null };
    let coordinates = Json::Array(vec![write_degrees(*longitude), write_degrees(*latitude)]);
    object([("type", Json::Text("Point".into())), ("coordinates", coordinates)])
}

/// A location in the form in which it is sent.
pub(crate) fn sent_location(point: &Json<'_>) -> Json<'static> {
    match point.get("coordinates") {
        Some(Json::Array(pair)) if pair.len() == 2 => {
            let degrees = |at: usize| pair.get(at).cloned().unwrap_or(Json::Null).into_owned();
            object([("longitude", degrees(0)), ("latitude", degrees(1))])
        }
        _ => Json::Null,
    }
}

fn write_suspensions<'a>(value: &Value<'a>) -> Json<'a> {
    let one = |suspension: &Suspension| {
        let reason = suspension.reason.clone().map_or(Json::Null, |reason| Json::Text(reason.into()));
        let end = suspension.ends_at.map_or(Json::Null, milliseconds);
        object([("reason", reason), ("startDate", milliseconds(suspension.starts_at)), ("endDate", end)])
    };
    match value {
        Value::Suspensions(list) => Json::Array(list.iter().map(one).collect()),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_dialect::{DOCUMENT, json};
    use proptest::prelude::*;
    use time::macros::{date, utc_datetime};

    const TODAY: Day = date!(2026 - 03 - 01);

    fn read(codec: &Codec, text: &str) -> Result<Value<'static>, Problem> {
        codec.read(&json::parse(text.as_bytes()).unwrap(), TODAY)
    }

    fn back(codec: &Codec, text: &str) -> Option<String> {
        read(codec, text).ok().map(|value| serde_json::to_string(&codec.write(&value)).unwrap())
    }

    #[test]
    fn usernames_are_sanitised() {
        for (given, kept) in [
            (r#""new_username""#, Some("new_username")),
            (r#"" x-Y.é z ""#, Some("xY.z")),
            (r#""a\u200bb""#, Some("ab")),
            (r#""""#, None),
            (r#""é- ""#, None),
            ("7", None),
        ] {
            assert_eq!(back(&USERNAME, given), kept.map(|kept| format!("\"{kept}\"")), "{given}");
        }
        assert_eq!(back(&LOWER_USERNAME, r#""Ja-Ne""#).as_deref(), Some(r#""jane""#));
        assert!(read(&USERNAME, &format!("\"{}-\"", "a".repeat(255))).is_ok());
        assert!(read(&USERNAME, &format!("\"{}\"", "a".repeat(256))).is_err());
    }

    #[test]
    fn texts() {
        assert_eq!(back(&NAME, r#""  Ann Lee\t""#).as_deref(), Some(r#""Ann Lee""#));
        assert_eq!(back(&NAME, r#"" ""#).as_deref(), Some(r#""""#));
        assert_eq!(back(&BIO, r#""a\n\tb\r\n""#).as_deref(), Some(r#""a\n\tb\r\n""#));
        assert_eq!(back(&AVATAR, r#""""#).as_deref(), Some(r#""""#));
        for (codec, bad) in [
            (NAME, r#""a\nb""#),
            (NAME, r#""\u200b""#),
            (BIO, r#""a\u202eb""#),
            (BIO, r#""a\u0007b""#),
            (AVATAR, r#""javascript:alert(1)""#),
            (AVATAR, r#"" ""#),
            (NAME, "true"),
            (BIO, "42"),
            (AVATAR, "{}"),
        ] {
            assert!(read(&codec, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants() {
        for (given, kept) in [
            ("1990-01-01", "1990-01-01T00:00:00.000Z"),
            ("1990-01-01T00:00:00.000Z", "1990-01-01T00:00:00.000Z"),
            ("1990-01-01T08:30Z", "1990-01-01T08:30:00.000Z"),
            ("1990-01-01T08:30:15.1239Z", "1990-01-01T08:30:15.123Z"),
            ("1990-01-01T23:00:00-05:00", "1990-01-02T04:00:00.000Z"),
            ("1990-01-01T00:00:00+05:30", "1989-12-31T18:30:00.000Z"),
        ] {
            assert_eq!(back(&BIRTH_INSTANT, &format!("\"{given}\"")), Some(format!("\"{kept}\"")), "{given}");
        }
        for bad in [
            "",
            "yesterday",
            "1990",
            "1990-02-30",
            "1990-1-1",
            "1990-01-01T00:00:00",
            "1990-01-01T24:00:00Z",
            "1990-01-01T00:00:60Z",
            "1990-01-01 00:00:00Z",
            "1990-01-01t00:00:00z",
            "1990-01-01T00:00:00+0530",
            "1990-01-01T00:00:00+99:00",
            "+1990-01-01",
            "9999-12-31T23:59:59-23:59",
            "1899-12-31T23:59:59Z",
            "2026-03-02",
            "2026-03-01T23:00:00-05:00",
            "éééééé",
        ] {
            assert_eq!(back(&BIRTH_INSTANT, &format!("\"{bad}\"")), None, "{bad}");
        }
    }

    #[test]
    fn locations() {
        let point = r#"{"type":"Point","coordinates":[34.05,-118.25]}"#;
        assert_eq!(back(&LOCATION, r#"{"longitude":34.05,"latitude":-118.25}"#).as_deref(), Some(point));
        assert_eq!(back(&LOCATION, point).as_deref(), Some(point));
        let whole = r#"{"longitude":34.0,"latitude":-0.0,"altitude":1}"#;
        assert_eq!(back(&LOCATION, whole).as_deref(), Some(r#"{"type":"Point","coordinates":[34,0]}"#));
        for bad in [
            "{}",
            "[1,2]",
            "\"1,2\"",
            r#"{"longitude":1}"#,
            r#"{"longitude":"1","latitude":"2"}"#,
            r#"{"longitude":180.5,"latitude":2}"#,
            r#"{"longitude":1,"latitude":1e308}"#,
            r#"{"longitude":null,"latitude":null}"#,
            r#"{"type":"Point","coordinates":[1,2,3]}"#,
            r#"{"type":"Polygon","coordinates":[1,2]}"#,
        ] {
            assert_eq!(read(&LOCATION, bad), Err(Problem::Coordinates), "{bad}");
        }
        let sent = sent_location(&json::parse(point.as_bytes()).unwrap());
        assert_eq!(serde_json::to_string(&sent).unwrap(), r#"{"longitude":34.05,"latitude":-118.25}"#);
    }

    #[test]
    fn documents_keep_their_order_and_their_numbers() {
        let document =
            r#"{"z":1,"a":{"y":[1.5777777777770001,9007199254740993,-1],"b":null},"__proto__":{}}"#;
        assert_eq!(back(&DOCUMENT, document).as_deref(), Some(document));
        let sized = |bytes: usize| format!(r#"{{"k":"{}"}}"#, "x".repeat(bytes - 8));
        assert!(read(&DOCUMENT, &sized(10_240)).is_ok());
        assert_eq!(read(&DOCUMENT, &sized(10_241)), Err(Problem::Bytes { max: 10_240 }));
        for bad in ["[]", "\"x\"", "1"] {
            assert_eq!(read(&DOCUMENT, bad), Err(Problem::NotObject), "{bad}");
        }
    }

    #[test]
    fn suspensions_are_only_written() {
        let starts_at = utc_datetime!(2026-03-01 0:00:00.5);
        let list = vec![
            Suspension {
                reason: Some("spam".into()),
                starts_at,
                ends_at: Some(utc_datetime!(2026-04-01 0:00)),
            },
            Suspension { reason: None, starts_at, ends_at: None },
        ];
        assert_eq!(
            serde_json::to_string(&SUSPENSIONS.write(&Value::Suspensions(list.into()))).unwrap(),
            r#"[{"reason":"spam","startDate":"2026-03-01T00:00:00.500Z","endDate":"2026-04-01T00:00:00.000Z"},{"reason":null,"startDate":"2026-03-01T00:00:00.500Z","endDate":null}]"#
        );
        assert_eq!(read(&SUSPENSIONS, "[]"), Err(Problem::ReadOnly));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(text in "[^\\x00]{0,310}", ms in 0_i64..3_900_000_000_000, lon in -181.0..181.0_f64, lat in -181.0..181.0_f64) {
            let epoch = utc_datetime!(1900-01-01 0:00);
            let instant = BIRTH_INSTANT.write(&Value::Instant(epoch + time::Duration::milliseconds(ms)));
            let point = LOCATION.write(&Value::Point(Point { longitude: lon, latitude: lat }));
            let document = Json::Object(vec![(text.as_str().into(), point.clone()), ("b".into(), instant.clone())]);
            let text = Json::Text(text.as_str().into());
            for (codec, json) in [(BIO, text), (BIRTH_INSTANT, instant), (LOCATION, point), (DOCUMENT, document)] {
                if let Ok(value) = codec.read(&json, TODAY) {
                    prop_assert!(codec.write(&value) == json);
                }
            }
        }

        #[test]
        fn a_form_once_read_is_stable(text in ".{0,310}") {
            for codec in [USERNAME, LOWER_USERNAME, NAME, AVATAR] {
                if let Ok(value) = codec.read(&Json::Text(text.as_str().into()), TODAY) {
                    let again = codec.read(&codec.write(&value), TODAY);
                    prop_assert_eq!(again, Ok(value));
                }
            }
        }
    }
}
