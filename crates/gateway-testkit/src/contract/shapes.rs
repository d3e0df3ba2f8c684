//! Whatever a user may hold survives a round trip, to the last bit.

use std::borrow::Cow;

use gateway_core::{
    Attr, Date, Namespace, Point, Profile, Status, Suspension, Timestamp, User, UserStore, Value,
};
use time::{Duration, Time, macros::date, macros::utc_datetime};

use super::{
    fixture::{Fixture, clear, set},
    table,
};

table! {
    a_full_profile_is_kept: "A user with every stored attribute reads back whole.",
    each_attribute_is_kept_alone: "Each stored attribute alone is kept, and cleared again.",
    an_empty_profile_is_kept: "A user without any attribute has none when read.",
    empty_text_is_not_absent: "Empty text is kept as such in every attribute of text.",
    text_is_kept_as_sent: "Text of any script is kept as sent: not normalised, trimmed or escaped.",
    long_text_is_kept: "Text of 1 MiB is kept.",
    flags_are_kept: "Yes and no are kept, and no is not absent.",
    dates_are_kept: "Dates from the first to the last are kept.",
    instants_are_kept: "Instants from the first to the last are kept to the nanosecond.",
    points_are_kept_to_the_bit: "Points are kept to the bit: negative zero, the smallest and the largest.",
    documents_are_kept_as_text: "A document is kept as its text: member order, spelling of numbers, escapes.",
    a_large_document_is_kept: "A document of 1 MiB is kept, and the secret one beside it.",
    every_status_is_kept: "Every status is kept.",
    times_of_a_user_are_kept: "Times of creation and change are kept to the nanosecond, near and far.",
    links_keep_their_order: "Links keep the order in which they were given.",
    many_links_are_kept: "A user with a hundred links has them all.",
    suspensions_are_kept: "Suspensions keep order, repeats, absent and empty reasons, open ends, nanoseconds.",
    suspensions_can_be_lifted: "Suspensions can be changed and cleared.",
}

/// Creates the user, then writes the same state by an update; both must read back.
async fn assert_kept<S: UserStore>(fx: &Fixture<S>, change: impl Fn(&mut User)) {
    let mut user = fx.user();
    change(&mut user);
    let user = fx.create(user).await;
    fx.assert_stands(&user).await;
    let plain = fx.create(fx.user()).await;
    let after = fx.update(&plain, change).await;
    fx.assert_stands(&after).await;
}

fn document(text: impl Into<String>) -> Value<'static> {
    Value::Document(Cow::Owned(text.into()))
}

/// A value of the shape that the attribute has.
fn sample(attr: Attr) -> Value<'static> {
    match attr {
        Attr::BirthDate => Value::Date(date!(2000 - 02 - 29)),
        Attr::BirthInstant => Value::Instant(utc_datetime!(2000-02-29 23:59:59.999_999_999)),
        Attr::Geo => Value::Point(Point { longitude: -80.1, latitude: 26.35 }),
        Attr::CiroAffiliate => Value::Flag(true),
        Attr::Metadata | Attr::SecureMetadata => document(r#"{"b":1,"a":[]}"#),
        text => Value::text(format!("Text of {text:?}")),
    }
}

/// The attributes of text, the username excepted: an empty one names nobody.
fn texts() -> impl Iterator<Item = Attr> {
    Attr::STORED.into_iter().filter(|attr| *attr != Attr::Username && matches!(sample(*attr), Value::Text(_)))
}

async fn a_full_profile_is_kept<S: UserStore>(fx: Fixture<S>) {
    let full = Profile::from_stored(Attr::STORED.map(|attr| (attr, sample(attr))));
    assert_kept(&fx, |user| user.profile = full.clone()).await;
}

async fn each_attribute_is_kept_alone<S: UserStore>(fx: Fixture<S>) {
    for attr in Attr::STORED {
        let plain = fx.create(fx.user()).await;
        let with = fx.update(&plain, |user| set(user, attr, sample(attr))).await;
        fx.assert_stands(&with).await;
        let without = fx.update(&with, |user| clear(user, attr)).await;
        fx.assert_stands(&without).await;
    }
}

