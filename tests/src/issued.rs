//! Two mounts whose tokens come from other servers, and one whose tokens are its own: in this process,
//! by a clock that is put forward, or as a process.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use gateway_testkit::{
    cases::Transport,
    client::{RawRequest, RawResponse},
};
use serde_json::json;
use time::{Duration, macros::utc_datetime};

use crate::{
    Bed, Inside, Issuer,
    issuer::{AUD, ISS},
};

/// Two mounts with the same issuer, and one with none.
pub const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"

[log]
format = "json"

[store.embedded]
path = "$DIR/data"

[[mount]]
name = "user"
prefix = "/user"
dialect = "jsonapi"
namespace = "*"

[[mount.client]]
name = "app"
$ISSUER

[[mount]]
name = "social"
prefix = "/social"
dialect = "update"
namespace = "{projectId}"

[[mount.client]]
name = "app"
project = "proj1234"
$ISSUER

[[mount]]
name = "own"
prefix = "/own"
dialect = "jsonapi"
namespace = "*"

[[mount.client]]
name = "own"
token = "demo-access-token"
scope = "user:users:read"
"#;

const START: time::UtcDateTime = utc_datetime!(2026-03-13 12:00);

/// A gateway in this process, by a clock that is put forward.
pub struct Here {
    /// The gateway.
    pub inside: Inside,
    clock: Arc<AtomicI64>,
    _bed: Bed,
}

impl Here {
    /// With this client, of both mounts.
    pub async fn new(issuer: &str) -> Self {
        let bed = Bed::with(&CONFIG.replace("$ISSUER", issuer));
        let clock = Arc::new(AtomicI64::new(0));
        let told = Arc::clone(&clock);
        let now = move || START + Duration::milliseconds(told.load(Ordering::SeqCst));
        let here = Self { inside: Inside::at(&bed, Arc::new(now)), clock, _bed: bed };
        here.tend().await;
        here
    }

    /// What the clock says.
    #[must_use]
    pub fn now(&self) -> time::UtcDateTime {
        START + Duration::milliseconds(self.clock.load(Ordering::SeqCst))
    }

    /// In seconds.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.now().unix_timestamp()
    }

    /// Puts the clock forward.
    pub fn forward(&self, by: Duration) {
        self.clock.fetch_add(i64::try_from(by.whole_milliseconds()).unwrap(), Ordering::SeqCst);
    }

    /// Fetches what is due, as a running gateway does by itself.
    pub async fn tend(&self) {
        let live = self.inside.gateway.live();
        gateway::issuers::tend(&live, self.now());
        gateway::issuers::settled(&live).await;
    }

    /// A GET with this token.
    pub async fn get(&self, target: &str, token: &str) -> RawResponse {
        let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
        let request = RawRequest { method: "GET".into(), target: target.into(), headers, body: Vec::new() };
        self.inside.send(request).await.unwrap()
    }

    /// What the two mounts of the issuer say of a token that may read: both the same.
    pub async fn says(&self, token: &str) -> Said {
        let user = said(&self.get("/user/users/01020304-0506-4708-890a-0b0c0d0e0f10", token).await);
        let social = said(&self.get("/social/proj1234/users/nobody", token).await);
        assert_eq!(user, social);
        user
    }

    /// A mount without the issuer is served, whatever happens.
    pub async fn others_are_served(&self) {
        let answer = self.get("/own/users/01020304-0506-4708-890a-0b0c0d0e0f10", "demo-access-token").await;
        assert_eq!(answer.status, 404);
    }

    /// A metric, by its name and labels.
    #[must_use]
    pub fn figure(&self, line: &str) -> Option<u64> {
        let text = gateway::issuers::render(&self.inside.gateway.live(), self.now());
        text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
    }
}

/// What an answer says of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// Let through: there is no such user.
    Taken,
    /// No good credential.
    Refused,
    /// Nobody knows.
    Unavailable,
}

/// 401 of JSON:API and 403 of the update dialect; 503 with a time to wait in both.
#[must_use]
pub fn said(answer: &RawResponse) -> Said {
    match answer.status {
        404 => Said::Taken,
        401 => Said::Refused,
        403 => {
            assert_eq!(answer.body, b"Forbidden");
            Said::Refused
        }
        503 => {
            assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert!(body.get("errors").is_some() || body["code"] == "user/unavailable", "{body}");
            Said::Unavailable
        }
        other => panic!("{other}: {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// Claims that may read and write.
#[must_use]
pub fn may_read() -> serde_json::Value {
    json!({"scope": "user:users:read user:users:write"})
}

/// A client whose keys are at a URL.
#[must_use]
pub fn by_url(issuer: &Issuer, algorithm: &str) -> String {
    let keys =
        format!("jwks_url = \"{}\"\nalgorithm = \"{algorithm}\"\nallow_private = true", issuer.jwks_url());
    format!("{keys}\nissuer = \"{ISS}\"\naudience = \"{AUD}\"\ntyp = \"at+jwt\"")
}
