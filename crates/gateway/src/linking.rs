//! Links as a resource: a user gets one more external id, or loses one.

use std::sync::Arc;

use gateway_core::{Error, ErrorKind, Link, Locator, Outcome, Reach, User, UserStore, Write};

use crate::{basis::Basis, execute::Executed, service::Gateway, stops::Visit};

impl<S: UserStore> Gateway<S> {
    /// Links a user. A username that is taken in the new namespace is refused by the commit (decision 26).
    pub(crate) async fn link(
        &self,
        visit: &Visit<'_>,
        locator: &Locator,
        link: &Link,
        basis: Basis,
    ) -> Result<Executed<'_>, Error> {
        within(visit, link)?;
        let (before, turn) = self.load_to_write(visit, locator, basis).await?;
        let is_new = !before.links.contains(link);
        // Whose it is, a commit from what is recent finds out by itself.
        if is_new && basis == Basis::Current && self.owner(link.clone()).await?.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if is_new && before.links.len() >= User::MAX_LINKS {
            return Err(
                Error::new(ErrorKind::RuleViolated).message("The user has as many links as it can have")
            );
        }
        self.meets(visit, Some(&before))?;
        let after =
            if is_new { Arc::new(before.linked(link.clone(), visit.site.now)) } else { before.clone() };
        let answer = self.encode(visit, &Outcome::Linked(&after, is_new));
        let user = Some(before.id);
        let write = is_new.then_some(Write::Update { before, after });
        Ok(Executed { user, write, turn: Some(turn), ..Executed::unchanged(answer) })
    }

    /// Takes a link from a user, who stays without any if it was the last.
    pub(crate) async fn unlink(
        &self,
        visit: &Visit<'_>,
        locator: &Locator,
        link: &Link,
        basis: Basis,
    ) -> Result<Executed<'_>, Error> {
        within(visit, link)?;
        let (before, turn) = self.load_to_write(visit, locator, basis).await?;
        let after = before.without_link(link, visit.site.now).map(Arc::new).ok_or(ErrorKind::NotFound)?;
        self.meets(visit, Some(&before))?;
        let answer = self.encode(visit, &Outcome::Unlinked(&after));
        // One whom the mount shows no more would hide the answer, too.
        let user = visit.shows(&after).then_some(after.id);
        let write = Some(Write::Update { before, after });
        Ok(Executed { user, write, turn: Some(turn), ..Executed::unchanged(answer) })
    }
}

/// A mount of one namespace says nothing of others' links (decision 3).
pub(crate) fn within(visit: &Visit<'_>, link: &Link) -> Result<(), Error> {
    match visit.site.reach {
        Reach::Namespace(namespace) if *namespace != link.namespace => Err(ErrorKind::NotFound.into()),
        Reach::All | Reach::Namespace(_) | Reach::Nobody => Ok(()),
    }
}
