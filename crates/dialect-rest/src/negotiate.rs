//! Media types: what is sent, and what is taken (RFC 9110, 12.5.1; RFC 5789).

use std::cmp::Ordering;

use gateway_core::{Caller, Error, ErrorKind, Reach};
use gateway_dialect::{Action, Form, Request, Site, Verb, one_of};
use gateway_record::MEDIA_TYPE;
use http::{HeaderMap, header};

use crate::problem;

/// The media type of answers, and of whole documents.
pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// What a PATCH may be.
pub(crate) const ACCEPT_PATCH: &str =
    "application/merge-patch+json, application/json-patch+json, application/json";

/// The scope of those who may have records: they hold secret documents.
pub(crate) const RECORDS: &str = "users:records";

/// Checks `Accept`, `Content-Type` and `Content-Encoding`, and says whether users are records in this request:
/// on a mount that sees all users, and for those who may have them.
///
/// # Errors
/// [`ErrorKind::NotAcceptable`], [`ErrorKind::UnsupportedMediaType`]; [`ErrorKind::Forbidden`] for a record
/// without its scope.
pub(crate) fn form(site: &Site<'_>, caller: &Caller, request: &Request<'_>) -> Result<Form, Error> {
    let (route, headers) = (request.target.route, request.headers);
    let has_records = *site.reach == Reach::All;
    let may = || if caller.has_scope(RECORDS) { Ok(Form::Record) } else { Err(crate::lacks(RECORDS)) };
    if has_records && route.action == Action::Replace && is_record(headers) {
        // The answer has no body.
        return one_of(headers, &[MEDIA_TYPE], SENTENCE).and_then(|_| may());
    }
    let document = wish(headers, JSON, true);
    let is_of_users = matches!(route.action, Action::Read | Action::List);
    let record = wish(headers, MEDIA_TYPE, false).filter(|_| has_records && is_of_users);
    let form = match (document, record) {
        (None, Some(_)) => may()?,
        (Some(document), Some(record)) if record.compare(&document).is_gt() => may().unwrap_or_default(),
        (Some(_), _) => Form::Document,
        // The answer to a deletion is of no media type.
        (None, None) if route.verb == Verb::Delete => Form::Document,
        (None, None) if wish(headers, problem::MEDIA_TYPE, true).is_some() => Form::Document,
        (None, None) => return Err(ErrorKind::NotAcceptable.into()),
    };
    content(request).map(|()| form)
}

const SENTENCE: &str = "Content-Type must be application/json";

/// Whether the body says that it is a record.
fn is_record(headers: &HeaderMap) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = said.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(MEDIA_TYPE))
}

/// Checks what is said of a body.
fn content(request: &Request<'_>) -> Result<(), Error> {
    match request.target.route.verb {
        Verb::Patch => is_json_patch(request).map(|_| ()),
        _ if !request.body.is_empty() => one_of(request.headers, &[JSON], SENTENCE).map(|_| ()),
        _ => Ok(()),
    }
}

/// Whether a PATCH is a JSON Patch; else it is a merge patch.
///
/// # Errors
/// [`ErrorKind::UnsupportedMediaType`].
pub(crate) fn is_json_patch(request: &Request<'_>) -> Result<bool, Error> {
    let sentence = "Content-Type must be application/merge-patch+json or application/json-patch+json";
    Ok(one_of(request.headers, &[MERGE_PATCH, JSON_PATCH, JSON], sentence)? == Some(JSON_PATCH))
}

/// How much a media type is wanted.
#[derive(Clone, Copy)]
struct Wish {
    weight: f32,
    /// Which range of `Accept` says so.
    place: usize,
}

impl Wish {
    /// Of two that are wanted as much, the one that is listed first.
    fn compare(&self, other: &Self) -> Ordering {
        self.weight.total_cmp(&other.weight).then(other.place.cmp(&self.place))
    }
}

/// What `Accept` says of a media type: by its most specific range, which may be one for several. Parameters
/// other than `q` fit. `None` where it is not wanted.
fn wish(headers: &HeaderMap, kind: &str, by_wildcard: bool) -> Option<Wish> {
    let (mut place, mut best) = (0, None::<(u8, Wish)>);
    for line in headers.get_all(header::ACCEPT) {
        let Ok(line) = line.to_str() else {
            place += 1;
            continue;
        };
        for range in line.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            place += 1;
            let mut parts = range.split(';').map(str::trim);
            let precision = match parts.next().unwrap_or_default() {
                "*/*" if by_wildcard => 1,
                "application/*" if by_wildcard => 2,
                exact if exact.eq_ignore_ascii_case(kind) => 3,
                _ => continue,
            };
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = q.map_or(Some(1.0), |q| q.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)));
            let Some(weight) = weight else { continue };
            let wish = Wish { weight, place };
            if best.is_none_or(|(known, of)| {
                precision > known || precision == known && wish.compare(&of).is_gt()
            }) {
                best = Some((precision, wish));
            }
        }
    }
    // Who says nothing takes what there is by default.
    let anything = (place == 0 && by_wildcard).then_some(Wish { weight: 1.0, place });
    best.map(|(_, wish)| wish).filter(|wish| wish.weight > 0.0).or(anything)
}
