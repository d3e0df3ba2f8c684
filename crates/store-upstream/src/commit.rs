//! A commit: one request, its record in the ledger, and what an answer means.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gateway_core::{
    Commit, Committed, Guard, LedgerKey, LedgerRecord, Status, StoreError, Timestamp, User, UserId,
    UserStore, Write,
};
use gateway_outbound::Reply;
use http::{HeaderName, HeaderValue, header};
use tokio::sync::MutexGuard;
use uuid::Uuid;

use crate::{
    UpstreamStore,
    call::{Request, Silence, refused},
    intent::{self, Intent, Kind},
    known::Known,
    resolve::{Found, Look},
    stripe,
    vocabulary::Meaning,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A write, ready to be sent.
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) user: UserId,
    /// The user as it is to be.
    pub(crate) after: Option<Arc<User>>,
    /// `None` where the service is told nothing.
    pub(crate) request: Option<Request>,
}

/// What an answer to a write says.
pub(crate) enum Verdict {
    /// It is done, and stands under this tag now.
    Done(Option<HeaderValue>),
    /// It is not done, for this reason.
    Not(Meaning),
    /// It is not done: we are not let in, or ask too much.
    Shut(StoreError),
    /// That is not known, or not yet.
    Open,
}

impl<L: UserStore> UpstreamStore<L> {
    /// A commit, from its first look to its end.
    pub(crate) async fn carry_out(
        &self,
        Commit { write, guards, now }: Commit,
    ) -> Result<Committed, StoreError> {
        let _turns = self.turns_of(&guards).await;
        let attempt = match self.check(&guards, now).await? {
            Ok(attempt) => attempt,
            Err(committed) => return Ok(committed),
        };
        let Some(write) = write else {
            return self.ledger.commit(Commit { write: None, guards, now }).await;
        };
        let Some(planned) = self.plan(&write).await? else { return Ok(Committed::Stale) };
        if guards.is_empty() {
            return self.unguarded(planned, now).await;
        }
        // What is rare is on the heap, so that the common way is small.
        Box::pin(self.guarded(planned, guards, attempt, now)).await
    }

