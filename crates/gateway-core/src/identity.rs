//! Who a user is: the canonical id, and the external ids under which others know it.

use std::{fmt, sync::Arc};

use uuid::Uuid;

/// The canonical id of a user: a UUID, printed in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Uuid);

impl UserId {
    /// Wraps a UUID made elsewhere; randomness is an argument here.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Reads the 36-character hyphenated form, either case; other spellings name no user.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 36).then(|| Uuid::try_parse(text).ok().map(Self)).flatten()
    }

    /// The 16 bytes, big-endian: their order is the order of ids.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The inverse of [`UserId::as_bytes`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserId({self})")
    }
}

/// Who an external id belongs to: a partner, a project, a supplier.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// 1 to 64 of `A-Z a-z 0-9 . _ -`, so that a name can stand in a path, a metric and a log.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::MAX_BYTES;
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        (fits && plain).then(|| Self(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id that a namespace's owner chose for a user (decision 3).
///
/// Its `Debug` form is blank: an external id is personal data.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExternalId(Arc<str>);

impl ExternalId {
    /// The longest id, in Unicode scalar values.
    pub const MAX_CHARS: usize = 128;

    /// 1 to 128 Unicode scalar values; no control characters, not `.` or `..`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let long = text.len() > Self::MAX_CHARS && text.chars().nth(Self::MAX_CHARS).is_some();
        let refused =
            text.is_empty() || long || matches!(text, "." | "..") || text.contains(char::is_control);
        (!refused).then(|| Self(text.into()))
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId(..)")
    }
}

/// `(namespace, external id)` → user: the only membership there is. Unique in a store.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Link {
    /// Whose id it is.
    pub namespace: Namespace,
    /// The id.
    pub external_id: ExternalId,
}

/// Which users a mount sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Only users linked in this namespace; all others are indistinguishable from absent ones.
    Namespace(Namespace),
    /// All users, by canonical id (first-party mounts, `namespace = "*"`).
    All,
    /// None: the request's path names no namespace that there could be.
    Nobody,
}

impl Reach {
    /// The namespace, where there is one.
    #[must_use]
    pub const fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Namespace(namespace) => Some(namespace),
            Self::All | Self::Nobody => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_ids_keep_decision_3() {
        for good in ["a", "partner-user-42", "a/b", "...", "é", &"x".repeat(128), &"é".repeat(128)] {
            assert!(ExternalId::parse(good).is_some(), "{good}");
        }
        for bad in ["", ".", "..", "a\u{0}", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(129), &"é".repeat(129)]
        {
            assert!(ExternalId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn user_ids_have_one_spelling_but_for_case() {
        let id = UserId::parse("C0DAF39B-4df5-4241-9e7d-b1b85f829090").unwrap();
        assert_eq!(id.to_string(), "c0daf39b-4df5-4241-9e7d-b1b85f829090");
        assert_eq!(UserId::from_bytes(*id.as_bytes()), id);
        for bad in ["", "c0daf39b4df542419e7db1b85f829090", "{c0daf39b-4df5-4241-9e7d-b1b85f829090}"] {
            assert!(UserId::parse(bad).is_none(), "{bad}");
        }
    }
}
