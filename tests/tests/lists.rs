//! Lists of the gateway: everybody asked for on one page exactly, whatever is filtered and whoever writes.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{
    Attr, Change, Commit, Committed, ExternalId, Link, Namespace, Query, Standing, Status, Suspension, User,
    UserId, UserStore, Value, Write,
};
use gateway_testkit::{cases::Transport, client::RawRequest};
use serde_json::json;
use tests::{Bed, Inside, now};

/// One dialect that lists, on a mount that sees all users and on one of a namespace.
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"

[store]
kind = "embedded"

[store.embedded]
path = "$DIR/data"

[[mount]]
name = "all"
prefix = "/all"
dialect = "rest"
namespace = "*"

[[mount.client]]
name = "all-admin"
token = "demo-admin-token"

[[mount]]
name = "one"
prefix = "/one"
dialect = "rest"
namespace = "one"

[[mount.client]]
name = "one-admin"
token = "demo-admin-token"
"#;

fn gateway() -> Inside {
    Inside::new(&Bed::with(CONFIG))
}

fn id(number: u32) -> UserId {
    UserId::from_bytes((u128::from(number) << 64 | 1).to_be_bytes())
}

fn link(namespace: &str, number: u32) -> Link {
    let external_id = ExternalId::parse(&number.to_string()).unwrap();
    Link { namespace: Namespace::parse(namespace).unwrap(), external_id }
}

fn user(number: u32, namespaces: &[&str]) -> User {
    let mut user = User::new(id(number), Status::Active, now());
    user.links = namespaces.iter().map(|namespace| link(namespace, number)).collect();
    user
}

fn set(user: &mut User, attr: Attr, text: &str) {
    user.profile.apply(&[Change::set(attr, Value::text(text.to_owned()))]);
}

async fn create(gateway: &Inside, user: User) {
    let commit = Commit { write: Some(Write::Create(user.into())), guards: Vec::new(), now: now() };
    assert_eq!(gateway.gateway.store().commit(commit).await.unwrap(), Committed::Done);
}

/// Sends a request; the status and the document of its answer.
async fn send(gateway: &Inside, method: &str, target: &str, body: &str) -> (u16, serde_json::Value) {
    let authorization = ("Authorization".to_owned(), "Bearer demo-admin-token".to_owned());
    let kind = ("Content-Type".to_owned(), "application/json".to_owned());
    let headers = if body.is_empty() { vec![authorization] } else { vec![authorization, kind] };
    let request = RawRequest { method: method.into(), target: target.into(), headers, body: body.into() };
    let answer = gateway.send(request).await.unwrap();
    // Nothing here waits for anything: others have their turn.
    tokio::task::yield_now().await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

/// A page: its ids, and the cursor of the next.
async fn page(gateway: &Inside, target: &str) -> (Vec<UserId>, Option<String>) {
    let (status, list) = send(gateway, "GET", target, "").await;
    assert_eq!(status, 200, "{target}");
    let ids = list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap());
    let ids = ids.map(|id| UserId::parse(id).unwrap()).collect();
    (ids, list["nextCursor"].as_str().map(str::to_owned))
}

/// The pages of a list, each with the cursor behind it.
async fn walk(
    gateway: &Inside,
    mount: &str,
    filter: &str,
    limit: usize,
) -> Vec<(Vec<UserId>, Option<String>)> {
    let mut pages: Vec<(Vec<UserId>, Option<String>)> = Vec::new();
    loop {
        let cursor = pages.last().and_then(|(_, next)| next.as_deref()).map(|next| format!("&cursor={next}"));
        let target = format!("/{mount}/users?limit={limit}{filter}{}", cursor.unwrap_or_default());
        let found = page(gateway, &target).await;
        assert!(found.0.len() <= limit, "{target}");
        let is_last = found.1.is_none();
        pages.push(found);
        if is_last {
            return pages;
        }
        assert!(pages.len() < 1_000, "{target} does not end");
    }
}

fn all(pages: &[(Vec<UserId>, Option<String>)]) -> Vec<UserId> {
    pages.iter().flat_map(|(ids, _)| ids).copied().collect()
}

