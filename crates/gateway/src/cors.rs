//! Cross-origin requests (decision 13; WHATWG Fetch, "CORS protocol"): a mount says which origins
//! may read its answers, and whether with credentials.

use gateway_dialect::{Answer, Hygiene, Options, allow};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE_S: u32 = 600;

/// The origins of a mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cors {
    origins: Vec<String>,
    credentials: bool,
}

impl Cors {
    /// Reads the table `cors`: `origins` (a list of origins, never `*`) and `credentials`.
    pub fn read(options: &mut Options<'_>) -> Option<Self> {
        let mut table = options.table("cors")?;
        let mut origins = Vec::new();
        for (origin, span) in table.texts("origins") {
            if is_origin(&origin) {
                origins.push(origin);
            } else {
                table.problem_at(
                    span,
                    "an origin is `https://host` or `http://host:port`, in lower case, without a path",
                );
            }
        }
        if origins.is_empty() && !table.has("origins") {
            table.problem_at(table.span(), "`origins` is missing");
        }
        let credentials = table.flag("credentials", false);
        table.finish();
        Some(Self { origins, credentials })
    }

    /// The answer to a preflight; `None` when this is none.
    #[must_use]
    pub fn preflight(
        &self,
        method: &Method,
        headers: &HeaderMap,
        routes: &[gateway_dialect::Route],
        template: &str,
    ) -> Option<Answer> {
        let asked = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && headers.contains_key(header::ORIGIN);
        if *method != Method::OPTIONS || !asked {
            return None;
        }
        let mut answer = Answer::empty(StatusCode::NO_CONTENT, Hygiene::Full);
        if self.allowed(headers).is_some() {
            let methods = HeaderValue::try_from(allow(routes, template)).ok()?;
            answer = answer.header(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            if let Some(names) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                answer = answer.header(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
            answer = answer.header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
        }
        Some(answer)
    }

    /// What every answer of the mount carries, errors and refused origins too.
    #[must_use]
    pub fn headers(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![(header::VARY, HeaderValue::from_static("Origin"))];
        if let Some(origin) = self.allowed(request) {
            headers.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
            if self.credentials {
                headers.push((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
            }
        }
        headers
    }

    fn allowed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let mut sent = headers.get_all(header::ORIGIN).iter();
        let origin = sent.next().filter(|_| sent.next().is_none())?;
        self.origins.iter().any(|one| one.as_bytes() == origin.as_bytes()).then_some(origin)
    }
}

/// `scheme://host[:port]`, as browsers send it.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
    !rest.is_empty() && rest.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(rows: &[(HeaderName, &'static str)]) -> HeaderMap {
        rows.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_origin_is_echoed_and_never_a_star() {
        let cors = Cors { origins: vec!["https://app.example".into()], credentials: true };
        let good = cors.headers(&request(&[(header::ORIGIN, "https://app.example")]));
        assert!(good.contains(&(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("https://app.example")
        )));
        assert!(good.contains(&(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"))));
        for other in [
            request(&[]),
            request(&[(header::ORIGIN, "https://evil.example")]),
            request(&[(header::ORIGIN, "null")]),
        ] {
            assert_eq!(cors.headers(&other), [(header::VARY, HeaderValue::from_static("Origin"))]);
        }
        assert!(is_origin("http://localhost:3000"));
        assert!(
            ["*", "https://", "https://a.example/", "https://A.example", "a.example"]
                .iter()
                .all(|bad| !is_origin(bad))
        );
    }
}
