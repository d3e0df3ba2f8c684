//! Users come, change and go, and a version is checked at every step.

use std::sync::Arc;

use gateway_core::{Committed, User, UserStore, Write};

use super::{
    fixture::{Fixture, delete, next, touch, update},
    table,
};

table! {
    a_created_user_reads_back: "A created user reads back as it was given.",
    an_unknown_id_is_absent: "An id that was never used names no user.",
    a_user_needs_no_links: "A user without links is a user.",
    an_update_replaces_the_state: "An update replaces the whole state by the new one.",
    an_update_may_change_the_version_alone: "An update that differs in its version only is an update.",
    a_long_line_of_updates_holds: "A hundred updates in a row each stand on the one before.",
    a_version_may_be_beyond_32_bits: "A version beyond 32 bits is kept, and checked in full.",
    a_deleted_user_is_absent: "A deleted user is absent.",
    users_do_not_touch_each_other: "A write to a user leaves another as it was.",
    a_create_over_a_user_is_stale: "A create over an existing id is stale, and the user stands.",
    a_create_again_is_stale: "The same create a second time is stale.",
    a_create_over_a_later_version_is_stale: "A create over an id that has changed since is stale.",
    a_create_over_a_tombstone_is_stale: "The id of a deleted user is never used again.",
    a_stale_update_is_refused: "An update from an earlier version is stale, and changes nothing.",
    an_update_from_the_future_is_refused: "An update from a version that is not there yet is stale.",
    an_update_of_nobody_is_stale: "An update of an id that was never used is stale, and makes no user.",
    an_update_of_a_deleted_user_is_stale: "An update of a deleted user is stale, and does not revive it.",
    a_version_never_falls: "An update that does not raise the version is refused.",
    an_update_cannot_change_the_id: "An update to another id is refused, and neither id is touched.",
    a_stale_delete_is_refused: "A delete from an earlier version is stale, and the user stands.",
    a_delete_of_nobody_is_stale: "A delete of an id that was never used is stale, and leaves no tombstone.",
    a_second_delete_is_stale: "A deleted user cannot be deleted again.",
    an_empty_commit_is_done: "A commit of nothing is done.",
}

async fn a_created_user_reads_back<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    fx.assert_stands(&user).await;
}

async fn an_unknown_id_is_absent<S: UserStore>(fx: Fixture<S>) {
    assert_eq!(fx.read(fx.id()).await, None);
}

async fn a_user_needs_no_links<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    fx.assert_stands(&user).await;
    let after = fx.update(&user, |user| touch(user, "x")).await;
    fx.assert_stands(&after).await;
    fx.delete(&after).await;
    assert_eq!(fx.read(user.id).await, None);
}

async fn an_update_replaces_the_state<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let mut other = fx.linked(&[&namespace]);
    touch(&mut other, "new");
    let after = Arc::new(User { id: user.id, version: 2, ..other });
    assert_eq!(fx.write(update(&user, &after)).await, Committed::Done);
    fx.assert_stands(&after).await;
}

async fn an_update_may_change_the_version_alone<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    let after = fx.update(&user, |_| {}).await;
    fx.assert_stands(&after).await;
}

async fn a_long_line_of_updates_holds<S: UserStore>(fx: Fixture<S>) {
    let mut user = fx.create(fx.linked(&[&fx.namespace()])).await;
    for round in 0..100 {
        user = fx.update(&user, |user| touch(user, &round.to_string())).await;
    }
    fx.assert_stands(&user).await;
    assert_eq!(user.version, 101);
}

async fn a_version_may_be_beyond_32_bits<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let far = fx.update(&user, |user| user.version += 1 << 40).await;
    fx.assert_stands(&far).await;
    // Its lower 32 bits are those of the first version.
    assert_eq!(fx.write(delete(&user)).await, Committed::Stale);
    let after = fx.update(&far, |user| touch(user, "x")).await;
    fx.assert_stands(&after).await;
}

async fn a_deleted_user_is_absent<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    fx.delete(&user).await;
    assert_eq!(fx.read(user.id).await, None);
}

async fn users_do_not_touch_each_other<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let standing = fx.create(fx.named("Jane", &[&namespace])).await;
    let other = fx.create(fx.named("Joan", &[&namespace])).await;
    let other = fx.update(&other, |user| touch(user, "x")).await;
    fx.assert_stands(&standing).await;
    fx.delete(&other).await;
    fx.assert_stands(&standing).await;
}

