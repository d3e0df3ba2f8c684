//! What this gateway last knew of users: a write starts from it, and its condition tells whether it still
//! stands.

use std::sync::Arc;

use gateway_core::{Attr, UniqueKey, User, UserId, Value, fold};
use http::HeaderValue;
use quick_cache::{Weighter, sync};

/// A user, and the entity tag under which it stood.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) user: Arc<User>,
    pub(crate) tag: HeaderValue,
}

#[derive(Clone)]
struct Weight;

impl Weighter<UserId, Known> for Weight {
    fn weight(&self, _: &UserId, known: &Known) -> u64 {
        let text = |value: Value<'_>| match value {
            Value::Text(text) | Value::Document(text) => text.len() as u64,
            _ => 0,
        };
        let texts: u64 = known.user.profile.stored().map(|(_, value)| 48 + text(value)).sum();
        320 + 64 * (known.user.links.len() + known.user.suspensions.len()) as u64 + texts
    }
}

impl Weighter<UniqueKey, UserId> for Weight {
    fn weight(&self, key: &UniqueKey, _: &UserId) -> u64 {
        96 + match key {
            UniqueKey::Link(link) => link.external_id.as_str().len() as u64,
            UniqueKey::Username(_, name) => name.len() as u64,
        }
    }
}

/// Users by id and by unique key, within so many bytes.
pub(crate) struct Memory {
    users: sync::Cache<UserId, Known, Weight>,
    owners: sync::Cache<UniqueKey, UserId, Weight>,
}

impl Memory {
    /// A memory of about so many bytes, an eighth of them for unique keys.
    pub(crate) fn new(bytes: usize) -> Self {
        let owners = bytes / 8;
        let users = bytes - owners;
        Self {
            users: sync::Cache::with_weighter((users / 1024).max(16), users as u64, Weight),
            owners: sync::Cache::with_weighter((owners / 128).max(16), owners as u64, Weight),
        }
    }

    pub(crate) fn get(&self, id: UserId) -> Option<Known> {
        self.users.get(&id)
    }

    /// The user with a key, as far as is known.
    pub(crate) fn find(&self, key: &UniqueKey) -> Option<Known> {
        let known = self.get(self.owners.get(key)?)?;
        has(&known.user, key).then_some(known)
    }

    pub(crate) fn keep(&self, known: Known) {
        let before = self.users.peek(&known.user.id);
        let is_same = before.is_some_and(|before| has_same_keys(&before.user, &known.user));
        if !is_same {
            for key in known.user.unique_keys() {
                self.owners.insert(key, known.user.id);
            }
        }
        self.users.insert(known.user.id, known);
    }

    /// Who has a key.
    pub(crate) fn note(&self, key: UniqueKey, owner: UserId) {
        self.owners.insert(key, owner);
    }

    pub(crate) fn forget(&self, id: UserId) {
        self.users.remove(&id);
    }
}

/// True for most updates.
fn has_same_keys(before: &User, after: &User) -> bool {
    let (was, is) = (before.profile.text(Attr::Username), after.profile.text(Attr::Username));
    before.links == after.links && was == is
}

/// Whether a user has a unique key.
pub(crate) fn has(user: &User, key: &UniqueKey) -> bool {
    match key {
        UniqueKey::Link(link) => user.links.contains(link),
        UniqueKey::Username(namespace, folded) => {
            let name = user.profile.text(Attr::Username);
            user.external_id(namespace).is_some() && name.is_some_and(|name| fold(name) == *folded)
        }
    }
}
