//! What codecs take and answer, as JSON Schema (2020-12): the words that the OpenAPI documents are made of.

use gateway_core::{check, regions};
use serde_json::json;

use crate::{Codec, Day};

/// A JSON Schema.
pub type Schema = serde_json::Value;

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// From a client, on this day.
    Sent(Day),
    /// To a client.
    Answered,
}

/// What is never part of a text on one line: control characters and direction overrides.
pub const HIDDEN: &str = r"\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069";
/// What may be, but does not show by itself.
pub const BLANK: &str = r" \u00a0\u00ad\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff";
/// White space, as it is trimmed.
pub const SPACE: &str = r"[\u0009-\u000d \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]";
/// As [`HIDDEN`], less tabulators and line ends.
const HIDDEN_IN_LINES: &str =
    r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069";
/// `$` alone would let a line feed through at the end in some engines.
const NO_CONTROLS: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";

/// Text of any kind.
#[must_use]
pub fn text(codec: &Codec, side: Side) -> Schema {
    match side {
        // What another dialect has stored is answered as it is, however long.
        Side::Answered => json!({"type": "string"}),
        Side::Sent(_) => json!({"type": "string", "minLength": codec.min, "maxLength": codec.max}),
    }
}

/// Text that a pattern describes.
#[must_use]
pub fn pattern(codec: &Codec, side: Side, pattern: &str) -> Schema {
    with(text(codec, side), "pattern", pattern)
}

/// The pattern of printable text on one line, with something in it that shows.
#[must_use]
pub fn printable_pattern() -> String {
    format!("^[^{HIDDEN}]*[^{HIDDEN}{BLANK}][^{HIDDEN}]*$")
}

/// Text on one line, with something in it that shows.
#[must_use]
pub fn printable(codec: &Codec, side: Side) -> Schema {
    if side == Side::Answered {
        return text(codec, side);
    }
    pattern(codec, side, &printable_pattern())
}

/// The same, or blanks alone.
#[must_use]
pub fn free_text(codec: &Codec, side: Side) -> Schema {
    match side {
        Side::Answered => text(codec, side),
        Side::Sent(_) => pattern(codec, side, &format!("^ +$|{}", printable_pattern())),
    }
}

/// Text on some lines, or white space alone.
pub(crate) fn lines(codec: &Codec, side: Side) -> Schema {
    let shown = format!("[^{HIDDEN_IN_LINES}]*[^{HIDDEN}{BLANK}][^{HIDDEN_IN_LINES}]*");
    match side {
        Side::Answered => text(codec, side),
        Side::Sent(_) => pattern(codec, side, &format!("^(?:{SPACE}*|{shown})$")),
    }
}

/// Any object; how many bytes of it are taken no schema can say.
pub(crate) fn document(_: &Codec, _: Side) -> Schema {
    json!({"type": "object"})
}

pub(crate) fn gender(_: &Codec, _: Side) -> Schema {
    one_of(["male", "female", "other"].into_iter())
}

pub(crate) fn url(codec: &Codec, side: Side) -> Schema {
    const NAME: &str = "[A-Za-z0-9_~](?:(?:[.]|-+)?[A-Za-z0-9_~])*[.]?";
    const PORT: &str = "(?::(?:[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}))?";
    const REST: &str = r"(?:[/?#][!#-;=?-Z\[\]_a-z~]*)?";
    let http = format!(r"^[Hh][Tt][Tt][Pp][Ss]?://(?:{NAME}|\[[0-9A-Fa-f:.]+\]){PORT}{REST}$");
    if side == Side::Answered { json!({"type": "string"}) } else { pattern(codec, side, &http) }
}

pub(crate) fn locale(codec: &Codec, side: Side) -> Schema {
    pattern(codec, side, "^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*$")
}

pub(crate) fn time_zone(_: &Codec, _: Side) -> Schema {
    let mut names: Vec<_> = check::time_zones().collect();
    names.sort_unstable();
    shared("TimeZone", one_of(names.into_iter()))
}

pub(crate) fn email(codec: &Codec, side: Side) -> Schema {
    with(text(codec, side), "format", "email")
}

