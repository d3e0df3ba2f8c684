//! A write happens once: for its Idempotency-Key, for its signature, and for the version that it was
//! computed from.

use std::{sync::Arc, time::Duration};

use gateway_core::{
    Caller, Commit, Committed, Creation, Error, ErrorKind, Guard, LedgerRecord, Locator, Operation,
    UniqueKey, UserId, UserStore,
};
use gateway_dialect::{Answer, Decoded, Occasion, Request};
use gateway_outbound::trace as spans;
use http::StatusCode;

use crate::{
    basis::Basis,
    execute::{Executed, store_error},
    idempotency::{Claim, is_kept, pack, unpack},
    queue::Refused,
    service::Gateway,
    stops::Visit,
    watch::Trace,
    webhook::{Approval, Question},
};

/// How long a second request with the same Idempotency-Key waits for the first (decision 9).
const KEY_WAIT: Duration = Duration::from_secs(5);
/// How often a request starts over because the user moved under it. Writers on one node queue, so
/// that only other nodes can be in the way.
const ATTEMPTS: usize = 16;

/// What may happen only once in a request.
#[derive(Clone, Copy, Default)]
pub(crate) struct Claims {
    pub(crate) key: Option<Claim>,
    pub(crate) signature: Option<Claim>,
}

/// What came of a round that was no failure.
enum Round {
    /// The answer, and it is durable.
    Done(Answer),
    /// The user moved meanwhile, or came to be: load again.
    Stale,
    /// A guard was taken meanwhile: the ledger knows the answer.
    Claimed,
    /// The webhook has not approved of this yet.
    Ask(Question),
}