async fn an_empty_profile_is_kept<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let found = fx.read(user.id).await.expect("the user");
    assert_eq!(found.profile.stored().count(), 0);
    fx.assert_stands(&user).await;
}

async fn empty_text_is_not_absent<S: UserStore>(fx: Fixture<S>) {
    assert_kept(&fx, |user| {
        for attr in texts() {
            set(user, attr, Value::text(""));
        }
        set(user, Attr::Metadata, document(""));
    })
    .await;
}

async fn text_is_kept_as_sent<S: UserStore>(fx: Fixture<S>) {
    let odd = [
        "\u{1f600}\u{1f469}\u{200d}\u{1f680}",
        "\u{10ffff}\u{10000}\u{ffff}\u{fffd}\u{e000}",
        "e\u{301} \u{e9} \u{fb01} \u{212b}",
        "اسم שם नाम 名前",
        "\u{feff}bom \u{202e}turned",
        " leading, trailing \t\r\n",
        "'; DROP TABLE users; --",
        "\\ \" ' % _ \\u0041 &amp; null",
        "\u{1}\u{7f}\u{85}\u{2028}",
    ];
    for text in odd {
        assert_kept(&fx, |user| {
            for attr in texts() {
                set(user, attr, Value::text(text));
            }
        })
        .await;
    }
}

async fn long_text_is_kept<S: UserStore>(fx: Fixture<S>) {
    let text = "\u{1f600}".repeat(1 << 18);
    assert_kept(&fx, |user| set(user, Attr::Bio, Value::text(text.clone()))).await;
}

async fn flags_are_kept<S: UserStore>(fx: Fixture<S>) {
    for flag in [true, false] {
        assert_kept(&fx, |user| set(user, Attr::CiroAffiliate, Value::Flag(flag))).await;
    }
}

async fn dates_are_kept<S: UserStore>(fx: Fixture<S>) {
    let near = [date!(1900 - 01 - 01), date!(1969 - 12 - 31), date!(1970 - 01 - 01), date!(2000 - 02 - 29)];
    let far = [Date::MIN, date!(-0001 - 12 - 31), date!(0000 - 01 - 01), date!(0001 - 01 - 01), Date::MAX];
    for date in near.into_iter().chain(far) {
        assert_kept(&fx, |user| set(user, Attr::BirthDate, Value::Date(date))).await;
    }
}

/// Instants near and far, before and after 1970, with and without parts of a second.
fn instants() -> [Timestamp; 9] {
    let epoch = Timestamp::UNIX_EPOCH;
    [
        Timestamp::MIN,
        Timestamp::new(date!(0000 - 02 - 29), Time::MIDNIGHT),
        utc_datetime!(1677-09-21 00:12:43.145_224_192) - Duration::NANOSECOND,
        epoch - Duration::NANOSECOND,
        epoch,
        epoch + Duration::NANOSECOND,
        utc_datetime!(2026-06-30 23:59:59.000_000_001),
        utc_datetime!(2262-04-11 23:47:16.854_775_807) + Duration::NANOSECOND,
        Timestamp::MAX,
    ]
}

async fn instants_are_kept<S: UserStore>(fx: Fixture<S>) {
    for instant in instants() {
        assert_kept(&fx, |user| set(user, Attr::BirthInstant, Value::Instant(instant))).await;
    }
}

async fn points_are_kept_to_the_bit<S: UserStore>(fx: Fixture<S>) {
    let numbers = [0.0, -0.0, 5e-324, f64::MIN_POSITIVE, f64::EPSILON, 0.1 + 0.2, 34.05, 1e23, f64::MAX];
    for number in numbers {
        let point = Point { longitude: number, latitude: -number };
        let mut user = fx.user();
        set(&mut user, Attr::Geo, Value::Point(point));
        let user = fx.create(user).await;
        let found = fx.read(user.id).await.expect("the user");
        let Some(Value::Point(found)) = found.profile.get(Attr::Geo) else { panic!("the point is lost") };
        assert_eq!(found.longitude.to_bits(), point.longitude.to_bits(), "{number:e}");
        assert_eq!(found.latitude.to_bits(), point.latitude.to_bits(), "-{number:e}");
    }
}

