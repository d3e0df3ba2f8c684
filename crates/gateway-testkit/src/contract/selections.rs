//! A list by e-mail address, username, status or suspension follows its users.

use std::sync::Arc;

use gateway_core::{
    Attr, Committed, Namespace, Page, Selection, Status, Suspension, User, UserId, UserStore, Value, fold,
};

use super::{
    fixture::{Fixture, clear, ids, next, rename, set, touch, update},
    table,
};

table! {
    an_empty_selection_lists_nobody: "A selection that holds nobody lists nobody.",
    a_selection_lists_its_own_only: "A selection leaves out users that it does not hold; they take no room.",
    a_selection_comes_in_the_order_of_ids: "Users of a selection come in the order of their ids.",
    a_selection_ends_at_its_limit: "A page of a selection has at most as many users as its limit; of 0 nobody.",
    a_selection_starts_after_an_id: "A page of a selection may start after anybody, held or not or deleted.",
    pages_of_a_selection_cover_all_once: "Page after page, of any size, whom a selection holds is listed once.",
    a_selection_gives_users_as_they_stand: "A page of a selection gives users in their newest state, whole.",
    an_update_moves_a_user: "A user enters and leaves a selection with the update that says so.",
    another_update_moves_nobody: "Updates that do not speak of it leave a selection as it was.",
    a_refused_update_moves_nobody: "An update that is refused brings nobody in, and takes nobody out.",
    a_deleted_user_is_in_no_selection: "A deleted user is in no selection.",
    an_address_may_be_shared: "Users with one e-mail address are all listed under it.",
    a_text_is_selected_folded: "Addresses and usernames are selected without regard to case, as `fold` does it.",
    a_new_case_moves_nobody: "An address or username whose case changes is listed as before.",
    a_text_is_selected_in_full: "A text is selected in full: no beginning, no longer one, nor a trimmed one.",
    an_address_is_no_username: "An address and a username of the same letters are two selections.",
    a_username_is_selected_everywhere: "A username is selected in whatever namespaces, and in none.",
    a_user_has_one_status: "A user that moves through the statuses is listed under one at a time.",
    past_suspensions_count: "A user is listed as suspended until its last suspension is taken away.",
}

/// A selection, and how a user comes into it and leaves it.
struct Kind {
    of: Selection,
    enter: Box<dyn Fn(&mut User) + Send + Sync>,
    leave: fn(&mut User),
}

fn suspension<S>(fx: &Fixture<S>) -> Suspension {
    Suspension { reason: Some("a reason".into()), starts_at: fx.now, ends_at: Some(fx.now) }
}

/// One selection of each kind, by texts that nobody else has. New users are in none.
fn kinds<S>(fx: &Fixture<S>) -> Vec<Kind> {
    let (email, name, suspension) = (fx.word(), fx.word(), suspension(fx));
    let kind = |of, enter: Box<dyn Fn(&mut User) + Send + Sync>, leave| Kind { of, enter, leave };
    vec![
        kind(
            Selection::Email(email.clone()),
            Box::new(move |user| set(user, Attr::Email, Value::text(email.clone()))),
            |user| clear(user, Attr::Email),
        ),
        kind(Selection::Username(name.clone()), Box::new(move |user| rename(user, &name)), |user| {
            clear(user, Attr::Username)
        }),
        kind(
            Selection::Status(Status::PendingCompliance),
            Box::new(|user| user.status = Status::PendingCompliance),
            |user| user.status = Status::Active,
        ),
        kind(Selection::Status(Status::Closed), Box::new(|user| user.status = Status::Closed), |user| {
            user.status = Status::Active
        }),
        kind(
            Selection::Suspended,
            Box::new(move |user| user.suspensions = vec![suspension.clone()]),
            |user| user.suspensions.clear(),
        ),
    ]
}

/// Those on a page that belong to this fact: of a status there are others behind them.
async fn own_after<S: UserStore>(
    fx: &Fixture<S>,
    of: &Selection,
    after: UserId,
    limit: usize,
) -> Vec<UserId> {
    let page = fx.page(Page { after: Some(after), of: of.clone(), limit }).await;
    assert!(page.len() <= limit, "a page of {} beyond its limit {limit}", page.len());
    ids(&page).into_iter().take_while(|id| fx.is_own(*id)).collect()
}

/// Those of a selection that belong to this fact, up to nine.
async fn own<S: UserStore>(fx: &Fixture<S>, of: &Selection) -> Vec<UserId> {
    own_after(fx, of, fx.first_id(), 9).await
}

/// Creates users that a selection holds, each before one that it does not.
async fn crowd<S: UserStore>(fx: &Fixture<S>, kind: &Kind, count: usize) -> (Vec<Arc<User>>, Vec<Arc<User>>) {
    let (mut held, mut others) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let mut user = fx.user();
        (kind.enter)(&mut user);
        held.push(fx.create(user).await);
        others.push(fx.create(fx.user()).await);
    }
    (held, others)
}

