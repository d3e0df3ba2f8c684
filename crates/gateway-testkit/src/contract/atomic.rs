//! A commit becomes true as a whole or leaves no trace, and is refused for the first reason in order:
//! guards, version, unique keys.

use std::sync::Arc;

use gateway_core::{Committed, User, UserStore, Write};

use super::{
    fixture::{Fixture, delete, link_key, name_key, next, rename, touch, update},
    table,
};

table! {
    a_done_commit_is_there_as_a_whole: "A commit that is done made user, keys and every guard true.",
    a_stale_create_leaves_no_trace: "A create refused over an existing id leaves no link, name or guard.",
    a_stale_update_leaves_no_trace: "An update refused for its version leaves no link, name or guard.",
    a_stale_update_frees_no_key: "An update refused for its version frees none of the user's keys.",
    a_stale_delete_leaves_no_trace: "A delete refused for its version keeps keys and answers, and no guard.",
    a_taken_link_leaves_no_trace: "A create refused for one link leaves no user, other link, name or guard.",
    a_taken_name_leaves_no_trace: "A create refused for its name leaves no user, link or guard.",
    a_refused_update_keeps_the_keys: "An update refused for a taken key leaves the user with the keys it had.",
    a_taken_guard_stops_a_create: "A create refused for its guard leaves no user, link or name.",
    a_taken_guard_stops_an_update: "An update refused for its guard leaves the user and its keys.",
    a_taken_guard_stops_a_delete: "A delete refused for its guard leaves the user, its keys and answers.",
    one_of_two_guards_keeps_neither: "With one of two guards taken, in either order, the other is not kept.",
    a_refused_commit_can_be_mended: "After a refusal the same guard and id serve for a commit that fits.",
    a_taken_guard_comes_before_a_stale_version: "A taken guard is reported before a stale version.",
    a_taken_guard_comes_before_a_taken_link: "A taken guard is reported before a taken unique key.",
    a_stale_version_comes_before_a_taken_link: "A stale version is reported before a taken unique key.",
}

async fn a_done_commit_is_there_as_a_whole<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = Arc::new(fx.named("Jane", &[&namespace]));
    let guards = [fx.guard(Some(user.id)), fx.guard(None)];
    let done = fx.guarded(Some(Write::Create(user.clone())), &[&guards[0], &guards[1]]).await;
    assert_eq!(done, Committed::Done);
    fx.assert_stands(&user).await;
    assert_eq!(fx.owner(&link_key(&user, 0)).await, Some(user.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(user.id));
    for guard in guards {
        assert_eq!(fx.record(&guard).await, Some(guard.record));
    }
}

async fn a_stale_create_leaves_no_trace<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let standing = fx.create(fx.user()).await;
    let usurper = Arc::new(User { id: standing.id, ..fx.named("Jane", &[&namespace]) });
    let guard = fx.guard(Some(standing.id));
    assert_eq!(fx.guarded(Some(Write::Create(usurper.clone())), &[&guard]).await, Committed::Stale);
    fx.assert_stands(&standing).await;
    assert_eq!(fx.owner(&link_key(&usurper, 0)).await, None);
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, None);
    assert_eq!(fx.record(&guard).await, None);
    assert_eq!(fx.members(&namespace, None, 9).await, []);
}

async fn a_stale_update_leaves_no_trace<S: UserStore>(fx: Fixture<S>) {
    let (old, new) = (fx.namespace(), fx.namespace());
    let first = fx.create(fx.linked(&[&old])).await;
    let second = fx.update(&first, |user| touch(user, "x")).await;
    let late = next(&first, |user| {
        user.links.push(fx.link(&new));
        rename(user, "Jane");
    });
    let guard = fx.guard(Some(first.id));
    assert_eq!(fx.guarded(Some(update(&first, &late)), &[&guard]).await, Committed::Stale);
    fx.assert_stands(&second).await;
    for key in [link_key(&late, 1), name_key(&old, "Jane"), name_key(&new, "Jane")] {
        assert_eq!(fx.owner(&key).await, None);
    }
    assert_eq!(fx.record(&guard).await, None);
    assert_eq!(fx.members(&new, None, 9).await, []);
}

