//! Stores that are wrong in one way each, around the model.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use gateway_core::{
    Attr, Commit, Committed, LedgerKey, LedgerRecord, Page, Profile, Selection, StoreError, Timestamp,
    UniqueKey, User, UserId, UserStore, Value, Write,
};
use gateway_testkit::{contract::Start, memory::MemoryStore};

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    None,
    IgnoresVersions,
    KeepsGuardsOfRefusedCommits,
    ForgetsNamesOfTheSecondNamespace,
    NeverExpires,
    ReusesTombstones,
    IgnoresTheNamespaceOfAList,
    KeepsAnswersOfDeletedUsers,
    GivesOutStaleCopies,
    RoundsToMicroseconds,
    SelectsTextsAsTheyAreWritten,
    IgnoresTheStatusOfAList,
    KeepsWhoLeftASelection,
    RepeatsTheLastOfAPage,
    OverlooksPastSuspensions,
}

/// The model with a flaw.
pub(crate) struct Broken {
    flaw: Flaw,
    model: MemoryStore,
    copies: Mutex<BTreeMap<UserId, Arc<User>>>,
    answers: Mutex<BTreeMap<LedgerKey, LedgerRecord>>,
}

impl Broken {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self { flaw, model: MemoryStore::default(), copies: Mutex::default(), answers: Mutex::default() }
    }

    fn copies(&self) -> MutexGuard<'_, BTreeMap<UserId, Arc<User>>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<LedgerKey, LedgerRecord>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write that starts from whatever stands.
    async fn onto_what_stands(&self, write: Write) -> Result<Write, StoreError> {
        let Some(current) = self.model.user(write.id()).await? else { return Ok(write) };
        Ok(match write {
            Write::Update { after, .. } => {
                let version = after.version.max(current.version + 1);
                let after = Arc::new(User { version, ..(*after).clone() });
                Write::Update { before: current, after }
            }
            Write::Delete { .. } => Write::Delete { before: current },
            create @ Write::Create(_) => create,
        })
    }
}

fn round(at: Timestamp) -> Timestamp {
    at.replace_nanosecond(at.microsecond() * 1000).unwrap_or(at)
}

fn rounded(user: &User) -> User {
    let value = |value: Value<'_>| match value {
        Value::Instant(at) => Value::Instant(round(at)),
        other => other.into_owned(),
    };
    User { profile: Profile::from_stored(user.profile.stored().map(|(a, v)| (a, value(v)))), ..user.clone() }
}

fn forgets_name(user: &User, key: &UniqueKey) -> bool {
    let UniqueKey::Username(namespace, _) = key else { return false };
    user.profile.text(Attr::Username).is_some()
        && user.links.first().is_some_and(|first| first.namespace != *namespace)
}

impl UserStore for Broken {
    async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        match self.flaw {
            Flaw::GivesOutStaleCopies | Flaw::ReusesTombstones => {
                let copy = self.copies().get(&id).cloned();
                if copy.is_some() {
                    return Ok(copy);
                }
            }
            _ => {}
        }
        let user = self.model.user(id).await?;
        if self.flaw == Flaw::GivesOutStaleCopies {
            self.copies().extend(user.iter().map(|user| (id, user.clone())));
        }
        Ok(user
            .map(|user| if self.flaw == Flaw::RoundsToMicroseconds { rounded(&user).into() } else { user }))
    }

    async fn find(&self, key: &UniqueKey) -> Result<Option<Arc<User>>, StoreError> {
        let user = self.model.find(key).await?;
        let forgets = self.flaw == Flaw::ForgetsNamesOfTheSecondNamespace;
        Ok(user.filter(|user| !(forgets && forgets_name(user, key))))
    }

    fn key(&self) -> [u8; 16] {
        self.model.key()
    }

    async fn list(&self, page: &Page) -> Result<Vec<Arc<User>>, StoreError> {
        let mut page = page.clone();
        match (self.flaw, &page.of) {
            (Flaw::IgnoresTheNamespaceOfAList, Selection::Namespace(_))
            | (Flaw::IgnoresTheStatusOfAList, Selection::Status(_)) => page.of = Selection::All,
            (Flaw::KeepsWhoLeftASelection, of) => {
                let was = |id: &UserId| self.copies().get(id).is_some_and(|copy| of.holds(copy));
                let all = Page { of: Selection::All, limit: usize::MAX, ..page.clone() };
                let mut users = self.model.list(&all).await?;
                users.retain(|user| of.holds(user) || was(&user.id));
                users.truncate(page.limit);
                return Ok(users);
            }
            (Flaw::RepeatsTheLastOfAPage, _) if page.after.is_some() => {
                let before = page.after.map(|id| u128::from_be_bytes(*id.as_bytes()).saturating_sub(1));
                page.after = before.map(|id| UserId::from_bytes(id.to_be_bytes()));
            }
            _ => {}
        }
        let mut users = self.model.list(&page).await?;
        match (self.flaw, &page.of) {
            (Flaw::SelectsTextsAsTheyAreWritten, Selection::Email(text)) => {
                users.retain(|user| user.profile.text(Attr::Email) == Some(text));
            }
            (Flaw::OverlooksPastSuspensions, Selection::Suspended) => {
                let now = Start::default().now;
                users.retain(|user| user.suspensions.iter().any(|one| one.is_active(now)));
            }
            _ => {}
        }
        Ok(users)
    }

    async fn ledger(&self, key: LedgerKey, now: Timestamp) -> Result<Option<LedgerRecord>, StoreError> {
        let now = if self.flaw == Flaw::NeverExpires { Start::default().now } else { now };
        let record = self.model.ledger(key, now).await?;
        if self.flaw == Flaw::KeepsAnswersOfDeletedUsers && record.is_some() {
            return Ok(self.answers().get(&key).cloned());
        }
        Ok(record)
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let Commit { mut write, guards, mut now } = commit;
        match self.flaw {
            Flaw::IgnoresVersions => {
                if let Some(written) = write {
                    write = Some(self.onto_what_stands(written).await?);
                }
            }
            Flaw::NeverExpires => now = Start::default().now,
            Flaw::KeepsWhoLeftASelection => {
                if let Some(Write::Update { before, .. }) = &write {
                    self.copies().insert(before.id, before.clone());
                }
            }
            _ => {}
        }
        let answer = self.model.commit(Commit { write: write.clone(), guards: guards.clone(), now }).await?;
        match (&answer, self.flaw) {
            (Committed::Done, Flaw::KeepsAnswersOfDeletedUsers) => {
                let records = guards.into_iter().map(|guard| (guard.key, guard.record));
                self.answers().extend(records);
            }
            (Committed::Stale | Committed::Taken(_), Flaw::KeepsGuardsOfRefusedCommits) => {
                self.model.commit(Commit { write: None, guards, now }).await?;
            }
            (Committed::Stale, Flaw::ReusesTombstones) => {
                if let Some(Write::Create(user)) = write
                    && self.model.user(user.id).await?.is_none()
                {
                    self.copies().insert(user.id, user);
                    return Ok(Committed::Done);
                }
            }
            _ => {}
        }
        Ok(answer)
    }
}
