//! The ledger keeps what was committed under a key, byte for byte, and a key is used once.

use std::sync::Arc;

use gateway_core::{Committed, Guard, LedgerRecord, UserStore, Write};

use super::{
    fixture::{Fixture, delete, touch},
    table,
};

table! {
    an_unused_key_has_no_record: "A key that was never used has no record.",
    a_kept_record_reads_back: "A record reads back as it was given, each part of it.",
    a_commit_may_carry_a_guard_alone: "A guard can be committed without a write.",
    an_answer_is_kept_byte_for_byte: "An answer of every byte value, and one of 1 MiB, is kept.",
    an_empty_answer_is_an_answer: "An empty answer is not an absent one.",
    a_record_may_have_no_answer: "A record without an answer, or without a user, is kept as such.",
    a_record_may_speak_of_an_unknown_user: "A record may speak of a user that does not exist, or of another.",
    a_key_is_used_once: "A second commit under a key is refused, names the key, and keeps the first record.",
    a_key_twice_in_a_commit_is_taken: "A key that stands twice in one commit is taken; nothing is kept.",
    two_guards_are_both_kept: "Two guards of one commit are both kept, each with its own record.",
    keys_differ_in_every_bit: "Keys that differ in one bit, whichever it is, are two keys.",
    an_update_touches_no_record: "An update of a user leaves the records about it.",
    a_deletion_takes_the_answers: "A deletion takes the answers about its user; key, time and fingerprint stay.",
    a_deletion_takes_the_answers_of_its_user_only: "Answers about others, or about nobody, survive a deletion.",
    a_deletion_takes_every_answer: "A deletion takes all of a hundred answers about its user.",
    a_deletion_keeps_its_own_answer: "The answer committed with a deletion is kept.",
    a_key_stays_taken_after_a_deletion: "A key whose answer went with its user is still taken.",
}

async fn an_unused_key_has_no_record<S: UserStore>(fx: Fixture<S>) {
    assert_eq!(fx.record(&fx.guard(None)).await, None);
}

async fn a_kept_record_reads_back<S: UserStore>(fx: Fixture<S>) {
    let user = Arc::new(fx.user());
    let guard = fx.guard(Some(user.id));
    assert_eq!(fx.guarded(Some(Write::Create(user)), &[&guard]).await, Committed::Done);
    let found = fx.record(&guard).await.expect("a record");
    assert_eq!(found.fingerprint, guard.record.fingerprint);
    assert_eq!(found.at, guard.record.at);
    assert_eq!(found.user, guard.record.user);
    assert_eq!(found.answer, guard.record.answer);
}

async fn a_commit_may_carry_a_guard_alone<S: UserStore>(fx: Fixture<S>) {
    let guard = fx.guard(None);
    assert_eq!(fx.guarded(None, &[&guard]).await, Committed::Done);
    assert_eq!(fx.record(&guard).await, Some(guard.record));
}

/// Keeps a guard with this answer and reads it back.
async fn assert_kept<S: UserStore>(fx: &Fixture<S>, change: impl FnOnce(&mut LedgerRecord)) {
    let mut guard = fx.guard(None);
    change(&mut guard.record);
    fx.keep(&guard).await;
    let found = fx.record(&guard).await.expect("a record");
    assert!(found == guard.record, "the record differs");
}

async fn an_answer_is_kept_byte_for_byte<S: UserStore>(fx: Fixture<S>) {
    let all: Vec<u8> = (0..=255).collect();
    for answer in [all.repeat(4096), vec![0], vec![0; 7], vec![255; 7], all] {
        assert_kept(&fx, |record| record.answer = Some(answer.into())).await;
    }
}

async fn an_empty_answer_is_an_answer<S: UserStore>(fx: Fixture<S>) {
    assert_kept(&fx, |record| record.answer = Some([].into())).await;
}

async fn a_record_may_have_no_answer<S: UserStore>(fx: Fixture<S>) {
    assert_kept(&fx, |record| record.answer = None).await;
    let user = fx.id();
    assert_kept(&fx, |record| (record.answer, record.user) = (None, Some(user))).await;
}

async fn a_record_may_speak_of_an_unknown_user<S: UserStore>(fx: Fixture<S>) {
    let unknown = fx.guard(Some(fx.id()));
    fx.keep(&unknown).await;
    assert_eq!(fx.record(&unknown).await, Some(unknown.record));
    let other = fx.create(fx.user()).await;
    let guard = fx.guard(Some(other.id));
    let write = Write::Create(Arc::new(fx.user()));
    assert_eq!(fx.guarded(Some(write), &[&guard]).await, Committed::Done);
    assert_eq!(fx.record(&guard).await, Some(guard.record));
}

