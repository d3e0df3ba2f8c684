//! The document of a user: as it is answered, and what one that is sent says (section F).

use gateway_core::{
    Attr, Change, Creation, Error, ErrorKind, FieldError, Place, Problem, Reach, Status, User, UserId, Value,
    View,
};
use gateway_dialect::{Access, Field, Json, Mode, Reading, Ruling, Site, UnknownFields, Unset, json};

use crate::{rules, wire::TABLE};

/// The one member that is written and never answered.
pub(crate) const SECRET: &str = "secureMetadata";

/// A user as it is answered: what is unset is left out, an empty text of another dialect too.
#[must_use]
pub fn present<'a>(view: &View<'a>) -> Json<'a> {
    let filled = |json: &Json<'_>| !matches!(json, Json::Text(text) if text.is_empty());
    let Json::Object(mut members) = TABLE.write(view, Unset::Omit) else { return Json::Null };
    members.retain_mut(|(name, value)| match value {
        Json::Object(inner) if is_group(name) => {
            inner.retain(|(_, value)| filled(value));
            !inner.is_empty()
        }
        value => filled(value),
    });
    Json::Object(members)
}

/// Reads a body that is an object.
///
/// # Errors
/// [`ErrorKind::Malformed`] for what is no JSON, [`ErrorKind::Invalid`] for what is no object.
pub(crate) fn object(body: &[u8]) -> Result<Json<'_>, Error> {
    let document = json::parse(body).map_err(|malformed| {
        Error::new(ErrorKind::Malformed).message(format!("The body is not valid JSON: {malformed}"))
    })?;
    if document.members().is_some() { Ok(document) } else { Err(bad("", Problem::NotObject)) }
}

/// An error of one member, or of the document.
pub(crate) fn bad(pointer: impl Into<String>, problem: Problem) -> Error {
    Error::invalid(vec![FieldError { place: Place::Member(pointer.into()), problem }])
}

/// Takes a member out of a document.
pub fn take<'a>(document: &mut Json<'a>, name: &str) -> Option<Json<'a>> {
    let Json::Object(members) = document else { return None };
    let at = members.iter().position(|(own, _)| own == name)?;
    Some(members.remove(at).1)
}

/// A document without its members that are `null`: they are unset.
pub(crate) fn without_nulls(document: Json<'_>) -> Json<'_> {
    let Json::Object(mut members) = document else { return document };
    members.retain_mut(|(name, value)| {
        if let (true, Json::Object(inner)) = (is_group(name), &mut *value) {
            inner.retain(|(_, value)| *value != Json::Null);
        }
        *value != Json::Null
    });
    Json::Object(members)
}

/// What a whole document makes of a user that is not there yet, and the names in it that mean nothing.
///
/// # Errors
/// Every bad field.
pub fn creation(
    site: &Site<'_>,
    document: Json<'_>,
    id: Option<UserId>,
) -> Result<(Creation, Vec<String>), Error> {
    let document = without_nulls(document);
    let mut reading = TABLE.read(&document, Mode::Create, site.today());
    let suspended = is_suspended_by(&reading.changes, site);
    reading.errors.retain(|error| match error.place {
        // The id that stands in the path, too.
        Place::Attr(Attr::Id) => !is_text(&document, "id", |text| id.is_some() && UserId::parse(text) == id),
        // A user that is copied: its suspensions say so as well.
        Place::Attr(Attr::Standing) => {
            !(suspended && is_text(&document, "status", |text| text == "suspended"))
        }
        _ => true,
    });
    let mut links = Vec::new();
    reading.changes.retain(|change| match &change.value {
        Some(Value::Links(given)) => {
            links = given.to_vec();
            false
        }
        value => value.is_some(),
    });
    let mut external_id = None;
    if let Reach::Namespace(namespace) = site.reach {
        // A mount of one namespace says nothing of others.
        if links.iter().any(|link| link.namespace != *namespace) {
            reading.errors.push(FieldError::attr(Attr::Links, Problem::Links));
        }
        external_id = (!links.is_empty()).then(|| links.remove(0).external_id);
    }
    let unknown = settle(site, None, &document, &mut reading, false)?;
    let mut changes = reading.changes;
    if let Some(line) = rules::line_as_said(&gateway_core::Profile::default(), &changes) {
        rules::put_line(line, &mut changes);
    }
    Ok((Creation { id, external_id, links, status: Status::Active, changes }, unknown))
}

fn is_text(document: &Json<'_>, name: &str, fits: impl Fn(&str) -> bool) -> bool {
    document.get(name).and_then(Json::as_text).is_some_and(fits)
}

fn is_suspended_by(changes: &[Change], site: &Site<'_>) -> bool {
    changes.iter().any(|change| match &change.value {
        Some(Value::Suspensions(list)) => list.iter().any(|one| one.is_active(site.now)),
        _ => false,
    })
}

/// How a document came about, and so what it means that a member is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// It was sent whole: what can be cleared is.
    Whole,
    /// By a merge patch: the member was taken away.
    Merge,
    /// By a JSON Patch, which may not name what there is not.
    Patch,
}

