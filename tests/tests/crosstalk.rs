//! What is written in one dialect is read in another: every ordered pair, over one user that all
//! know.

use gateway_core::{Attr, ExternalId, Link, Namespace, UniqueKey, User, UserStore, Value};
use gateway_testkit::{
    cases::{Sign, Transport, credential},
    client::{RawRequest, RawResponse},
};
use serde_json::{Value as Json, json};
use tests::{Bed, Inside, now};

/// A dialect, as its clients use it: how to write, and how to read, one user.
struct Party {
    name: &'static str,
    namespace: &'static str,
    /// Writes what the row says, in this dialect's words.
    write: fn(&Row, &Names) -> Option<RawRequest>,
    /// Reads the user; `None` where the dialect never shows a profile.
    read: Option<fn(&Names) -> RawRequest>,
    /// What the row's attribute reads as, in an answer.
    found: fn(&Row, &Json) -> Option<Json>,
}

/// The user's names: its canonical id, and its external id in every namespace.
struct Names {
    id: String,
    external_id: String,
}

/// One attribute, with a value, in the words of each dialect: a path and a JSON value.
struct Row {
    attr: Attr,
    stored: Value<'static>,
    partner: Option<(&'static str, Json)>,
    update: Option<(&'static str, Json)>,
    jsonapi: Option<(&'static str, Json)>,
    jsonpatch: Option<(&'static str, Json)>,
    rest: (&'static str, Json),
}

fn rows() -> Vec<Row> {
    let text = |attr, text: &'static str, partner, update, jsonapi, jsonpatch, rest: &'static str| {
        let word = |name: Option<&'static str>| name.map(|name| (name, json!(text)));
        let stored = Value::text(text);
        Row {
            attr,
            stored,
            partner: word(partner),
            update: word(update),
            jsonapi: word(jsonapi),
            jsonpatch: word(jsonpatch),
            rest: (rest, json!(text)),
        }
    };
    let date = Value::Date(time::macros::date!(1980 - 01 - 31));
    vec![
        text(
            Attr::GivenName,
            "Jeanne",
            Some("firstName"),
            None,
            Some("/firstName"),
            Some("/firstName"),
            "/givenName",
        ),
        text(
            Attr::FamilyName,
            "d’Arc",
            Some("lastName"),
            None,
            Some("/lastName"),
            Some("/lastName"),
            "/familyName",
        ),
        text(
            Attr::Email,
            "jeanne@example.com",
            Some("email"),
            None,
            Some("/email"),
            Some("/email"),
            "/email",
        ),
        text(
            Attr::City,
            "Rouen",
            Some("city"),
            None,
            Some("/address/locality"),
            Some("/city"),
            "/address/city",
        ),
        text(
            Attr::AddressLine1,
            "12 Main St",
            Some("addressLine1"),
            None,
            None,
            Some("/address"),
            "/address/line1",
        ),
        text(
            Attr::AddressLine2,
            "Suite 400",
            Some("addressLine2"),
            None,
            Some("/address/additionalAddressLink"),
            None,
            "/address/line2",
        ),
        text(
            Attr::AvatarUrl,
            "https://example.com/j.jpg",
            None,
            Some("avatar"),
            Some("/pictureUrl"),
            None,
            "/avatarUrl",
        ),
        text(Attr::DisplayName, "Jeanne of Rouen", None, Some("name"), None, None, "/displayName"),
        text(Attr::Locale, "fr-FR", None, None, Some("/locale"), None, "/locale"),
        Row {
            attr: Attr::BirthDate,
            stored: date,
            partner: Some(("dateOfBirth", json!("1980-01-31"))),
            update: Some(("birthdate", json!("1980-01-31T00:00:00.000Z"))),
            jsonapi: Some(("/birthDate", json!("1980-01-31T00:00:00.000Z"))),
            jsonpatch: Some(("/birthDate", json!("01/31/1980"))),
            rest: ("/birthDate", json!("1980-01-31")),
        },
    ]
}

fn request(method: &str, target: String, headers: &[(&str, &str)], body: Option<Json>) -> RawRequest {
    let mut headers: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), credential(value, now()))).collect();
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    if headers.is_empty() {
        headers = Sign::default().headers(method, &target, &body, now());
    }
    RawRequest { method: method.into(), target, headers, body }
}

const SERVICE: &[(&str, &str)] = &[("Authorization", "Bearer demo-service-token")];
const ACCESS: &[(&str, &str)] =
    &[("Authorization", "Bearer demo-access-token"), ("Content-Type", "application/vnd.api+json")];
const BASIC: &[(&str, &str)] = &[("Authorization", "Basic $BASIC(demo-supplier:demo-supplier-secret)")];

const ADMIN: &[(&str, &str)] = &[("Authorization", "Bearer demo-admin-token")];

const PARTIES: [Party; 5] = [
    Party {
        name: "partner",
        namespace: "demo-partner",
        write: |row, names| {
            let (name, value) = row.partner.clone()?;
            Some(request(
                "PATCH",
                format!("/partner/v1/users/{}", names.external_id),
                &[],
                Some(json!({ name: value })),
            ))
        },
        read: None,
        found: |_, _| None,
    },
    Party {
        name: "update",
        namespace: "proj1234",
        write: |row, names| {
            let (name, value) = row.update.clone()?;
            let body = json!({"update": { name: value }});
            Some(request(
                "PATCH",
                format!("/social/proj1234/users/{}", names.external_id),
                SERVICE,
                Some(body),
            ))
        },
        read: Some(|names| {
            request("GET", format!("/social/proj1234/users/{}", names.external_id), SERVICE, None)
        }),
        found: |row, answer| Some(answer[row.update.as_ref()?.0].clone()),
    },
    Party {
        name: "jsonapi",
        namespace: "any",
        write: |row, names| {
            let (path, value) = row.jsonapi.clone()?;
            let attributes = match path.trim_start_matches('/').split_once('/') {
                Some((group, name)) => json!({ group: { name: value } }),
                None => json!({ path.trim_start_matches('/'): value }),
            };
            let body = json!({"data": {"type": "User", "id": names.id, "attributes": attributes}});
            Some(request("PATCH", format!("/user/2025-1/users/{}", names.id), ACCESS, Some(body)))
        },
        read: Some(|names| request("GET", format!("/user/2025-1/users/{}", names.id), &ACCESS[..1], None)),
        found: |row, answer| answer["data"]["attributes"].pointer(row.jsonapi.as_ref()?.0).cloned(),
    },
    Party {
        name: "jsonpatch",
        namespace: "demo-supplier",
        write: |row, names| {
            let (path, value) = row.jsonpatch.clone()?;
            let body = json!([{"op": "replace", "path": path, "value": value}]);
            Some(request("PATCH", format!("/supplier/v1/users/{}", names.external_id), BASIC, Some(body)))
        },
        read: Some(|names| request("GET", format!("/supplier/v1/users/{}", names.external_id), BASIC, None)),
        found: |row, answer| Some(answer[row.jsonpatch.as_ref()?.0.trim_start_matches('/')].clone()),
    },
    Party {
        name: "rest",
        namespace: "rest-any",
        write: |row, names| {
            let (path, value) = row.rest.clone();
            let body = match path.trim_start_matches('/').split_once('/') {
                Some((group, name)) => json!({ group: { name: value } }),
                None => json!({ path.trim_start_matches('/'): value }),
            };
            Some(request("PATCH", format!("/api/v1/users/{}", names.id), ADMIN, Some(body)))
        },
        read: Some(|names| request("GET", format!("/api/v1/users/{}", names.id), ADMIN, None)),
        found: |row, answer| answer.pointer(row.rest.0).cloned(),
    },
];

/// A user that every party knows by the same external id, made in the store.
async fn everybodys_user(gateway: &Inside, external_id: &str) -> Names {
    let id = uuid::Uuid::new_v4();
    let mut user = User::new(gateway_core::UserId::new(id), gateway_core::Status::Active, now());
    let namespaces = PARTIES.iter().map(|party| Namespace::parse(party.namespace).unwrap());
    user.links = namespaces
        .map(|namespace| Link { namespace, external_id: ExternalId::parse(external_id).unwrap() })
        .collect();
    let changes = [("US", Attr::Country), ("en-US", Attr::Locale), ("43551", Attr::PostalCode)];
    user.profile.apply(&changes.map(|(text, attr)| gateway_core::Change::set(attr, Value::text(text))));
    let write = Some(gateway_core::Write::Create(user.into()));
    let commit = gateway_core::Commit { write, guards: Vec::new(), now: now() };
    assert_eq!(gateway.gateway.store().commit(commit).await.unwrap(), gateway_core::Committed::Done);
    Names { id: id.to_string(), external_id: external_id.into() }
}

async fn stored(gateway: &Inside, names: &Names) -> User {
    let namespace = Namespace::parse("proj1234").unwrap();
    let key =
        UniqueKey::Link(Link { namespace, external_id: ExternalId::parse(&names.external_id).unwrap() });
    (*gateway.gateway.store().find(&key).await.unwrap().unwrap()).clone()
}

fn body(answer: &RawResponse) -> Json {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

#[tokio::test]
async fn what_one_writes_every_other_reads() {
    let gateway = Inside::new(&Bed::new());
    for writer in &PARTIES {
        let mut written = 0;
        for (n, row) in rows().iter().enumerate() {
            let names = everybodys_user(&gateway, &format!("{}-{n}", writer.name)).await;
            let Some(request) = (writer.write)(row, &names) else { continue };
            let answer = gateway.send(request).await.unwrap();
            assert_eq!(answer.status, 200, "{} writes {:?}: {}", writer.name, row.attr, body(&answer));
            written += 1;
            let user = stored(&gateway, &names).await;
            assert_eq!(
                user.profile.get(row.attr),
                Some(row.stored.clone()),
                "{} wrote {:?}",
                writer.name,
                row.attr
            );
            for reader in &PARTIES {
                let Some(read) = reader.read else { continue };
                let answer = gateway.send(read(&names)).await.unwrap();
                let words = match reader.name {
                    "update" => &row.update,
                    "jsonapi" => &row.jsonapi,
                    "jsonpatch" => &row.jsonpatch,
                    _ => &Some(row.rest.clone()),
                };
                let found = (reader.found)(row, &body(&answer));
                let expected = words.as_ref().map(|(_, value)| value.clone());
                assert_eq!(found, expected, "{} wrote {:?}, {} reads", writer.name, row.attr, reader.name);
            }
            // The same again changes nothing, whoever writes it.
            for again in &PARTIES {
                if let Some(request) = (again.write)(row, &names) {
                    assert_eq!(gateway.send(request).await.unwrap().status, 200);
                    assert_eq!(
                        stored(&gateway, &names).await.version,
                        user.version,
                        "{} after {}",
                        again.name,
                        writer.name
                    );
                }
            }
        }
        assert!(written >= 3, "{} writes {written} of the rows", writer.name);
    }
}

/// Decision 5: reading a user and sending all of it back changes nothing, version included.
#[tokio::test]
async fn all_of_an_answer_sent_back_changes_nothing() {
    let gateway = Inside::new(&Bed::new());
    let names = everybodys_user(&gateway, "round").await;
    for writer in &PARTIES {
        for request in rows().iter().filter_map(|row| (writer.write)(row, &names)) {
            assert_eq!(gateway.send(request).await.unwrap().status, 200);
        }
    }
    let before = stored(&gateway, &names).await;
    for reader in &PARTIES {
        let Some(read) = reader.read else { continue };
        let shown = body(&gateway.send(read(&names)).await.unwrap());
        let back = match reader.name {
            "update" => {
                let mut update = shown.clone();
                // GeoJSON goes out, longitude and latitude come in.
                update.as_object_mut().unwrap().retain(|name, value| name != "location" && !value.is_null());
                request(
                    "PATCH",
                    format!("/social/proj1234/users/{}", names.external_id),
                    SERVICE,
                    Some(json!({"update": update})),
                )
            }
            "jsonapi" => request("PATCH", format!("/user/2025-1/users/{}", names.id), ACCESS, Some(shown)),
            "rest" => {
                let mut headers = ADMIN.to_vec();
                headers.push(("Content-Type", "application/json"));
                request("PUT", format!("/api/v1/users/{}", names.id), &headers, Some(shown))
            }
            _ => {
                let replace = |(name, value): (&String, &Json)| json!({"op": "replace", "path": format!("/{name}"), "value": value});
                let members = shown.as_object().unwrap().iter().filter(|(name, _)| *name != "externalId");
                request(
                    "PATCH",
                    format!("/supplier/v1/users/{}", names.external_id),
                    BASIC,
                    Some(members.map(replace).collect()),
                )
            }
        };
        let answer = gateway.send(back).await.unwrap();
        assert_eq!(answer.status, 200, "{}: {}", reader.name, body(&answer));
        assert_eq!(stored(&gateway, &names).await, before, "{} sent back what it read", reader.name);
    }
}
