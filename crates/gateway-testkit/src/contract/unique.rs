//! An external id names at most one user of its namespace.

use std::sync::Arc;

use gateway_core::{Committed, Namespace, Status, User, UserStore, Write};

use super::{
    fixture::{Fixture, link, link_key, namespace, next, update},
    table,
};

table! {
    a_link_has_one_user: "A create with another user's link is refused, and names the link.",
    a_link_cannot_be_gained_from_its_owner: "An update that adds another user's link is refused.",
    one_external_id_serves_in_two_namespaces: "The same external id in two namespaces may name two users.",
    one_user_may_have_one_external_id_twice: "A user may have the same external id in two namespaces.",
    external_ids_tell_case_apart: "External ids that differ in case differ.",
    external_ids_are_not_normalised: "External ids that look alike, but for their bytes, differ.",
    namespaces_tell_case_apart: "Namespaces that differ in case differ.",
    namespace_and_external_id_do_not_run_together: "Namespace and external id are compared each by itself.",
    the_longest_link_is_a_link: "128 characters of four bytes in a namespace of 64 make a link.",
    any_character_may_be_in_an_external_id: "Slashes, quotes, percent signs and the like are characters.",
    a_link_given_up_is_free: "A link that its user gave up can be taken by another.",
    a_replaced_link_is_free: "Replacing one link by another frees the first and takes the second.",
    a_link_is_free_after_deletion: "The links of a deleted user can be taken by a new one.",
    an_owner_keeps_its_link: "An update that does not speak of links keeps them.",
    links_may_change_their_order: "An update may put a user's links into another order.",
    links_change_hands_in_turn: "Two users exchange their links one step at a time.",
    a_closed_user_keeps_its_link: "A closed user is a user: its links stay taken.",
    two_links_in_a_namespace_are_two_keys: "Two links in one namespace are each taken, and freed each alone.",
}

/// Another user with this user's links.
fn twin<S>(fx: &Fixture<S>, user: &User) -> Arc<User> {
    Arc::new(User { links: user.links.clone(), ..fx.user() })
}

async fn a_link_has_one_user<S: UserStore>(fx: Fixture<S>) {
    let owner = fx.create(fx.linked(&[&fx.namespace()])).await;
    let twin = twin(&fx, &owner);
    assert_eq!(fx.write(Write::Create(twin.clone())).await, Committed::Taken(link_key(&owner, 0)));
    assert_eq!(fx.read(twin.id).await, None);
    assert_eq!(fx.owner(&link_key(&owner, 0)).await, Some(owner.id));
}

async fn a_link_cannot_be_gained_from_its_owner<S: UserStore>(fx: Fixture<S>) {
    let owner = fx.create(fx.linked(&[&fx.namespace(), &fx.namespace()])).await;
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    for at in [0, 1] {
        let wish = next(&user, |user| user.links.push(owner.links[at].clone()));
        assert_eq!(fx.write(update(&user, &wish)).await, Committed::Taken(link_key(&owner, at)));
    }
    fx.assert_stands(&user).await;
}

async fn one_external_id_serves_in_two_namespaces<S: UserStore>(fx: Fixture<S>) {
    for namespace in [fx.namespace(), fx.namespace()] {
        let user = fx.create(User { links: vec![link(&namespace, "same")], ..fx.user() }).await;
        assert_eq!(fx.owner(&link_key(&user, 0)).await, Some(user.id));
    }
}

async fn one_user_may_have_one_external_id_twice<S: UserStore>(fx: Fixture<S>) {
    let links = vec![link(&fx.namespace(), "same"), link(&fx.namespace(), "same")];
    let user = fx.create(User { links, ..fx.user() }).await;
    for at in [0, 1] {
        assert_eq!(fx.owner(&link_key(&user, at)).await, Some(user.id));
    }
}

/// Creates a user under each of these external ids, and finds each under its own.
async fn assert_all_differ<S: UserStore>(fx: &Fixture<S>, namespace: &Namespace, external_ids: &[&str]) {
    let mut users = Vec::new();
    for external_id in external_ids {
        users.push(fx.create(User { links: vec![link(namespace, external_id)], ..fx.user() }).await);
    }
    for user in users {
        let found = fx.find(&link_key(&user, 0)).await;
        assert_eq!(found.map(|found| found.id), Some(user.id), "{}", user.links[0].external_id.as_str());
    }
}

async fn external_ids_tell_case_apart<S: UserStore>(fx: Fixture<S>) {
    assert_all_differ(&fx, &fx.namespace(), &["abc", "ABC", "Abc", "é", "É", "ß", "ss", "SS"]).await;
}

async fn external_ids_are_not_normalised<S: UserStore>(fx: Fixture<S>) {
    let alike = ["x", "x ", " x", "x\u{a0}", "x\u{200b}", "\u{e9}", "e\u{301}", "\u{fb01}", "fi", "1", "01"];
    assert_all_differ(&fx, &fx.namespace(), &alike).await;
}

async fn namespaces_tell_case_apart<S: UserStore>(fx: Fixture<S>) {
    let lower = fx.namespace();
    let upper = namespace(&lower.as_str().to_ascii_uppercase());
    for namespace in [lower, upper] {
        assert_all_differ(&fx, &namespace, &["same"]).await;
        assert_eq!(fx.members(&namespace, None, 9).await.len(), 1);
    }
}