/// The changes that make one document of another, which is the user's.
///
/// # Errors
/// Every member that may not be so.
pub(crate) fn difference(
    site: &Site<'_>,
    (user, before): (&User, &Json<'_>),
    after: Json<'_>,
    source: Source,
) -> Result<Vec<Change>, Error> {
    let after = without_nulls(after);
    if after.members().is_none() {
        return Err(bad("", Problem::NotObject));
    }
    let mut reading = TABLE.read(&after, Mode::Update, site.today());
    let is_moved = |row: &Field| match (at(before, row), at(&after, row)) {
        (Some(was), Some(is)) => !is_same(row, was, is),
        (was, is) => was.is_some() != is.is_some(),
    };
    // Where any of an address line moves, what stays of it would be worked out anew from what moves.
    let is_of_line = |row: &Field| row.attr == Attr::Country || rules::LINE.contains(&row.attr);
    let moves_line = TABLE.rows().iter().any(|row| is_of_line(row) && is_moved(row));
    let line = (source == Source::Whole && moves_line)
        .then(|| rules::line_as_said(&user.profile, &reading.changes))
        .flatten();
    for row in TABLE.rows() {
        match (at(before, row), at(&after, row)) {
            (Some(was), Some(is)) if is_same(row, was, is) => {
                reading.changes.retain(|change| change.attr != row.attr);
                reading.errors.retain(|error| error.place != Place::Attr(row.attr));
            }
            (Some(_), None) => match row.access {
                Access::Optional if is_said_otherwise(row, before, &after, source) => {}
                Access::Optional => reading.changes.push(Change::clear(row.attr)),
                _ if source == Source::Whole => {}
                Access::Kept => reading.errors.push(FieldError::attr(row.attr, Problem::NotClearable)),
                _ => reading.errors.push(FieldError::attr(row.attr, Problem::ReadOnly)),
            },
            _ => {}
        }
    }
    if source == Source::Patch && after.get(SECRET).is_some() {
        reading.errors.retain(|error| error.place != Place::Attr(Attr::SecureMetadata));
        reading.errors.push(FieldError::attr(Attr::SecureMetadata, Problem::Path));
    }
    if let Some(line) = line {
        rules::put_line(line, &mut reading.changes);
    }
    settle(site, Some(user), &after, &mut reading, source == Source::Patch)?;
    Ok(reading.changes)
}

/// All bad fields at once, in the order of the table; else the names that mean nothing.
fn settle(
    site: &Site<'_>,
    before: Option<&User>,
    document: &Json<'_>,
    reading: &mut Reading,
    is_strict: bool,
) -> Result<Vec<String>, Error> {
    for change in &mut reading.changes {
        // An empty document is what an unset one is, as in the wrapper dialect.
        if matches!(&change.value, Some(Value::Document(text)) if text == "{}") {
            change.value = None;
        }
    }
    if is_strict || site.unknown_fields == UnknownFields::Reject {
        let refused = |(pointer, _)| FieldError { place: Place::Member(pointer), problem: Problem::Unknown };
        reading.errors.extend(strangers(document).into_iter().map(refused));
    }
    if reading.errors.is_empty() {
        return Ok(std::mem::take(&mut reading.unknown));
    }
    add_broken_rules(site, before, reading);
    let place = |error: &FieldError| TABLE.rows().iter().position(|row| error.place == Place::Attr(row.attr));
    reading.errors.sort_by_key(|error| place(error).unwrap_or(usize::MAX));
    Err(Error::invalid(std::mem::take(&mut reading.errors)))
}

/// Adds what the good fields break together, where nothing of theirs is bad by itself.
fn add_broken_rules(site: &Site<'_>, before: Option<&User>, reading: &mut Reading) {
    let nobody = User::new(UserId::from_bytes([0; 16]), Status::Active, site.now);
    let changes = &reading.changes;
    let Some(after) = before.unwrap_or(&nobody).changed(changes, site.now) else { return };
    let is_bad = |attr| reading.errors.iter().any(|error| error.place == Place::Attr(attr));
    let country_is_bad = is_bad(Attr::Country);
    let broken = rules::broken(&Ruling { site, before, after: &after, changes });
    let of_address = |place: &Place| [Attr::Region, Attr::PostalCode].map(Place::Attr).contains(place);
    let added = broken.into_iter().filter(|error| !(country_is_bad && of_address(&error.place)));
    reading.errors.extend(added.collect::<Vec<_>>());
}

/// Pointer and name of every member that means nothing.
pub(crate) fn strangers(document: &Json<'_>) -> Vec<(String, String)> {
    let paths = || TABLE.rows().iter().map(Field::path);
    let mut found = Vec::new();
    for (name, value) in document.members().unwrap_or_default() {
        let pointer = format!("/{}", escaped(name));
        if !paths().any(|(group, leaf)| group.unwrap_or(leaf) == name) {
            found.push((pointer, name.to_string()));
            continue;
        }
        let inner = value.members().filter(|_| is_group(name)).unwrap_or_default();
        let unknown =
            inner.iter().filter(|(leaf, _)| !paths().any(|path| path == (Some(name.as_ref()), leaf)));
        found.extend(unknown.map(|(leaf, _)| (format!("{pointer}/{}", escaped(leaf)), leaf.to_string())));
    }
    found
}

fn is_group(name: &str) -> bool {
    TABLE.rows().iter().any(|row| row.path().0 == Some(name))
}

fn at<'d, 'j>(document: &'d Json<'j>, row: &Field) -> Option<&'d Json<'j>> {
    match row.path() {
        (None, name) => document.get(name),
        (Some(group), name) => document.get(group)?.get(name),
    }
}

/// True where an absent form of the address line is not cleared, since the other form says what it is: in
/// a whole document by being there, in a patch by being written.
fn is_said_otherwise(row: &Field, before: &Json<'_>, after: &Json<'_>, source: Source) -> bool {
    let others: &[Attr] = match row.attr {
        Attr::AddressLine1 => &[Attr::Street, Attr::HouseNumber],
        Attr::Street | Attr::HouseNumber => &[Attr::AddressLine1],
        _ => &[],
    };
    TABLE.rows().iter().filter(|other| others.contains(&other.attr)).any(|other| {
        let is = at(after, other);
        is.is_some() && (source == Source::Whole || is != at(before, other))
    })
}

/// Whether a value is what was answered. Members of an object are in no order, but for those of metadata.
fn is_same(row: &Field, was: &Json<'_>, is: &Json<'_>) -> bool {
    if row.attr == Attr::Metadata { was == is } else { is_alike(was, is) }
}

fn is_alike(a: &Json<'_>, b: &Json<'_>) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(own)) => {
            a.len() == own.len()
                && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| is_alike(value, other)))
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_alike(a, b))
        }
        _ => a == b,
    }
}

