//! The keys of index rows, all in one keyspace.
//!
//! A unique key's row: a kind, a namespace, a zero byte, and what is looked up; it holds the owner's id. A
//! selection's row: a kind, what is selected, and the id of a user in it; it holds nothing.

use gateway_core::{Namespace, Selection, UniqueKey, User, UserId, fold};
use sha2::{Digest as _, Sha256};

use crate::seal::Sealer;

const LINK: u8 = b'l';
const USERNAME: u8 = b'u';
/// A name too long for a key of the engine stands by its hash.
const LONG_USERNAME: u8 = b'U';
const MEMBER: u8 = b'm';
const EMAIL: u8 = b'e';
const NAMED: u8 = b'n';
const STATUS: u8 = b's';
const SUSPENDED: u8 = b'x';
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

/// What the rows of a selection begin with; behind it stands an id, so these sort by id. All users have no
/// rows of their own.
pub(crate) fn selection(of: &Selection, sealer: &Sealer) -> Option<Vec<u8>> {
    let text = |kind, text: &str| [&[kind][..], &sealer.digest(text)].concat();
    Some(match of {
        Selection::All => return None,
        Selection::Namespace(namespace) => row(MEMBER, namespace, &[]),
        Selection::Email(folded) => text(EMAIL, folded),
        Selection::Username(folded) => text(NAMED, folded),
        Selection::Status(status) => vec![STATUS, *status as u8],
        Selection::Suspended => vec![SUSPENDED],
    })
}

/// The row that says that a selection holds a user.
pub(crate) fn selected_key(of: &Selection, id: UserId, sealer: &Sealer) -> Option<Vec<u8>> {
    let mut key = selection(of, sealer)?;
    key.extend_from_slice(id.as_bytes());
    Some(key)
}

/// The bounds of a selection's rows from an id on, by what they begin with: the first is excluded, the last
/// is not.
pub(crate) fn selected_bounds(selection: &[u8], after: Option<UserId>) -> (Vec<u8>, Vec<u8>) {
    let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
    ([selection, after].concat(), [selection, &[0xff; 16]].concat())
}

/// What the rows of a namespace's usernames begin with, up to the names that begin with `part`; these
/// sort by name.
pub(crate) fn username_prefix(namespace: &Namespace, part: &str) -> Vec<u8> {
    row(USERNAME, namespace, part.as_bytes())
}

/// The id at the end of the key of a selection's row.
pub(crate) fn selected_id(key: &[u8]) -> Option<UserId> {
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
