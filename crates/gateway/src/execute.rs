//! Execute: load, apply, rule, render. Nothing is written here: the answer and the state that it
//! speaks of go to the commit together.

use std::sync::Arc;

use gateway_core::{
    Change, Creation, Error, ErrorKind, ExternalId, Link, Locator, Operation, Outcome, Reach, Status,
    StoreError, UniqueKey, User, UserId, UserStore, Write, fold,
};
use gateway_dialect::{Answer, Request, Ruling};
use http::{StatusCode, header};
use uuid::{NoContext, Uuid};

use crate::{
    basis::Basis,
    prefer::minimal,
    queue::Turn,
    service::Gateway,
    stops::Visit,
    webhook::{Question, Webhook},
};

/// What execution came to, on its way to the store.
pub(crate) struct Executed<'q> {
    pub(crate) answer: Answer,
    /// The user that the answer speaks of: when it is deleted, so is what is kept of the answer.
    pub(crate) user: Option<UserId>,
    /// `None` where nothing changes.
    pub(crate) write: Option<Write>,
    /// Held until the commit is done.
    pub(crate) turn: Option<Turn<'q, UserId>>,
    /// What must have been approved before.
    pub(crate) question: Option<Question>,
}

impl Executed<'_> {
    /// An answer that changes nothing.
    pub(crate) const fn unchanged(answer: Answer) -> Self {
        Self { answer, user: None, write: None, turn: None, question: None }
    }
}

impl<S: UserStore> Gateway<S> {
    /// A read: load, render.
    pub(crate) async fn read(&self, visit: &Visit<'_>, operation: &Operation) -> Result<Answer, Error> {
        match (operation, visit.site.reach.namespace()) {
            (Operation::Read(locator), _) => {
                self.found(visit, &Outcome::Found(&*self.load(visit, locator, Basis::Read).await?))
            }
            (Operation::ReadLinks(locator), _) => {
                self.found(visit, &Outcome::Links(&*self.load(visit, locator, Basis::Read).await?))
            }
            (Operation::List(query), _) => self.list(visit, query).await,
            (Operation::CheckUsername(name), Some(namespace)) => {
                let key = UniqueKey::Username(namespace.clone(), fold(name));
                let taken = self.store.find(&key).await.map_err(store_error)?;
                Ok(self.encode(visit, &Outcome::Available(taken.is_none())))
            }
            (Operation::Suggest(part, limit), Some(namespace)) => {
                let found = self.store.suggest(namespace, &fold(part), *limit).await.map_err(store_error)?;
                Ok(self.encode(visit, &Outcome::Suggested(&found)))
            }
            (Operation::CheckUsername(_) | Operation::Suggest(..), None) => Err(ErrorKind::NotFound.into()),
            _ => Err(Error::new(ErrorKind::Internal).cause("write_on_read_route")),
        }
    }

    /// The answer of a dialect, with the entity tag of the user that it names (decision 12), if the mount
    /// still shows it.
    pub(crate) fn encode(&self, visit: &Visit<'_>, outcome: &Outcome<'_>) -> Answer {
        let dialect = &visit.mount.config.dialect;
        let mut answer = dialect.encode(&visit.site, outcome);
        if visit.is_minimal && visit.target.route.action.writes() {
            answer = minimal(answer);
        }
        if let Some(user) = outcome.user().filter(|user| dialect.has_entity_tags() && visit.shows(user)) {
            answer.headers.extend(self.tags().tag(user, visit.site.now).header());
        }
        answer
    }

    /// The answer to a read: where the client has it already, no more than its tag.
    fn found(&self, visit: &Visit<'_>, outcome: &Outcome<'_>) -> Result<Answer, Error> {
        let is_known = self.meets(visit, outcome.user())? && visit.mount.config.dialect.has_entity_tags();
        let answer = self.encode(visit, outcome);
        if !is_known {
            return Ok(answer);
        }
        let tag = answer.headers.into_iter().filter(|(name, _)| *name == header::ETAG);
        let hygiene = answer.hygiene;
        Ok(Answer { headers: tag.collect(), ..Answer::empty(StatusCode::NOT_MODIFIED, hygiene) })
    }

    /// Holds the request's conditions against its user; true where a reader has what it asks for.
    pub(crate) fn meets(&self, visit: &Visit<'_>, user: Option<&User>) -> Result<bool, Error> {
        if !visit.conditions.are_given() {
            return Ok(false);
        }
        let tag = user.map(|user| self.tags().tag(user, visit.site.now));
        visit.conditions.check(tag.as_ref())
    }

