//! Requests of a client in each of the four dialects.

use gateway_testkit::{cases::credential, client::RawRequest};
use uuid::Uuid;

use crate::{now, partner};

/// A client, by its dialect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// `partner`
    Partner,
    /// `update`
    Update,
    /// `jsonapi`
    JsonApi,
    /// `jsonpatch`
    JsonPatch,
}

impl Party {
    /// One of each.
    pub const ALL: [Self; 4] = [Self::Partner, Self::Update, Self::JsonApi, Self::JsonPatch];

    /// Makes a user of this name.
    #[must_use]
    pub fn create(self, user: Uuid, key: Uuid) -> RawRequest {
        match self {
            Self::Partner => partner::create(&user.to_string(), Some(key)),
            Self::Update => {
                let target = format!(
                    "/social/proj1234/users/by-foreign-id?foreignId={user}&createIfNotFound=true&name=Jane"
                );
                self.request("GET", target, Some(key), String::new())
            }
            Self::JsonApi => {
                let body = format!(
                    r#"{{"data":{{"type":"User","id":"{user}","attributes":{{"email":"jane@example.com"}}}}}}"#
                );
                self.request("POST", "/user/2025-1/users".into(), Some(key), body)
            }
            Self::JsonPatch => {
                let body = format!(r#"{{"externalId":"{user}","country":"US","language":"EN"}}"#);
                self.request("POST", "/supplier/v1/users".into(), Some(key), body)
            }
        }
    }

    /// Changes one text of a user.
    #[must_use]
    pub fn update(self, user: Uuid, key: Uuid, text: &str) -> RawRequest {
        let body = match self {
            Self::Partner => return partner::update(&user.to_string(), Some(key), text),
            Self::Update => format!(r#"{{"update":{{"bio":"{text}"}}}}"#),
            Self::JsonApi => {
                format!(
                    r#"{{"data":{{"type":"User","id":"{user}","attributes":{{"address":{{"locality":"{text}"}}}}}}}}"#
                )
            }
            Self::JsonPatch => format!(r#"[{{"op":"replace","path":"/city","value":"{text}"}}]"#),
        };
        self.request("PATCH", self.target(user), Some(key), body)
    }

    /// Reads a user.
    #[must_use]
    pub fn read(self, user: Uuid) -> RawRequest {
        match self {
            Self::Partner => partner::read(&user.to_string()),
            _ => self.request("GET", self.target(user), None, String::new()),
        }
    }

    pub(crate) fn target(self, user: Uuid) -> String {
        let users = match self {
            Self::Partner => "/partner/v1/users",
            Self::Update => "/social/proj1234/users",
            Self::JsonApi => "/user/2025-1/users",
            Self::JsonPatch => "/supplier/v1/users",
        };
        format!("{users}/{user}")
    }

    pub(crate) fn request(self, method: &str, target: String, key: Option<Uuid>, body: String) -> RawRequest {
        let authorization = match self {
            Self::Partner | Self::Update => "Bearer demo-service-token",
            Self::JsonApi => "Bearer demo-access-token",
            Self::JsonPatch => "Basic $BASIC(demo-supplier:demo-supplier-secret)",
        };
        let mut headers = vec![("Authorization".to_owned(), credential(authorization, now()))];
        if self == Self::JsonApi && !body.is_empty() {
            headers.push(("Content-Type".into(), "application/vnd.api+json".into()));
        }
        headers.extend(key.map(|key| ("Idempotency-Key".to_owned(), key.to_string())));
        RawRequest { method: method.into(), target, headers, body: body.into_bytes() }
    }
}
