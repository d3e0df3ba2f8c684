//! Lists: pages in the order of ids, each of bounded work.

use gateway_core::{Error, Outcome, Page, Query, UniqueKey, UserStore};
use gateway_dialect::Answer;

use crate::{execute::store_error, linking::within, service::Gateway, stops::Visit};

/// How many users are looked at for one page: where few of an index are asked for, a page ends early and
/// says where it goes on.
const LOOKED_AT: usize = 1_000;

impl<S: UserStore> Gateway<S> {
    /// A page of users. In the order of ids, which never change: whoever is there throughout is on one page
    /// exactly, whatever is written meanwhile.
    pub(crate) async fn list(&self, visit: &Visit<'_>, query: &Query) -> Result<Answer, Error> {
        let now = visit.site.now;
        let asked = |user: &_| visit.shows(user) && query.matches(user, now);
        if let Some(link) = &query.link {
            // A mount of one namespace says nothing of others' links.
            let found = match within(visit, link) {
                Ok(()) => self.store.find(&UniqueKey::Link(link.clone())).await.map_err(store_error)?,
                Err(_) => None,
            };
            let after = |id| query.after.is_none_or(|after| id > after);
            let users: Vec<_> = found.into_iter().filter(|user| after(user.id) && asked(user)).collect();
            return Ok(self.encode(visit, &Outcome::Listed(&users, None)));
        }
        let mut page = Page {
            after: query.after,
            of: query.selection(visit.site.reach.namespace()),
            // One more tells whether the list goes on.
            limit: query.limit + 1,
        };
        let (mut users, mut looked_at) = (Vec::new(), 0);
        loop {
            let found = self.store.list(&page).await.map_err(store_error)?;
            looked_at += found.len();
            let is_last = found.len() < page.limit;
            page.after = found.last().map_or(page.after, |user| Some(user.id));
            users.extend(found.into_iter().filter(|user| asked(user)));
            if users.len() > query.limit {
                users.truncate(query.limit);
                let next = users.last().map(|user| user.id);
                return Ok(self.encode(visit, &Outcome::Listed(&users, next)));
            }
            if is_last || looked_at >= LOOKED_AT {
                let next = page.after.filter(|_| !is_last);
                return Ok(self.encode(visit, &Outcome::Listed(&users, next)));
            }
        }
    }
}
