//! The query of a list, and its cursors.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{
    Error, ExternalId, FieldError, Link, Namespace, Place, Problem, Query, Selection, Standing, Status,
    UserId,
};
use gateway_dialect::{Form, decode_segment};

/// The longest page.
pub(crate) const MAX_LIMIT: u16 = 100;
/// The longest page of records.
const MAX_RECORDS: u16 = 1_000;
/// The page of whoever does not say.
pub(crate) const LIMIT: usize = 25;
/// What cursors begin with; another form of them would have another number.
const CURSOR_VERSION: u8 = 1;

/// Reads the query of a list: every bad parameter at once. Records are listed by whatever a store has an
/// index of.
///
/// # Errors
/// [`gateway_core::ErrorKind::Invalid`].
pub(crate) fn read(form: Form, raw: Option<&str>) -> Result<Query, Error> {
    let mut query = Query {
        after: None,
        limit: LIMIT,
        email: None,
        username: None,
        standing: None,
        link: None,
        held: Vec::new(),
    };
    let (mut errors, mut seen) = (Vec::new(), Vec::new());
    for pair in raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // An answer names a bad parameter: never one that could not be read from it again (decision 7).
        let name = decode(name).filter(|name| !name.contains(char::is_control)).unwrap_or_default();
        let read = if seen.contains(&name) {
            Err(Problem::Repeated)
        } else {
            decode(value).ok_or(Problem::NotPrintable).and_then(|value| match form {
                Form::Document => set(&mut query, &name, value),
                Form::Record => set_of_records(&mut query, &name, value),
            })
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
        "limit" => query.limit = limit(&value, MAX_LIMIT)?,
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

/// The same for a page of records. Texts may be any that a user may have, and a status is the stored one.
fn set_of_records(query: &mut Query, name: &str, value: String) -> Result<(), Problem> {
    match name {
        "limit" => query.limit = limit(&value, MAX_RECORDS)?,
        "after" => query.after = Some(UserId::parse(&value).ok_or(Problem::Uuid)?),
        "email" => query.email = Some(value),
        "username" => query.username = Some(value),
        "link" => query.link = Some(link(&value).ok_or(Problem::Link)?),
        "namespace" => {
            let namespace = Namespace::parse(&value).ok_or(Problem::Namespace)?;
            query.held.push(Selection::Namespace(namespace));
        }
        "status" => {
            let values = "pendingCompliance, active, closed";
            let status = Status::parse(&value).ok_or(Problem::NotOneOf { values })?;
            query.held.push(Selection::Status(status));
        }
        "suspended" if value == "true" => query.held.push(Selection::Suspended),
        "suspended" => return Err(Problem::NotOneOf { values: "true" }),
        _ => return Err(Problem::Unknown),
    }
    Ok(())
}

fn limit(text: &str, max: u16) -> Result<usize, Problem> {
    let digits = text.len() <= max.to_string().len() && text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = digits.then(|| text.parse::<u16>().ok()).flatten();
    let limit = limit.filter(|limit| (1..=max).contains(limit)).ok_or(Problem::Number { min: 1, max })?;
    Ok(limit.into())
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
