//! The profile of a user: stored attributes, the views on them, and how changes apply.

use std::borrow::Cow;

use time::Time;

use crate::{
    Attr, Change, Timestamp, Value,
    address::{compose_line, split_line, split_zip},
};

/// The attributes that a user has, in the order of their codes. Empty attributes are not there.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Profile {
    slots: Vec<(Attr, Value<'static>)>,
}

impl Profile {
    /// Builds a profile from stored attributes; of one given twice the last stays.
    #[must_use]
    pub fn from_stored(values: impl IntoIterator<Item = (Attr, Value<'static>)>) -> Self {
        let mut profile = Self::default();
        for (attr, value) in values {
            profile.store(attr, Some(value));
        }
        profile
    }

    /// The stored attributes, in the order of their codes.
    pub fn stored(&self) -> impl Iterator<Item = (Attr, Value<'_>)> {
        self.slots.iter().map(|(attr, value)| (*attr, value.borrow()))
    }

    /// The value of an attribute or view; `None` when unset, and for what no profile holds.
    #[must_use]
    pub fn get(&self, attr: Attr) -> Option<Value<'_>> {
        match attr {
            Attr::Name => self.name(),
            Attr::Language => {
                self.text(Attr::Locale).map(|tag| Value::text(primary_subtag(tag).to_ascii_uppercase()))
            }
            Attr::Zip => self.text(Attr::PostalCode).map(|code| borrowed(split_zip(code, self.country()).0)),
            Attr::Zip4 => split_zip(self.text(Attr::PostalCode)?, self.country()).1.map(borrowed),
            Attr::AddressLine1 => match self.slot(attr) {
                Some(line) => Some(line.borrow()),
                None => {
                    let (street, number) = (self.text(Attr::Street), self.text(Attr::HouseNumber));
                    compose_line(street, number, self.country()).map(Value::text)
                }
            },
            Attr::Street => self.street_and_number().0.map(borrowed),
            Attr::HouseNumber => self.street_and_number().1.map(borrowed),
            Attr::BirthInstant => match (self.slot(attr), self.slot(Attr::BirthDate)) {
                (Some(instant), _) => Some(instant.borrow()),
                (None, Some(Value::Date(date))) => {
                    Some(Value::Instant(Timestamp::new(*date, Time::MIDNIGHT)))
                }
                _ => None,
            },
            stored => self.slot(stored).map(Value::borrow),
        }
    }

    /// The text of a stored attribute.
    #[must_use]
    pub fn text(&self, attr: Attr) -> Option<&str> {
        self.slot(attr).and_then(Value::as_text)
    }

    /// The text of a stored document.
    #[must_use]
    pub fn text_of_document(&self, attr: Attr) -> Option<&str> {
        match self.slot(attr)? {
            Value::Document(text) => Some(text),
            _ => None,
        }
    }

    /// Applies changes in order, the last to an attribute winning; true when anything changed.
    ///
    /// A value equal to what the attribute already reads as is no change, so that a fallback or a
    /// composed form sent back is not frozen (decision 5). Where another change of the same update
    /// would alter what such a value reads as, it is written after all.
    pub fn apply(&mut self, changes: &[Change]) -> bool {
        let Some(next) = self.changed(changes) else { return false };
        *self = next;
        true
    }

    /// The profile with changes applied; `None` when nothing changed.
    #[must_use]
    pub fn changed(&self, changes: &[Change]) -> Option<Self> {
        let mut next = self.clone();
        let last = |i: usize| !changes[i + 1..].iter().any(|later| later.attr == changes[i].attr);
        let effective: Vec<&Change> =
            changes.iter().enumerate().filter(|(i, _)| last(*i)).map(|(_, change)| change).collect();
        next.divide_line(self, &effective);
        for change in &effective {
            if self.get(change.attr) != change.value {
                next.put(change);
            }
        }
        for change in &effective {
            if next.get(change.attr) != change.value {
                next.put(change);
            }
        }
        (next != *self).then_some(next)
    }

    /// Where a part of a stored address line is written, the line is divided by the country that it
    /// was written for, not by one that the same update brings: the other part stays what it was.
    fn divide_line(&mut self, before: &Self, changes: &[&Change]) {
        let moves =
            |attr: Attr| changes.iter().any(|change| change.attr == attr && before.get(attr) != change.value);
        let names_part = changes.iter().any(|change| matches!(change.attr, Attr::Street | Attr::HouseNumber));
        let is_line = before.slot(Attr::AddressLine1).is_some();
        if is_line && names_part && [Attr::Street, Attr::HouseNumber, Attr::Country].into_iter().any(moves) {
            let (street, number) = before.street_and_number();
            self.store(Attr::AddressLine1, None);
            self.store(Attr::Street, street.map(Value::text));
            self.store(Attr::HouseNumber, number.map(Value::text));
        }
    }

