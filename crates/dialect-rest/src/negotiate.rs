//! Media types: what is sent, and what is taken (RFC 9110, 12.5.1; RFC 5789).

use gateway_core::{Error, ErrorKind};
use gateway_dialect::{Request, Verb, one_of};
use http::{HeaderMap, header};

use crate::problem;

/// The media type of answers, and of whole documents.
pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
/// What a PATCH may be.
pub(crate) const ACCEPT_PATCH: &str =
    "application/merge-patch+json, application/json-patch+json, application/json";

/// Checks `Accept`, `Content-Type` and `Content-Encoding`.
///
/// # Errors
/// [`ErrorKind::NotAcceptable`], [`ErrorKind::UnsupportedMediaType`].
pub(crate) fn negotiate(request: &Request<'_>) -> Result<(), Error> {
    let verb = request.target.route.verb;
    // The answer to a deletion is of no media type.
    if verb != Verb::Delete
        && ![JSON, problem::MEDIA_TYPE].into_iter().any(|kind| is_accepted(request.headers, kind))
    {
        return Err(ErrorKind::NotAcceptable.into());
    }
    match verb {
        Verb::Patch => is_json_patch(request).map(|_| ()),
        _ if !request.body.is_empty() => {
            one_of(request.headers, &[JSON], "Content-Type must be application/json").map(|_| ())
        }
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

/// Whether a media type fits `Accept`: by its most specific range. Parameters other than `q` fit.
fn is_accepted(headers: &HeaderMap, kind: &str) -> bool {
    let (mut said_anything, mut best) = (false, (0, 0.0));
    for line in headers.get_all(header::ACCEPT) {
        let Ok(line) = line.to_str() else {
            said_anything = true;
            continue;
        };
        for range in line.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            said_anything = true;
            let mut parts = range.split(';').map(str::trim);
            let precision = match parts.next().unwrap_or_default() {
                "*/*" => 1,
                "application/*" => 2,
                exact if exact.eq_ignore_ascii_case(kind) => 3,
                _ => continue,
            };
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = q.map_or(Some(1.0), |q| q.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)));
            if let Some(weight) = weight
                && precision >= best.0
            {
                best = (precision, if precision == best.0 { weight.max(best.1) } else { weight });
            }
        }
    }
    !said_anything || best.1 > 0.0
}
