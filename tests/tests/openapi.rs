//! The OpenAPI documents against the conformance cases: what a case sends and is answered is described.

use std::collections::BTreeMap;

use gateway::{
    config::{self, MountConfig, Overrides, routing::longest_prefix},
    openapi::document,
};
use gateway_dialect::{Resolution, Verb, resolve};
use gateway_testkit::{
    cases,
    client::{RawRequest, RawResponse},
};
use serde_json::Value;
use tests::{Bed, Inside, dialects, now, schema::Schemas};

/// Headers that any answer may have, by the rules of HTTP and of CORS.
const ANY: [&str; 4] = ["date", "content-length", "content-type", "vary"];

struct Documents {
    mounts: Vec<MountConfig>,
    by_name: BTreeMap<String, Value>,
}

impl Documents {
    fn of(bed: &Bed) -> Self {
        let mounts = config::load(&bed.config(), &Overrides::default()).unwrap().mounts;
        let named = |mount: &MountConfig| (mount.name.to_string(), document(mount, "http://127.0.0.1", now()));
        let by_name = mounts.iter().map(named).collect();
        Self { mounts, by_name }
    }

    /// The document and the operation of a request, where it has a route.
    fn operation(&self, request: &RawRequest) -> Option<(&Value, &Value)> {
        let path = request.target.split('?').next().unwrap();
        let (mount, prefix) = longest_prefix(&self.mounts, Some("127.0.0.1"), path)?;
        let verb = Verb::of(&request.method.parse().unwrap());
        let Resolution::Found(target) = resolve(mount.dialect.routes(), verb, &path[prefix.len()..]) else {
            return None;
        };
        let document = &self.by_name[&*mount.name];
        let verb = target.route.verb.as_str().to_ascii_lowercase();
        Some((document, &document["paths"][target.route.template][verb]))
    }
}

/// What a document does not say of an exchange.
fn complaints(
    (document, operation): (&Value, &Value),
    request: &RawRequest,
    answer: &RawResponse,
) -> Vec<String> {
    let schemas = Schemas::of(document);
    let mut complaints = Vec::new();
    let response = &operation["responses"][answer.status.to_string()];
    if response.is_null() {
        return vec![format!("status {} is not described", answer.status)];
    }
    let named: Vec<_> = response["headers"].as_object().into_iter().flatten().collect();
    for (name, header) in &named {
        let header = schemas.resolve(header);
        let found = answer.header(&name.to_ascii_lowercase());
        if found.is_none() && header["required"] == true {
            complaints.push(format!("header {name} is missing"));
        }
        if let Some(text) = found {
            let text = Value::from(text);
            let value = if header["schema"]["type"] == "integer" {
                text.as_str().unwrap().parse::<u64>().map_or(text, Value::from)
            } else {
                text
            };
            let why = schemas.check(&header["schema"], &value);
            if !why.is_empty() {
                complaints.push(format!("header {name}: {why}"));
            }
        }
    }
    for (name, _) in &answer.headers {
        let known = ANY.contains(&name.as_str())
            || name.starts_with("access-control-")
            || named.iter().any(|(one, _)| one.eq_ignore_ascii_case(name));
        if !known {
            complaints.push(format!("header {name} is not described"));
        }
    }
    complaints.extend(body_complaint(&schemas, response, request, answer));
    complaints
}

fn body_complaint(
    schemas: &Schemas<'_>,
    response: &Value,
    request: &RawRequest,
    answer: &RawResponse,
) -> Option<String> {
    if request.method == "HEAD" {
        return None;
    }
    let Some(media_type) = answer.header("content-type") else {
        return response["content"].is_object().then(|| "there is no body".to_owned());
    };
    let media = &response["content"][media_type];
    if media.is_null() {
        return Some(format!("media type {media_type} is not described"));
    }
    let text = || Value::from(String::from_utf8_lossy(&answer.body));
    let body = if media_type.contains("json") {
        serde_json::from_slice(&answer.body).unwrap()
    } else {
        text()
    };
    let why = schemas.check(&media["schema"], &body);
    (!why.is_empty()).then(|| format!("body {body}: {why}"))
}

/// Whether the body of a request is what the operation takes; `None` where it has none, or is of
/// another media type.
fn is_taken(document: &Value, operation: &Value, request: &RawRequest) -> Option<Result<(), String>> {
    let content = operation["requestBody"]["content"].as_object()?;
    let given = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let schema = match given {
        Some((_, media_type)) => &content.get(media_type.as_str())?["schema"],
        None => &content.values().next()?["schema"],
    };
    let body = gateway_dialect::json::parse(&request.body).ok()?;
    let why = Schemas::of(document).check(schema, &gateway_dialect::value_of(&body));
    Some(if why.is_empty() { Ok(()) } else { Err(why) })
}

/// Every exchange of the conformance cases that has a route.
async fn exchanges() -> Vec<(String, RawRequest, RawResponse)> {
    let gateway = Inside::new(&Bed::new());
    let mut exchanges = Vec::new();
    for (dialect, files) in dialects() {
        for (name, file) in &files {
            for case in &file.case {
                let id = format!("doc-{}", case.name);
                let given = |name: &String| &file.given.iter().find(|given| given.name == *name).unwrap().step;
                let steps = case.given.iter().map(given).chain(&case.step);
                let requests: Vec<_> = steps.map(|step| cases::prepare(step, &id, now())).collect();
                let ran = cases::run(file, case, "doc", &gateway, now()).await;
                for (request, ran) in requests.into_iter().zip(ran) {
                    exchanges.push((format!("{dialect}/{name}: {}", case.name), request, ran.answer.unwrap()));
                }
            }
        }
    }
    exchanges
}

#[tokio::test]
async fn what_the_cases_are_answered_is_described() {
    let documents = Documents::of(&Bed::new());
    let (mut wrong, mut looked_at) = (Vec::new(), 0);
    for (case, request, answer) in exchanges().await {
        let Some(operation) = documents.operation(&request) else { continue };
        looked_at += 1;
        for complaint in complaints(operation, &request, &answer) {
            wrong.push(format!("{case}: {} {}: {complaint}", request.method, request.target));
        }
    }
    assert!(wrong.is_empty(), "{} of {looked_at}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(looked_at > 700, "only {looked_at} exchanges were looked at");
}

#[tokio::test]
async fn what_the_cases_send_is_taken_where_the_schema_says_so() {
    let documents = Documents::of(&Bed::new());
    let (mut wrong, mut taken, mut refused) = (Vec::new(), 0, 0);
    for (case, request, answer) in exchanges().await {
        let Some((document, operation)) = documents.operation(&request) else { continue };
        match is_taken(document, operation, &request) {
            Some(Ok(())) if answer.status < 300 => taken += 1,
            Some(Err(why)) if answer.status < 300 => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                wrong.push(format!("{case}: taken, but not by the schema: {why}: {body}"));
            }
            Some(Ok(())) if [400, 422, 500].contains(&answer.status) => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                wrong.push(format!("{case}: refused ({}), but good: {body}", answer.status));
            }
            Some(Err(_)) => refused += 1,
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(taken > 200 && refused > 100, "only {taken} were taken, {refused} refused");
}
