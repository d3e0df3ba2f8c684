//! A page lists users in the order of their ids.

use std::sync::Arc;

use gateway_core::{Namespace, Page, Selection, Status, User, UserId, UserStore};

use super::{
    fixture::{Fixture, ids, touch},
    table,
};

table! {
    an_empty_namespace_lists_nobody: "A namespace without users lists nobody.",
    users_come_in_the_order_of_their_ids: "Users come in the order of their ids' bytes, not of their making.",
    a_page_ends_at_its_limit: "A page has at most as many users as its limit.",
    a_limit_of_nothing_lists_nobody: "A limit of 0 lists nobody.",
    a_limit_may_be_beyond_all: "The largest limit there is lists everybody.",
    a_page_starts_after_an_id: "A page starts with the first id after the given one, that one excluded.",
    the_id_before_a_page_need_not_exist: "The id that a page starts after may name nobody, or a deleted user.",
    beyond_the_last_id_is_nobody: "After the last id, and after the largest there is, a page is empty.",
    pages_cover_everybody_once: "Page after page, of any size, everybody is listed once.",
    a_page_lists_users_as_they_stand: "A page gives users in their newest state, whole.",
    deleted_users_are_not_listed: "A deleted user is not listed, and takes no room on a page.",
    users_of_every_status_are_listed: "A list knows no status: closed and pending users are listed.",
    a_list_of_all_knows_no_namespace: "Without a namespace users of any, and of none, are listed.",
    a_list_of_all_pages_in_order: "Without a namespace pages keep order, start and limit too.",
    a_list_of_all_skips_deleted_users: "Without a namespace a deleted user takes no room on a page either.",
}

/// Creates so many users in a namespace; their ids, in order.
async fn crowd<S: UserStore>(fx: &Fixture<S>, namespace: &Namespace, count: usize) -> Vec<Arc<User>> {
    let mut users: Vec<_> = (0..count).map(|_| fx.linked(&[namespace])).collect();
    users.reverse();
    let mut made = Vec::new();
    for user in users {
        made.push(fx.create(user).await);
    }
    made.reverse();
    made
}

async fn an_empty_namespace_lists_nobody<S: UserStore>(fx: Fixture<S>) {
    assert_eq!(fx.members(&fx.namespace(), None, 9).await, []);
}

async fn users_come_in_the_order_of_their_ids<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let ordered = fx.ids_led_by([0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff]);
    for at in [4, 0, 7, 2, 5, 1, 6, 3] {
        fx.create(User { id: ordered[at], ..fx.linked(&[&namespace]) }).await;
    }
    assert_eq!(fx.members(&namespace, None, 9).await, ordered);
    assert_eq!(fx.members(&namespace, Some(ordered[4]), 9).await, ordered[5..]);
}

async fn a_page_ends_at_its_limit<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let all = ids(&crowd(&fx, &namespace, 5).await);
    for limit in 1..=6 {
        assert_eq!(fx.members(&namespace, None, limit).await, all[..limit.min(5)]);
    }
}

async fn a_limit_of_nothing_lists_nobody<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    crowd(&fx, &namespace, 2).await;
    assert_eq!(fx.members(&namespace, None, 0).await, []);
    assert!(fx.page(Page { after: None, of: Selection::All, limit: 0 }).await.is_empty(), "a list of all");
}

async fn a_limit_may_be_beyond_all<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let all = ids(&crowd(&fx, &namespace, 3).await);
    for limit in [1_000_000, usize::MAX - 1, usize::MAX] {
        assert_eq!(fx.members(&namespace, None, limit).await, all);
        assert_eq!(fx.members(&namespace, Some(all[0]), limit).await, all[1..]);
    }
}

async fn a_page_starts_after_an_id<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let all = ids(&crowd(&fx, &namespace, 5).await);
    for (at, id) in all.iter().enumerate() {
        assert_eq!(fx.members(&namespace, Some(*id), 9).await, all[at + 1..]);
        assert_eq!(fx.members(&namespace, Some(*id), 2).await, all[at + 1..][..2.min(4 - at)]);
    }
}