    /// A write, up to its commit. An operation is executed once: its changes are settled in place.
    pub(crate) async fn execute(
        &self,
        visit: &Visit<'_>,
        request: &Request<'_>,
        operation: &mut Operation,
        basis: Basis,
    ) -> Result<Executed<'_>, Error> {
        match operation {
            Operation::Create(creation) => self.create(visit, creation).await,
            Operation::ReadOrCreate(creation) => self.read_or_create(visit, creation).await,
            Operation::Replace(locator, creation) => {
                self.replace(visit, request, (locator, creation), basis).await
            }
            Operation::Revise(locator) => {
                let (before, turn) = self.load_to_write(visit, locator, basis).await?;
                let mut changes = visit.mount.config.dialect.revise(&visit.site, request, &before)?;
                self.update(visit, (before, turn), &mut changes)
            }
            Operation::Update { user, changes, deferred } => {
                let loaded = self.load_to_write(visit, user, basis).await?;
                deferred.take().map_or(Ok(()), Err)?;
                self.update(visit, loaded, changes)
            }
            Operation::Restate(user) => self.restate(visit, user).await,
            Operation::Link(locator, link) => self.link(visit, locator, link, basis).await,
            Operation::Unlink(locator, link) => self.unlink(visit, locator, link, basis).await,
            Operation::Delete(locator) => self.delete(visit, locator, basis).await,
            // On a route that may write, this request does not.
            Operation::Read(_)
            | Operation::ReadLinks(_)
            | Operation::List(_)
            | Operation::CheckUsername(_)
            | Operation::Suggest(..) => Ok(Executed::unchanged(self.read(visit, operation).await?)),
        }
    }

    async fn create(&self, visit: &Visit<'_>, creation: &Creation) -> Result<Executed<'_>, Error> {
        let user = self.new_user(visit, creation)?;
        let dialect = &visit.mount.config.dialect;
        let ruling = Ruling { site: &visit.site, before: None, after: &user, changes: &creation.changes };
        // A bad field is told before a taken id, a broken rule after it (decision 2).
        let judged = match dialect.judge(&ruling) {
            Err(error) if error.kind == ErrorKind::Invalid => return Err(error),
            judged => judged,
        };
        for link in &user.links {
            if self.owner(link.clone()).await?.is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
        }
        if creation.id.is_some() && self.store.current(user.id).await.map_err(store_error)?.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        judged?;
        self.meets(visit, None)?;
        let answer = self.encode(visit, &Outcome::Created(&user));
        let (id, write) = (Some(user.id), Some(Write::Create(Arc::new(user))));
        Ok(Executed { user: id, write, ..Executed::unchanged(answer) })
    }

    async fn read_or_create(&self, visit: &Visit<'_>, creation: &Creation) -> Result<Executed<'_>, Error> {
        let owner = match (&creation.external_id, visit.site.reach.namespace()) {
            (Some(external_id), Some(namespace)) => {
                self.owner(Link { namespace: namespace.clone(), external_id: external_id.clone() }).await?
            }
            _ => None,
        };
        match owner {
            None => self.create(visit, creation).await,
            // Absent to the legacy dialects, and its name is not free (decision 15).
            Some(user) if user.status == Status::Closed => Err(ErrorKind::NotFound.into()),
            Some(user) => {
                let answer = self.found(visit, &Outcome::Found(&user))?;
                Ok(Executed { user: Some(user.id), ..Executed::unchanged(answer) })
            }
        }
    }

    /// PUT: what is there is changed to what the request says, and what is not there is made.
    async fn replace(
        &self,
        visit: &Visit<'_>,
        request: &Request<'_>,
        (locator, creation): (&Locator, &mut Result<Creation, Error>),
        basis: Basis,
    ) -> Result<Executed<'_>, Error> {
        match self.load_to_write(visit, locator, basis).await {
            Ok((before, turn)) => {
                let mut changes = visit.mount.config.dialect.revise(&visit.site, request, &before)?;
                self.update(visit, (before, turn), &mut changes)
            }
            Err(error) if error.kind == ErrorKind::NotFound => {
                let creation = std::mem::replace(creation, Err(ErrorKind::Internal.into()))?;
                self.create(visit, &creation).await
            }
            Err(error) => Err(error),
        }
    }

    /// A state that another gateway has worked out, and judged: what is left is whether it may still stand.
    async fn restate(&self, visit: &Visit<'_>, after: &Arc<User>) -> Result<Executed<'_>, Error> {
        let turn = self.enter(after.id).await?;
        let before = self.store.current(after.id).await.map_err(store_error)?;
        let _id = before.as_ref().map(|before| visit.user.get_or_init(|| before.id));
        self.meets(visit, before.as_deref())?;
        // A version names one state only.
        if before.as_ref().is_some_and(|before| after.version <= before.version) {
            return Err(ErrorKind::PreconditionFailed.into());
        }
        let (outcome, write) = match before {
            None => (Outcome::Created(after), Write::Create(after.clone())),
            Some(before) => (Outcome::Updated(after), Write::Update { before, after: after.clone() }),
        };
        let answer = self.encode(visit, &outcome);
        let (user, write) = (Some(after.id), Some(write));
        Ok(Executed { user, write, turn: Some(turn), ..Executed::unchanged(answer) })
    }

    fn update<'q>(
        &self,
        visit: &Visit<'_>,
        (before, turn): (Arc<User>, Turn<'q, UserId>),
        changes: &mut Vec<Change>,
    ) -> Result<Executed<'q>, Error> {
        let dialect = &visit.mount.config.dialect;
        dialect.settle(&before, changes);
        let plain = visit.mount.webhook().map(|_| changes.clone());
        self.vault.seal(before.id, Some(&before), changes)?;
        let next = before.changed(changes, visit.site.now).map(Arc::new);
        let after = next.as_ref().unwrap_or(&before);
        dialect.judge(&Ruling { site: &visit.site, before: Some(&before), after, changes })?;
        // Only once all else is well (RFC 9110, 13.2.1).
        self.meets(visit, Some(&before))?;
        let answer = self.encode(visit, &Outcome::Updated(after));
        // A request that changes nothing asks nobody (decision 5).
        let question = plain.filter(|_| next.is_some()).map(|plain| question(visit, &before, plain, changes));
        let user = Some(before.id);
        let write = next.map(|after| Write::Update { before, after });
        Ok(Executed { answer, user, write, turn: Some(turn), question })
    }

    async fn delete(
        &self,
        visit: &Visit<'_>,
        locator: &Locator,
        basis: Basis,
    ) -> Result<Executed<'_>, Error> {
        let (before, turn) = self.load_to_write(visit, locator, basis).await?;
        self.meets(visit, Some(&before))?;
        let answer = self.encode(visit, &Outcome::Deleted);
        let namespace = visit.site.reach.namespace();
        let write = match namespace.and_then(|namespace| before.unlinked(namespace, visit.site.now)) {
            Some(after) => Write::Update { before, after: Arc::new(after) },
            None => Write::Delete { before },
        };
        // The answer says nothing of the user, and outlives it.
        Ok(Executed { write: Some(write), turn: Some(turn), ..Executed::unchanged(answer) })
    }

    /// The user of a creation, not yet in the store.
    fn new_user(&self, visit: &Visit<'_>, creation: &Creation) -> Result<User, Error> {
        let now = visit.site.now;
        let id = creation.id.unwrap_or_else(|| new_id(now));
        let mut user = User::new(id, creation.status, now);
        let mut changes = creation.changes.clone();
        self.vault.seal(id, None, &mut changes)?;
        user.apply(&changes);
        user.links.clone_from(&creation.links);
        match visit.site.reach {
            Reach::All => {}
            Reach::Nobody => return Err(ErrorKind::NotFound.into()),
            Reach::Namespace(namespace) => {
                let external_id = creation.external_id.clone().or_else(|| ExternalId::parse(&id.to_string()));
                let link = |external_id| Link { namespace: namespace.clone(), external_id };
                user.links.extend(external_id.map(link));
            }
        }
        Ok(user)
    }
}

