//! Records read back as they were written, and any other bytes are refused without a panic.

use std::{borrow::Cow, sync::Arc};

use gateway_core::{
    Attr, Date, ExternalId, LedgerRecord, Link, Namespace, Point, Profile, Status, Suspension, Timestamp,
    User, UserId, Value,
};
use proptest::{collection::vec, option, prelude::*};
use time::macros::utc_datetime;

use crate::{PAGE_BYTES, Stored, decode_ledger, decode_page, encode_ledger, encode_page};

const START: Timestamp = utc_datetime!(2026-03-01 10:30);

fn user() -> User {
    User::new(UserId::from_bytes([7; 16]), Status::Active, START)
}

fn link(namespace: &str, external_id: &str) -> Link {
    let namespace = Namespace::parse(namespace).unwrap();
    Link { namespace, external_id: ExternalId::parse(external_id).unwrap() }
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (-62_000_000_000i64..250_000_000_000, 0u32..1_000_000_000).prop_map(|(seconds, nanos)| {
        Timestamp::from_unix_timestamp(seconds).unwrap().replace_nanosecond(nanos).unwrap()
    })
}

fn suspension() -> impl Strategy<Value = Suspension> {
    (option::of(".{0,9}"), instant(), option::of(instant()))
        .prop_map(|(reason, starts_at, ends_at)| Suspension { reason, starts_at, ends_at })
}

fn value() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        ".{0,40}".prop_map(Value::text),
        any::<bool>().prop_map(Value::Flag),
        (0i32..5_000_000).prop_map(|day| Value::Date(Date::from_julian_day(day).unwrap())),
        instant().prop_map(Value::Instant),
        (-180.0..180.0f64, -90.0..90.0f64)
            .prop_map(|(longitude, latitude)| Value::Point(Point { longitude, latitude })),
        ".{0,40}".prop_map(|text| Value::Document(Cow::Owned(text))),
        vec(suspension(), 0..3).prop_map(|list| Value::Suspensions(Cow::Owned(list))),
    ]
}

