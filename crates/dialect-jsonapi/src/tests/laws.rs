//! The laws of the vocabulary, over random documents.

use proptest::prelude::*;

use super::*;

/// A value for each writable row, as this dialect answers it, or none.
fn attributes() -> impl Strategy<Value = Vec<(usize, String)>> {
    let spelt = |row: &Field| -> BoxedStrategy<String> {
        let words = |words: &'static [&'static str]| {
            proptest::sample::select(words).prop_map(|word| format!("\"{word}\"")).boxed()
        };
        match row.attr {
            Attr::Email => words(&["a@b.co", "jane.doe@example.com"]),
            Attr::AvatarUrl => words(&["https://example.com/a", "http://x.org"]),
            Attr::Gender => words(&["male", "female", "other"]),
            Attr::BirthDate => words(&["1997-07-21T00:00:00.000Z", "1900-01-01T00:00:00.000Z"]),
            Attr::Country => words(&["DE", "US", "CA", "FR"]),
            Attr::Region => words(&["ON", "NY", "BW"]),
            Attr::Locale => words(&["de-DE", "en_US", "fr"]),
            Attr::TimeZone => words(&["Europe/Berlin", "UTC"]),
            Attr::HouseNumber | Attr::PostalCode => prop_oneof![
                (0..1_000_000_u64).prop_map(|n| n.to_string()),
                words(&["01067", "12a", "43551-9331"])
            ]
            .boxed(),
            _ => "[a-zA-Zé]{1,8}( [0-9]{1,3})?".prop_map(|text| format!("\"{text}\"")).boxed(),
        }
    };
    let rows = FIELDS.iter().enumerate().filter(|(_, row)| row.access != Access::ReadOnly);
    let maybe = |(at, row): (usize, &'static Field)| (Just(at), proptest::option::of(spelt(row)));
    rows.map(maybe)
        .collect::<Vec<_>>()
        .prop_map(|all| all.into_iter().filter_map(|(at, value)| Some((at, value?))).collect())
}

/// The attributes as a document says them, in the order of the table; with `null` for an empty value.
fn body(values: &[(usize, String)]) -> String {
    let rows: Vec<_> = values.iter().map(|(at, value)| (FIELDS[*at].path(), value)).collect();
    let member = |name: &str, value: &str| format!("\"{name}\":{value}");
    let plain = rows.iter().filter(|(path, _)| path.0.is_none()).map(|(path, value)| member(path.1, value));
    let inner: Vec<_> =
        rows.iter().filter(|(path, _)| path.0.is_some()).map(|(path, value)| member(path.1, value)).collect();
    let group = (!inner.is_empty()).then(|| member("address", &format!("{{{}}}", inner.join(","))));
    with(&format!("{{{}}}", plain.chain(group).collect::<Vec<_>>().join(",")))
}

/// What a user answers for a row, as JSON.
fn answered(user: &User, at: usize) -> Option<String> {
    let view = View { user, namespace: None, now: NOW };
    let value = view.get(FIELDS[at].attr)?;
    Some(serde_json::to_string(&FIELDS[at].codec.write(&value)).unwrap())
}

proptest! {
    #[test]
    fn what_was_written_reads_back_and_nothing_else_moves(first in attributes(), second in attributes()) {
        let dialect = pace();
        let apply = |user: &User, values: &[(usize, String)]| {
            updated(&*dialect, user, patch(&*dialect, &body(values)).unwrap())
        };
        // Not every region goes with every country.
        let Ok(before) = apply(&blank(), &first) else { return Ok(()) };
        let Ok(after) = apply(&before, &second) else { return Ok(()) };
        for (at, value) in &second {
            prop_assert_eq!(answered(&after, *at), Some(value.clone()));
        }
        for at in 0..FIELDS.len() {
            let group = |at: usize| FIELDS[at].attr.group();
            if !second.iter().any(|(other, _)| group(*other) == group(at)) {
                prop_assert_eq!(answered(&after, at), answered(&before, at));
            }
        }
        // What is read and written back, whole or in part, changes nothing.
        let shown = shown_by(&*dialect, &after).replace(r#""createdAt":"2021-09-01T23:12:56Z","#, "");
        let shown = shown.replace(r#","createdAt":"2021-09-01T23:12:56Z""#, "");
        for verb in [Verb::Patch, Verb::Put] {
            let again = decode(&*dialect, verb, &format!("/users/{ID}"), &shown).unwrap();
            let again = updated(&*dialect, &after, again);
            prop_assert_eq!(&again.unwrap(), &after);
        }
        prop_assert_eq!(&apply(&after, &second).unwrap(), &after);
    }

    #[test]
    fn null_clears_whatever_is_there(first in attributes()) {
        let dialect = pace();
        let Ok(before) = updated(&*dialect, &blank(), patch(&*dialect, &body(&first)).unwrap()) else { return Ok(()) };
        let optional = (0..FIELDS.len()).filter(|at| FIELDS[*at].access == Access::Optional);
        let nulls: Vec<_> = optional.clone().map(|at| (at, "null".to_owned())).collect();
        let after = updated(&*dialect, &before, patch(&*dialect, &body(&nulls)).unwrap()).unwrap();
        for at in optional {
            prop_assert_eq!(answered(&after, at), None);
        }
        prop_assert!(!shown_by(&*dialect, &after).contains("address"));
    }
}
