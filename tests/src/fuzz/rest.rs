//! The parts of the rest dialect: patches, queries of lists, cursors.

use dialect_rest::fuzz::{apply, merge, query, read_cursor, write_cursor};
use gateway_core::{ErrorKind, Place};
use gateway_dialect::{Form, Json, json};
use serde_json::Value;

use super::CANARY;

/// `document \n patch`: what RFC 7396 says, as `json-patch` does it; the second time changes nothing.
pub(super) fn merge_patch(bytes: &[u8]) -> bool {
    let Some((document, patch)) = two(bytes) else { return false };
    let (Ok(document), Ok(patch)) = (json::parse(document), json::parse(patch)) else { return false };
    let value = |json: &Json<'_>| serde_json::to_value(json).unwrap();
    let merged = merge(document.clone(), patch.clone());
    let mut expected = value(&document);
    json_patch::merge(&mut expected, &value(&patch));
    assert_eq!(value(&merged), expected);
    assert!(merge(merged.clone(), patch) == merged, "the second time changes something");
    // Whoever stays does so in the order of before.
    if let (Some(before), Some(after)) = (document.members(), merged.members()) {
        let kept = |members: &[(std::borrow::Cow<'_, str>, Json<'_>)], other: &Json<'_>| {
            let names = members.iter().map(|(name, _)| name.to_string());
            names.filter(|name| other.get(name).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(kept(before, &merged), kept(after, &document));
    }
    true
}

/// `document \n patch`: as `json-patch` applies it, but for numbers in tests and for bounds; an error names
/// nothing but paths.
pub(super) fn json_patch(bytes: &[u8]) -> bool {
    let Some((document, patch)) = two(bytes) else { return false };
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return false };
    let result = apply(document.clone(), patch);
    let Ok(library) = serde_json::from_slice::<json_patch::Patch>(patch) else {
        assert_eq!(result.map_err(|error| error.kind), Err(ErrorKind::Malformed));
        return false;
    };
    let mut expected = document;
    let is_applied = json_patch::patch_unsafe(&mut expected, &library).is_ok();
    match result {
        Ok(patched) => {
            // A test of 1 against 1.0 passes here.
            assert!(!is_applied || patched == expected);
            is_applied
        }
        Err(error) => {
            let is_bound = error.kind == ErrorKind::Malformed
                || error.fields.iter().any(|field| field.problem == gateway_core::Problem::TooMuch);
            assert!(!is_applied || is_bound, "{error:?}");
            let said = error.message.as_deref().unwrap_or_default();
            assert!(!said.contains(CANARY), "{said}");
            assert!(error.fields.iter().all(|field| matches!(field.place, Place::Member(_))));
            false
        }
    }
}

/// A query is within its bounds, or every error names a parameter.
pub(super) fn list_query(bytes: &[u8]) -> bool {
    let Ok(raw) = std::str::from_utf8(bytes) else { return false };
    match query(Form::Document, raw) {
        Ok(query) => {
            assert!((1..=100).contains(&query.limit));
            let texts = [&query.email, &query.username];
            assert!(texts.into_iter().flatten().all(|text| !text.is_empty() && text.chars().count() <= 255));
            let given = raw.split('&').filter(|pair| !pair.is_empty()).count();
            let taken = usize::from(query.after.is_some())
                + usize::from(query.email.is_some())
                + usize::from(query.username.is_some())
                + usize::from(query.standing.is_some())
                + usize::from(query.link.is_some());
            assert!(given == taken || given == taken + 1, "{raw:?}: something is not read");
            taken > 0
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.fields.iter().all(|field| matches!(field.place, Place::Parameter(_))));
            false
        }
    }
}

/// The same where records are listed.
pub(super) fn record_query(bytes: &[u8]) -> bool {
    let Ok(raw) = std::str::from_utf8(bytes) else { return false };
    match query(Form::Record, raw) {
        Ok(query) => {
            assert!((1..=1_000).contains(&query.limit) && query.standing.is_none());
            let given = raw.split('&').filter(|pair| !pair.is_empty()).count();
            let taken = usize::from(query.after.is_some())
                + usize::from(query.email.is_some())
                + usize::from(query.username.is_some())
                + usize::from(query.link.is_some())
                + query.held.len();
            assert!(given == taken || given == taken + 1, "{raw:?}: something is not read");
            taken > 0
        }
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.fields.iter().all(|field| matches!(field.place, Place::Parameter(_))));
            false
        }
    }
}

/// A cursor has one spelling.
pub(super) fn cursor(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let read = read_cursor(text);
    if let Some(id) = read {
        assert_eq!(write_cursor(id), text);
    }
    read.is_some()
}

fn two(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}