/// A user in some state of each kind.
fn varied(number: u32) -> User {
    let namespaces: &[&str] = [&["one"][..], &["two"], &["two", "one"], &[]][number as usize % 4];
    let mut user = user(number, namespaces);
    user.status = [Status::Active, Status::PendingCompliance, Status::Closed][number as usize / 4 % 3];
    let at = now();
    if number.is_multiple_of(5) {
        user.suspensions.push(Suspension {
            reason: None,
            starts_at: at - time::Duration::days(2),
            ends_at: None,
        });
    } else if number.is_multiple_of(7) {
        let ends_at = Some(at - time::Duration::days(1));
        user.suspensions.push(Suspension { reason: None, starts_at: at - time::Duration::days(2), ends_at });
    }
    set(&mut user, Attr::Email, ["Desk@a.example", "desk@a.example", "joan@a.example"][number as usize % 3]);
    if number.is_multiple_of(9) && namespaces.len() < 2 {
        // At most one of a name in each namespace.
        set(&mut user, Attr::Username, &format!("Jane{}", number / 36));
    }
    user
}

#[tokio::test]
async fn every_filter_gives_all_whom_it_asks_for_page_by_page() {
    let gateway = gateway();
    let users: Vec<_> = (1..=120).map(varied).collect();
    for user in &users {
        create(&gateway, user.clone()).await;
    }
    let none = Query {
        after: None,
        limit: 0,
        email: None,
        username: None,
        standing: None,
        link: None,
        held: Vec::new(),
    };
    let (email, username) = (Some("DESK@a.example".to_owned()), Some("jane1".to_owned()));
    let mut asked = vec![
        (String::new(), none.clone()),
        ("&email=DESK%40a.example".into(), Query { email: email.clone(), ..none.clone() }),
        ("&username=jane1".into(), Query { username: username.clone(), ..none.clone() }),
        (
            "&username=jane1&email=DESK%40a.example".into(),
            Query { email: email.clone(), username, ..none.clone() },
        ),
        (
            "&email=nobody%40a.example".into(),
            Query { email: Some("nobody@a.example".into()), ..none.clone() },
        ),
        ("&link=one:4".into(), Query { link: Some(link("one", 4)), ..none.clone() }),
        ("&link=two:1".into(), Query { link: Some(link("two", 1)), ..none.clone() }),
    ];
    for status in ["active", "pendingCompliance", "closed", "suspended"] {
        let standing = Standing::parse(status);
        asked.push((format!("&status={status}"), Query { standing, ..none.clone() }));
        let query = Query { standing, email: email.clone(), ..none.clone() };
        asked.push((format!("&email=desk%40A.example&status={status}"), query));
    }
    let mut found = 0;
    for (filter, query) in asked {
        for (mount, namespace) in [("all", None), ("one", Namespace::parse("one"))] {
            let sees = |user: &User| namespace.as_ref().is_none_or(|one| user.external_id(one).is_some());
            let confines = |link: &Link| namespace.as_ref().is_none_or(|one| link.namespace == *one);
            let is_asked = |user: &&User| {
                sees(user) && query.link.as_ref().is_none_or(confines) && query.matches(user, now())
            };
            let expected: Vec<_> = users.iter().filter(is_asked).map(|user| user.id).collect();
            for limit in [1, 7, 100] {
                let pages = walk(&gateway, mount, &filter, limit).await;
                assert_eq!(all(&pages), expected, "{mount} {filter} {limit}");
                assert!(
                    pages.len() <= expected.len() / limit + 1,
                    "{mount} {filter}: full pages but the last"
                );
            }
            found += expected.len();
        }
    }
    assert!(found > 500, "{found} users were asked for");
}

#[tokio::test]
async fn a_page_of_few_among_many_ends_early_and_goes_on() {
    let gateway = gateway();
    let rare = [3, 1_400, 2_600];
    for number in 1..=2_600 {
        let mut user = user(number, &["one"]);
        if rare.contains(&number) {
            user.status = Status::Closed;
        }
        create(&gateway, user).await;
    }
    let pages = walk(&gateway, "one", "&status=closed", 2).await;
    assert_eq!(all(&pages), rare.map(id));
    assert!(pages.len() > 2, "no page looks at everybody");
    assert!(pages.iter().all(|(ids, next)| ids.len() == 2 || next.is_some() || ids.len() == 1));
    let (first, next) = &pages[0];
    assert!(first.len() < 2 && next.is_some(), "it ends early, and goes on");
    // The mount that sees all has an index for it.
    assert_eq!(walk(&gateway, "all", "&status=closed", 3).await.len(), 1);
}

