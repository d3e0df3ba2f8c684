//! Reads of one row by its key: those that come while others are on their way share the next statement.

use std::{collections::VecDeque, mem, sync::Arc, sync::Mutex, time::Instant};

use gateway_core::StoreError;
use tokio::sync::oneshot;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use crate::{Shared, error::AWAY, lock, pack::KeyRow, reads::Query};

/// Statements of one kind that are on their way at once.
const FLIGHTS: usize = 2;
/// The most reads that share a statement.
const MOST: usize = 128;
const DAMAGED: &str = "an answer of the database";

/// What is looked for.
pub(crate) enum Lookup {
    /// A user by its id.
    User(Uuid),
    /// A user by a unique key.
    Owner(KeyRow),
    /// A record of the ledger.
    Ledger(Uuid),
}

type Answer = Result<Option<Row>, StoreError>;

struct Waiting {
    lookup: Lookup,
    since: Instant,
    answer: oneshot::Sender<Answer>,
}

/// Reads of one kind, waiting.
#[derive(Default)]
pub(crate) struct Lookups(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    flights: usize,
}

impl Lookups {
    /// True where a new flight has to take it: whoever waits before it has one.
    fn push(&self, waiting: Waiting) -> bool {
        let mut state = lock(&self.0);
        state.waiting.push_back(waiting);
        let is_first = state.waiting.len() == 1 && state.flights < FLIGHTS;
        state.flights += usize::from(is_first);
        is_first
    }

    /// What goes next; nothing, and the flight has ended.
    fn take(&self) -> Vec<Waiting> {
        let mut state = lock(&self.0);
        let count = state.waiting.len().min(MOST);
        state.flights -= usize::from(count == 0);
        state.waiting.drain(..count).collect()
    }
}

impl Shared {
    /// The row that is looked for, as of now or later.
    pub(crate) async fn look_up(self: &Arc<Self>, lookup: Lookup) -> Answer {
        let kind = match &lookup {
            Lookup::User(_) => 0,
            Lookup::Owner(_) => 1,
            Lookup::Ledger(_) => 2,
        };
        let (answer, receiver) = oneshot::channel();
        if self.lookups[kind].push(Waiting { lookup, since: Instant::now(), answer }) {
            // A task of its own, which others may count on: this request's may be dropped.
            let shared = Arc::clone(self);
            tokio::spawn(async move { shared.fly(&shared.lookups[kind]).await });
        }
        receiver.await.unwrap_or(Err(StoreError::Unavailable(AWAY)))
    }

    /// Sends what waits, until nothing does.
    async fn fly(&self, lookups: &Lookups) {
        loop {
            let waiting = lookups.take();
            let Some(first) = waiting.first() else { return };
            let deadline = first.since + self.options.wait;
            let (lookups, answers): (Vec<_>, Vec<_>) =
                waiting.into_iter().map(|waiting| (waiting.lookup, waiting.answer)).unzip();
            let found = self.send(&lookups, deadline).await;
            deliver(found, answers);
        }
    }

    /// The rows, in order.
    async fn send(&self, lookups: &[Lookup], deadline: Instant) -> Result<Vec<Option<Row>>, StoreError> {
        if let [lookup] = lookups {
            let rows = match lookup {
                Lookup::User(id) => self.query_by(Query::User, &[id], deadline).await?,
                Lookup::Ledger(key) => self.query_by(Query::Ledger, &[key], deadline).await?,
                Lookup::Owner(KeyRow { namespace, kind, value }) => {
                    let namespace = namespace.as_str().as_bytes();
                    self.query_by(Query::Find, &[&namespace, kind, value], deadline).await?
                }
            };
            return Ok(vec![rows.into_iter().next()]);
        }
        let rows = self.send_together(lookups, deadline).await?;
        let mut found: Vec<_> = lookups.iter().map(|_| None).collect();
        for row in rows {
            // The last column is the place in the question, from 1.
            let place =
                row.try_get::<_, i64>(row.len() - 1).ok().and_then(|place| usize::try_from(place - 1).ok());
            let place = place.and_then(|place| found.get_mut(place));
            *place.ok_or(StoreError::Damaged(DAMAGED))? = Some(row);
        }
        Ok(found)
    }

    async fn send_together(&self, lookups: &[Lookup], deadline: Instant) -> Result<Vec<Row>, StoreError> {
        let (mut ids, mut query) = (Vec::new(), Query::Users);
        let (mut namespaces, mut kinds, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for lookup in lookups {
            match lookup {
                Lookup::User(id) => ids.push(*id),
                Lookup::Ledger(key) => {
                    query = Query::Ledgers;
                    ids.push(*key);
                }
                Lookup::Owner(key) => {
                    query = Query::Owners;
                    namespaces.push(key.namespace.as_str().as_bytes());
                    kinds.push(key.kind);
                    values.push(key.value.as_slice());
                }
            }
        }
        let by_key: [&(dyn ToSql + Sync); 3] = [&namespaces, &kinds, &values];
        let by_id: [&(dyn ToSql + Sync); 1] = [&ids];
        let parameters = if matches!(query, Query::Owners) { &by_key[..] } else { &by_id[..] };
        self.query_by(query, parameters, deadline).await
    }
}

/// To each its own; whoever has gone needs none.
fn deliver(found: Result<Vec<Option<Row>>, StoreError>, answers: Vec<oneshot::Sender<Answer>>) {
    match found {
        Ok(rows) => {
            for (row, answer) in rows.into_iter().zip(answers) {
                mem::drop(answer.send(Ok(row)));
            }
        }
        Err(error) => {
            let why = match error {
                StoreError::Unavailable(why) => why,
                _ => DAMAGED,
            };
            for answer in answers {
                mem::drop(answer.send(Err(StoreError::Unavailable(why))));
            }
        }
    }
}
