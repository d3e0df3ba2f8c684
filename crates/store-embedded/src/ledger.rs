//! The live ledger keys, in memory, and the rows they stand for.
//!
//! A row's key is its time, the ledger key and a tag of its user, so that rows are appended in order
//! and a scan of the keys alone rebuilds this map when the store opens. Rows lie in one keyspace an
//! hour, which is dropped as a whole once everything in it has expired.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::{PoisonError, RwLock},
};

use gateway_core::{Guard, LedgerKey, LedgerRecord, Timestamp, UserId};

use crate::codec::Reader;

const SHARDS: usize = 64;
const HOUR_NS: i64 = 3_600_000_000_000;
const PREFIX: &str = "l_";

/// Where a ledger record lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Row {
    /// When it was committed, in nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) key: LedgerKey,
    /// A few bits of its user's id: finds the rows of a user without reading them all.
    pub(crate) tag: u32,
}

impl Row {
    pub(crate) fn of(guard: &Guard) -> Self {
        Self { time: nanoseconds(guard.record.at), key: guard.key, tag: tag(guard.record.user) }
    }

    pub(crate) fn encode(&self) -> [u8; 28] {
        let mut bytes = [0; 28];
        // The flipped sign bit sorts instants before 1970 first.
        bytes[..8].copy_from_slice(&(self.time ^ i64::MIN).to_be_bytes());
        bytes[8..24].copy_from_slice(&self.key.0);
        bytes[24..].copy_from_slice(&self.tag.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader(bytes);
        let time = i64::from_be_bytes(input.array()?) ^ i64::MIN;
        let row = Self { time, key: LedgerKey(input.array()?), tag: u32::from_be_bytes(input.array()?) };
        input.end()?;
        Some(row)
    }

    pub(crate) fn hour(&self) -> u32 {
        hour_of(self.time)
    }

    /// The same answer as [`LedgerRecord::is_live`], without the record.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        i128::from(nanoseconds(now)) - i128::from(self.time) < LedgerRecord::LIFETIME.whole_nanoseconds()
    }
}

/// The tag of a user's rows; the end of an id is random in every version of UUID in use.
pub(crate) fn tag(user: Option<UserId>) -> u32 {
    user.and_then(|user| user.as_bytes().last_chunk().copied()).map_or(0, u32::from_be_bytes)
}

fn nanoseconds(at: Timestamp) -> i64 {
    let limits = i128::from(i64::MIN)..=i128::from(i64::MAX);
    let clamped = at.unix_timestamp_nanos().clamp(*limits.start(), *limits.end());
    i64::try_from(clamped).unwrap_or(i64::MAX)
}

fn hour_of(nanoseconds: i64) -> u32 {
    u32::try_from(nanoseconds.div_euclid(HOUR_NS)).unwrap_or(0)
}

/// The hour of an instant, counted from 1970.
pub(crate) fn hour(at: Timestamp) -> u32 {
    hour_of(nanoseconds(at))
}

/// The first hour that must be kept: of all before it, every record may be purged.
pub(crate) fn first_kept(now: Timestamp) -> u32 {
    let kept = i128::from(nanoseconds(now)) - LedgerRecord::PURGE_AFTER.whole_nanoseconds();
    hour_of(i64::try_from(kept).unwrap_or(0))
}

/// When an hour begins.
pub(crate) fn start(hour: u32) -> Option<Timestamp> {
    Timestamp::from_unix_timestamp(i64::from(hour) * 3600).ok()
}

/// The keyspace of an hour: `l_2026010100`.
pub(crate) fn name(hour: u32) -> String {
    let at = start(hour).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{PREFIX}{:04}{:02}{:02}{:02}", at.year(), u8::from(at.month()), at.day(), at.hour())
}

/// The inverse of [`name`].
pub(crate) fn parse_name(text: &str) -> Option<u32> {
    let digits = text
        .strip_prefix(PREFIX)
        .filter(|digits| digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit()))?;
    let part = |range: Range<usize>| digits.get(range)?.parse::<u16>().ok();
    let month = time::Month::try_from(u8::try_from(part(4..6)?).ok()?).ok()?;
    let day = u8::try_from(part(6..8)?).ok()?;
    let date = time::Date::from_calendar_date(part(0..4)?.into(), month, day).ok()?;
    let hour = u8::try_from(part(8..10)?).ok()?;
    let at = Timestamp::new(date, time::Time::from_hms(hour, 0, 0).ok()?);
    u32::try_from(at.unix_timestamp() / 3600).ok()
}

type Shard = RwLock<HashMap<LedgerKey, (i64, u32)>>;

/// The live keys. Sharded, so that a sweep holds up only a part of them at a time.
pub(crate) struct LiveKeys(Box<[Shard]>);

impl LiveKeys {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }

    fn shard(&self, key: LedgerKey) -> &Shard {
        &self.0[usize::from(key.0[0]) % SHARDS]
    }

    /// The row under a key, live or not yet swept.
    pub(crate) fn get(&self, key: LedgerKey) -> Option<Row> {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&key).map(|(time, tag)| Row { time: *time, key, tag: *tag })
    }

    pub(crate) fn insert(&self, row: Row) {
        let mut shard = self.shard(row.key).write().unwrap_or_else(PoisonError::into_inner);
        shard.insert(row.key, (row.time, row.tag));
    }

    /// When rebuilding: of two rows under a key the newer stands.
    pub(crate) fn insert_newer(&self, row: Row) {
        if self.get(row.key).is_none_or(|known| known.time < row.time) {
            self.insert(row);
        }
    }

    /// The rows with one of these tags.
    pub(crate) fn tagged(&self, tags: &HashSet<u32>) -> Vec<Row> {
        let mut found = Vec::new();
        for shard in &self.0 {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let rows = shard.iter().filter(|(_, (_, tag))| tags.contains(tag));
            found.extend(rows.map(|(key, (time, tag))| Row { time: *time, key: *key, tag: *tag }));
        }
        found
    }

    /// Forgets the rows of hours before this one.
    pub(crate) fn sweep(&self, first_kept: u32) {
        for shard in &self.0 {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, (time, _)| hour_of(*time) >= first_kept);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::utc_datetime;

    #[test]
    fn names_of_hours_are_dates_and_read_back() {
        let at = hour(utc_datetime!(2026-02-28 23:59:59));
        assert_eq!(name(at), "l_2026022823");
        assert_eq!(parse_name("l_2026022823"), Some(at));
        for bad in ["l_", "l_202602282", "l_2026022824", "l_2026023023", "x_2026022823", "l_20260228+1"] {
            assert_eq!(parse_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_hour_is_dropped_only_when_its_last_record_may_be_purged() {
        let last = utc_datetime!(2026-01-01 09:59:59.999_999_999);
        let just_before = last + LedgerRecord::PURGE_AFTER;
        assert!(first_kept(just_before) <= hour(last));
        assert!(first_kept(just_before + time::Duration::NANOSECOND) > hour(last));
    }

    proptest! {
        #[test]
        fn rows_read_back_and_sort_by_time(a: (i64, [u8; 16], u32), b: (i64, [u8; 16], u32)) {
            let row = |(time, key, tag)| Row { time, key: LedgerKey(key), tag };
            let (a, b) = (row(a), row(b));
            prop_assert_eq!(Row::decode(&a.encode()), Some(a));
            prop_assert_eq!(a.cmp(&b), a.encode().cmp(&b.encode()));
        }
    }
}
