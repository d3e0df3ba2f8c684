//! Placeholders in case files.

use sha2::{Digest, Sha256};
use time::{Duration, UtcDateTime, macros::format_description};

/// Replaces `$ID`, `$USER`, `$DATE(…)` and `$REPEAT(…)`.
#[must_use]
pub fn expand(text: &str, id: &str, now: UtcDateTime) -> String {
    let text = call(text, "$DATE(", |argument| relative_date(argument, now));
    let text = call(&text, "$REPEAT(", |argument| {
        let (unit, count) = argument.rsplit_once(',').unwrap_or_else(|| panic!("$REPEAT({argument})"));
        unit.repeat(count.trim().parse().unwrap_or_else(|_| panic!("$REPEAT({argument})")))
    });
    let user = user_of(id);
    text.replace("$ID", id).replace("$USER(upper)", &user.to_uppercase()).replace("$USER", &user)
}

/// A UUID that only this id has (RFC 9562, version 8), for clients that choose a user's id.
fn user_of(id: &str) -> String {
    let hex: String = Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

pub(super) fn call(text: &str, opening: &str, value: impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(opening) {
        let (argument, tail) = after.split_once(')').unwrap_or_else(|| panic!("{opening} is not closed"));
        out.push_str(before);
        out.push_str(&value(argument));
        rest = tail;
    }
    out + rest
}

/// `-18y+1d`: years, then days, from today; 29 February falls back to the 28th.
fn relative_date(argument: &str, now: UtcDateTime) -> String {
    let mut date = now.date();
    let mut rest = argument;
    while !rest.is_empty() {
        let end = rest.find(['y', 'd']).unwrap_or_else(|| panic!("$DATE({argument})"));
        let number: i32 = rest[..end].parse().unwrap_or_else(|_| panic!("$DATE({argument})"));
        date = match &rest[end..=end] {
            "y" => date.replace_year(date.year() + number).unwrap_or_else(|_| {
                date.replace_day(28).unwrap().replace_year(date.year() + number).unwrap()
            }),
            _ => date + Duration::days(number.into()),
        };
        rest = &rest[end + 1..];
    }
    date.format(format_description!("[year]-[month]-[day]")).unwrap()
}

const TOKENS: [(&str, &str); 5] = [
    ("$UUID", "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh"),
    ("$SECONDS", "dddd-dd-ddTdd:dd:ddZ"),
    ("$FOUR_DIGITS", "dddd"),
    ("$MILLISECONDS", "dddd-dd-ddTdd:dd:dd.dddZ"),
    ("$ETAG", "\"bbbbbbbbbbbbbbbbbbbbbb\""),
];

/// True where `text` is `pattern`, with any UUID for `$UUID`, any instant for `$SECONDS` and
/// `$MILLISECONDS`, any four digits for `$FOUR_DIGITS`, any entity tag for `$ETAG`.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    loop {
        let next = TOKENS
            .iter()
            .filter_map(|(token, shape)| pattern.find(token).map(|at| (at, *token, *shape)))
            .min();
        let Some((at, token, shape)) = next else { return pattern == text };
        if !text.starts_with(&pattern[..at]) || !has_shape(&text[at..], shape) {
            return false;
        }
        pattern = &pattern[at + token.len()..];
        text = &text[at + shape.len()..];
    }
}

fn has_shape(text: &str, shape: &str) -> bool {
    text.is_char_boundary(shape.len().min(text.len()))
        && text.len() >= shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, kind)| match kind {
            b'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            b'd' => byte.is_ascii_digit(),
            b'b' => byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_',
            literal => byte == literal,
        })
}

/// The pattern of an answer: its UUIDs, instants and the case's id become placeholders.
#[must_use]
pub fn generalize(text: &str, id: &str) -> String {
    let text = text.replace(id, "$ID").replace(&user_of(id), "$USER");
    let mut out = String::new();
    let mut rest = text.as_str();
    let (instant, milliseconds) = TOKENS[3];
    'text: while let Some(first) = rest.chars().next() {
        // Other such instants are what the case has sent.
        let is_clock = ["createdAt\":\"", "updatedAt\":\""].iter().any(|name| out.ends_with(name));
        if is_clock && has_shape(rest, milliseconds) {
            out.push_str(instant);
            rest = &rest[milliseconds.len()..];
            continue 'text;
        }
        for (token, shape) in &TOKENS[..2] {
            if has_shape(rest, shape) {
                out.push_str(token);
                rest = &rest[shape.len()..];
                continue 'text;
            }
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::utc_datetime;

    #[test]
    fn placeholders() {
        let now = utc_datetime!(2024-02-29 12:00);
        assert_eq!(
            expand("a $ID $DATE(-18y) $DATE(-1y+1d) $REPEAT(ab,3)", "x", now),
            "a x 2006-02-28 2023-03-01 ababab"
        );
        let text = r#"{"a":"0123abcd-0123-0123-0123-0123456789ab","b":"2026-03-14T15:45:00Z","c":"case"}"#;
        let pattern = r#"{"a":"$UUID","b":"$SECONDS","c":"$ID"}"#;
        assert_eq!(generalize(text, "case"), pattern);
        assert!(matches(&expand(pattern, "case", now), text));
        assert!(!matches(&expand(pattern, "other", now), text));
        assert!(!matches(pattern, ""));
        assert!(matches("$ETAG", "\"0123456789_abcdefgh-ZZ\""));
        assert!(!matches("$ETAG", "W/\"0123456789_abcdefgh-ZZ\""));
        assert!(!matches("$ETAG", "\"0123456789_abcdefgh-ZZ.0123456789_abcdefgh-ZZ\""));
        assert!(!matches("$UUID", "0123ABCD-0123-0123-0123-0123456789ab"));
        assert!(!matches("$UUID", "0123abcd-0123-0123-0123-0123456789abc"));
        let user = expand("$USER", "case", now);
        assert!(matches("$UUID", &user));
        assert_eq!(generalize(&format!("{user} case"), "case"), "$USER $ID");
        assert_eq!(expand("$USER(upper)", "case", now), user.to_uppercase());
    }
}
