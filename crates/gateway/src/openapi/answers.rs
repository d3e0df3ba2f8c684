//! The answers of an operation, as the dialect renders them: by status, and by media type.

use std::collections::BTreeMap;

use gateway_dialect::{Answer, Hygiene, Named};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::components::Components;
use crate::config::MountConfig;

/// The answers of one operation.
#[derive(Default)]
pub(super) struct Answers(BTreeMap<u16, Response>);

#[derive(Default)]
struct Response {
    headers: Map<String, Value>,
    content: Map<String, Value>,
}

impl Answers {
    /// Adds an answer as an example, with a name for it.
    pub(super) fn add(
        &mut self,
        mount: &MountConfig,
        (name, answer): (&str, &Answer),
        schema: Option<&Named>,
        components: &mut Components,
    ) {
        let response = self.0.entry(answer.status.as_u16()).or_default();
        for (name, _) in answer.headers.iter().filter(|(name, _)| *name != header::CONTENT_TYPE) {
            response.header(name.as_str(), components);
        }
        if answer.hygiene == Hygiene::Full {
            response.header("cache-control", components);
            response.header("x-content-type-options", components);
            if let Some(name) = mount.dialect.request_id_header() {
                response.header(name.as_str(), components);
            }
        }
        let media_type = answer.headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
        let Some(media_type) = media_type.and_then(|(_, value)| value.to_str().ok()) else { return };
        if answer.body.is_empty() {
            return;
        }
        let json = serde_json::from_slice::<Value>(&answer.body).ok().filter(|_| media_type.contains("json"));
        let text = || String::from_utf8_lossy(&answer.body).into_owned().into();
        let schema = match (&json, schema) {
            (Some(_), Some(schema)) => components.schema(schema),
            _ => json!({"type": "string"}),
        };
        let media =
            response.content.entry(media_type).or_insert_with(|| json!({"schema": schema, "examples": {}}));
        if let Some(examples) = media["examples"].as_object_mut() {
            let example = json!({"value": json.unwrap_or_else(text)});
            let free = (2..).map(|n| format!("{name}-{n}"));
            let name = std::iter::once(name.to_owned()).chain(free).find(|name| !examples.contains_key(name));
            // The same bytes twice tell nothing new.
            if let (Some(name), false) = (name, examples.values().any(|known| *known == example)) {
                examples.insert(name, example);
            }
        }
    }

    /// Adds a header to what there is of a status.
    pub(super) fn header(&mut self, status: StatusCode, name: &str, components: &mut Components) {
        if let Some(response) = self.0.get_mut(&status.as_u16()) {
            response.header(name, components);
        }
    }

    pub(super) fn statuses(&self) -> Vec<StatusCode> {
        self.0.keys().filter_map(|status| StatusCode::from_u16(*status).ok()).collect()
    }

    pub(super) fn into_value(self) -> Value {
        let response = |(status, response): (u16, Response)| {
            let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            let mut value = json!({"description": reason.unwrap_or("Unknown")});
            if !response.headers.is_empty() {
                value["headers"] = Value::Object(response.headers);
            }
            if !response.content.is_empty() {
                value["content"] = Value::Object(response.content);
            }
            (status.to_string(), value)
        };
        Value::Object(self.0.into_iter().map(response).collect())
    }
}

impl Response {
    fn header(&mut self, name: &str, components: &mut Components) {
        let reference = components.header(name);
        let name = reference["$ref"].as_str().and_then(|at| at.rsplit('/').next()).unwrap_or(name).to_owned();
        self.headers.insert(name, reference);
    }
}
