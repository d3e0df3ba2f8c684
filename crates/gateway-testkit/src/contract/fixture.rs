//! What a fact works with: ids of its own, and a store whose errors fail it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use gateway_core::{
    Attr, Commit, Committed, ExternalId, Guard, LedgerKey, LedgerRecord, Link, Namespace, Page, Profile,
    Selection, Status, Timestamp, UniqueKey, User, UserId, UserStore, Value, Write, fold,
};

use super::Start;

/// A store, and names that no other fact of this run uses.
pub(super) struct Fixture<S> {
    pub(super) store: Arc<S>,
    pub(super) now: Timestamp,
    seed: u32,
    fact: u16,
    next: AtomicU32,
}

impl<S> Fixture<S> {
    pub(super) fn new(store: Arc<S>, start: Start, fact: u16) -> Self {
        Self { store, now: start.now, seed: start.seed, fact, next: AtomicU32::new(1) }
    }

    fn count(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn id_of(&self, first_byte: u8, last: u32) -> UserId {
        let mut bytes = [first_byte, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];
        bytes[1..5].copy_from_slice(&self.seed.to_be_bytes());
        bytes[10..12].copy_from_slice(&self.fact.to_be_bytes());
        bytes[12..].copy_from_slice(&last.to_be_bytes());
        UserId::from_bytes(bytes)
    }

    /// A new id; between two of a fact lies no id of another fact.
    pub(super) fn id(&self) -> UserId {
        self.id_of(0x40, self.count())
    }

    /// An id before all that [`Fixture::id`] gives, and after those of earlier facts.
    pub(super) fn first_id(&self) -> UserId {
        self.id_of(0x40, 0)
    }

    /// True for an id that [`Fixture::id`] gave.
    pub(super) fn is_own(&self, id: UserId) -> bool {
        (self.first_id()..=self.id_of(0x40, u32::MAX)).contains(&id)
    }

    /// New ids that differ in their first byte only.
    pub(super) fn ids_led_by<const N: usize>(&self, first_bytes: [u8; N]) -> [UserId; N] {
        let last = self.count();
        first_bytes.map(|first| self.id_of(first, last))
    }

    /// A new namespace.
    pub(super) fn namespace(&self) -> Namespace {
        namespace(&format!("n{:x}.{}.{}", self.seed, self.fact, self.count()))
    }

    /// A new text, folded, that nobody else has.
    pub(super) fn word(&self) -> String {
        format!("word{:x}.{:x}.{:x}z", self.seed, self.fact, self.count())
    }

    /// A new link in a namespace.
    pub(super) fn link(&self, namespace: &Namespace) -> Link {
        link(namespace, &format!("external {}", self.count()))
    }

    /// A new user without links.
    pub(super) fn user(&self) -> User {
        User::new(self.id(), Status::Active, self.now)
    }

    /// A new user with a link in each of these namespaces.
    pub(super) fn linked(&self, namespaces: &[&Namespace]) -> User {
        let mut user = self.user();
        user.links = namespaces.iter().map(|namespace| self.link(namespace)).collect();
        user
    }

    /// A new user with a username and a link in each of these namespaces.
    pub(super) fn named(&self, name: &str, namespaces: &[&Namespace]) -> User {
        let mut user = self.linked(namespaces);
        rename(&mut user, name);
        user
    }

    /// A new ledger key with an answer about a user.
    pub(super) fn guard(&self, user: Option<UserId>) -> Guard {
        let count = self.count();
        let mut key = [0; 16];
        key[..2].copy_from_slice(&count.to_le_bytes()[..2]);
        key[2..4].copy_from_slice(&self.fact.to_be_bytes());
        // Three times, so that keys of two runs differ in more than two bits.
        for part in key[4..].chunks_exact_mut(4) {
            part.copy_from_slice(&self.seed.to_be_bytes());
        }
        let mut fingerprint = [0xa5; 32];
        fingerprint[..16].copy_from_slice(&key);
        let answer = Some(format!("answer {count} of fact {}", self.fact).into_bytes().into());
        Guard { key: LedgerKey(key), record: LedgerRecord { fingerprint, at: self.now, user, answer } }
    }
}

impl<S: UserStore> Fixture<S> {
    /// Commits at an instant.
    pub(super) async fn commit_at(
        &self,
        write: Option<Write>,
        guards: Vec<Guard>,
        now: Timestamp,
    ) -> Committed {
        self.store.commit(Commit { write, guards, now }).await.expect("a commit is answered")
    }

    /// Commits with guards.
    pub(super) async fn guarded(&self, write: Option<Write>, guards: &[&Guard]) -> Committed {
        self.commit_at(write, guards.iter().copied().cloned().collect(), self.now).await
    }

    /// Commits without guards.
    pub(super) async fn write(&self, write: Write) -> Committed {
        self.guarded(Some(write), &[]).await
    }

    /// Creates a user.
    pub(super) async fn create(&self, user: User) -> Arc<User> {
        let user = Arc::new(user);
        assert_eq!(self.write(Write::Create(user.clone())).await, Committed::Done, "a user is created");
        user
    }

    /// Updates a user.
    pub(super) async fn update(&self, before: &Arc<User>, change: impl FnOnce(&mut User)) -> Arc<User> {
        let after = next(before, change);
        assert_eq!(self.write(update(before, &after)).await, Committed::Done, "a user is updated");
        after
    }

