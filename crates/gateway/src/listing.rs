//! Lists: pages in the order of ids, each of bounded work.

use std::sync::Arc;

use gateway_core::{
    Error, Outcome, Page, Query, Reach, Selection, StoreError, UniqueKey, User, UserId, UserStore, fold,
};
use gateway_dialect::Answer;

use crate::{execute::store_error, linking::within, service::Gateway, stops::Visit};

/// How many users are looked at for one page: where few of an index are asked for, a page ends early and
/// says where it goes on.
const LOOKED_AT: usize = 1_000;
/// How many are read at once behind the first ones.
const READ: usize = 250;

/// Users of a page, and after which one the list goes on.
type Listed = (Vec<Arc<User>>, Option<UserId>);

impl<S: UserStore> Gateway<S> {
    /// A page of users. In the order of ids, which never change: whoever is there throughout is on one page
    /// exactly, whatever is written meanwhile.
    pub(crate) async fn list(&self, visit: &Visit<'_>, query: &Query) -> Result<Answer, Error> {
        let listed = match (visit.site.reach, unique(visit, query)) {
            (Reach::Nobody, _) => Ok((Vec::new(), None)),
            (_, Some(key)) => self.only(visit, query, &key).await,
            (_, None) => self.page(visit, query).await,
        };
        let (users, next) = listed.map_err(store_error)?;
        Ok(self.encode(visit, &Outcome::Listed(&users, next)))
    }

    /// The one user that can be asked for.
    async fn only(&self, visit: &Visit<'_>, query: &Query, key: &UniqueKey) -> Result<Listed, StoreError> {
        let found = match key {
            // A mount of one namespace says nothing of others' links.
            UniqueKey::Link(link) if within(visit, link).is_err() => None,
            _ => self.store.find(key).await?,
        };
        let is_behind = |id| query.after.is_none_or(|after| id > after);
        let users = found.into_iter().filter(|user| is_behind(user.id) && is_asked(visit, query, user));
        Ok((users.collect(), None))
    }

    async fn page(&self, visit: &Visit<'_>, query: &Query) -> Result<Listed, StoreError> {
        let namespace = visit.site.reach.namespace();
        // One more tells whether the list goes on.
        let mut page = Page { after: query.after, of: query.selection(namespace), limit: query.limit + 1 };
        let (mut users, mut looked_at) = (Vec::new(), 0);
        loop {
            let found = self.store.list(&page).await?;
            let is_last = found.len() < page.limit;
            looked_at += found.len();
            page.after = found.last().map_or(page.after, |user| Some(user.id));
            users.extend(found.into_iter().filter(|user| is_asked(visit, query, user)));
            if users.len() > query.limit {
                users.truncate(query.limit);
                let next = users.last().map(|user| user.id);
                return Ok((users, next));
            }
            if is_last {
                return Ok((users, None));
            }
            page.limit = READ;
            if looked_at >= LOOKED_AT {
                // The last one looked at may be of another namespace, and is not to be named here: of this
                // one are those of its own index, which holds all that are asked for, too.
                match namespace.map(|namespace| Selection::Namespace(namespace.clone())) {
                    Some(own) if own != page.of => page.of = own,
                    Some(_) | None => return Ok((users, page.after)),
                }
            }
        }
    }
}

/// The unique key that all who are asked for have.
fn unique(visit: &Visit<'_>, query: &Query) -> Option<UniqueKey> {
    let link = query.link.clone().map(UniqueKey::Link);
    let held = query.held.iter().find_map(|selection| match selection {
        Selection::Namespace(namespace) => Some(namespace),
        _ => None,
    });
    let namespace = visit.site.reach.namespace().or(held);
    let named = |name: &String| Some(UniqueKey::Username(namespace?.clone(), fold(name)));
    link.or_else(|| query.username.as_ref().and_then(named))
}

fn is_asked(visit: &Visit<'_>, query: &Query, user: &User) -> bool {
    visit.shows(user) && query.matches(user, visit.site.now)
}