    /// One commit at a time for each of its keys.
    async fn turns_of(&self, guards: &[Guard]) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<_> = guards.iter().map(|guard| stripe(guard.key)).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut turns = Vec::with_capacity(stripes.len());
        for at in stripes {
            turns.push(self.turns[at].lock().await);
        }
        turns
    }

    /// Whether the guards are free, and which attempt this is under the first one.
    async fn check(&self, guards: &[Guard], now: Timestamp) -> Result<Result<u32, Committed>, StoreError> {
        let mut attempt = 0;
        for (at, guard) in guards.iter().enumerate() {
            let is_repeated = guards[..at].iter().any(|other| other.key == guard.key);
            let look =
                if at == 0 { self.settled(guard.key, now).await? } else { self.bare(guard.key, now).await? };
            match look {
                Look::Open(..) => return Ok(Err(Committed::Unknown)),
                Look::Taken(_) => return Ok(Err(Committed::KeyTaken(guard.key))),
                Look::Free(_) if is_repeated => return Ok(Err(Committed::KeyTaken(guard.key))),
                Look::Free(free) if at == 0 => attempt = free,
                Look::Free(_) => {}
            }
        }
        Ok(Ok(attempt))
    }

    /// What a write comes to in a request; `None` where it does not start from what stands.
    async fn plan(&self, write: &Write) -> Result<Option<Planned>, StoreError> {
        self.listen().await?;
        let (kind, before, after) = match write {
            Write::Create(user) => (Kind::Create, None, Some(user)),
            Write::Update { before, after } if after.id == before.id && after.version > before.version => {
                (Kind::Update, Some(before), Some(after))
            }
            Write::Update { .. } => return Ok(None),
            Write::Delete { before } => (Kind::Delete, Some(before), None),
        };
        let tag = match before {
            None => None,
            Some(before) => match self.tag(before).await? {
                Some(tag) => Some(tag),
                None => return Ok(None),
            },
        };
        let request = self.speech.write(write, tag)?;
        Ok(Some(Planned { kind, user: write.id(), after: after.cloned(), request }))
    }

    /// The tag under which a user stands at this version; `None` where it does not.
    async fn tag(&self, user: &User) -> Result<Option<HeaderValue>, StoreError> {
        if let Some(known) = self.memory.get(user.id).filter(|known| known.user.version == user.version) {
            return Ok(Some(known.tag));
        }
        let current = Box::pin(self.fetch(user.id)).await?;
        Ok(current.filter(|current| current.user.version == user.version).map(|current| current.tag))
    }

    /// A write that nobody will ask about again: it is found out about here, or not at all.
    async fn unguarded(&self, mut planned: Planned, now: Timestamp) -> Result<Committed, StoreError> {
        self.sign(&mut planned, self.next_key());
        let committed = self.send(&planned).await?;
        if committed == Committed::Done && planned.kind == Kind::Delete {
            // Were this to fail, answers about a user who is gone would be kept for their day, and not shown.
            drop(Box::pin(self.bury(planned.user, Vec::new(), now)).await);
        }
        Ok(committed)
    }

    /// A write with its intent before it and its records behind it.
    async fn guarded(
        &self,
        mut planned: Planned,
        guards: Vec<Guard>,
        attempt: u32,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let Some(first) = guards.first() else { return self.unguarded(planned, now).await };
        let (key, fingerprint, at) = (first.key, first.record.fingerprint, first.record.at);
        self.sign(&mut planned, intent::forwarded(key, attempt));
        let Some(request) = planned.request.clone() else {
            self.remember(&planned, None);
            return self.ledger.commit(Commit { write: None, guards, now }).await;
        };
        let after = planned.after.as_ref().map(|after| self.speech.digest(after));
        let intent = Intent { request, user: planned.user, kind: planned.kind, after, guards };
        let place = intent::place("intent", key, attempt);
        let sealed = self.sealer.seal(place, &intent).ok_or(StoreError::Unavailable("no_randomness"))?;
        // What a deletion is about to do says nothing of the user, and must outlive it.
        let user = (planned.kind != Kind::Delete).then_some(planned.user);
        let record = LedgerRecord { fingerprint, at, user, answer: Some(sealed.into()) };
        match self
            .ledger
            .commit(Commit { write: None, guards: vec![Guard { key: place, record }], now })
            .await?
        {
            Committed::Done => {}
            // Another gateway was faster: whoever looks the key up will find out what came of it.
            Committed::KeyTaken(_) => return Ok(Committed::KeyTaken(key)),
            other => return Ok(other),
        }
        match self.send(&planned).await {
            Ok(Committed::Done) => Ok(self.settle(intent, now).await),
            Ok(Committed::Unknown) => Ok(Committed::Unknown),
            refused => {
                self.end(key, attempt, at, now).await;
                refused
            }
        }
    }

    /// A key that no other request has: what is random of it is so since the start.
    fn next_key(&self) -> [u8; 16] {
        let count = self.keys.fetch_add(1, Ordering::Relaxed);
        self.first_key.wrapping_add(u128::from(count)).to_be_bytes()
    }

    /// Gives a request the key by which the service knows it again.
    fn sign(&self, planned: &mut Planned, key: [u8; 16]) {
        if !self.honours_keys {
            return;
        }
        let key = Uuid::from_bytes(key).as_hyphenated().to_string();
        if let (Some(request), Ok(key)) = (&mut planned.request, HeaderValue::try_from(key)) {
            request.headers.insert(IDEMPOTENCY_KEY, key);
        }
    }

    /// Sends a write, and finds out what came of it.
    async fn send(&self, planned: &Planned) -> Result<Committed, StoreError> {
        let Some(request) = &planned.request else {
            self.remember(planned, None);
            return Ok(Committed::Done);
        };
        let verdict = match self.service.send(request, Duration::MAX).await {
            Ok(reply) => self.judge(&reply),
            Err(Silence::Lost(_)) => Verdict::Open,
            Err(unsent) => return Err(StoreError::Unavailable(unsent.why())),
        };
        match verdict {
            Verdict::Done(tag) => Ok(self.done(planned, tag)),
            Verdict::Not(meaning) => Box::pin(self.refusal(planned, meaning)).await,
            Verdict::Shut(error) => Err(error),
            Verdict::Open => Box::pin(self.lost(planned, request)).await,
        }
    }

    async fn lost(&self, planned: &Planned, request: &Request) -> Result<Committed, StoreError> {
        let counters = &self.service.counters;
        let after = planned.after.as_ref().map(|after| self.speech.digest(after));
        let found = self.find_out(request, (planned.kind, planned.user, after), false).await;
        let counter = if matches!(found, Found::Unknown) { &counters.unknown } else { &counters.resolved };
        counter.fetch_add(1, Ordering::Relaxed);
        match found {
            Found::Done(tag) => Ok(self.done(planned, tag)),
            Found::Not(meaning) => self.refusal(planned, meaning).await,
            Found::Unknown => {
                self.memory.forget(planned.user);
                Ok(Committed::Unknown)
            }
        }
    }

    /// What an answer says.
    pub(crate) fn judge(&self, reply: &Reply) -> Verdict {
        if reply.status.is_success() {
            return Verdict::Done(reply.headers.get(header::ETAG).cloned());
        }
        match self.speech.vocabulary.meaning(reply.status, &reply.body) {
            Some(Meaning::InFlight | Meaning::Unknown) => Verdict::Open,
            Some(meaning) => Verdict::Not(meaning),
            None => Verdict::Shut(refused(reply.status)),
        }
    }

    fn done(&self, planned: &Planned, tag: Option<HeaderValue>) -> Committed {
        self.service.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.remember(planned, tag);
        Committed::Done
    }

    /// Keeps what stands now, as far as it is known.
    fn remember(&self, planned: &Planned, tag: Option<HeaderValue>) {
        let tag = match (&planned.request, self.memory.get(planned.user)) {
            // Nothing was said: it stands under the tag that it had.
            (None, Some(known)) => Some(known.tag),
            _ => tag,
        };
        match (planned.after.clone(), tag) {
            (Some(user), Some(tag)) => self.memory.keep(Known { user, tag }),
            _ => self.memory.forget(planned.user),
        }
    }

    /// What a refusal comes to.
    async fn refusal(&self, planned: &Planned, meaning: Meaning) -> Result<Committed, StoreError> {
        self.memory.forget(planned.user);
        match meaning {
            Meaning::Absent | Meaning::Stale => Ok(Committed::Stale),
            Meaning::Refused => Err(StoreError::Refused("upstream_refuses_state")),
            Meaning::Unavailable => Err(StoreError::Unavailable("upstream_5xx")),
            Meaning::InFlight | Meaning::Unknown => Ok(Committed::Unknown),
            Meaning::Conflict => {
                for key in planned.after.iter().flat_map(|after| after.unique_keys()) {
                    if self.find(&key).await?.is_some_and(|owner| owner.id != planned.user) {
                        return Ok(Committed::Taken(key));
                    }
                }
                // The id is, or was, another user's; or whoever had the key has just let it go.
                Ok(Committed::Stale)
            }
        }
    }

    /// Puts the records of a write that is done into the ledger.
    pub(crate) async fn settle(&self, intent: Intent, now: Timestamp) -> Committed {
        let guards = intent.guards.clone();
        let settled = match intent.kind {
            Kind::Delete => self.bury(intent.user, intent.guards, now).await,
            _ => self.ledger.commit(Commit { write: None, guards: intent.guards, now }).await,
        };
        match settled {
            Ok(Committed::Done) => Committed::Done,
            // Another gateway found the intent, and settled it.
            Ok(Committed::KeyTaken(_)) if self.holds(&guards, now).await => Committed::Done,
            // The write is done; the intent will tell, once the ledger can be asked again.
            _ => Committed::Unknown,
        }
    }

    async fn holds(&self, guards: &[Guard], now: Timestamp) -> bool {
        for guard in guards {
            let Ok(Some(record)) = self.ledger.ledger(guard.key, now).await else { return false };
            if record.fingerprint != guard.record.fingerprint {
                return false;
            }
        }
        true
    }

    /// Takes the answers about a user who is gone from the ledger: it knows users by their tombstones alone.
    async fn bury(&self, id: UserId, guards: Vec<Guard>, now: Timestamp) -> Result<Committed, StoreError> {
        let stone = Arc::new(User::new(id, Status::Closed, now));
        let create = Commit { write: Some(Write::Create(Arc::clone(&stone))), guards: Vec::new(), now };
        let before = match self.ledger.commit(create).await? {
            Committed::Done => Some(stone),
            _ => self.ledger.user(id).await?,
        };
        let write = before.map(|before| Write::Delete { before });
        self.ledger.commit(Commit { write, guards, now }).await
    }

    /// Notes that an attempt came to nothing. Were this to fail, whoever comes next finds it out again.
    pub(crate) async fn end(&self, key: LedgerKey, attempt: u32, at: Timestamp, now: Timestamp) {
        let record = LedgerRecord { fingerprint: [0; 32], at, user: None, answer: None };
        let guards = vec![Guard { key: intent::place("end", key, attempt), record }];
        drop(self.ledger.commit(Commit { write: None, guards, now }).await);
    }
}
