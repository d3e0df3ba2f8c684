//! The statement of commits: rows to parameters, its answer to verdicts.

use tokio_postgres::{Client, Row, Statement, types::ToSql};
use uuid::Uuid;

use crate::{
    error::Failure,
    pack::{GuardRow, Pack, UserRow},
};

const COMMIT: &str = include_str!("sql/commit.sql");
const UPDATE: &str = include_str!("sql/update.sql");
const SINGLE: &str = include_str!("sql/single.sql");

/// What a statement says of one of its commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Done.
    Done,
    /// The guard of this place stands.
    KeyTaken(usize),
    /// The version does not stand.
    Stale,
    /// The unique key of this place is another's.
    Taken(usize),
    /// The version moved under the statement: nothing was done, and what is in the way shows next time.
    Raced,
}

/// The statement in its forms, prepared on a connection: the smaller, the faster.
pub(crate) struct Statements {
    commit: Statement,
    update: Statement,
    single: Statement,
}

/// Prepares them.
pub(crate) async fn prepare(client: &Client) -> Result<Statements, tokio_postgres::Error> {
    let (commit, update) = (client.prepare(COMMIT).await?, client.prepare(UPDATE).await?);
    Ok(Statements { commit, update, single: client.prepare(SINGLE).await? })
}

/// Sends commits in one statement, one round trip; their verdicts, in order. An error speaks of all.
pub(crate) async fn run(
    client: &Client,
    statements: &Statements,
    packs: &[&Pack],
) -> Result<Vec<Verdict>, Failure> {
    if client.is_closed() {
        return Err(Failure::NotSent);
    }
    let only_updates = packs.iter().all(|pack| pack.only_updates());
    let rows = if let [pack] = packs
        && let (true, Some(user), [guard]) = (only_updates, &pack.user, &pack.guards[..])
    {
        client.query(&statements.single, &single(user, guard, &pack.expired)).await
    } else {
        let columns = Columns::of(packs);
        let (users, guards, keys) = (columns.users(), columns.guards(), columns.keys());
        let expired: [&(dyn ToSql + Sync); 1] = [&columns.expired];
        if only_updates {
            client.query(&statements.update, &[&users[..], &guards, &expired].concat()).await
        } else {
            let all = [&users[..], &guards, &keys.0, &expired, &keys.1].concat();
            client.query(&statements.commit, &all).await
        }
    };
    let rows = rows.map_err(|error| Failure::of(&error))?;
    // What was answered was done: an answer that cannot be read is no refusal.
    verdicts(&rows, packs.len()).ok_or(Failure::Lost)
}

/// The parameters of [`SINGLE`].
fn single<'a>(u: &'a UserRow, g: &'a GuardRow, expired: &'a i64) -> [&'a (dyn ToSql + Sync); 14] {
    [
        &u.id,
        &u.expected,
        &u.version,
        &u.status,
        &u.suspended,
        &u.email,
        &u.username,
        &u.record,
        &g.key,
        &g.at,
        expired,
        &g.fingerprint,
        &g.user,
        &g.answer,
    ]
}

fn verdicts(rows: &[Row], count: usize) -> Option<Vec<Verdict>> {
    let mut verdicts = vec![None; count];
    for row in rows {
        let place = row.try_get::<_, Option<i32>>(2).ok()?.and_then(|place| usize::try_from(place).ok());
        let verdict = match row.try_get::<_, i32>(1).ok()? {
            0 => Verdict::Done,
            1 => Verdict::KeyTaken(place?),
            2 => Verdict::Stale,
            3 => Verdict::Taken(place?),
            _ => Verdict::Raced,
        };
        let at = usize::try_from(row.try_get::<_, i32>(0).ok()?).ok()?;
        *verdicts.get_mut(at)? = Some(verdict);
    }
    verdicts.into_iter().collect()
}

/// The rows of a statement, column by column.
#[derive(Default)]
struct Columns<'a> {
    users: Users<'a>,
    guards: Guards<'a>,
    new: Keys<'a>,
    new_places: Vec<i32>,
    gone: Keys<'a>,
    expired: i64,
}

