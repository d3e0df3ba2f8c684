//! A commit as rows: what is worked out of it before it waits for its turn.

use std::sync::Arc;

use gateway_core::{
    Attr, Commit, Guard, LedgerKey, LedgerRecord, Namespace, StoreError, Timestamp, UniqueKey, User, UserId,
    Write, fold,
};
use gateway_record::Stored;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// The kinds of unique keys.
pub(crate) const LINK: i16 = 1;
pub(crate) const USERNAME: i16 = 2;
/// A name too long for an index stands by its hash.
pub(crate) const LONG_USERNAME: i16 = 3;
pub(crate) const LONGEST_NAME_BYTES: usize = 512;

const CHECKSUM: usize = 8;

/// A unique key as a row.
pub(crate) struct KeyRow {
    pub(crate) namespace: Namespace,
    pub(crate) kind: i16,
    pub(crate) value: Vec<u8>,
}

impl KeyRow {
    pub(crate) fn of(key: &UniqueKey) -> Self {
        match key {
            UniqueKey::Link(link) => Self {
                namespace: link.namespace.clone(),
                kind: LINK,
                value: link.external_id.as_str().as_bytes().to_vec(),
            },
            UniqueKey::Username(namespace, name) if name.len() > LONGEST_NAME_BYTES => Self {
                namespace: namespace.clone(),
                kind: LONG_USERNAME,
                value: Sha256::digest(name.as_bytes()).to_vec(),
            },
            UniqueKey::Username(namespace, name) => {
                Self { namespace: namespace.clone(), kind: USERNAME, value: name.as_bytes().to_vec() }
            }
        }
    }

    fn claim(&self) -> u64 {
        let space = xxh3_64(self.namespace.as_str().as_bytes());
        xxh3_64(&self.value) ^ space.rotate_left(u32::from(self.kind.unsigned_abs()))
    }
}

/// The row of a user or its tombstone.
pub(crate) struct UserRow {
    pub(crate) id: Uuid,
    /// The version that must stand; `None` for an id that must be new.
    pub(crate) expected: Option<i64>,
    pub(crate) version: i64,
    /// 0 for a tombstone.
    pub(crate) status: i16,
    pub(crate) suspended: bool,
    pub(crate) email: Option<Vec<u8>>,
    pub(crate) username: Option<Vec<u8>>,
    pub(crate) record: Vec<u8>,
}

/// A record of the ledger as a row.
pub(crate) struct GuardRow {
    pub(crate) key: Uuid,
    pub(crate) at: i64,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) user: Option<Uuid>,
    pub(crate) answer: Option<Vec<u8>>,
}

/// A commit as rows.
pub(crate) struct Pack {
    pub(crate) user: Option<UserRow>,
    pub(crate) guards: Vec<GuardRow>,
    /// Records of this instant and before have expired.
    pub(crate) expired: i64,
    /// The unique keys that come, as the commit's answer names them.
    pub(crate) new_keys: Vec<UniqueKey>,
    pub(crate) new: Vec<KeyRow>,
    /// Those that go.
    pub(crate) gone: Vec<KeyRow>,
    /// What no two commits on their way may share: users, unique keys, ledger keys, by a hash. Two that
    /// collide by chance wait for each other, no more.
    pub(crate) claims: Vec<u64>,
}

impl Pack {
    /// `None` for a write that fits nothing: to another id, or without a higher version.
    pub(crate) fn of(commit: &Commit) -> Option<Self> {
        let (before, after, user) = match &commit.write {
            None => (None, None, None),
            Some(Write::Create(after)) => (None, Some(after), Some(live_row(after, None))),
            Some(Write::Update { before, after }) => {
                if after.id != before.id || after.version <= before.version {
                    return None;
                }
                (Some(before), Some(after), Some(live_row(after, Some(before.version))))
            }
            Some(Write::Delete { before }) => (Some(before), None, Some(gone_row(before, commit.now))),
        };
        let (gone, new_keys) = difference(before.map(AsRef::as_ref), after.map(AsRef::as_ref));
        let new: Vec<_> = new_keys.iter().map(KeyRow::of).collect();
        let gone: Vec<_> = gone.iter().map(KeyRow::of).collect();
        let users = commit.write.iter().map(Write::id);
        let spoken_of = commit.guards.iter().filter_map(|guard| guard.record.user);
        let ids = users.chain(spoken_of).map(|id| xxh3_64(id.as_bytes()));
        let keys = new.iter().chain(&gone).map(KeyRow::claim);
        let guards = commit.guards.iter().map(|guard| xxh3_64(&guard.key.0));
        let mut claims: Vec<_> = ids.chain(keys).chain(guards).collect();
        claims.sort_unstable();
        claims.dedup();
        Some(Self {
            user,
            guards: commit.guards.iter().map(guard_row).collect(),
            expired: nanoseconds(commit.now - LedgerRecord::LIFETIME),
            new_keys,
            new,
            gone,
            claims,
        })
    }
}

