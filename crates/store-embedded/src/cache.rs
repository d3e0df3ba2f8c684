//! Users in memory, coherent with the engine.
//!
//! A reader that misses reads the engine and then offers what it found; meanwhile a commit may have
//! replaced or deleted that user, and an offer that came too late would bring the old state back for
//! good. So every user belongs to a stripe with a turn. A reader notes the turn *before* it opens its
//! view of the engine, and its offer counts only if the turn is still the same; the writer, once its
//! commit is visible, moves the turn on and puts in the new state. Both hold the stripe meanwhile.
//!
//! The owners of unique keys need no turns: whoever finds a user by one checks that the user has it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use gateway_core::{UniqueKey, User, UserId, Value};
use quick_cache::{Weighter, sync};

use crate::lock;

const STRIPES: usize = 256;

/// The turn of a user's stripe, noted before a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(UserId, u64);

#[derive(Clone)]
struct Entry {
    user: Arc<User>,
    weight: u64,
}

#[derive(Clone)]
struct Weight;

impl Weighter<UserId, Entry> for Weight {
    fn weight(&self, _: &UserId, entry: &Entry) -> u64 {
        entry.weight
    }
}

impl Weighter<UniqueKey, UserId> for Weight {
    fn weight(&self, key: &UniqueKey, _: &UserId) -> u64 {
        let text = match key {
            UniqueKey::Link(link) => link.external_id.as_str().len(),
            UniqueKey::Username(_, name) => name.len(),
        };
        96 + text as u64
    }
}

pub(crate) struct Cache {
    users: sync::Cache<UserId, Entry, Weight>,
    owners: sync::Cache<UniqueKey, UserId, Weight>,
    turns: Box<[Mutex<u64>]>,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

impl Cache {
    /// A cache of about so many bytes, an eighth of them for unique keys.
    pub(crate) fn new(bytes: usize) -> Self {
        let owners = bytes / 8;
        let users = bytes - owners;
        Self {
            users: sync::Cache::with_weighter((users / 1024).max(16), users as u64, Weight),
            owners: sync::Cache::with_weighter((owners / 128).max(16), owners as u64, Weight),
            turns: (0..STRIPES).map(|_| Mutex::new(0)).collect(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The user, if it is at hand. Not counted: the writer looks here, too.
    pub(crate) fn peek(&self, id: UserId) -> Option<Arc<User>> {
        self.users.get(&id).map(|entry| entry.user)
    }

    /// The user, if it is at hand.
    pub(crate) fn get(&self, id: UserId) -> Option<Arc<User>> {
        let found = self.peek(id);
        let figure = if found.is_some() { &self.hits } else { &self.misses };
        figure.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// To be taken before the engine is read.
    pub(crate) fn turn(&self, id: UserId) -> Turn {
        Turn(id, *lock(self.stripe(id)))
    }

    /// Puts in what a reader found, unless a commit came between.
    pub(crate) fn offer(&self, turn: Turn, user: &Arc<User>) {
        let stripe = lock(self.stripe(turn.0));
        let newer = self.users.peek(&turn.0).is_some_and(|known| known.user.version >= user.version);
        if *stripe == turn.1 && !newer {
            self.put(user);
        }
    }

    /// Puts in what a commit left behind: a user, or none.
    pub(crate) fn publish(&self, id: UserId, user: Option<&Arc<User>>) {
        let mut stripe = lock(self.stripe(id));
        *stripe = stripe.wrapping_add(1);
        match user {
            Some(user) => self.put(user),
            None => {
                self.users.remove(&id);
            }
        }
    }

    /// Whose the key was when last seen.
    pub(crate) fn owner(&self, key: &UniqueKey) -> Option<UserId> {
        self.owners.get(key)
    }

    pub(crate) fn put_owner(&self, key: UniqueKey, owner: Option<UserId>) {
        match owner {
            Some(id) => self.owners.insert(key, id),
            None => {
                self.owners.remove(&key);
            }
        }
    }

    fn put(&self, user: &Arc<User>) {
        self.users.insert(user.id, Entry { user: Arc::clone(user), weight: weigh(user) });
    }

    fn stripe(&self, id: UserId) -> &Mutex<u64> {
        &self.turns[usize::from(id.as_bytes()[15]) % STRIPES]
    }
}

/// About how many bytes a user takes in memory.
fn weigh(user: &User) -> u64 {
    let links: usize = user.links.iter().map(|link| 64 + link.external_id.as_str().len()).sum();
    let values: usize = user
        .profile
        .stored()
        .map(|(_, value)| match value {
            Value::Text(text) | Value::Document(text) => text.len(),
            Value::Suspensions(list) => list.len() * 64,
            Value::Links(list) => list.len() * 64,
            Value::Flag(_) | Value::Date(_) | Value::Instant(_) | Value::Point(_) => 0,
        })
        .map(|text| text + size_of::<Value<'_>>() + 8)
        .sum();
    (256 + links + values + user.suspensions.len() * 64) as u64
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
    fn an_offer_that_a_deletion_overtook_does_not_bring_the_user_back() {
        let (cache, one) = (Cache::new(1 << 20), user(1));
        let turn = cache.turn(one.id);
        cache.publish(one.id, None);
        cache.offer(turn, &one);
        assert_eq!(cache.peek(one.id), None);
    }

    #[test]
    fn an_offer_that_an_update_overtook_does_not_hide_it_even_after_eviction() {
        let (cache, one) = (Cache::new(1 << 20), user(1));
        let turn = cache.turn(one.id);
        cache.publish(one.id, Some(&user(2)));
        cache.users.remove(&one.id);
        cache.offer(turn, &one);
        assert_eq!(cache.peek(one.id), None);
    }

    #[test]
    fn an_offer_in_its_turn_counts_but_never_replaces_a_newer_version() {
        let cache = Cache::new(1 << 20);
        let turn = cache.turn(user(1).id);
        cache.offer(turn, &user(2));
        cache.offer(turn, &user(1));
        assert_eq!(cache.peek(user(1).id).map(|user| user.version), Some(2));
    }
}
