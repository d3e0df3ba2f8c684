//! What must be true of a user once it is written, as far as the request moves it.

use gateway_core::{Attr, Error, FieldError, Problem, check};
use gateway_dialect::Ruling;

use crate::codec::LONGEST_LINE;

/// The forms of the address line.
const LINE: [Attr; 3] = [Attr::AddressLine1, Attr::Street, Attr::HouseNumber];

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
    let line = line.as_ref().and_then(gateway_core::Value::as_text).unwrap_or_default();
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
