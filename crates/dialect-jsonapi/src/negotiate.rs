//! Content negotiation by JSON:API 1.1 (decision 31).

use gateway_core::{Error, ErrorKind};
use http::{HeaderMap, header};

/// The one media type of answers, and of request bodies.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.api+json";

/// A request body is of our media type, with no parameters but `ext` and `profile`. Profiles are
/// ignored when they are not known; extensions are none, so that every one is refused.
///
/// # Errors
/// [`ErrorKind::UnsupportedMediaType`].
pub(crate) fn content_type(headers: &HeaderMap) -> Result<(), Error> {
    let refused = || Error::new(ErrorKind::UnsupportedMediaType);
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if coded {
        return Err(refused().message("Content-Encoding is not supported"));
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else { return Err(refused()) };
    let media = one.to_str().ok().and_then(|value| Media::parse(value, false)).ok_or_else(refused)?;
    let extended = media.extensions().next().is_some();
    if extended {
        return Err(refused().message("Extensions are not supported"));
    }
    if media.is_ours(&["ext", "profile"]) { Ok(()) } else { Err(refused()) }
}

/// Something that the caller accepts fits. Where `strict`, an instance of our media type that asks
/// for an extension does not.
///
/// # Errors
/// [`ErrorKind::NotAcceptable`].
pub(crate) fn accept(headers: &HeaderMap, strict: bool) -> Result<(), Error> {
    let lines: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    let ranges = lines.iter().flat_map(|line| split(line, ',')).filter(|range| !range.trim().is_empty());
    let mut said_anything = lines.len() < headers.get_all(header::ACCEPT).iter().count();
    // The best weight of an instance of ours, of plain JSON, of `application/*`, of `*/*`.
    let mut weights = [None::<f32>; 4];
    for range in ranges {
        said_anything = true;
        let Some(media) = Media::parse(range, true) else { continue };
        let Some(weight) = media.weight() else { continue };
        let at = match media.essence.to_ascii_lowercase().as_str() {
            MEDIA_TYPE if !media.is_ours(&["ext", "profile", "q"]) => continue,
            MEDIA_TYPE if strict && media.extensions().next().is_some() => continue,
            MEDIA_TYPE => 0,
            "application/json" => 1,
            "application/*" => 2,
            "*/*" => 3,
            _ => continue,
        };
        weights[at] = Some(weights[at].map_or(weight, |best| best.max(weight)));
    }
    let [ours, plain, application, all] = weights;
    // The most specific range counts (RFC 9110, 12.5.1); plain JSON is another name for the same.
    let fits = ours.or(application).or(all).is_some_and(|weight| weight > 0.0)
        || plain.is_some_and(|weight| weight > 0.0);
    if fits || !said_anything { Ok(()) } else { Err(ErrorKind::NotAcceptable.into()) }
}

/// A media type or range, with its parameters.
struct Media<'v> {
    essence: &'v str,
    parameters: Vec<(&'v str, &'v str)>,
}

impl<'v> Media<'v> {
    /// `lenient` passes over parameters that are not there: `a/b;`.
    fn parse(text: &'v str, lenient: bool) -> Option<Self> {
        let mut parts = split(text, ';').into_iter().map(str::trim);
        let essence = parts.next()?;
        let mut parameters = Vec::new();
        for part in parts.filter(|part| !lenient || !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            if name.is_empty() || (quoted.is_none() && !is_token(value)) {
                return None;
            }
            parameters.push((name, quoted.unwrap_or(value)));
        }
        Some(Self { essence, parameters })
    }

    /// True for our media type with no parameters but these.
    fn is_ours(&self, allowed: &[&str]) -> bool {
        let known = |name: &str| allowed.iter().any(|one| name.eq_ignore_ascii_case(one));
        self.essence.eq_ignore_ascii_case(MEDIA_TYPE) && self.parameters.iter().all(|(name, _)| known(name))
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = &'v str> {
        let named = move |one: &&(&str, &str)| one.0.eq_ignore_ascii_case(name);
        self.parameters.iter().filter(named).map(|(_, value)| *value)
    }

    fn extensions(&self) -> impl Iterator<Item = &'v str> {
        self.values("ext").filter(|uris| !uris.trim().is_empty())
    }

    /// 0 to 1; `None` for what is no weight.
    fn weight(&self) -> Option<f32> {
        match self.values("q").next() {
            None => Some(1.0),
            Some(text) => text.parse().ok().filter(|weight| (0.0..=1.0).contains(weight)),
        }
    }
}

/// Splits outside of quoted strings.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn what_is_accepted() {
        for good in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/*"],
            &["application/json"],
            &["application/vnd.api+json"],
            &["APPLICATION/VND.API+JSON"],
            &["application/vnd.api+json;profile=\"https://example.com/a,b;c\""],
            &["application/vnd.api+json; charset=utf-8, application/vnd.api+json;q=0.1"],
            &["application/vnd.api+json; charset=utf-8, */*"],
            &["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"],
            &["text/html", "application/json;q=0.5"],
            &["application/vnd.api+json;q=0, application/json"],
            &["application/vnd.api+json;"],
        ] {
            assert!(accept(&headers(header::ACCEPT, good), true).is_ok(), "{good:?}");
            assert!(accept(&headers(header::ACCEPT, good), false).is_ok(), "{good:?}");
        }
        for bad in [
            &["text/html"][..],
            &["*/*;q=0"],
            &["*/*;q=0.0"],
            &["application/vnd.api+json;q=0, */*"],
            &["application/*;q=0, */*"],
            &["application/vnd.api+json; charset=utf-8"],
            &["application/vnd.api+json; charset=utf-8", "application/vnd.api+json; v=1"],
            &["application/vnd.api+jsonx"],
            &["application/*;q=x"],
            &["\u{fc}"],
        ] {
            assert!(accept(&headers(header::ACCEPT, bad), false).is_err(), "{bad:?}");
        }
        let extended = headers(header::ACCEPT, &["application/vnd.api+json;ext=\"https://x.com\""]);
        assert!(accept(&extended, false).is_ok());
        assert!(accept(&extended, true).is_err());
    }

    #[test]
    fn what_is_taken() {
        for good in [
            "application/vnd.api+json",
            "APPLICATION/VND.API+JSON",
            "application/vnd.api+json; profile=\"https://x\"",
            "application/vnd.api+json;PROFILE=\"https://x https://y;z\"",
            "application/vnd.api+json;ext=\"\"",
        ] {
            assert!(content_type(&headers(header::CONTENT_TYPE, &[good])).is_ok(), "{good}");
        }
        for bad in [
            "",
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/vnd.api+json; charset=utf-8",
            "APPLICATION/VND.API+JSON; q=1",
            "application/vnd.api+json;",
            "application/vnd.api+json; ext=\"https://jsonapi.org/ext/atomic\"",
            "application/vnd.api+json; profile=https://x",
            "application/vnd.api+json, text/html",
            "application/vnd.api+jsonx",
        ] {
            let refused = content_type(&headers(header::CONTENT_TYPE, &[bad])).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::UnsupportedMediaType, "{bad}");
        }
        assert!(content_type(&HeaderMap::new()).is_err());
        assert!(content_type(&headers(header::CONTENT_TYPE, &[MEDIA_TYPE, MEDIA_TYPE])).is_err());
        let mut coded = headers(header::CONTENT_TYPE, &[MEDIA_TYPE]);
        coded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(content_type(&coded).is_ok());
        coded.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(content_type(&coded).is_err());
    }
}