async fn a_key_is_used_once<S: UserStore>(fx: Fixture<S>) {
    let first = fx.guard(None);
    fx.keep(&first).await;
    let same_key = Guard { key: first.key, ..fx.guard(None) };
    for again in [&first, &same_key] {
        assert_eq!(fx.guarded(None, &[again]).await, Committed::KeyTaken(first.key));
        assert_eq!(fx.record(&first).await.as_ref(), Some(&first.record));
    }
}

async fn a_key_twice_in_a_commit_is_taken<S: UserStore>(fx: Fixture<S>) {
    let (first, user) = (fx.guard(None), Arc::new(fx.user()));
    let same_key = Guard { key: first.key, ..fx.guard(None) };
    let refused = fx.guarded(Some(Write::Create(user.clone())), &[&first, &same_key]).await;
    assert_eq!(refused, Committed::KeyTaken(first.key));
    assert_eq!(fx.record(&first).await, None);
    assert_eq!(fx.read(user.id).await, None);
}

async fn two_guards_are_both_kept<S: UserStore>(fx: Fixture<S>) {
    let (key, mut signature) = (fx.guard(None), fx.guard(None));
    signature.record.answer = None;
    assert_eq!(fx.guarded(None, &[&key, &signature]).await, Committed::Done);
    for guard in [key, signature] {
        assert_eq!(fx.guarded(None, &[&guard]).await, Committed::KeyTaken(guard.key));
        assert_eq!(fx.record(&guard).await, Some(guard.record));
    }
}

async fn keys_differ_in_every_bit<S: UserStore>(fx: Fixture<S>) {
    let mut first = fx.guard(None);
    // Far from the keys of other facts.
    first.key.0[1] ^= 0x80;
    let mut guards = vec![first.clone()];
    for bit in 0..128 {
        let mut guard = Guard { key: first.key, ..fx.guard(None) };
        guard.key.0[bit / 8] ^= 1 << (bit % 8);
        guards.push(guard);
    }
    for guard in &guards {
        fx.keep(guard).await;
    }
    for guard in guards {
        assert!(fx.record(&guard).await == Some(guard.record), "the record of another key");
    }
}

async fn an_update_touches_no_record<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let guard = fx.guard(Some(user.id));
    fx.keep(&guard).await;
    fx.update(&user, |user| touch(user, "x")).await;
    assert_eq!(fx.record(&guard).await, Some(guard.record));
}

async fn a_deletion_takes_the_answers<S: UserStore>(fx: Fixture<S>) {
    let user = Arc::new(fx.user());
    let (with_write, alone) = (fx.guard(Some(user.id)), fx.guard(Some(user.id)));
    assert_eq!(fx.guarded(Some(Write::Create(user.clone())), &[&with_write]).await, Committed::Done);
    fx.keep(&alone).await;
    fx.delete(&user).await;
    for guard in [with_write, alone] {
        let found = fx.record(&guard).await.expect("the record stays");
        assert_eq!(found.answer, None, "the answer goes");
        assert!(found == LedgerRecord { answer: None, ..guard.record }, "the rest of the record stays");
    }
}

async fn a_deletion_takes_the_answers_of_its_user_only<S: UserStore>(fx: Fixture<S>) {
    // Ids that end alike: a store may look for the answers by a part of the id.
    let [id, other] = fx.ids_led_by([0x40, 0x41]);
    let mut user = fx.user();
    user.id = id;
    let user = fx.create(user).await;
    let kept = [fx.guard(Some(other)), fx.guard(None), fx.guard(Some(fx.id()))];
    let gone = fx.guard(Some(id));
    for guard in kept.iter().chain([&gone]) {
        fx.keep(guard).await;
    }
    fx.delete(&user).await;
    assert_eq!(fx.record(&gone).await.and_then(|record| record.answer), None);
    for guard in kept {
        assert!(fx.record(&guard).await == Some(guard.record), "the answer about another user");
    }
}

async fn a_deletion_takes_every_answer<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let guards: Vec<_> = (0..100).map(|_| fx.guard(Some(user.id))).collect();
    for guard in &guards {
        fx.keep(guard).await;
    }
    fx.delete(&user).await;
    for guard in guards {
        assert_eq!(fx.record(&guard).await, Some(LedgerRecord { answer: None, ..guard.record }));
    }
}

async fn a_deletion_keeps_its_own_answer<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let guard = fx.guard(Some(user.id));
    assert_eq!(fx.guarded(Some(delete(&user)), &[&guard]).await, Committed::Done);
    assert!(fx.record(&guard).await == Some(guard.record), "the answer to the deletion");
}

async fn a_key_stays_taken_after_a_deletion<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let guard = fx.guard(Some(user.id));
    fx.keep(&guard).await;
    fx.delete(&user).await;
    assert_eq!(fx.guarded(None, &[&guard]).await, Committed::KeyTaken(guard.key));
    let heir = Arc::new(fx.user());
    assert_eq!(fx.guarded(Some(Write::Create(heir)), &[&guard]).await, Committed::KeyTaken(guard.key));
}
