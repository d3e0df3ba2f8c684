//! What holds when many write at once. No fact here waits for a time, or measures one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use gateway_core::{
    Attr, Commit, Committed, Namespace, Page, Selection, Status, Suspension, User, UserId, UserStore, Value,
    Write,
};
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    fixture::{Fixture, delete, link_key, name_key, next, rename, set, touch, update},
    table,
};

table! {
    one_of_many_takes_a_guard: "Of 50 commits at once with one guard one is done, and all others find it taken.",
    one_of_many_creates_takes_a_guard: "Of 50 creates at once with one guard one user is made.",
    one_of_many_updates_is_done: "Of 50 updates at once from one version one is done, the others are stale.",
    one_of_many_creates_takes_an_id: "Of 50 creates at once over one id one is done, the others are stale.",
    one_of_many_creates_takes_a_link: "Of 50 creates at once with one link one is done, for the others it is taken.",
    one_of_many_creates_takes_a_name: "Of 50 creates at once with one name one is done, for the others it is taken.",
    one_of_many_renames_takes_a_name: "Of 50 renames at once to one name one is done, for the others it is taken.",
    one_of_many_updates_and_deletes_is_done: "Of 25 updates and 25 deletes at once one is done.",
    one_of_many_deletes_is_done: "Of 50 deletes at once one is done.",
    strangers_do_not_collide: "50 creates at once that share nothing are all done.",
    no_update_is_lost: "20 writers that load, add one and commit until done lose no addition.",
    a_done_write_is_seen_at_once: "After a commit is done another task sees it by id, key, list and ledger.",
    a_version_never_goes_backwards: "A reader never sees a version fall while a writer updates 200 times.",
    a_user_is_never_seen_half: "A reader never sees parts of two states while a writer updates 200 times.",
    who_stays_is_on_one_page: "Pages miss and repeat nobody who is there throughout, whatever is written meanwhile.",
}

const MANY: usize = 50;

/// Starts all commits at once, each in its own task; their answers, in order.
async fn at_once<S: UserStore>(fx: &Fixture<S>, commits: Vec<Commit>) -> Vec<Committed> {
    let barrier = Arc::new(Barrier::new(commits.len()));
    let tasks: Vec<_> = commits
        .into_iter()
        .map(|commit| {
            let (store, barrier) = (fx.store.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                store.commit(commit).await.expect("a commit is answered")
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("a task ends"));
    }
    answers
}

/// Starts all writes at once; exactly one must be done, and all others be answered so. Which was done.
async fn one_done<S: UserStore>(fx: &Fixture<S>, writes: Vec<Write>, others: Committed) -> usize {
    let commit = |write| Commit { write: Some(write), guards: Vec::new(), now: fx.now };
    let answers = at_once(fx, writes.into_iter().map(commit).collect()).await;
    assert_one_done(&answers, &others)
}

fn assert_one_done(answers: &[Committed], others: &Committed) -> usize {
    let done: Vec<_> = (0..answers.len()).filter(|at| answers[*at] == Committed::Done).collect();
    assert_eq!(done.len(), 1, "commits that are done");
    let odd = answers.iter().find(|answer| **answer != Committed::Done && *answer != others);
    assert_eq!(odd, None, "answers other than done and {others:?}");
    done[0]
}

async fn one_of_many_takes_a_guard<S: UserStore>(fx: Fixture<S>) {
    let guard = fx.guard(None);
    let mut commits = Vec::new();
    for byte in 0..MANY {
        let mut guard = guard.clone();
        guard.record.answer = Some(vec![u8::try_from(byte).unwrap_or(0)].into());
        commits.push(Commit { write: None, guards: vec![guard], now: fx.now });
    }
    let answers = at_once(&fx, commits.clone()).await;
    let winner = assert_one_done(&answers, &Committed::KeyTaken(guard.key));
    let kept = &commits[winner].guards[0].record;
    assert!(fx.record(&guard).await.as_ref() == Some(kept), "the record of the one that is done");
}

async fn one_of_many_creates_takes_a_guard<S: UserStore>(fx: Fixture<S>) {
    let (namespace, guard) = (fx.namespace(), fx.guard(None));
    let users: Vec<_> = (0..MANY).map(|_| Arc::new(fx.linked(&[&namespace]))).collect();
    let commit = |user: &Arc<User>| Commit {
        write: Some(Write::Create(user.clone())),
        guards: vec![guard.clone()],
        now: fx.now,
    };
    let answers = at_once(&fx, users.iter().map(commit).collect()).await;
    let winner = assert_one_done(&answers, &Committed::KeyTaken(guard.key));
    assert_eq!(fx.members(&namespace, None, MANY).await, [users[winner].id]);
}

async fn one_of_many_updates_is_done<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    let states: Vec<_> =
        (0..MANY).map(|writer| next(&user, |user| touch(user, &writer.to_string()))).collect();
    let writes = states.iter().map(|after| update(&user, after)).collect();
    let winner = one_done(&fx, writes, Committed::Stale).await;
    fx.assert_stands(&states[winner]).await;
}