impl<S: UserStore> Gateway<S> {
    /// A write: at most once for its key and its signature.
    pub(crate) async fn once(
        &self,
        visit: &Visit<'_>,
        caller: &Caller,
        request: &Request<'_>,
        claims: Claims,
        trace: &mut Trace<'_>,
    ) -> Result<Answer, Error> {
        let _turn = match claims.key {
            None => None,
            Some(claim) => Some(
                self.keys.enter(claim.ledger_key, claim.fingerprint, KEY_WAIT).await.map_err(in_flight)?,
            ),
        };
        let mut first = Some(self.decode(visit, caller, request));
        if let Some(answer) = self.outright(visit, request, &mut first, claims, trace).await? {
            return Ok(answer);
        }
        if let Some(answer) = self.replay(visit, claims, trace).await? {
            return Ok(answer);
        }
        let mut approval = Approval::default();
        for round in 0..ATTEMPTS {
            let decoded = first.take().unwrap_or_else(|| self.decode(visit, caller, request))?;
            if round == 0 {
                self.count_unknown(visit, &decoded);
            }
            let mut operation = decoded.operation;
            match self.attempt(visit, request, &mut operation, claims, &approval, trace).await? {
                Round::Done(answer) => return Ok(answer),
                Round::Stale => {}
                Round::Claimed => {
                    if let Some(answer) = self.replay(visit, claims, trace).await? {
                        return Ok(answer);
                    }
                }
                Round::Ask(question) => {
                    let asking = approval.ask(visit.mount, &self.metrics, question, visit.site.now);
                    trace.cause = asking.await?;
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable).retry_after(1).cause("contended"))
    }

    /// A write of a user as the store last knew it, without a question before its commit, which checks
    /// version, key and signature itself. Nothing but a commit that is done is an answer: whatever else comes
    /// of it is as if it had not been tried, and what was decoded is used up.
    async fn outright(
        &self,
        visit: &Visit<'_>,
        request: &Request<'_>,
        first: &mut Option<Result<Decoded, Error>>,
        claims: Claims,
        trace: &mut Trace<'_>,
    ) -> Result<Option<Answer>, Error> {
        let is_known = |decoded: &Decoded| {
            let subject = decoded.operation.subject();
            subject.is_some_and(|locator| self.recent(visit, locator).is_some())
        };
        let known = first.take_if(|first| first.as_ref().is_ok_and(is_known));
        let Some(Ok(mut decoded)) = known else { return Ok(None) };
        let executed = match self.execute(visit, request, &mut decoded.operation, Basis::Recent).await {
            Ok(executed) if executed.write.is_some() && executed.question.is_none() => executed,
            _ => return Ok(None),
        };
        match self.commit(visit, executed, claims, trace).await {
            Ok(Round::Done(answer)) => {
                self.count_unknown(visit, &decoded);
                Ok(Some(answer))
            }
            Err(error) if !error.kind.is_decided() => Err(error),
            _ => Ok(None),
        }
    }

    /// What the ledger says of a key and a signature: the stored answer, a refusal, or nothing.
    async fn replay(
        &self,
        visit: &Visit<'_>,
        claims: Claims,
        trace: &mut Trace<'_>,
    ) -> Result<Option<Answer>, Error> {
        let look_up = |claim: Option<Claim>| async move {
            match claim {
                Some(claim) => self.store.ledger(claim.ledger_key, visit.site.now).await,
                None => Ok(None),
            }
        };
        // At once: where the store is another machine, they share its answer.
        let (used, record) = tokio::join!(look_up(claims.signature), look_up(claims.key));
        if let (Some(claim), Some(used)) = (claims.signature, used.map_err(store_error)?)
            && (used.fingerprint != claim.fingerprint || claims.key.is_none())
        {
            return Err(Error::new(ErrorKind::BadCredential).cause("signature_replayed"));
        }
        let Some(claim) = claims.key else { return Ok(None) };
        let Some(record) = record.map_err(store_error)? else {
            return Ok(None);
        };
        if record.fingerprint != claim.fingerprint {
            return Err(ErrorKind::KeyReused.into());
        }
        let gone = || Error::new(ErrorKind::NotFound).cause("user_gone");
        let answer = record.answer.ok_or_else(gone)?;
        if let Some(id) = record.user {
            // A user that was unlinked or closed since is not shown by an answer of before.
            let user = self.store.current(id).await.map_err(store_error)?;
            user.filter(|user| visit.shows(user)).ok_or_else(gone)?;
        }
        trace.replayed = true;
        unpack(&answer).map(Some)
    }

    /// One round of load, apply, rule, render, commit. A refusal that is a fact about the store is
    /// an answer, and kept with the key, where there is one.
    async fn attempt(
        &self,
        visit: &Visit<'_>,
        request: &Request<'_>,
        operation: &mut Operation,
        claims: Claims,
        approval: &Approval,
        trace: &mut Trace<'_>,
    ) -> Result<Round, Error> {
        let result = match self.execute(visit, request, operation, Basis::Current).await {
            // With it goes the writer's turn: nothing is held while the webhook is asked.
            Ok(Executed { question: Some(question), .. }) if !approval.covers(&question) => {
                return Ok(Round::Ask(question));
            }
            Ok(executed) => self.commit(visit, executed, claims, trace).await,
            Err(error) => Err(error),
        };
        let result = match (result, &*operation) {
            // The id that the client chose is, or was, another user's: it is never free again.
            (Ok(Round::Stale), Operation::Create(Creation { id: Some(_), .. })) => {
                Err(ErrorKind::AlreadyExists.into())
            }
            // The same, unless somebody else has just made it: that one can be replaced.
            (Ok(Round::Stale), Operation::Replace(Locator::Id(id), _)) if self.is_gone(*id).await? => {
                Err(ErrorKind::AlreadyExists.into())
            }
            (Ok(Round::Stale), Operation::Restate(user))
                if visit.user.get().is_none() && self.is_gone(user.id).await? =>
            {
                Err(ErrorKind::AlreadyExists.into())
            }
            (result, _) => result,
        };
        match result {
            // Somebody else made the user between the look and the commit: it is there to be read.
            Err(error)
                if error.kind == ErrorKind::AlreadyExists
                    && matches!(operation, Operation::ReadOrCreate(_)) =>
            {
                Ok(Round::Stale)
            }
            Err(error) if error.kind.is_decided() || error.kind == ErrorKind::Invalid => {
                let external_id = operation.external_id();
                let occasion =
                    Occasion { request_id: visit.site.request_id, target: Some(visit.target), external_id };
                let answer = visit.mount.config.dialect.render(&error, &occasion);
                if !is_kept(error.kind, answer.status) {
                    return Err(error);
                }
                // A refused request uses up its key, but not its signature (decision 18).
                let claims = Claims { signature: None, ..claims };
                let user = visit.user.get().copied();
                let executed = Executed { user, ..Executed::unchanged(answer) };
                let round = self.commit(visit, executed, claims, trace).await?;
                if matches!(round, Round::Done(_)) {
                    trace.failed = Some(error.kind);
                    trace.cause = error.cause;
                }
                Ok(round)
            }
            result => result,
        }
    }

    async fn is_gone(&self, id: UserId) -> Result<bool, Error> {
        Ok(self.store.current(id).await.map_err(store_error)?.is_none())
    }

    async fn commit(
        &self,
        visit: &Visit<'_>,
        executed: Executed<'_>,
        claims: Claims,
        trace: &mut Trace<'_>,
    ) -> Result<Round, Error> {
        let Executed { answer, user, write, turn: _until_committed, question: _approved } = executed;
        // What a client has already is no outcome of its request.
        let claims = if answer.status == StatusCode::NOT_MODIFIED { Claims::default() } else { claims };
        let (now, kept) = (visit.site.now, claims.key.map(|_| pack(&answer)));
        let guard = |claim: Claim, answer| Guard {
            key: claim.ledger_key,
            record: LedgerRecord { fingerprint: claim.fingerprint, at: now, user, answer },
        };
        let key = claims.key.map(|claim| guard(claim, kept));
        let signature = claims.signature.map(|claim| guard(claim, Some(Arc::default())));
        let guards: Vec<_> = key.into_iter().chain(signature).collect();
        if write.is_none() && guards.is_empty() {
            return Ok(Round::Done(answer));
        }
        trace.committing = true;
        let committing = self.store.commit(Commit { write, guards, now });
        let committed = spans::within("commit", committing).await.map_err(store_error)?;
        trace.committing = false;
        match committed {
            Committed::Done => Ok(Round::Done(answer)),
            Committed::Stale => Ok(Round::Stale),
            Committed::KeyTaken(_) => Ok(Round::Claimed),
            Committed::Taken(UniqueKey::Link(_)) => Err(ErrorKind::AlreadyExists.into()),
            Committed::Taken(UniqueKey::Username(..)) => Err(ErrorKind::UsernameTaken.into()),
            Committed::Unknown => {
                Err(Error::new(ErrorKind::UnknownOutcome).retry_after(1).cause("commit_unknown"))
            }
        }
    }
}

fn in_flight(refused: Refused) -> Error {
    match refused {
        Refused::OtherTag => ErrorKind::KeyReused.into(),
        Refused::TimedOut => Error::new(ErrorKind::KeyInFlight).retry_after(1),
    }
}