async fn a_stale_update_frees_no_key<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let first = fx.create(fx.named("Jane", &[&namespace])).await;
    let second = fx.update(&first, |_| {}).await;
    let bare = next(&first, |user| {
        user.links.clear();
        rename(user, "Joan");
    });
    assert_eq!(fx.write(update(&first, &bare)).await, Committed::Stale);
    assert_eq!(fx.owner(&link_key(&second, 0)).await, Some(second.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(second.id));
    assert_eq!(fx.members(&namespace, None, 9).await, [second.id]);
}

async fn a_stale_delete_leaves_no_trace<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let first = fx.create(fx.named("Jane", &[&namespace])).await;
    let second = fx.update(&first, |_| {}).await;
    let (kept, refused) = (fx.guard(Some(first.id)), fx.guard(Some(first.id)));
    fx.keep(&kept).await;
    assert_eq!(fx.guarded(Some(delete(&first)), &[&refused]).await, Committed::Stale);
    fx.assert_stands(&second).await;
    assert_eq!(fx.owner(&link_key(&first, 0)).await, Some(first.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(first.id));
    assert_eq!(fx.record(&kept).await, Some(kept.record));
    assert_eq!(fx.record(&refused).await, None);
}

async fn a_taken_link_leaves_no_trace<S: UserStore>(fx: Fixture<S>) {
    let (first, last) = (fx.namespace(), fx.namespace());
    let owner = fx.create(fx.linked(&[&last])).await;
    let mut refused = fx.named("Jane", &[&first]);
    refused.links.push(owner.links[0].clone());
    let (refused, guard) = (Arc::new(refused), fx.guard(None));
    let taken = Committed::Taken(link_key(&owner, 0));
    assert_eq!(fx.guarded(Some(Write::Create(refused.clone())), &[&guard]).await, taken);
    assert_eq!(fx.read(refused.id).await, None);
    for key in [link_key(&refused, 0), name_key(&first, "Jane"), name_key(&last, "Jane")] {
        assert_eq!(fx.owner(&key).await, None);
    }
    assert_eq!(fx.record(&guard).await, None);
    assert_eq!(fx.members(&first, None, 9).await, []);
    assert_eq!(fx.members(&last, None, 9).await, [owner.id]);
}

async fn a_taken_name_leaves_no_trace<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let owner = fx.create(fx.named("Jane", &[&namespace])).await;
    let (refused, guard) = (Arc::new(fx.named("Jane", &[&namespace])), fx.guard(None));
    let taken = Committed::Taken(name_key(&namespace, "Jane"));
    assert_eq!(fx.guarded(Some(Write::Create(refused.clone())), &[&guard]).await, taken);
    assert_eq!(fx.read(refused.id).await, None);
    assert_eq!(fx.owner(&link_key(&refused, 0)).await, None);
    assert_eq!(fx.record(&guard).await, None);
    assert_eq!(fx.members(&namespace, None, 9).await, [owner.id]);
}

async fn a_refused_update_keeps_the_keys<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let owner = fx.create(fx.linked(&[&namespace])).await;
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let wish = next(&user, |user| {
        user.links.clone_from(&owner.links);
        rename(user, "Joan");
    });
    assert_eq!(fx.write(update(&user, &wish)).await, Committed::Taken(link_key(&owner, 0)));
    fx.assert_stands(&user).await;
    assert_eq!(fx.owner(&link_key(&user, 0)).await, Some(user.id));
    assert_eq!(fx.owner(&link_key(&owner, 0)).await, Some(owner.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(user.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Joan")).await, None);
}

async fn a_taken_guard_stops_a_create<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    let user = Arc::new(fx.named("Jane", &[&namespace]));
    let refused = fx.guarded(Some(Write::Create(user.clone())), &[&guard]).await;
    assert_eq!(refused, Committed::KeyTaken(guard.key));
    assert_eq!(fx.read(user.id).await, None);
    assert_eq!(fx.owner(&link_key(&user, 0)).await, None);
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, None);
    assert_eq!(fx.members(&namespace, None, 9).await, []);
}

