//! The laws of every dialect's vocabulary, over random users and patches: what is written reads back,
//! writing back what was read changes nothing, and a write touches nothing that it does not name.

use std::sync::Arc;

use gateway_core::{Attr, Change, Point, Profile, Reach, Status, Timestamp, User, UserId, Value, View};
use gateway_dialect::{
    Access, Dialect, Field, FieldTable, Form, Json, Mode, Ruling, Site, UnknownFields, Unset,
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use time::macros::{date, utc_datetime};

const NOW: Timestamp = utc_datetime!(2026-03-01 12:00);
const CASES: u32 = 10_000;

/// Every dialect, with its default options.
fn dialects() -> Vec<Arc<dyn Dialect>> {
    gateway::registry::DIALECTS.iter().map(gateway::registry::Row::with_defaults).collect()
}

/// Texts that some attribute takes, in some dialect's spelling or in none.
const TEXTS: &[&str] = &[
    "",
    "a",
    "Jane",
    "O’Neil",
    "New bio text",
    "12 Main St",
    "Haid-und-Neu-Straße 18",
    "Suite 400",
    "18",
    "12a",
    "Toronto",
    "ON",
    "OH",
    "BW",
    "M5V 2T6",
    "M5V2T6",
    "43551",
    "43551-9331",
    "9331",
    "01067",
    "CA",
    "us",
    "US",
    "DE",
    "de-DE",
    "en_US",
    "en",
    "EN",
    "DE",
    "Europe/Berlin",
    "male",
    "other",
    "jane@example.com",
    "A@EXAMPLE.com",
    "https://example.com/a.jpg",
    "+1 (425) 555-1212",
    "1990-05-15",
    "1997-07-21T00:00:00.000Z",
    "1990-05-15T23:30:00-05:00",
    "05/15/1990",
    "new_username",
    "Jane.Doe",
    "partner-user-42",
];

/// A JSON value that may fit a field.
fn json() -> impl Strategy<Value = Json<'static>> {
    let number = |n: i64| Json::Number(n.into());
    let place = |longitude: f64, latitude: f64| {
        let number = |n| Json::Number(serde_json::Number::from_f64(n).unwrap());
        Json::Object(vec![("longitude".into(), number(longitude)), ("latitude".into(), number(latitude))])
    };
    prop_oneof![
        8 => proptest::sample::select(TEXTS).prop_map(|text| Json::Text(text.into())),
        2 => "[a-zA-Z0-9 ÄÖé.,'-]{1,40}".prop_map(|text| Json::Text(text.into())),
        1 => any::<bool>().prop_map(Json::Bool),
        1 => Just(Json::Null),
        1 => (0_i64..100_000).prop_map(number),
        1 => (-1800_i32..1800, -1800_i32..1800).prop_map(move |(x, y)| place(f64::from(x) / 10.0, f64::from(y) / 10.0)),
        1 => "[a-z]{1,5}".prop_map(|theme| Json::Object(vec![("theme".into(), Json::Text(theme.into()))])),
    ]
}

/// A patch in a vocabulary: an object of which every field fits.
fn patch(table: &FieldTable) -> impl Strategy<Value = Vec<Change>> + use<> {
    let rows: Vec<Field> = table.rows().iter().filter(|row| is_written(row)).cloned().collect();
    let table = table.clone();
    proptest::collection::vec((proptest::sample::select(rows), proptest::collection::vec(json(), 12)), 1..5)
        .prop_map(move |picks| {
            let mut changes: Vec<Change> = Vec::new();
            for (row, tries) in picks {
                let fits =
                    tries.iter().find_map(|json| table.read_value(&row, json, Mode::Update, NOW.date()).ok());
                // Two views of one thing in one patch contradict each other.
                let free = !changes.iter().any(|change| change.attr.group() == row.attr.group());
                changes.extend(fits.filter(|_| free));
            }
            changes
        })
}

fn is_written(row: &Field) -> bool {
    !matches!(row.access, Access::ReadOnly | Access::CreateOnly | Access::Initial)
}

