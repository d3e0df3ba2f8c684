//! How a user is spelt in a line: as in the dialect of the `rest` mounts, and kept to its rules.

use std::sync::Arc;

use gateway_core::{
    Attr, Change, Error, FieldError, Place, Problem, Reach, Standing, Status, Timestamp, User, UserId, Value,
    View,
};
use gateway_dialect::{
    Access, Dialect, Field, FieldTable, Json, Mode, Ruling, Site, UnknownFields, Unset, json,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::verdict::Flaw;

/// Reads and writes users as lines.
#[derive(Clone)]
pub struct Form {
    dialect: Arc<dyn Dialect>,
}

/// A user as a line gives it, fit to be made.
pub struct Given {
    /// The user, at version 1, without its secret document.
    pub user: Arc<User>,
    /// The secret document, plain.
    pub secret: Option<String>,
    /// What the line leaves to the gateway.
    unsaid: Vec<Attr>,
}

impl Given {
    /// True where the line says the user's id.
    #[must_use]
    pub fn has_id(&self) -> bool {
        !self.unsaid.contains(&Attr::Id)
    }
}

/// What a line may say, although the dialect's clients may not.
#[derive(Default)]
struct Own {
    id: Option<UserId>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    is_suspended: bool,
}

impl Form {
    /// In this dialect.
    #[must_use]
    pub fn new(dialect: Arc<dyn Dialect>) -> Self {
        Self { dialect }
    }

    /// Reads a line; a user that it gives no id gets this one.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(
        &self,
        line: &[u8],
        now: Timestamp,
        new_id: impl FnOnce() -> UserId,
    ) -> Result<Given, Vec<Flaw>> {
        let json = json::parse(line).map_err(|why| vec![Flaw::whole(format!("Is not JSON: {why}"))])?;
        if json.members().is_none() {
            return Err(vec![Flaw::whole(Problem::NotObject.to_string())]);
        }
        let mut flaws = Vec::new();
        let own = self.own(&json, now, &mut flaws);
        let mut reading = self.table().read(&json, Mode::Create, now.date());
        reading.errors.retain(|error| !self.may_be_said(error, &own));
        let stranger = |name| FieldError { place: Place::Member(name), problem: Problem::Unknown };
        reading.errors.extend(reading.unknown.into_iter().map(stranger));
        flaws.extend(reading.errors.iter().map(|error| self.flaw(error)));
        if !flaws.is_empty() {
            return Err(flaws);
        }
        let is_suspended = own.is_suspended;
        let mut changes = reading.changes;
        let given = own.given(&mut changes, now, new_id);
        if is_suspended && given.user.suspensions.is_empty() {
            return Err(vec![Flaw::at(self.pointer(Attr::Standing), "Needs suspensions beside it")]);
        }
        self.judge(&given, &changes, &json, now).map(|()| given)
    }

    /// A user as a line, without its end.
    ///
    /// A suspended account whose compliance is pending says that: that it is suspended follows from its
    /// suspensions, and this from nothing.
    #[must_use]
    pub fn write(&self, user: &User, now: Timestamp) -> Vec<u8> {
        let view = View { user, namespace: None, now };
        let mut json = self.table().write(&view, Unset::Omit);
        if let (Status::PendingCompliance, Json::Object(members)) = (user.status, &mut json)
            && let Some((_, name)) = self.row(Attr::Standing).map(Field::path)
        {
            let standing = members.iter_mut().filter(|(member, _)| member == name);
            standing.for_each(|(_, value)| *value = Json::Text(user.status.as_str().into()));
        }
        // Texts, and numbers that are finite, cannot fail.
        serde_json::to_vec(&json).unwrap_or_default()
    }

    /// True where a user is as a line gives it. A secret document is no part of this.
    #[must_use]
    pub fn is_so(&self, given: &Given, user: &User, now: Timestamp) -> bool {
        let shown = |row: &&Field| row.access != Access::WriteOnly && !given.unsaid.contains(&row.attr);
        let spelt = |user, row: &Field| {
            let value = View { user, namespace: None, now }.get(row.attr);
            value.map(|value| row.codec.write(&value).into_owned())
        };
        given.user.status == user.status
            && self.table().rows().iter().filter(shown).all(|row| spelt(&given.user, row) == spelt(user, row))
    }

    /// The pointer to an attribute.
    #[must_use]
    pub fn pointer(&self, attr: Attr) -> String {
        self.table().wire(attr).unwrap_or_default().to_owned()
    }

    fn table(&self) -> &FieldTable {
        self.dialect.fields()
    }

    fn row(&self, attr: Attr) -> Option<&Field> {
        self.table().rows().iter().find(|row| row.attr == attr)
    }

    /// Reads what only a line may say.
    fn own(&self, json: &Json<'_>, now: Timestamp, flaws: &mut Vec<Flaw>) -> Own {
        let given = |attr| self.row(attr).and_then(|row| json.get(row.path().1));
        let mut wrong = |attr, why: String| flaws.push(Flaw::at(self.pointer(attr), why));
        let mut own = Own::default();
        if let Some(id) = given(Attr::Id) {
            own.id = id.as_text().and_then(UserId::parse);
            if own.id.is_none() {
                wrong(Attr::Id, Problem::Uuid.to_string());
            }
        }
        for (attr, slot) in
            [(Attr::CreatedAt, &mut own.created_at), (Attr::UpdatedAt, &mut own.updated_at)]
        {
            let Some(json) = given(attr) else { continue };
            *slot = json.as_text().and_then(instant);
            match slot {
                None => wrong(attr, Problem::Instant.to_string()),
                Some(instant) if *instant > now => wrong(attr, "Must not be in the future".to_owned()),
                Some(_) => {}
            }
        }
        if own.created_at.zip(own.updated_at).is_some_and(|(created, updated)| updated < created) {
            wrong(Attr::UpdatedAt, "Must not be before createdAt".to_owned());
        }
        own.is_suspended = given(Attr::Standing).and_then(Json::as_text) == Some(Standing::Suspended.as_str());
        own
    }

    /// True for what is wrong in a request, and not in a line.
    fn may_be_said(&self, error: &FieldError, own: &Own) -> bool {
        match error.place {
            Place::Attr(Attr::Standing) => own.is_suspended,
            Place::Attr(attr) => self.row(attr).is_some_and(|row| row.access == Access::ReadOnly),
            _ => false,
        }
    }

    /// What cannot be written must be as it reads; and the dialect has rules for the whole user.
    fn judge(
        &self,
        given: &Given,
        changes: &[Change],
        json: &Json<'_>,
        now: Timestamp,
    ) -> Result<(), Vec<Flaw>> {
        let view = View { user: &given.user, namespace: None, now };
        let is_otherwise = |row: &&Field| {
            let is_view = row.access == Access::ReadOnly
                && !matches!(row.attr, Attr::Id | Attr::CreatedAt | Attr::UpdatedAt);
            let said = json.get(row.path().1).filter(|_| is_view);
            said.is_some_and(|said| view.get(row.attr).map(|value| row.codec.write(&value)).as_ref() != Some(said))
        };
        let views = self.table().rows().iter().filter(is_otherwise);
        let views: Vec<_> =
            views.map(|row| self.flaw(&FieldError::attr(row.attr, Problem::ReadOnly))).collect();
        if !views.is_empty() {
            return Err(views);
        }
        let reach = &Reach::All;
        let site = Site { reach, unknown_fields: UnknownFields::Reject, base: "", now, request_id: "" };
        let ruling = Ruling { site: &site, before: None, after: &given.user, changes };
        self.dialect.judge(&ruling).map_err(|error| self.broken(error))
    }

    /// What a rule says.
    fn broken(&self, error: Error) -> Vec<Flaw> {
        if error.fields.is_empty() {
            return vec![Flaw::whole(error.message.unwrap_or_else(|| error.kind.as_str().into()))];
        }
        error.fields.iter().map(|error| self.flaw(error)).collect()
    }

    fn flaw(&self, error: &FieldError) -> Flaw {
        let pointer = match &error.place {
            Place::Attr(attr) => self.pointer(*attr),
            Place::Member(name) if is_plain(name) => format!("/{name}"),
            Place::Member(_) | Place::Header(_) | Place::Parameter(_) => String::new(),
        };
        Flaw::at(pointer, error.problem.to_string())
    }
}

