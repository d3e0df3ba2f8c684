//! What must be true of a user once it is written, as far as the request moves it.

use gateway_core::{Attr, Change, Error, FieldError, Problem, Profile, Value, check};
use gateway_dialect::Ruling;

use crate::codec::LONGEST_LINE;

/// The forms of the address line.
pub(crate) const LINE: [Attr; 3] = [Attr::AddressLine1, Attr::Street, Attr::HouseNumber];

/// An address line may be said in both its forms, as it is answered. This is the one in which all of it reads
/// as it is said; `None` where neither does: it is told apart by what of it is new, or refused.
pub(crate) fn line_as_said(before: &Profile, changes: &[Change]) -> Option<Vec<Change>> {
    let said =
        |attr| changes.iter().find(|change| change.attr == attr).and_then(|change| change.value.clone());
    let [line, street, number] = LINE.map(said);
    let says_parts = street.is_some() || number.is_some();
    let country = changes.iter().find(|change| change.attr == Attr::Country).cloned();
    let reads_so = |form: &Vec<Change>| {
        let mut after = before.clone();
        let all: Vec<_> = form.iter().chain(&country).cloned().collect();
        after.apply(&all);
        let has = |attr, value: &Option<Value<'static>>| after.get(attr).as_ref() == value.as_ref();
        (line.is_none() || has(Attr::AddressLine1, &line))
            && (!says_parts || (has(Attr::Street, &street) && has(Attr::HouseNumber, &number)))
    };
    let change = |attr, value: &Option<Value<'static>>| Change { attr, value: value.clone() };
    let whole = line.is_some().then(|| vec![change(Attr::AddressLine1, &line)]);
    let parts = says_parts.then(|| vec![change(Attr::Street, &street), change(Attr::HouseNumber, &number)]);
    whole.into_iter().chain(parts).find(reads_so)
}

/// Puts an address line in the place of all that was said of it.
pub(crate) fn put_line(line: Vec<Change>, changes: &mut Vec<Change>) {
    changes.retain(|change| !LINE.contains(&change.attr));
    changes.extend(line);
}

/// Judges the final state: all bad fields at once.
///
/// # Errors
/// [`gateway_core::ErrorKind::Invalid`].
pub fn judge(ruling: &Ruling<'_>) -> Result<(), Error> {
    let errors = broken(ruling);
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// What the final state breaks.
pub(crate) fn broken(ruling: &Ruling<'_>) -> Vec<FieldError> {
    let profile = &ruling.after.profile;
    let mut errors = Vec::new();
    for change in ruling.changes.iter().filter(|change| LINE.contains(&change.attr)) {
        if profile.get(change.attr) != change.value {
            errors.push(FieldError::attr(change.attr, Problem::Contradicts));
        }
    }
    let line = profile.get(Attr::AddressLine1);
    let line = line.as_ref().and_then(Value::as_text).unwrap_or_default();
    if errors.is_empty() && ruling.moves(&LINE) && check::length(line, 0, LONGEST_LINE).is_err() {
        errors.push(FieldError::attr(Attr::Street, Problem::Length { min: 1, max: LONGEST_LINE }));
    }
    let country = profile.text(Attr::Country);
    // At fault is what the request names of the two.
    let at =
        |attr| if ruling.changes.iter().any(|change| change.attr == attr) { attr } else { Attr::Country };
    let moved =
        |attr| profile.text(attr).filter(|text| !text.is_empty() && ruling.moves(&[attr, Attr::Country]));
    if moved(Attr::Region).is_some_and(|region| check::region(region, country).is_err()) {
        errors.push(FieldError::attr(at(Attr::Region), Problem::Region));
    }
    let canadian = |code: &str| country != Some("CA") || check::canadian_postal_code(code).is_ok();
    if !moved(Attr::PostalCode).is_none_or(canadian) {
        errors.push(FieldError::attr(at(Attr::PostalCode), Problem::PostalCode));
    }
    errors
}