async fn one_of_many_creates_takes_an_id<S: UserStore>(fx: Fixture<S>) {
    let (id, namespace) = (fx.id(), fx.namespace());
    let users: Vec<_> = (0..MANY).map(|_| Arc::new(User { id, ..fx.linked(&[&namespace]) })).collect();
    let writes = users.iter().cloned().map(Write::Create).collect();
    let winner = one_done(&fx, writes, Committed::Stale).await;
    fx.assert_stands(&users[winner]).await;
    for (at, user) in users.iter().enumerate() {
        assert_eq!(fx.owner(&link_key(user, 0)).await, (at == winner).then_some(id));
    }
}

async fn one_of_many_creates_takes_a_link<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let links = vec![fx.link(&namespace)];
    let users: Vec<_> = (0..MANY).map(|_| Arc::new(User { links: links.clone(), ..fx.user() })).collect();
    let key = link_key(&users[0], 0);
    let writes = users.iter().cloned().map(Write::Create).collect();
    let winner = one_done(&fx, writes, Committed::Taken(key.clone())).await;
    assert_eq!(fx.owner(&key).await, Some(users[winner].id));
    assert_eq!(fx.members(&namespace, None, MANY).await, [users[winner].id]);
}

async fn one_of_many_creates_takes_a_name<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let name = |at: usize| if at.is_multiple_of(2) { "Jane" } else { "JANE" };
    let users: Vec<_> = (0..MANY).map(|at| Arc::new(fx.named(name(at), &[&namespace]))).collect();
    let key = name_key(&namespace, "Jane");
    let writes = users.iter().cloned().map(Write::Create).collect();
    let winner = one_done(&fx, writes, Committed::Taken(key.clone())).await;
    assert_eq!(fx.owner(&key).await, Some(users[winner].id));
}

async fn one_of_many_renames_takes_a_name<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let (mut users, mut writes) = (Vec::new(), Vec::new());
    for at in 0..MANY {
        let user = fx.create(fx.named(&format!("Jane {at}"), &[&namespace])).await;
        writes.push(update(&user, &next(&user, |user| rename(user, "Jane"))));
        users.push(user);
    }
    let key = name_key(&namespace, "Jane");
    let winner = one_done(&fx, writes, Committed::Taken(key.clone())).await;
    assert_eq!(fx.owner(&key).await, Some(users[winner].id));
    for (at, user) in users.iter().enumerate() {
        let old = fx.owner(&name_key(&namespace, &format!("Jane {at}"))).await;
        assert_eq!(old, (at != winner).then_some(user.id), "the old name");
    }
}

async fn one_of_many_updates_and_deletes_is_done<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    let after = next(&user, |user| touch(user, "x"));
    let pairs = (0..MANY / 2).flat_map(|_| [update(&user, &after), delete(&user)]);
    let winner = one_done(&fx, pairs.collect(), Committed::Stale).await;
    let expected = winner.is_multiple_of(2).then_some(after);
    assert_eq!(fx.read(user.id).await, expected);
    assert_eq!(fx.find(&link_key(&user, 0)).await, expected);
}

async fn one_of_many_deletes_is_done<S: UserStore>(fx: Fixture<S>) {
    let user = fx.create(fx.linked(&[&fx.namespace()])).await;
    let writes = (0..MANY).map(|_| delete(&user)).collect();
    one_done(&fx, writes, Committed::Stale).await;
    assert_eq!(fx.read(user.id).await, None);
}