impl Own {
    /// The user of a line; what is no part of its profile is taken out of the changes.
    fn given(self, changes: &mut Vec<Change>, now: Timestamp, new_id: impl FnOnce() -> UserId) -> Given {
        let said = [
            (Attr::Id, self.id.is_some()),
            (Attr::CreatedAt, self.created_at.is_some()),
            (Attr::UpdatedAt, self.updated_at.is_some()),
        ];
        let unsaid = said.into_iter().filter(|(_, is_said)| !is_said).map(|(attr, _)| attr).collect();
        let created_at = self.created_at.or(self.updated_at).unwrap_or(now);
        let mut user = User::new(self.id.unwrap_or_else(new_id), Status::Active, created_at);
        user.updated_at = self.updated_at.unwrap_or(created_at);
        let mut secret = None;
        changes.retain_mut(|change| match (change.attr, change.value.take()) {
            (Attr::SecureMetadata, Some(Value::Document(text))) => {
                secret = Some(text.into_owned());
                false
            }
            (Attr::Links, Some(Value::Links(links))) => {
                user.links = links.into_owned();
                false
            }
            (_, value) => {
                change.value = value;
                true
            }
        });
        user.apply(changes);
        Given { user: Arc::new(user), secret, unsaid }
    }
}

/// An RFC 3339 date-time from 1970 on, in whole milliseconds.
fn instant(text: &str) -> Option<Timestamp> {
    let instant = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(OffsetDateTime::checked_to_utc)?;
    let instant = instant.replace_millisecond(instant.millisecond()).ok()?;
    Some(instant).filter(|instant| *instant >= Timestamp::UNIX_EPOCH)
}

/// A name that says no more than that it is one (decision 8).
fn is_plain(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}
