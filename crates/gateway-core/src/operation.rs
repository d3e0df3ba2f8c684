//! What a dialect decodes a request into, and what it encodes an answer from.

use std::sync::Arc;

use crate::{Change, Error, ExternalId, Namespace, Status, User, UserId};

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
    /// Its first standing (decision 15).
    pub status: Status,
    /// Its attributes.
    pub changes: Vec<Change>,
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
    /// Delete one: on a mount that sees all users the user goes, on others its link, and the user
    /// with its last link (decision 36).
    Delete(Locator),
    /// Ask whether a username is free in the mount's namespace, or taken.
    CheckUsername(String),
    /// Find at most so many users of the mount's namespace by a part of their usernames.
    Suggest(String, usize),
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
    /// The username is free, or not.
    Available(bool),
    /// The users found, best first.
    Suggested(&'a [Arc<User>]),
}