async fn documents_are_kept_as_text<S: UserStore>(fx: Fixture<S>) {
    let texts = [
        "{}",
        r#"{"z":1,"a":2,"m":{"y":null,"b":true}}"#,
        r#"{"n":[1,1.0,1.00,1e0,-0,12345678901234567890,0.1e-400]}"#,
        r#"{"s":"\u0041\/\ud83d\ude00é","":""}"#,
        r#"{ "spaced" : [ 1 , 2 ] }"#,
        "no JSON at all",
    ];
    for text in texts {
        assert_kept(&fx, |user| set(user, Attr::Metadata, document(text))).await;
        assert_kept(&fx, |user| set(user, Attr::SecureMetadata, document(text))).await;
    }
}

async fn a_large_document_is_kept<S: UserStore>(fx: Fixture<S>) {
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat((1 << 20) - 11));
    assert_eq!(text.len(), 1 << 20);
    assert_kept(&fx, |user| {
        set(user, Attr::Metadata, document(text.clone()));
        set(user, Attr::SecureMetadata, document(r#"{"secret":true}"#));
    })
    .await;
}

async fn every_status_is_kept<S: UserStore>(fx: Fixture<S>) {
    for status in [Status::PendingCompliance, Status::Active, Status::Closed] {
        assert_kept(&fx, |user| user.status = status).await;
    }
}

async fn times_of_a_user_are_kept<S: UserStore>(fx: Fixture<S>) {
    for instant in instants() {
        assert_kept(&fx, |user| user.created_at = instant).await;
        assert_kept(&fx, |user| user.updated_at = instant).await;
    }
}

async fn links_keep_their_order<S: UserStore>(fx: Fixture<S>) {
    let mut namespaces = [fx.namespace(), fx.namespace(), fx.namespace()];
    for turn in 0..3 {
        namespaces.rotate_left(turn);
        let user = fx.create(fx.linked(&namespaces.each_ref())).await;
        fx.assert_stands(&user).await;
        let after = fx.update(&user, |user| user.links.reverse()).await;
        fx.assert_stands(&after).await;
    }
}

async fn many_links_are_kept<S: UserStore>(fx: Fixture<S>) {
    let mut namespaces: Vec<Namespace> = (0..50).map(|_| fx.namespace()).collect();
    namespaces.extend_from_within(..);
    let user = fx.create(fx.named("Jane", &namespaces.iter().collect::<Vec<_>>())).await;
    fx.assert_stands(&user).await;
    for key in user.unique_keys() {
        assert_eq!(fx.owner(&key).await, Some(user.id));
    }
}

async fn suspensions_are_kept<S: UserStore>(fx: Fixture<S>) {
    let reasons = [None, Some(String::new()), Some("Spam \u{1f600}".to_owned()), None];
    let mut list = Vec::new();
    for (reason, starts_at) in reasons.into_iter().cycle().zip(instants()) {
        let open = Suspension { reason, starts_at, ends_at: None };
        list.push(Suspension { ends_at: Some(starts_at), ..open.clone() });
        list.push(open.clone());
        list.push(open);
    }
    list.swap(0, 7);
    assert_kept(&fx, |user| user.suspensions.clone_from(&list)).await;
}

async fn suspensions_can_be_lifted<S: UserStore>(fx: Fixture<S>) {
    let open = Suspension { reason: None, starts_at: fx.now, ends_at: None };
    let user = fx.create(User { suspensions: vec![open.clone(), open], ..fx.user() }).await;
    let lifted = fx.update(&user, |user| user.suspensions[1].ends_at = Some(fx.now)).await;
    fx.assert_stands(&lifted).await;
    let cleared = fx.update(&lifted, |user| user.suspensions.clear()).await;
    fx.assert_stands(&cleared).await;
}
