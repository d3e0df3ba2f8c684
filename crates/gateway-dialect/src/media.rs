//! The media type of a JSON request body (decisions 2 and 7; RFC 9110, 8.3 and 8.4).

use gateway_core::{Error, ErrorKind};
use http::{HeaderMap, header};

/// Accepts `application/json` with no charset but UTF-8, or no Content-Type at all; and no content
/// coding but `identity`.
///
/// # Errors
/// [`ErrorKind::UnsupportedMediaType`].
pub fn json_body(headers: &HeaderMap) -> Result<(), Error> {
    one_of(headers, &["application/json"], "Content-Type must be application/json").map(|_| ())
}

/// The one of some media types that a body has, with no charset but UTF-8, and no content coding but
/// `identity`; none without a Content-Type.
///
/// # Errors
/// [`ErrorKind::UnsupportedMediaType`], with a sentence for another type.
pub fn one_of<'t>(
    headers: &HeaderMap,
    types: &[&'t str],
    sentence: &'static str,
) -> Result<Option<&'t str>, Error> {
    let refused = |message| Err(Error::new(ErrorKind::UnsupportedMediaType).message(message));
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if coded {
        return refused("Content-Encoding is not supported");
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (values.next(), values.next());
    let Some(first) = first else { return Ok(None) };
    let named = first.to_str().ok().filter(|_| second.is_none()).and_then(|value| named(value, types));
    if named.is_some() { Ok(named) } else { refused(sentence) }
}

fn named<'t>(value: &str, types: &[&'t str]) -> Option<&'t str> {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next()?;
    let known = types.iter().copied().find(|one| essence.eq_ignore_ascii_case(one))?;
    let plain = parts.all(|parameter| {
        parameter.split_once('=').is_some_and(|(name, value)| is_utf8_or_no_charset(name, value))
    });
    plain.then_some(known)
}

fn is_utf8_or_no_charset(name: &str, value: &str) -> bool {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    !value.is_empty() && (!name.eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[(header::HeaderName, &'static str)]) -> bool {
        let headers =
            rows.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value))).collect();
        json_body(&headers).is_ok()
    }

    #[test]
    fn json_in_utf8_only() {
        assert!(check(&[]));
        for good in [
            "application/json",
            "APPLICATION/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; v=1",
        ] {
            assert!(check(&[(header::CONTENT_TYPE, good)]), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/json, text/html",
            "application/json; charset=utf-16",
            "application/jsonx",
            "application/json;x",
        ] {
            assert!(!check(&[(header::CONTENT_TYPE, bad)]), "{bad}");
        }
        assert!(!check(&[
            (header::CONTENT_TYPE, "application/json"),
            (header::CONTENT_TYPE, "application/json")
        ]));
        assert!(check(&[(header::CONTENT_ENCODING, "identity")]));
        for coding in ["gzip", "br, gzip", ""] {
            assert!(!check(&[(header::CONTENT_ENCODING, coding)]), "{coding}");
        }
    }
}