/// A name as a part of a JSON pointer (RFC 6901, 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Changes, and that of the secret document where one was sent: it is replaced whole, `null` clears it.
pub(crate) fn with_secret(
    changes: Result<Vec<Change>, Error>,
    secret: Option<Json<'_>>,
    today: gateway_dialect::Day,
) -> Result<Vec<Change>, Error> {
    let (Some(secret), Some(row)) = (secret, TABLE.row(&format!("/{SECRET}"))) else { return changes };
    let read = match secret {
        Json::Null => Ok(None),
        document if document == Json::Object(Vec::new()) => Ok(None),
        document => row.codec.read(&document, today).map(Some),
    };
    match (changes, read) {
        (Ok(mut changes), Ok(value)) => {
            changes.push(Change { attr: row.attr, value });
            Ok(changes)
        }
        (Err(mut error), Err(problem)) if error.kind == ErrorKind::Invalid => {
            error.fields.push(FieldError::attr(row.attr, problem));
            Err(error)
        }
        (Ok(_), Err(problem)) => Err(Error::invalid(vec![FieldError::attr(row.attr, problem)])),
        (Err(error), _) => Err(error),
    }
}

/// The links of a user.
pub(crate) fn links<'a>(view: &View<'a>) -> Json<'a> {
    let row = TABLE.rows().iter().find(|row| row.attr == Attr::Links);
    row.zip(view.get(Attr::Links)).map_or(Json::Null, |(row, links)| row.codec.write(&links))
}