    /// Deletes a user.
    pub(super) async fn delete(&self, before: &Arc<User>) {
        assert_eq!(self.write(delete(before)).await, Committed::Done, "a user is deleted");
    }

    /// Puts a record into the ledger.
    pub(super) async fn keep(&self, guard: &Guard) {
        assert_eq!(self.guarded(None, &[guard]).await, Committed::Done, "a record is kept");
    }

    /// Reads a user by id.
    pub(super) async fn read(&self, id: UserId) -> Option<Arc<User>> {
        self.store.user(id).await.expect("a read is answered")
    }

    /// Reads a user by a unique key.
    pub(super) async fn find(&self, key: &UniqueKey) -> Option<Arc<User>> {
        self.store.find(key).await.expect("a find is answered")
    }

    /// Who has a unique key.
    pub(super) async fn owner(&self, key: &UniqueKey) -> Option<UserId> {
        self.find(key).await.map(|user| user.id)
    }

    /// The record under a key, as of the clock reading of the run.
    pub(super) async fn record(&self, guard: &Guard) -> Option<LedgerRecord> {
        self.record_at(guard, self.now).await
    }

    /// The record under a key, as of an instant.
    pub(super) async fn record_at(&self, guard: &Guard, now: Timestamp) -> Option<LedgerRecord> {
        self.store.ledger(guard.key, now).await.expect("a look-up is answered")
    }

    /// A page of users.
    pub(super) async fn page(&self, page: Page) -> Vec<Arc<User>> {
        self.store.list(&page).await.expect("a list is answered")
    }

    /// The ids on a page of the users linked in a namespace.
    pub(super) async fn members(
        &self,
        namespace: &Namespace,
        after: Option<UserId>,
        limit: usize,
    ) -> Vec<UserId> {
        ids(&self.page(Page { after, of: Selection::Namespace(namespace.clone()), limit }).await)
    }

    /// Fails unless the user stands exactly so.
    pub(super) async fn assert_stands(&self, expected: &User) {
        let found = self.read(expected.id).await;
        assert_eq!(found.as_deref().map(|found| difference(found, expected)), Some(vec![]), "the user read");
    }
}

/// The parts in which two users differ.
pub(super) fn difference(found: &User, expected: &User) -> Vec<String> {
    let parts = [
        ("id", found.id == expected.id),
        ("version", found.version == expected.version),
        ("status", found.status == expected.status),
        ("created_at", found.created_at == expected.created_at),
        ("updated_at", found.updated_at == expected.updated_at),
        ("links", found.links == expected.links),
        ("suspensions", found.suspensions == expected.suspensions),
    ];
    let value = |user: &User, attr| {
        user.profile.stored().find(|(stored, _)| *stored == attr).map(|(_, value)| value.into_owned())
    };
    let attrs = Attr::STORED.into_iter().filter(|attr| value(found, *attr) != value(expected, *attr));
    let parts = parts.into_iter().filter(|(_, same)| !same).map(|(part, _)| part.to_owned());
    parts.chain(attrs.map(|attr| format!("{attr:?}"))).collect()
}

/// The ids of users, in their order.
pub(super) fn ids(users: &[Arc<User>]) -> Vec<UserId> {
    users.iter().map(|user| user.id).collect()
}

/// A namespace of this name.
pub(super) fn namespace(name: &str) -> Namespace {
    Namespace::parse(name).expect("the name of a namespace")
}

/// A link of this external id.
pub(super) fn link(namespace: &Namespace, external_id: &str) -> Link {
    let external_id = ExternalId::parse(external_id).expect("an external id");
    Link { namespace: namespace.clone(), external_id }
}

/// The unique key of a user's link.
pub(super) fn link_key(user: &User, at: usize) -> UniqueKey {
    UniqueKey::Link(user.links[at].clone())
}

/// The unique key of a username.
pub(super) fn name_key(namespace: &Namespace, name: &str) -> UniqueKey {
    UniqueKey::Username(namespace.clone(), fold(name))
}

/// The user one version on, with a change.
pub(super) fn next(before: &User, change: impl FnOnce(&mut User)) -> Arc<User> {
    let mut after = before.clone();
    after.version += 1;
    change(&mut after);
    Arc::new(after)
}

/// The write of an update.
pub(super) fn update(before: &Arc<User>, after: &Arc<User>) -> Write {
    Write::Update { before: before.clone(), after: after.clone() }
}

/// The write of a deletion.
pub(super) fn delete(before: &Arc<User>) -> Write {
    Write::Delete { before: before.clone() }
}

/// Sets one stored attribute, and no other.
pub(super) fn set(user: &mut User, attr: Attr, value: Value<'static>) {
    let stored: Vec<_> = user.profile.stored().map(|(attr, value)| (attr, value.into_owned())).collect();
    user.profile = Profile::from_stored(stored.into_iter().chain([(attr, value)]));
}

/// Clears one stored attribute, and no other.
pub(super) fn clear(user: &mut User, attr: Attr) {
    let kept: Vec<_> = user.profile.stored().map(|(attr, value)| (attr, value.into_owned())).collect();
    user.profile = Profile::from_stored(kept.into_iter().filter(|(stored, _)| *stored != attr));
}

/// Sets the username.
pub(super) fn rename(user: &mut User, name: &str) {
    set(user, Attr::Username, Value::text(name));
}

/// Sets the bio: a change that touches no unique key.
pub(super) fn touch(user: &mut User, text: &str) {
    set(user, Attr::Bio, Value::text(text));
}
