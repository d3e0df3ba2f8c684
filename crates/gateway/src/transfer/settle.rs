//! One line on its way into the store: its commit, and what to make of the answer.

use std::{
    future::{Future, poll_fn, ready},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use gateway_core::{
    Attr, Change, Commit, Committed, StoreError, Timestamp, UniqueKey, User, UserStore, Value, Write,
};
use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle, time::Instant};

use super::{
    Failure,
    form::{self, Given},
    verdict::Flaw,
};
use crate::service::Gateway;

/// A store that is busy is asked again after this time ...
const PAUSE: Duration = Duration::from_millis(20);
/// ... for so long.
const PATIENCE: Duration = Duration::from_secs(30);

type Answer = Result<Committed, StoreError>;

/// What became of a line that was fit.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Settled {
    /// Its user is made.
    Created,
    /// Its user was there, just so.
    There,
    /// Its user cannot be made.
    Refused(Flaw),
}

/// A line whose commit the store has.
pub(super) struct Begun<S> {
    gateway: Arc<Gateway<S>>,
    given: Given,
    commit: Commit,
    answer: JoinHandle<Answer>,
}

impl<S: UserStore> Begun<S> {
    /// Hands the commit of a line to the store, and returns once the store has it: so commits are in the
    /// order of their lines, of which the first has what two want.
    pub(super) async fn begin(
        gateway: &Arc<Gateway<S>>,
        mut given: Given,
        now: Timestamp,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Failure> {
        if let Some(plain) = given.secret.clone() {
            let mut secret = vec![Change::set(Attr::SecureMetadata, Value::Document(plain.into()))];
            let sealed = gateway.vault.seal(given.user.id, None, &mut secret);
            sealed.map_err(|error| Failure::new(format!("a secret document: {error}")))?;
            Arc::make_mut(&mut given.user).profile.apply(&secret);
        }
        let write = Some(Write::Create(Arc::clone(&given.user)));
        let commit = Commit { write, guards: Vec::new(), now };
        let since = Instant::now();
        loop {
            let mut answer = ask(gateway, &commit);
            let begun = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
            let answer = match begun {
                Poll::Ready(Err(StoreError::Unavailable(_))) if since.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Poll::Ready(answer) => tokio::spawn(ready(answer)),
                Poll::Pending => tokio::spawn(async move {
                    let _until_answered = permit;
                    answer.await
                }),
            };
            return Ok(Self { gateway: Arc::clone(gateway), given, commit, answer });
        }
    }

    /// Waits for the answer, and says what it means.
    pub(super) async fn settle(mut self) -> Result<Settled, Failure> {
        let (store, since) = (&self.gateway.store, Instant::now());
        let mut answer = (&mut self.answer).await.map_err(|fallen| Failure::fallen(&fallen))?;
        let is_so = |user: &User| {
            let secret = self.given.secret.as_deref();
            self.given.is_so(user, self.commit.now)
                && secret.is_none_or(|plain| self.gateway.vault.holds(user, plain))
        };
        loop {
            match answer {
                Ok(Committed::Done) => return Ok(Settled::Created),
                Ok(Committed::Stale) => match store.current(self.given.user.id).await? {
                    // An id that is made of a line is of no other line's user.
                    Some(user) if !self.given.has_id() || is_so(&user) => return Ok(Settled::There),
                    Some(_) => return Ok(refused(form::pointer(form::ID), "Is that of another user")),
                    None => {
                        return Ok(refused(form::pointer(form::ID), "Was that of a user who was deleted"));
                    }
                },
                Ok(Committed::Taken(key)) => match store.find(&key).await? {
                    Some(user) if is_so(&user) => return Ok(Settled::There),
                    Some(_) => return Ok(refused(self.place(&key), "Is that of another user")),
                    // It was given up meanwhile.
                    None => {}
                },
                Err(StoreError::Unavailable(_)) if since.elapsed() < PATIENCE => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
                Ok(Committed::Unknown | Committed::KeyTaken(_)) => {
                    return Err(Failure::new("whether a line was written is not known; go on to find out"));
                }
            }
            answer = ask(&self.gateway, &self.commit).await;
        }
    }

    /// The pointer to what is taken.
    fn place(&self, key: &UniqueKey) -> String {
        match key {
            UniqueKey::Username(..) => dialect_rest::pointer(Attr::Username).to_owned(),
            UniqueKey::Link(link) => {
                let at = self.given.user.links.iter().position(|own| own == link).unwrap_or_default();
                format!("{}/{at}", dialect_rest::pointer(Attr::Links))
            }
        }
    }
}

fn ask<S: UserStore>(
    gateway: &Arc<Gateway<S>>,
    commit: &Commit,
) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    let (gateway, commit) = (Arc::clone(gateway), commit.clone());
    Box::pin(async move { gateway.store.commit(commit).await })
}

fn refused(pointer: String, why: &'static str) -> Settled {
    Settled::Refused(Flaw::at(pointer, why))
}
