//! Codecs: how a canonical value is spelt in JSON. Each is a pair of plain functions, inverse to
//! each other for every value that the first accepts.

use gateway_core::{Date, ExternalId, Problem, UserId, Value, check};
use time::{format_description::BorrowedFormatItem, macros::format_description};

use crate::{
    Json, Schema,
    schema::{self, Side},
};

/// The day of the request, UTC: what "in the future" means.
pub type Day = Date;

/// A date in the words of the `time` crate.
pub type DateForm = &'static [BorrowedFormatItem<'static>];

type Read = fn(&Codec, &Json<'_>, Day) -> Result<Value<'static>, Problem>;
type Write = for<'a> fn(&Value<'a>) -> Json<'a>;
type Describe = fn(&Codec, Side) -> Schema;

/// A spelling, with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// The name, for tables built at run time and for documentation.
    pub name: &'static str,
    /// What it accepts, in a few words.
    pub form: &'static str,
    /// Fewest characters, where it is text.
    pub min: u16,
    /// Most characters, where it is text.
    pub max: u16,
    /// True for text without a form of its own, which `""` clears where it clears free text only.
    pub is_free_text: bool,
    read: Read,
    write: Write,
    describe: Describe,
}

impl Codec {
    /// A codec of a dialect's own.
    #[must_use]
    pub const fn new(name: &'static str, form: &'static str, read: Read, write: Write) -> Self {
        Self { name, form, min: 1, max: 255, is_free_text: false, read, write, describe: schema::text }
    }

    /// The same, with a schema; without one it is text within its bounds.
    #[must_use]
    pub const fn described(self, describe: Describe) -> Self {
        Self { describe, ..self }
    }

    /// The same, as free text.
    #[must_use]
    pub const fn free_text(self) -> Self {
        Self { is_free_text: true, ..self }
    }

    /// The same with other bounds, in Unicode scalar values.
    #[must_use]
    pub const fn chars(self, min: u16, max: u16) -> Self {
        Self { min, max, ..self }
    }

    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
        (self.read)(self, json, today)
    }

    /// Writes a value that this codec, or another of the same attribute, has read.
    #[must_use]
    pub fn write<'a>(&self, value: &Value<'a>) -> Json<'a> {
        (self.write)(value)
    }

    /// What it takes or writes, as JSON Schema.
    #[must_use]
    pub fn schema(&self, side: Side) -> Schema {
        (self.describe)(self, side)
    }
}

/// Printable text on one line.
pub const TEXT: Codec =
    Codec::new("text", "text", read_text, write_text).free_text().described(schema::printable);
/// An absolute http(s) URL.
pub const URL: Codec =
    Codec::new("url", "http(s) URL", read_url, write_text).chars(1, 2_048).described(schema::url);
/// A BCP 47 language tag.
pub const LOCALE: Codec =
    Codec::new("locale", "BCP 47 tag", read_locale, write_text).chars(2, 35).described(schema::locale);
/// A name of the tz database.
pub const TIME_ZONE: Codec = Codec::new("time-zone", "tz database name", read_time_zone, write_text)
    .chars(1, 64)
    .described(schema::time_zone);
/// An e-mail address.
pub const EMAIL: Codec =
    Codec::new("email", "e-mail address", read_email, write_text).chars(3, 254).described(schema::email);
/// An ISO 3166-1 alpha-2 code, in either case; upper in the store.
pub const COUNTRY: Codec = Codec::new("country", "ISO 3166-1 alpha-2 code", read_country, write_text)
    .chars(2, 2)
    .described(schema::country);
/// A postal code; a Canadian one gets its space.
pub const CANADIAN_OR_OTHER_POSTAL_CODE: Codec =
    Codec::new("postal-code", "postal code", read_postal_code, write_text)
        .chars(1, 20)
        .described(schema::printable);
/// A birth date, `YYYY-MM-DD`.
pub const ISO_DATE: Codec = Codec::new("iso-date", "date, `YYYY-MM-DD`", read_iso_date, write_iso_date)
    .chars(10, 10)
    .described(schema::iso_date);
/// `true` or `false`.
pub const FLAG: Codec =
    Codec::new("flag", "`true` or `false`", read_flag, write_flag).described(schema::flag);
/// An external id (decision 3).
pub const EXTERNAL_ID: Codec = Codec::new("external-id", "id", read_external_id, write_text)
    .chars(1, 128)
    .described(schema::external_id);
/// A canonical id: a UUID in lower case.
pub const ID: Codec = Codec::new("id", "UUID", read_id, write_text).chars(36, 36).described(schema::uuid);
/// An instant, whole seconds, UTC: `2026-03-14T15:45:00Z`. Only written.
pub const SECONDS: Codec =
    Codec::new("seconds", "instant, `YYYY-MM-DDThh:mm:ssZ`", read_nothing, write_seconds)
        .described(schema::instant);

const DATE_FORM: DateForm = format_description!("[year]-[month]-[day]");
const SECONDS_FORM: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// The text of a value; the first step of every codec of text.
///
/// # Errors
/// [`Problem::NotText`].
pub fn text<'j>(json: &'j Json<'_>) -> Result<&'j str, Problem> {
    json.as_text().ok_or(Problem::NotText)
}