/// Taken in either case, answered in upper case.
pub(crate) fn country(_: &Codec, side: Side) -> Schema {
    match side {
        Side::Answered => shared("Country", one_of(regions::countries())),
        Side::Sent(_) => {
            let codes = in_any_case(regions::countries());
            shared("CountryInAnyCase", json!({"type": "string", "pattern": codes}))
        }
    }
}

/// A long list that many fields have in common: documents hold it once, under this name.
#[must_use]
pub fn shared(name: &str, schema: Schema) -> Schema {
    with(schema, "$anchor", name)
}

/// The pattern of codes in either case.
#[must_use]
pub fn in_any_case<'c>(codes: impl Iterator<Item = &'c str>) -> String {
    let any = |code: &str| -> String {
        code.chars().map(|c| format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase())).collect()
    };
    let codes: Vec<_> = codes.map(any).collect();
    format!("^(?:{})$", codes.join("|"))
}

pub(crate) fn iso_date(_: &Codec, side: Side) -> Schema {
    let date = json!({"type": "string", "format": "date"});
    match side {
        Side::Answered => date,
        Side::Sent(today) => {
            with(date, "pattern", format!("^{}$", date_pattern(today, |date| date.join("-"))))
        }
    }
}

/// The pattern of birth dates from 1900 to this year, where `order` puts year, month and day together.
pub fn date_pattern(today: Day, order: impl Fn([&str; 3]) -> String) -> String {
    let year = today.year();
    let (decade, last) = (year / 10 % 10, year % 10);
    // Before 2010 there is no decade of the century that is over.
    let decades = if decade > 0 { format!("|20[0-{}][0-9]", decade - 1) } else { String::new() };
    let years = format!("(?:19[0-9]{{2}}{decades}|20{decade}[0-{last}])");
    let leap: Vec<_> =
        (1900..=year).filter(|year| time::util::is_leap_year(*year)).map(|year| year.to_string()).collect();
    let days = [
        (&*years, "(?:0[13578]|1[02])", "(?:0[1-9]|[12][0-9]|3[01])"),
        (&*years, "(?:0[469]|11)", "(?:0[1-9]|[12][0-9]|30)"),
        (&*years, "02", "(?:0[1-9]|1[0-9]|2[0-8])"),
        (&*format!("(?:{})", leap.join("|")), "02", "29"),
    ];
    let days: Vec<_> = days.into_iter().map(|(year, month, day)| order([year, month, day])).collect();
    format!("(?:{})", days.join("|"))
}

pub(crate) fn flag(_: &Codec, _: Side) -> Schema {
    json!({"type": "boolean"})
}

/// An external id (decision 3).
#[must_use]
pub fn external_id(codec: &Codec, side: Side) -> Schema {
    let mut schema = pattern(codec, side, NO_CONTROLS);
    if side != Side::Answered {
        schema["not"] = json!({"enum": [".", ".."]});
    }
    schema
}

/// A UUID.
#[must_use]
pub fn uuid(_: &Codec, _: Side) -> Schema {
    json!({"type": "string", "format": "uuid"})
}

/// An instant.
#[must_use]
pub fn instant(_: &Codec, _: Side) -> Schema {
    json!({"type": "string", "format": "date-time"})
}

/// One of some texts.
#[must_use]
pub fn one_of<'c>(values: impl Iterator<Item = &'c str>) -> Schema {
    json!({"type": "string", "enum": values.collect::<Vec<_>>()})
}

/// A schema with one more word.
#[must_use]
pub fn with(mut schema: Schema, word: &str, value: impl Into<Schema>) -> Schema {
    schema[word] = value.into();
    schema
}

/// An object with these members, all required, and no others.
#[must_use]
pub fn object<const N: usize>(members: [(&str, Schema); N]) -> Schema {
    let required: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    let required = json!(required);
    let properties =
        Schema::Object(members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect());
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A schema, or `null`.
#[must_use]
pub fn nullable(schema: Schema) -> Schema {
    match schema.get("type") {
        Some(Schema::String(kind))
            if ["enum", "not", "$anchor"].iter().all(|word| schema.get(word).is_none()) =>
        {
            let kinds = json!([kind, "null"]);
            with(schema, "type", kinds)
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}
