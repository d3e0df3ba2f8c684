//! Entity tags and what requests demand of them (decision 12; RFC 9110, 8.8.3 and 13).

use std::hash::Hasher as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{Error, ErrorKind, Timestamp, User};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// What the tags of a store's users are keyed with, so that they tell nothing but whether something changed.
#[derive(Clone, Copy)]
pub(crate) struct TagKey([u8; 16]);

/// The strong entity tag of a user at a moment: one part for its version, and one for the suspensions that
/// are active, where there are any. It is the same in every mount.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EntityTag(String);

impl TagKey {
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    pub(crate) fn tag(self, user: &User, now: Timestamp) -> EntityTag {
        let mut tag = String::with_capacity(48);
        tag.push('"');
        self.write(&mut tag, |hash| {
            hash.write(user.id.as_bytes());
            hash.write(&user.version.to_be_bytes());
        });
        if user.suspensions.iter().any(|one| one.is_active(now)) {
            tag.push('.');
            self.write(&mut tag, |hash| {
                hash.write(user.id.as_bytes());
                for one in user.suspensions.iter().filter(|one| one.is_active(now)) {
                    hash.write(one.reason.as_deref().unwrap_or_default().as_bytes());
                    hash.write(&[u8::from(one.reason.is_some())]);
                    for instant in [Some(one.starts_at), one.ends_at] {
                        hash.write(&instant.map_or(0, Timestamp::unix_timestamp_nanos).to_be_bytes());
                    }
                }
            });
        }
        tag.push('"');
        EntityTag(tag)
    }

    fn write(self, tag: &mut String, parts: impl FnOnce(&mut SipHasher24)) {
        let mut hash = SipHasher24::new_with_key(&self.0);
        parts(&mut hash);
        URL_SAFE_NO_PAD.encode_string(hash.finish128().as_bytes(), tag);
    }
}

impl EntityTag {
    /// As a header.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((header::ETAG, HeaderValue::from_str(&self.0).ok()?))
    }

    /// The part for the version, with the first quotation mark.
    fn version(tag: &str) -> &str {
        tag.split_once('.').map_or_else(|| tag.strip_suffix('"').unwrap_or(tag), |(version, _)| version)
    }
}

/// What a request demands of its user's tag. What is no tag matches none.
#[derive(Clone, Copy)]
pub(crate) struct Conditions<'a> {
    headers: &'a HeaderMap,
    is_read: bool,
}

impl<'a> Conditions<'a> {
    pub(crate) fn of(head: &'a Parts) -> Self {
        Self { headers: &head.headers, is_read: matches!(head.method, Method::GET | Method::HEAD) }
    }

    /// Whether there are any.
    pub(crate) fn are_given(self) -> bool {
        self.headers.contains_key(header::IF_MATCH) || self.headers.contains_key(header::IF_NONE_MATCH)
    }

    /// Holds them against the user that the request finds; `None` for one that is not there. True where a
    /// read is to be answered with 304.
    ///
    /// `If-Match` compares versions only: a suspension that came or went by date is no change.
    ///
    /// # Errors
    /// [`ErrorKind::PreconditionFailed`].
    pub(crate) fn check(self, tag: Option<&EntityTag>) -> Result<bool, Error> {
        let version = tag.map(|tag| EntityTag::version(&tag.0));
        let matches = self.any(header::IF_MATCH, tag, |one| Some(EntityTag::version(one)) == version);
        if matches == Some(false) {
            return Err(ErrorKind::PreconditionFailed.into());
        }
        let weak = |one: &str| one.strip_prefix("W/").unwrap_or(one).to_owned();
        let none = self.any(header::IF_NONE_MATCH, tag, |one| tag.is_some_and(|tag| weak(one) == tag.0));
        match none {
            Some(true) if self.is_read => Ok(true),
            Some(true) => Err(ErrorKind::PreconditionFailed.into()),
            _ => Ok(false),
        }
    }

    /// Whether any tag of a header fits, `*` for any user; `None` without the header.
    fn any(self, name: HeaderName, tag: Option<&EntityTag>, fits: impl Fn(&str) -> bool) -> Option<bool> {
        let mut values = self.headers.get_all(name).iter().peekable();
        values.peek()?;
        let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        Some(tags.any(|one| match one.trim() {
            "*" => tag.is_some(),
            one => fits(one),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::{Status, Suspension, UserId};
    use time::macros::utc_datetime;

    const KEY: TagKey = TagKey::new([7; 16]);
    const NOW: Timestamp = utc_datetime!(2026-03-01 12:00);

    fn user(version: u64) -> User {
        User { version, ..User::new(UserId::from_bytes([1; 16]), Status::Active, NOW) }
    }

    fn check(method: &Method, name: HeaderName, value: &str, tag: Option<&EntityTag>) -> Option<bool> {
        let request = http::Request::builder().method(method).header(name, value).body(()).unwrap();
        Conditions::of(&request.into_parts().0).check(tag).ok()
    }

    #[test]
    fn a_tag_changes_with_version_user_key_and_active_suspensions() {
        let plain = KEY.tag(&user(1), NOW);
        let mut other = user(1);
        other.id = UserId::from_bytes([2; 16]);
        let mut suspended = user(1);
        let ends_at = Some(NOW + time::Duration::hours(1));
        suspended.suspensions = vec![Suspension { reason: None, starts_at: NOW, ends_at }];
        let tags = [
            KEY.tag(&user(2), NOW),
            KEY.tag(&other, NOW),
            TagKey::new([8; 16]).tag(&user(1), NOW),
            KEY.tag(&suspended, NOW),
        ];
        for tag in &tags {
            assert!(*tag != plain, "{}", tag.0);
        }
        assert!(KEY.tag(&suspended, NOW + time::Duration::hours(1)) == plain);
        assert_eq!(EntityTag::version(&tags[3].0), EntityTag::version(&plain.0));
    }

    #[test]
    fn if_match_compares_versions_and_never_weakly() {
        let (mut suspended, plain) = (user(1), KEY.tag(&user(1), NOW));
        suspended.suspensions = vec![Suspension { reason: None, starts_at: NOW, ends_at: None }];
        let now = KEY.tag(&suspended, NOW);
        let stale = KEY.tag(&user(2), NOW);
        for (value, expected) in [
            (plain.0.clone(), Some(false)),
            (now.0.clone(), Some(false)),
            (format!("\"x\", {}", plain.0), Some(false)),
            ("*".to_owned(), Some(false)),
            (stale.0, None),
            (format!("W/{}", plain.0), None),
            (plain.0.trim_matches('"').to_owned(), None),
            (String::new(), None),
            ("\"\"".to_owned(), None),
        ] {
            assert_eq!(check(&Method::PATCH, header::IF_MATCH, &value, Some(&now)), expected, "{value}");
        }
        assert_eq!(check(&Method::PATCH, header::IF_MATCH, "*", None), None);
    }

    #[test]
    fn if_none_match_is_304_for_reads_and_412_for_writes() {
        let tag = KEY.tag(&user(1), NOW);
        for value in [tag.0.clone(), format!("W/{}", tag.0), "*".to_owned()] {
            assert_eq!(check(&Method::GET, header::IF_NONE_MATCH, &value, Some(&tag)), Some(true));
            assert_eq!(check(&Method::PUT, header::IF_NONE_MATCH, &value, Some(&tag)), None);
            assert_eq!(check(&Method::PUT, header::IF_NONE_MATCH, &value, None), Some(false));
        }
        assert_eq!(check(&Method::GET, header::IF_NONE_MATCH, "\"other\"", Some(&tag)), Some(false));
    }
}
