//! A username, without regard to case, names at most one user in every namespace its user is linked in.

use std::sync::Arc;

use gateway_core::{Attr, Committed, Namespace, Status, User, UserStore, Write};

use super::{
    fixture::{Fixture, clear, link, link_key, name_key, next, rename, update},
    table,
};

table! {
    a_name_has_one_user: "A create with another user's name is refused, and names the folded name.",
    names_are_compared_without_case: "Names that differ in case only are one name.",
    names_fold_beyond_ascii: "Case is disregarded in every script, as `fold` does it.",
    accents_tell_names_apart: "Names that differ in more than case differ.",
    a_name_serves_in_two_namespaces: "The same name in two namespaces may name two users.",
    a_name_is_taken_in_every_linked_namespace: "A name is taken in each namespace of its user, not only one.",
    a_name_must_be_free_in_every_namespace: "A create is refused for a name taken in any of its namespaces.",
    a_rename_onto_a_name_is_refused: "A rename to another user's name is refused.",
    a_link_brings_the_name_along: "A link into a namespace where the name is taken is refused.",
    a_name_without_links_is_nowhere: "The name of a user without links is taken nowhere.",
    a_first_link_binds_the_name: "With its first link a user's name is taken there.",
    a_renamed_user_frees_its_name: "A rename frees the old name and takes the new one.",
    a_cleared_name_is_free: "A cleared name is free in every namespace.",
    an_unlinked_name_is_free_there_only: "Unlinking frees the name in that namespace and no other.",
    one_of_two_links_keeps_the_name: "A name stays taken while one link into the namespace is left.",
    a_deleted_users_name_is_free: "The name of a deleted user is free in every namespace.",
    an_owner_keeps_its_name: "An update that does not speak of the name keeps it.",
    an_owner_may_change_the_case: "A user may change the case of its own name, which stays taken.",
    names_change_hands_in_turn: "Two users exchange their names one step at a time.",
    a_closed_user_keeps_its_name: "A closed user is a user: its name stays taken.",
    names_and_links_are_different_keys: "A name and an external id of the same letters do not collide.",
    a_long_name_is_compared_in_full: "Names of 4,000 characters are unique, and differ in their last one.",
}

/// The answer to creating a user of this name here.
async fn claim<S: UserStore>(fx: &Fixture<S>, name: &str, namespaces: &[&Namespace]) -> Committed {
    fx.write(Write::Create(Arc::new(fx.named(name, namespaces)))).await
}

async fn a_name_has_one_user<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let owner = fx.create(fx.named("Jane", &[&namespace])).await;
    let taken = Committed::Taken(name_key(&namespace, "jane"));
    assert_eq!(claim(&fx, "Jane", &[&namespace]).await, taken);
    assert_eq!(fx.owner(&name_key(&namespace, "jane")).await, Some(owner.id));
}

async fn names_are_compared_without_case<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let owner = fx.create(fx.named("JaNe", &[&namespace])).await;
    for name in ["jane", "JANE", "Jane"] {
        assert_eq!(claim(&fx, name, &[&namespace]).await, Committed::Taken(name_key(&namespace, "jane")));
    }
    fx.assert_stands(&owner).await;
}

async fn names_fold_beyond_ascii<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    for (name, other) in [("ÉLODIE", "élodie"), ("ΟΔΟΣ", "οδος"), ("ЖАННА", "жанна"), ("İ", "i\u{307}")]
    {
        fx.create(fx.named(name, &[&namespace])).await;
        let taken = Committed::Taken(name_key(&namespace, name));
        assert_eq!(claim(&fx, other, &[&namespace]).await, taken, "{name}");
    }
}

async fn accents_tell_names_apart<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    for name in ["jane", "jané", "jane\u{301}", "jane.", "jane_", "jan", "janeß", "janess", "jane "] {
        assert_eq!(claim(&fx, name, &[&namespace]).await, Committed::Done, "{name}");
    }
}

async fn a_name_serves_in_two_namespaces<S: UserStore>(fx: Fixture<S>) {
    for namespace in [fx.namespace(), fx.namespace()] {
        let user = fx.create(fx.named("Jane", &[&namespace])).await;
        assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(user.id));
    }
}

