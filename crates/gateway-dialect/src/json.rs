//! Strict JSON (decision 7): one reader for every dialect, and the tree that it reads into.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Serialize, Serializer,
    de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Number, error::Category};

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;
/// The most object members in one document.
pub const MAX_MEMBERS: usize = 1_024;

/// A JSON value. Text is borrowed from the document where it has no escapes; members keep their order.
#[derive(Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number that reads back as the same decimal.
    Number(Number),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object; no name twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// A member of an object; `None` for anything else.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.members()?.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// The members, if this is an object.
    #[must_use]
    pub fn members(&self) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The same value, owning its text.
    #[must_use]
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(value) => Json::Number(value),
            Self::Text(text) => Json::Text(text.into_owned().into()),
            Self::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(members) => Json::Object(
                members
                    .into_iter()
                    .map(|(name, value)| (name.into_owned().into(), value.into_owned()))
                    .collect(),
            ),
        }
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Blank: a document is personal data.
impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(..)")
    }
}

/// Why a body is not JSON as we take it. Says where, never what was there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads one document: UTF-8 without BOM, no duplicate names, no lone surrogates, no U+0000, depth
/// and members within limits, numbers finite and exact, nothing after the document.
///
/// # Errors
/// [`Malformed`], with line and column where they are known.
pub fn parse(body: &[u8]) -> Result<Json<'_>, Malformed> {
    parse_within(body, MAX_MEMBERS, MAX_DEPTH)
}

/// The same within other limits: a page of documents is larger than each of them.
///
/// # Errors
/// As [`parse`].
pub fn parse_within(body: &[u8], mut members: usize, depth: usize) -> Result<Json<'_>, Malformed> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Malformed(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let json = Tree { depth, members: &mut members }
        .deserialize(&mut reader)
        .and_then(|json| reader.end().map(|()| json))
        .map_err(|error| malformed(&error))?;
    match inexact_number(text) {
        Some(at) => Err(Malformed(format!("a number that cannot be kept exactly, at byte {at}"))),
        None => Ok(json),
    }
}

/// In words of our own: they are on the wire, and must not change with a library.
fn malformed(error: &serde_json::Error) -> Malformed {
    let what = match error.classify() {
        Category::Data => return Malformed(error.to_string()),
        Category::Eof => "unexpected end",
        Category::Syntax | Category::Io => "syntax error",
    };
    Malformed(format!("{what} at line {} column {}", error.line(), error.column()))
}

struct Tree<'m> {
    depth: usize,
    members: &'m mut usize,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Json<'de>, E> {
        without_nul(value)?;
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Json<'de>, E> {
        without_nul(value)?;
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
        let depth = deeper(self.depth)?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Tree { depth, members: self.members })? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let depth = deeper(self.depth)?;
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key_seed(Name)? {
            let left = self.members.checked_sub(1);
            *self.members = left.ok_or_else(|| A::Error::custom("too many members"))?;
            // A short object is searched faster than it is hashed.
            let twice = if members.len() < 16 {
                members.iter().any(|(member, _)| *member == name)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|(member, _)| member.clone()));
                }
                !seen.insert(name.clone())
            };
            if twice {
                return Err(A::Error::custom("duplicate member name"));
            }
            members.push((name, map.next_value_seed(Tree { depth, members: self.members })?));
        }
        Ok(Json::Object(members))
    }
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Cow<'de, str>, E> {
        without_nul(value).map(|()| Cow::Borrowed(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Cow<'de, str>, E> {
        without_nul(value).map(|()| Cow::Owned(value.to_owned()))
    }
}

fn deeper<E: serde::de::Error>(depth: usize) -> Result<usize, E> {
    depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))
}

fn without_nul<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.as_bytes().contains(&0) { Err(E::custom("U+0000 in a string")) } else { Ok(()) }
}

