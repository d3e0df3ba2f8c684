//! The contract of a store: read by id or unique key, list, look up a ledger key, and one commit.
//!
//! A store sees states, never changes or HTTP. [`Commit`] carries everything that must become true
//! together: the user with its unique keys, the stored answer under its Idempotency-Key, the
//! signature that was used up. `gateway-testkit` holds the suite that every store must pass.

use std::{fmt, future::Future, sync::Arc};

use crate::{Attr, Namespace, Status, Timestamp, UniqueKey, User, UserId, fold};

/// A ledger key: 128 bits of a hash over the kind of guard, the namespace, the client and its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LedgerKey(pub [u8; 16]);

/// Something that may happen only once: an idempotency record, or a signature used up.
#[derive(Clone, PartialEq, Debug)]
pub struct Guard {
    /// Its key.
    pub key: LedgerKey,
    /// What is kept under the key.
    pub record: LedgerRecord,
}

/// What the ledger keeps under a key.
#[derive(Clone, PartialEq)]
pub struct LedgerRecord {
    /// SHA-256 of what the key was used for.
    pub fingerprint: [u8; 32],
    /// When it was committed. 24 h later the key is free again, whether purged or not.
    pub at: Timestamp,
    /// The user that the answer speaks of.
    pub user: Option<UserId>,
    /// The answer, opaque to the store; `None` once its user was deleted.
    pub answer: Option<Arc<[u8]>>,
}

impl LedgerRecord {
    /// How long a key is kept (decision 9).
    pub const LIFETIME: time::Duration = time::Duration::hours(24);
    /// When a record may be purged, at the earliest.
    pub const PURGE_AFTER: time::Duration = time::Duration::hours(25);

    /// True while the key is taken.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now - self.at < Self::LIFETIME
    }
}

impl fmt::Debug for LedgerRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerRecord").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A change of state of one user.
#[derive(Clone, PartialEq, Debug)]
pub enum Write {
    /// The user did not exist; its id must be new, too (a deleted user's id is not).
    Create(Arc<User>),
    /// The user as loaded, and as it is to be.
    Update {
        /// As loaded: the commit holds only if this version still stands.
        before: Arc<User>,
        /// As it is to be: the same id, a higher version.
        after: Arc<User>,
    },
    /// The user goes; a tombstone stays, and takes the place of the answers stored before (a guard of
    /// this same commit keeps its own).
    Delete {
        /// As loaded.
        before: Arc<User>,
    },
}

impl Write {
    /// The user concerned.
    #[must_use]
    pub fn id(&self) -> UserId {
        match self {
            Self::Create(user) | Self::Delete { before: user } | Self::Update { before: user, .. } => user.id,
        }
    }
}

/// Everything that becomes true together, or not at all.
#[derive(Clone, PartialEq, Debug)]
pub struct Commit {
    /// The change of state; `None` where only an answer is to be kept.
    pub write: Option<Write>,
    /// What may happen only once.
    pub guards: Vec<Guard>,
    /// The one clock reading of the request.
    pub now: Timestamp,
}

/// What came of a commit. Only [`Committed::Done`] is known to have changed anything, and that is
/// durable; [`Committed::Unknown`] may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Committed {
    /// Done, and synced to disk.
    Done,
    /// The version moved (or the user went, or came): load again.
    Stale,
    /// Another user has this key.
    Taken(UniqueKey),
    /// A live record stands under this key: look it up.
    KeyTaken(LedgerKey),
    /// The commit was begun and its end is not known. Never to be answered as a failure.
    Unknown,
}

/// Which users a list is taken from. Each is an index of a store: a page costs the same however many
/// users there are.
///
/// Its `Debug` form is blank where it holds personal data.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selection {
    /// All.
    All,
    /// Those linked in a namespace.
    Namespace(Namespace),
    /// Those whose folded e-mail address is this.
    Email(String),
    /// Those whose folded username is this, in whatever namespace.
    Username(String),
    /// Those of a status.
    Status(Status),
    /// Those with a suspension, past ones counted.
    Suspended,
}

