//! The codecs that only this dialect needs.

use std::borrow::Cow;

use gateway_core::{Problem, Value, check};
use gateway_dialect::{
    Codec, Day, FREE_TEXT, ISO_DATE, Json, Schema, Side,
    schema::{self, date_pattern},
    text, write_text,
};
use serde_json::json;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Text; where it is a canonical integer, a number (decision 34). Both are accepted.
pub(crate) const NUMBER_OR_TEXT: Codec =
    Codec::new("number-or-text", "text or integer", read_number_or_text, write_number_or_text)
        .free_text()
        .described(number_or_text);
/// The same, but always written as text.
pub(crate) const TEXT_OR_NUMBER: Codec =
    Codec::new("text-or-number", "text or integer", read_number_or_text, write_text)
        .free_text()
        .described(text_or_number);
/// A birth date, written as its midnight; a date or an instant is accepted (decision 34).
pub(crate) const BIRTH_INSTANT: Codec =
    Codec::new("birth-instant", "date or instant", read_birth, write_birth_instant).described(birth_instant);
/// A birth date, written as such; the same is accepted.
pub(crate) const BIRTH_DATE: Codec =
    Codec::new("birth-date", "date or instant", read_birth, write_birth_date).described(birth_date);

/// The most digits of a number: what every client reads exactly.
const MAX_DIGITS: usize = 15;

fn read_number_or_text(codec: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    let text: Cow<'_, str> = match json {
        Json::Text(text) => Cow::Borrowed(text),
        Json::Number(number) => number.as_u64().ok_or(Problem::NotText)?.to_string().into(),
        _ => return Err(Problem::NotText),
    };
    FREE_TEXT.chars(codec.min, codec.max).read(&Json::Text(text), today)
}

fn write_number_or_text<'a>(value: &Value<'a>) -> Json<'a> {
    match value.as_text().and_then(canonical_integer) {
        Some(number) => Json::Number(number.into()),
        None => write_text(value),
    }
}

/// An integer that is written back as the same text.
fn canonical_integer(text: &str) -> Option<u64> {
    let digits = text.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    (digits && !leading_zero).then(|| text.parse().ok()).flatten()
}

fn read_birth(_: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    let text = text(json)?;
    if text.as_bytes().get(10) != Some(&b'T') {
        let date = ISO_DATE.read(json, today);
        return date.map_err(|problem| if problem == Problem::Date { Problem::Instant } else { problem });
    }
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok();
    let utc = instant.and_then(|instant| instant.checked_to_offset(UtcOffset::UTC));
    let date = utc.ok_or(Problem::Instant)?.date();
    check::birth_date(date, today)?;
    Ok(Value::Date(date))
}

fn write_birth_date<'a>(value: &Value<'a>) -> Json<'a> {
    ISO_DATE.write(value)
}

fn write_birth_instant<'a>(value: &Value<'a>) -> Json<'a> {
    match ISO_DATE.write(value) {
        Json::Text(date) => Json::Text(format!("{date}T00:00:00.000Z").into()),
        other => other,
    }
}

