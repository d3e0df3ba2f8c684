//! The rules on the final state (decision 39): a state and a +4 are for users in the US.

use gateway_core::{Attr, Change, Error, FieldError, Problem, Profile, User, Value, check};
use gateway_dialect::Ruling;

use crate::codec::{US, is_us_zip};

/// When a user leaves the US, the state and the +4 that it had go too.
pub(crate) fn settle(before: &User, changes: &mut Vec<Change>) {
    let last = |attr| changes.iter().rev().find(|change| change.attr == attr);
    let leaves = last(Attr::Country).is_some_and(|country| country.value != Some(Value::text(US)));
    if !(leaves && is_in_us(&before.profile)) {
        return;
    }
    let (moves_state, sets_zip4) =
        (last(Attr::Region).is_some(), last(Attr::Zip4).is_some_and(|zip4| zip4.value.is_some()));
    if !moves_state {
        changes.push(Change::clear(Attr::Region));
    }
    if !sets_zip4 {
        // First, while the code still splits: the +4 is a part of US codes only.
        changes.retain(|change| change.attr != Attr::Zip4);
        changes.insert(0, Change::clear(Attr::Zip4));
    }
}

/// Judges what the request moves; what another dialect has written otherwise stays as it is.
pub(crate) fn judge(ruling: &Ruling<'_>) -> Result<(), Error> {
    let profile = &ruling.after.profile;
    let in_us = is_in_us(profile);
    let sets = |attr| {
        let last = ruling.changes.iter().rev().find(|change| change.attr == attr);
        last.and_then(|change| change.value.as_ref())
    };
    let mut errors = Vec::new();
    let mut refuse = |attr, problem| errors.push(FieldError::attr(attr, problem));
    let abroad = Problem::OnlyIn { country: US };
    match sets(Attr::Region) {
        Some(_) if !in_us => refuse(Attr::Region, abroad),
        _ if in_us && ruling.moves(&[Attr::Region, Attr::Country]) && !has_good_state(profile) => {
            refuse(Attr::Region, Problem::Region);
        }
        _ => {}
    }
    // A full code sent as the ZIP would read back as its five digits.
    let is_bad = |zip: &Value<'_>| zip.as_text().is_none_or(|text| !is_us_zip(text));
    let moves_zip = ruling.moves(&[Attr::Zip, Attr::Country]);
    if in_us && (sets(Attr::Zip).is_some_and(is_bad) || moves_zip && !has_good_zip(profile)) {
        refuse(Attr::Zip, Problem::PostalCode);
    }
    match sets(Attr::Zip4) {
        Some(_) if !in_us => refuse(Attr::Zip4, abroad),
        // A +4 that does not read back found no code to stand behind.
        Some(zip4) if profile.get(Attr::Zip4).as_ref() != Some(zip4) => {
            refuse(Attr::Zip4, Problem::OnlyWith { other: Attr::Zip });
        }
        _ => {}
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

/// True where this dialect can say what the attribute of this user is: what it shows, it takes back.
pub(crate) fn is_expressible(profile: &Profile, attr: Attr) -> bool {
    match attr {
        Attr::Region => is_in_us(profile),
        Attr::Zip => !is_in_us(profile) || has_good_zip(profile),
        _ => true,
    }
}

fn is_in_us(profile: &Profile) -> bool {
    profile.text(Attr::Country) == Some(US)
}

fn has_good_state(profile: &Profile) -> bool {
    profile.text(Attr::Region).is_none_or(|code| check::region(code, Some(US)).is_ok())
}

fn has_good_zip(profile: &Profile) -> bool {
    profile.get(Attr::Zip).is_none_or(|zip| zip.as_text().is_some_and(is_us_zip))
}