/// A user that any dialect could have written.
fn user() -> impl Strategy<Value = User> {
    let text = |attr, texts: &'static [&'static str]| {
        proptest::option::of(proptest::sample::select(texts))
            .prop_map(move |text| text.map(|text| (attr, Value::text(text))))
    };
    let texts = vec![
        text(Attr::Username, &["jane", "Jane.Doe", "j_1"]),
        text(Attr::DisplayName, &["Jane D.", "Ludwig van Beethoven"]),
        text(Attr::GivenName, &["Jane", "Ludwig"]),
        text(Attr::FamilyName, &["Doe", "van Beethoven"]),
        text(Attr::Email, &["jane@example.com", "l@b.de"]),
        text(Attr::Phone, &["+1 (425) 555-1212"]),
        text(Attr::AvatarUrl, &["https://example.com/a.jpg"]),
        text(Attr::Bio, &["New bio text"]),
        text(Attr::Gender, &["male", "female", "other"]),
        text(Attr::AddressLine2, &["Suite 400"]),
        text(Attr::City, &["Toronto", "Karlsruhe"]),
        text(Attr::Region, &["ON", "OH", "BW"]),
        text(Attr::PostalCode, &["M5V 2T6", "43551", "43551-9331", "76131", "01067"]),
        text(Attr::Country, &["CA", "US", "DE"]),
        text(Attr::Locale, &["en-US", "de-DE", "fr"]),
        text(Attr::TimeZone, &["Europe/Berlin", "UTC"]),
        text(Attr::Occupation, &["Engineer"]),
    ];
    let line = prop_oneof![
        Just(vec![]),
        Just(vec![(Attr::AddressLine1, Value::text("12 Main St"))]),
        Just(vec![(Attr::AddressLine1, Value::text("Am Ring 7"))]),
        Just(vec![(Attr::Street, Value::text("Am Ring")), (Attr::HouseNumber, Value::text("7"))]),
        Just(vec![(Attr::Street, Value::text("Am Ring"))]),
    ];
    let birth = prop_oneof![
        Just(vec![]),
        Just(vec![(Attr::BirthDate, Value::Date(date!(1990 - 05 - 15)))]),
        Just(vec![
            (Attr::BirthDate, Value::Date(date!(1990 - 05 - 15))),
            (Attr::BirthInstant, Value::Instant(utc_datetime!(1990-05-15 04:30:00.250))),
        ]),
    ];
    let other = (any::<bool>(), any::<bool>()).prop_map(|(flag, all)| {
        let mut rows = vec![(Attr::CiroAffiliate, Value::Flag(flag))];
        if all {
            rows.push((Attr::Geo, Value::Point(Point { longitude: 34.05, latitude: -118.25 })));
            rows.push((Attr::Metadata, Value::Document(r#"{"theme":"dark","n":[1,2.5]}"#.into())));
        }
        rows
    });
    (texts, line, birth, other).prop_map(|(texts, line, birth, other)| {
        let mut user = User::new(UserId::from_bytes([7; 16]), Status::Active, NOW);
        user.profile =
            Profile::from_stored(texts.into_iter().flatten().chain(line).chain(birth).chain(other));
        user
    })
}

fn view(user: &User) -> View<'_> {
    View { user, namespace: None, now: NOW }
}

/// Only what may be written, of what was read.
fn writable(table: &FieldTable, json: &Json<'_>) -> Vec<Change> {
    let mut reading = table.read(json, Mode::Update, NOW.date());
    reading
        .changes
        .retain(|change| table.rows().iter().any(|row| row.attr == change.attr && is_written(row)));
    reading.changes
}

/// Holds a law for random users and patches that the dialect would commit.
fn check(
    dialect: &dyn Dialect,
    law: impl Fn(&FieldTable, &User, &[Change], User) -> Result<(), TestCaseError>,
) {
    let seed = seed();
    println!("{}: seed {seed}", dialect.name());
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        // Some vocabularies have rules that most random patches break.
        max_global_rejects: 100 * CASES,
        ..Config::default()
    };
    let (table, reach) = (dialect.fields(), Reach::All);
    let site = Site {
        reach: &reach,
        unknown_fields: UnknownFields::Ignore,
        base: "",
        now: NOW,
        request_id: "",
        form: Form::Document,
    };
    let result = TestRunner::new(config).run(&(user(), patch(table)), |(user, mut patch)| {
        dialect.settle(&user, &mut patch);
        let mut after = user.clone();
        after.profile.apply(&patch);
        let ruling = Ruling { site: &site, before: Some(&user), after: &after, changes: &patch };
        prop_assume!(dialect.judge(&ruling).is_ok());
        law(table, &user, &patch, after)
    });
    result.unwrap_or_else(|error| panic!("{} (seed {seed}): {error}", dialect.name()));
}

/// Another one every time; a failure prints it.
fn seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    std::env::var_os("INTERLINGUA_SEED").and_then(|seed| seed.to_str()?.parse().ok()).unwrap_or(high ^ low)
}

#[test]
fn what_was_written_reads_back() {
    for dialect in dialects() {
        check(&*dialect, |table, _, patch, after| {
            // A cleared name reads as given and family name (decision 42).
            for change in patch.iter().filter(|change| change.attr != Attr::Name || change.value.is_some()) {
                prop_assert_eq!(after.profile.get(change.attr), change.value.clone(), "{:?}", change.attr);
                let row = table.rows().iter().find(|row| row.attr == change.attr).unwrap();
                // What is shown is read as what was meant.
                if let Some(value) = change.value.as_ref().filter(|_| row.access != Access::WriteOnly) {
                    let again = table.read_value(row, &row.codec.write(value), Mode::Update, NOW.date());
                    prop_assert_eq!(again, Ok(change.clone()), "{:?}", change.attr);
                }
            }
            Ok(())
        });
    }
}

#[test]
fn writing_back_what_was_read_changes_nothing() {
    for dialect in dialects() {
        check(&*dialect, |table, _, _, after| {
            let shown = table.write(&view(&after), Unset::Omit);
            prop_assert_eq!(after.changed(&writable(table, &shown), NOW), None);
            Ok(())
        });
    }
}

#[test]
fn a_write_touches_nothing_that_it_does_not_name() {
    for dialect in dialects() {
        check(&*dialect, |_, before, patch, after| {
            let named = |attr: Attr| patch.iter().any(|change| change.attr.group() == attr.group());
            let stored = |user: &User, attr| {
                user.profile.stored().find(|(one, _)| *one == attr).map(|(_, value)| value.into_owned())
            };
            for attr in Attr::STORED.into_iter().filter(|attr| !named(*attr)) {
                prop_assert_eq!(stored(&after, attr), stored(before, attr), "{:?}", attr);
            }
            Ok(())
        });
    }
}
