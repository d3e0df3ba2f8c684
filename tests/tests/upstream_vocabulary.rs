//! Users in a service that speaks words of its own, which the configuration describes.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use gateway_testkit::client::{RawRequest, RawResponse};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tests::{Bed, Party, Process};
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

const MOUNTS: &str = include_str!("../src/mounts.toml");
const VOCABULARY: &str = r#"
[store.upstream.vocabulary]
create = "PUT /people/{id}"
read = "GET /people/{id}"
update = "PATCH /people/{id}"
delete = "DELETE /people/{id}"
list = "GET /people?size={limit}&from={cursor}&ref={namespace}:{externalId}"
link = ""
unlink = ""
items = "people"
next = "from"

[[store.upstream.vocabulary.field]]
path = "/uuid"
rest = "/id"
read_only = true

[[store.upstream.vocabulary.field]]
path = "/state"
rest = "/status"

[[store.upstream.vocabulary.field]]
path = "/refs"
rest = "/links"

[[store.upstream.vocabulary.field]]
path = "/name/shown"
rest = "/displayName"

[[store.upstream.vocabulary.field]]
path = "/name/login"
rest = "/username"

[[store.upstream.vocabulary.field]]
path = "/about"
rest = "/bio"

[[store.upstream.vocabulary.error]]
status = 400
member = "code"
text = "not_as_you_think"
means = "stale"

[[store.upstream.vocabulary.error]]
status = 400
member = "code"
text = "taken"
means = "conflict"
"#;

/// A person, and the number of its state.
type Person = (u64, Map<String, Value>);

/// People by their ids.
#[derive(Default)]
struct People(Mutex<BTreeMap<String, Person>>);

fn answer(status: u16, tag: Option<u64>, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some(tag) = tag {
        response = response.header("etag", format!("\"state-{tag}\""));
    }
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    response.body(Full::new(body)).unwrap()
}

impl People {
    fn serve(
        &self,
        method: &Method,
        target: &str,
        condition: Option<&str>,
        body: &[u8],
    ) -> Response<Full<Bytes>> {
        let mut people = self.0.lock().unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(id) = path.strip_prefix("/v7/people/") else { return list(&people, query) };
        let known = people.get(id).cloned();
        let wrong = |code: &str| answer(400, None, &json!({"code": code}));
        let tag = known.as_ref().map(|(tag, _)| format!("\"state-{tag}\""));
        let sent: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
        match (method.as_str(), known, sent) {
            ("GET", None, _) => answer(404, None, &Value::Null),
            ("GET", Some((number, person)), _) => answer(200, Some(number), &Value::Object(person)),
            ("PUT", None, Some(mut person)) if condition == Some("*") => {
                let is_taken = people.values().any(|(_, other)| other["refs"] == person["refs"]);
                if is_taken {
                    return wrong("taken");
                }
                person.insert("uuid".to_owned(), id.into());
                people.insert(id.to_owned(), (1, person));
                answer(201, Some(1), &Value::Null)
            }
            ("PATCH", Some((number, mut person)), Some(patch)) if condition == tag.as_deref() => {
                let mut whole = Value::Object(person);
                json_patch::merge(&mut whole, &Value::Object(patch));
                person = whole.as_object().unwrap().clone();
                people.insert(id.to_owned(), (number + 1, person));
                answer(200, Some(number + 1), &Value::Null)
            }
            ("DELETE", Some(_), _) if condition == tag.as_deref() => {
                people.remove(id);
                answer(204, None, &Value::Null)
            }
            _ => wrong("not_as_you_think"),
        }
    }
}

/// Two people on a page.
fn list(people: &BTreeMap<String, Person>, query: &str) -> Response<Full<Bytes>> {
    let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let from = asked("from").unwrap_or_default();
    let is_asked = |person: &Map<String, Value>| {
        asked("ref").and_then(|text| text.split_once(':')).is_none_or(|(namespace, external_id)| {
            let refs = person["refs"].as_array().unwrap();
            refs.contains(&json!({"namespace": namespace, "externalId": external_id}))
        })
    };
    let behind = people.iter().filter(|(id, (_, person))| id.as_str() > from && is_asked(person));
    let found: Vec<_> = behind.map(|(id, (_, person))| (id, person)).take(3).collect();
    let next = (found.len() > 2).then(|| found[1].0);
    let page: Vec<_> = found.iter().take(2).map(|(_, person)| person).collect();
    answer(200, None, &json!({"people": page, "from": next}))
}