/// The place of the first number that would read back as another decimal. `text` is valid JSON.
fn inexact_number(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let part_of_number = |b: &u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = bytes[at..].iter().take_while(|b| part_of_number(b)).count();
                if !is_exact(&text[at..at + length]) {
                    return Some(at);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// A number that goes through `u64`, `i64` or `f64` and comes out as the same decimal.
fn is_exact(token: &str) -> bool {
    let is_whole = !token.contains(['.', 'e', 'E']);
    if is_whole && (token.len() < 19 || token.parse::<u64>().is_ok() || token.parse::<i64>().is_ok()) {
        return true;
    }
    let Ok(value) = token.parse::<f64>() else { return false };
    value.is_finite() && decimal(token) == decimal(&format!("{value:e}"))
}

/// Significant digits, and the power of ten of the last of them.
fn decimal(token: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
    let (whole, fraction) =
        mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let shift = i64::try_from(digits.len() - significant.len()).ok()? - i64::try_from(fraction.len()).ok()?;
    Some((significant.to_owned(), exponent.parse::<i64>().ok()?.checked_add(shift)?))
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        parse(text.as_bytes()).is_err()
    }

    /// Not strict JSON.
    const REFUSED: &[&str] = &[
        "",
        " ",
        "{",
        "{'a':1}",
        "{a:1}",
        "{/*x*/\"a\":1}",
        "{\"a\":NaN}",
        "{\"a\":-Infinity}",
        "{\"a\":0x10}",
        "{\"a\":1e}",
        "{\"a\":01}",
        "{\"a\":1,}",
        "[1,]",
        "{\"a\":1}{\"a\":2}",
        "{} x",
        "\u{feff}{}",
        "\"\\ud800\"",
        "\"\\udc00x\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"a\u{1}\"",
        "\"a\nb\"",
        "\"\\u0000\"",
        "{\"a\\u0000\":1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"x\":{\"a\":1,\"a\":2}}",
        "1e400",
        "-1e400",
        "123456789012345678901234567890",
        "0.1234567890123456789",
        "1e-400",
        "18446744073709551616",
    ];

    #[test]
    fn what_is_not_strict_json_is_refused() {
        for bad in REFUSED {
            assert!(refused(bad), "{bad}");
        }
        for bytes in
            [&b"\"\xff\""[..], b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"\"\xe2\x82", b"\xff\xfe{\0}\0"]
        {
            assert!(parse(bytes).is_err());
        }
    }

    #[test]
    fn exact_numbers_come_back_as_they_were() {
        for good in [
            "0",
            "-1",
            "18446744073709551615",
            "-9223372036854775808",
            "9007199254740993",
            "34.05",
            "-118.25",
            "1.5777777777770001",
            "1e300",
            "100000000000000000000",
            "18446744073709552000",
            "0.1",
            "-0.0",
        ] {
            let json = parse(good.as_bytes()).unwrap();
            assert_eq!(decimal(&serde_json::to_string(&json).unwrap()), decimal(good), "{good}");
        }
    }

    #[test]
    fn limits() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(!refused(&deep(MAX_DEPTH)));
        assert!(refused(&deep(MAX_DEPTH + 1)));
        let wide =
            |n: usize| format!("{{{}}}", (0..n).map(|i| format!("\"k{i}\":1")).collect::<Vec<_>>().join(","));
        assert!(!refused(&wide(MAX_MEMBERS)));
        assert!(refused(&wide(MAX_MEMBERS + 1)));
        let late = wide(40).replace("\"k39\"", "\"k3\"");
        assert!(refused(&late));
    }

    #[test]
    fn the_message_says_where_and_not_what() {
        let error = parse(b"{\"secret\": x}").unwrap_err().to_string();
        assert!(error.contains("line 1 column 12"), "{error}");
        assert!(!parse(b"{\"secret\":1,\"secret\":2}").unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn order_and_text_survive() {
        let text = r#"{"b":[1,true,null,"é\n\u00e9"],"a":{"😀":-0.5}}"#;
        let back = serde_json::to_string(&parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(back, r#"{"b":[1,true,null,"é\né"],"a":{"😀":-0.5}}"#);
    }
}
