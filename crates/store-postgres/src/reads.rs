//! Reads: pipelined on few connections, each as of its own time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use gateway_core::{
    LedgerKey, LedgerRecord, Namespace, Page, Selection, StoreError, UniqueKey, User, UserId,
};
use gateway_record::Stored;
use tokio::{
    sync::{Notify, OnceCell, Semaphore, SemaphorePermit},
    time,
};
use tokio_postgres::{Row, Statement, types::ToSql};
use uuid::Uuid;

use crate::{
    Shared,
    backoff::Backoff,
    connect::Link,
    error::{AWAY, Failure, SLOW},
    lock,
    lookup::Lookup,
    pack::{self, KeyRow},
    stats::count,
};

/// How often a read is sent whose connection breaks.
const TRIES: usize = 4;
/// How many names of a namespace are looked through for a part that is not their beginning.
const LOOKED_THROUGH: i64 = 100_000;

const USER: &str = "SELECT id, record FROM interlingua_users WHERE id = $1";
pub(crate) const ROW: &str = "SELECT version, record FROM interlingua_users WHERE id = $1";
pub(crate) const LEDGER: &str =
    "SELECT at, fingerprint, user_id, answer FROM interlingua_ledger WHERE key = $1";
const FIND: &str = "SELECT u.id, u.record FROM interlingua_keys k JOIN interlingua_users u ON u.id = k.user_id \
    WHERE k.namespace = $1 AND k.kind = $2 AND k.value = $3";

/// The reads, in the order of [`QUERIES`]: each is prepared on a connection when first used there.
#[derive(Clone, Copy)]
pub(crate) enum Query {
    User,
    Find,
    Ledger,
    Users,
    Owners,
    Ledgers,
    All,
    Members,
    ByEmail,
    ByUsername,
    ByStatus,
    Suspended,
    Beginning,
    Holding,
}

const QUERIES: [&str; 14] = [
    USER,
    FIND,
    LEDGER,
    "SELECT u.id, u.record, q.i FROM unnest($1::uuid[]) WITH ORDINALITY AS q (id, i) \
        JOIN interlingua_users u ON u.id = q.id",
    "SELECT u.id, u.record, q.i \
        FROM unnest($1::bytea[], $2::int2[], $3::bytea[]) WITH ORDINALITY AS q (namespace, kind, value, i) \
        JOIN interlingua_keys k ON k.namespace = q.namespace AND k.kind = q.kind AND k.value = q.value \
        JOIN interlingua_users u ON u.id = k.user_id",
    "SELECT l.at, l.fingerprint, l.user_id, l.answer, q.i \
        FROM unnest($1::uuid[]) WITH ORDINALITY AS q (key, i) JOIN interlingua_ledger l ON l.key = q.key",
    "SELECT id, record FROM interlingua_users WHERE status > 0 AND id >= $1 ORDER BY id LIMIT $2",
    "SELECT u.id, u.record FROM (SELECT DISTINCT user_id FROM interlingua_keys \
        WHERE namespace = $3 AND kind = 1 AND user_id >= $1 ORDER BY user_id LIMIT $2) k \
        JOIN interlingua_users u ON u.id = k.user_id ORDER BY u.id",
    "SELECT id, record FROM interlingua_users WHERE email = $3 AND id >= $1 ORDER BY id LIMIT $2",
    "SELECT id, record FROM interlingua_users WHERE username = $3 AND id >= $1 ORDER BY id LIMIT $2",
    "SELECT id, record FROM interlingua_users WHERE status = $3 AND id >= $1 ORDER BY id LIMIT $2",
    "SELECT id, record FROM interlingua_users WHERE suspended AND id >= $1 ORDER BY id LIMIT $2",
    "SELECT u.id, u.record FROM interlingua_keys k JOIN interlingua_users u ON u.id = k.user_id \
        WHERE k.namespace = $1 AND k.kind = 2 AND k.value >= $2 AND k.value < $3 AND u.status <> 3 \
        ORDER BY k.value LIMIT $4",
    "SELECT u.id, u.record FROM (SELECT value, user_id FROM interlingua_keys \
        WHERE namespace = $1 AND kind = 2 ORDER BY value LIMIT $4) k \
        JOIN interlingua_users u ON u.id = k.user_id \
        WHERE position($2 IN k.value) > 1 AND u.status <> 3 ORDER BY k.value LIMIT $3",
];