#[derive(Default)]
struct Users<'a> {
    commit: Vec<i32>,
    id: Vec<Option<Uuid>>,
    expected: Vec<Option<i64>>,
    version: Vec<Option<i64>>,
    status: Vec<Option<i16>>,
    suspended: Vec<Option<bool>>,
    email: Vec<Option<&'a [u8]>>,
    username: Vec<Option<&'a [u8]>>,
    record: Vec<Option<&'a [u8]>>,
}

#[derive(Default)]
struct Guards<'a> {
    commit: Vec<i32>,
    place: Vec<i32>,
    key: Vec<Uuid>,
    at: Vec<i64>,
    expired: Vec<i64>,
    fingerprint: Vec<&'a [u8]>,
    user: Vec<Option<Uuid>>,
    answer: Vec<Option<&'a [u8]>>,
}

#[derive(Default)]
struct Keys<'a> {
    commit: Vec<i32>,
    namespace: Vec<&'a [u8]>,
    kind: Vec<i16>,
    value: Vec<&'a [u8]>,
    user: Vec<Uuid>,
}

impl<'a> Columns<'a> {
    fn of(packs: &[&'a Pack]) -> Self {
        let mut columns = Self { expired: i64::MAX, ..Self::default() };
        for (commit, pack) in (0..).zip(packs) {
            columns.push(commit, pack);
        }
        columns
    }

    fn push(&mut self, commit: i32, pack: &'a Pack) {
        self.expired = self.expired.min(pack.expired);
        self.users.push(commit, pack);
        for (place, guard) in (0..).zip(&pack.guards) {
            let guards = &mut self.guards;
            guards.commit.push(commit);
            guards.place.push(place);
            guards.key.push(guard.key);
            guards.at.push(guard.at);
            guards.expired.push(pack.expired);
            guards.fingerprint.push(&guard.fingerprint);
            guards.user.push(guard.user);
            guards.answer.push(guard.answer.as_deref());
        }
        let Some(user) = &pack.user else { return };
        for (keys, rows) in [(&mut self.new, &pack.new), (&mut self.gone, &pack.gone)] {
            for key in rows {
                keys.commit.push(commit);
                keys.namespace.push(key.namespace.as_str().as_bytes());
                keys.kind.push(key.kind);
                keys.value.push(&key.value);
                keys.user.push(user.id);
            }
        }
        self.new_places.extend((0..).zip(&pack.new).map(|(place, _)| place));
    }

    fn users(&self) -> [&(dyn ToSql + Sync); 9] {
        let u = &self.users;
        [&u.commit, &u.id, &u.expected, &u.version, &u.status, &u.suspended, &u.email, &u.username, &u.record]
    }

    fn guards(&self) -> [&(dyn ToSql + Sync); 8] {
        let g = &self.guards;
        [&g.commit, &g.place, &g.key, &g.at, &g.expired, &g.fingerprint, &g.user, &g.answer]
    }

    /// Those that come, those that go.
    fn keys(&self) -> ([&(dyn ToSql + Sync); 6], [&(dyn ToSql + Sync); 5]) {
        let (n, o) = (&self.new, &self.gone);
        (
            [&n.commit, &self.new_places, &n.namespace, &n.kind, &n.value, &n.user],
            [&o.commit, &o.namespace, &o.kind, &o.value, &o.user],
        )
    }
}

impl<'a> Users<'a> {
    fn push(&mut self, commit: i32, pack: &'a Pack) {
        let user = pack.user.as_ref();
        self.commit.push(commit);
        self.id.push(user.map(|user| user.id));
        self.expected.push(user.and_then(|user| user.expected));
        self.version.push(user.map(|user| user.version));
        self.status.push(user.map(|user| user.status));
        self.suspended.push(user.map(|user| user.suspended));
        self.email.push(user.and_then(|user| user.email.as_deref()));
        self.username.push(user.and_then(|user| user.username.as_deref()));
        self.record.push(user.map(|user| user.record.as_slice()));
    }
}
