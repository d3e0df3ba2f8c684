//! Users are suggested by a part of their usernames.

use gateway_core::{Namespace, Status, UserStore};

use super::{
    fixture::{Fixture, rename},
    table,
};

table! {
    names_that_begin_with_a_part_come_first: "Names that begin with the part come first, then those that only hold it, each in order.",
    a_suggestion_ends_at_its_limit: "No more users are suggested than the limit says.",
    suggestions_know_no_case: "A part is looked for in the folded names.",
    suggestions_stay_in_their_namespace: "Users of other namespaces are not suggested, and a longer namespace's name is another.",
    only_open_users_are_suggested: "Closed and deleted users are not suggested, and leave room for others.",
    a_name_that_was_left_is_not_suggested: "A user is suggested by the name that it has, not by one that it had.",
}

/// Usernames found, in order.
async fn found<S: UserStore>(
    fx: &Fixture<S>,
    namespace: &Namespace,
    part: &str,
    limit: usize,
) -> Vec<String> {
    let users = fx.store.suggest(namespace, part, limit).await.unwrap();
    users.iter().map(|user| user.profile.text(gateway_core::Attr::Username).unwrap().to_owned()).collect()
}

async fn crowd<S: UserStore>(fx: &Fixture<S>, namespace: &Namespace, names: &[&str]) {
    for name in names {
        fx.create(fx.named(name, &[namespace])).await;
    }
}

async fn names_that_begin_with_a_part_come_first<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    crowd(&fx, &namespace, &["xjane", "jane2", "bob", "jane1", "ajane", "janet"]).await;
    assert_eq!(found(&fx, &namespace, "jane", 9).await, ["jane1", "jane2", "janet", "ajane", "xjane"]);
    assert_eq!(found(&fx, &namespace, "nobody", 9).await, [""; 0]);
}

async fn a_suggestion_ends_at_its_limit<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    crowd(&fx, &namespace, &["a1", "a2", "ba", "ca"]).await;
    assert_eq!(found(&fx, &namespace, "a", 0).await, [""; 0]);
    assert_eq!(found(&fx, &namespace, "a", 1).await, ["a1"]);
    assert_eq!(found(&fx, &namespace, "a", 3).await, ["a1", "a2", "ba"]);
}

async fn suggestions_know_no_case<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    crowd(&fx, &namespace, &["JaNe", "ZJANE"]).await;
    assert_eq!(found(&fx, &namespace, "jan", 9).await, ["JaNe", "ZJANE"]);
}

async fn suggestions_stay_in_their_namespace<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let longer = Namespace::parse(&format!("{}x", namespace.as_str())).unwrap();
    crowd(&fx, &namespace, &["here"]).await;
    crowd(&fx, &longer, &["there", "herex"]).await;
    assert_eq!(found(&fx, &namespace, "here", 9).await, ["here"]);
}

async fn only_open_users_are_suggested<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let closed = fx.create(fx.named("a-closed", &[&namespace])).await;
    let deleted = fx.create(fx.named("a-deleted", &[&namespace])).await;
    crowd(&fx, &namespace, &["a-open"]).await;
    fx.update(&closed, |user| user.status = Status::Closed).await;
    fx.delete(&deleted).await;
    assert_eq!(found(&fx, &namespace, "a-", 1).await, ["a-open"]);
}

async fn a_name_that_was_left_is_not_suggested<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let user = fx.create(fx.named("before", &[&namespace])).await;
    fx.update(&user, |user| rename(user, "after")).await;
    assert_eq!(found(&fx, &namespace, "before", 9).await, [""; 0]);
    assert_eq!(found(&fx, &namespace, "after", 9).await, ["after"]);
}
