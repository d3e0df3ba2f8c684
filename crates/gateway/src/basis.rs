//! What a request is decided on: the user that it names, as the store has it now or last knew it.

use std::{sync::Arc, time::Duration};

use gateway_core::{Error, ErrorKind, Link, Locator, Reach, UniqueKey, User, UserId, UserStore};

use crate::{execute::store_error, queue::Turn, service::Gateway, stops::Visit};

/// How long writers to one user queue.
const WRITER_WAIT: Duration = Duration::from_secs(5);

/// How well the store must know a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Basis {
    /// As it last knew it, where it does: good for nothing but a commit that is done, which says that it
    /// still stood.
    Recent,
    /// As it stands now: good for every answer.
    Current,
    /// As it stands now, or as it was a while ago where the operator lets reads be answered so.
    Read,
}

impl<S: UserStore> Gateway<S> {
    /// A user, once it is this request's turn to write it.
    pub(crate) async fn load_to_write(
        &self,
        visit: &Visit<'_>,
        locator: &Locator,
        basis: Basis,
    ) -> Result<(Arc<User>, Turn<'_, UserId>), Error> {
        let found = self.load(visit, locator, basis).await?;
        if basis == Basis::Current {
            // The same in every round.
            let _id = visit.user.get_or_init(|| found.id);
        }
        let turn = self.enter(found.id).await?;
        // Whoever had the turn before has most likely changed the user; should another have done so
        // all the same, the commit will say.
        let latest = if turn.waited { self.load(visit, locator, basis).await? } else { found };
        Ok((latest, turn))
    }

    /// A writer's turn.
    pub(crate) async fn enter(&self, id: UserId) -> Result<Turn<'_, UserId>, Error> {
        let late = |_| Error::new(ErrorKind::Unavailable).retry_after(1).cause("writers_queue");
        self.writers.enter(id, [0; 32], WRITER_WAIT).await.map_err(late)
    }

    /// The user that a request names, if its mount shows it.
    pub(crate) async fn load(
        &self,
        visit: &Visit<'_>,
        locator: &Locator,
        basis: Basis,
    ) -> Result<Arc<User>, Error> {
        if let (Basis::Recent, Some(known)) = (basis, self.recent(visit, locator)) {
            return Ok(known);
        }
        let found = match (locator, visit.site.reach) {
            (Locator::External(external_id), Reach::Namespace(namespace)) => {
                self.owner(Link { namespace: namespace.clone(), external_id: external_id.clone() }).await?
            }
            (Locator::Id(id), _) if basis == Basis::Read => {
                self.store.user(*id).await.map_err(store_error)?
            }
            (Locator::Id(id), _) => self.store.current(*id).await.map_err(store_error)?,
            (Locator::External(_), Reach::All | Reach::Nobody) | (Locator::Nobody, _) => None,
        };
        found.filter(|user| visit.shows(user)).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// The same from what the store knows without asking.
    pub(crate) fn recent(&self, visit: &Visit<'_>, locator: &Locator) -> Option<Arc<User>> {
        let known = match (locator, visit.site.reach) {
            (Locator::External(external_id), Reach::Namespace(namespace)) => {
                let link = Link { namespace: namespace.clone(), external_id: external_id.clone() };
                self.store.recent_by(&UniqueKey::Link(link))
            }
            (Locator::Id(id), _) => self.store.recent(*id),
            (Locator::External(_), Reach::All | Reach::Nobody) | (Locator::Nobody, _) => None,
        };
        known.filter(|user| visit.shows(user))
    }

    /// The user with a link, whether it is shown or not.
    pub(crate) async fn owner(&self, link: Link) -> Result<Option<Arc<User>>, Error> {
        self.store.find(&UniqueKey::Link(link)).await.map_err(store_error)
    }
}
