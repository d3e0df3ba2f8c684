//! Users as JSON documents of a vocabulary. A document has no version, and may have no place for all that a
//! user is: what it cannot say is not kept.

use std::borrow::Cow;

use gateway_core::{
    Attr, Change, Link, Profile, Standing, Status, Suspension, Timestamp, User, UserId, Value, View,
};
use gateway_dialect::{Access, Day, Field, FieldTable, Json};
use time::format_description::well_known::Rfc3339;

/// Reads a user; `None` where it names none. The version is the caller's to set.
pub(crate) fn read(fields: &FieldTable, document: &Json<'_>) -> Option<User> {
    let at = |attr| fields.rows().iter().find(|row| row.attr == attr).and_then(|row| value_at(document, row));
    let instant =
        |attr| at(attr).and_then(Json::as_text).and_then(|text| Timestamp::parse(text, &Rfc3339).ok());
    let id = UserId::parse(at(Attr::Id)?.as_text()?)?;
    let created_at = instant(Attr::CreatedAt).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut user = User::new(id, Status::Active, created_at);
    user.updated_at = instant(Attr::UpdatedAt).unwrap_or(created_at);
    let mut changes = Vec::new();
    for row in fields.rows() {
        let Some(json) = value_at(document, row).filter(|json| **json != Json::Null) else { continue };
        match row.attr {
            Attr::Status | Attr::Standing => user.status = status(json.as_text()?)?,
            Attr::Id | Attr::CreatedAt | Attr::UpdatedAt => {}
            attr => match row.codec.read(json, Day::MAX) {
                Ok(Value::Links(links)) => user.links = links.into_owned(),
                Ok(Value::Suspensions(list)) => user.suspensions = list.into_owned(),
                Ok(value) => changes.push(Change::set(attr, value)),
                // What this vocabulary cannot read, it does not know: it is never written either.
                Err(_) => {}
            },
        }
    }
    user.profile = profile(changes);
    Some(user)
}

/// Suspensions say themselves that an account is suspended.
fn status(name: &str) -> Option<Status> {
    Standing::parse(name).map(|standing| match standing {
        Standing::Plain(status) => status,
        Standing::Suspended => Status::Active,
    })
}

/// A profile of what a document says. Of the two forms of an address line that counts in which both read
/// as they are said; of a locale and its language the locale.
fn profile(changes: Vec<Change>) -> Profile {
    let is_part = |change: &Change| matches!(change.attr, Attr::Street | Attr::HouseNumber);
    let is_view = |change: &Change| !Attr::STORED.contains(&change.attr) && !is_part(change);
    let (views, plain): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_view);
    let (parts, mut plain): (Vec<_>, Vec<_>) = plain.into_iter().partition(is_part);
    let reads = |profile: &Profile, changes: &[Change]| {
        changes.iter().all(|change| profile.get(change.attr) == change.value)
    };
    let mut profile = Profile::default();
    profile.apply(&plain);
    if !reads(&profile, &parts) {
        plain.retain(|change| change.attr != Attr::AddressLine1);
        plain.extend(parts);
        profile = Profile::default();
        profile.apply(&plain);
    }
    for view in views {
        if profile.get(view.attr).is_none() {
            profile.apply(&[view]);
        }
    }
    profile
}

/// The whole document of a user that is to be made.
pub(crate) fn whole(fields: &FieldTable, user: &User) -> Json<'static> {
    let said = said_rows(fields, user).filter_map(|row| Some((row, write(row, user)?)));
    fields.object(said)
}

/// The merge patch that makes one user of another; `None` where it would say nothing.
pub(crate) fn patch(fields: &FieldTable, before: &User, after: &User) -> Option<Json<'static>> {
    let moved = said_rows(fields, after).filter_map(|row| {
        let (was, is) = (write(row, before), write(row, after));
        let is_said = !matches!(row.access, Access::Initial | Access::CreateOnly) && was != is;
        is_said.then(|| (row, is.unwrap_or(Json::Null)))
    });
    let patch = fields.object(moved);
    patch.members().is_some_and(|members| !members.is_empty()).then_some(patch)
}

/// The links that one user has and the other has not.
pub(crate) fn links_beyond<'u>(user: &'u User, other: &User) -> Vec<&'u Link> {
    user.links.iter().filter(|link| !other.links.contains(link)).collect()
}

/// The rows that are written: of an address line those of the form that is stored, where there are such.
fn said_rows<'t>(fields: &'t FieldTable, user: &User) -> impl Iterator<Item = &'t Field> {
    let has = |attr| fields.rows().iter().any(|row| row.attr == attr);
    let is_line = user.profile.text(Attr::AddressLine1).is_some();
    let takes_line = has(Attr::AddressLine1) && (is_line || !has(Attr::Street));
    fields.rows().iter().filter(move |row| match row.attr {
        Attr::Id | Attr::CreatedAt | Attr::UpdatedAt => false,
        Attr::AddressLine1 => takes_line,
        Attr::Street | Attr::HouseNumber => !takes_line,
        // The status is told apart from suspensions, whatever the service makes of both.
        Attr::Status | Attr::Standing => true,
        _ => row.access != Access::ReadOnly,
    })
}

/// A value as the service takes it; `None` for what is unset, or cannot be said: empty texts.
fn write(row: &Field, user: &User) -> Option<Json<'static>> {
    let view = View { user, namespace: None, now: Timestamp::UNIX_EPOCH };
    let value = match row.attr {
        Attr::Status | Attr::Standing => Some(Value::Text(Cow::Borrowed(user.status.as_str()))),
        Attr::SecureMetadata => user.profile.get(row.attr),
        attr => view.get(attr),
    }?;
    if is_nothing(&value) {
        return None;
    }
    let json = row.codec.write(&value).into_owned();
    row.codec.read(&json, Day::MAX).is_ok().then_some(json)
}

fn is_nothing(value: &Value<'_>) -> bool {
    let none = |list: &[Suspension]| list.is_empty();
    match value {
        Value::Suspensions(list) => none(list),
        Value::Links(list) => list.is_empty(),
        _ => false,
    }
}

fn value_at<'d, 'j>(document: &'d Json<'j>, row: &Field) -> Option<&'d Json<'j>> {
    match row.path() {
        (None, name) => document.get(name),
        (Some(group), name) => document.get(group)?.get(name),
    }
}
