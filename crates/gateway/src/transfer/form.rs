//! How a user is spelt in a line: the document of the `rest` dialect, with what only the store says to
//! that dialect's clients.

use std::sync::Arc;

use dialect_rest::{document, judge};
use gateway_core::{
    Attr, Change, Error, FieldError, Place, Problem, Reach, Standing, Status, Timestamp, User, UserId, Value,
    View,
};
use gateway_dialect::{Form, Json, Ruling, Site, UnknownFields, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::verdict::Flaw;

/// The member of the canonical id.
pub(super) const ID: &str = "id";
const CREATED_AT: &str = "createdAt";
const UPDATED_AT: &str = "updatedAt";
const STATUS: &str = "status";
const LANGUAGE: &str = "language";

/// A user as a line gives it, fit to be made.
pub struct Given {
    /// The user, at version 1, without its secret document.
    pub user: Arc<User>,
    /// The secret document, plain.
    pub secret: Option<String>,
    /// What the line leaves to the gateway.
    unsaid: Vec<&'static str>,
}

/// What only a line may say.
#[derive(Default)]
struct Own {
    id: Option<UserId>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    is_suspended: bool,
}

/// Reads a line; a user that it gives no id gets this one.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(line: &[u8], now: Timestamp, new_id: impl FnOnce() -> UserId) -> Result<Given, Vec<Flaw>> {
    let mut json = json::parse(line).map_err(|why| vec![Flaw::whole(format!("Is not JSON: {why}"))])?;
    if json.members().is_none() {
        return Err(vec![Flaw::whole(Problem::NotObject.to_string())]);
    }
    let mut flaws = Vec::new();
    let own = Own::read(&mut json, now, &mut flaws);
    let language = document::take(&mut json, LANGUAGE);
    let site = site(now);
    let creation = document::creation(&site, json, None).map_err(|error| flaws.extend(told(error)));
    let (Ok((mut creation, _)), true) = (creation, flaws.is_empty()) else { return Err(flaws) };
    let secret = take_secret(&mut creation.changes);
    let unsaid = own.unsaid();
    let created_at = own.created_at.or(own.updated_at).unwrap_or(now);
    let mut user = User::new(own.id.unwrap_or_else(new_id), creation.status, created_at);
    user.updated_at = own.updated_at.unwrap_or(created_at);
    user.apply(&creation.changes);
    user.links = creation.links;
    if own.is_suspended && user.suspensions.is_empty() {
        return Err(vec![Flaw::at(pointer(STATUS), "Needs suspensions beside it")]);
    }
    if language.is_some() && language.as_ref() != present(&user, now).get(LANGUAGE) {
        return Err(vec![Flaw::at(pointer(LANGUAGE), "Must be what the locale says")]);
    }
    let ruling = Ruling { site: &site, before: None, after: &user, changes: &creation.changes };
    judge(&ruling).map_err(told)?;
    Ok(Given { user: Arc::new(user), secret, unsaid })
}

/// A user as a line, without its end.
///
/// A suspended account whose compliance is pending says that: that it is suspended follows from its
/// suspensions, and this from nothing.
#[must_use]
pub fn write(user: &User, now: Timestamp) -> Vec<u8> {
    let mut json = present(user, now);
    if let (Status::PendingCompliance, Json::Object(members)) = (user.status, &mut json) {
        let status = members.iter_mut().filter(|(name, _)| name == STATUS);
        status.for_each(|(_, value)| *value = Json::Text(user.status.as_str().into()));
    }
    // Texts, and numbers that are finite, cannot fail.
    serde_json::to_vec(&json).unwrap_or_default()
}

impl Given {
    /// True where the line says the user's id.
    #[must_use]
    pub fn has_id(&self) -> bool {
        !self.unsaid.contains(&ID)
    }

