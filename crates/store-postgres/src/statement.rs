//! The statement of commits: rows to parameters, its answer to verdicts.

use tokio_postgres::{Client, Row, Statement, types::ToSql};
use uuid::Uuid;

use crate::{error::Failure, pack::Pack};

const SQL: &str = include_str!("sql/commit.sql");

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

/// The statement, prepared on a connection.
pub(crate) async fn prepare(client: &Client) -> Result<Statement, tokio_postgres::Error> {
    client.prepare(SQL).await
}

/// Sends commits in one statement, one round trip; their verdicts, in order. An error speaks of all.
pub(crate) async fn run(
    client: &Client,
    statement: &Statement,
    packs: &[&Pack],
) -> Result<Vec<Verdict>, Failure> {
    let columns = Columns::of(packs);
    if client.is_closed() {
        return Err(Failure::NotSent);
    }
    let rows = client.query(statement, &columns.parameters()).await;
    let rows = rows.map_err(|error| Failure::of(&error))?;
    // What was answered was done: an answer that cannot be read is no refusal.
    verdicts(&rows, packs.len()).ok_or(Failure::Lost)
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

    fn parameters(&self) -> [&(dyn ToSql + Sync); 29] {
        let Self { users: u, guards: g, new: n, new_places, gone: o, expired } = self;
        [
            &u.commit,
            &u.id,
            &u.expected,
            &u.version,
            &u.status,
            &u.suspended,
            &u.email,
            &u.username,
            &u.record,
            &g.commit,
            &g.place,
            &g.key,
            &g.at,
            &g.expired,
            &g.fingerprint,
            &g.user,
            &g.answer,
            &n.commit,
            new_places,
            &n.namespace,
            &n.kind,
            &n.value,
            &n.user,
            expired,
            &o.commit,
            &o.namespace,
            &o.kind,
            &o.value,
            &o.user,
        ]
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
