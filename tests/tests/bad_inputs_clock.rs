//! Clocks that jump: nothing falls, what was answered stays, and a user's times only go forward.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use gateway_testkit::{
    cases::{Sign, Transport},
    client::{RawRequest, RawResponse},
};
use serde_json::Value;
use tests::{Bed, Inside, Party, partner};
use time::UtcDateTime;
use uuid::Uuid;

/// 2026-03-13T12:00:00Z
const NOON: i64 = 1_773_403_200;
const HOUR: i64 = 3_600;

/// A gateway whose clock is set by hand.
fn gateway() -> (Inside, Arc<AtomicI64>) {
    let time = Arc::new(AtomicI64::new(NOON));
    let clock = Arc::clone(&time);
    let at = move || UtcDateTime::from_unix_timestamp(clock.load(Relaxed)).unwrap();
    (Inside::at(&Bed::new(), Arc::new(at)), time)
}

/// The same request, signed at another time.
fn signed_at(request: RawRequest, time: i64) -> RawRequest {
    let now = UtcDateTime::from_unix_timestamp(time).unwrap();
    let mut headers = Sign::default().headers(&request.method, &request.target, &request.body, now);
    let key = request.headers.into_iter().find(|(name, _)| name == "Idempotency-Key");
    headers.extend(key);
    RawRequest { headers, ..request }
}

async fn status(gateway: &Inside, request: RawRequest, time: i64) -> u16 {
    gateway.send(signed_at(request, time)).await.unwrap().status
}

fn updated_at(answer: &RawResponse) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["updatedAt"].as_str().unwrap().to_owned()
}

/// `clock-001`.
#[tokio::test]
async fn an_hour_back() {
    let (gateway, time) = gateway();
    let key = Some(Uuid::new_v4());
    let first = gateway.send(signed_at(partner::create("a", key), NOON)).await.unwrap();
    assert_eq!(first.status, 201);
    let before = gateway.send(signed_at(partner::update("a", None, "Ghent"), NOON)).await.unwrap();
    time.store(NOON - HOUR, Relaxed);
    let after = gateway.send(signed_at(partner::update("a", None, "Bruges"), NOON - HOUR)).await.unwrap();
    assert_eq!((before.status, after.status), (200, 200));
    assert!(
        updated_at(&after) >= updated_at(&before),
        "{} after {}",
        updated_at(&after),
        updated_at(&before)
    );
    let again = gateway.send(signed_at(partner::create("a", key), NOON - HOUR)).await.unwrap();
    assert_eq!((again.status, again.body), (201, first.body));
}

/// `clock-002`.
#[tokio::test]
async fn an_hour_on() {
    let (gateway, time) = gateway();
    let key = Some(Uuid::new_v4());
    assert_eq!(status(&gateway, partner::create("a", key), NOON).await, 201);
    time.store(NOON + HOUR, Relaxed);
    assert_eq!(status(&gateway, partner::read("a"), NOON).await, 401);
    assert_eq!(status(&gateway, partner::read("a"), NOON + HOUR).await, 200);
    let again = gateway.send(signed_at(partner::create("a", key), NOON + HOUR)).await.unwrap();
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
}

/// `clock-005`, `clock-006`: the last second that has a date of four digits, and one before 1970. (With
/// such a clock `serve` does not start; one may be set while it runs.)
#[tokio::test]
async fn the_ends_of_time() {
    let (gateway, time) = gateway();
    let end = time::macros::utc_datetime!(9999-12-31 23:59:59).unix_timestamp();
    let (user, key) = (Uuid::new_v4(), Uuid::new_v4());
    for at in [end, -1, end] {
        time.store(at, Relaxed);
        for request in
            [Party::Update.create(user, key), Party::Update.create(user, key), Party::Update.read(user)]
        {
            let answer = gateway.send(request).await.unwrap();
            assert!(matches!(answer.status, 200 | 201), "{at}: {}", answer.status);
        }
        let changed =
            gateway.send(Party::Update.update(user, Uuid::new_v4(), &at.to_string())).await.unwrap();
        assert_eq!(changed.status, 200);
    }
}

/// `clock-008`, by decision 20: an age is judged on the UTC date. Toronto sets its clocks back on
/// 2026-11-01 at 06:00 UTC; who becomes 18 that day is 18 from midnight UTC, and stays so.
#[tokio::test]
async fn a_birthday_on_the_day_of_a_clock_change() {
    let (gateway, time) = gateway();
    let midnight = time::macros::utc_datetime!(2026-11-01 00:00:00).unix_timestamp();
    for (at, wanted) in
        [(-1, 422), (0, 201), (4 * HOUR, 201), (6 * HOUR - 1, 201), (6 * HOUR, 201), (24 * HOUR, 201)]
    {
        time.store(midnight + at, Relaxed);
        let mut request = partner::create(&format!("at{at}"), None);
        let body = String::from_utf8(request.body).unwrap().replace("1990-05-15", "2008-11-01");
        request.body = body.into_bytes();
        assert_eq!(status(&gateway, request, midnight + at).await, wanted, "{at} s after midnight");
    }
}