/// Reads text that passes a check.
///
/// # Errors
/// [`Problem::NotText`], or what the check finds.
pub fn read_checked(
    json: &Json<'_>,
    check: impl Fn(&str) -> Result<(), Problem>,
) -> Result<Value<'static>, Problem> {
    let text = text(json)?;
    check(text)?;
    Ok(Value::text(text))
}

/// Reads a birth date in a form of ten characters.
///
/// # Errors
/// [`Problem::Date`], [`Problem::BirthRange`].
pub fn read_birth_date(json: &Json<'_>, form: DateForm, today: Day) -> Result<Value<'static>, Problem> {
    let text = text(json)?;
    let date = Date::parse(text, form).ok().filter(|_| text.len() == 10).ok_or(Problem::Date)?;
    check::birth_date(date, today)?;
    Ok(Value::Date(date))
}

/// The inverse of [`read_birth_date`].
#[must_use]
pub fn write_date(value: &Value<'_>, form: DateForm) -> Json<'static> {
    match value {
        Value::Date(date) => Json::Text(date.format(form).unwrap_or_default().into()),
        _ => Json::Null,
    }
}

/// What codecs read with that are only written.
///
/// # Errors
/// [`Problem::ReadOnly`], always.
pub fn read_nothing(_: &Codec, _: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    Err(Problem::ReadOnly)
}

fn read_text(codec: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let text = text(json)?;
    check::length(text, codec.min, codec.max)?;
    check::printable(text)?;
    Ok(Value::text(text))
}

/// Writes text as it is; the second half of every codec of text.
#[must_use]
pub fn write_text<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Text(text) => Json::Text(text.clone()),
        _ => Json::Null,
    }
}

fn read_url(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    read_checked(json, check::web_url)
}

fn read_locale(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    read_checked(json, check::locale)
}

fn read_time_zone(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    read_checked(json, check::time_zone)
}

fn read_email(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    read_checked(json, check::email)
}

fn read_country(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let code = text(json)?.to_ascii_uppercase();
    check::country(&code)?;
    Ok(Value::text(code))
}

fn read_postal_code(codec: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    match check::canadian_postal_code(text(json)?) {
        Ok(code) => Ok(Value::text(code)),
        Err(_) => read_text(codec, json, today),
    }
}

fn read_iso_date(_: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    read_birth_date(json, DATE_FORM, today)
}

fn write_iso_date<'a>(value: &Value<'a>) -> Json<'a> {
    write_date(value, DATE_FORM)
}

fn read_flag(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    match json {
        Json::Bool(flag) => Ok(Value::Flag(*flag)),
        _ => Err(Problem::NotFlag),
    }
}

fn write_flag<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Flag(flag) => Json::Bool(*flag),
        _ => Json::Null,
    }
}

fn read_external_id(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    ExternalId::parse(text(json)?).map(|id| Value::text(id.as_str())).ok_or(Problem::ExternalId)
}

fn read_id(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    UserId::parse(text(json)?).map(|id| Value::text(id.to_string())).ok_or(Problem::Uuid)
}

fn write_seconds<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Instant(instant) => Json::Text(instant.format(SECONDS_FORM).unwrap_or_default().into()),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::{date, utc_datetime};

    const TODAY: Day = date!(2026 - 03 - 01);

    fn read(codec: &Codec, text: &str) -> Result<Value<'static>, Problem> {
        codec.read(&Json::Text(text.into()), TODAY)
    }

    #[test]
    fn dates_have_one_spelling() {
        assert_eq!(read(&ISO_DATE, "1990-05-15"), Ok(Value::Date(date!(1990 - 05 - 15))));
        assert_eq!(read(&ISO_DATE, "2026-03-01"), Ok(Value::Date(TODAY)));
        for bad in [
            "1900-02-29",
            "1990-05-15T00:00:00Z",
            "10000-01-01",
            "1990\u{2011}05\u{2011}15",
            "1990-5-15",
            "+1990-05-15",
            "",
            "1990-13-01",
            "19900-5-15",
        ] {
            assert_eq!(read(&ISO_DATE, bad), Err(Problem::Date), "{bad}");
        }
        for bad in ["0000-01-01", "1850-01-01", "1899-12-31", "2026-03-02"] {
            assert_eq!(read(&ISO_DATE, bad), Err(Problem::BirthRange), "{bad}");
        }
        assert_eq!(ISO_DATE.read(&Json::Number(12345.into()), TODAY), Err(Problem::NotText));
    }

    #[test]
    fn seconds_truncate() {
        let instant = Value::Instant(utc_datetime!(2026-03-14 15:45:00.999_999_999));
        assert_eq!(SECONDS.write(&instant).as_text(), Some("2026-03-14T15:45:00Z"));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(text in ".{0,300}", days in -60_000_i32..60_000) {
            let date = TODAY.checked_add(time::Duration::days(days.into())).unwrap();
            let spelt = ISO_DATE.write(&Value::Date(date));
            for (codec, json) in [(TEXT, Json::Text(text.as_str().into())), (TEXT.chars(1, 20), Json::Text(text.as_str().into())), (ISO_DATE, spelt), (FLAG, Json::Bool(days > 0))] {
                if let Ok(value) = codec.read(&json, TODAY) {
                    prop_assert_eq!(codec.write(&value), json);
                }
            }
        }
    }
}
