//! Requests of the demo partner.

use gateway_testkit::{cases::Sign, client::RawRequest};

use crate::now;

/// A signed request of the demo partner.
#[must_use]
pub fn signed(method: &str, target: &str, key: Option<uuid::Uuid>, body: &str) -> RawRequest {
    let mut headers = Sign::default().headers(method, target, body.as_bytes(), now());
    headers.extend(key.map(|key| ("Idempotency-Key".to_owned(), key.to_string())));
    RawRequest { method: method.into(), target: target.into(), headers, body: body.into() }
}

/// A request that makes a user.
#[must_use]
pub fn create(external_id: &str, key: Option<uuid::Uuid>) -> RawRequest {
    let body = format!(
        r#"{{"externalId":"{external_id}","email":"jane.doe@example.com","firstName":"Jane","lastName":"Doe","dateOfBirth":"1990-05-15","addressLine1":"123 Main St","city":"Toronto","postalCode":"M5V 2T6","province":"ON","country":"CA","occupation":"Engineer","isCiroAffiliate":false}}"#
    );
    signed("POST", "/partner/v1/users", key, &body)
}

/// A request that changes a user's city.
#[must_use]
pub fn update(external_id: &str, key: Option<uuid::Uuid>, city: &str) -> RawRequest {
    signed("PATCH", &format!("/partner/v1/users/{external_id}"), key, &format!(r#"{{"city":"{city}"}}"#))
}

/// A request that reads a user.
#[must_use]
pub fn read(external_id: &str) -> RawRequest {
    signed("GET", &format!("/partner/v1/users/{external_id}"), None, "")
}
