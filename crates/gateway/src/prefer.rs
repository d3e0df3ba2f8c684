//! What a client would rather have: `Prefer: return=minimal` (RFC 7240).

use gateway_dialect::Answer;
use http::{HeaderMap, HeaderName, StatusCode, header};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Whether the answer to a write is wanted without its body. Of a preference given twice the first counts.
pub(crate) fn wants_minimal(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let mut preferences = lines.flat_map(|line| line.split(',')).map(|one| {
        let plain = one.split(';').next().unwrap_or_default();
        let (name, value) = plain.split_once('=').unwrap_or((plain, ""));
        (name.trim(), value.trim().trim_matches('"'))
    });
    preferences
        .find(|(name, _)| name.eq_ignore_ascii_case("return"))
        .is_some_and(|(_, value)| value.eq_ignore_ascii_case("minimal"))
}

/// The same answer without its body.
pub(crate) fn minimal(mut answer: Answer) -> Answer {
    if answer.status == StatusCode::OK {
        answer.status = StatusCode::NO_CONTENT;
    }
    answer.headers.retain(|(name, _)| *name != header::CONTENT_TYPE);
    Answer { body: bytes::Bytes::new(), ..answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_first_return_counts() {
        let wants = |lines: &[&'static str]| {
            let headers = lines.iter().map(|line| (PREFER, HeaderValue::from_static(line))).collect();
            wants_minimal(&headers)
        };
        for lines in [
            &["return=minimal"][..],
            &["Return = \"Minimal\"; x=1"],
            &["respond-async, wait=10", "return=minimal"],
            &["return=minimal, return=representation"],
        ] {
            assert!(wants(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["minimal"],
            &["return"],
            &["return=representation"],
            &["return=representation", "return=minimal"],
            &["returns=minimal"],
        ] {
            assert!(!wants(lines), "{lines:?}");
        }
    }
}