impl Selection {
    /// Whether a user is one of them.
    #[must_use]
    pub fn holds(&self, user: &User) -> bool {
        let is = |attr, folded: &String| user.profile.text(attr).is_some_and(|own| fold(own) == *folded);
        match self {
            Self::All => true,
            Self::Namespace(namespace) => user.external_id(namespace).is_some(),
            Self::Email(folded) => is(Attr::Email, folded),
            Self::Username(folded) => is(Attr::Username, folded),
            Self::Status(status) => user.status == *status,
            Self::Suspended => !user.suspensions.is_empty(),
        }
    }

    /// Every selection that holds a user, but for [`Selection::All`]; in order, without repeats.
    #[must_use]
    pub fn of(user: &User) -> Vec<Self> {
        let folded = |attr| user.profile.text(attr).map(fold);
        let mut all: Vec<_> = user.links.iter().map(|link| Self::Namespace(link.namespace.clone())).collect();
        all.extend(folded(Attr::Email).map(Self::Email));
        all.extend(folded(Attr::Username).map(Self::Username));
        all.push(Self::Status(user.status));
        all.extend((!user.suspensions.is_empty()).then_some(Self::Suspended));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// True where two states of a user are in the same selections for sure: most updates are soon told
    /// apart so.
    #[must_use]
    pub fn are_same(before: &User, after: &User) -> bool {
        let is_kept = |attr| before.profile.text(attr) == after.profile.text(attr);
        before.status == after.status
            && before.suspensions.is_empty() == after.suspensions.is_empty()
            && before.links == after.links
            && is_kept(Attr::Email)
            && is_kept(Attr::Username)
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Namespace(namespace) => write!(f, "Namespace({})", namespace.as_str()),
            Self::Email(_) => f.write_str("Email(..)"),
            Self::Username(_) => f.write_str("Username(..)"),
            Self::Status(status) => write!(f, "Status({status:?})"),
            Self::Suspended => f.write_str("Suspended"),
        }
    }
}

/// A page of users, in the order of their ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Only users with ids after this one.
    pub after: Option<UserId>,
    /// Which users.
    pub of: Selection,
    /// At most so many.
    pub limit: usize,
}

