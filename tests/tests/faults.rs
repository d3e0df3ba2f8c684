//! What clients are told when the store cannot, or does not know.

use gateway_testkit::{cases::Transport, memory::Fault};
use tests::{Bed, Inside, partner};
use uuid::Uuid;

/// Decision 10: what no original documents speaks the dialect too; an unknown end is no failure.
#[tokio::test]
async fn an_unknown_commit_is_answered_as_unknown_and_its_key_tells() {
    for (fault, replayed) in [(Fault::Unknown, None), (Fault::UnknownDone, Some("true"))] {
        let gateway = Inside::new(&Bed::new());
        let key = Some(Uuid::new_v4());
        gateway.gateway.store().fail_next_commits(1, fault);
        let answer = gateway.send(partner::create("a", key)).await.unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        let body = String::from_utf8(answer.body).unwrap();
        assert!(body.contains(r#""error":"internal_error""#) && body.contains("outcome"), "{body}");
        let again = gateway.send(partner::create("a", key)).await.unwrap();
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, replayed));
    }
}

#[tokio::test]
async fn a_store_that_cannot_is_unavailable_and_keeps_no_answer() {
    let gateway = Inside::new(&Bed::new());
    let key = Some(Uuid::new_v4());
    let before = gateway.digest();
    gateway.gateway.store().fail_next_commits(2, Fault::Unavailable);
    let answer = gateway.send(partner::create("a", key)).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let refused = gateway.send(partner::update("nobody", key, "x")).await.unwrap();
    assert_eq!(refused.status, 503, "a refusal that cannot be kept with its key is none yet");
    assert_eq!(gateway.digest(), before);
    assert_eq!(gateway.send(partner::create("a", key)).await.unwrap().status, 201);
}

/// A replay is the same bytes, and a second reading of an unchanged user has the same version.
#[tokio::test]
async fn replays_are_byte_equal_and_no_change_is_none() {
    let gateway = Inside::new(&Bed::new());
    let key = Some(Uuid::new_v4());
    let first = gateway.send(partner::create("a", key)).await.unwrap();
    let again = gateway.send(partner::create("a", key)).await.unwrap();
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    let twice = Some(Uuid::new_v4());
    let refused = gateway.send(partner::create("a", twice)).await.unwrap();
    let replayed = gateway.send(partner::create("a", twice)).await.unwrap();
    assert_eq!((refused.status, &refused.body), (409, &replayed.body), "the first one's request id, too");
    let changed = gateway.send(partner::update("a", None, "Ghent")).await.unwrap();
    let before = gateway.digest();
    let same = gateway.send(partner::update("a", None, "Ghent")).await.unwrap();
    assert_eq!((changed.status, changed.body), (200, same.body));
    assert_eq!(gateway.digest(), before);
}