fn number_or_text(codec: &Codec, side: Side) -> Schema {
    // A client that sends a number has it kept as its digits.
    let most = 10_u64.saturating_pow(codec.max.into()).min(u64::MAX - 1);
    let number = match side {
        Side::Answered => json!({"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999_u64}),
        Side::Sent(_) => json!({"type": "integer", "minimum": 0, "maximum": most}),
    };
    json!({"anyOf": [schema::free_text(codec, side), number]})
}

fn text_or_number(codec: &Codec, side: Side) -> Schema {
    if side == Side::Answered { schema::free_text(codec, side) } else { number_or_text(codec, side) }
}

/// The date of the instant in UTC counts.
fn birth_date(_: &Codec, side: Side) -> Schema {
    const TIME: &str = "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?";
    const OFFSET: &str = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
    match side {
        Side::Answered => json!({"type": "string", "format": "date"}),
        Side::Sent(today) => {
            let date = date_pattern(today, |date| date.join("-"));
            json!({"type": "string", "pattern": format!("^{date}(?:{TIME}{OFFSET})?$")})
        }
    }
}

fn birth_instant(codec: &Codec, side: Side) -> Schema {
    if side == Side::Answered { schema::instant(codec, side) } else { birth_date(codec, side) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_dialect::GENDER;
    use proptest::prelude::*;
    use time::macros::date;

    const TODAY: Day = date!(2026 - 03 - 01);

    fn read(codec: &Codec, text: &str) -> Result<Value<'static>, Problem> {
        codec.read(&Json::Text(text.into()), TODAY)
    }

    fn written(codec: &Codec, text: &str) -> String {
        serde_json::to_string(&codec.write(&Value::text(text))).unwrap()
    }

    #[test]
    fn canonical_integers_go_out_as_numbers() {
        for (text, number) in [
            ("18", "18"),
            ("0", "0"),
            ("76131", "76131"),
            ("999999999999999", "999999999999999"),
            ("1000000000000000", "\"1000000000000000\""),
            ("01067", "\"01067\""),
            ("00", "\"00\""),
            ("18a", "\"18a\""),
            ("-5", "\"-5\""),
            ("+5", "\"+5\""),
            ("1.0", "\"1.0\""),
            ("M5V 2T6", "\"M5V 2T6\""),
            ("43551-9331", "\"43551-9331\""),
        ] {
            assert_eq!(written(&NUMBER_OR_TEXT, text), number);
            assert_eq!(written(&TEXT_OR_NUMBER, text), format!("\"{text}\""));
        }
    }

    #[test]
    fn integers_come_in_as_text() {
        let number = |text: &str| {
            NUMBER_OR_TEXT.chars(1, 20).read(&gateway_dialect::json::parse(text.as_bytes()).unwrap(), TODAY)
        };
        for good in ["0", "18", "76131", "18446744073709551615"] {
            assert_eq!(number(good), Ok(Value::text(good)));
        }
        for bad in ["-1", "1.5", "1.0", "1e3", "-0", "true", "null", "[]", "{}"] {
            assert_eq!(number(bad), Err(Problem::NotText), "{bad}");
        }
    }

    #[test]
    fn births_are_dates_or_instants() {
        let date =
            |year, month, day| Ok(Value::Date(time::Date::from_calendar_date(year, month, day).unwrap()));
        use time::Month::{December, July};
        for (text, expected) in [
            ("1997-07-21", date(1997, July, 21)),
            ("1997-07-21T00:00:00.000Z", date(1997, July, 21)),
            ("1997-07-21T13:00:00Z", date(1997, July, 21)),
            ("1997-07-21T23:30:00-02:00", date(1997, July, 22)),
            ("1998-01-01T00:30:00+01:00", date(1997, December, 31)),
        ] {
            assert_eq!(read(&BIRTH_INSTANT, text), expected, "{text}");
        }
        for bad in [
            "",
            "1997",
            "0000-07-21x",
            "1997-07",
            "1997-02-30",
            "1997-02-30T00:00:00Z",
            "07/21/1997",
            "1997-07-21T00:00:00",
            "1997-07-21 00:00:00Z",
            "1997-07-21T25:00:00Z",
            "1997-07-21T",
            "yesterday",
        ] {
            assert_eq!(read(&BIRTH_INSTANT, bad), Err(Problem::Instant), "{bad}");
        }
        for bad in ["0000-07-21", "1899-12-31", "2026-03-02", "2026-03-02T00:00:00Z", "1899-12-31T23:00:00Z"]
        {
            assert_eq!(read(&BIRTH_INSTANT, bad), Err(Problem::BirthRange), "{bad}");
        }
        let value = read(&BIRTH_DATE, "1997-07-21").unwrap();
        assert_eq!(BIRTH_DATE.write(&value).as_text(), Some("1997-07-21"));
        assert_eq!(BIRTH_INSTANT.write(&value).as_text(), Some("1997-07-21T00:00:00.000Z"));
    }

    #[test]
    fn blanks_are_kept_and_control_characters_are_not() {
        assert_eq!(read(&FREE_TEXT, "  "), Ok(Value::text("  ")));
        assert_eq!(read(&FREE_TEXT, "a\u{1}"), Err(Problem::NotPrintable));
        assert_eq!(read(&FREE_TEXT, "\u{200b}"), Err(Problem::NotPrintable));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_again(text in "[0-9]{1,18}|.{1,30}", days in 0..46_000_i32) {
            let birth = TODAY.checked_sub(time::Duration::days(days.into())).unwrap();
            let date = Json::Text(birth.to_string().into());
            let text = Json::Text(text.into());
            for (codec, json) in [
                (NUMBER_OR_TEXT, &text), (TEXT_OR_NUMBER, &text), (FREE_TEXT, &text), (GENDER, &text),
                (BIRTH_DATE, &date), (BIRTH_INSTANT, &date),
            ] {
                if let Ok(value) = codec.read(json, TODAY) {
                    prop_assert_eq!(codec.read(&codec.write(&value), TODAY), Ok(value));
                }
            }
        }
    }
}