/// A connection for reads.
struct Reader {
    link: Link,
    statements: [OnceCell<Statement>; QUERIES.len()],
}

/// The connections for reads.
pub(crate) struct Reads {
    slots: Box<[Mutex<Option<Arc<Reader>>>]>,
    next: AtomicUsize,
    places: Semaphore,
    changed: Notify,
}

impl Reads {
    pub(crate) fn new(connections: usize, in_flight: usize) -> Self {
        let connections = connections.max(1);
        Self {
            slots: (0..connections).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
            places: Semaphore::new(connections * in_flight.max(1)),
            changed: Notify::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A connection that stands, each in its turn.
    fn any(&self) -> Option<Arc<Reader>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..self.slots.len()).find_map(|offset| {
            let reader = lock(&self.slots[(first + offset) % self.slots.len()]).clone()?;
            (!reader.link.client.is_closed()).then_some(reader)
        })
    }

    async fn reader(&self) -> Arc<Reader> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(reader) = self.any() {
                return reader;
            }
            changed.await;
        }
    }
}

/// Keeps a connection standing, for ever.
pub(crate) async fn keep(shared: &Shared, slot: usize) {
    let mut backoff = Backoff::new();
    loop {
        let Ok(link) = shared.connector.connect().await else {
            backoff.pause().await;
            continue;
        };
        backoff = Backoff::new();
        let reader = Arc::new(Reader { link, statements: Default::default() });
        *lock(&shared.reads.slots[slot]) = Some(Arc::clone(&reader));
        shared.open.fetch_add(1, Ordering::Relaxed);
        shared.reads.changed.notify_waiters();
        reader.link.closed().await;
        *lock(&shared.reads.slots[slot]) = None;
        shared.open.fetch_sub(1, Ordering::Relaxed);
        shared.cache.clear();
    }
}

impl Reader {
    async fn query(&self, query: Query, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let client = &self.link.client;
        let statement = &self.statements[query as usize];
        let statement = statement.get_or_try_init(|| client.prepare(QUERIES[query as usize])).await;
        let rows = match statement {
            Ok(statement) => client.query(statement, parameters).await,
            Err(error) => Err(error),
        };
        rows.map_err(|error| Failure::of(&error))
    }
}

impl Shared {
    /// Reads on any connection; once more where it breaks.
    async fn query(&self, query: Query, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        self.query_by(query, parameters, Instant::now() + self.options.wait).await
    }

