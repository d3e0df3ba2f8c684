//! Entity tags and what requests demand of them (decision 12; RFC 9110, 8.8.3 and 13).

use std::hash::Hasher as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{Error, ErrorKind, Timestamp, User};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// What the tags of a store's users are keyed with, so that they tell nothing but whether something changed.
#[derive(Clone, Copy)]
pub(crate) struct TagKey([u8; 16]);

/// The strong entity tag of a user at a moment, with its quotation marks: one part for its version, and,
/// after a full stop, one for the suspensions that are active, where there are any. It is the same in every
/// mount.
#[derive(Clone, Copy)]
pub(crate) struct EntityTag {
    text: [u8; LONGEST],
    length: usize,
}

/// A part: 128 bits in base64.
const PART: usize = 22;
const LONGEST: usize = PART + 1 + PART + 2;

impl TagKey {
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    pub(crate) fn tag(self, user: &User, now: Timestamp) -> EntityTag {
        let mut tag = EntityTag { text: [b'"'; LONGEST], length: 1 };
        let mut hash = self.hash(user);
        hash.write(&user.version.to_be_bytes());
        tag.push(&hash);
        if user.suspensions.iter().any(|one| one.is_active(now)) {
            let mut hash = self.hash(user);
            for one in user.suspensions.iter().filter(|one| one.is_active(now)) {
                let reason = one.reason.as_deref().unwrap_or_default();
                let parts = [usize::from(one.reason.is_some()), reason.len()];
                parts.iter().for_each(|part| hash.write(&(*part as u64).to_be_bytes()));
                hash.write(reason.as_bytes());
                for instant in [Some(one.starts_at), one.ends_at] {
                    hash.write(&instant.map_or(0, Timestamp::unix_timestamp_nanos).to_be_bytes());
                }
            }
            tag.text[tag.length] = b'.';
            tag.length += 1;
            tag.push(&hash);
        }
        // The mark that ends it stands there from the beginning.
        tag.length += 1;
        tag
    }

    fn hash(self, user: &User) -> SipHasher24 {
        let mut hash = SipHasher24::new_with_key(&self.0);
        hash.write(user.id.as_bytes());
        hash
    }
}

impl EntityTag {
    fn push(&mut self, hash: &SipHasher24) {
        let part = &mut self.text[self.length..];
        self.length += URL_SAFE_NO_PAD.encode_slice(hash.finish128().as_bytes(), part).unwrap_or_default();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// As a header.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((header::ETAG, HeaderValue::from_bytes(self.as_bytes()).ok()?))
    }
}

/// What a request demands of its user's tag.
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

    /// Holds them against the user that the request finds; `None` for one that is not there. True where the
    /// client of a read has what it would be answered.
    ///
    /// `If-Match` compares versions only: a suspension that came or went by date is no change.
    ///
    /// # Errors
    /// [`ErrorKind::PreconditionFailed`].
    pub(crate) fn check(self, tag: Option<&EntityTag>) -> Result<bool, Error> {
        let tag = tag.map(EntityTag::as_bytes);
        let is_version =
            |one: Listed<'_>| !one.is_weak && tag.is_some_and(|tag| version(tag) == version(one.tag));
        if self.any(header::IF_MATCH, tag.is_some(), is_version) == Some(false) {
            return Err(ErrorKind::PreconditionFailed.into());
        }
        match self.any(header::IF_NONE_MATCH, tag.is_some(), |one| tag == Some(one.tag)) {
            Some(true) if self.is_read => Ok(true),
            Some(true) => Err(ErrorKind::PreconditionFailed.into()),
            _ => Ok(false),
        }
    }

    /// Whether any tag of a header fits, and `*` for any user; `None` without the header.
    fn any(self, name: HeaderName, is_there: bool, fits: impl Fn(Listed<'_>) -> bool) -> Option<bool> {
        let mut values = self.headers.get_all(name).iter().peekable();
        values.peek()?;
        Some(values.any(|value| match value.as_bytes().trim_ascii() {
            b"*" => is_there,
            list => Tags(list).any(&fits),
        }))
    }
}

/// The part for the version, with the first quotation mark.
fn version(tag: &[u8]) -> &[u8] {
    let end = tag.iter().position(|byte| *byte == b'.').unwrap_or(tag.len().saturating_sub(1));
    &tag[..end]
}

/// A tag as a request lists it.
#[derive(Clone, Copy)]
struct Listed<'a> {
    is_weak: bool,
    tag: &'a [u8],
}

/// The tags of a list, up to where it is none (RFC 9110, 8.8.3): what cannot be read matches nothing.
struct Tags<'a>(&'a [u8]);

impl<'a> Iterator for Tags<'a> {
    type Item = Listed<'a>;

