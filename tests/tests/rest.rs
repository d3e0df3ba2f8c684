//! The canonical dialect beside the others: one user under several names, and none once it is deleted.

use gateway_core::{Caller, Namespace, Reach, UserStore};
use gateway_testkit::{
    cases::{Sign, Transport, credential},
    client::{RawRequest, RawResponse},
};
use serde_json::{Value as Json, json};
use tests::{Bed, Inside, Process, now};

const ADMIN: &str = "Bearer demo-admin-token";
const SERVICE: &str = "Bearer demo-service-token";
const ACCESS: &str = "Bearer demo-access-token";
const SUPPLIER: &str = "Basic $BASIC(demo-supplier:demo-supplier-secret)";
const NAME: &str = "three-names";

/// How a user is read and written in a dialect: authorization, target, body of a write, and its type.
/// `{id}` stands for the canonical id.
const SPEECH: [(&str, &str, &str, &str); 5] = [
    ("", "/partner/v1/users/three-names", r#"{"city":"Ghent"}"#, "application/json"),
    (
        SERVICE,
        "/social/proj1234/users/three-names",
        r#"{"update":{"bio":"of three names"}}"#,
        "application/json",
    ),
    (
        SUPPLIER,
        "/supplier/v1/users/three-names",
        r#"[{"op":"replace","path":"/lastName","value":"Doe"}]"#,
        "application/json",
    ),
    (
        ACCESS,
        "/user/2025-1/users/{id}",
        r#"{"data":{"type":"User","id":"{id}","attributes":{"firstName":"Jane"}}}"#,
        "application/vnd.api+json",
    ),
    (ADMIN, "/api/v1/users/{id}", r#"{"occupation":"Engineer"}"#, "application/merge-patch+json"),
];

struct Client<'t, T> {
    transport: &'t T,
    id: String,
}

impl<T: Transport> Client<'_, T> {
    async fn send(
        &self,
        method: &str,
        target: &str,
        authorization: &str,
        rows: &[(&str, &str)],
        body: &str,
    ) -> RawResponse {
        let (target, body) = (target.replace("{id}", &self.id), body.replace("{id}", &self.id));
        let mut headers = match authorization {
            "" => Sign::default().headers(method, &target, body.as_bytes(), now()),
            other => vec![("Authorization".to_owned(), credential(other, now()))],
        };
        headers.extend(rows.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let request = RawRequest { method: method.into(), target, headers, body: body.into_bytes() };
        self.transport.send(request).await.unwrap()
    }

    async fn admin(&self, method: &str, target: &str, body: &str) -> RawResponse {
        self.send(method, target, ADMIN, &[], body).await
    }

    async fn reads(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        for (authorization, target, ..) in SPEECH {
            statuses.push(self.send("GET", target, authorization, &[], "").await.status);
        }
        statuses
    }

    /// Writes in every dialect, each time with the same key.
    async fn writes(&self) -> Vec<RawResponse> {
        let mut answers = Vec::new();
        for (at, (authorization, target, body, kind)) in SPEECH.into_iter().enumerate() {
            let key = key(at);
            let rows = [("Idempotency-Key", &*key), ("Content-Type", kind)];
            answers.push(self.send("PATCH", target, authorization, &rows, body).await);
        }
        answers
    }

    async fn items(&self, query: &str) -> usize {
        body(&self.admin("GET", &format!("/api/v1/users?{query}"), "").await)["items"]
            .as_array()
            .unwrap()
            .len()
    }
}

fn key(at: usize) -> String {
    format!("9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6{at}")
}

fn body(answer: &RawResponse) -> Json {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

const QUERIES: [&str; 5] = [
    "link=demo-partner:three-names",
    "link=demo-supplier:three-names",
    "link=proj1234:three-names",
    "email=THREE@example.com",
    "username=Three.Names",
];

/// The whole life of a user of three namespaces.
async fn live(transport: &impl Transport) -> String {
    let mut client = Client { transport, id: String::new() };
    let links = ["demo-partner", "proj1234", "demo-supplier"]
        .map(|namespace| json!({"namespace": namespace, "externalId": NAME}));
    let user = json!({
        "username": "three.names", "email": "three@example.com", "address": {"country": "US", "line1": "12 Main St"},
        "locale": "en-US", "secureMetadata": {"ssn": "1"}, "links": links,
    });
    let made = client.admin("POST", "/api/v1/users", &user.to_string()).await;
    assert_eq!(made.status, 201, "{}", body(&made));
    client.id = body(&made)["id"].as_str().unwrap().to_owned();

    // The same user in all of them.
    assert_eq!(client.reads().await, [200; 5]);
    let receipt = body(&client.send("GET", SPEECH[0].1, "", &[], "").await);
    assert_eq!(receipt["userId"], client.id);
    for answer in client.writes().await {
        assert_eq!(answer.status, 200, "{}", body(&answer));
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
    let all = body(&client.admin("GET", "/api/v1/users/{id}", "").await);
    let written =
        [&all["address"]["city"], &all["bio"], &all["familyName"], &all["givenName"], &all["occupation"]];
    assert_eq!(written, ["Ghent", "of three names", "Doe", "Jane", "Engineer"]);

    // Without one of its names the others stay, and what was answered under it is shown no more.
    let unlinked = client.admin("DELETE", "/api/v1/users/{id}/links/proj1234/three-names", "").await;
    assert_eq!(unlinked.status, 204);
    assert_eq!(client.reads().await, [200, 404, 200, 200, 200]);
    let replays: Vec<_> = client.writes().await.iter().map(|answer| answer.status).collect();
    assert_eq!(replays, [200, 404, 200, 200, 200]);
    assert_eq!(client.items(QUERIES[2]).await, 0);
    let linked = client.admin("PUT", "/api/v1/users/{id}/links/proj1234/three-names", "").await;
    assert_eq!(linked.status, 201);
    for query in QUERIES {
        assert_eq!(client.items(query).await, 1, "{query}");
    }

    // Deleted, it is nowhere, in replays neither.
    let tag = client.admin("GET", "/api/v1/users/{id}", "").await.header("etag").unwrap().to_owned();
    let deleted = client.send("DELETE", "/api/v1/users/{id}", ADMIN, &[("If-Match", &tag)], "").await;
    assert_eq!(deleted.status, 204);
    assert_eq!(client.reads().await, [404; 5]);
    for answer in client.writes().await {
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (404, None), "{}", body(&answer));
    }
    assert_eq!(client.admin("GET", "/api/v1/users/{id}/links", "").await.status, 404);
    for query in QUERIES {
        assert_eq!(client.items(query).await, 0, "{query}");
    }
    let free = client
        .send("GET", "/social/proj1234/users/check-username?username=three.names", SERVICE, &[], "")
        .await;
    assert_eq!(body(&free)["available"], true);
    client.id
}

#[tokio::test]
async fn one_user_of_three_namespaces() {
    let gateway = Inside::new(&Bed::new());
    let id = live(&gateway).await;
    let store = gateway.gateway.store();
    let id = gateway_core::UserId::parse(&id).unwrap();
    assert_eq!(store.user(id).await.unwrap(), None);
    // Of the stored answers the keys are left, and not what they were answers to.
    let mounts = [
        ("demo-partner", Some("demo-partner")),
        ("demo-admin", None),
        ("demo-supplier", Some("demo-supplier")),
    ];
    for ((client, namespace), at) in mounts.into_iter().zip([0, 4, 2]) {
        let reach = namespace.map_or(Reach::All, |name| Reach::Namespace(Namespace::parse(name).unwrap()));
        let uuid = uuid::Uuid::parse_str(&key(at)).unwrap();
        let key = gateway::idempotency::ledger_key("key", &reach, &Caller::client(client), uuid.as_bytes());
        let record = store.ledger(key, now()).await.unwrap().expect("a record");
        assert_eq!(record.answer, None, "{client}");
    }
}

#[tokio::test]
async fn one_user_of_three_namespaces_on_the_embedded_store() {
    let bed = Bed::new();
    let process = Process::start(&bed);
    live(&process.socket()).await;
    let (status, log) = process.stop();
    assert!(status.success(), "{log}");
}