async fn strangers_do_not_collide<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    let users: Vec<_> =
        (0..MANY).map(|at| Arc::new(fx.named(&format!("Jane {at}"), &[&namespace]))).collect();
    let commit = |user: &Arc<User>| Commit {
        write: Some(Write::Create(user.clone())),
        guards: vec![fx.guard(Some(user.id))],
        now: fx.now,
    };
    let answers = at_once(&fx, users.iter().map(commit).collect()).await;
    assert_eq!(answers, vec![Committed::Done; MANY]);
    for user in users {
        fx.assert_stands(&user).await;
    }
}

async fn no_update_is_lost<S: UserStore>(fx: Fixture<S>) {
    const WRITERS: usize = 20;
    const ADDITIONS: usize = 10;
    let user = fx.create(fx.user()).await;
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, id, now) = (fx.store.clone(), user.id, fx.now);
        tasks.spawn(async move {
            let mut left = ADDITIONS;
            // A commit is stale only if another was done since the load.
            for _ in 0..WRITERS * ADDITIONS {
                if left == 0 {
                    break;
                }
                let before = store.user(id).await.expect("a read is answered").expect("the user");
                let length = before.profile.text(Attr::Bio).map_or(0, str::len);
                let after = next(&before, |user| touch(user, &"x".repeat(length + 1)));
                let commit = Commit { write: Some(update(&before, &after)), guards: vec![], now };
                match store.commit(commit).await.expect("a commit is answered") {
                    Committed::Done => left -= 1,
                    other => assert_eq!(other, Committed::Stale),
                }
                tokio::task::yield_now().await;
            }
            assert_eq!(left, 0, "additions that were refused too often");
        });
    }
    tasks.join_all().await;
    let found = fx.read(user.id).await.expect("the user");
    assert_eq!(found.profile.text(Attr::Bio).map(str::len), Some(WRITERS * ADDITIONS));
    assert_eq!(found.version, 1 + (WRITERS * ADDITIONS) as u64);
}

async fn a_done_write_is_seen_at_once<S: UserStore>(fx: Fixture<S>) {
    let namespace = fx.namespace();
    for _ in 0..MANY {
        let user = Arc::new(fx.linked(&[&namespace]));
        let guard = fx.guard(Some(user.id));
        let done = fx.guarded(Some(Write::Create(user.clone())), &[&guard]).await;
        assert_eq!(done, Committed::Done);
        let page = Page { after: None, of: Selection::Namespace(namespace.clone()), limit: MANY };
        let (store, now, expected, kept) = (fx.store.clone(), fx.now, user.clone(), guard.clone());
        let reader = tokio::spawn(async move {
            let found = store.user(expected.id).await.expect("a read is answered");
            assert_eq!(found.as_ref(), Some(&expected), "by id");
            let found = store.find(&link_key(&expected, 0)).await.expect("a find is answered");
            assert_eq!(found.as_ref(), Some(&expected), "by link");
            let found = store.list(&page).await.expect("a list is answered");
            assert_eq!(found.last(), Some(&expected), "in the list");
            let found = store.ledger(kept.key, now).await.expect("a look-up is answered");
            assert_eq!(found, Some(kept.record), "in the ledger");
        });
        reader.await.expect("a reader sees it");
    }
}

/// Runs a reader beside a writer that updates a user 200 times, and calls `look` with all it reads.
async fn beside_a_writer<S: UserStore>(fx: &Fixture<S>, mut look: impl FnMut(&User) + Send + 'static) {
    let mut user = fx.create(fx.named("Jane", &[&fx.namespace()])).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (store, key, id, stop) = (fx.store.clone(), link_key(&user, 0), user.id, ended.clone());
    let mut reader = JoinSet::new();
    reader.spawn(async move {
        while !stop.load(Ordering::Acquire) {
            look(&store.user(id).await.expect("a read is answered").expect("the user"));
            look(&store.find(&key).await.expect("a find is answered").expect("the user"));
            tokio::task::yield_now().await;
        }
    });
    for round in 0..200 {
        user = fx
            .update(&user, |user| {
                rename(user, &format!("Jane {round}"));
                set(user, Attr::Bio, Value::text(user.version.to_string()));
                set(user, Attr::GivenName, Value::text(user.version.to_string()));
            })
            .await;
        tokio::task::yield_now().await;
    }
    ended.store(true, Ordering::Release);
    reader.join_all().await;
    fx.assert_stands(&user).await;
}

