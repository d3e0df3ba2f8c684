//! The keys of index rows, all in one keyspace: a kind, a namespace, a zero byte, and what is looked up.

use gateway_core::{Namespace, UniqueKey, User, UserId, fold};
use sha2::{Digest as _, Sha256};

const LINK: u8 = b'l';
const USERNAME: u8 = b'u';
/// A name too long for a key of the engine stands by its hash.
const LONG_USERNAME: u8 = b'U';
const MEMBER: u8 = b'm';
const LONGEST_NAME_BYTES: usize = 512;

/// The row that says whose a unique key is.
pub(crate) fn owner_key(key: &UniqueKey) -> Vec<u8> {
    match key {
        UniqueKey::Link(link) => row(LINK, &link.namespace, link.external_id.as_str().as_bytes()),
        UniqueKey::Username(namespace, name) if name.len() > LONGEST_NAME_BYTES => {
            row(LONG_USERNAME, namespace, &Sha256::digest(name.as_bytes()))
        }
        UniqueKey::Username(namespace, name) => row(USERNAME, namespace, name.as_bytes()),
    }
}

/// The row that says that a user is linked in a namespace; these sort by id.
pub(crate) fn member_key(namespace: &Namespace, id: UserId) -> Vec<u8> {
    row(MEMBER, namespace, id.as_bytes())
}

/// The bounds of a namespace's member rows; both are excluded.
pub(crate) fn member_bounds(namespace: &Namespace, after: Option<UserId>) -> (Vec<u8>, Vec<u8>) {
    let first = row(MEMBER, namespace, after.as_ref().map_or(&[], |id| id.as_bytes().as_slice()));
    let mut end = row(MEMBER, namespace, &[]);
    if let Some(separator) = end.last_mut() {
        *separator = 1;
    }
    (first, end)
}

/// What the rows of a namespace's usernames begin with, up to the names that begin with `part`; these
/// sort by name.
pub(crate) fn username_prefix(namespace: &Namespace, part: &str) -> Vec<u8> {
    row(USERNAME, namespace, part.as_bytes())
}

/// The id at the end of a member row's key.
pub(crate) fn member_id(key: &[u8]) -> Option<UserId> {
    key.last_chunk().copied().map(UserId::from_bytes)
}

/// True if the user has this unique key.
pub(crate) fn holds(user: &User, key: &UniqueKey) -> bool {
    match key {
        UniqueKey::Link(link) => user.links.contains(link),
        UniqueKey::Username(namespace, name) => {
            let own = user.profile.text(gateway_core::Attr::Username);
            user.links.iter().any(|link| link.namespace == *namespace)
                && own.is_some_and(|own| own == name || fold(own) == *name)
        }
    }
}

fn row(kind: u8, namespace: &Namespace, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + namespace.as_str().len() + rest.len());
    key.push(kind);
    key.extend_from_slice(namespace.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(rest);
    key
}