/// What the webhook is asked: the changes that change something, as they were before they were sealed.
fn question(visit: &Visit<'_>, before: &User, mut plain: Vec<Change>, settled: &[Change]) -> Question {
    plain.retain(|change| {
        settled.iter().any(|kept| kept.attr == change.attr)
            && before.profile.get(change.attr).as_ref() != change.value.as_ref()
    });
    let secure = visit.mount.webhook().is_some_and(Webhook::sends_secure);
    let body = visit.mount.config.dialect.question(&visit.site, &plain, secure).into();
    Question { user: before.id, version: before.version, body }
}

/// A version 7 UUID: new users stand together in the store.
fn new_id(now: gateway_core::Timestamp) -> UserId {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    UserId::new(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, now.nanosecond())))
}

/// A store that cannot answer has written nothing.
pub(crate) fn store_error(error: StoreError) -> Error {
    let (kind, cause) = match &error {
        StoreError::Unavailable(why) => (ErrorKind::Unavailable, *why),
        StoreError::Pending => (ErrorKind::UnknownOutcome, "commit_pending"),
        StoreError::Refused(why) => (ErrorKind::RuleViolated, *why),
        StoreError::Damaged(_) => (ErrorKind::Unavailable, "damaged_record"),
        StoreError::Engine(_) => (ErrorKind::Internal, "store_engine"),
    };
    let answered = Error::new(kind).cause(cause);
    match kind {
        ErrorKind::Unavailable | ErrorKind::UnknownOutcome => answered.retry_after(1),
        ErrorKind::RuleViolated => answered,
        _ => answered.source(error),
    }
}