async fn an_empty_selection_lists_nobody<S: UserStore>(fx: Fixture<S>) {
    fx.create(fx.user()).await;
    for kind in kinds(&fx) {
        assert_eq!(own(&fx, &kind.of).await, [], "{:?}", kind.of);
    }
}

async fn a_selection_lists_its_own_only<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let before = fx.id();
        let (held, _) = crowd(&fx, &kind, 4).await;
        assert_eq!(own_after(&fx, &kind.of, before, 4).await, ids(&held), "{:?}", kind.of);
    }
}

async fn a_selection_comes_in_the_order_of_ids<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let before = fx.id();
        let mut users: Vec<_> = (0..4).map(|_| fx.user()).collect();
        users.iter_mut().for_each(|user| (kind.enter)(user));
        let ordered: Vec<_> = users.iter().map(|user| user.id).collect();
        for at in [2, 0, 3, 1] {
            fx.create(users[at].clone()).await;
        }
        assert_eq!(own_after(&fx, &kind.of, before, 9).await, ordered, "{:?}", kind.of);
    }
}

async fn a_selection_ends_at_its_limit<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let before = fx.id();
        let held = ids(&crowd(&fx, &kind, 3).await.0);
        for limit in 0..=4 {
            let page = own_after(&fx, &kind.of, before, limit).await;
            assert_eq!(page, held[..limit.min(3)], "{:?}, {limit}", kind.of);
        }
    }
}

async fn a_selection_starts_after_an_id<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let (held, others) = crowd(&fx, &kind, 4).await;
        let all = ids(&held);
        fx.delete(&others[2]).await;
        for (at, other) in others.iter().enumerate() {
            for after in [all[at], other.id] {
                assert_eq!(own_after(&fx, &kind.of, after, 9).await, all[at + 1..], "{:?}", kind.of);
            }
        }
    }
}

async fn pages_of_a_selection_cover_all_once<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let before = fx.id();
        let all = ids(&crowd(&fx, &kind, 7).await.0);
        for limit in [1, 2, 3, 7, 8] {
            let mut seen = Vec::new();
            while seen.len() <= all.len() {
                let page = own_after(&fx, &kind.of, seen.last().copied().unwrap_or(before), limit).await;
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            assert_eq!(seen, all, "{:?}, pages of {limit}", kind.of);
        }
    }
}

async fn a_selection_gives_users_as_they_stand<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let (held, _) = crowd(&fx, &kind, 1).await;
        let newest = fx.update(&held[0], |user| touch(user, "new")).await;
        let page = Page { after: Some(fx.first_id()), of: kind.of.clone(), limit: 99 };
        let found = fx.page(page).await.into_iter().find(|user| user.id == newest.id);
        assert_eq!(found, Some(newest), "{:?}", kind.of);
    }
}

async fn an_update_moves_a_user<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let mut user = fx.create(fx.user()).await;
        for _ in 0..2 {
            user = fx.update(&user, |user| (kind.enter)(user)).await;
            assert_eq!(own(&fx, &kind.of).await, [user.id], "{:?}", kind.of);
            user = fx.update(&user, kind.leave).await;
            assert_eq!(own(&fx, &kind.of).await, [], "{:?}", kind.of);
        }
    }
}

async fn another_update_moves_nobody<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let before = fx.id();
        let (held, others) = crowd(&fx, &kind, 1).await;
        for user in [&held[0], &others[0]] {
            let user = fx.update(user, |user| touch(user, "once")).await;
            let user = fx.update(&user, |user| user.links.push(fx.link(&fx.namespace()))).await;
            let user = fx.update(&user, |user| user.links.clear()).await;
            fx.update(&user, |user| touch(user, "twice")).await;
            assert_eq!(own_after(&fx, &kind.of, before, 9).await, [held[0].id], "{:?}", kind.of);
        }
    }
}

async fn a_refused_update_moves_nobody<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let before = fx.id();
        let (held, others) = crowd(&fx, &kind, 1).await;
        for (user, change) in
            [(&held[0], &kind.leave as &(dyn Fn(&mut User) + Sync)), (&others[0], &kind.enter)]
        {
            let after = next(user, change);
            fx.update(user, |user| touch(user, "first")).await;
            assert_eq!(fx.write(update(user, &after)).await, Committed::Stale);
        }
        assert_eq!(own_after(&fx, &kind.of, before, 9).await, [held[0].id], "{:?}", kind.of);
    }
}

async fn a_deleted_user_is_in_no_selection<S: UserStore>(fx: Fixture<S>) {
    for kind in kinds(&fx) {
        let (held, _) = crowd(&fx, &kind, 3).await;
        for gone in [0, 2] {
            fx.delete(&held[gone]).await;
        }
        assert_eq!(own_after(&fx, &kind.of, fx.first_id(), 1).await, [held[1].id], "{:?}", kind.of);
        fx.delete(&held[1]).await;
        assert_eq!(own(&fx, &kind.of).await, [], "{:?}", kind.of);
    }
}

/// Creates a user with an attribute; its id.
async fn with<S: UserStore>(fx: &Fixture<S>, attr: Attr, text: &str) -> UserId {
    let mut user = fx.user();
    set(&mut user, attr, Value::text(text.to_owned()));
    fx.create(user).await.id
}

