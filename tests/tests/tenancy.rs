//! A user outside a mount's namespace is indistinguishable from an absent one, in every dialect.

use gateway_core::{Commit, Committed, ExternalId, Link, Namespace, Status, User, UserId, UserStore, Write};
use gateway_testkit::{
    cases::{Sign, Transport, credential},
    client::{RawRequest, RawResponse},
};
use tests::{Bed, Inside, now};
use uuid::Uuid;

/// Everything in an answer but the request's id.
fn without_id(answer: &RawResponse) -> (u16, Vec<(String, String)>, String) {
    let id =
        answer.header("x-request-id").or_else(|| answer.header("request-id")).unwrap_or("no id").to_owned();
    let headers =
        answer.headers.iter().map(|(name, value)| (name.clone(), value.replace(&id, "ID"))).collect();
    (answer.status, headers, String::from_utf8_lossy(&answer.body).replace(&id, "ID"))
}

async fn make(gateway: &Inside, id: Uuid, namespace: &str, external_id: &str) {
    let mut user = User::new(UserId::new(id), Status::Active, now());
    let namespace = Namespace::parse(namespace).unwrap();
    user.links = vec![Link { namespace, external_id: ExternalId::parse(external_id).unwrap() }];
    let commit = Commit { write: Some(Write::Create(user.into())), guards: Vec::new(), now: now() };
    assert_eq!(gateway.gateway.store().commit(commit).await.unwrap(), Committed::Done);
}

/// Method, target below `{id}`, headers, body; `{id}` is the user's name in the dialect.
const REQUESTS: [(&str, &str, &str, &str); 15] = [
    ("GET", "/partner/v1/users/{id}", "", ""),
    ("PATCH", "/partner/v1/users/{id}", "", r#"{"city":"Ghent"}"#),
    ("GET", "/social/proj1234/users/{id}", "Bearer demo-service-token", ""),
    ("GET", "/social/proj1234/users/by-foreign-id?foreignId={id}", "Bearer demo-service-token", ""),
    ("PATCH", "/social/proj1234/users/{id}", "Bearer demo-service-token", r#"{"update":{"bio":"x"}}"#),
    ("GET", "/user-partner/users/{id}", "Bearer demo-access-token", ""),
    ("PATCH", "/user-partner/users/{id}", "Bearer demo-access-token", ""),
    ("DELETE", "/user-partner/users/{id}", "Bearer demo-access-token", ""),
    (
        "PATCH",
        "/supplier/v1/users/{id}",
        "Basic $BASIC(demo-supplier:demo-supplier-secret)",
        r#"[{"op":"replace","path":"/city","value":"x"}]"#,
    ),
    ("GET", "/rest-partner/users/{id}", "Bearer demo-admin-token", ""),
    ("PATCH", "/rest-partner/users/{id}", "Bearer demo-admin-token", r#"{"bio":"x"}"#),
    ("PUT", "/rest-partner/users/{id}", "Bearer demo-admin-token", "{}"),
    ("DELETE", "/rest-partner/users/{id}", "Bearer demo-admin-token", ""),
    ("GET", "/rest-partner/users/{id}/links", "Bearer demo-admin-token", ""),
    ("PUT", "/rest-partner/users/{id}/links/demo-partner/x", "Bearer demo-admin-token", ""),
];

async fn ask(
    gateway: &Inside,
    (method, target, authorization, body): (&str, &str, &str, &str),
    id: &str,
) -> RawResponse {
    let target = target.replace("{id}", id);
    let headers = if authorization.is_empty() {
        Sign::default().headers(method, &target, body.as_bytes(), now())
    } else {
        vec![("Authorization".to_owned(), credential(authorization, now()))]
    };
    gateway.send(RawRequest { method: method.into(), target, headers, body: body.into() }).await.unwrap()
}

#[tokio::test]
async fn a_foreign_user_is_an_absent_one() {
    let gateway = Inside::new(&Bed::new());
    let (foreign, absent) = (Uuid::from_u128(1 << 100), Uuid::from_u128(2 << 100));
    make(&gateway, foreign, "elsewhere", &foreign.to_string()).await;
    let before = gateway.digest();
    for request in REQUESTS {
        let of_foreign = without_id(&ask(&gateway, request, &foreign.to_string()).await);
        let mut of_absent = without_id(&ask(&gateway, request, &absent.to_string()).await);
        // D says which id it was asked for.
        of_absent.2 = of_absent.2.replace(&absent.to_string(), &foreign.to_string());
        assert_eq!(of_foreign, of_absent, "{request:?}");
        assert_eq!(of_foreign.0, 404, "{request:?}");
    }
    assert_eq!(gateway.digest(), before);
}

/// The same external id in two namespaces is two users.
#[tokio::test]
async fn a_name_belongs_to_its_namespace() {
    let gateway = Inside::new(&Bed::new());
    make(&gateway, Uuid::from_u128(3 << 100), "demo-partner", "same").await;
    make(&gateway, Uuid::from_u128(4 << 100), "demo-supplier", "same").await;
    assert_eq!(ask(&gateway, REQUESTS[1], "same").await.status, 200);
    assert_eq!(ask(&gateway, REQUESTS[8], "same").await.status, 200);
    assert_eq!(ask(&gateway, REQUESTS[2], "same").await.status, 404);
}

/// Decisions 3, 9 and 36: with its link a user is gone from a namespace, and so are the answers that
/// were stored there.
#[tokio::test]
async fn an_unlinked_user_is_absent_in_replays_too() {
    let gateway = Inside::new(&Bed::new());
    let (id, key) = (Uuid::from_u128(5 << 100), Uuid::new_v4().to_string());
    let mut user = User::new(UserId::new(id), Status::Active, now());
    let names = ["demo-partner", "elsewhere"].map(|name| Namespace::parse(name).unwrap());
    user.links =
        names.map(|namespace| Link { namespace, external_id: ExternalId::parse("both").unwrap() }).into();
    let commit = Commit { write: Some(Write::Create(user.into())), guards: Vec::new(), now: now() };
    assert_eq!(gateway.gateway.store().commit(commit).await.unwrap(), Committed::Done);

    let patch = || {
        let target = format!("/user-partner/users/{id}");
        let body = format!(r#"{{"data":{{"type":"User","id":"{id}","attributes":{{"firstName":"Jane"}}}}}}"#);
        let rows = [
            ("Authorization", "Bearer demo-access-token"),
            ("Content-Type", "application/vnd.api+json"),
            ("Idempotency-Key", &key),
        ];
        let headers = rows.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        gateway.send(RawRequest { method: "PATCH".into(), target, headers, body: body.into() })
    };
    assert_eq!(patch().await.unwrap().status, 200);
    assert_eq!(patch().await.unwrap().header("idempotency-replayed"), Some("true"));
    assert_eq!(ask(&gateway, REQUESTS[7], &id.to_string()).await.status, 202);
    let replay = patch().await.unwrap();
    assert_eq!((replay.status, replay.header("idempotency-replayed")), (404, None));
    assert!(gateway.gateway.store().user(UserId::new(id)).await.unwrap().is_some(), "it lives on elsewhere");
}