/// An address that many have in one namespace, and few in another: what the few's mount answers is about them.
#[tokio::test]
async fn no_cursor_names_a_user_of_another_namespace() {
    let gateway = gateway();
    let mut own = BTreeSet::new();
    for number in 1..=4_000_u32 {
        let namespace = if number.is_multiple_of(4) { "one" } else { "two" };
        let mut user = user(number, &[namespace]);
        if namespace == "two" || number == 4_000 {
            set(&mut user, Attr::Email, "desk@a.example");
        }
        if namespace == "one" {
            own.insert(user.id);
        }
        create(&gateway, user).await;
    }
    let pages = walk(&gateway, "one", "&email=desk%40a.example", 10).await;
    assert_eq!(all(&pages), [id(4_000)]);
    let cursors: Vec<_> = pages.iter().filter_map(|(_, next)| next.as_ref()).collect();
    assert!(!cursors.is_empty(), "a page ends before the many do");
    for cursor in cursors {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
        let named = UserId::from_bytes(*bytes.last_chunk().unwrap());
        assert!(own.contains(&named), "a cursor names a stranger");
    }
}

/// Makes a user over HTTP, takes it through states that come into every list and leave it, deletes it.
async fn come_and_go(gateway: &Inside, number: u32) {
    let body = json!({
        "email": "desk@a.example", "status": "pendingCompliance",
        "links": [{ "namespace": "one", "externalId": format!("passing-{number}") }],
    });
    let target = format!("/all/users/{}", id(number));
    let (status, made) = send(gateway, "PUT", &target, &body.to_string()).await;
    assert_eq!(status, 201, "{made}");
    for body in [
        json!({ "email": "else@a.example" }),
        json!({ "status": "active", "email": "Desk@A.example" }),
        json!({ "status": "pendingCompliance" }),
    ] {
        assert_eq!(send(gateway, "PATCH", &target, &body.to_string()).await.0, 200);
    }
    let (status, _) = send(gateway, "DELETE", &format!("{target}/links/one/passing-{number}"), "").await;
    assert_eq!(status, 204);
    assert_eq!(send(gateway, "DELETE", &target, "").await.0, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stays_is_on_one_page_while_others_come_and_go() {
    let gateway = Arc::new(gateway());
    // Those who come and go stand among those who stay.
    let (stay, passing): (Vec<u32>, Vec<u32>) = (0..80).partition(|number| number % 2 == 0);
    for number in &stay {
        let mut user = user(*number, &["one"]);
        user.status = Status::PendingCompliance;
        set(&mut user, Attr::Email, "desk@a.example");
        create(&gateway, user).await;
    }
    let stay: Vec<_> = stay.into_iter().map(id).collect();
    let ended = Arc::new(AtomicBool::new(false));
    let lists =
        [("all", ""), ("one", ""), ("all", "&email=desk%40a.example"), ("all", "&status=pendingCompliance")];
    let walkers: Vec<_> = lists
        .into_iter()
        .map(|(mount, filter)| {
            let (gateway, stay, ended) = (Arc::clone(&gateway), stay.clone(), Arc::clone(&ended));
            tokio::spawn(async move {
                let mut walks = 0;
                while !ended.load(Ordering::Acquire) || walks == 0 {
                    let seen = all(&walk(&gateway, mount, filter, 1 + walks % 9).await);
                    assert!(seen.is_sorted_by(|a, b| a < b), "{mount} {filter}: somebody twice");
                    let missed = stay.iter().filter(|id| seen.binary_search(id).is_err()).count();
                    assert_eq!(missed, 0, "{mount} {filter}: passed over");
                    walks += 1;
                }
            })
        })
        .collect();
    let writers: Vec<_> = passing
        .chunks(10)
        .map(|numbers| {
            let (gateway, numbers, stay) = (Arc::clone(&gateway), numbers.to_vec(), stay.clone());
            tokio::spawn(async move {
                for number in numbers {
                    come_and_go(&gateway, number).await;
                    let target = format!("/all/users/{}", stay[number as usize / 2]);
                    let body = json!({ "bio": number.to_string() }).to_string();
                    assert_eq!(send(&gateway, "PATCH", &target, &body).await.0, 200);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    ended.store(true, Ordering::Release);
    for walker in walkers {
        walker.await.unwrap();
    }
}