async fn a_name_is_taken_in_every_linked_namespace<S: UserStore>(fx: Fixture<S>) {
    let namespaces = [fx.namespace(), fx.namespace(), fx.namespace()];
    let owner = fx.create(fx.named("Jane", &namespaces.each_ref())).await;
    for namespace in &namespaces {
        assert_eq!(fx.owner(&name_key(namespace, "Jane")).await, Some(owner.id));
        assert_eq!(claim(&fx, "Jane", &[namespace]).await, Committed::Taken(name_key(namespace, "Jane")));
    }
}

async fn a_name_must_be_free_in_every_namespace<S: UserStore>(fx: Fixture<S>) {
    let (free, taken) = (fx.namespace(), fx.namespace());
    fx.create(fx.named("Jane", &[&taken])).await;
    for namespaces in [[&free, &taken], [&taken, &free]] {
        assert_eq!(claim(&fx, "Jane", &namespaces).await, Committed::Taken(name_key(&taken, "Jane")));
    }
    assert_eq!(claim(&fx, "Jane", &[&free]).await, Committed::Done);
}

async fn a_rename_onto_a_name_is_refused<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let owner = fx.create(fx.named("Jane", &[&namespace])).await;
    let user = fx.create(fx.named("Joan", &[&namespace])).await;
    let wish = next(&user, |user| rename(user, "JANE"));
    assert_eq!(fx.write(update(&user, &wish)).await, Committed::Taken(name_key(&namespace, "Jane")));
    fx.assert_stands(&user).await;
    fx.assert_stands(&owner).await;
}

async fn a_link_brings_the_name_along<S: UserStore>(fx: Fixture<S>) {
    let (home, away) = (fx.namespace(), fx.namespace());
    fx.create(fx.named("Jane", &[&away])).await;
    let user = fx.create(fx.named("jane", &[&home])).await;
    let wish = next(&user, |user| user.links.push(fx.link(&away)));
    assert_eq!(fx.write(update(&user, &wish)).await, Committed::Taken(name_key(&away, "Jane")));
    assert_eq!(fx.owner(&link_key(&wish, 1)).await, None);
}

async fn a_name_without_links_is_nowhere<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    fx.create(fx.named("Jane", &[])).await;
    fx.create(fx.named("Jane", &[])).await;
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, None);
    fx.create(fx.named("Jane", &[&namespace])).await;
}

async fn a_first_link_binds_the_name<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let first = fx.create(fx.named("Jane", &[])).await;
    let second = fx.create(fx.named("JANE", &[])).await;
    fx.update(&first, |user| user.links.push(fx.link(&namespace))).await;
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(first.id));
    let wish = next(&second, |user| user.links.push(fx.link(&namespace)));
    assert_eq!(fx.write(update(&second, &wish)).await, Committed::Taken(name_key(&namespace, "Jane")));
}

async fn a_renamed_user_frees_its_name<S: UserStore>(fx: Fixture<S>) {
    let namespaces = [fx.namespace(), fx.namespace()];
    let user = fx.create(fx.named("Jane", &namespaces.each_ref())).await;
    fx.update(&user, |user| rename(user, "Joan")).await;
    for namespace in &namespaces {
        assert_eq!(claim(&fx, "joan", &[namespace]).await, Committed::Taken(name_key(namespace, "Joan")));
    }
    assert_eq!(claim(&fx, "jane", &namespaces.each_ref()).await, Committed::Done);
}

async fn a_cleared_name_is_free<S: UserStore>(fx: Fixture<S>) {
    let namespaces = [fx.namespace(), fx.namespace()];
    let user = fx.create(fx.named("Jane", &namespaces.each_ref())).await;
    let after = fx.update(&user, |user| clear(user, Attr::Username)).await;
    fx.assert_stands(&after).await;
    assert_eq!(claim(&fx, "Jane", &namespaces.each_ref()).await, Committed::Done);
}

