//! Users as they were last seen: what writes may begin with, and reads be answered from where they may be so
//! old (`max_stale`).
//!
//! An entry counts from when its read began, so that it is never older than it says.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gateway_core::{UniqueKey, User, UserId};
use quick_cache::sync::{self, EntryAction, EntryResult};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// About how many bytes a user takes.
const USER_BYTES: usize = 1024;

/// What is known of a user.
#[derive(Clone)]
struct Known {
    /// Its version, or one that it has at least.
    version: u64,
    since: Instant,
    /// `None` where no more is known than that older versions stand no longer.
    user: Option<Arc<User>>,
}

impl Known {
    /// What is newer; of one version what is more, and what is later.
    fn rank(&self) -> (u64, bool, Instant) {
        (self.version, self.user.is_some(), self.since)
    }
}

pub(crate) struct Cache {
    users: sync::Cache<UserId, Known>,
    /// Whom a unique key led to, by a hash of it: whether it still does, the user says.
    owners: sync::Cache<u64, UserId>,
}

impl Cache {
    pub(crate) fn new(bytes: usize) -> Self {
        let users = (bytes / USER_BYTES).max(16);
        Self { users: sync::Cache::new(users), owners: sync::Cache::new(users) }
    }

    /// The user, as it was last seen.
    pub(crate) fn recent(&self, id: UserId) -> Option<Arc<User>> {
        self.users.get(&id)?.user
    }

    /// The same by a unique key, which it must have had then.
    pub(crate) fn recent_by(&self, key: &UniqueKey) -> Option<Arc<User>> {
        let user = self.recent(self.owners.get(&place(key))?)?;
        let has_it = match key {
            UniqueKey::Link(link) => user.links.contains(link),
            UniqueKey::Username(..) => user.unique_keys().contains(key),
        };
        has_it.then_some(user)
    }

    /// The user, if it was seen lately.
    pub(crate) fn get(&self, id: UserId, max_stale: Duration) -> Option<Arc<User>> {
        let known = self.users.get(&id)?;
        known.user.filter(|_| known.since.elapsed() <= max_stale)
    }

    /// Puts in what a read or a commit that began then found.
    pub(crate) fn put(&self, user: &Arc<User>, since: Instant) {
        self.note(user.id, Known { version: user.version, since, user: Some(Arc::clone(user)) });
    }

    /// Puts in whom unique keys lead to.
    pub(crate) fn put_owner(&self, keys: &[UniqueKey], id: UserId) {
        keys.iter().for_each(|key| self.owners.insert(place(key), id));
    }

    /// A version of a user stands no longer, whatever a read that is still under way may bring.
    pub(crate) fn outdate(&self, user: &User) {
        let version = user.version.saturating_add(1);
        self.note(user.id, Known { version, since: Instant::now(), user: None });
    }

    /// Forgets a user of whom nothing is certain.
    pub(crate) fn forget(&self, id: UserId) {
        self.users.remove(&id);
    }

    /// Forgets all: the database may be another one, which never had what the last one acknowledged.
    pub(crate) fn clear(&self) {
        self.users.clear();
        self.owners.clear();
    }

    /// The newer takes the place of the older, whichever comes first.
    fn note(&self, id: UserId, known: Known) {
        let newest = known.clone();
        let entry = self.users.entry(&id, None, |_, old| {
            if old.rank() <= newest.rank() {
                *old = newest;
            }
            EntryAction::Retain(())
        });
        if let EntryResult::Vacant(place) = entry {
            // Cleared meanwhile: then it is not known.
            place.insert(known).ok();
        }
    }
}

fn place(key: &UniqueKey) -> u64 {
    let (namespace, name, kind) = match key {
        UniqueKey::Link(link) => (&link.namespace, link.external_id.as_str(), 0),
        UniqueKey::Username(namespace, name) => (namespace, name.as_str(), 1),
    };
    xxh3_64_with_seed(name.as_bytes(), xxh3_64(namespace.as_str().as_bytes()) ^ kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{ExternalId, Link, Namespace, Status, Timestamp};

    const HOUR: Duration = Duration::from_secs(3600);

    fn user(version: u64) -> Arc<User> {
        let mut user = User::new(UserId::from_bytes([7; 16]), Status::Active, Timestamp::UNIX_EPOCH);
        user.version = version;
        Arc::new(user)
    }

    #[test]
    fn a_read_counts_from_its_beginning() {
        let cache = Cache::new(1 << 20);
        let now = Instant::now();
        cache.put(&user(1), now);
        assert_eq!(cache.get(user(1).id, HOUR), Some(user(1)));
        let Some(long_ago) = now.checked_sub(HOUR + Duration::from_secs(1)) else { return };
        cache.put(&user(2), long_ago);
        assert_eq!(cache.get(user(1).id, HOUR), None);
        assert_eq!(cache.recent(user(1).id), Some(user(2)));
    }

    #[test]
    fn an_older_version_never_takes_the_place_of_a_newer() {
        let cache = Cache::new(1 << 20);
        cache.put(&user(2), Instant::now());
        cache.put(&user(1), Instant::now());
        assert_eq!(cache.recent(user(1).id), Some(user(2)));
        cache.outdate(&user(2));
        // A read that was under way brings it once more.
        cache.put(&user(2), Instant::now());
        assert_eq!(cache.recent(user(1).id), None);
        cache.put(&user(3), Instant::now());
        assert_eq!(cache.recent(user(1).id), Some(user(3)));
        cache.forget(user(1).id);
        assert_eq!(cache.recent(user(1).id), None);
    }

    #[test]
    fn a_key_leads_to_its_user_while_it_has_the_key() {
        let cache = Cache::new(1 << 20);
        let namespace = Namespace::parse("a").unwrap();
        let link = Link { namespace, external_id: ExternalId::parse("x").unwrap() };
        let key = UniqueKey::Link(link.clone());
        let linked = Arc::new(User { links: vec![link], ..(*user(1)).clone() });
        cache.put_owner(std::slice::from_ref(&key), linked.id);
        assert_eq!(cache.recent_by(&key), None);
        cache.put(&linked, Instant::now());
        assert_eq!(cache.recent_by(&key), Some(linked));
        cache.put(&user(2), Instant::now());
        assert_eq!(cache.recent_by(&key), None);
        cache.clear();
        assert_eq!(cache.recent(user(2).id), None);
    }
}
