//! Execute: load, apply, rule, render, commit. No lock is held; a version that moved means load
//! again; the answer is rendered before the commit, so that it can be kept with it.

use std::{sync::Arc, time::Duration};

use gateway_core::{
    Caller, Commit, Committed, Creation, Error, ErrorKind, Guard, LedgerRecord, Link, Locator, Operation,
    Outcome, Reach, Status, StoreError, UniqueKey, User, UserId, UserStore, Write,
};
use gateway_dialect::{Answer, Request, Ruling};
use uuid::{NoContext, Uuid};

use crate::{
    idempotency::{Claim, pack, unpack},
    queue::Refused,
    service::{Gateway, Trace, Visit},
};

/// How long a second request with the same Idempotency-Key waits for the first (decision 9).
const KEY_WAIT: Duration = Duration::from_secs(5);
/// How long writers to one user queue.
const WRITER_WAIT: Duration = Duration::from_secs(5);
/// How often a request starts over because the user moved under it. Writers on one node queue, so
/// that only other nodes can be in the way.
const ATTEMPTS: usize = 16;

/// What may happen only once in this request.
#[derive(Clone, Copy, Default)]
struct Claims {
    key: Option<Claim>,
    signature: Option<Claim>,
}

/// What execution came to, on its way to the ledger.
struct Executed {
    answer: Answer,
    user: Option<UserId>,
    write: Option<Write>,
}

/// Why a commit is to be tried again.
enum Commitment {
    Done,
    Stale,
    /// A guard was taken meanwhile: the ledger knows the answer.
    Claimed,
}

impl<S: UserStore> Gateway<S> {
    /// A read: load, render.
    pub(crate) async fn read(&self, visit: &Visit<'_>, operation: &Operation) -> Result<Answer, Error> {
        let Operation::Read(locator) = operation else {
            return Err(Error::new(ErrorKind::Internal).cause("write_on_read_route"));
        };
        let user = self.load(visit, locator).await?;
        Ok(visit.mount.config.dialect.encode(&visit.site, &Outcome::Found(&user)))
    }