    fn next(&mut self) -> Option<Listed<'a>> {
        // Empty members are no mistake (RFC 9110, 5.6.1.2).
        let is_between = |byte: &u8| matches!(byte, b' ' | b'\t' | b',');
        let start = self.0.iter().position(|byte| !is_between(byte))?;
        let member = &self.0[start..];
        let tag = member.strip_prefix(b"W/").unwrap_or(member);
        let inner = tag.strip_prefix(b"\"")?;
        let length = inner.iter().position(|byte| !matches!(byte, b'!' | b'#'..=b'~' | 0x80..))?;
        let (tag, rest) = tag.split_at_checked(length + 2).filter(|(tag, _)| tag.ends_with(b"\""))?;
        self.0 = match rest.trim_ascii_start() {
            [] => &[],
            [b',', rest @ ..] => rest,
            _ => return None,
        };
        Some(Listed { is_weak: tag.len() < member.len() - rest.len(), tag })
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

    fn text(tag: EntityTag) -> String {
        String::from_utf8(tag.as_bytes().to_vec()).unwrap()
    }

    fn suspended(reason: Option<&str>) -> User {
        let ends_at = Some(NOW + time::Duration::hours(1));
        let suspension = Suspension { reason: reason.map(Into::into), starts_at: NOW, ends_at };
        User { suspensions: vec![suspension], ..user(1) }
    }

    #[test]
    fn a_tag_changes_with_version_user_key_and_active_suspensions() {
        let plain = text(KEY.tag(&user(1), NOW));
        let other = User { id: UserId::from_bytes([2; 16]), ..user(1) };
        let tags = [
            plain.clone(),
            text(KEY.tag(&user(2), NOW)),
            text(KEY.tag(&other, NOW)),
            text(TagKey::new([8; 16]).tag(&user(1), NOW)),
            text(KEY.tag(&suspended(None), NOW)),
            text(KEY.tag(&suspended(Some("")), NOW)),
            text(KEY.tag(&suspended(Some("x")), NOW)),
        ];
        let distinct: std::collections::HashSet<_> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len(), "{tags:?}");
        assert!(tags.iter().all(|tag| tag.matches('"').count() == 2 && tag.ends_with('"')), "{tags:?}");
        assert!(tags[4..].iter().all(|tag| tag.starts_with(&plain[..PART + 1])), "one version: {tags:?}");
        assert_eq!(text(KEY.tag(&suspended(None), NOW + time::Duration::hours(1))), plain);
    }

    #[test]
    fn if_match_compares_versions_and_never_weakly() {
        let (plain, stale) = (text(KEY.tag(&user(1), NOW)), text(KEY.tag(&user(2), NOW)));
        let now = KEY.tag(&suspended(None), NOW);
        for good in [
            plain.clone(),
            text(now),
            format!("\"x\", {plain}"),
            format!("{stale},{plain}"),
            format!(",, W/\"x\" , {plain},"),
            format!("\"a,b\"\t,{plain}"),
            "*".to_owned(),
        ] {
            assert_eq!(check(&Method::PATCH, header::IF_MATCH, &good, Some(&now)), Some(false), "{good}");
        }
        let bare = plain.trim_matches('"');
        for bad in [
            stale,
            format!("W/{plain}"),
            bare.to_owned(),
            format!("\"{bare}"),
            format!("{bare}\""),
            format!("\"{bare}."),
            format!("\"x\" {plain}"),
            format!("x, {plain}"),
            format!("\"x,{plain}"),
            format!("\"a b\", {plain}"),
            format!("w/{plain}"),
            "*, *".to_owned(),
            "\"*\"".to_owned(),
            "\"".to_owned(),
            "\"\"".to_owned(),
            String::new(),
        ] {
            assert_eq!(check(&Method::PATCH, header::IF_MATCH, &bad, Some(&now)), None, "{bad}");
        }
        assert_eq!(check(&Method::PATCH, header::IF_MATCH, "*", None), None);
    }

    #[test]
    fn if_none_match_is_for_what_a_reader_has_and_412_for_writes() {
        let tag = KEY.tag(&user(1), NOW);
        for value in [text(tag), format!("W/{}", text(tag)), "*".to_owned()] {
            assert_eq!(check(&Method::GET, header::IF_NONE_MATCH, &value, Some(&tag)), Some(true));
            assert_eq!(check(&Method::PUT, header::IF_NONE_MATCH, &value, Some(&tag)), None);
            assert_eq!(check(&Method::PUT, header::IF_NONE_MATCH, &value, None), Some(false));
        }
        let suspended = KEY.tag(&suspended(None), NOW);
        assert_eq!(check(&Method::GET, header::IF_NONE_MATCH, &text(tag), Some(&suspended)), Some(false));
        assert_eq!(check(&Method::GET, header::IF_NONE_MATCH, "\"other\"", Some(&tag)), Some(false));
    }

    #[test]
    fn a_header_in_two_lines_is_one_list() {
        let tag = KEY.tag(&user(1), NOW);
        let request =
            http::Request::patch("/").header(header::IF_MATCH, "\"x\"").header(header::IF_MATCH, text(tag));
        assert!(matches!(
            Conditions::of(&request.body(()).unwrap().into_parts().0).check(Some(&tag)),
            Ok(false)
        ));
    }
}
