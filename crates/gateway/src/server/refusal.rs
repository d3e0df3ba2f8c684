//! Why a connection's bytes are not taken on, and what is said to that before it closes.

use time::macros::format_description;

use crate::clock;

/// What was wrong. Each is a label of the metric `interlingua_protocol_errors_total`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Refusal {
    /// The first line is no `METHOD SP target SP version CRLF`.
    RequestLine,
    /// CONNECT, which only proxies answer.
    Connect,
    /// The target is not in origin form, or holds a character that belongs encoded.
    Target,
    /// The target is longer than 8 KiB.
    TargetTooLong,
    /// Another version of HTTP.
    Version,
    /// A line that does not end in CR LF, is folded, or holds a control character.
    HeaderLine,
    /// A header name that is no token, or holds an underscore.
    HeaderName,
    /// More than 64 header lines or 16 KiB.
    HeadTooLarge,
    /// No host, several, or one that is none.
    Host,
    /// A length that is no number, is given twice, or beside a transfer coding.
    Length,
    /// A transfer coding other than one `chunked`.
    Coding,
    /// A transfer coding that nobody here knows.
    UnknownCoding,
    /// An expectation other than `100-continue`.
    Expectation,
    /// A chunk of a body that is not framed as it must be.
    Chunk,
    /// The head did not come in time.
    HeadTimeout,
    /// The other side did not take the answer in time.
    SlowReader,
    /// More control frames or resets than anyone needs.
    Flood,
}

impl Refusal {
    /// All, in the order of their numbers.
    pub(super) const ALL: [Self; 17] = [
        Self::RequestLine,
        Self::Connect,
        Self::Target,
        Self::TargetTooLong,
        Self::Version,
        Self::HeaderLine,
        Self::HeaderName,
        Self::HeadTooLarge,
        Self::Host,
        Self::Length,
        Self::Coding,
        Self::UnknownCoding,
        Self::Expectation,
        Self::Chunk,
        Self::HeadTimeout,
        Self::SlowReader,
        Self::Flood,
    ];

    /// Its name in metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::RequestLine => "request_line",
            Self::Connect => "connect",
            Self::Target => "target",
            Self::TargetTooLong => "target_too_long",
            Self::Version => "version",
            Self::HeaderLine => "header_line",
            Self::HeaderName => "header_name",
            Self::HeadTooLarge => "head_too_large",
            Self::Host => "host",
            Self::Length => "content_length",
            Self::Coding => "transfer_coding",
            Self::UnknownCoding => "unknown_coding",
            Self::Expectation => "expectation",
            Self::Chunk => "chunk",
            Self::HeadTimeout => "head_timeout",
            Self::SlowReader => "slow_reader",
            Self::Flood => "flood",
        }
    }

    /// The status to answer with.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Connect => 405,
            Self::HeadTimeout => 408,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge => 431,
            Self::UnknownCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }

    /// The whole answer of HTTP/1: bare, and the last (decision 10).
    pub(super) fn answer(self) -> Vec<u8> {
        bare(self.status())
    }
}

/// The methods that are answered somewhere.
pub(super) const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// An answer without a body, after which the connection closes.
pub(super) fn bare(status: u16) -> Vec<u8> {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = clock::now().format(format).unwrap_or_default();
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let allow = if status == 405 { format!("Allow: {ALLOW}\r\n") } else { String::new() };
    let retry = if status == 503 { "Retry-After: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} {}\r\nDate: {date}\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n{allow}{retry}Connection: close\r\n\r\n",
        reason.unwrap_or_default()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_labels_are_distinct() {
        for (at, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, at);
            let same = Refusal::ALL.into_iter().filter(|other| other.label() == refusal.label());
            assert_eq!(same.count(), 1, "{refusal:?}");
        }
    }

    #[test]
    fn answers_are_whole() {
        let answer = String::from_utf8(Refusal::TargetTooLong.answer()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 414 URI Too Long\r\nDate: "), "{answer}");
        assert!(answer.contains(" GMT\r\nContent-Length: 0\r\n"), "{answer}");
        assert!(answer.ends_with("Connection: close\r\n\r\n"), "{answer}");
        assert!(String::from_utf8(Refusal::Connect.answer()).unwrap().contains("\r\nAllow: GET, HEAD, POST"));
    }
}