async fn namespace_and_external_id_do_not_run_together<S: UserStore>(fx: Fixture<S>) {
    let short = fx.namespace();
    for (end, external_id) in [("", ".b-c"), (".b", "-c"), (".b-", "c"), (".b-c", "x"), ("", ".b-cx")] {
        let namespace = namespace(&format!("{}{end}", short.as_str()));
        assert_all_differ(&fx, &namespace, &[external_id]).await;
    }
}

async fn the_longest_link_is_a_link<S: UserStore>(fx: Fixture<S>) {
    let base = fx.namespace();
    let namespace = namespace(&format!("{:-<64}", base.as_str()));
    let stem = "\u{10ffff}".repeat(127);
    let ids = [format!("{stem}\u{10fffe}"), format!("{stem}\u{10ffff}"), stem];
    assert_all_differ(&fx, &namespace, &[&ids[0], &ids[1], &ids[2]]).await;
}

async fn any_character_may_be_in_an_external_id<S: UserStore>(fx: Fixture<S>) {
    let odd = ["/", "a/b", "%2F", "%", "_", "'", "''", "\"", "\\", "\\\\", "a:b", "...", "*", "\u{2028}"];
    assert_all_differ(&fx, &fx.namespace(), &odd).await;
    let scripts = ["名前", "имя", "اسم", "\u{1f469}\u{200d}\u{1f680}", "\u{ffff}", "\u{e000}", "null", "{}"];
    assert_all_differ(&fx, &fx.namespace(), &scripts).await;
}

async fn a_link_given_up_is_free<S: UserStore>(fx: Fixture<S>) {
    let owner = fx.create(fx.linked(&[&fx.namespace(), &fx.namespace()])).await;
    let mut wanted = fx.user();
    wanted.links.push(owner.links[0].clone());
    fx.update(&owner, |user| drop(user.links.remove(0))).await;
    assert_eq!(fx.owner(&link_key(&owner, 0)).await, None);
    let user = fx.create(wanted).await;
    assert_eq!(fx.owner(&link_key(&owner, 0)).await, Some(user.id));
    assert_eq!(fx.owner(&link_key(&owner, 1)).await, Some(owner.id));
}

async fn a_replaced_link_is_free<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let before = fx.create(fx.linked(&[&namespace])).await;
    let after = fx.update(&before, |user| user.links = vec![fx.link(&namespace)]).await;
    assert_eq!(fx.owner(&link_key(&before, 0)).await, None);
    assert_eq!(fx.owner(&link_key(&after, 0)).await, Some(after.id));
    let user = fx.create((*twin(&fx, &before)).clone()).await;
    assert_eq!(fx.owner(&link_key(&user, 0)).await, Some(user.id));
    assert_eq!(
        fx.write(Write::Create(twin(&fx, &after))).await,
        Committed::Taken(link_key(&after, 0)),
        "the new link is taken"
    );
}

async fn a_link_is_free_after_deletion<S: UserStore>(fx: Fixture<S>) {
    let gone = fx.create(fx.linked(&[&fx.namespace(), &fx.namespace()])).await;
    fx.delete(&gone).await;
    let user = fx.create((*twin(&fx, &gone)).clone()).await;
    for at in [0, 1] {
        assert_eq!(fx.owner(&link_key(&gone, at)).await, Some(user.id));
    }
}

async fn an_owner_keeps_its_link<S: UserStore>(fx: Fixture<S>) {
    let mut owner = fx.create(fx.linked(&[&fx.namespace()])).await;
    for _ in 0..3 {
        owner = fx.update(&owner, |_| {}).await;
        assert_eq!(fx.owner(&link_key(&owner, 0)).await, Some(owner.id));
        let refused = fx.write(Write::Create(twin(&fx, &owner))).await;
        assert_eq!(refused, Committed::Taken(link_key(&owner, 0)));
    }
}

async fn links_may_change_their_order<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace(), &fx.namespace()])).await;
    let after = fx.update(&user, |user| user.links.reverse()).await;
    fx.assert_stands(&after).await;
    for at in [0, 1] {
        assert_eq!(fx.owner(&link_key(&after, at)).await, Some(user.id));
    }
}

async fn links_change_hands_in_turn<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let left = fx.create(fx.linked(&[&namespace])).await;
    let right = fx.create(fx.linked(&[&namespace])).await;
    let at_once = next(&left, |user| user.links.clone_from(&right.links));
    assert_eq!(fx.write(update(&left, &at_once)).await, Committed::Taken(link_key(&right, 0)));
    let bare = fx.update(&left, |user| user.links.clear()).await;
    fx.update(&right, |user| user.links.clone_from(&left.links)).await;
    fx.update(&bare, |user| user.links.clone_from(&right.links)).await;
    assert_eq!(fx.owner(&link_key(&left, 0)).await, Some(right.id));
    assert_eq!(fx.owner(&link_key(&right, 0)).await, Some(left.id));
}

async fn a_closed_user_keeps_its_link<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    let closed = fx.update(&user, |user| user.status = Status::Closed).await;
    assert_eq!(fx.owner(&link_key(&closed, 0)).await, Some(closed.id));
    let refused = fx.write(Write::Create(twin(&fx, &closed))).await;
    assert_eq!(refused, Committed::Taken(link_key(&closed, 0)));
}

async fn two_links_in_a_namespace_are_two_keys<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.linked(&[&namespace, &namespace])).await;
    for at in [0, 1] {
        assert_eq!(fx.owner(&link_key(&user, at)).await, Some(user.id));
    }
    let after = fx.update(&user, |user| drop(user.links.remove(0))).await;
    assert_eq!(fx.owner(&link_key(&user, 0)).await, None);
    assert_eq!(fx.owner(&link_key(&after, 0)).await, Some(user.id));
}
