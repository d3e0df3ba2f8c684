//! The one user, how it changes, and how a mount looks at it.

use std::borrow::Cow;

use crate::{Attr, Change, ExternalId, Link, Namespace, Profile, Timestamp, UserId, Value};

/// The standing of an account. Suspension is not a standing: it comes and goes by date.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Status {
    /// Created by a partner, compliance not yet done (decision 15).
    PendingCompliance = 1,
    /// In use.
    Active = 2,
    /// Closed: absent to the legacy dialects.
    Closed = 3,
}

impl Status {
    /// The name on the wire, shared by the dialects that show one.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingCompliance => "pendingCompliance",
            Self::Active => "active",
            Self::Closed => "closed",
        }
    }

    /// The inverse of [`Status::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::PendingCompliance, Self::Active, Self::Closed].into_iter().find(|one| one.as_str() == text)
    }

    /// The inverse of `self as u8`.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::PendingCompliance),
            2 => Some(Self::Active),
            3 => Some(Self::Closed),
            _ => None,
        }
    }
}

/// How an account stands at an instant: its status, or that it is suspended. A closed one stays closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// As its status says.
    Plain(Status),
    /// A suspension is active.
    Suspended,
}

impl Standing {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain(status) => status.as_str(),
            Self::Suspended => "suspended",
        }
    }

    /// The inverse of [`Standing::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "suspended" { Some(Self::Suspended) } else { Status::parse(text).map(Self::Plain) }
    }
}

/// A suspension; active from its start to its end, the end excluded.
#[derive(Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Why, as told to the user.
    pub reason: Option<String>,
    /// First instant.
    pub starts_at: Timestamp,
    /// First instant after it; `None` until lifted.
    pub ends_at: Option<Timestamp>,
}

impl Suspension {
    /// True at instants within.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.starts_at <= now && self.ends_at.is_none_or(|end| now < end)
    }
}

impl std::fmt::Debug for Suspension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Suspension(..)")
    }
}

/// The canonical user. A store keeps exactly this, and hands it out shared.
#[derive(Clone, PartialEq, Debug)]
pub struct User {
    /// The canonical id.
    pub id: UserId,
    /// 1 when created, one more with every change; never reused, not even by a deletion.
    pub version: u64,
    /// The standing of the account.
    pub status: Status,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed; never decreases.
    pub updated_at: Timestamp,
    /// The external ids, in the order in which they were given.
    pub links: Vec<Link>,
    /// All suspensions, past ones too.
    pub suspensions: Vec<Suspension>,
    /// Everything else.
    pub profile: Profile,
}

/// A key that at most one user may have.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum UniqueKey {
    /// An external id in a namespace.
    Link(Link),
    /// A case-folded username in a namespace (decision 26).
    Username(Namespace, String),
}

impl User {
    /// The most links that a user can have, and the most suspensions.
    pub const MAX_LINKS: usize = 100;

    /// A new user at version 1, without links.
    #[must_use]
    pub fn new(id: UserId, status: Status, now: Timestamp) -> Self {
        Self {
            id,
            version: 1,
            status,
            created_at: now,
            updated_at: now,
            links: Vec::new(),
            suspensions: Vec::new(),
            profile: Profile::default(),
        }
    }

    /// The user after an update, one version on; `None` when the changes change nothing, which
    /// keeps version and time (decision 5).
    #[must_use]
    pub fn changed(&self, changes: &[Change], now: Timestamp) -> Option<Self> {
        let profile = self.profile.changed(changes);
        let (status, suspensions) = self.account_changed(changes);
        if profile.is_none() && status == self.status && suspensions.is_none() {
            return None;
        }
        Some(Self {
            id: self.id,
            version: self.version.saturating_add(1),
            status,
            created_at: self.created_at,
            updated_at: now.max(self.updated_at),
            links: self.links.clone(),
            suspensions: suspensions.unwrap_or_else(|| self.suspensions.clone()),
            profile: profile.unwrap_or_else(|| self.profile.clone()),
        })
    }

    /// Applies changes to a user that is still being made.
    pub fn apply(&mut self, changes: &[Change]) {
        let (status, suspensions) = self.account_changed(changes);
        self.status = status;
        self.suspensions = suspensions.unwrap_or_default();
        self.profile.apply(changes);
    }

    /// The status and the suspensions after an update; no suspensions where they stay the same.
    fn account_changed(&self, changes: &[Change]) -> (Status, Option<Vec<Suspension>>) {
        let (mut status, mut suspensions) = (self.status, None);
        for change in changes {
            match (change.attr, &change.value) {
                (Attr::Status | Attr::Standing, Some(Value::Text(name))) => {
                    status = Status::parse(name).unwrap_or(status);
                }
                (Attr::Suspensions | Attr::AllSuspensions, Some(Value::Suspensions(list))) => {
                    suspensions = Some(list.to_vec());
                }
                (Attr::Suspensions | Attr::AllSuspensions, _) => suspensions = Some(Vec::new()),
                _ => {}
            }
        }
        (status, suspensions.filter(|list| *list != self.suspensions))
    }

    /// The user with one more link, one version on.
    #[must_use]
    pub fn linked(&self, link: Link, now: Timestamp) -> Self {
        let mut next = self.next(now);
        next.links.push(link);
        next
    }

    /// The user without a link, one version on, were it the last one; `None` where it has no such link.
    #[must_use]
    pub fn without_link(&self, link: &Link, now: Timestamp) -> Option<Self> {
        let mut next = self.next(now);
        next.links.retain(|own| own != link);
        (next.links.len() < self.links.len()).then_some(next)
    }

