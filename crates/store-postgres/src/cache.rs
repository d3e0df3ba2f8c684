//! Users as they were read a short while ago, where reads may be so old (`max_stale`).
//!
//! An entry counts from when its read began, so that it is never older than it says.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gateway_core::{User, UserId};
use quick_cache::sync;

/// About how many bytes a user takes.
const USER_BYTES: usize = 1024;

pub(crate) struct Cache {
    users: sync::Cache<UserId, (Arc<User>, Instant)>,
    max_stale: Duration,
}

impl Cache {
    pub(crate) fn new(max_stale: Duration, bytes: usize) -> Self {
        Self { users: sync::Cache::new((bytes / USER_BYTES).max(16)), max_stale }
    }

    /// The user, if it was read lately.
    pub(crate) fn get(&self, id: UserId) -> Option<Arc<User>> {
        let (user, since) = self.users.get(&id)?;
        if since.elapsed() <= self.max_stale {
            return Some(user);
        }
        self.users.remove(&id);
        None
    }

    /// Puts in what a read that began then found.
    pub(crate) fn put(&self, user: &Arc<User>, since: Instant) {
        let newer = self.users.peek(&user.id).is_some_and(|(known, _)| known.version > user.version);
        if !newer {
            self.users.insert(user.id, (Arc::clone(user), since));
        }
    }

    /// Forgets a user that was found to have changed.
    pub(crate) fn forget(&self, id: UserId) {
        self.users.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Status, Timestamp};

    fn user(version: u64) -> Arc<User> {
        let mut user = User::new(UserId::from_bytes([7; 16]), Status::Active, Timestamp::UNIX_EPOCH);
        user.version = version;
        Arc::new(user)
    }

    #[test]
    fn a_read_counts_from_its_beginning() {
        let cache = Cache::new(Duration::from_secs(60), 1 << 20);
        let now = Instant::now();
        cache.put(&user(1), now);
        assert_eq!(cache.get(user(1).id), Some(user(1)));
        let Some(long_ago) = now.checked_sub(Duration::from_secs(61)) else { return };
        cache.put(&user(2), long_ago);
        assert_eq!(cache.get(user(1).id), None);
    }

    #[test]
    fn an_older_version_never_takes_the_place_of_a_newer() {
        let cache = Cache::new(Duration::from_secs(60), 1 << 20);
        cache.put(&user(2), Instant::now());
        cache.put(&user(1), Instant::now());
        assert_eq!(cache.get(user(1).id), Some(user(2)));
        cache.forget(user(1).id);
        assert_eq!(cache.get(user(1).id), None);
    }
}
