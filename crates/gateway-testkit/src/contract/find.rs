//! A find by link or username sees the user as it stands, after every kind of change.

use gateway_core::{Attr, UserStore};

use super::{
    fixture::{Fixture, clear, link, link_key, name_key, rename, touch},
    table,
};

table! {
    unknown_keys_find_nobody: "A link or name that nobody has finds nobody.",
    a_created_user_is_found: "A created user is found by each of its links and names.",
    a_key_does_not_reach_into_another_namespace: "A link or name of one namespace finds nobody in another.",
    an_updated_user_is_found_as_it_is: "After an update a find gives the new state.",
    a_new_name_is_found_and_the_old_is_not: "After a rename the new name finds the user, the old one nobody.",
    a_name_in_another_case_is_found_as_it_is: "After a change of case a find gives the new spelling.",
    a_cleared_name_finds_nobody: "After a name was cleared it finds nobody; the link still does.",
    a_new_link_is_found: "After a link was added it finds the user, and so does the name there.",
    a_lost_link_finds_nobody: "After a link was removed neither it nor the name there finds the user.",
    a_replaced_link_finds_by_the_new_one: "After a link was replaced only the new one finds the user.",
    a_deleted_user_is_not_found: "After a deletion no key finds the user.",
    keys_find_their_new_user: "Keys that went to another user find that one.",
    a_key_that_came_back_is_found: "A key given up and taken back by its user finds it.",
}

async fn unknown_keys_find_nobody<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, None);
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let key = |external_id| gateway_core::UniqueKey::Link(link(&namespace, external_id));
    let own = user.links[0].external_id.as_str();
    for near in [&own[1..], &own[..own.len() - 1], &format!("{own} "), &own.to_uppercase()] {
        assert_eq!(fx.owner(&key(near)).await, None);
    }
    for near in ["jan", "janet", "ane", "j", "%", "_ane"] {
        assert_eq!(fx.owner(&name_key(&namespace, near)).await, None);
    }
}

async fn a_created_user_is_found<S: UserStore>(fx: Fixture<S>) {
    let namespaces = [fx.namespace(), fx.namespace()];
    let user = fx.create(fx.named("Jane", &namespaces.each_ref())).await;
    for key in user.unique_keys() {
        assert_eq!(fx.find(&key).await.as_ref(), Some(&user));
    }
    assert_eq!(user.unique_keys().len(), 4);
}

async fn a_key_does_not_reach_into_another_namespace<S: UserStore>(fx: Fixture<S>) {
    let (home, away) = (fx.namespace(), fx.namespace());
    let user = fx.create(fx.named("Jane", &[&home])).await;
    fx.create(fx.named("Joan", &[&away])).await;
    let same_id = link(&away, user.links[0].external_id.as_str());
    assert_eq!(fx.owner(&gateway_core::UniqueKey::Link(same_id)).await, None);
    assert_eq!(fx.owner(&name_key(&away, "Jane")).await, None);
}

async fn an_updated_user_is_found_as_it_is<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let mut user = fx.create(fx.named("Jane", &[&namespace])).await;
    for round in 0..3 {
        for key in user.unique_keys() {
            assert_eq!(fx.find(&key).await.as_ref(), Some(&user));
        }
        user = fx.update(&user, |user| touch(user, &round.to_string())).await;
    }
    for key in user.unique_keys() {
        assert_eq!(fx.find(&key).await.as_ref(), Some(&user));
    }
}

async fn a_new_name_is_found_and_the_old_is_not<S: UserStore>(fx: Fixture<S>) {
    let namespaces = [fx.namespace(), fx.namespace()];
    let user = fx.create(fx.named("Jane", &namespaces.each_ref())).await;
    let after = fx.update(&user, |user| rename(user, "Joan")).await;
    for namespace in &namespaces {
        assert_eq!(fx.find(&name_key(namespace, "Jane")).await, None);
        assert_eq!(fx.find(&name_key(namespace, "Joan")).await.as_ref(), Some(&after));
    }
}

async fn a_name_in_another_case_is_found_as_it_is<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    assert_eq!(fx.find(&name_key(&namespace, "JANE")).await.as_ref(), Some(&user));
    let after = fx.update(&user, |user| rename(user, "jANE")).await;
    assert_eq!(fx.find(&name_key(&namespace, "Jane")).await.as_ref(), Some(&after));
}

async fn a_cleared_name_finds_nobody<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let after = fx.update(&user, |user| clear(user, Attr::Username)).await;
    assert_eq!(fx.find(&name_key(&namespace, "Jane")).await, None);
    assert_eq!(fx.find(&link_key(&user, 0)).await.as_ref(), Some(&after));
}

async fn a_new_link_is_found<S: UserStore>(fx: Fixture<S>) {
    let (home, away) = (fx.namespace(), fx.namespace());
    let user = fx.create(fx.named("Jane", &[&home])).await;
    let after = fx.update(&user, |user| user.links.push(fx.link(&away))).await;
    for key in [link_key(&after, 0), link_key(&after, 1), name_key(&home, "Jane"), name_key(&away, "Jane")] {
        assert_eq!(fx.find(&key).await.as_ref(), Some(&after));
    }
}

async fn a_lost_link_finds_nobody<S: UserStore>(fx: Fixture<S>) {
    let (left, kept) = (fx.namespace(), fx.namespace());
    let user = fx.create(fx.named("Jane", &[&left, &kept])).await;
    let after = fx.update(&user, |user| drop(user.links.remove(0))).await;
    for key in [link_key(&user, 0), name_key(&left, "Jane")] {
        assert_eq!(fx.find(&key).await, None);
    }
    for key in [link_key(&user, 1), name_key(&kept, "Jane")] {
        assert_eq!(fx.find(&key).await.as_ref(), Some(&after));
    }
}

async fn a_replaced_link_finds_by_the_new_one<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let after = fx.update(&user, |user| user.links[0] = fx.link(&namespace)).await;
    assert_eq!(fx.find(&link_key(&user, 0)).await, None);
    assert_eq!(fx.find(&link_key(&after, 0)).await.as_ref(), Some(&after));
    assert_eq!(fx.find(&name_key(&namespace, "Jane")).await.as_ref(), Some(&after));
}

async fn a_deleted_user_is_not_found<S: UserStore>(fx: Fixture<S>) {
    let namespaces = [fx.namespace(), fx.namespace()];
    let user = fx.create(fx.named("Jane", &namespaces.each_ref())).await;
    fx.delete(&user).await;
    for key in user.unique_keys() {
        assert_eq!(fx.find(&key).await, None);
    }
}

async fn keys_find_their_new_user<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let first = fx.create(fx.named("Jane", &[&namespace])).await;
    fx.delete(&first).await;
    let mut heir = fx.named("JANE", &[]);
    heir.links.clone_from(&first.links);
    let heir = fx.create(heir).await;
    for key in first.unique_keys() {
        assert_eq!(fx.find(&key).await.as_ref(), Some(&heir));
    }
}

async fn a_key_that_came_back_is_found<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    let bare = fx
        .update(&user, |user| {
            user.links.clear();
            clear(user, Attr::Username);
        })
        .await;
    for key in user.unique_keys() {
        assert_eq!(fx.find(&key).await, None);
    }
    let again = fx
        .update(&bare, |bare| {
            bare.links.clone_from(&user.links);
            rename(bare, "Jane");
        })
        .await;
    for key in user.unique_keys() {
        assert_eq!(fx.find(&key).await.as_ref(), Some(&again));
    }
}