/// Why a store could not answer. Nothing was written.
#[derive(Debug)]
pub enum StoreError {
    /// Overloaded, stopping, or stopped after a fault: try again later.
    Unavailable(&'static str),
    /// What was asked about hangs on an earlier commit whose end is not known yet: the same question, asked
    /// later, will tell.
    Pending,
    /// The store is another service, whose own rules refuse the state.
    Refused(&'static str),
    /// A record is damaged: it is never given out.
    Damaged(&'static str),
    /// A fault of the engine.
    Engine(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "store unavailable: {why}"),
            Self::Pending => f.write_str("an earlier commit is not settled yet"),
            Self::Refused(why) => write!(f, "refused by the store: {why}"),
            Self::Damaged(what) => write!(f, "damaged record: {what}"),
            Self::Engine(source) => write!(f, "store engine: {source}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// The one place users live.
///
/// Reads see every commit that was answered before they began; [`UserStore::user`] may be told to see less.
pub trait UserStore: Send + Sync + 'static {
    /// Random bytes that were made with the store and stay with it: the same for every gateway on it, and
    /// after a restore. Entity tags are keyed with them.
    fn key(&self) -> [u8; 16];

    /// The user with this id; `None` when there is none or it was deleted.
    fn user(&self, id: UserId) -> impl Future<Output = Result<Option<Arc<User>>, StoreError>> + Send;

    /// The same for writes: as it stands, also where an operator lets reads be answered from what was seen a
    /// while ago.
    fn current(&self, id: UserId) -> impl Future<Output = Result<Option<Arc<User>>, StoreError>> + Send {
        self.user(id)
    }

    /// The user with this unique key.
    fn find(&self, key: &UniqueKey) -> impl Future<Output = Result<Option<Arc<User>>, StoreError>> + Send;

    /// The user with this id as the store last knew it, at once and without asking anybody: it may be out of
    /// date. For writes alone, since a commit that starts from it is done only if it still stands; whatever
    /// else is decided needs [`UserStore::current`]. `None` where the store would have to ask, and by default.
    fn recent(&self, id: UserId) -> Option<Arc<User>> {
        let _nothing_is_kept = id;
        None
    }

    /// [`UserStore::recent`] by a unique key: a user that has it, as far as is known.
    fn recent_by(&self, key: &UniqueKey) -> Option<Arc<User>> {
        let _nothing_is_kept = key;
        None
    }

    /// A page of users in the order of their ids.
    fn list(&self, page: &Page) -> impl Future<Output = Result<Vec<Arc<User>>, StoreError>> + Send;

    /// At most `limit` users of a namespace, closed ones apart, whose folded usernames hold `part`
    /// (folded, too; names of more than 512 bytes may be passed over): those
    /// that begin with it first, then in the order of their usernames.
    ///
    /// This default reads every user of the namespace; a store with an index does better.
    fn suggest(
        &self,
        namespace: &Namespace,
        part: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Arc<User>>, StoreError>> + Send {
        let part = part.to_owned();
        let mut page = Page { after: None, of: Selection::Namespace(namespace.clone()), limit: 1_000 };
        async move {
            let mut found = Vec::new();
            loop {
                let users = self.list(&page).await?;
                page.after = users.last().map(|user| user.id);
                let last = users.len() < page.limit;
                for user in users {
                    let name = user.profile.text(Attr::Username).map(fold);
                    let name = name.filter(|name| name.contains(&part) && user.status != Status::Closed);
                    if let Some(name) = name {
                        found.push((!name.starts_with(&part), name, user));
                    }
                }
                found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
                found.truncate(limit);
                if last {
                    return Ok(found.into_iter().map(|(_, _, user)| user).collect());
                }
            }
        }
    }

    /// The record under a ledger key; `None` when there is none that is live at `now`.
    fn ledger(
        &self,
        key: LedgerKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<LedgerRecord>, StoreError>> + Send;

    /// Makes a commit true, if the version still stands, its unique keys and guards are free.
    /// Checked in this order: guards, version, unique keys.
    fn commit(&self, commit: Commit) -> impl Future<Output = Result<Committed, StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, ExternalId, Link, Suspension, Value};

    /// A user in any of these respects.
    fn user(
        email: Option<&str>,
        name: Option<&str>,
        spaces: &[&str],
        status: Status,
        suspended: bool,
    ) -> User {
        let mut user = User::new(UserId::from_bytes([7; 16]), status, Timestamp::UNIX_EPOCH);
        let link = |space: &&str| Link {
            namespace: Namespace::parse(space).unwrap(),
            external_id: ExternalId::parse("x").unwrap(),
        };
        user.links = spaces.iter().map(link).collect();
        let starts_at = Timestamp::UNIX_EPOCH;
        user.suspensions.extend(suspended.then_some(Suspension { reason: None, starts_at, ends_at: None }));
        for (attr, text) in [(Attr::Email, email), (Attr::Username, name)] {
            user.profile.apply(&[Change { attr, value: text.map(|text| Value::text(text.to_owned())) }]);
        }
        user
    }

    fn users() -> Vec<User> {
        let mut all = Vec::new();
        let texts = [None, Some("Jane"), Some("jane"), Some("joan"), Some("İ")];
        for (email, name) in texts.iter().flat_map(|email| texts.map(|name| (*email, name))) {
            for spaces in [&[][..], &["a"], &["a", "b", "a"], &["b"]] {
                for status in [Status::Active, Status::Closed] {
                    all.extend([false, true].map(|suspended| user(email, name, spaces, status, suspended)));
                }
            }
        }
        all
    }

    #[test]
    fn a_user_is_held_by_its_selections_and_by_no_others() {
        let mut known: Vec<_> = users().iter().flat_map(Selection::of).collect();
        known.sort();
        known.dedup();
        assert_eq!(known.len(), 2 + 3 + 3 + 2 + 1);
        for user in users() {
            let own = Selection::of(&user);
            assert!(own.is_sorted_by(|a, b| a < b), "in order, without repeats");
            for one in &known {
                assert_eq!(own.contains(one), one.holds(&user), "{one:?}");
            }
            assert!(Selection::All.holds(&user) && !own.contains(&Selection::All));
        }
    }

    #[test]
    fn states_that_look_the_same_are_in_the_same_selections() {
        let (all, mut same) = (users(), 0);
        for (before, after) in all.iter().flat_map(|before| all.iter().map(move |after| (before, after))) {
            if Selection::are_same(before, after) {
                assert_eq!(Selection::of(before), Selection::of(after));
                same += 1;
            }
        }
        assert_eq!(same, all.len(), "each is the same as itself alone");
    }
}
