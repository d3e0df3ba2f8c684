//! Writes from what the store last knew: they spare a read, and come to nothing else than those that ask.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use gateway::webhook::receiver::Answer;
use gateway_core::{
    Commit, Committed, LedgerKey, LedgerRecord, Page, StoreError, Timestamp, UniqueKey, User, UserId,
    UserStore,
};
use gateway_testkit::{
    client::{RawRequest, RawResponse},
    memory::{Fault, MemoryStore},
};
use tests::{
    Bed, Inside, PEER,
    hook::{self, Hook},
};

/// A store that remembers its users as they were at a moment of the test's choice, and counts its reads.
#[derive(Default)]
struct Recalling {
    model: MemoryStore,
    known: Mutex<BTreeMap<UserId, Arc<User>>>,
    reads: AtomicUsize,
}

impl Recalling {
    /// Knows all users as they stand, and from now on only those.
    async fn remember(&self) {
        let page = Page { after: None, of: gateway_core::Selection::All, limit: usize::MAX };
        let users = self.model.list(&page).await.unwrap();
        *self.known.lock().unwrap() = users.into_iter().map(|user| (user.id, user)).collect();
    }

    fn count(&self) {
        self.reads.fetch_add(1, SeqCst);
    }
}

impl UserStore for Recalling {
    fn key(&self) -> [u8; 16] {
        self.model.key()
    }

    /// As if reads might be ever so old.
    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        match self.recent(id) {
            Some(known) => Ok(Some(known)),
            None => self.model.user(id).await,
        }
    }

    async fn current(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        self.count();
        self.model.user(id).await
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        self.count();
        self.model.find(key).await
    }

    fn recent(&self, id: UserId) -> Option<Arc<User>> {
        self.known.lock().unwrap().get(&id).cloned()
    }

    fn recent_by(&self, key: &UniqueKey) -> Option<Arc<User>> {
        self.known.lock().unwrap().values().find(|user| user.unique_keys().contains(key)).cloned()
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        self.count();
        self.model.list(page).await
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        self.count();
        self.model.ledger(key, now).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.model.commit(commit).await
    }
}

const ADMIN: &str = "Bearer demo-admin-token";
const SUPPLIER: &str = "Basic $BASIC(demo-supplier:demo-supplier-secret)";
const KEY: &str = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";
const MERGE: &str = "application/merge-patch+json";
const JSON: &str = "application/json";
const PATCH: &str = "application/json-patch+json";

/// Method, target, media type, body; who is a supplier speaks of users of its own.
type Plain = (&'static str, &'static str, &'static str, &'static str);

const JANE: &str = "/api/v1/users/11111111-1111-4111-8111-111111111111";
const JOAN: &str = "/api/v1/users/22222222-2222-4222-8222-222222222222";
const JANES_LINK: &str = "/api/v1/users/11111111-1111-4111-8111-111111111111/links/demo-supplier/jane";
const JOANS_LINK: &str = "/api/v1/users/22222222-2222-4222-8222-222222222222/links/demo-supplier/jane";
const JANES_OTHER: &str = "/api/v1/users/11111111-1111-4111-8111-111111111111/links/shop/jane";
const JANE_SUPPLIED: &str = "/supplier/v1/users/jane";

