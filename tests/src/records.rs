//! Another gateway, as far as it speaks in records.

use std::sync::Arc;

use gateway_core::{Attr, ExternalId, Link, Namespace, Profile, Status, User, UserId, Value};
use gateway_record::{MEDIA_TYPE, Stored, decode_page};
use gateway_testkit::client::{RawRequest, RawResponse};

use crate::{Bed, Process, now};

/// The rows that say what a PUT replaces.
pub type Condition<'a> = [(&'static str, &'a str)];

/// Nothing.
pub const NEW: &Condition<'static> = &[("If-None-Match", "*")];

/// A gateway that is asked as another gateway asks.
pub struct Peer {
    process: Process,
}

impl Peer {
    /// Starts one to ask.
    #[must_use]
    pub fn start() -> Self {
        Self { process: Process::start(&Bed::new()) }
    }

    /// Sends a request about what stands below `/users`.
    #[must_use]
    pub fn send(&self, method: &str, target: &str, rows: &[(&str, &str)], body: Vec<u8>) -> RawResponse {
        let authorization = ("Authorization", "Bearer demo-gateway-token");
        let rows = [authorization].into_iter().chain(rows.iter().copied());
        let headers = rows.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let (method, target) = (method.to_owned(), format!("/api/v1/users{target}"));
        let answer = self.process.send(&RawRequest { method, target, headers, body });
        answer.and_then(RawResponse::checked).unwrap()
    }

    /// Puts the state of a user.
    #[must_use]
    pub fn put(&self, user: &User, rows: &Condition<'_>) -> RawResponse {
        let rows: Vec<_> = [("Content-Type", MEDIA_TYPE)].into_iter().chain(rows.iter().copied()).collect();
        self.send("PUT", &format!("/{}", user.id), &rows, record(user))
    }

    /// Makes a user, and gives its tag.
    pub fn make(&self, user: &User) -> String {
        let made = self.put(user, NEW);
        assert_eq!((made.status, made.body.len()), (201, 0), "{}", text(&made));
        tag(&made)
    }

    /// Asks for the record of a user.
    #[must_use]
    pub fn get(&self, id: UserId) -> RawResponse {
        self.send("GET", &format!("/{id}"), &[("Accept", MEDIA_TYPE)], Vec::new())
    }

    /// A page, after its media type was looked at.
    pub fn page(&self, query: &str) -> (Vec<Arc<User>>, Option<UserId>) {
        let answer = self.send("GET", &format!("?{query}"), &[("Accept", MEDIA_TYPE)], Vec::new());
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(MEDIA_TYPE)), "{query}");
        decode_page(&answer.body).expect("a page")
    }

    /// All that a list holds, page by page.
    pub fn walk(&self, filter: &str, limit: usize) -> Vec<UserId> {
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let (users, next) = self.page(&format!("limit={limit}{filter}{after}"));
            assert!(users.len() <= limit);
            ids.extend(users.iter().map(|user| user.id));
            let Some(next) = next else { return ids };
            after = format!("&after={next}");
        }
    }

    /// A user is this, and has this tag.
    pub fn assert_stands(&self, user: &User, tag: &str) {
        let found = self.get(user.id);
        assert_eq!((found.status, found.header("content-type")), (200, Some(MEDIA_TYPE)));
        assert_eq!((found.body == record(user), found.header("etag")), (true, Some(tag)), "{user:?}");
    }
}

/// The bytes of a user.
#[must_use]
pub fn record(user: &User) -> Vec<u8> {
    Stored::Live(Arc::new(user.clone())).encode(0)
}

/// The body of an answer.
#[must_use]
pub fn text(answer: &RawResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Its entity tag.
#[must_use]
pub fn tag(answer: &RawResponse) -> String {
    answer.header("etag").expect("an entity tag").to_owned()
}

/// The id of a number, in the order of numbers.
#[must_use]
pub fn id(number: u32) -> UserId {
    UserId::from_bytes((0x70_0000_8000_0000_0000_0000 | u128::from(number) << 96).to_be_bytes())
}

/// The user of a number, without anything.
#[must_use]
pub fn user(number: u32) -> User {
    User::new(id(number), Status::Active, now())
}

/// A link.
#[must_use]
pub fn link(namespace: &str, external_id: impl ToString) -> Link {
    let namespace = Namespace::parse(namespace).unwrap();
    Link { namespace, external_id: ExternalId::parse(&external_id.to_string()).unwrap() }
}

/// The user with one more attribute.
#[must_use]
pub fn with(mut user: User, attr: Attr, value: Value<'static>) -> User {
    let stored: Vec<_> = user
        .profile
        .stored()
        .map(|(attr, value)| (attr, value.into_owned()))
        .chain([(attr, value)])
        .collect();
    user.profile = Profile::from_stored(stored);
    user
}

/// One version on.
pub fn next(user: &User) -> User {
    User { version: user.version + 1, ..user.clone() }
}