async fn accept(listener: TcpListener, people: Arc<People>) {
    while let Ok((stream, _)) = listener.accept().await {
        let people = Arc::clone(&people);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let people = Arc::clone(&people);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
                    let condition = text("if-match").or(text("if-none-match"));
                    Ok::<_, Infallible>(people.serve(&head.method, &head.uri.to_string(), condition, &body))
                }
            });
            drop(server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// A gateway before the service, and the service.
fn start() -> (Process, Bed, Arc<People>, Runtime) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let people = Arc::new(People::default());
    runtime.spawn(accept(listener, Arc::clone(&people)));
    // It knows no keys, and nothing of a user of the demo.
    let options = format!("idempotency_keys = false\n{VOCABULARY}");
    let config = MOUNTS.replace("[demo]\nuser = true\n", "");
    let bed = Bed::over_upstream(&config, &format!("http://{address}/v7"), "token", &options);
    (Process::start(&bed), bed, people, runtime)
}

fn shown(answer: &RawResponse) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_service_is_spoken_to_in_its_own_words() {
    let (front, _bed, people, _runtime) = start();
    let send = |request: &RawRequest| front.send(request).unwrap();
    let users: Vec<_> = (0..5).map(|_| Uuid::new_v4()).collect();
    for user in &users {
        assert_eq!(send(&Party::Update.create(*user, Uuid::new_v4())).status, 201);
    }
    let (user, other) = (users[3], users[1]);
    let key = Uuid::new_v4();
    let changed = send(&Party::Update.update(user, key, "words"));
    assert_eq!(changed.status, 200, "{}", String::from_utf8_lossy(&changed.body));
    assert_eq!(shown(&changed)["bio"], "words");
    let replayed = send(&Party::Update.update(user, key, "words"));
    assert_eq!((&replayed.body, replayed.header("idempotency-replayed")), (&changed.body, Some("true")));
    let kept: Vec<_> = people
        .0
        .lock()
        .unwrap()
        .values()
        .map(|(number, person)| (*number, person.get("about").cloned()))
        .collect();
    assert_eq!(kept.iter().filter(|kept| **kept == (2, Some(json!("words")))).count(), 1, "{kept:?}");
    // Names stand in an object of their own, and are unique though the service does not know that.
    let rename = |user: Uuid, name: &str| {
        let mut request = Party::Update.update(user, Uuid::new_v4(), "");
        request.body = format!(r#"{{"update":{{"username":"{name}","bio":null}}}}"#).into_bytes();
        send(&request)
    };
    assert_eq!(rename(user, "jane").status, 200);
    assert_eq!(send(&Party::Update.read(user)).status, 200);
    let read = shown(&send(&Party::Update.read(user)));
    assert_eq!((&read["username"], &read["bio"]), (&json!("jane"), &Value::Null));
    // Somebody else's hand: what the gateway remembers is not believed.
    people.0.lock().unwrap().values_mut().for_each(|(number, person)| {
        *number += 10;
        person.insert("about".to_owned(), json!("by hand"));
    });
    assert_eq!(shown(&send(&Party::Update.read(other)))["bio"], "by hand");
    let changed = send(&Party::Update.update(user, Uuid::new_v4(), "mine"));
    assert_eq!((changed.status, &shown(&changed)["bio"]), (200, &json!("mine")));
    // What is not there, and what there is already.
    assert_eq!(send(&Party::Update.read(Uuid::new_v4())).status, 404);
    let twice = send(&Party::JsonPatch.create(user, Uuid::new_v4()));
    assert_eq!(twice.status, 201, "in another namespace the external id is free");
    let twice = send(&Party::JsonPatch.create(user, Uuid::new_v4()));
    assert_eq!(twice.status, 400, "{}", String::from_utf8_lossy(&twice.body));
    let (status, log) = front.stop();
    assert!(status.success(), "{log}");
}
