//! The clients' requests in the four dialects. Every write sets three fields to one token: a user whose
//! fields differ was written by halves.

use gateway_testkit::client::{RawRequest, RawResponse};
use serde_json::{Value, json};
use uuid::Uuid;

use super::oracle::{Kind, Op, Subject};
use crate::{partner, party::Party};

/// What a read shows of a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Absent,
    /// Its three fields, all equal.
    Token(String),
    /// Fields that differ, or an answer that is none.
    Torn(String),
    /// It is there; this dialect shows no more.
    Present,
}

/// The request of an operation.
pub(crate) fn request(subject: &Subject, op: &Op) -> RawRequest {
    let token = &op.token;
    match op.kind {
        Kind::Create => create(op.party, subject.name, token, op.key),
        Kind::Update => update(op.party, subject.id_for(op.party), token, op.key),
        Kind::Delete => {
            op.party.request("DELETE", op.party.target(subject.id_for(op.party)), op.key, String::new())
        }
    }
}

fn create(party: Party, name: Uuid, token: &str, key: Option<Uuid>) -> RawRequest {
    let (target, body) = match party {
        Party::Partner => (
            "/partner/v1/users".to_owned(),
            json!({
                "externalId": name.to_string(), "email": "jane.doe@example.com", "firstName": token, "lastName": token,
                "dateOfBirth": "1990-05-15", "addressLine1": "123 Main St", "city": token,
                "postalCode": "M5V 2T6", "province": "ON", "country": "CA", "occupation": "Engineer",
                "isCiroAffiliate": false,
            }),
        ),
        Party::Update => {
            let target = format!(
                "/social/proj1234/users/by-foreign-id?foreignId={name}&createIfNotFound=true&name={token}&username={token}&bio={token}"
            );
            return party.request("GET", target, key, String::new());
        }
        Party::JsonApi => {
            let mut body = document(name, token);
            body["data"]["attributes"]["email"] = json!("jane@example.com");
            ("/user/2025-1/users".to_owned(), body)
        }
        Party::JsonPatch => (
            "/supplier/v1/users".to_owned(),
            json!({
                "externalId": name.to_string(), "country": "US", "language": "EN", "firstName": token,
                "lastName": token, "city": token,
            }),
        ),
    };
    send(party, "POST", target, key, &body)
}

fn update(party: Party, id: Uuid, token: &str, key: Option<Uuid>) -> RawRequest {
    let body = match party {
        Party::Partner => json!({"firstName": token, "lastName": token, "city": token}),
        Party::Update => json!({"update": {"name": token, "username": token, "bio": token}}),
        Party::JsonApi => document(id, token),
        Party::JsonPatch => ["/firstName", "/lastName", "/city"]
            .map(|path| json!({"op": "replace", "path": path, "value": token}))
            .into_iter()
            .collect::<Value>(),
    };
    send(party, "PATCH", party.target(id), key, &body)
}

fn document(id: Uuid, token: &str) -> Value {
    json!({"data": {"type": "User", "id": id.to_string(), "attributes": {
        "firstName": token, "lastName": token, "address": {"locality": token},
    }}})
}

fn send(party: Party, method: &str, target: String, key: Option<Uuid>, body: &Value) -> RawRequest {
    match party {
        Party::Partner => partner::signed(method, &target, key, &body.to_string()),
        _ => party.request(method, target, key, body.to_string()),
    }
}

/// Who can read most of a user, and the request.
pub(crate) fn read(subject: &Subject) -> (Party, RawRequest) {
    let reader = match subject.maker {
        // The partner dialect shows no profile; by its canonical id the user is read in another.
        Party::Partner if subject.canonical.get().is_some() => Party::JsonApi,
        maker => maker,
    };
    (reader, reader.read(subject.id_for(reader)))
}

/// What an answer to [`read`] shows.
pub(crate) fn seen(reader: Party, answer: &RawResponse) -> Seen {
    let body = || serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    match (answer.status, reader) {
        (404, _) => Seen::Absent,
        (200, Party::Partner) => Seen::Present,
        (200, _) => {
            let body = body();
            let fields = match reader {
                Party::Update => ["/name", "/username", "/bio"],
                Party::JsonApi => [
                    "/data/attributes/firstName",
                    "/data/attributes/lastName",
                    "/data/attributes/address/locality",
                ],
                Party::Partner | Party::JsonPatch => ["/firstName", "/lastName", "/city"],
            };
            agreed(fields.map(|field| body.pointer(field).and_then(Value::as_str)))
        }
        (status, _) => Seen::Torn(format!("status {status}")),
    }
}

/// What three fields say together.
pub(crate) fn agreed(fields: [Option<&str>; 3]) -> Seen {
    match fields {
        [Some(a), Some(b), Some(c)] if a == b && b == c => Seen::Token(a.to_owned()),
        torn => Seen::Torn(format!("fields {torn:?}")),
    }
}

/// The canonical id in the answer to a partner's creation.
pub(crate) fn canonical(answer: &RawResponse) -> Option<Uuid> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body["userId"].as_str()?.parse().ok()
}
