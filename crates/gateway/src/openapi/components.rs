//! What operations have in common: schemas, headers of answers, security schemes.

use gateway_auth::Manner;
use gateway_dialect::Named;
use serde_json::{Map, Value, json};

/// The parts of a document that have names.
#[derive(Default)]
pub(super) struct Components {
    schemas: Map<String, Value>,
    headers: Map<String, Value>,
}

impl Components {
    /// A reference to a schema by its name.
    pub(super) fn schema(&mut self, (name, schema): &Named) -> Value {
        if !self.schemas.contains_key(*name) {
            let mut schema = schema.clone();
            self.lift(&mut schema);
            self.schemas.insert((*name).to_owned(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// Gives the long lists of codes a place of their own: the parts of a schema that have an `$anchor`.
    pub(super) fn lift(&mut self, schema: &mut Value) {
        match schema {
            Value::Array(parts) => parts.iter_mut().for_each(|part| self.lift(part)),
            Value::Object(words) => {
                words.values_mut().for_each(|word| self.lift(word));
                let Some(Value::String(name)) = words.shift_remove("$anchor") else { return };
                let description = words.shift_remove("description");
                let list = Value::Object(std::mem::take(words));
                self.schemas.entry(&name).or_insert(list);
                words.insert("$ref".to_owned(), format!("#/components/schemas/{name}").into());
                words.extend(description.map(|description| ("description".to_owned(), description)));
            }
            _ => {}
        }
    }

    /// A reference to a header of answers.
    pub(super) fn header(&mut self, name: &str) -> Value {
        let name = proper(name);
        self.headers.entry(&name).or_insert_with(|| header(&name));
        json!({"$ref": format!("#/components/headers/{name}")})
    }

    pub(super) fn into_value(mut self, manner: &Manner) -> Value {
        self.schemas.sort_keys();
        self.headers.sort_keys();
        json!({"schemas": self.schemas, "headers": self.headers, "securitySchemes": schemes(manner)})
    }
}

/// What is demanded of a request: all schemes together.
pub(super) fn requirement(manner: &Manner) -> Value {
    let names: Map<_, _> = match schemes(manner) {
        Value::Object(schemes) => schemes.into_iter().map(|(name, _)| (name, json!([]))).collect(),
        _ => Map::new(),
    };
    Value::Object(names)
}

fn schemes(manner: &Manner) -> Value {
    match manner {
        Manner::Basic => json!({"basic": {"type": "http", "scheme": "basic"}}),
        Manner::Bearer { format: Some(format), .. } => {
            json!({"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": format}})
        }
        Manner::Bearer { format: None, .. } => json!({"bearer": {
            "type": "http", "scheme": "bearer", "description": "An opaque token, or a JWT."
        }}),
        Manner::Headers(headers) => {
            let scheme = |(name, description): &(&str, &str)| {
                let key = name.trim_start_matches("X-").replace('-', "");
                let scheme =
                    json!({"type": "apiKey", "in": "header", "name": name, "description": description});
                (key[..1].to_ascii_lowercase() + &key[1..], scheme)
            };
            Value::Object(headers.iter().map(scheme).collect())
        }
    }
}

/// A name as documents spell it: `x-request-id` is `X-Request-Id`.
fn proper(name: &str) -> String {
    if name.eq_ignore_ascii_case("etag") {
        return "ETag".to_owned();
    }
    let capital = |part: &str| part[..1].to_ascii_uppercase() + &part[1..].to_ascii_lowercase();
    name.split('-').filter(|part| !part.is_empty()).map(capital).collect::<Vec<_>>().join("-")
}

/// What a header of answers says.
fn header(name: &str) -> Value {
    let (description, schema) = match name {
        "ETag" => (
            "The entity tag of the user: the same in every mount, another one after each change.",
            json!({"type": "string", "pattern": "^\"[!#-~]+\"$"}),
        ),
        "X-Request-Id" | "Request-Id" => {
            ("The id of the request, to be named to support.", json!({"type": "string", "format": "uuid"}))
        }
        "Cache-Control" => ("Answers are not stored.", json!({"const": "no-store"})),
        "X-Content-Type-Options" => ("The media type is what it says.", json!({"const": "nosniff"})),
        "Idempotency-Replayed" => {
            ("There where the answer is the one given before.", json!({"const": "true"}))
        }
        "Retry-After" => ("When to try again, in seconds.", json!({"type": "integer", "minimum": 0})),
        "Location" => ("Where the new user is.", json!({"type": "string", "format": "uri-reference"})),
        "Www-Authenticate" => ("How to prove who calls.", json!({"type": "string"})),
        _ => ("", json!({"type": "string"})),
    };
    // What every answer that can have it has; the others are there as the case may be.
    let is_always_there =
        matches!(name, "ETag" | "X-Request-Id" | "Request-Id" | "Cache-Control" | "X-Content-Type-Options");
    let mut header = json!({"description": description, "schema": schema});
    if description.is_empty() {
        header = json!({"schema": schema});
    }
    if is_always_there {
        header["required"] = true.into();
    }
    header
}
