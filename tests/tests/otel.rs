//! Spans: what is exported of a request, whose trace it is, and who is told of it.

use gateway::webhook::receiver::Answer;
use gateway_outbound::trace::{TRACEPARENT, TRACESTATE};
use gateway_testkit::{
    cases::credential,
    client::{RawRequest, RawResponse},
};
use serde_json::json;
use tests::{
    Bed, Collector, Party, Process,
    collector::Exported,
    hook::{self, Hook},
    issuer::{self, Mood},
    now, unreachable,
};
use uuid::Uuid;

const MOUNTS: &str = include_str!("../src/mounts.toml");
const PARENT: &str = "00f067aa0ba902b7";

/// A configuration with the tables of a collector, and this process as a trusted proxy.
fn trusted(config: &str, otel: &str) -> String {
    format!("{}{otel}", config.replacen("[server]\n", "[server]\ntrusted_proxies = \"127.0.0.1\"\n", 1))
}

fn start(config: &str) -> (Bed, Process) {
    let bed = Bed::with(config);
    let process = Process::start(&bed);
    (bed, process)
}

/// Sends a request as a part of a trace.
fn send(process: &Process, mut request: RawRequest, lines: &[(&str, &str)]) -> RawResponse {
    request.headers.extend(lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    process.send(&request).unwrap()
}

/// A trace, and what a caller says of it.
fn trace() -> (String, String) {
    let trace = Uuid::new_v4().simple().to_string();
    let parent = format!("00-{trace}-{PARENT}-01");
    (trace, parent)
}

/// The span of the request of a trace.
fn server_span(collector: &Collector, trace: &str) -> Exported {
    collector.span(trace, |span| span.text("traceId") == trace && span.0["kind"] == 2)
}

/// The trace of the only request in the log that a word tells.
fn logged(output: &str, word: &str) -> String {
    let line = output.lines().find(|line| line.contains("interlingua::access") && line.contains(word));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    line["trace_id"].as_str().unwrap_or_default().to_owned()
}

fn rest(method: &str, target: &str) -> RawRequest {
    let headers = vec![("Authorization".to_owned(), credential("Bearer demo-admin-token", now()))];
    RawRequest { method: method.into(), target: target.into(), headers, body: Vec::new() }
}

#[test]
fn a_request_in_each_dialect_is_a_span() {
    let collector = Collector::start();
    let (_bed, process) = start(&trusted(MOUNTS, &collector.table("service_name = \"front\"")));
    let user = Uuid::new_v4();
    let create = |party: Party| party.create(user, Uuid::new_v4());
    for (request, name, mount, operation, status, outcome) in [
        (create(Party::Partner), "POST /users", "partner", "create", "201", "ok"),
        (
            create(Party::Update),
            "GET /{projectId}/users/by-foreign-id",
            "social",
            "read_or_create",
            "201",
            "ok",
        ),
        (create(Party::JsonApi), "POST /users", "user", "create", "201", "ok"),
        (create(Party::JsonPatch), "POST /users", "supplier", "create", "201", "ok"),
        (Party::JsonPatch.read(user), "GET /users/{userId}", "supplier", "read", "200", "ok"),
        (
            Party::Partner.read(Uuid::new_v4()),
            "GET /users/{externalId}",
            "partner",
            "read",
            "404",
            "not_found",
        ),
        (rest("HEAD", "/api/v1/users"), "HEAD /users", "rest", "list", "200", "ok"),
        (rest("GET", "/api/v1/users?limit=1"), "GET /users", "rest", "list", "200", "ok"),
        (rest("PATCH", "/api/v1/nothing"), "PATCH", "rest", "none", "404", "no_route"),
        (rest("FROB", "/nowhere"), "HTTP", "-", "none", "404", "no_route"),
    ] {
        let (trace, parent) = trace();
        let method = request.method.clone();
        assert_eq!(send(&process, request, &[("traceparent", &parent)]).status.to_string(), status, "{name}");
        let span = server_span(&collector, &trace);
        assert_eq!((span.text("name"), span.text("parentSpanId"), span.is_error()), (name, PARENT, false));
        let known = if method == "FROB" { "_OTHER" } else { &*method };
        let mount = Some(mount).filter(|mount| *mount != "-");
        for (key, value) in [
            ("http.request.method", Some(known)),
            ("http.route", name.split_once(' ').map(|(_, template)| template)),
            ("http.response.status_code", Some(status)),
            ("url.scheme", Some("http")),
            ("interlingua.mount", mount),
            ("interlingua.operation", Some(operation)),
            ("interlingua.outcome", Some(outcome)),
            ("error.type", None),
        ] {
            assert_eq!(span.attribute(key), value, "{key} of {name}");
        }
        let nanos = |name| span.text(name).parse::<i128>().unwrap();
        assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
        assert!((nanos("endTimeUnixNano") - now().unix_timestamp_nanos()).abs() < 3_600_000_000_000);
        if operation == "create" {
            let is_it = |one: &Exported| one.text("traceId") == trace && one.text("name") == "commit";
            let commit = collector.span("the commit", is_it);
            assert_eq!((commit.text("parentSpanId"), &commit.0["kind"]), (span.text("spanId"), &json!(1)));
        }
    }
    let (head, body) = &collector.requests()[0];
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert_eq!(issuer::header(head, "content-type"), Some("application/json"));
    assert_eq!(issuer::header(head, "traceparent"), None);
    let resource = &serde_json::from_str::<serde_json::Value>(body).unwrap()["resourceSpans"][0]["resource"];
    assert_eq!(resource["attributes"][0], json!({"key": "service.name", "value": {"stringValue": "front"}}));
    assert!(process.stop().0.success());
}

/// A trace's id from a proxy is kept; that of a stranger, or one that is malformed, is as if it were not there.
#[test]
fn a_caller_is_followed_where_it_is_believed() {
    let (collector, (trace, parent)) = (Collector::start(), trace());
    let not_sampled = parent.replace("-01", "-00");
    for (config, lines, is_followed) in [
        (trusted(MOUNTS, ""), vec![("traceparent", &*parent)], true),
        (trusted(MOUNTS, ""), vec![("traceparent", &*parent), ("traceparent", &*parent)], false),
        (trusted(MOUNTS, ""), vec![("traceparent", &parent[..54])], false),
        (trusted(MOUNTS, ""), vec![], false),
        (MOUNTS.to_owned(), vec![("traceparent", &*parent)], false),
        (MOUNTS.to_owned(), vec![("traceparent", &*not_sampled)], false),
    ] {
        let before = collector.spans().len();
        let (_bed, process) = start(&(config + &collector.table("")));
        assert_eq!(send(&process, rest("GET", "/api/v1/users"), &lines).status, 200);
        let (stopped, output) = process.stop();
        assert!(stopped.success());
        let span = &collector.spans()[before];
        assert_eq!(span.text("traceId") == trace, is_followed, "{lines:?}");
        assert_eq!(span.text("parentSpanId"), if is_followed { PARENT } else { "" });
        assert_eq!(logged(&output, "\"rest\""), span.text("traceId"));
        if !is_followed {
            assert!(output.contains(&Uuid::parse_str(span.text("traceId")).unwrap().to_string()));
        }
    }
}

#[test]
fn what_is_not_sampled_is_not_sent() {
    let (collector, (trace, parent)) = (Collector::start(), trace());
    let (_bed, process) = start(&trusted(MOUNTS, &collector.table("sample_ratio = 0")));
    let not_sampled = parent.replace("-01", "-00").replace(&trace, &Uuid::new_v4().simple().to_string());
    for lines in [&[][..], &[("traceparent", &*not_sampled)], &[("traceparent", &*parent)]] {
        assert_eq!(send(&process, rest("GET", "/api/v1/users"), lines).status, 200);
    }
    let (_, output) = process.stop();
    let traces: Vec<_> = collector.spans().iter().map(|span| span.text("traceId").to_owned()).collect();
    assert_eq!(traces, [trace]);
    // The log names a trace all the same: others may have recorded it.
    assert_eq!(output.matches("\"trace_id\":\"").count(), 3, "{output}");
}

#[test]
fn without_the_table_nothing_is_traced() {
    let hook = Hook::start(|_| Answer::approve());
    let (_bed, process) = start(&trusted(&hook.bed(""), ""));
    let user = Uuid::new_v4();
    assert_eq!(process.send(&Party::Update.create(user, Uuid::new_v4())).unwrap().status, 201);
    assert_eq!(send(&process, hook::update(user, None, "a"), &[("traceparent", &trace().1)]).status, 200);
    assert_eq!(hook.asked()[0].header(&TRACEPARENT), None);
    assert_eq!(process.metric("interlingua_spans_exported_total"), None);
    assert!(!process.stop().1.contains("trace_id"));
}

/// A webhook is told the trace, and the span of the question, which is a part of the request's.
#[test]
fn a_webhook_is_told_of_the_trace() {
    let (collector, hook) = (Collector::start(), Hook::start(|_| Answer::approve()));
    let (_bed, process) = start(&trusted(&hook.bed(""), &collector.table("sample_ratio = 0.0")));
    let user = Uuid::new_v4();
    assert_eq!(process.send(&Party::Update.create(user, Uuid::new_v4())).unwrap().status, 201);
    let ((trace, parent), state) = (trace(), "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    let lines = [("traceparent", &*parent), ("tracestate", state)];
    assert_eq!(send(&process, hook::update(user, None, "a"), &lines).status, 200);
    let call = collector.span("the call", |span| span.0["kind"] == 3);
    let server = server_span(&collector, &trace);
    assert_eq!(call.text("parentSpanId"), server.text("spanId"));
    assert_eq!(hook.asked()[0].header(&TRACESTATE), Some(state));
    let told = format!("00-{trace}-{}-01", call.text("spanId"));
    assert_eq!(hook.asked()[0].header(&TRACEPARENT), Some(&*told));
    assert_eq!((call.text("name"), call.attribute("http.response.status_code")), ("POST", Some("200")));
    assert_eq!(call.attribute("server.address"), Some("127.0.0.1"));
    assert_eq!(call.attribute("server.port"), Some(&*hook.address.port().to_string()));
    // What is not recorded here is passed on all the same, with that said.
    let not_sampled = parent.replace("-01", "-00");
    assert_eq!(send(&process, hook::update(user, None, "b"), &[("traceparent", &not_sampled)]).status, 200);
    let asked = hook.asked()[1].header(&TRACEPARENT).unwrap().to_owned();
    assert!(asked.starts_with(&format!("00-{trace}-")) && asked.ends_with("-00"), "{asked}");
    assert!(!asked.contains(PARENT), "{asked}");
}

#[test]
fn a_failure_of_ours_is_an_error_and_a_failed_call_too() {
    let (collector, hook) = (Collector::start(), Hook::start(|_| Answer::Status(418)));
    let gone = format!(
        "url = \"http://{}/\"\nallow_private = true\nsecret = \"{}\"",
        unreachable::refused(),
        hook::SECRET
    );
    for (config, why) in [(hook.bed(""), "418"), (hook::bed(&gone), "connect")] {
        let (_bed, process) = start(&trusted(&config, &collector.table("")));
        let (user, (trace, parent)) = (Uuid::new_v4(), trace());
        assert_eq!(process.send(&Party::Update.create(user, Uuid::new_v4())).unwrap().status, 201);
        assert_eq!(send(&process, hook::update(user, None, "a"), &[("traceparent", &parent)]).status, 500);
        let span = server_span(&collector, &trace);
        assert!(span.is_error());
        assert_eq!(span.attribute("error.type"), Some("validator_failed"));
        let is_call = |span: &Exported| span.text("traceId") == trace && span.0["kind"] == 3;
        let call = collector.span("the call", is_call);
        assert!(call.is_error());
        assert_eq!(call.attribute("error.type"), Some(why));
    }
}

const EXPORTED: &str = "interlingua_spans_exported_total";
const FAILED: &str = "interlingua_spans_failed_total";
const DROPPED: &str = "interlingua_spans_dropped_total";

fn counts(process: &Process) -> [u64; 3] {
    [EXPORTED, FAILED, DROPPED].map(|name| process.metric(name).unwrap())
}

/// Requests are served, whatever the collector does; every span is counted once, and the end does not wait.
#[test]
fn a_collector_that_misbehaves_harms_nobody() {
    for (mood, fails) in [
        (Mood::Hang, false),
        (Mood::Down, false),
        (Mood::Status(503), false),
        (Mood::Status(500), true),
        (Mood::Status(302), true),
        (Mood::Body("<html>".to_owned()), true),
        (Mood::Body("[]".to_owned()), true),
        (Mood::Body("x".repeat(70_000)), true),
        (Mood::Body(r#"{"partialSuccess":{"rejectedSpans":"1"}}"#.to_owned()), true),
    ] {
        let collector = Collector::start();
        collector.be(mood.clone());
        let (_bed, process) = start(&(MOUNTS.to_owned() + &collector.table("max_queue_spans = 2")));
        for _ in 0..40 {
            assert_eq!(process.send(&rest("GET", "/api/v1/users")).unwrap().status, 200);
        }
        if fails {
            process.wait_until("all are counted", |process| counts(process).iter().sum::<u64>() == 40);
            assert!(counts(&process)[1] > 0, "{mood:?}");
        } else {
            process.wait_until("some are dropped", |process| counts(process)[2] > 0);
        }
        let (stopped, output) = process.stop();
        assert!(stopped.success(), "{mood:?}");
        let warnings = output.matches("spans cannot be exported").count();
        assert!(warnings <= 1 && output.contains("\"stopped\""), "{mood:?}: {output}");
    }
}

#[test]
fn a_collector_that_comes_back_gets_what_is_recorded_then() {
    let collector = Collector::start();
    collector.be(Mood::Status(400));
    let (_bed, process) = start(&(MOUNTS.to_owned() + &collector.table("")));
    let ask = || assert_eq!(process.send(&rest("GET", "/api/v1/users")).unwrap().status, 200);
    ask();
    process.wait_until("it failed", |process| counts(process) == [0, 1, 0]);
    collector.be(Mood::Well);
    ask();
    process.wait_until("it is back", |process| counts(process) == [1, 1, 0]);
    let (_, output) = process.stop();
    assert_eq!(output.matches("spans cannot be exported").count(), 1, "{output}");
    assert_eq!(output.matches("spans are exported again").count(), 1, "{output}");
}

/// What waits when the process ends is sent before.
#[test]
fn the_last_spans_are_sent_at_the_end() {
    let collector = Collector::start();
    let table = collector.table("").replace("interval_ms = 10", "interval_ms = 60000");
    let (_bed, process) = start(&(MOUNTS.to_owned() + &table));
    assert_eq!(process.send(&rest("GET", "/api/v1/users")).unwrap().status, 200);
    assert!(process.stop().0.success());
    assert_eq!(collector.spans().len(), 1);
}

#[test]
fn a_reload_changes_all_but_the_queue() {
    let (one, other) = (Collector::start(), Collector::start());
    let header = "\n[[otel.header]]\nname = \"x-token\"\nsecret = \"file:$DIR/new-secret\"";
    let (bed, process) = start(&(MOUNTS.to_owned() + &one.table("sample_ratio = 0")));
    let ask = || assert_eq!(process.send(&rest("GET", "/api/v1/users")).unwrap().status, 200);
    let loaded = |count| {
        process.hang_up();
        process.wait_until("it is loaded", |process| {
            process.metric("interlingua_config_reloads_total{outcome=\"ok\"}") >= Some(count)
        });
    };
    ask();
    let more = format!("max_queue_spans = 7\nservice_name = \"new\"{header}");
    bed.replace("interlingua.toml", &(MOUNTS.to_owned() + &other.table(&more)));
    loaded(1);
    ask();
    process.wait_until("it is exported", |process| counts(process) == [1, 0, 0]);
    let (head, body) = &other.requests()[0];
    assert_eq!(issuer::header(head, "x-token"), Some("rotating-new-secret-0123456789abcdef"));
    assert!(body.contains("\"new\""), "{body}");
    bed.replace("interlingua.toml", MOUNTS);
    loaded(2);
    let (_, output) = process.stop();
    assert!(one.spans().is_empty());
    for name in ["[otel]", "[otel] max_queue_spans"] {
        let named = format!("`{name}` has changed; that takes effect at the next start");
        assert_eq!(output.matches(&named).count(), 1, "{name} in\n{output}");
    }
}
