//! JSON Schema (2020-12), as far as our documents use it; a word that is not known here is a failure.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use regex::{Regex, RegexBuilder};
use serde_json::Value;

/// The patterns that were met: to build one takes longer than to match a thousand.
static PATTERNS: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// The schemas of a document.
#[derive(Clone, Copy)]
pub struct Schemas<'d> {
    document: &'d Value,
}

impl<'d> Schemas<'d> {
    /// Of a document.
    #[must_use]
    pub const fn of(document: &'d Value) -> Self {
        Self { document }
    }

    /// What is behind a reference, or the value itself.
    #[must_use]
    pub fn resolve<'v>(&self, value: &'v Value) -> &'v Value
    where
        'd: 'v,
    {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        let pointer = reference.strip_prefix('#').unwrap();
        self.document.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {reference}"))
    }

    /// Where a value breaks a schema, and which word of it; empty for one that is valid.
    #[must_use]
    pub fn check(&self, schema: &Value, value: &Value) -> String {
        let words = match schema {
            Value::Bool(true) => return String::new(),
            Value::Bool(false) => return "is not allowed".to_owned(),
            schema => schema.as_object().unwrap(),
        };
        let broken = words.iter().filter_map(|(word, told)| {
            let why = self.word(schema, (word, told), value);
            (!why.is_empty()).then(|| format!("{word}: {why}"))
        });
        broken.collect::<Vec<_>>().join("; ")
    }

    fn valid(&self, schema: &Value, value: &Value) -> bool {
        self.check(schema, value).is_empty()
    }

    fn word(&self, schema: &Value, (word, told): (&str, &Value), value: &Value) -> String {
        let is = |good: bool| if good { String::new() } else { told.to_string() };
        let all = |schemas: &Value| schemas.as_array().unwrap().clone();
        match word {
            "description" | "title" | "default" | "readOnly" => String::new(),
            "$ref" => self.check(self.resolve(schema), value),
            "type" => is(one_or_many(told).iter().any(|kind| is_kind(kind, value))),
            "enum" => is(all(told).contains(value)),
            "const" => is(told == value),
            "not" => is(!self.valid(told, value)),
            "anyOf" => is(all(told).iter().any(|one| self.valid(one, value))),
            "allOf" => all(told).iter().map(|one| self.check(one, value)).collect(),
            "if" => {
                let branch = if self.valid(told, value) { "then" } else { "else" };
                schema.get(branch).map_or_else(String::new, |branch| self.check(branch, value))
            }
            "then" | "else" => String::new(),
            "minLength" | "maxLength" | "pattern" | "format" => {
                value.as_str().map_or_else(String::new, |text| is(is_text(word, told, text)))
            }
            "minimum" => is(value.as_f64().is_none_or(|number| number >= told.as_f64().unwrap())),
            "maximum" => is(value.as_f64().is_none_or(|number| number <= told.as_f64().unwrap())),
            "items" | "contains" | "minItems" | "maxItems" | "uniqueItems" => {
                value.as_array().map_or_else(String::new, |items| self.items(word, told, items))
            }
            "properties" | "required" | "additionalProperties" | "minProperties" | "maxProperties" => {
                value.as_object().map_or_else(String::new, |_| self.members(schema, word, told, value))
            }
            _ => panic!("`{word}` is no word that is known here"),
        }
    }

    fn items(&self, word: &str, told: &Value, items: &[Value]) -> String {
        let count = items.len() as u64;
        match word {
            "items" => items.iter().map(|item| self.check(told, item)).collect(),
            "contains" if items.iter().any(|item| self.valid(told, item)) => String::new(),
            "uniqueItems" if items.iter().enumerate().all(|(at, item)| !items[..at].contains(item)) => {
                String::new()
            }
            "minItems" if count >= told.as_u64().unwrap() => String::new(),
            "maxItems" if count <= told.as_u64().unwrap() => String::new(),
            _ => told.to_string(),
        }
    }

    fn members(&self, schema: &Value, word: &str, told: &Value, value: &Value) -> String {
        let members = value.as_object().unwrap();
        let known = |name: &str| schema["properties"].get(name).is_some();
        let count = members.len() as u64;
        match word {
            "properties" => {
                let given = told.as_object().unwrap().iter().filter_map(|(name, schema)| {
                    let why = self.check(schema, members.get(name)?);
                    (!why.is_empty()).then(|| format!("{name}: {why}"))
                });
                given.collect::<Vec<_>>().join(", ")
            }
            "required" => {
                let names = told.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                names.filter(|name| !members.contains_key(*name)).collect()
            }
            "additionalProperties" => {
                assert_eq!(*told, Value::Bool(false));
                members.keys().filter(|name| !known(name)).map(String::as_str).collect()
            }
            "minProperties" if count >= told.as_u64().unwrap() => String::new(),
            "maxProperties" if count <= told.as_u64().unwrap() => String::new(),
            _ => told.to_string(),
        }
    }
}

fn is_text(word: &str, told: &Value, text: &str) -> bool {
    let length = text.chars().count() as u64;
    match word {
        "minLength" => length >= told.as_u64().unwrap(),
        "maxLength" => length <= told.as_u64().unwrap(),
        "pattern" => pattern(told.as_str().unwrap()).is_match(text),
        _ => is_form(told.as_str().unwrap(), text),
    }
}

fn pattern(pattern: &str) -> Regex {
    // Repetitions of what is not in a class are large here.
    let build = || RegexBuilder::new(pattern).size_limit(1 << 28).build();
    let build = || build().unwrap_or_else(|error| panic!("{error}"));
    PATTERNS.lock().unwrap().entry(pattern.to_owned()).or_insert_with(build).clone()
}

fn one_or_many(told: &Value) -> Vec<&str> {
    match told {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    }
}

fn is_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => panic!("`{kind}` is no type"),
    }
}

fn is_form(form: &str, text: &str) -> bool {
    use time::format_description::well_known::Rfc3339;
    match form {
        "uuid" => text.len() == 36 && uuid::Uuid::try_parse(text).is_ok(),
        "email" => gateway_core::check::email(text).is_ok(),
        "date-time" => time::OffsetDateTime::parse(text, &Rfc3339).is_ok(),
        "date" => {
            text.len() == 10 && time::OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339).is_ok()
        }
        "uri-reference" => text.parse::<http::Uri>().is_ok(),
        _ => panic!("`{form}` is no format that is known here"),
    }
}