impl Pack {
    /// Whether a user is updated, and nothing that it is found by.
    pub(crate) fn only_updates(&self) -> bool {
        let updates = self.user.as_ref().is_some_and(|user| user.expected.is_some() && user.status > 0);
        updates && self.new.is_empty() && self.gone.is_empty()
    }

    /// About how large it is on the wire.
    pub(crate) fn bytes(&self) -> usize {
        let answers = self.guards.iter().filter_map(|guard| guard.answer.as_ref()).map(Vec::len);
        self.user.as_ref().map_or(0, |user| user.record.len()) + answers.sum::<usize>() + 256
    }
}

fn live_row(user: &Arc<User>, expected: Option<u64>) -> UserRow {
    let hash = |attr| user.profile.text(attr).map(|text| hashed(&fold(text)));
    UserRow {
        id: Uuid::from_bytes(*user.id.as_bytes()),
        expected: expected.map(u64::cast_signed),
        version: user.version.cast_signed(),
        status: user.status as i16,
        suspended: !user.suspensions.is_empty(),
        email: hash(Attr::Email),
        username: hash(Attr::Username),
        record: checked(Stored::Live(user.clone()).encode(0)),
    }
}

fn gone_row(before: &User, now: Timestamp) -> UserRow {
    let version = before.version.saturating_add(1);
    UserRow {
        id: Uuid::from_bytes(*before.id.as_bytes()),
        expected: Some(before.version.cast_signed()),
        version: version.cast_signed(),
        status: 0,
        suspended: false,
        email: None,
        username: None,
        record: checked(Stored::Gone { id: before.id, version, deleted_at: now }.encode(0)),
    }
}

fn guard_row(guard: &Guard) -> GuardRow {
    let LedgerRecord { fingerprint, at, user, answer } = &guard.record;
    GuardRow {
        key: ledger_key(guard.key),
        at: nanoseconds(*at),
        fingerprint: checked(fingerprint.to_vec()),
        user: user.map(|id| Uuid::from_bytes(*id.as_bytes())),
        answer: answer.as_ref().map(|answer| checked(answer.to_vec())),
    }
}

/// The unique keys that go and those that come.
fn difference(before: Option<&User>, after: Option<&User>) -> (Vec<UniqueKey>, Vec<UniqueKey>) {
    if let (Some(before), Some(after)) = (before, after)
        && before.links == after.links
        && before.profile.text(Attr::Username) == after.profile.text(Attr::Username)
    {
        return (Vec::new(), Vec::new());
    }
    let old = before.map(User::unique_keys).unwrap_or_default();
    let new = after.map(User::unique_keys).unwrap_or_default();
    let gone = old.iter().filter(|key| new.binary_search(key).is_err()).cloned().collect();
    let come = new.iter().filter(|key| old.binary_search(key).is_err()).cloned().collect();
    (gone, come)
}

/// The form in which a folded e-mail address or username stands in an index: short, whatever its length.
pub(crate) fn hashed(folded: &str) -> Vec<u8> {
    let mut hash = Sha256::digest(folded.as_bytes()).to_vec();
    hash.truncate(16);
    hash
}

pub(crate) fn ledger_key(key: LedgerKey) -> Uuid {
    Uuid::from_bytes(key.0)
}

/// Nanoseconds since 1970, at most so many as a column holds.
pub(crate) fn nanoseconds(at: Timestamp) -> i64 {
    let exact = at.unix_timestamp_nanos();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// Bytes with their checksum behind them.
fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// The inverse of [`checked`].
fn unchecked(bytes: &[u8]) -> Option<&[u8]> {
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
    (xxh3_64(bytes).to_be_bytes() == *sum).then_some(bytes)
}

/// What a row of a user holds: the record must be whole, and that of this id.
pub(crate) fn stored(id: Uuid, record: &[u8]) -> Result<Stored, StoreError> {
    let stored = unchecked(record).and_then(Stored::decode);
    let own = stored.filter(|stored| stored.id() == UserId::from_bytes(id.into_bytes()));
    own.ok_or(StoreError::Damaged("user record"))
}

/// What a row of the ledger holds.
pub(crate) fn ledger_record(
    at: i64,
    fingerprint: &[u8],
    user: Option<Uuid>,
    answer: Option<&[u8]>,
) -> Result<LedgerRecord, StoreError> {
    let damaged = || StoreError::Damaged("ledger record");
    let fingerprint = unchecked(fingerprint).and_then(|bytes| bytes.try_into().ok());
    let answer = match answer {
        Some(answer) => Some(unchecked(answer).ok_or_else(damaged)?.into()),
        None => None,
    };
    Ok(LedgerRecord {
        fingerprint: fingerprint.ok_or_else(damaged)?,
        at: Timestamp::from_unix_timestamp_nanos(at.into()).or(Err(damaged()))?,
        user: user.map(|id| UserId::from_bytes(id.into_bytes())),
        answer,
    })
}