    /// A write: at most once for its key and its signature.
    pub(crate) async fn once(
        &self,
        visit: &Visit<'_>,
        caller: &Caller,
        request: &Request<'_>,
        key: Option<Claim>,
        signature: Option<Claim>,
        trace: &mut Trace,
    ) -> Result<Answer, Error> {
        let claims = Claims { key, signature };
        let _turn = match key {
            None => None,
            Some(claim) => Some(
                self.keys.enter(claim.ledger_key, claim.fingerprint, KEY_WAIT).await.map_err(in_flight)?,
            ),
        };
        if let Some(answer) = self.replay(visit, claims, trace).await? {
            return Ok(answer);
        }
        let operation = self.decode(visit, caller, request)?;
        for _ in 0..ATTEMPTS {
            match self.attempt(visit, &operation, claims, trace).await? {
                (answer, Commitment::Done) => return Ok(answer),
                (_, Commitment::Stale) => {}
                (_, Commitment::Claimed) => {
                    if let Some(answer) = self.replay(visit, claims, trace).await? {
                        return Ok(answer);
                    }
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable).retry_after(1).cause("contended"))
    }

    /// What the ledger says of a key and a signature: the stored answer, a refusal, or nothing.
    async fn replay(
        &self,
        visit: &Visit<'_>,
        claims: Claims,
        trace: &mut Trace,
    ) -> Result<Option<Answer>, Error> {
        let now = visit.site.now;
        if let Some(claim) = claims.signature
            && let Some(used) = self.store.ledger(claim.ledger_key, now).await.map_err(store_error)?
            && (used.fingerprint != claim.fingerprint || claims.key.is_none())
        {
            return Err(Error::new(ErrorKind::BadCredential).cause("signature_replayed"));
        }
        let Some(claim) = claims.key else { return Ok(None) };
        let Some(record) = self.store.ledger(claim.ledger_key, now).await.map_err(store_error)? else {
            return Ok(None);
        };
        if record.fingerprint != claim.fingerprint {
            return Err(ErrorKind::KeyReused.into());
        }
        match record.answer {
            Some(answer) => {
                trace.replayed = true;
                unpack(&answer).map(Some)
            }
            None => Err(Error::new(ErrorKind::NotFound).cause("user_deleted")),
        }
    }

    /// One round of load, apply, rule, render, commit. A refusal that is a fact about the store is
    /// an answer, and kept with the key.
    async fn attempt(
        &self,
        visit: &Visit<'_>,
        operation: &Operation,
        claims: Claims,
        trace: &mut Trace,
    ) -> Result<(Answer, Commitment), Error> {
        let result = match operation {
            Operation::Create(creation) => self.create(visit, creation, claims, trace).await,
            Operation::Update(locator, changes) => self.update(visit, locator, changes, claims, trace).await,
            Operation::Read(_) => Err(Error::new(ErrorKind::Internal).cause("read_on_write_route")),
        };
        match (result, claims.key) {
            (Err(error), Some(claim)) if error.kind.is_decided() => {
                let answer = visit.mount.config.dialect.render(&error, visit.site.request_id);
                let refused = Executed { answer, user: None, write: None };
                // A refused request uses up its key, but not its signature (decision 18).
                let kept = Claims { key: Some(claim), signature: None };
                let (answer, commitment) = self.commit(visit, refused, kept, trace).await?;
                if matches!(commitment, Commitment::Done) {
                    trace.failed = Some(error.kind);
                    trace.cause = error.cause;
                }
                Ok((answer, commitment))
            }
            (result, _) => result,
        }
    }

    async fn create(
        &self,
        visit: &Visit<'_>,
        creation: &Creation,
        claims: Claims,
        trace: &mut Trace,
    ) -> Result<(Answer, Commitment), Error> {
        let user = new_user(visit, creation);
        let dialect = &visit.mount.config.dialect;
        let ruling = Ruling { site: &visit.site, before: None, after: &user, changes: &creation.changes };
        // A bad field is told before a taken id, a broken rule after it (decision 2).
        let judged = match dialect.judge(&ruling) {
            Err(error) if error.kind == ErrorKind::Invalid => return Err(error),
            judged => judged,
        };
        for link in &user.links {
            if self.store.find(&UniqueKey::Link(link.clone())).await.map_err(store_error)?.is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
        }
        judged?;
        let answer = dialect.encode(&visit.site, &Outcome::Created(&user));
        let executed = Executed { answer, user: Some(user.id), write: Some(Write::Create(Arc::new(user))) };
        self.commit(visit, executed, claims, trace).await
    }

    async fn update(
        &self,
        visit: &Visit<'_>,
        locator: &Locator,
        changes: &[gateway_core::Change],
        claims: Claims,
        trace: &mut Trace,
    ) -> Result<(Answer, Commitment), Error> {
        let found = self.load(visit, locator).await?;
        let _turn = self
            .writers
            .enter(found.id, [0; 32], WRITER_WAIT)
            .await
            .map_err(|_late| Error::new(ErrorKind::Unavailable).retry_after(1).cause("writers_queue"))?;
        let before = self.load(visit, locator).await?;
        let dialect = &visit.mount.config.dialect;
        let next = before.changed(changes, visit.site.now).map(Arc::new);
        let after = next.as_ref().unwrap_or(&before);
        dialect.judge(&Ruling { site: &visit.site, before: Some(&before), after, changes })?;
        let answer = dialect.encode(&visit.site, &Outcome::Updated(after));
        let user = Some(before.id);
        let write = next.map(|after| Write::Update { before, after });
        self.commit(visit, Executed { answer, user, write }, claims, trace).await
    }

    async fn commit(
        &self,
        visit: &Visit<'_>,
        executed: Executed,
        claims: Claims,
        trace: &mut Trace,
    ) -> Result<(Answer, Commitment), Error> {
        let Executed { answer, user, write } = executed;
        let record = |claim: Claim, answer| LedgerRecord {
            fingerprint: claim.fingerprint,
            at: visit.site.now,
            user,
            answer,
        };
        let key = claims
            .key
            .map(|claim| Guard { key: claim.ledger_key, record: record(claim, Some(pack(&answer))) });
        let signature = claims
            .signature
            .map(|claim| Guard { key: claim.ledger_key, record: record(claim, Some(Arc::default())) });
        let guards: Vec<_> = key.into_iter().chain(signature).collect();
        if write.is_none() && guards.is_empty() {
            return Ok((answer, Commitment::Done));
        }
        trace.committing = true;
        let committed =
            self.store.commit(Commit { write, guards, now: visit.site.now }).await.map_err(store_error)?;
        trace.committing = false;
        match committed {
            Committed::Done => Ok((answer, Commitment::Done)),
            Committed::Stale => Ok((answer, Commitment::Stale)),
            Committed::KeyTaken(_) => Ok((answer, Commitment::Claimed)),
            Committed::Taken(UniqueKey::Link(_)) => Err(ErrorKind::AlreadyExists.into()),
            Committed::Taken(UniqueKey::Username(..)) => Err(ErrorKind::UsernameTaken.into()),
            Committed::Unknown => {
                Err(Error::new(ErrorKind::UnknownOutcome).retry_after(1).cause("commit_unknown"))
            }
        }
    }

    /// The user that a request names, if its mount sees it; a closed one is absent (decision 15).
    async fn load(&self, visit: &Visit<'_>, locator: &Locator) -> Result<Arc<User>, Error> {
        let found = match (locator, visit.site.reach) {
            (Locator::External(external_id), Reach::Namespace(namespace)) => {
                let link = Link { namespace: namespace.clone(), external_id: external_id.clone() };
                self.store.find(&UniqueKey::Link(link)).await
            }
            (Locator::Id(id), reach) => {
                self.store.user(*id).await.map(|user| user.filter(|user| sees(reach, user)))
            }
            (Locator::External(_), Reach::All) | (Locator::Nobody, _) => Ok(None),
        };
        let user = found.map_err(store_error)?.filter(|user| user.status != Status::Closed);
        user.ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn sees(reach: &Reach, user: &User) -> bool {
    reach.namespace().is_none_or(|namespace| user.external_id(namespace).is_some())
}

/// A version 7 id: new users stand together in the store.
fn new_user(visit: &Visit<'_>, creation: &Creation) -> User {
    let now = visit.site.now;
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, now.nanosecond()));
    let mut user = User::new(UserId::new(id), creation.status, now);
    user.profile.apply(&creation.changes);
    if let (Some(external_id), Some(namespace)) = (&creation.external_id, visit.site.reach.namespace()) {
        user.links.push(Link { namespace: namespace.clone(), external_id: external_id.clone() });
    }
    user
}

fn in_flight(refused: Refused) -> Error {
    match refused {
        Refused::OtherTag => ErrorKind::KeyReused.into(),
        Refused::TimedOut => Error::new(ErrorKind::KeyInFlight).retry_after(1),
    }
}

/// A store that cannot answer has written nothing.
fn store_error(error: StoreError) -> Error {
    let (kind, cause) = match &error {
        StoreError::Unavailable(why) => (ErrorKind::Unavailable, *why),
        StoreError::Damaged(_) => (ErrorKind::Unavailable, "damaged_record"),
        StoreError::Engine(_) => (ErrorKind::Internal, "store_engine"),
    };
    let answered = Error::new(kind).cause(cause);
    match kind {
        ErrorKind::Unavailable => answered.retry_after(1),
        _ => answered.source(error),
    }
}
