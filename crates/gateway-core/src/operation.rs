//! What a dialect decodes a request into, and what it encodes an answer from.

use std::{fmt, sync::Arc};

use crate::{
    Attr, Change, Error, ExternalId, Link, Namespace, Selection, Standing, Status, Timestamp, User, UserId,
    fold,
};

/// Who the credential says it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The client's name in the configuration.
    pub client: Arc<str>,
    /// The user that the credential was given to; `None` for a client that acts for itself.
    pub subject: Option<Arc<str>>,
    /// The namespace that the credential is confined to, where it says so.
    pub namespace: Option<Namespace>,
    /// Space-separated scopes (RFC 6749, 3.3).
    pub scope: Arc<str>,
    /// True where there was no credential, and none is needed to read.
    pub is_anonymous: bool,
}

impl Caller {
    /// A client that acts for itself, with nothing said about where or what.
    #[must_use]
    pub fn client(name: impl Into<Arc<str>>) -> Self {
        Self { client: name.into(), subject: None, namespace: None, scope: "".into(), is_anonymous: false }
    }

    /// True where the credential has a scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|one| one == scope)
    }
}

/// How a request names a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Locator {
    /// By an external id in the mount's namespace.
    External(ExternalId),
    /// By canonical id.
    Id(UserId),
    /// By something that can name no user (a bad escape, a control character): always absent.
    Nobody,
}

/// A user to be made.
#[derive(Clone, PartialEq, Debug)]
pub struct Creation {
    /// The canonical id, where the client chooses it; a new one otherwise.
    pub id: Option<UserId>,
    /// The external id in the mount's namespace. On a mount with a namespace a creation without one
    /// is linked under the text of its canonical id: a link always has an external id (decision 3).
    pub external_id: Option<ExternalId>,
    /// Links that it is made with, beside the one of the mount's namespace.
    pub links: Vec<Link>,
    /// Its first standing (decision 15).
    pub status: Status,
    /// Its attributes.
    pub changes: Vec<Change>,
}

/// What a list is to hold, and where it goes on.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    /// Only users with ids after this one.
    pub after: Option<UserId>,
    /// At most so many.
    pub limit: usize,
    /// Only those with this e-mail address, without regard to case.
    pub email: Option<String>,
    /// Only those with this username, without regard to case.
    pub username: Option<String>,
    /// Only those that stand so.
    pub standing: Option<Standing>,
    /// Only the one with this link.
    pub link: Option<Link>,
    /// Only those that each of these holds.
    pub held: Vec<Selection>,
}

impl Query {
    /// The narrowest index that holds every user asked for.
    #[must_use]
    pub fn selection(&self, namespace: Option<&Namespace>) -> Selection {
        let standing = |standing| match standing {
            Standing::Plain(status) => Selection::Status(status),
            Standing::Suspended => Selection::Suspended,
        };
        let email = self.email.as_deref().map(|email| Selection::Email(fold(email)));
        let username = || self.username.as_deref().map(|name| Selection::Username(fold(name)));
        let namespace = || namespace.cloned().map(Selection::Namespace);
        email
            .or_else(username)
            .or_else(namespace)
            .or_else(|| self.held.first().cloned())
            .or(self.standing.map(standing))
            .unwrap_or(Selection::All)
    }

    /// Whether a user is one of those asked for.
    #[must_use]
    pub fn matches(&self, user: &User, now: Timestamp) -> bool {
        let is = |attr, asked: &Option<String>| {
            asked
                .as_deref()
                .is_none_or(|asked| user.profile.text(attr).is_some_and(|own| fold(own) == fold(asked)))
        };
        is(Attr::Email, &self.email)
            && is(Attr::Username, &self.username)
            && self.standing.is_none_or(|standing| user.standing(now) == standing)
            && self.link.as_ref().is_none_or(|link| user.links.contains(link))
            && self.held.iter().all(|selection| selection.holds(user))
    }
}

