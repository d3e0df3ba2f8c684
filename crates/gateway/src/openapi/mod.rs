//! OpenAPI 3.1 documents: what a mount takes and answers, from the tables that serve it.
//!
//! Routes and fields are read off the dialect's tables; what its envelopes are it says itself
//! (`Dialect::describe`); every answer, good or bad, is rendered by the dialect for the document, so that
//! statuses, headers and examples are what is sent.

mod answers;
mod components;
mod failures;
mod operation;
pub mod pages;
mod parameters;
mod sample;

use gateway_core::{Reach, Timestamp};
use gateway_dialect::{Form, Site};
use serde_json::{Map, Value, json};

use crate::config::{MountConfig, MountNamespace};

use self::{components::Components, sample::Sample};

/// The id of the request in all examples.
const REQUEST_ID: &str = "0198c0de-7a11-7e57-8c0d-e5a3b1e5f00d";

/// The document of a mount whose listener is at `origin`, `scheme://authority`.
#[must_use]
pub fn document(mount: &MountConfig, origin: &str, now: Timestamp) -> Value {
    let sample = Sample::of(mount);
    let prefix = mount.prefixes.first().map_or("", String::as_str);
    let site = Site {
        reach: &sample.reach,
        unknown_fields: mount.unknown_fields,
        base: mount.public_prefix.as_deref().unwrap_or(prefix),
        now,
        request_id: REQUEST_ID,
        form: Form::Document,
    };
    let mut components = Components::default();
    let mut paths: Map<String, Value> = Map::new();
    for route in mount.dialect.routes() {
        let operation = operation::describe(mount, &site, &sample, route, &mut components);
        let path = paths.entry(route.template).or_insert_with(|| json!({}));
        path[route.verb.as_str().to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": info(mount),
        "servers": servers(mount, origin),
        "tags": [{"name": TAG, "description": "The users that this mount sees."}],
        "paths": paths,
        "components": components.into_value(&mount.authenticator.manner()),
    })
}

/// What every operation is about.
const TAG: &str = "users";

fn info(mount: &MountConfig) -> Value {
    let (name, dialect, namespace) = (&mount.name, mount.dialect.name(), mount.namespace.as_text());
    json!({
        "title": format!("Interlingua: {name}"),
        "version": env!("CARGO_PKG_VERSION"),
        "summary": format!("The mount `{name}`, in the dialect `{dialect}`."),
        "description": format!(
            "The users of the namespace `{namespace}`, in the dialect `{dialect}`. HEAD is answered \
             wherever GET is, without a body. A body has at most {} bytes, and is strict JSON: UTF-8, no \
             name twice, no U+0000, numbers that can be kept exactly, at most 64 levels and 1,024 \
             members.",
            mount.max_body_bytes
        ),
        "contact": {"name": "The operator of this gateway"},
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    })
}

/// Where it is served. Behind a proxy that rewrites the prefix only the path is known.
fn servers(mount: &MountConfig, origin: &str) -> Value {
    let server = |url: String| json!({"url": if url.is_empty() { "/".to_owned() } else { url }});
    if let Some(public) = &mount.public_prefix {
        return json!([server(public.clone())]);
    }
    let origin = match (&mount.host, origin.split_once("://")) {
        (Some(host), Some((scheme, _))) => format!("{scheme}://{host}"),
        _ => origin.to_owned(),
    };
    let urls: Vec<_> = mount.prefixes.iter().map(|prefix| server(format!("{origin}{prefix}"))).collect();
    json!(urls)
}

/// Which users a request of the examples can see.
fn reach(namespace: &MountNamespace) -> Reach {
    match namespace {
        MountNamespace::Fixed(reach) => reach.clone(),
        MountNamespace::InPath(_) => {
            gateway_core::Namespace::parse(crate::demo::PROJECT).map_or(Reach::Nobody, Reach::Namespace)
        }
    }
}