/// What stands before a store remembers.
const GIVEN: [Plain; 2] = [
    (
        "PUT",
        JANE,
        JSON,
        r#"{"username":"jane","bio":"old","links":[{"namespace":"demo-supplier","externalId":"jane"}]}"#,
    ),
    ("PUT", JOAN, JSON, r#"{"username":"joan","links":[{"namespace":"demo-supplier","externalId":"joan"}]}"#),
];

/// What happens before the operation, behind the back of what is remembered.
const MOVES: [&[Plain]; 7] = [
    &[],
    &[("PATCH", JANE, MERGE, r#"{"bio":"new"}"#)],
    &[("PATCH", JANE, MERGE, r#"{"status":"closed"}"#)],
    &[("DELETE", JANE, JSON, "")],
    &[("DELETE", JANES_LINK, JSON, "")],
    // The name is another's now.
    &[("DELETE", JANES_LINK, JSON, ""), ("PUT", JOANS_LINK, JSON, "")],
    &[("PUT", JANES_OTHER, JSON, ""), ("PATCH", JOAN, MERGE, r#"{"username":"Jill"}"#)],
];

/// One of each kind of operation, each with one that changes nothing or is refused.
const OPERATIONS: [Plain; 16] = [
    ("PATCH", JANE, MERGE, r#"{"bio":"mine"}"#),
    ("PATCH", JANE, MERGE, r#"{"bio":"old"}"#),
    ("PATCH", JANE, MERGE, r#"{"bio":"new"}"#),
    ("PATCH", JANE, MERGE, r#"{"username":"jill"}"#),
    ("PATCH", JANE, MERGE, r#"{"username":"joan"}"#),
    (
        "PATCH",
        JANE,
        PATCH,
        r#"[{"op":"test","path":"/bio","value":"old"},{"op":"add","path":"/bio","value":"x"}]"#,
    ),
    (
        "PATCH",
        JANE,
        PATCH,
        r#"[{"op":"test","path":"/bio","value":"new"},{"op":"add","path":"/bio","value":"x"}]"#,
    ),
    ("PUT", JANE, JSON, r#"{"username":"jane","bio":"whole"}"#),
    ("PUT", JANES_OTHER, JSON, ""),
    ("PUT", JANES_LINK, JSON, ""),
    ("PUT", JOANS_LINK, JSON, ""),
    ("DELETE", JANES_LINK, JSON, ""),
    ("DELETE", JANES_OTHER, JSON, ""),
    ("DELETE", JANE, JSON, ""),
    ("PATCH", JANE_SUPPLIED, JSON, r#"[{"op":"replace","path":"/lastName","value":"Roe"}]"#),
    ("PATCH", JANE_SUPPLIED, JSON, r#"[{"op":"replace","path":"/lastName","value":7}]"#),
];

fn request((method, target, media, body): Plain, extra: &[(&str, &str)]) -> RawRequest {
    let authorization = if target.starts_with("/supplier") { SUPPLIER } else { ADMIN };
    let authorization = gateway_testkit::cases::credential(authorization, tests::now());
    let mut headers = vec![("Authorization".to_owned(), authorization)];
    if !body.is_empty() {
        headers.push(("Content-Type".to_owned(), media.to_owned()));
    }
    headers.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    RawRequest { method: method.into(), target: target.into(), headers, body: body.into() }
}

async fn send<S: UserStore>(to: &Inside<S>, plain: Plain, extra: &[(&str, &str)]) -> RawResponse {
    to.send_from(PEER, request(plain, extra)).await.unwrap()
}

/// An answer without the id of its request.
fn told(answer: &RawResponse) -> (u16, Option<String>, String) {
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    let own = body.find("urn:request:").map(|at| at..(at + 48).min(body.len()));
    let body = own.map_or(body.clone(), |own| body.replace(&body[own], ""));
    (answer.status, answer.header("etag").map(str::to_owned), body)
}

/// Two gateways at one moment: one over a store that remembers, one over a store that does not.
async fn pair(bed: &Bed) -> (Inside<Recalling>, Inside) {
    let now = tests::now();
    let recalling = Inside::over(Recalling::default(), bed, Arc::new(move || now));
    let plain = Inside::at(bed, Arc::new(move || now));
    for step in GIVEN {
        assert_eq!(send(&recalling, step, &[]).await.status, 201);
        assert_eq!(send(&plain, step, &[]).await.status, 201);
    }
    recalling.gateway.store().remember().await;
    (recalling, plain)
}

#[tokio::test]
async fn whatever_is_remembered_the_answer_is_that_of_a_store_that_is_asked() {
    let bed = Bed::new();
    let (mut spared, mut changed) = (0, 0);
    for moves in MOVES {
        for operation in OPERATIONS {
            for tag in [None, Some("If-Match"), Some("If-None-Match")] {
                let (recalling, plain) = pair(&bed).await;
                let old = send(&plain, ("GET", JANE, JSON, ""), &[]).await;
                for step in moves {
                    let status = send(&plain, *step, &[]).await.status;
                    assert!((200..300).contains(&status), "{step:?}");
                    let known = std::mem::take(&mut *recalling.gateway.store().known.lock().unwrap());
                    assert_eq!(send(&recalling, *step, &[]).await.status, status);
                    *recalling.gateway.store().known.lock().unwrap() = known;
                }
                let mut extra = vec![("Idempotency-Key", KEY)];
                extra.extend(tag.map(|name| (name, old.header("etag").unwrap())));
                let before = recalling.gateway.store().reads.load(SeqCst);
                let first = send(&recalling, operation, &extra).await;
                let reads = recalling.gateway.store().reads.load(SeqCst) - before;
                let wanted = send(&plain, operation, &extra).await;
                let what = format!("{operation:?} {tag:?} after {moves:?}");
                assert_eq!(told(&first), told(&wanted), "{what}");
                let (one, other) = (recalling.gateway.store().model.digest(), plain.gateway.store().digest());
                assert_eq!(format!("{one:?}"), format!("{other:?}"), "{what}");
                spared += usize::from(reads == 0);
                changed += usize::from((200..300).contains(&first.status) && moves.is_empty());
                assert!(
                    reads > 0 || (200..300).contains(&first.status),
                    "{what}: nothing else is decided so"
                );
                let again = send(&recalling, operation, &extra).await;
                assert_eq!(told(&again), told(&send(&plain, operation, &extra).await), "{what}: again");
                assert_eq!(recalling.gateway.store().model.digest(), one, "{what}: once");
            }
        }
    }
    assert!(spared >= changed / 2 && spared > 20, "{spared} of {changed}");
}

#[tokio::test]
async fn a_write_from_what_still_stands_asks_the_store_nothing() {
    let (recalling, _) = pair(&Bed::new()).await;
    for (operation, status) in [
        (("PATCH", JANE, MERGE, r#"{"bio":"mine"}"#), 200),
        (("PUT", JANE, JSON, r#"{"username":"jane"}"#), 200),
        (("PUT", JANES_OTHER, JSON, ""), 201),
        (("DELETE", JANES_OTHER, JSON, ""), 204),
        (("DELETE", JANE, JSON, ""), 204),
    ] {
        let store = recalling.gateway.store();
        store.remember().await;
        let before = store.reads.load(SeqCst);
        let key = uuid::Uuid::new_v4().to_string();
        let answer = send(&recalling, operation, &[("Idempotency-Key", &key)]).await;
        assert_eq!(answer.status, status, "{operation:?}");
        assert_eq!(store.reads.load(SeqCst), before, "{operation:?}");
    }
}

#[tokio::test]
async fn an_unknown_end_is_told_and_not_tried_again() {
    let (recalling, _) = pair(&Bed::new()).await;
    let store = recalling.gateway.store();
    let write = ("PATCH", JANE, MERGE, r#"{"bio":"mine"}"#);
    for fault in [Fault::Unknown, Fault::UnknownDone, Fault::Unavailable] {
        store.remember().await;
        store.model.fail_next_commits(1, fault);
        let version = |user: &Arc<User>| user.version;
        let before = store.known.lock().unwrap().values().next().map(version);
        assert_eq!(send(&recalling, write, &[]).await.status, 503, "{fault:?}");
        store.remember().await;
        let after = store.known.lock().unwrap().values().next().map(version);
        assert_eq!(after > before, fault == Fault::UnknownDone, "{fault:?}");
        assert_eq!(send(&recalling, ("PATCH", JANE, MERGE, r#"{"bio":"other"}"#), &[]).await.status, 200);
    }
}

/// The webhook is asked about the user as it stands, and once.
#[test]
fn a_webhook_never_hears_of_what_is_merely_remembered() {
    let hook = Hook::start(|_| Answer::approve());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ask_once(&hook));
}

async fn ask_once(hook: &Hook) {
    let bed = Bed::with(&hook.bed(""));
    let now = tests::now();
    let gateway = Inside::over(Recalling::default(), &bed, Arc::new(move || now));
    let user = uuid::Uuid::new_v4();
    let made = tests::Party::Update.create(user, uuid::Uuid::new_v4());
    assert_eq!(gateway.send_from(PEER, made).await.unwrap().status, 201);
    let store = gateway.gateway.store();
    for (text, moved) in [("one", true), ("two", false)] {
        store.remember().await;
        if moved {
            let beside = tests::Party::Update.update(user, uuid::Uuid::new_v4(), "beside");
            assert_eq!(gateway.send_from(PEER, beside).await.unwrap().status, 200);
        }
        let key = Some(uuid::Uuid::new_v4());
        let asked = hook.asked().len();
        let first = gateway.send_from(PEER, hook::update(user, key, text)).await.unwrap();
        let again = gateway.send_from(PEER, hook::update(user, key, text)).await.unwrap();
        assert_eq!((first.status, &first.body), (200, &again.body), "{text}");
        assert_eq!(hook.asked().len(), asked + 1, "{text}");
    }
}