    fn put(&mut self, change: &Change) {
        let value = change.value.clone();
        match change.attr {
            Attr::Name => self.store(Attr::DisplayName, value),
            Attr::Language => self.put_language(value),
            Attr::Zip => self.put_zip(value),
            Attr::Zip4 => self.put_zip4(value),
            Attr::AddressLine1 => {
                self.store(Attr::Street, None);
                self.store(Attr::HouseNumber, None);
                self.store(Attr::AddressLine1, value);
            }
            Attr::Street | Attr::HouseNumber => {
                let (street, number) = self.street_and_number();
                let parts = (street.map(Value::text), number.map(Value::text));
                self.store(Attr::AddressLine1, None);
                self.store(Attr::Street, parts.0);
                self.store(Attr::HouseNumber, parts.1);
                self.store(change.attr, value);
            }
            Attr::BirthDate => {
                self.store(Attr::BirthInstant, None);
                self.store(Attr::BirthDate, value);
            }
            Attr::BirthInstant => {
                let date = match &value {
                    Some(Value::Instant(instant)) => Some(Value::Date(instant.date())),
                    _ => None,
                };
                self.store(Attr::BirthDate, date);
                self.store(Attr::BirthInstant, value);
            }
            stored => self.store(stored, value),
        }
    }

    /// A write of the language that the locale already has keeps its region (E.3, 10).
    fn put_language(&mut self, value: Option<Value<'static>>) {
        let locale = value.as_ref().and_then(Value::as_text).map(|tag| Value::text(tag.to_ascii_lowercase()));
        self.store(Attr::Locale, locale);
    }

    /// Replacing the ZIP alone keeps the +4 part; clearing it clears both (decision 39).
    fn put_zip(&mut self, value: Option<Value<'static>>) {
        let zip4 = self.get(Attr::Zip4).map(Value::into_owned);
        self.store(Attr::PostalCode, value);
        if self.text(Attr::PostalCode).is_some() && zip4.is_some() {
            self.put_zip4(zip4);
        }
    }

    fn put_zip4(&mut self, value: Option<Value<'static>>) {
        let Some(zip) = self.get(Attr::Zip).map(Value::into_owned) else { return };
        let code = match (zip.as_text(), value.as_ref().and_then(Value::as_text)) {
            (Some(zip), Some(zip4)) => Value::text(format!("{zip}-{zip4}")),
            _ => zip,
        };
        self.store(Attr::PostalCode, Some(code));
    }

    fn name(&self) -> Option<Value<'_>> {
        if let Some(name) = self.text(Attr::DisplayName) {
            return Some(borrowed(name));
        }
        match (self.text(Attr::GivenName), self.text(Attr::FamilyName)) {
            (Some(given), Some(family)) => Some(Value::text(format!("{given} {family}"))),
            (given, family) => given.or(family).map(borrowed),
        }
    }

    fn street_and_number(&self) -> (Option<&str>, Option<&str>) {
        match self.text(Attr::AddressLine1) {
            Some(line) => {
                let (street, number) = split_line(line, self.country());
                (Some(street), number)
            }
            None => (self.text(Attr::Street), self.text(Attr::HouseNumber)),
        }
    }

    fn country(&self) -> Option<&str> {
        self.text(Attr::Country)
    }

    fn slot(&self, attr: Attr) -> Option<&Value<'static>> {
        let found = self.slots.binary_search_by_key(&attr, |(slot, _)| *slot).ok()?;
        self.slots.get(found).map(|(_, value)| value)
    }

    /// Only attributes of [`Attr::STORED`] are kept.
    fn store(&mut self, attr: Attr, value: Option<Value<'static>>) {
        let found = self.slots.binary_search_by_key(&attr, |(slot, _)| *slot);
        match (found, value) {
            (Ok(at), Some(value)) => self.slots[at].1 = value,
            (Ok(at), None) => {
                self.slots.remove(at);
            }
            (Err(at), Some(value)) if Attr::from_code(attr.code()).is_some() => {
                self.slots.insert(at, (attr, value));
            }
            (Err(_), _) => {}
        }
    }
}

