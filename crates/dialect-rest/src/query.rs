//! The query of a list, and its cursors.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{Error, ExternalId, FieldError, Link, Namespace, Place, Problem, Query, Standing, UserId};
use gateway_dialect::decode_segment;

/// The longest page.
pub(crate) const MAX_LIMIT: u16 = 100;
/// The page of whoever does not say.
pub(crate) const LIMIT: usize = 25;
/// What cursors begin with; another form of them would have another number.
const CURSOR_VERSION: u8 = 1;

/// Reads the query of a list: every bad parameter at once.
///
/// # Errors
/// [`gateway_core::ErrorKind::Invalid`].
pub(crate) fn read(raw: Option<&str>) -> Result<Query, Error> {
    let mut query =
        Query { after: None, limit: LIMIT, email: None, username: None, standing: None, link: None };
    let (mut errors, mut seen) = (Vec::new(), Vec::new());
    for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).unwrap_or_default();
        let read = if seen.contains(&name) {
            Err(Problem::Repeated)
        } else {
            decode(value).ok_or(Problem::NotPrintable).and_then(|value| set(&mut query, &name, value))
        };
        if let Err(problem) = read {
            errors.push(FieldError { place: Place::Parameter(name.clone().into()), problem });
        }
        seen.push(name);
    }
    if errors.is_empty() { Ok(query) } else { Err(Error::invalid(errors)) }
}

fn set(query: &mut Query, name: &str, value: String) -> Result<(), Problem> {
    match name {
        "limit" => query.limit = limit(&value).ok_or(Problem::Number { min: 1, max: MAX_LIMIT })?,
        "cursor" => query.after = Some(read_cursor(&value).ok_or(Problem::Cursor)?),
        "email" => query.email = Some(filled(value, 254)?),
        "username" => query.username = Some(filled(value, 255)?),
        "status" => {
            let values = "pendingCompliance, active, suspended, closed";
            query.standing = Some(Standing::parse(&value).ok_or(Problem::NotOneOf { values })?);
        }
        "link" => query.link = Some(link(&value).ok_or(Problem::Link)?),
        _ => return Err(Problem::Unknown),
    }
    Ok(())
}

fn limit(text: &str) -> Option<usize> {
    let digits = text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = digits.then(|| text.parse().ok()).flatten()?;
    (1..=usize::from(MAX_LIMIT)).contains(&limit).then_some(limit)
}

fn filled(value: String, max: u16) -> Result<String, Problem> {
    gateway_core::check::length(&value, 1, max).map(|()| value)
}

/// `NAMESPACE:EXTERNALID`; a namespace has no colon.
fn link(text: &str) -> Option<Link> {
    let (namespace, external_id) = text.split_once(':')?;
    Some(Link { namespace: Namespace::parse(namespace)?, external_id: ExternalId::parse(external_id)? })
}

fn decode(raw: &str) -> Option<String> {
    decode_segment(&raw.replace('+', " ")).map(std::borrow::Cow::into_owned)
}

/// Where a list goes on after a user.
#[must_use]
pub fn write_cursor(after: UserId) -> String {
    let mut bytes = vec![CURSOR_VERSION];
    bytes.extend_from_slice(after.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The inverse of [`write_cursor`].
#[must_use]
pub fn read_cursor(text: &str) -> Option<UserId> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (version, id) = bytes.split_first()?;
    let id = <[u8; 16]>::try_from(id).ok()?;
    (*version == CURSOR_VERSION).then(|| UserId::from_bytes(id))
}