async fn a_create_over_a_user_is_stale<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.linked(&[&namespace])).await;
    let usurper = Arc::new(User { id: user.id, ..fx.named("Jane", &[&namespace]) });
    assert_eq!(fx.write(Write::Create(usurper)).await, Committed::Stale);
    fx.assert_stands(&user).await;
}

async fn a_create_again_is_stale<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    assert_eq!(fx.write(Write::Create(user.clone())).await, Committed::Stale);
    fx.assert_stands(&user).await;
}

async fn a_create_over_a_later_version_is_stale<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let after = fx.update(&user, |user| touch(user, "x")).await;
    for version in [1, 2, 3] {
        let again = Arc::new(User { version, ..(*user).clone() });
        assert_eq!(fx.write(Write::Create(again)).await, Committed::Stale);
    }
    fx.assert_stands(&after).await;
}

async fn a_create_over_a_tombstone_is_stale<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    fx.delete(&user).await;
    for version in [1, 2, 3] {
        let again = Arc::new(User { version, ..(*user).clone() });
        assert_eq!(fx.write(Write::Create(again)).await, Committed::Stale);
    }
    assert_eq!(fx.read(user.id).await, None);
}

async fn a_stale_update_is_refused<S: UserStore>(fx: Fixture<S>) {
    let first = fx.create(fx.user()).await;
    let second = fx.update(&first, |user| touch(user, "second")).await;
    let late = next(&first, |user| touch(user, "late"));
    assert_eq!(fx.write(update(&first, &late)).await, Committed::Stale);
    let later = next(&late, |_| {});
    assert_eq!(fx.write(update(&first, &later)).await, Committed::Stale);
    fx.assert_stands(&second).await;
}

async fn an_update_from_the_future_is_refused<S: UserStore>(fx: Fixture<S>) {
    let first = fx.create(fx.user()).await;
    let second = next(&first, |_| {});
    let third = next(&second, |_| {});
    assert_eq!(fx.write(update(&second, &third)).await, Committed::Stale);
    fx.assert_stands(&first).await;
}

async fn an_update_of_nobody_is_stale<S: UserStore>(fx: Fixture<S>) {
    let nobody = Arc::new(fx.user());
    let after = next(&nobody, |_| {});
    assert_eq!(fx.write(update(&nobody, &after)).await, Committed::Stale);
    assert_eq!(fx.read(nobody.id).await, None);
    fx.create((*nobody).clone()).await;
}

async fn an_update_of_a_deleted_user_is_stale<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    fx.delete(&user).await;
    let second = next(&user, |_| {});
    let third = next(&second, |_| {});
    assert_eq!(fx.write(update(&user, &second)).await, Committed::Stale);
    assert_eq!(fx.write(update(&second, &third)).await, Committed::Stale);
    assert_eq!(fx.read(user.id).await, None);
}

async fn a_version_never_falls<S: UserStore>(fx: Fixture<S>) {
    let first = fx.create(fx.user()).await;
    let second = fx.update(&first, |_| {}).await;
    for version in [1, 2] {
        let after = next(&second, |user| user.version = version);
        assert_eq!(fx.write(update(&second, &after)).await, Committed::Stale);
    }
    fx.assert_stands(&second).await;
}

async fn an_update_cannot_change_the_id<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    let moved = next(&user, |user| user.id = fx.id());
    assert_eq!(fx.write(update(&user, &moved)).await, Committed::Stale);
    fx.assert_stands(&user).await;
    assert_eq!(fx.read(moved.id).await, None);
}

async fn a_stale_delete_is_refused<S: UserStore>(fx: Fixture<S>) {
    let first = fx.create(fx.user()).await;
    let second = fx.update(&first, |_| {}).await;
    assert_eq!(fx.write(delete(&first)).await, Committed::Stale);
    fx.assert_stands(&second).await;
    assert_eq!(fx.write(delete(&next(&second, |_| {}))).await, Committed::Stale);
    fx.assert_stands(&second).await;
}

async fn a_delete_of_nobody_is_stale<S: UserStore>(fx: Fixture<S>) {
    let nobody = Arc::new(fx.user());
    assert_eq!(fx.write(delete(&nobody)).await, Committed::Stale);
    fx.create((*nobody).clone()).await;
}

async fn a_second_delete_is_stale<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.user()).await;
    fx.delete(&user).await;
    assert_eq!(fx.write(delete(&user)).await, Committed::Stale);
    assert_eq!(fx.write(delete(&next(&user, |_| {}))).await, Committed::Stale);
}

async fn an_empty_commit_is_done<S: UserStore>(fx: Fixture<S>) {
    assert_eq!(fx.guarded(None, &[]).await, Committed::Done);
}