fn any_user() -> impl Strategy<Value = User> {
    let status = prop_oneof![Just(Status::PendingCompliance), Just(Status::Active), Just(Status::Closed)];
    let links = vec(("[a-z0-9._-]{1,64}", "[a-zé/]{1,20}"), 0..4);
    let profile = vec(option::of(value()), Attr::STORED.len());
    let fixed = (any::<[u8; 16]>(), any::<u64>(), status, instant(), instant());
    (fixed, links, vec(suspension(), 0..3), profile).prop_map(|(fixed, links, suspensions, values)| {
        let (bytes, version, status, created_at, updated_at) = fixed;
        let stored = Attr::STORED.into_iter().zip(values).filter_map(|(attr, value)| Some((attr, value?)));
        User {
            id: UserId::from_bytes(bytes),
            version,
            status,
            created_at,
            updated_at,
            links: links.iter().map(|(namespace, external_id)| link(namespace, external_id)).collect(),
            suspensions,
            profile: Profile::from_stored(stored),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_user_reads_back(user in any_user(), seq: u64) {
        let stored = Stored::Live(Arc::new(user));
        prop_assert_eq!(Stored::decode(&stored.encode(seq)), Some(stored));
    }

    #[test]
    fn a_page_reads_back(users in vec(any_user().prop_map(Arc::new), 0..5), next: Option<[u8; 16]>, cut: usize) {
        let next = next.map(UserId::from_bytes);
        let bytes = encode_page(&users, next);
        prop_assert_eq!(decode_page(&bytes), Some((users.clone(), next)));
        // Cut short it is none, or one of fewer users.
        let cut = cut % (bytes.len() + 1);
        if let Some((fewer, goes_on)) = decode_page(&bytes[..cut]) {
            prop_assert_eq!(&*fewer, &users[..fewer.len()]);
            prop_assert!(cut == bytes.len() || goes_on.is_none());
        }
    }

    #[test]
    fn any_bytes_are_a_page_or_none(mut bytes in vec(any::<u8>(), 0..60), user in any_user(), at: usize) {
        if let Some((users, next)) = decode_page(&bytes) {
            prop_assert_eq!(decode_page(&encode_page(&users, next)), Some((users, next)));
        }
        let page = encode_page(&[Arc::new(user)], None);
        bytes.splice(0..0, page.iter().copied());
        let at = at % bytes.len();
        bytes[at] = !bytes[at];
        if let Some((users, next)) = decode_page(&bytes) {
            prop_assert!(decode_page(&encode_page(&users, next)).is_some());
        }
    }

    #[test]
    fn a_tombstone_reads_back(id: [u8; 16], version: u64, deleted_at in instant(), seq: u64) {
        let stored = Stored::Gone { id: UserId::from_bytes(id), version, deleted_at };
        prop_assert_eq!(Stored::decode(&stored.encode(seq)), Some(stored));
    }

    #[test]
    fn a_ledger_record_reads_back(
        fingerprint: [u8; 32],
        at in instant(),
        user in option::of(any::<[u8; 16]>()),
        answer in option::of(vec(any::<u8>(), 0..300)),
    ) {
        let user = user.map(UserId::from_bytes);
        let record = LedgerRecord { fingerprint, at, user, answer: answer.map(Arc::from) };
        prop_assert_eq!(decode_ledger(&encode_ledger(&record)), Some(record));
    }

    #[test]
    fn any_bytes_are_a_record_or_not(bytes in vec(any::<u8>(), 0..200)) {
        let mut versioned = vec![1, 1];
        versioned.extend_from_slice(&bytes);
        for bytes in [&bytes, &versioned] {
            drop((Stored::decode(bytes), decode_ledger(bytes)));
        }
    }

    #[test]
    fn a_mutated_record_is_a_record_or_not(user in any_user(), at: prop::sample::Index, byte: u8, cut: bool) {
        let whole = Stored::Live(Arc::new(user)).encode(1);
        let mut bytes = whole.clone();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            prop_assert_eq!(Stored::decode(&bytes), None);
        } else {
            bytes[at] = byte;
            drop(Stored::decode(&bytes));
        }
        bytes = whole;
        bytes.push(0);
        prop_assert_eq!(Stored::decode(&bytes), None);
    }
}

#[test]
fn every_attribute_reads_back_in_every_shape() {
    let shapes = [
        Value::text("é"),
        Value::Flag(true),
        Value::Date(START.date()),
        Value::Instant(START),
        Value::Point(Point { longitude: -0.0, latitude: 89.5 }),
        Value::Document(Cow::Borrowed("{}")),
        Value::Suspensions(Cow::Owned(vec![Suspension { reason: None, starts_at: START, ends_at: None }])),
    ];
    for attr in Attr::STORED {
        for shape in &shapes {
            let mut user = user();
            user.profile = Profile::from_stored([(attr, shape.clone())]);
            let stored = Stored::Live(Arc::new(user));
            assert_eq!(Stored::decode(&stored.encode(1)), Some(stored), "{attr:?} {shape:?}");
        }
    }
}

#[test]
fn a_count_that_lies_reserves_nothing() {
    let mut bytes = Stored::Live(Arc::new(user())).encode(1);
    let end = bytes.len() - 1;
    bytes.truncate(end);
    bytes.extend_from_slice(&[0xff; 9]);
    bytes.push(1);
    assert_eq!(Stored::decode(&bytes), None);
}

#[test]
fn a_page_that_is_full_goes_on() {
    let large = |byte| {
        let bio = Value::text("x".repeat(PAGE_BYTES / 4));
        Arc::new(User {
            id: UserId::from_bytes([byte; 16]),
            profile: Profile::from_stored([(Attr::Bio, bio)]),
            ..user()
        })
    };
    let users = [1, 2, 3, 4, 5].map(large);
    let read = |users: &[Arc<User>], next| {
        let (found, next) = decode_page(&encode_page(users, next)).unwrap();
        (found.len(), next)
    };
    let end = Some(UserId::from_bytes([9; 16]));
    assert_eq!(read(&users, end), (4, Some(users[3].id)));
    assert_eq!(read(&users, None), (4, Some(users[3].id)));
    assert_eq!(read(&users[..4], end), (4, end));
    assert_eq!(read(&users[..4], None), (4, None));
    assert_eq!(read(&[], None), (0, None));
}