    /// The same with a connection by then; one that is there already may be used later, too.
    pub(crate) async fn query_by(
        &self,
        query: Query,
        parameters: &[&(dyn ToSql + Sync)],
        deadline: Instant,
    ) -> Result<Vec<Row>, StoreError> {
        let away = || StoreError::Unavailable(AWAY);
        let _place = self.place(deadline).await.ok_or_else(away)?;
        count(&self.counters.reads);
        let mut failure = Failure::NotSent;
        for _ in 0..TRIES {
            let reader = time::timeout_at(deadline.into(), self.reads.reader()).await.or(Err(away()))?;
            let patience = self.options.statement_timeout;
            match time::timeout(patience, reader.query(query, parameters)).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(Failure::Refused(why))) => return Err(StoreError::Unavailable(why)),
                Ok(Err(other)) => failure = other,
                Err(_) => {
                    reader.link.cut();
                    return Err(StoreError::Unavailable(SLOW));
                }
            }
        }
        Err(failure.into())
    }

    /// Leave to be on the way.
    async fn place(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.reads.places.try_acquire() {
            return Some(place);
        }
        count(&self.counters.read_waits);
        time::timeout_at(deadline.into(), self.reads.places.acquire()).await.ok()?.ok()
    }

    /// The user of an id.
    pub(crate) async fn read_user(self: &Arc<Self>, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        user(self.look_up(Lookup::User(Uuid::from_bytes(*id.as_bytes()))).await?)
    }

    /// The user with a unique key.
    pub(crate) async fn read_by(self: &Arc<Self>, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        user(self.look_up(Lookup::Owner(KeyRow::of(key))).await?)
    }

    /// The record under a ledger key, live or not.
    pub(crate) async fn read_ledger(
        self: &Arc<Self>,
        key: LedgerKey,
    ) -> Result<Option<LedgerRecord>, StoreError> {
        let row = self.look_up(Lookup::Ledger(pack::ledger_key(key))).await?;
        row.as_ref().map(ledger_row).transpose()
    }

    /// A page of users.
    pub(crate) async fn read_page(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let Some(first) = page.after.map_or(Some(Uuid::nil()), next) else {
            return Ok(Vec::new());
        };
        let users = match &page.of {
            Selection::All => self.query(Query::All, &[&first, &limit]).await?,
            Selection::Suspended => self.query(Query::Suspended, &[&first, &limit]).await?,
            Selection::Namespace(namespace) => {
                let namespace = namespace.as_str().as_bytes();
                self.query(Query::Members, &[&first, &limit, &namespace]).await?
            }
            Selection::Email(folded) => {
                self.query(Query::ByEmail, &[&first, &limit, &pack::hashed(folded)]).await?
            }
            Selection::Username(folded) => {
                self.query(Query::ByUsername, &[&first, &limit, &pack::hashed(folded)]).await?
            }
            Selection::Status(status) => {
                self.query(Query::ByStatus, &[&first, &limit, &(*status as i16)]).await?
            }
        };
        let users = all(&users)?;
        // Columns and record are of one row: they differ only where somebody else wrote it.
        if users.iter().all(|user| page.of.holds(user)) {
            Ok(users)
        } else {
            Err(StoreError::Damaged("the columns of a user"))
        }
    }

    /// Users by a part of their folded names, those that begin with it first.
    pub(crate) async fn read_suggestions(
        &self,
        namespace: &Namespace,
        part: &str,
        limit: usize,
    ) -> Result<Vec<Arc<User>>, StoreError> {
        let namespace = namespace.as_str().as_bytes();
        let part = part.as_bytes();
        // No byte of UTF-8 is so high.
        let end = [part, &[0xff]].concat();
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut users = all(&self.query(Query::Beginning, &[&namespace, &part, &end, &most]).await?)?;
        let left = limit.saturating_sub(users.len());
        if left > 0 {
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            let parameters: [&(dyn ToSql + Sync); 4] = [&namespace, &part, &left, &LOOKED_THROUGH];
            users.extend(all(&self.query(Query::Holding, &parameters).await?)?);
        }
        Ok(users)
    }
}

/// The id after an id.
fn next(id: UserId) -> Option<Uuid> {
    Uuid::from_bytes(*id.as_bytes()).as_u128().checked_add(1).map(Uuid::from_u128)
}

fn stored(row: &Row) -> Result<Stored, StoreError> {
    let unreadable = |error: tokio_postgres::Error| StoreError::Engine(Box::new(error));
    pack::stored(row.try_get(0).map_err(unreadable)?, row.try_get(1).map_err(unreadable)?)
}

fn user(row: Option<Row>) -> Result<Option<Arc<User>>, StoreError> {
    Ok(row.as_ref().map(stored).transpose()?.and_then(Stored::live))
}

fn all(rows: &[Row]) -> Result<Vec<Arc<User>>, StoreError> {
    rows.iter().filter_map(|row| stored(row).map(Stored::live).transpose()).collect()
}

/// A row of [`LEDGER`].
pub(crate) fn ledger_row(row: &Row) -> Result<LedgerRecord, StoreError> {
    let unreadable = |error: tokio_postgres::Error| StoreError::Engine(Box::new(error));
    let at = row.try_get(0).map_err(unreadable)?;
    let user = row.try_get(2).map_err(unreadable)?;
    let answer: Option<&[u8]> = row.try_get(3).map_err(unreadable)?;
    pack::ledger_record(at, row.try_get(1).map_err(unreadable)?, user, answer)
}
