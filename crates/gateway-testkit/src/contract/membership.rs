//! A list by namespace follows the links of its users.

use gateway_core::{User, UserStore};

use super::{
    fixture::{Fixture, link, namespace, touch},
    table,
};

table! {
    a_namespace_lists_its_members_only: "A list by namespace leaves out users of other namespaces and of none.",
    a_user_of_two_namespaces_is_in_both: "A user linked in two namespaces is listed in both.",
    a_user_linked_twice_is_listed_once: "A user with two links in a namespace is listed once.",
    one_link_left_is_a_member: "Of two links in a namespace the last one keeps the user listed.",
    a_new_member_is_listed: "A user that is linked later is listed from then on.",
    a_member_that_left_is_not_listed: "A user whose link went is not listed there, and still elsewhere.",
    a_member_that_moved_is_listed_once: "A user that moves to another namespace is listed there only.",
    a_changed_external_id_keeps_the_member: "Another external id in the same namespace leaves the list as it was.",
    a_member_survives_its_updates: "Updates that do not speak of links leave the list as it was.",
    a_prefix_of_a_namespace_is_another: "A namespace does not list those of one whose name begins with it.",
    filtered_pages_skip_others: "Users of other namespaces take no room on a page.",
}

async fn a_namespace_lists_its_members_only<S: UserStore>(fx: Fixture<S>) {
    let (home, away) = (fx.namespace(), fx.namespace());
    fx.create(fx.linked(&[&away])).await;
    let member = fx.create(fx.linked(&[&home])).await;
    fx.create(fx.user()).await;
    assert_eq!(fx.members(&home, None, 9).await, [member.id]);
}

async fn a_user_of_two_namespaces_is_in_both<S: UserStore>(fx: Fixture<S>) {
    let (one, two) = (fx.namespace(), fx.namespace());
    let user = fx.create(fx.linked(&[&one, &two])).await;
    for namespace in [one, two] {
        assert_eq!(fx.members(&namespace, None, 9).await, [user.id]);
    }
}

async fn a_user_linked_twice_is_listed_once<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let twice = fx.create(fx.linked(&[&namespace, &namespace])).await;
    let once = fx.create(fx.linked(&[&namespace])).await;
    assert_eq!(fx.members(&namespace, None, 9).await, [twice.id, once.id]);
    assert_eq!(fx.members(&namespace, None, 2).await, [twice.id, once.id]);
}

async fn one_link_left_is_a_member<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.linked(&[&namespace, &namespace])).await;
    let user = fx.update(&user, |user| drop(user.links.remove(0))).await;
    assert_eq!(fx.members(&namespace, None, 9).await, [user.id]);
    fx.update(&user, |user| user.links.clear()).await;
    assert_eq!(fx.members(&namespace, None, 9).await, []);
}

async fn a_new_member_is_listed<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let early = fx.create(fx.user()).await;
    let late = fx.create(fx.linked(&[&namespace])).await;
    fx.update(&early, |user| user.links.push(fx.link(&namespace))).await;
    assert_eq!(fx.members(&namespace, None, 9).await, [early.id, late.id]);
}

async fn a_member_that_left_is_not_listed<S: UserStore>(fx: Fixture<S>) {
    let (left, kept) = (fx.namespace(), fx.namespace());
    let user = fx.create(fx.linked(&[&left, &kept])).await;
    fx.update(&user, |user| drop(user.links.remove(0))).await;
    assert_eq!(fx.members(&left, None, 9).await, []);
    assert_eq!(fx.members(&kept, None, 9).await, [user.id]);
}

async fn a_member_that_moved_is_listed_once<S: UserStore>(fx: Fixture<S>) {
    let (old, new) = (fx.namespace(), fx.namespace());
    let user = fx.create(fx.linked(&[&old])).await;
    fx.update(&user, |user| user.links = vec![fx.link(&new)]).await;
    assert_eq!(fx.members(&old, None, 9).await, []);
    assert_eq!(fx.members(&new, None, 9).await, [user.id]);
}

async fn a_changed_external_id_keeps_the_member<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.linked(&[&namespace])).await;
    fx.update(&user, |user| user.links = vec![fx.link(&namespace)]).await;
    assert_eq!(fx.members(&namespace, None, 9).await, [user.id]);
}

async fn a_member_survives_its_updates<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let mut user = fx.create(fx.linked(&[&namespace])).await;
    for round in 0..3 {
        user = fx.update(&user, |user| touch(user, &round.to_string())).await;
        assert_eq!(fx.members(&namespace, None, 9).await, [user.id]);
    }
}

async fn a_prefix_of_a_namespace_is_another<S: UserStore>(fx: Fixture<S>) {
    let short = fx.namespace();
    for end in ["-", ".", "_", "0", "z", "-x"] {
        let longer = namespace(&format!("{}{end}", short.as_str()));
        let user = fx.create(User { links: vec![link(&longer, "same")], ..fx.user() }).await;
        assert_eq!(fx.members(&longer, None, 9).await, [user.id]);
    }
    assert_eq!(fx.members(&short, None, 9).await, []);
    let user = fx.create(fx.linked(&[&short])).await;
    assert_eq!(fx.members(&short, None, 9).await, [user.id]);
}

async fn filtered_pages_skip_others<S: UserStore>(fx: Fixture<S>) {
    let (home, away) = (fx.namespace(), fx.namespace());
    let mut members = Vec::new();
    for _ in 0..4 {
        fx.create(fx.linked(&[&away])).await;
        members.push(fx.create(fx.linked(&[&home])).await.id);
        fx.create(fx.user()).await;
    }
    assert_eq!(fx.members(&home, None, 4).await, members);
    assert_eq!(fx.members(&home, None, 2).await, members[..2]);
    assert_eq!(fx.members(&home, Some(members[1]), 2).await, members[2..]);
}