async fn a_taken_guard_stops_an_update<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let after = next(&user, |user| rename(user, "Joan"));
    let refused = fx.guarded(Some(update(&user, &after)), &[&guard]).await;
    assert_eq!(refused, Committed::KeyTaken(guard.key));
    fx.assert_stands(&user).await;
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(user.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Joan")).await, None);
}

async fn a_taken_guard_stops_a_delete<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let guard = fx.guard(Some(user.id));
    fx.keep(&guard).await;
    assert_eq!(fx.guarded(Some(delete(&user)), &[&guard]).await, Committed::KeyTaken(guard.key));
    fx.assert_stands(&user).await;
    assert_eq!(fx.owner(&link_key(&user, 0)).await, Some(user.id));
    assert_eq!(fx.record(&guard).await, Some(guard.record));
}

async fn one_of_two_guards_keeps_neither<S: UserStore>(fx: Fixture<S>) {
    let (taken, free) = (fx.guard(None), fx.guard(None));
    fx.keep(&taken).await;
    for guards in [[&taken, &free], [&free, &taken]] {
        assert_eq!(fx.guarded(None, &guards).await, Committed::KeyTaken(taken.key));
        assert_eq!(fx.record(&free).await, None);
    }
    fx.keep(&free).await;
}

async fn a_refused_commit_can_be_mended<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let owner = fx.create(fx.named("Jane", &[&namespace])).await;
    let (mut user, guard) = (fx.named("Jane", &[&namespace]), fx.guard(None));
    let refused = fx.guarded(Some(Write::Create(Arc::new(user.clone()))), &[&guard]).await;
    assert_eq!(refused, Committed::Taken(name_key(&namespace, "Jane")));
    rename(&mut user, "Joan");
    let done = fx.guarded(Some(Write::Create(Arc::new(user.clone()))), &[&guard]).await;
    assert_eq!(done, Committed::Done);
    fx.assert_stands(&user).await;
    fx.assert_stands(&owner).await;
    assert_eq!(fx.record(&guard).await, Some(guard.record));
}

async fn a_taken_guard_comes_before_a_stale_version<S: UserStore>(fx: Fixture<S>) {
    let first = fx.create(fx.user()).await;
    let second = fx.update(&first, |_| {}).await;
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    for write in [Write::Create(first.clone()), update(&first, &second), delete(&first)] {
        assert_eq!(fx.guarded(Some(write), &[&guard]).await, Committed::KeyTaken(guard.key));
    }
    fx.assert_stands(&second).await;
}

async fn a_taken_guard_comes_before_a_taken_link<S: UserStore>(fx: Fixture<S>) {
    let owner = fx.create(fx.linked(&[&fx.namespace()])).await;
    let guard = fx.guard(None);
    fx.keep(&guard).await;
    let user = Arc::new(User { id: fx.id(), ..(*owner).clone() });
    let refused = fx.guarded(Some(Write::Create(user)), &[&guard]).await;
    assert_eq!(refused, Committed::KeyTaken(guard.key));
}

async fn a_stale_version_comes_before_a_taken_link<S: UserStore>(fx: Fixture<S>) {
    let owner = fx.create(fx.linked(&[&fx.namespace()])).await;
    let first = fx.create(fx.user()).await;
    fx.update(&first, |_| {}).await;
    let wish = next(&first, |user| user.links.clone_from(&owner.links));
    for write in [Write::Create(wish.clone()), update(&first, &wish)] {
        assert_eq!(fx.write(write).await, Committed::Stale);
    }
}
