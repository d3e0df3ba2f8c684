//! The laws of every dialect, over users that any of them may have written.

use gateway_core::{Attr, Change, ExternalId, Link, Operation, Profile, Status, User, UserId, Value};
use gateway_dialect::{Dialect, Json, Verb, json};
use proptest::prelude::*;

use super::{Bench, DIALECT, NOW, namespace, text};
use crate::wire::TABLE;

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z][A-Za-z .'-]{0,20}", "\\PC{1,30}"]
}

/// Users as any dialect may have written them.
fn users() -> impl Strategy<Value = User> {
    let country = prop::option::of(prop::sample::select(vec!["US", "CA", "DE", "GB"]));
    let region = prop::option::of(prop::sample::select(vec!["OH", "ON", "Ohio", "BW"]));
    let code = prop::option::of(prop_oneof!["[0-9]{5}", "[0-9]{5}-[0-9]{4}", "[A-Za-z0-9 -]{1,10}"]);
    let locale = prop::option::of(prop::sample::select(vec!["en-US", "en", "fil", "de_DE"]));
    (country, region, code, locale, prop::collection::vec(prop::option::of(word()), 5)).prop_map(
        |(country, region, code, locale, words)| {
            let mut user = User::new(UserId::from_bytes([2; 16]), Status::Active, NOW);
            user.links = vec![Link { namespace: namespace(), external_id: ExternalId::parse("42").unwrap() }];
            let rows = [
                (Attr::Country, country.map(str::to_owned)),
                (Attr::Region, region.map(str::to_owned)),
                (Attr::PostalCode, code),
                (Attr::Locale, locale.map(str::to_owned)),
            ];
            let free = [Attr::GivenName, Attr::FamilyName, Attr::City, Attr::Street, Attr::HouseNumber];
            let changes: Vec<Change> = rows
                .into_iter()
                .chain(free.into_iter().zip(words))
                .filter_map(|(attr, value)| value.map(|value| Change::set(attr, Value::text(value))))
                .collect();
            user.profile.apply(&changes);
            user
        },
    )
}

/// Operations on any of the paths, valid and not.
fn patches() -> impl Strategy<Value = Vec<(String, String)>> {
    let codes = vec![
        "",
        "US",
        "CA",
        "DE",
        "EN",
        "OH",
        "NY",
        "43551",
        "43551-9331",
        "9331",
        "M5V 2T6",
        "a@b.co",
        "02/29/1980",
    ];
    let value = prop_oneof![3 => prop::sample::select(codes).prop_map(str::to_owned), 1 => word()];
    let paths: Vec<String> = TABLE.rows().iter().skip(1).map(|row| row.wire.to_string()).collect();
    prop::collection::vec((prop::sample::select(paths), value), 1..6)
}

fn body(rows: &[(String, String)]) -> String {
    let row = |(path, value): &(String, String)| serde_json::json!({ "op": "replace", "path": path, "value": value });
    serde_json::Value::from(rows.iter().map(row).collect::<Vec<_>>()).to_string()
}

proptest! {
    #[test]
    fn what_was_written_reads_back(user in users(), rows in patches()) {
        let bench = Bench::new();
        if let Ok(after) = bench.update(&user, &body(&rows)) {
            let shown = bench.read(&after);
            let shown = json::parse(shown.as_bytes()).unwrap();
            for (i, (path, value)) in rows.iter().enumerate() {
                if rows[i + 1..].iter().all(|(later, _)| later != path) {
                    let found = shown.get(&path[1..]).and_then(Json::as_text).unwrap_or_default();
                    let dropped = value.is_empty() || path == "/zip4" && found.is_empty();
                    prop_assert!(found == value || dropped && found.is_empty(), "{path}");
                }
            }
        }
    }

    #[test]
    fn what_was_read_can_be_written_back_and_changes_nothing(user in users()) {
        let bench = Bench::new();
        let shown = bench.read(&user);
        let shown = json::parse(shown.as_bytes()).unwrap();
        let rows: Vec<_> = shown.members().unwrap().iter().skip(1)
            .map(|(name, value)| (format!("/{name}"), value.as_text().unwrap().to_owned())).collect();
        if !rows.is_empty() {
            prop_assert_eq!(&bench.update(&user, &body(&rows)).unwrap().profile, &user.profile);
        }
    }

    #[test]
    fn a_write_touches_nothing_that_it_does_not_name(user in users(), rows in patches()) {
        let bench = Bench::new();
        if let Ok(after) = bench.update(&user, &body(&rows)) {
            let named = |attr: Attr| rows.iter().any(|(path, _)| TABLE.row(path).unwrap().attr.group() == attr.group());
            let leaves = text(&user, Attr::Country).as_deref() == Some("US") && text(&after, Attr::Country).as_deref() != Some("US");
            for attr in Attr::STORED {
                let dropped = leaves && matches!(attr, Attr::Region | Attr::PostalCode);
                // A line composed of its parts is in the order of the country.
                let stored = |user: &User| user.profile.stored().find(|(at, _)| *at == attr).map(|(_, value)| value.into_owned());
                prop_assert!(named(attr) || dropped || stored(&user) == stored(&after), "{attr:?}");
            }
        }
    }

    #[test]
    fn a_composed_body_says_the_same(rows in patches()) {
        let bench = Bench::new();
        let changes = |text: &str| match bench.decode(Verb::Patch, "/users/42", text) {
            Ok((Operation::Update { changes, deferred: None, .. }, _)) => Some(changes),
            _ => None,
        };
        let profile = |changes: &[Change]| {
            let mut profile = Profile::default();
            profile.apply(changes);
            profile
        };
        if let Some(said) = changes(&body(&rows)) {
            let expression = TABLE.express(&said);
            let composed = String::from_utf8(DIALECT.compose(&expression.fields, "42")).unwrap();
            if let Some(again) = changes(&composed) {
                prop_assert_eq!(profile(&again), profile(&said));
            } else {
                prop_assert!(expression.fields.is_empty());
            }
        }
    }
}