    /// The same, one version on.
    fn next(&self, now: Timestamp) -> Self {
        let version = self.version.saturating_add(1);
        Self { version, updated_at: now.max(self.updated_at), ..self.clone() }
    }

    /// How the account stands.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        let suspended =
            self.status != Status::Closed && self.suspensions.iter().any(|one| one.is_active(now));
        if suspended { Standing::Suspended } else { Standing::Plain(self.status) }
    }

    /// The user without its links in a namespace, one version on; `None` when no link would be left.
    #[must_use]
    pub fn unlinked(&self, namespace: &Namespace, now: Timestamp) -> Option<Self> {
        let mut next = self.next(now);
        next.links.retain(|link| link.namespace != *namespace);
        (!next.links.is_empty()).then_some(next)
    }

    /// The external id in a namespace.
    #[must_use]
    pub fn external_id(&self, namespace: &Namespace) -> Option<&ExternalId> {
        self.links.iter().find(|link| link.namespace == *namespace).map(|link| &link.external_id)
    }

    /// Every key that no other user may have, in order, without repeats.
    #[must_use]
    pub fn unique_keys(&self) -> Vec<UniqueKey> {
        let mut keys: Vec<_> = self.links.iter().cloned().map(UniqueKey::Link).collect();
        if let Some(name) = self.profile.text(Attr::Username) {
            let folded = fold(name);
            keys.extend(
                self.links.iter().map(|link| UniqueKey::Username(link.namespace.clone(), folded.clone())),
            );
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// The form in which names are compared: without regard to case.
#[must_use]
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// A user as seen from a namespace at an instant: what dialects read attributes from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The user.
    pub user: &'a User,
    /// Where it is looked at from; `None` for first-party mounts.
    pub namespace: Option<&'a Namespace>,
    /// When.
    pub now: Timestamp,
}

impl<'a> View<'a> {
    /// The value of any attribute; `None` when unset. The secret document is never read.
    #[must_use]
    pub fn get(&self, attr: Attr) -> Option<Value<'a>> {
        let text = |text: &'a str| Some(Value::Text(Cow::Borrowed(text)));
        match attr {
            Attr::Id => Some(Value::text(self.user.id.to_string())),
            Attr::ExternalId => text(self.user.external_id(self.namespace?)?.as_str()),
            Attr::Status => text(self.user.status.as_str()),
            Attr::CreatedAt => Some(Value::Instant(self.user.created_at)),
            Attr::UpdatedAt => Some(Value::Instant(self.user.updated_at)),
            Attr::Suspensions => {
                let active = self.user.suspensions.iter().filter(|one| one.is_active(self.now));
                Some(Value::Suspensions(active.cloned().collect()))
            }
            Attr::Standing => text(self.user.standing(self.now).as_str()),
            Attr::AllSuspensions => Some(Value::Suspensions(Cow::Borrowed(&self.user.suspensions))),
            Attr::Links => Some(Value::Links(self.links())),
            Attr::SecureMetadata => None,
            profile => self.user.profile.get(profile),
        }
    }

    /// The links that can be seen from here: a namespace's own, or all.
    fn links(&self) -> Cow<'a, [Link]> {
        match self.namespace {
            None => Cow::Borrowed(&self.user.links),
            Some(namespace) => {
                self.user.links.iter().filter(|link| link.namespace == *namespace).cloned().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::utc_datetime;

    fn user() -> User {
        let mut user = User::new(UserId::from_bytes([7; 16]), Status::Active, utc_datetime!(2026-01-01 0:00));
        let namespace = Namespace::parse("a").unwrap();
        user.links = vec![Link { namespace, external_id: ExternalId::parse("x").unwrap() }];
        user
    }

    #[test]
    fn an_update_that_changes_nothing_is_none() {
        let user = user();
        let city = Change::set(Attr::City, Value::text("Ghent"));
        let next = user.changed(std::slice::from_ref(&city), utc_datetime!(2026-01-02 0:00)).unwrap();
        assert_eq!((next.version, next.updated_at), (2, utc_datetime!(2026-01-02 0:00)));
        assert_eq!(next.changed(&[city], utc_datetime!(2026-01-03 0:00)), None);
        assert_eq!(user.changed(&[Change::clear(Attr::Bio)], utc_datetime!(2026-01-03 0:00)), None);
    }

    #[test]
    fn time_never_runs_backwards_for_a_user() {
        let city = Change::set(Attr::City, Value::text("Ghent"));
        let next = user().changed(&[city], utc_datetime!(2020-01-01 0:00)).unwrap();
        assert_eq!(next.updated_at, utc_datetime!(2026-01-01 0:00));
    }

    #[test]
    fn usernames_are_unique_by_folded_form_in_each_namespace() {
        let named = user()
            .changed(&[Change::set(Attr::Username, Value::text("JaNe"))], utc_datetime!(2026-01-02 0:00))
            .unwrap();
        let a = Namespace::parse("a").unwrap();
        assert!(named.unique_keys().contains(&UniqueKey::Username(a, "jane".into())));
    }

    #[test]
    fn only_active_suspensions_show() {
        let mut user = user();
        let at = |day| utc_datetime!(2026-03-01 0:00) + time::Duration::days(day);
        user.suspensions = vec![
            Suspension { reason: None, starts_at: at(0), ends_at: Some(at(2)) },
            Suspension { reason: None, starts_at: at(5), ends_at: None },
        ];
        let count = |day| match (View { user: &user, namespace: None, now: at(day) }).get(Attr::Suspensions) {
            Some(Value::Suspensions(list)) => list.len(),
            _ => 99,
        };
        assert_eq!([count(-1), count(0), count(2), count(5)], [0, 1, 0, 1]);
    }
}