async fn a_version_never_goes_backwards<S: UserStore>(fx: Fixture<S>) {
    let mut last = 0;
    beside_a_writer(&fx, move |user| {
        assert!(user.version >= last, "version {} after {last}", user.version);
        last = user.version;
    })
    .await;
}

async fn a_user_is_never_seen_half<S: UserStore>(fx: Fixture<S>) {
    beside_a_writer(&fx, |user| {
        let written = (user.version > 1).then(|| user.version.to_string());
        for attr in [Attr::Bio, Attr::GivenName] {
            assert_eq!(user.profile.text(attr), written.as_deref(), "{attr:?} at {}", user.version);
        }
    })
    .await;
}

/// A user of every kind of list.
fn of_every_list<S>(fx: &Fixture<S>, namespace: &Namespace, address: &str) -> User {
    let mut user = fx.linked(&[namespace]);
    set(&mut user, Attr::Email, Value::text(address.to_owned()));
    user.status = Status::PendingCompliance;
    user.suspensions = vec![Suspension { reason: None, starts_at: fx.now, ends_at: None }];
    user
}

/// Takes a user that comes and goes through a round: it is made, leaves each list, comes again, is deleted.
async fn come_and_go<S: UserStore>(fx: &Fixture<S>, user: User) {
    let user = fx.create(user).await;
    let (id, links) = (user.id, user.links.clone());
    let gone = fx
        .update(&user, |user| {
            *user = User { id, version: user.version, ..User::new(id, Status::Active, fx.now) }
        })
        .await;
    let again =
        fx.update(&gone, |after| *after = User { links, version: after.version, ..User::clone(&user) }).await;
    fx.delete(&again).await;
}

/// Walks through a list again and again; each walk must find all who stay, in order, nobody twice.
async fn walk<S: UserStore>(
    store: Arc<S>,
    of: Selection,
    first: UserId,
    stay: Arc<Vec<UserId>>,
    ended: Arc<AtomicBool>,
) {
    let last = *stay.last().expect("somebody stays");
    for limit in (1..=7).cycle() {
        let mut seen: Vec<UserId> = Vec::new();
        while seen.last().is_none_or(|id| *id < last) {
            let after = seen.last().copied().unwrap_or(first);
            let page = Page { after: Some(after), of: of.clone(), limit };
            let page = store.list(&page).await.expect("a list is answered");
            let goes_on = page.first().is_some_and(|user| user.id > after);
            assert!(goes_on, "{of:?} ends before its last user, or repeats one");
            assert!(page.iter().all(|user| of.holds(user)), "{of:?} gives whom it does not hold");
            seen.extend(page.iter().map(|user| user.id));
            tokio::task::yield_now().await;
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "{of:?} leaves the order of ids");
        let missed = stay.iter().filter(|id| seen.binary_search(id).is_err()).count();
        assert_eq!(missed, 0, "users that {of:?} passed over");
        if ended.load(Ordering::Acquire) {
            return;
        }
    }
}

async fn who_stays_is_on_one_page<S: UserStore>(fx: Fixture<S>) {
    let (namespace, address) = (fx.namespace(), fx.word());
    let (mut staying, mut passing) = (Vec::new(), Vec::new());
    for _ in 0..12 {
        passing.extend([(); 2].map(|()| of_every_list(&fx, &namespace, &address)));
        staying.push(fx.create(of_every_list(&fx, &namespace, &address)).await);
    }
    let stay: Arc<Vec<_>> = Arc::new(staying.iter().map(|user| user.id).collect());
    let ended = Arc::new(AtomicBool::new(false));
    let mut walkers = JoinSet::new();
    for of in [
        Selection::All,
        Selection::Namespace(namespace),
        Selection::Email(address),
        Selection::Status(Status::PendingCompliance),
        Selection::Suspended,
    ] {
        walkers.spawn(walk(fx.store.clone(), of, fx.first_id(), stay.clone(), ended.clone()));
    }
    for (round, user) in passing.into_iter().enumerate() {
        come_and_go(&fx, user).await;
        let at = round % staying.len();
        staying[at] = fx.update(&staying[at], |user| touch(user, &round.to_string())).await;
    }
    ended.store(true, Ordering::Release);
    walkers.join_all().await;
}