async fn the_id_before_a_page_need_not_exist<S: UserStore>(fx: Fixture<S>) {
    let (namespace, before) = (fx.namespace(), fx.id());
    let first = crowd(&fx, &namespace, 2).await;
    let between = fx.id();
    let last = ids(&crowd(&fx, &namespace, 2).await);
    assert_eq!(fx.members(&namespace, Some(before), 1).await, [first[0].id]);
    assert_eq!(fx.members(&namespace, Some(UserId::from_bytes([0; 16])), 1).await, [first[0].id]);
    assert_eq!(fx.members(&namespace, Some(between), 9).await, last);
    fx.delete(&first[1]).await;
    assert_eq!(fx.members(&namespace, Some(first[1].id), 9).await, last);
}

async fn beyond_the_last_id_is_nobody<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let all = ids(&crowd(&fx, &namespace, 2).await);
    for after in [all[1], fx.id(), UserId::from_bytes([0xff; 16])] {
        assert_eq!(fx.members(&namespace, Some(after), 9).await, []);
    }
    let after = Some(UserId::from_bytes([0xff; 16]));
    assert!(fx.page(Page { after, of: Selection::All, limit: 9 }).await.is_empty(), "a list of all");
}

async fn pages_cover_everybody_once<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let all = ids(&crowd(&fx, &namespace, 23).await);
    for limit in [1, 4, 22, 23, 24] {
        let mut seen = Vec::new();
        while seen.len() <= all.len() {
            let page = fx.members(&namespace, seen.last().copied(), limit).await;
            assert!(page.len() <= limit, "a page of {} beyond its limit {limit}", page.len());
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, all, "pages of {limit}");
    }
}

async fn a_page_lists_users_as_they_stand<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let first = fx.create(fx.named("Jane", &[&namespace])).await;
    let second = fx.create(fx.named("Joan", &[&namespace])).await;
    let page = Page { after: None, of: Selection::Namespace(namespace), limit: 9 };
    assert_eq!(fx.page(page.clone()).await, [first.clone(), second.clone()]);
    let first = fx.update(&first, |user| touch(user, "new")).await;
    assert_eq!(fx.page(page).await, [first, second]);
}

async fn deleted_users_are_not_listed<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let users = crowd(&fx, &namespace, 6).await;
    for at in [0, 1, 3] {
        fx.delete(&users[at]).await;
    }
    let left = [users[2].id, users[4].id, users[5].id];
    assert_eq!(fx.members(&namespace, None, 9).await, left);
    assert_eq!(fx.members(&namespace, None, 3).await, left);
    assert_eq!(fx.members(&namespace, None, 2).await, left[..2]);
    assert_eq!(fx.members(&namespace, Some(left[0]), 1).await, left[1..2]);
}

async fn users_of_every_status_are_listed<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let mut all = Vec::new();
    for status in [Status::Closed, Status::PendingCompliance, Status::Active] {
        all.push(fx.create(User { status, ..fx.linked(&[&namespace]) }).await.id);
    }
    assert_eq!(fx.members(&namespace, None, 9).await, all);
}

/// A page of a list of all, which starts where the ids of this fact do.
fn page_of_all<S>(fx: &Fixture<S>, limit: usize) -> Page {
    Page { after: Some(fx.first_id()), of: Selection::All, limit }
}

async fn a_list_of_all_knows_no_namespace<S: UserStore>(fx: Fixture<S>) {
    let users = [fx.linked(&[&fx.namespace()]), fx.user(), fx.linked(&[&fx.namespace(), &fx.namespace()])];
    let mut made = Vec::new();
    for user in users {
        made.push(fx.create(user).await);
    }
    assert_eq!(fx.page(page_of_all(&fx, 3)).await, made);
}

async fn a_list_of_all_pages_in_order<S: UserStore>(fx: Fixture<S>) {
    let all = ids(&crowd(&fx, &fx.namespace(), 7).await);
    for limit in 1..=7 {
        assert_eq!(ids(&fx.page(page_of_all(&fx, limit)).await), all[..limit]);
    }
    for (at, id) in all.iter().enumerate() {
        let page = Page { after: Some(*id), of: Selection::All, limit: 6 - at };
        assert_eq!(ids(&fx.page(page).await), all[at + 1..]);
    }
}

async fn a_list_of_all_skips_deleted_users<S: UserStore>(fx: Fixture<S>) {
    let users = crowd(&fx, &fx.namespace(), 6).await;
    for at in [0, 1, 3] {
        fx.delete(&users[at]).await;
    }
    let left = [users[2].id, users[4].id, users[5].id];
    for limit in 1..=3 {
        assert_eq!(ids(&fx.page(page_of_all(&fx, limit)).await), left[..limit]);
    }
}