    /// True where a user is as the line gives it. A secret document is no part of this.
    #[must_use]
    pub fn is_so(&self, user: &User, now: Timestamp) -> bool {
        let said = |user| {
            let mut json = present(user, now);
            for name in &self.unsaid {
                document::take(&mut json, name);
            }
            json
        };
        self.user.status == user.status && said(&self.user) == said(user)
    }
}

impl Own {
    /// Takes it out of a line.
    fn read(json: &mut Json<'_>, now: Timestamp, flaws: &mut Vec<Flaw>) -> Self {
        let mut own = Self::default();
        if let Some(id) = document::take(json, ID) {
            own.id = id.as_text().and_then(UserId::parse);
            if own.id.is_none() {
                flaws.push(Flaw::at(pointer(ID), Problem::Uuid.to_string()));
            }
        }
        for (name, slot) in [(CREATED_AT, &mut own.created_at), (UPDATED_AT, &mut own.updated_at)] {
            let Some(given) = document::take(json, name) else { continue };
            *slot = given.as_text().and_then(instant);
            match slot {
                None => flaws.push(Flaw::at(pointer(name), Problem::Instant.to_string())),
                Some(instant) if *instant > now => {
                    flaws.push(Flaw::at(pointer(name), "Must not be in the future"));
                }
                Some(_) => {}
            }
        }
        if own.created_at.zip(own.updated_at).is_some_and(|(created, updated)| updated < created) {
            flaws.push(Flaw::at(pointer(UPDATED_AT), "Must not be before createdAt"));
        }
        if json.get(STATUS).and_then(Json::as_text) == Some(Standing::Suspended.as_str()) {
            document::take(json, STATUS);
            own.is_suspended = true;
        }
        own
    }

    fn unsaid(&self) -> Vec<&'static str> {
        let said = [
            (ID, self.id.is_some()),
            (CREATED_AT, self.created_at.is_some()),
            (UPDATED_AT, self.updated_at.is_some()),
        ];
        said.into_iter().filter(|(_, is_said)| !is_said).map(|(name, _)| name).collect()
    }
}

const fn site(now: Timestamp) -> Site<'static> {
    Site {
        reach: &Reach::All,
        unknown_fields: UnknownFields::Reject,
        base: "",
        now,
        request_id: "",
        form: Form::Document,
    }
}

fn present(user: &User, now: Timestamp) -> Json<'_> {
    document::present(&View { user, namespace: None, now })
}

pub(super) fn pointer(name: &str) -> String {
    format!("/{name}")
}

fn take_secret(changes: &mut Vec<Change>) -> Option<String> {
    let at = changes.iter().position(|change| change.attr == Attr::SecureMetadata)?;
    match changes.remove(at).value {
        Some(Value::Document(text)) => Some(text.into_owned()),
        _ => None,
    }
}

/// What is wrong, in the words of the dialect.
fn told(error: Error) -> Vec<Flaw> {
    if error.fields.is_empty() {
        return vec![Flaw::whole(error.message.unwrap_or_else(|| error.kind.as_str().into()))];
    }
    error.fields.iter().map(flaw).collect()
}

fn flaw(error: &FieldError) -> Flaw {
    let pointer = match &error.place {
        Place::Attr(attr) => dialect_rest::pointer(*attr).to_owned(),
        Place::Member(pointer) if is_plain(pointer) => pointer.clone(),
        Place::Member(_) | Place::Header(_) | Place::Parameter(_) => String::new(),
    };
    Flaw::at(pointer, error.problem.to_string())
}

/// Names that say no more than that they are names (decision 8).
fn is_plain(pointer: &str) -> bool {
    pointer.len() <= 64
        && pointer.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'/'))
}

/// An RFC 3339 date-time from 1970 on, in whole milliseconds.
fn instant(text: &str) -> Option<Timestamp> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(OffsetDateTime::checked_to_utc)?;
    let instant = instant.replace_millisecond(instant.millisecond()).ok()?;
    Some(instant).filter(|instant| *instant >= Timestamp::UNIX_EPOCH)
}
