//! The OpenAPI documents against the conformance cases: what a case sends and is answered is described.

use std::collections::{BTreeMap, BTreeSet};

use gateway::{
    config::{self, MountConfig, MountNamespace, Overrides, routing::longest_prefix},
    openapi::{document, pages},
};
use gateway_core::{Caller, ErrorKind, Namespace, Operation, Problem, Reach};
use gateway_dialect::{Form, Json, Request, Resolution, Side, Site, Target, Verb, resolve};
use gateway_testkit::{
    cases,
    client::{RawRequest, RawResponse},
};
use http::HeaderMap;
use proptest::prelude::*;
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
        let named =
            |mount: &MountConfig| (mount.name.to_string(), document(mount, "http://127.0.0.1", now()));
        let by_name = mounts.iter().map(named).collect();
        Self { mounts, by_name }
    }

    /// The document and the operation of a request, where it has a route.
    fn operation(&self, request: &RawRequest) -> Option<(&Value, &Value)> {
        let (mount, target) = self.target(request)?;
        let document = &self.by_name[&*mount.name];
        let verb = target.route.verb.as_str().to_ascii_lowercase();
        Some((document, &document["paths"][target.route.template][verb]))
    }

    /// The mount and the route of a request, where it has one.
    fn target<'s>(&'s self, request: &'s RawRequest) -> Option<(&'s MountConfig, Target<'s>)> {
        let path = request.target.split('?').next().unwrap();
        let (mount, prefix) = longest_prefix(&self.mounts, Some("127.0.0.1"), path)?;
        let verb = Verb::of(&request.method.parse().unwrap());
        match resolve(mount.dialect.routes(), verb, &path[prefix.len()..]) {
            Resolution::Found(target) => Some((mount, target)),
            _ => None,
        }
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
    let asks_for_less = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("prefer"));
    let Some(media_type) = answer.header("content-type") else {
        if asks_for_less && answer.body.is_empty() {
            return None;
        }
        return response["content"].is_object().then(|| "there is no body".to_owned());
    };
    let media = &response["content"][media_type];
    if media.is_null() {
        return Some(format!("media type {media_type} is not described"));
    }
    let text = || Value::from(String::from_utf8_lossy(&answer.body));
    let body =
        if media_type.contains("json") { serde_json::from_slice(&answer.body).unwrap() } else { text() };
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
    if request.body.windows(6).any(|part| part == b"$KEPT(") {
        // What an earlier answer said is not known here.
        return None;
    }
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
                let given =
                    |name: &String| &file.given.iter().find(|given| given.name == *name).unwrap().step;
                let steps = case.given.iter().map(given).chain(&case.step);
                let requests: Vec<_> = steps.map(|step| cases::prepare(step, &id, now())).collect();
                let ran = cases::run(file, case, "doc", &gateway, now()).await;
                for (request, ran) in requests.into_iter().zip(ran) {
                    exchanges.push((
                        format!("{dialect}/{name}: {}", case.name),
                        request,
                        ran.answer.unwrap(),
                    ));
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

/// What no schema says: that a date is not in the future, that a number is written without a point, how
/// many bytes an object has, that an id is the one in the path, that a status is so by suspensions.
const BEYOND: [&str; 16] = [
    "status-copied-while-suspended",
    "create-birth-dates",
    "create-metadata-is-kept",
    "replace-makes-with-its-id",
    "replace-makes-with-another-id",
    "birth-date-out-of-range",
    "birthdate-in-the-future",
    "birthdate-before-1900",
    "no-minimum-age",
    "metadata-of-10240-bytes",
    "secure-metadata-of-10240-bytes",
    "metadata-counts-bytes",
    "strict-id-mismatch",
    "house-number-that-is-none",
    "replace-with-the-id-of-another",
    "update-with-the-id-of-another",
];

/// Whether the dialect can make sense of a request by itself.
fn is_read(mount: &MountConfig, target: Target<'_>, request: &RawRequest) -> bool {
    let headers = HeaderMap::new();
    let read = Request { target, query: None, headers: &headers, body: &request.body };
    let reach = match (&mount.namespace, target.decoded("projectId")) {
        (MountNamespace::Fixed(reach), _) => reach.clone(),
        (MountNamespace::InPath(_), name) => {
            name.and_then(|name| Namespace::parse(&name)).map_or(Reach::Nobody, Reach::Namespace)
        }
    };
    let unknown_fields = mount.unknown_fields;
    let site =
        Site { reach: &reach, unknown_fields, base: "", now: now(), request_id: "", form: Form::Document };
    match mount.dialect.decode(&site, &Caller::client("one"), &read).map(|decoded| decoded.operation) {
        Ok(Operation::Update { deferred, .. }) => deferred.is_none(),
        Ok(Operation::Replace(_, creation)) => creation.is_ok(),
        Ok(_) => true,
        Err(error) => {
            // What the headers must say is another matter.
            let kind = error.kind;
            if kind == ErrorKind::PreconditionRequired {
                return true;
            }
            assert!(
                matches!(kind, ErrorKind::Malformed | ErrorKind::Invalid | ErrorKind::EmptyUpdate),
                "{kind:?}"
            );
            false
        }
    }
}

#[tokio::test]
async fn schemas_take_what_the_dialects_take() {
    let documents = Documents::of(&Bed::new());
    let (mut wrong, mut taken, mut refused, mut beyond) = (Vec::new(), 0, 0, BTreeSet::new());
    for (case, request, answer) in exchanges().await {
        let Some((document, operation)) = documents.operation(&request) else { continue };
        let Some(valid) = is_taken(document, operation, &request) else { continue };
        let (mount, target) = documents.target(&request).unwrap();
        let is_patch = mount.dialect.name() == "rest" && request.method == "PATCH";
        let body = String::from_utf8_lossy(&request.body);
        match valid {
            Ok(()) if answer.status < 300 => taken += 1,
            Err(why) if answer.status < 300 => wrong.push(format!("{case}: taken, but {why}: {body}")),
            // What a patch makes, only the user tells.
            Ok(()) if is_patch || is_read(mount, target, &request) => {}
            Ok(()) => match BEYOND.iter().find(|name| case.ends_with(&format!(": {name}"))) {
                Some(name) => drop(beyond.insert(*name)),
                None => wrong.push(format!("{case}: refused ({}), but valid: {body}", answer.status)),
            },
            Err(_) => refused += 1,
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(taken > 250 && refused > 250, "only {taken} were taken, {refused} refused");
    let others: Vec<_> = BEYOND.iter().filter(|name| !beyond.contains(*name)).collect();
    assert!(others.is_empty(), "{others:?} are beyond no schema");
}

/// Every example of a document is what its schema says.
#[test]
fn examples_are_valid() {
    let mut count = 0;
    for (name, document) in Documents::of(&Bed::new()).by_name {
        let schemas = Schemas::of(&document);
        let mut check = |schema: &Value, example: &Value, place: &str| {
            count += 1;
            let why = schemas.check(schema, example);
            assert!(why.is_empty(), "{name}, {place}: {why}: {example}");
        };
        let operations = document["paths"].as_object().unwrap().values();
        for operation in operations.flat_map(|path| path.as_object().unwrap().values()) {
            let id = operation["operationId"].as_str().unwrap();
            for parameter in operation["parameters"].as_array().unwrap() {
                if let Some(example) = parameter.get("example") {
                    check(&parameter["schema"], example, &format!("{id} {}", parameter["name"]));
                }
            }
            let answers = operation["responses"].as_object().unwrap();
            let contents = answers.values().chain(operation.get("requestBody"));
            for media in contents.filter_map(|one| one["content"].as_object()).flat_map(|all| all.values()) {
                for example in media["examples"].as_object().unwrap().values() {
                    check(&media["schema"], &example["value"], id);
                }
            }
        }
    }
    assert!(count > 1_000, "only {count} examples");
}

/// Every operation has a name of its own, so that clients can be generated.
#[test]
fn operations_have_names() {
    for (mount, document) in Documents::of(&Bed::new()).by_name {
        let operations = document["paths"].as_object().unwrap().values();
        let operations = operations.flat_map(|path| path.as_object().unwrap().values());
        let mut names: Vec<_> = operations.map(|one| one["operationId"].as_str().unwrap()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(count > 0 && names.len() == count, "{mount}: {names:?}");
    }
}

/// What the admin listener serves: nothing in it leads elsewhere.
#[test]
fn pages_ask_nobody_else() {
    let live = Inside::new(&Bed::new()).gateway.live();
    let get = |path: &str| pages::answer(live.mounts(), path, "http://127.0.0.1", now());
    for mount in live.mounts() {
        let name = &mount.config.name;
        for (path, media_type) in [
            (format!("/openapi/{name}"), "text/html; charset=utf-8"),
            (format!("/openapi/{name}.json"), "application/json"),
        ] {
            let response = get(&path).unwrap();
            assert_eq!(response.headers()["content-type"], media_type);
            let policy = response.headers()["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("default-src 'none'; script-src 'self'") && !policy.contains("http"));
        }
    }
    for path in ["/openapi", "/openapi/", "/openapi/assets/rapidoc-min.js"] {
        assert!(get(path).is_some(), "{path}");
    }
    for path in
        ["/", "/openapix", "/openapi/nobody", "/openapi/nobody.json", "/openapi/partner/", "/openapi/assets/"]
    {
        assert!(get(path).is_none(), "{path}");
    }
}

fn near_misses() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[ \t\n\u{200b}\u{a0}\u{202e}a-]{0,4}",
        "[a-zA-Z]{2}",
        "[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]",
        "[0-9]{4,6}",
        "(18|19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-6][0-9](:[0-5][0-9](\\.[0-9]{1,3})?)?(Z|[+-]0[0-9]:30))?",
        "[01][0-9]/[0-3][0-9]/(18|19|20)[0-9]{2}",
        "[Hh]ttps?://[a-z0-9]{1,5}([.-][a-z]{1,3}){0,2}(:[0-9]{0,6})?[/?#]?[ -~]{0,6}",
        "[a-z]{1,4}([-_][a-zA-Z0-9]{1,9}){0,3}",
        "[a-z.]{1,5}@[a-z.-]{1,9}",
        "(Europe/Berlin|europe/berlin|UTC|male|other|active|closed|OH|ON|EN|en)",
        "[a-z._]{1,3}[-é]?",
    ]
}

proptest! {
    /// The schemas of all codecs of text say what the codecs do.
    #[test]
    fn schemas_are_what_codecs_take(text in near_misses()) {
        let nothing = Value::Null;
        let schemas = Schemas::of(&nothing);
        let (today, value) = (now().date(), Value::from(&*text));
        for dialect in gateway::registry::DIALECTS {
            let dialect = dialect.with_defaults();
            for row in dialect.fields().rows() {
                let read = row.codec.read(&Json::Text(text.as_str().into()), today);
                if read == Err(Problem::ReadOnly) {
                    continue;
                }
                let mut schema = row.codec.schema(Side::Sent(today));
                schema.as_object_mut().unwrap().remove("$anchor");
                let why = schemas.check(&schema, &value);
                // Days to come; lower case beyond ASCII.
                let is_beyond = read == Err(Problem::BirthRange)
                    || read == Err(Problem::PostalCode) && !text.is_ascii();
                prop_assert!(is_beyond || read.is_ok() == why.is_empty(), "{} {text:?}: {read:?}, {why}", row.wire);
            }
        }
    }
}
