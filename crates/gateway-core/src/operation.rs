//! What a dialect decodes a request into, and what it encodes an answer from.

use std::sync::Arc;

use crate::{Change, ExternalId, Status, User, UserId};

/// Who the credential says it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The client's name in the configuration; part of the ledger's scope.
    pub client: Arc<str>,
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
    /// The external id in the mount's namespace.
    pub external_id: Option<ExternalId>,
    /// Its first standing (decision 15).
    pub status: Status,
    /// Its attributes.
    pub changes: Vec<Change>,
}

/// A canonical command.
#[derive(Clone, PartialEq, Debug)]
pub enum Operation {
    /// Make a user.
    Create(Creation),
    /// Read one.
    Read(Locator),
    /// Change one.
    Update(Locator, Vec<Change>),
}

impl Operation {
    /// True where the operation may write.
    #[must_use]
    pub const fn writes(&self) -> bool {
        !matches!(self, Self::Read(_))
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
}

impl<'a> Outcome<'a> {
    /// The user that the answer names.
    #[must_use]
    pub const fn user(&self) -> &'a User {
        match self {
            Self::Created(user) | Self::Found(user) | Self::Updated(user) => user,
        }
    }
}