async fn an_unlinked_name_is_free_there_only<S: UserStore>(fx: Fixture<S>) {
    let (left, kept) = (fx.namespace(), fx.namespace());
    let user = fx.create(fx.named("Jane", &[&left, &kept])).await;
    fx.update(&user, |user| drop(user.links.remove(0))).await;
    assert_eq!(claim(&fx, "Jane", &[&kept]).await, Committed::Taken(name_key(&kept, "Jane")));
    assert_eq!(claim(&fx, "Jane", &[&left]).await, Committed::Done);
}

async fn one_of_two_links_keeps_the_name<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace, &namespace])).await;
    let user = fx.update(&user, |user| drop(user.links.remove(0))).await;
    assert_eq!(claim(&fx, "Jane", &[&namespace]).await, Committed::Taken(name_key(&namespace, "Jane")));
    fx.update(&user, |user| user.links.clear()).await;
    assert_eq!(claim(&fx, "Jane", &[&namespace]).await, Committed::Done);
}

async fn a_deleted_users_name_is_free<S: UserStore>(fx: Fixture<S>) {
    let namespaces = [fx.namespace(), fx.namespace()];
    let user = fx.create(fx.named("Jane", &namespaces.each_ref())).await;
    fx.delete(&user).await;
    assert_eq!(claim(&fx, "jane", &namespaces.each_ref()).await, Committed::Done);
}

async fn an_owner_keeps_its_name<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let mut owner = fx.create(fx.named("Jane", &[&namespace])).await;
    for _ in 0..3 {
        owner = fx.update(&owner, |_| {}).await;
        assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(owner.id));
        assert_eq!(claim(&fx, "jane", &[&namespace]).await, Committed::Taken(name_key(&namespace, "Jane")));
    }
}

async fn an_owner_may_change_the_case<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let owner = fx.create(fx.named("Jane", &[&namespace])).await;
    let after = fx.update(&owner, |user| rename(user, "JANE")).await;
    fx.assert_stands(&after).await;
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(owner.id));
    assert_eq!(claim(&fx, "Jane", &[&namespace]).await, Committed::Taken(name_key(&namespace, "Jane")));
}

async fn names_change_hands_in_turn<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let jane = fx.create(fx.named("Jane", &[&namespace])).await;
    let joan = fx.create(fx.named("Joan", &[&namespace])).await;
    let at_once = next(&jane, |user| rename(user, "Joan"));
    assert_eq!(fx.write(update(&jane, &at_once)).await, Committed::Taken(name_key(&namespace, "Joan")));
    let between = fx.update(&jane, |user| rename(user, "Nobody")).await;
    fx.update(&joan, |user| rename(user, "Jane")).await;
    fx.update(&between, |user| rename(user, "Joan")).await;
    assert_eq!(fx.owner(&name_key(&namespace, "Jane")).await, Some(joan.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Joan")).await, Some(jane.id));
    assert_eq!(fx.owner(&name_key(&namespace, "Nobody")).await, None);
}

async fn a_closed_user_keeps_its_name<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("Jane", &[&namespace])).await;
    fx.update(&user, |user| user.status = Status::Closed).await;
    assert_eq!(claim(&fx, "Jane", &[&namespace]).await, Committed::Taken(name_key(&namespace, "Jane")));
}

async fn names_and_links_are_different_keys<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let linked = fx.create(User { links: vec![link(&namespace, "jane")], ..fx.user() }).await;
    let named = fx.create(fx.named("jane", &[&namespace])).await;
    assert_eq!(fx.owner(&link_key(&linked, 0)).await, Some(linked.id));
    assert_eq!(fx.owner(&name_key(&namespace, "jane")).await, Some(named.id));
}

async fn a_long_name_is_compared_in_full<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let stem = "Jane\u{1f600}".repeat(800);
    let (one, other) = (format!("{stem}a"), format!("{stem}b"));
    for name in [&one, &other] {
        let user = fx.create(fx.named(name, &[&namespace])).await;
        assert_eq!(fx.owner(&name_key(&namespace, name)).await, Some(user.id));
        let taken = Committed::Taken(name_key(&namespace, name));
        assert_eq!(claim(&fx, &name.to_uppercase(), &[&namespace]).await, taken);
    }
}
