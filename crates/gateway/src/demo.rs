//! The user that a demo begins with: the one of the seed documents, so that their examples work.

use std::sync::Arc;

use gateway_core::{
    Attr, Change, Commit, Committed, ExternalId, Link, Namespace, Point, Status, StoreError, Suspension,
    Timestamp, User, UserId, UserStore, Value, Write,
};
use time::macros::{date, utc_datetime};

/// Its canonical id (seed 003).
pub const USER: &str = "c0daf39b-4df5-4241-9e7d-b1b85f829090";
/// Its project (seed 002).
pub const PROJECT: &str = "proj1234";
/// Its external id there.
pub const EXTERNAL_ID: &str = "67890";

/// The attributes of seed 003, and the name and bio of seed 002.
const TEXTS: [(Attr, &str); 16] = [
    (Attr::DisplayName, "John Doe"),
    (Attr::Bio, "New bio text"),
    (Attr::GivenName, "John"),
    (Attr::FamilyName, "Smith"),
    (Attr::Email, "user@example.com"),
    (Attr::Phone, "+1 (425) 555-1212"),
    (Attr::AvatarUrl, "https://api.pace.cloud/user/img/uztqwenbqw87t123jhg87t6876"),
    (Attr::Gender, "male"),
    (Attr::Country, "DE"),
    (Attr::City, "Karlsruhe"),
    (Attr::Street, "Haid-und-Neu-Straße"),
    (Attr::HouseNumber, "18"),
    (Attr::AddressLine2, "z.H. John Smith"),
    (Attr::Region, "BW"),
    (Attr::PostalCode, "76131"),
    (Attr::Locale, "de-DE"),
];

/// The user.
#[must_use]
pub fn user() -> Option<User> {
    const CREATED: Timestamp = utc_datetime!(2021-09-01 23:12:56);
    let mut user = User::new(UserId::parse(USER)?, Status::Active, CREATED);
    let mut changes: Vec<_> =
        TEXTS.iter().map(|(attr, text)| Change::set(*attr, Value::text(*text))).collect();
    changes.push(Change::set(Attr::BirthDate, Value::Date(date!(1997 - 07 - 21))));
    changes.push(Change::set(Attr::TimeZone, Value::text("Europe/Berlin")));
    user.profile.apply(&changes);
    user.links =
        vec![Link { namespace: Namespace::parse(PROJECT)?, external_id: ExternalId::parse(EXTERNAL_ID)? }];
    Some(user)
}

/// A user of which every attribute is set.
#[must_use]
pub fn everything(now: Timestamp) -> User {
    let mut user = user().unwrap_or_else(|| User::new(UserId::from_bytes([1; 16]), Status::Active, now));
    let suspension = Suspension { reason: None, starts_at: now, ends_at: None };
    user.apply(&[
        Change::set(Attr::Username, Value::text("john")),
        Change::set(Attr::Occupation, Value::text("Engineer")),
        Change::set(Attr::CiroAffiliate, Value::Flag(false)),
        Change::set(Attr::Geo, Value::Point(Point { longitude: 8.4, latitude: 49.0 })),
        Change::set(Attr::AllSuspensions, Value::Suspensions(vec![suspension].into())),
        Change::set(Attr::Metadata, Value::Document("{\"a\":1}".into())),
    ]);
    user
}

/// Makes the user, unless it is there, or was and has been deleted.
///
/// # Errors
/// Of the store.
pub async fn seed<S: UserStore>(store: &S, now: Timestamp) -> Result<(), StoreError> {
    let Some(user) = user() else { return Ok(()) };
    if store.user(user.id).await?.is_some() {
        return Ok(());
    }
    let commit = Commit { write: Some(Write::Create(Arc::new(user))), guards: Vec::new(), now };
    match store.commit(commit).await? {
        Committed::Unknown => Err(StoreError::Unavailable("the demo's user could not be made")),
        // Deleted once, or its place taken by another: the demo goes on without.
        _ => Ok(()),
    }
}