/// The selection of an attribute's text.
fn by(attr: Attr, text: &str) -> Selection {
    let folded = fold(text);
    if attr == Attr::Email { Selection::Email(folded) } else { Selection::Username(folded) }
}

async fn an_address_may_be_shared<S: UserStore>(fx: Fixture<S>) {
    let address = fx.word();
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(with(&fx, Attr::Email, &address).await);
        with(&fx, Attr::Email, &fx.word()).await;
    }
    assert_eq!(own(&fx, &by(Attr::Email, &address)).await, all);
}

async fn a_text_is_selected_folded<S: UserStore>(fx: Fixture<S>) {
    for attr in [Attr::Email, Attr::Username] {
        for (one, other) in
            [("jane", "JaNe"), ("ÉTÉ", "éTé"), ("Ж", "ж"), ("ΟΔΟΣ", "οδος"), ("İ", "i\u{307}")]
        {
            let word = fx.word();
            let texts = [format!("{word}{one}"), format!("{}{other}", word.to_uppercase())];
            let all = [with(&fx, attr, &texts[0]).await, with(&fx, attr, &texts[1]).await];
            for text in &texts {
                assert_eq!(own(&fx, &by(attr, text)).await, all, "{attr:?} {text}");
            }
        }
    }
}

async fn a_new_case_moves_nobody<S: UserStore>(fx: Fixture<S>) {
    for attr in [Attr::Email, Attr::Username] {
        let text = fx.word();
        let id = with(&fx, attr, &text).await;
        let mut user = fx.read(id).await.expect("the user");
        for text in [text.to_uppercase(), text.clone()] {
            user = fx.update(&user, |user| set(user, attr, Value::text(text.clone()))).await;
            assert_eq!(own(&fx, &by(attr, &text)).await, [id], "{attr:?}");
        }
    }
}

async fn a_text_is_selected_in_full<S: UserStore>(fx: Fixture<S>) {
    for attr in [Attr::Email, Attr::Username] {
        let word = fx.word();
        let long = format!("{word}{}", "x".repeat(4_000));
        let ends = ["", ".", "0", " ", "  ", "%", "_", "é", "e\u{301}", "@", "\u{1f600}"];
        let mut texts: Vec<_> = ends.iter().map(|end| format!("{word}{end}")).collect();
        texts.extend([format!(" {word}"), format!("{long}1"), format!("{long}2"), long]);
        let mut made = Vec::new();
        for text in &texts {
            made.push(with(&fx, attr, text).await);
        }
        for (text, id) in texts.iter().zip(made) {
            assert_eq!(
                own(&fx, &by(attr, text)).await,
                [id],
                "{attr:?} {:?}",
                text.get(..40).unwrap_or(text)
            );
        }
        assert_eq!(own(&fx, &by(attr, &word[..word.len() - 1])).await, []);
    }
}

async fn an_address_is_no_username<S: UserStore>(fx: Fixture<S>) {
    let word = fx.word();
    for attr in [Attr::Email, Attr::Username] {
        let id = with(&fx, attr, &word).await;
        assert_eq!(own(&fx, &by(attr, &word)).await, [id]);
    }
}

async fn a_username_is_selected_everywhere<S: UserStore>(fx: Fixture<S>) {
    let (word, spaces) = (fx.word(), [fx.namespace(), fx.namespace()]);
    let of = by(Attr::Username, &word);
    let mut all = Vec::new();
    let here: [&[&Namespace]; 4] = [&[&spaces[0]], &[], &[&spaces[1]], &[]];
    for namespaces in here {
        all.push(fx.create(fx.named(&word, namespaces)).await);
    }
    assert_eq!(own(&fx, &of).await, ids(&all));
    fx.update(&all[0], |user| user.links.clear()).await;
    fx.update(&all[1], |user| user.links.push(fx.link(&spaces[0]))).await;
    assert_eq!(own(&fx, &of).await, ids(&all), "links come and go");
}

async fn a_user_has_one_status<S: UserStore>(fx: Fixture<S>) {
    const ALL: [Status; 3] = [Status::PendingCompliance, Status::Active, Status::Closed];
    let mut user = fx.create(fx.user()).await;
    for status in [Status::Active, Status::Closed, Status::PendingCompliance, Status::Closed, Status::Active]
    {
        user = fx.update(&user, |user| user.status = status).await;
        for of in ALL {
            let expected: &[_] = if of == status { &[user.id] } else { &[] };
            assert_eq!(own(&fx, &Selection::Status(of)).await, expected, "{of:?} while {status:?}");
        }
    }
}

async fn past_suspensions_count<S: UserStore>(fx: Fixture<S>) {
    let past = suspension(&fx);
    let mut user = fx.create(fx.user()).await;
    for count in [1, 2, 1, 0, 2, 0] {
        user = fx.update(&user, |user| user.suspensions = vec![past.clone(); count]).await;
        let expected: &[_] = if count > 0 { &[user.id] } else { &[] };
        assert_eq!(own(&fx, &Selection::Suspended).await, expected, "{count} suspensions");
    }
}
