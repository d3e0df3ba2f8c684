//! An answer in a dialect's own bytes, before the gateway adds what every answer carries.

use bytes::Bytes;
use gateway_core::Error;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

/// Which of the common headers an answer carries (decision 11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hygiene {
    /// `Cache-Control: no-store`, `X-Content-Type-Options: nosniff`, and the request id.
    Full,
    /// None of them: the original sends "no additional headers".
    None,
}

/// Status, headers and body, exactly as the dialect means them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The dialect's own headers, `Content-Type` among them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// What the gateway adds.
    pub hygiene: Hygiene,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub const fn empty(status: StatusCode, hygiene: Hygiene) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), hygiene }
    }

    /// A compact JSON body. The types given here are structs of text and numbers, whose
    /// serialization cannot fail.
    #[must_use]
    pub fn json(status: StatusCode, media_type: &'static str, body: &impl Serialize) -> Self {
        let mut bytes = Vec::with_capacity(512);
        if serde_json::to_writer(&mut bytes, body).is_err() {
            bytes.clear();
        }
        let body = Bytes::from(bytes);
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(media_type))];
        Self { status, headers, body, hygiene: Hygiene::Full }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With `Retry-After`, where the error says when.
    #[must_use]
    pub fn retry_after(self, error: &Error) -> Self {
        match error.retry_after_s {
            Some(seconds) => self.header(header::RETRY_AFTER, seconds),
            None => self,
        }
    }
}
