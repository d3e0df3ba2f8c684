//! What the store itself holds, read by its library while no gateway runs: versions count the writes,
//! indexes agree with users, and every record is whole.

use std::{path::Path, sync::Arc};

use gateway_core::{
    Attr, ExternalId, Link, Namespace, Page, Selection, UniqueKey, User, UserId, UserStore, fold,
};
use store_embedded::{EmbeddedStore, Options, Scrubbed};
use store_postgres::PostgresStore;

use super::{
    check,
    oracle::{Fault, Kind, Oracle, Subject},
    wire::{self, Seen},
};
use crate::{now, party::Party};

/// Checks every user of the oracle; all operations must be settled.
pub(crate) fn check(oracle: &Oracle, data: &Path) {
    let store = match EmbeddedStore::open(data, Options::new(Arc::new(now))) {
        Ok(store) => store,
        Err(error) => return oracle.wrong(Fault::Lost, format!("the store does not open: {error}")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(check_all(oracle, &store));
    match store.scrub() {
        Ok(Scrubbed { damaged: 0, .. }) => {}
        Ok(scrubbed) => oracle.wrong(Fault::Other, format!("{} records are damaged", scrubbed.damaged)),
        Err(error) => oracle.wrong(Fault::Other, format!("scrub: {error}")),
    }
}

/// The same for the store in a PostgreSQL.
pub(crate) fn check_postgres(oracle: &Oracle, url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = store_postgres::Options::new(url, Arc::new(now));
        match PostgresStore::open(options).await {
            Ok(store) => {
                check_all(oracle, &store).await;
                store.close().await;
            }
            Err(error) => oracle.wrong(Fault::Lost, format!("the store does not open: {error}")),
        }
    });
}

async fn check_all(oracle: &Oracle, store: &impl UserStore) {
    let mut live = 0;
    for subject in oracle.subjects() {
        live += u64::from(check_one(oracle, store, &subject).await);
    }
    let found = count(store).await;
    if found != live {
        oracle.wrong(Fault::Half, format!("{found} users are listed, {live} are known"));
    }
}

async fn count(store: &impl UserStore) -> u64 {
    let mut page = Page { after: None, of: Selection::All, limit: 1000 };
    let mut count = 0;
    loop {
        let users = store.list(&page).await.unwrap();
        count += users.len() as u64;
        match users.last() {
            Some(last) => page.after = Some(last.id),
            None => return count,
        }
    }
}

/// The namespace in which a party's users are linked.
fn namespace(maker: Party) -> Option<Namespace> {
    match maker {
        Party::Partner => Namespace::parse("demo-partner"),
        Party::Update => Namespace::parse("proj1234"),
        Party::JsonApi => None,
        Party::JsonPatch => Namespace::parse("demo-supplier"),
    }
}

/// True where the user is there.
async fn check_one(oracle: &Oracle, store: &impl UserStore, subject: &Subject) -> bool {
    let wrong = |fault, what: String| oracle.wrong(fault, format!("user {}: {what}", subject.name));
    let user = match namespace(subject.maker) {
        None => store.user(UserId::new(subject.name)).await,
        Some(namespace) => {
            let external_id = ExternalId::parse(&subject.name.to_string()).unwrap();
            store.find(&UniqueKey::Link(Link { namespace, external_id })).await
        }
    };
    let user = match user {
        Ok(user) => user,
        Err(error) => {
            wrong(Fault::Half, error.to_string());
            return false;
        }
    };
    check::judge(oracle, subject, &user.as_deref().map_or(Seen::Absent, |user| seen(subject, user)));
    if let Some(user) = &user {
        check_version(&wrong, subject, user);
    }
    if subject.maker == Party::Update {
        check_names(&wrong, store, subject, user.as_deref()).await;
    }
    user.is_some()
}

fn seen(subject: &Subject, user: &User) -> Seen {
    let attrs = match subject.maker {
        Party::Update => [Attr::DisplayName, Attr::Username, Attr::Bio],
        _ => [Attr::GivenName, Attr::FamilyName, Attr::City],
    };
    wire::agreed(attrs.map(|attr| user.profile.text(attr)))
}

/// The version is the number of writes, each of which was done once.
fn check_version(wrong: &impl Fn(Fault, String), subject: &Subject, user: &User) {
    let ops = subject.ops();
    let writes = ops.iter().filter(|op| op.is_acked() && op.kind != Kind::Delete).count() as u64;
    if user.version != writes {
        let fault = if user.version < writes { Fault::Lost } else { Fault::Twice };
        wrong(fault, format!("version {} after {writes} writes", user.version));
    }
}

/// The index of usernames holds the user's name, and none that it had before.
async fn check_names(
    wrong: &impl Fn(Fault, String),
    store: &impl UserStore,
    subject: &Subject,
    user: Option<&User>,
) {
    let namespace = namespace(subject.maker).unwrap();
    let name = user.and_then(|user| user.profile.text(Attr::Username));
    for op in subject.ops() {
        let found = store.find(&UniqueKey::Username(namespace.clone(), fold(&op.token))).await;
        match found {
            Ok(found) if found.is_some() == (name == Some(&*op.token)) => {}
            Ok(_) => wrong(Fault::Half, format!("the index of op {}'s username is not right", op.id)),
            Err(error) => wrong(Fault::Half, error.to_string()),
        }
    }
}
