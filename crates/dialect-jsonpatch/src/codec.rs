//! The spellings that only this dialect has (D.3): codes in upper case, US postal forms, US dates.

use gateway_core::{Problem, Value, check, regions};
use gateway_dialect::{
    Codec, DateForm, Day, Json, Schema, Side, read_birth_date, read_checked,
    schema::{self, date_pattern},
    text, write_date, write_text,
};
use serde_json::json;
use time::macros::format_description;

/// The country whose users have a state, and whose postal codes have a form.
pub(crate) const US: &str = "US";

/// An ISO 3166-1 alpha-2 code, in upper case only (decision 6).
pub(crate) const UPPER_COUNTRY: Codec =
    Codec::new("upper-country", "ISO 3166-1 alpha-2 code, upper case", read_country, write_text)
        .chars(2, 2)
        .described(|_, _| schema::shared("Country", schema::one_of(regions::countries())));
/// An ISO 639-1 code, in upper case only.
pub(crate) const UPPER_LANGUAGE: Codec =
    Codec::new("upper-language", "ISO 639-1 code, upper case", read_language, write_text)
        .chars(2, 2)
        .described(|_, _| schema::shared("Language", schema::one_of(regions::languages())));
/// A US state, by its USPS code.
pub(crate) const STATE: Codec = Codec::new("us-state", "US state code, upper case", read_state, write_text)
    .chars(2, 2)
    .described(|_, _| schema::shared("State", schema::one_of(regions::regions_of(US))));
/// A postal code, in upper case; what form it has in the US is judged with the country.
pub(crate) const ZIP: Codec =
    Codec::new("zip", "postal code", read_zip, write_text).chars(1, 20).described(zip);
/// The +4 of a ZIP code.
pub(crate) const ZIP4: Codec = Codec::new("zip4", "four digits", read_zip4, write_text)
    .chars(4, 4)
    .described(|_, _| json!({"type": "string", "pattern": "^[0-9]{4}$"}));
/// A birth date, `MM/DD/YYYY`.
pub(crate) const US_DATE: Codec =
    Codec::new("us-date", "date, `MM/DD/YYYY`", read_us_date, write_us_date).chars(10, 10).described(us_date);

const US_DATE_FORM: DateForm = format_description!("[month]/[day]/[year]");

/// A ZIP code as D writes it: five digits, without the +4.
pub(crate) fn is_us_zip(text: &str) -> bool {
    has_digits(text, 5)
}

fn has_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_country(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    read_checked(json, check::country)
}

fn read_language(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    read_checked(json, check::language)
}

fn read_state(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    read_checked(json, |code| check::region(code, Some(US)))
}

fn read_zip(codec: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let code = text(json)?;
    check::length(code, codec.min, codec.max)?;
    check::printable(code)?;
    if code.contains(char::is_lowercase) {
        return Err(Problem::PostalCode);
    }
    Ok(Value::text(code))
}

fn read_zip4(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let digits = text(json)?;
    if has_digits(digits, 4) { Ok(Value::text(digits)) } else { Err(Problem::PostalCode) }
}

fn read_us_date(_: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    read_birth_date(json, US_DATE_FORM, today)
}

fn write_us_date<'a>(value: &Value<'a>) -> Json<'a> {
    write_date(value, US_DATE_FORM)
}

/// Lower-case letters are those of ASCII here: what else there is, hardly any code has.
fn zip(codec: &Codec, side: Side) -> Schema {
    let mut schema = schema::printable(codec, side);
    if side != Side::Answered {
        schema["not"] = json!({"pattern": "[a-z]"});
    }
    schema
}

fn us_date(_: &Codec, side: Side) -> Schema {
    let order = |[year, month, day]: [&str; 3]| [month, day, year].join("/");
    match side {
        Side::Answered => json!({"type": "string", "pattern": "^[0-9]{2}/[0-9]{2}/[0-9]{4}$"}),
        Side::Sent(today) => {
            json!({"type": "string", "pattern": format!("^{}$", date_pattern(today, order))})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::{Duration, macros::date};

    const TODAY: Day = date!(2026 - 03 - 01);

    fn read(codec: &Codec, text: &str) -> Result<Value<'static>, Problem> {
        codec.read(&Json::Text(text.into()), TODAY)
    }

    #[test]
    fn codes_are_in_upper_case() {
        for (codec, good) in [(UPPER_COUNTRY, "US"), (UPPER_LANGUAGE, "EN"), (STATE, "OH"), (ZIP, "SW1A 1AA")]
        {
            assert_eq!(read(&codec, good), Ok(Value::text(good)));
            for bad in [&good.to_lowercase(), "", " ", &format!("{good}\n")] {
                assert!(read(&codec, bad).is_err(), "{bad:?}");
            }
        }
        assert_eq!(read(&UPPER_COUNTRY, "USA"), Err(Problem::Country));
        assert_eq!(read(&UPPER_COUNTRY, "XX"), Err(Problem::Country));
        assert_eq!(read(&UPPER_LANGUAGE, "ENG"), Err(Problem::Language));
        assert_eq!(read(&STATE, "ON"), Err(Problem::Region));
        assert_eq!(read(&STATE, "Ohio"), Err(Problem::Region));
        assert_eq!(read(&ZIP, &"1".repeat(21)), Err(Problem::Length { min: 1, max: 20 }));
    }

    #[test]
    fn zip4_is_four_digits() {
        assert_eq!(read(&ZIP4, "0331"), Ok(Value::text("0331")));
        for bad in ["331", "03311", "-331", "033a", "\u{660}\u{660}", ""] {
            assert_eq!(read(&ZIP4, bad), Err(Problem::PostalCode), "{bad}");
        }
        assert_eq!(ZIP4.read(&Json::Number(9331.into()), TODAY), Err(Problem::NotText));
        assert!(is_us_zip("02134") && !is_us_zip("2134") && !is_us_zip("43551-9331"));
    }

    #[test]
    fn dates_have_one_spelling() {
        assert_eq!(read(&US_DATE, "01/31/1980"), Ok(Value::Date(date!(1980 - 01 - 31))));
        assert_eq!(read(&US_DATE, "03/01/2026"), Ok(Value::Date(TODAY)));
        for bad in [
            "13/31/1980",
            "02/30/1980",
            "02/29/1900",
            "1/31/1980",
            "01/31/80",
            "1980-01-31",
            "01-31-1980",
            "01/31/1980 ",
            "01/31/+980",
            "31/01/1980",
            "01/31/19800",
            "",
        ] {
            assert_eq!(read(&US_DATE, bad), Err(Problem::Date), "{bad}");
        }
        for bad in ["12/31/1899", "03/02/2026"] {
            assert_eq!(read(&US_DATE, bad), Err(Problem::BirthRange), "{bad}");
        }
        assert_eq!(US_DATE.read(&Json::Number(1980.into()), TODAY), Err(Problem::NotText));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(text in "[A-Z0-9]{2,5}|.{0,22}", days in -60_000_i32..60_000) {
            let date = TODAY.checked_add(Duration::days(days.into())).unwrap();
            let mut pairs = vec![(US_DATE, US_DATE.write(&Value::Date(date)))];
            for codec in [UPPER_COUNTRY, UPPER_LANGUAGE, STATE, ZIP, ZIP4, US_DATE] {
                pairs.push((codec, Json::Text(text.as_str().into())));
            }
            for (codec, json) in pairs {
                if let Ok(value) = codec.read(&json, TODAY) {
                    prop_assert_eq!(codec.write(&value), json);
                }
            }
        }
    }
}