fn borrowed(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn primary_subtag(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, utc_datetime};

    fn text(profile: &Profile, attr: Attr) -> Option<String> {
        profile.get(attr).and_then(|value| value.as_text().map(str::to_owned))
    }

    fn with(rows: &[(Attr, &str)]) -> Profile {
        let mut profile = Profile::default();
        let changes: Vec<_> =
            rows.iter().map(|(attr, value)| Change::set(*attr, Value::text(*value))).collect();
        profile.apply(&changes);
        profile
    }

    #[test]
    fn a_fallback_sent_back_is_not_frozen() {
        let mut profile = with(&[(Attr::GivenName, "Jane"), (Attr::FamilyName, "Doe")]);
        assert_eq!(text(&profile, Attr::Name).as_deref(), Some("Jane Doe"));
        assert!(!profile.apply(&[Change::set(Attr::Name, Value::text("Jane Doe"))]));
        profile.apply(&[Change::set(Attr::FamilyName, Value::text("Roe"))]);
        assert_eq!(text(&profile, Attr::Name).as_deref(), Some("Jane Roe"));
    }

    #[test]
    fn a_part_of_an_address_line_is_replaced_alone() {
        let mut profile = with(&[(Attr::Country, "DE"), (Attr::AddressLine1, "Am Ring 7")]);
        profile.apply(&[Change::set(Attr::Street, Value::text("Hauptstr."))]);
        assert_eq!(text(&profile, Attr::AddressLine1).as_deref(), Some("Hauptstr. 7"));
        profile.apply(&[Change::set(Attr::AddressLine1, Value::text("Platz"))]);
        assert_eq!(
            (text(&profile, Attr::Street).as_deref(), text(&profile, Attr::HouseNumber)),
            (Some("Platz"), None)
        );
    }

    #[test]
    fn what_was_written_reads_back_even_when_the_country_moves() {
        let mut profile = with(&[(Attr::Country, "DE"), (Attr::Street, "Am Ring"), (Attr::HouseNumber, "7")]);
        let line = Change::set(Attr::AddressLine1, Value::text("Am Ring 7"));
        assert!(!profile.apply(std::slice::from_ref(&line)));
        profile.apply(&[Change::set(Attr::Country, Value::text("US")), line]);
        assert_eq!(text(&profile, Attr::AddressLine1).as_deref(), Some("Am Ring 7"));
    }

    /// Decisions 33 and 4: an absent part is kept, wherever the country goes.
    #[test]
    fn the_other_part_of_a_line_survives_a_move() {
        let set = |attr, text: &'static str| Change::set(attr, Value::text(text));
        let part = |profile: &Profile| (text(profile, Attr::Street), text(profile, Attr::HouseNumber));
        let german = with(&[(Attr::Country, "DE"), (Attr::AddressLine1, "Ring 7")]);
        for changes in [
            [set(Attr::Country, "US"), set(Attr::Street, "Main St")],
            [set(Attr::Street, "Main St"), set(Attr::Country, "US")],
        ] {
            let mut moved = german.clone();
            moved.apply(&changes);
            assert_eq!(part(&moved), (Some("Main St".into()), Some("7".into())));
        }
        let mut same_street = german;
        same_street.apply(&[set(Attr::Country, "US"), set(Attr::Street, "Ring")]);
        assert_eq!(part(&same_street), (Some("Ring".into()), Some("7".into())));
        let mut american = with(&[(Attr::Country, "US"), (Attr::AddressLine1, "12 Main St")]);
        american.apply(&[set(Attr::Country, "DE"), set(Attr::HouseNumber, "14")]);
        assert_eq!(part(&american), (Some("Main St".into()), Some("14".into())));
    }

    #[test]
    fn zip_and_zip4_share_the_postal_code() {
        let mut profile = with(&[(Attr::Country, "US"), (Attr::Zip, "43551"), (Attr::Zip4, "9331")]);
        assert_eq!(text(&profile, Attr::PostalCode).as_deref(), Some("43551-9331"));
        profile.apply(&[Change::set(Attr::Zip, Value::text("43552"))]);
        assert_eq!(text(&profile, Attr::PostalCode).as_deref(), Some("43552-9331"));
        profile.apply(&[Change::clear(Attr::Zip4)]);
        assert_eq!(text(&profile, Attr::PostalCode).as_deref(), Some("43552"));
        profile.apply(&[Change::clear(Attr::Zip)]);
        assert_eq!(text(&profile, Attr::PostalCode), None);
    }

    #[test]
    fn the_same_language_keeps_the_region() {
        let mut profile = with(&[(Attr::Locale, "en-US")]);
        assert!(!profile.apply(&[Change::set(Attr::Language, Value::text("EN"))]));
        profile.apply(&[Change::set(Attr::Language, Value::text("DE"))]);
        assert_eq!(text(&profile, Attr::Locale).as_deref(), Some("de"));
    }

    #[test]
    fn a_birth_instant_lives_until_the_date_changes() {
        let mut profile = Profile::default();
        let instant = utc_datetime!(1990-01-01 08:30);
        profile.apply(&[Change::set(Attr::BirthInstant, Value::Instant(instant))]);
        let same = Change::set(Attr::BirthDate, Value::Date(date!(1990 - 01 - 01)));
        assert!(!profile.apply(&[same]));
        assert_eq!(profile.get(Attr::BirthInstant), Some(Value::Instant(instant)));
        profile.apply(&[Change::set(Attr::BirthDate, Value::Date(date!(1990 - 01 - 02)))]);
        let midnight = utc_datetime!(1990-01-02 00:00);
        assert_eq!(profile.get(Attr::BirthInstant), Some(Value::Instant(midnight)));
    }

    #[test]
    fn the_last_change_to_an_attribute_wins() {
        let profile = with(&[(Attr::City, "A"), (Attr::City, "B")]);
        assert_eq!(text(&profile, Attr::City).as_deref(), Some("B"));
        let mut same = profile.clone();
        assert!(!same.apply(&[Change::clear(Attr::City), Change::set(Attr::City, Value::text("B"))]));
    }
}