/// Blank: what is looked for is personal data.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A canonical command.
#[derive(Debug)]
pub enum Operation {
    /// Make a user.
    Create(Creation),
    /// Read one.
    Read(Locator),
    /// Read the user with the creation's external id; make it where there is none.
    ReadOrCreate(Creation),
    /// Change one.
    Update {
        /// Which.
        user: Locator,
        /// How.
        changes: Vec<Change>,
        /// What is wrong with the request, in dialects that say so only of users that exist.
        deferred: Option<Error>,
    },
    /// Change one by what only its present state tells: the dialect works the changes out once it sees the
    /// user.
    Revise(Locator),
    /// The same; where there is no such user, make it, or say what is wrong with making it so.
    Replace(Locator, Result<Creation, Error>),
    /// Make the state of one exactly this, or make it so: another gateway has worked it out and judged it.
    Restate(Arc<User>),
    /// Read the links of one.
    ReadLinks(Locator),
    /// Link one under one more external id.
    Link(Locator, Link),
    /// Take a link from one.
    Unlink(Locator, Link),
    /// Find users.
    List(Query),
    /// Delete one: on a mount that sees all users the user goes, on others its link, and the user
    /// with its last link (decision 36).
    Delete(Locator),
    /// Ask whether a username is free in the mount's namespace, or taken.
    CheckUsername(String),
    /// Find at most so many users of the mount's namespace by a part of their usernames.
    Suggest(String, usize),
}

impl<'a> Outcome<'a> {
    /// The one user that it is about, where it names one.
    #[must_use]
    pub const fn user(&self) -> Option<&'a User> {
        match *self {
            Self::Created(user)
            | Self::Found(user)
            | Self::Updated(user)
            | Self::Links(user)
            | Self::Linked(user, _)
            | Self::Unlinked(user) => Some(user),
            Self::Deleted | Self::Available(_) | Self::Suggested(_) | Self::Listed(..) => None,
        }
    }
}

impl Operation {
    /// The same for a safe method: what it would make, it only looks for.
    #[must_use]
    pub fn without_effect(self) -> Self {
        match self {
            Self::ReadOrCreate(creation) => {
                Self::Read(creation.external_id.map_or(Locator::Nobody, Locator::External))
            }
            other => other,
        }
    }

    /// The user that it is to change, where there is one.
    #[must_use]
    pub const fn subject(&self) -> Option<&Locator> {
        match self {
            Self::Update { user, .. } => Some(user),
            Self::Revise(user)
            | Self::Replace(user, _)
            | Self::Link(user, _)
            | Self::Unlink(user, _)
            | Self::Delete(user) => Some(user),
            // Another gateway says what it replaces: that is held against what stands.
            Self::Restate(_)
            | Self::Create(_)
            | Self::Read(_)
            | Self::ReadOrCreate(_)
            | Self::ReadLinks(_)
            | Self::List(_)
            | Self::CheckUsername(_)
            | Self::Suggest(..) => None,
        }
    }

    /// The external id of the user that it would make.
    #[must_use]
    pub fn external_id(&self) -> Option<&str> {
        match self {
            Self::Create(creation) | Self::ReadOrCreate(creation) => {
                creation.external_id.as_ref().map(ExternalId::as_str)
            }
            _ => None,
        }
    }
}

/// What came of it: the user as it is once the operation is committed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Outcome<'a> {
    /// It was made.
    Created(&'a User),
    /// It was read.
    Found(&'a User),
    /// It was changed, or was so already.
    Updated(&'a User),
    /// It is gone.
    Deleted,
    /// Its links are read.
    Links(&'a User),
    /// It has this link now (`true`), or had it already.
    Linked(&'a User, bool),
    /// It has that link no more.
    Unlinked(&'a User),
    /// Some users, and after which one the list goes on.
    Listed(&'a [Arc<User>], Option<UserId>),
    /// The username is free, or not.
    Available(bool),
    /// The users found, best first.
    Suggested(&'a [Arc<User>]),
}
