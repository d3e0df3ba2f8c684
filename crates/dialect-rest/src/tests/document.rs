//! Documents: what is answered can be sent back, and what is sent is taken at its word or refused.

use gateway_core::{
    Attr, Change, Error, ExternalId, Link, Namespace, Place, Reach, Status, Suspension, Timestamp, User,
    UserId, Value, View,
};
use gateway_dialect::{Dialect, Form, Json, Ruling, Site, UnknownFields, json};
use time::macros::utc_datetime;

use crate::{
    Rest,
    document::{Source, creation, difference, present},
    merge::merge,
};

const NOW: Timestamp = utc_datetime!(2026-03-01 12:00);

fn site(reach: &Reach) -> Site<'_> {
    Site {
        reach,
        unknown_fields: UnknownFields::Reject,
        base: "",
        now: NOW,
        request_id: "",
        form: Form::Document,
    }
}

/// A user of which every member is answered, as other dialects may have written it.
fn user() -> User {
    let mut user = User::new(UserId::from_bytes([7; 16]), Status::PendingCompliance, NOW);
    let text = |attr, text: &'static str| Change::set(attr, Value::text(text));
    user.apply(&[
        text(Attr::Username, "jane"),
        // What no client of ours may write.
        text(Attr::DisplayName, " \t"),
        text(Attr::Bio, ""),
        text(Attr::AddressLine1, "Ring 7"),
        text(Attr::PostalCode, "m5v"),
        text(Attr::Country, "DE"),
        text(Attr::Locale, "de-DE"),
        Change::set(Attr::Metadata, Value::Document(r#"{"z":1,"a":{"y":[1.50]}}"#.into())),
    ]);
    let starts_at = utc_datetime!(2026-01-01 0:00);
    user.suspensions = vec![
        Suspension { reason: Some("a\nb".into()), starts_at, ends_at: None },
        Suspension { reason: None, starts_at, ends_at: Some(utc_datetime!(2026-01-02 0:00)) },
    ];
    user.links = ["a", "b"]
        .map(|namespace| Link {
            namespace: Namespace::parse(namespace).unwrap(),
            external_id: ExternalId::parse("1").unwrap(),
        })
        .to_vec();
    user
}

fn shown(user: &User) -> Json<'_> {
    present(&View { user, namespace: None, now: NOW })
}

/// The user after a body, or the pointers of what is bad.
fn sent(before: &User, body: &str, source: Source) -> Result<User, Vec<String>> {
    let body = json::parse(body.as_bytes()).unwrap();
    let present = shown(before);
    let after = if source == Source::Merge { merge(present.clone(), body) } else { body };
    let reach = Reach::All;
    let changes = difference(&site(&reach), (before, &present), after, source).map_err(pointers)?;
    let next = before.changed(&changes, NOW).unwrap_or_else(|| before.clone());
    let ruling = Ruling { site: &site(&reach), before: Some(before), after: &next, changes: &changes };
    Rest { demands_match: false }.judge(&ruling).map_err(pointers)?;
    Ok(next)
}

fn pointers(error: Error) -> Vec<String> {
    let place = |place: &Place| match place {
        Place::Attr(attr) => crate::wire::TABLE.wire(*attr).unwrap_or_default().to_owned(),
        Place::Member(pointer) => pointer.clone(),
        _ => String::new(),
    };
    error.fields.iter().map(|field| place(&field.place)).collect()
}

#[test]
fn what_was_answered_is_taken_back() {
    let user = user();
    let text = serde_json::to_string(&shown(&user)).unwrap();
    for source in [Source::Whole, Source::Merge, Source::Patch] {
        assert_eq!(sent(&user, &text, source).as_ref(), Ok(&user), "{text}");
    }
    assert!(text.starts_with(r#"{"id":"07070707-0707-0707-0707-070707070707","status":"suspended","username":"jane","displayName":" \t","address":{"line1":"Ring 7","street":"Ring","houseNumber":"7","postalCode":"m5v","country":"DE"},"language":"DE","locale":"de-DE","metadata":{"z":1,"a":{"y":[1.5]}},"suspensions":[{"reason":"a\nb","startsAt":"2026-01-01T00:00:00.000Z"},{"startsAt":"2026-01-01T00:00:00.000Z","endsAt":"2026-01-02T00:00:00.000Z"}],"links":[{"namespace":"a","externalId":"1"},{"namespace":"b","externalId":"1"}],"createdAt":"#), "{text}");
}

#[test]
fn members_of_an_object_are_in_any_order() {
    let links = r#"{"links":[{"externalId":"1","namespace":"a"},{"externalId":"1","namespace":"b"}]}"#;
    assert_eq!(sent(&user(), links, Source::Merge).as_ref(), Ok(&user()));
    let swapped = r#"{"links":[{"externalId":"1","namespace":"b"},{"externalId":"1","namespace":"a"}]}"#;
    assert_eq!(sent(&user(), swapped, Source::Merge), Err(vec!["/links".to_owned()]));
}

#[test]
fn one_form_of_an_address_line_moves_the_other() {
    let address = |user: &User| {
        let text = |attr| user.profile.get(attr).and_then(|value| value.as_text().map(str::to_owned));
        [text(Attr::AddressLine1), text(Attr::Street), text(Attr::HouseNumber)].map(Option::unwrap_or_default)
    };
    for (source, body, after) in [
        (Source::Merge, r#"{"address":{"line1":"Weg 5"}}"#, ["Weg 5", "Weg", "5"]),
        (Source::Merge, r#"{"address":{"street":"Weg"}}"#, ["Weg 7", "Weg", "7"]),
        (Source::Merge, r#"{"address":{"houseNumber":null}}"#, ["Ring", "Ring", ""]),
        (Source::Merge, r#"{"address":{"line1":null}}"#, ["", "", ""]),
        (
            Source::Merge,
            r#"{"address":{"line1":"Weg 5","street":null,"houseNumber":null}}"#,
            ["Weg 5", "Weg", "5"],
        ),
        (Source::Merge, r#"{"address":{"line1":null,"street":"Weg"}}"#, ["Weg 7", "Weg", "7"]),
        (
            Source::Merge,
            r#"{"address":{"line1":"Weg 5","street":"Weg","houseNumber":"5"}}"#,
            ["Weg 5", "Weg", "5"],
        ),
        (Source::Merge, r#"{"address":null}"#, ["", "", ""]),
        (Source::Whole, r#"{"address":{"line1":"Ring 7"}}"#, ["Ring 7", "Ring", "7"]),
        (Source::Whole, r#"{"address":{"line1":"Weg 5"}}"#, ["Weg 5", "Weg", "5"]),
        (Source::Whole, r#"{"address":{"street":"Ring","houseNumber":"7"}}"#, ["Ring 7", "Ring", "7"]),
        (Source::Whole, r#"{"address":{"street":"Weg"}}"#, ["Weg", "Weg", ""]),
        (Source::Whole, r#"{"address":{"city":"Ulm"}}"#, ["", "", ""]),
    ] {
        let next = sent(&user(), body, source).unwrap();
        assert_eq!(address(&next), after, "{body}");
    }
    let both = r#"{"address":{"line1":"Weg 5","street":"Gasse"}}"#;
    for source in [Source::Merge, Source::Whole] {
        assert!(sent(&user(), both, source).is_err_and(|bad| !bad.is_empty()), "{both}");
    }
}

#[test]
fn a_line_is_as_long_as_any_dialect_can_make_it() {
    let long = "x".repeat(255);
    let body = |street: &str, number: &str| {
        format!(r#"{{"address":{{"street":"{street}","houseNumber":"{number}"}}}}"#)
    };
    let next = sent(&user(), &body(&long, &"9".repeat(50)), Source::Merge).unwrap();
    let line = next.profile.get(Attr::AddressLine1).unwrap();
    assert_eq!(line.as_text().map(str::len), Some(306));
    let copy = serde_json::to_string(&shown(&next)).unwrap();
    assert_eq!(sent(&next, &copy, Source::Whole), Ok(next));
    let too_long = sent(&user(), &body(&"x".repeat(257), &"9".repeat(50)), Source::Merge);
    assert_eq!(too_long, Err(vec!["/address/street".to_owned()]));
}

#[test]
fn a_user_can_be_copied() {
    let reach = Reach::All;
    let made = |body: Json<'_>| creation(&site(&reach), body, None).map_err(pointers);
    let mut original = user();
    for attr in [Attr::DisplayName, Attr::Bio] {
        original.profile.apply(&[Change::clear(attr)]);
    }
    let mut copy = shown(&original);
    for name in ["id", "language", "createdAt", "updatedAt"] {
        assert_eq!(
            made(copy.clone()),
            Err(vec![format!("/{name}")].into_iter().chain(later(name)).collect())
        );
        crate::document::take(&mut copy, name);
    }
    let (creation, _) = made(copy).unwrap();
    assert_eq!(creation.links, original.links);
    let mut new = User::new(original.id, creation.status, NOW);
    new.apply(&creation.changes);
    new.links = creation.links;
    // Which status is beneath a suspension is not told.
    original.status = Status::Active;
    assert_eq!(
        serde_json::to_string(&shown(&new)).unwrap(),
        serde_json::to_string(&shown(&original)).unwrap()
    );
}

/// The other read-only members that still stand in the document.
fn later(name: &str) -> Vec<String> {
    let all = ["id", "language", "createdAt", "updatedAt"];
    let at = all.iter().position(|one| *one == name).unwrap();
    all[at + 1..].iter().map(|name| format!("/{name}")).collect()
}

#[test]
fn suspended_is_said_by_suspensions() {
    let reach = Reach::All;
    let made = |body: &'static str| {
        creation(&site(&reach), json::parse(body.as_bytes()).unwrap(), None).map_err(pointers).map(|_| ())
    };
    assert_eq!(made(r#"{"status":"suspended"}"#), Err(vec!["/status".to_owned()]));
    let past = r#"{"status":"suspended","suspensions":[{"startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-02T00:00:00Z"}]}"#;
    assert_eq!(made(past), Err(vec!["/status".to_owned()]));
    let now = r#"{"status":"suspended","suspensions":[{"startsAt":"2026-01-01T00:00:00Z"}]}"#;
    assert_eq!(made(now), Ok(()));
    let mut lifted = user();
    lifted.suspensions.clear();
    assert_eq!(sent(&lifted, r#"{"status":"suspended"}"#, Source::Merge), Err(vec!["/status".to_owned()]));
    let closed = sent(&user(), r#"{"status":"closed"}"#, Source::Merge).unwrap();
    assert_eq!((closed.status, closed.suspensions.len()), (Status::Closed, 2));
}

#[test]
fn all_bad_fields_at_once_in_order() {
    let body = r#"{"nick":1,"createdAt":"x","suspensions":[{}],"username":"a-b","status":null,"id":"x","address":{"country":"XX","zip":1},"geo":{"longitude":1}}"#;
    let bad = [
        "/id",
        "/status",
        "/username",
        "/address/country",
        "/geo",
        "/suspensions",
        "/createdAt",
        "/address/zip",
        "/nick",
    ];
    let mut found = sent(&user(), body, Source::Merge).unwrap_err();
    found[7..].sort();
    assert_eq!(found, bad);
    // What breaks a rule is told beside what is bad by itself, unless that is why.
    let body = r#"{"email":"x","address":{"country":"US","region":"ON","line1":"A 1","street":"B"}}"#;
    let bad = ["/email", "/address/line1", "/address/region"];
    assert_eq!(sent(&user(), body, Source::Merge).unwrap_err()[..3], bad);
    let body = r#"{"address":{"country":"XX","region":"ON"}}"#;
    assert_eq!(sent(&user(), body, Source::Merge).unwrap_err(), ["/address/country"]);
    let bad = ["/id", "/status", "/language", "/secureMetadata", "/links", "/createdAt", "/updatedAt", "/x"];
    assert_eq!(sent(&user(), r#"{"secureMetadata":{},"x":1}"#, Source::Patch).unwrap_err(), bad);
}

#[test]
fn suspensions_have_a_form() {
    let with = |items: &str| sent(&user(), &format!(r#"{{"suspensions":{items}}}"#), Source::Merge);
    for good in [
        "[]",
        "null",
        r#"[{"startsAt":"2026-01-01T00:00:00Z"}]"#,
        r#"[{"startsAt":"2026-01-01T00:00:00.1239+02:00","endsAt":null,"reason":null}]"#,
        r#"[{"reason":"x\ny","startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-01T00:00:01Z"}]"#,
    ] {
        assert!(with(good).is_ok(), "{good}");
    }
    let many = format!("[{}]", vec![r#"{"startsAt":"2026-01-01T00:00:00Z"}"#; 101].join(","));
    let long = format!(r#"[{{"startsAt":"2026-01-01T00:00:00Z","reason":"{}"}}]"#, "x".repeat(501));
    for bad in [
        "{}",
        "[1]",
        "[{}]",
        r#"[{"startsAt":"2026-01-01"}]"#,
        r#"[{"startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-01T00:00:00Z"}]"#,
        r#"[{"startsAt":"2026-01-01T00:00:00Z","until":"x"}]"#,
        r#"[{"startsAt":"2026-01-01T00:00:00Z","reason":""}]"#,
        r#"[{"startsAt":"2026-01-01T00:00:00Z","reason":"a\u0007"}]"#,
        &many,
        &long,
    ] {
        assert_eq!(with(bad), Err(vec!["/suspensions".to_owned()]), "{bad}");
    }
}
