//! The user that the examples are about.

use std::sync::Arc;

use gateway_core::{
    Attr, Change, ExternalId, Link, Namespace, Point, Reach, Status, Timestamp, User, UserId, Value,
};
use gateway_dialect::{Naming, Target};
use time::macros::{date, utc_datetime};

use crate::{config::MountConfig, demo};

/// Its attributes: one in the US, since there a dialect has most to say.
const TEXTS: [(Attr, &str); 16] = [
    (Attr::Username, "john.doe"),
    (Attr::DisplayName, "John Doe"),
    (Attr::GivenName, "John"),
    (Attr::FamilyName, "Doe"),
    (Attr::Email, "user@example.com"),
    (Attr::Phone, "+1 (425) 555-1212"),
    (Attr::AvatarUrl, "https://example.com/avatar.png"),
    (Attr::Bio, "New bio text"),
    (Attr::Gender, "male"),
    (Attr::Country, "US"),
    (Attr::AddressLine1, "123 Main St"),
    (Attr::AddressLine2, "Suite 400"),
    (Attr::City, "Perrysburg"),
    (Attr::Region, "OH"),
    (Attr::PostalCode, "43551-9331"),
    (Attr::Occupation, "Software Engineer"),
];

/// The user, who sees it, and how paths name it.
pub(super) struct Sample {
    pub(super) reach: Reach,
    /// One, as lists hold it.
    pub(super) users: [Arc<User>; 1],
    external_id: &'static str,
    names_by_id: bool,
}

impl Sample {
    pub(super) fn of(mount: &MountConfig) -> Self {
        let reach = super::reach(&mount.namespace);
        let naming = mount.dialect.naming();
        let external_id =
            if matches!(naming, Naming::InPath(_)) { demo::EXTERNAL_ID } else { "partner-user-42" };
        let namespace = reach.namespace().cloned().or_else(|| Namespace::parse("demo-partner"));
        let links = namespace.zip(ExternalId::parse(external_id));
        let links = links.map(|(namespace, external_id)| Link { namespace, external_id });
        let user = User { links: links.into_iter().collect(), ..user() };
        Self { reach, users: [Arc::new(user)], external_id, names_by_id: naming == Naming::Canonical }
    }

    pub(super) fn user(&self) -> &User {
        &self.users[0]
    }

    /// What stands in a path in the place of a parameter.
    pub(super) fn segment(&self, parameter: &str) -> String {
        match parameter {
            "projectId" => demo::PROJECT.to_owned(),
            "namespace" => "demo-partner".to_owned(),
            "externalId" => self.external_id.to_owned(),
            _ if self.names_by_id => self.user().id.to_string(),
            _ => self.external_id.to_owned(),
        }
    }

    /// The external id of a creation.
    pub(super) const fn external_id(&self) -> &'static str {
        self.external_id
    }
}

/// A route with all that its path names.
pub(super) fn target<'s>(route: &'static gateway_dialect::Route, segments: &'s [String]) -> Target<'s> {
    let segment = |at: usize| segments.get(at).map(String::as_str);
    Target::new(route, [segment(0), segment(1), segment(2)])
}

fn user() -> User {
    const CREATED: Timestamp = utc_datetime!(2026-03-13 12:00:00);
    const UPDATED: Timestamp = utc_datetime!(2026-03-14 15:45:00);
    let id = UserId::parse(demo::USER).unwrap_or(UserId::from_bytes([1; 16]));
    let mut user = User::new(id, Status::Active, CREATED);
    let mut changes: Vec<_> =
        TEXTS.iter().map(|(attr, text)| Change::set(*attr, Value::text(*text))).collect();
    changes.extend([
        Change::set(Attr::BirthDate, Value::Date(date!(1990 - 05 - 15))),
        Change::set(Attr::Locale, Value::text("en-US")),
        Change::set(Attr::TimeZone, Value::text("America/New_York")),
        Change::set(Attr::CiroAffiliate, Value::Flag(false)),
        Change::set(Attr::Geo, Value::Point(Point { longitude: -83.62, latitude: 41.55 })),
        Change::set(Attr::Metadata, Value::Document(r#"{"plan":"basic"}"#.into())),
    ]);
    user.profile.apply(&changes);
    user.updated_at = UPDATED;
    user
}
