//! RFC 3339 date-times as the signing rule takes them: with a zone, at most nine fraction digits.

use gateway_core::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The longest text: `9999-12-31T23:59:59.999999999+23:59`.
const MAX_BYTES: usize = 35;

/// Reads a date-time. `T` and `Z` may be in lower case (RFC 3339, 5.6); a leap second is the last
/// nanosecond of its minute.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let separated = matches!(bytes.get(10), Some(b'T' | b't'));
    let digits = bytes.get(20..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let fraction = bytes.get(19) != Some(&b'.') || (1..=9).contains(&digits);
    if bytes.len() > MAX_BYTES || !separated || !fraction {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok().and_then(OffsetDateTime::checked_to_utc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::utc_datetime;

    #[test]
    fn instants() {
        let noon = utc_datetime!(2026-03-13 12:00);
        for good in [
            "2026-03-13T12:00:00Z",
            "2026-03-13t12:00:00z",
            "2026-03-13T17:30:00+05:30",
            "2026-03-13T12:00:00.000000000Z",
            "2026-03-13T12:00:00-00:00",
        ] {
            assert_eq!(parse(good), Some(noon), "{good}");
        }
        let long = format!("2026-03-13T12:00:00.{}Z", "0".repeat(300));
        for bad in [
            "",
            "1741867200",
            "1741867200000",
            "2026-03-13 12:00:00Z",
            "2026-03-13T12:00:00",
            "20260313T120000Z",
            "2026-3-13T12:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-03-13T24:00:00Z",
            "2026-03-13T12:60:00Z",
            "+002026-03-13T12:00:00Z",
            "-0001-01-01T00:00:00Z",
            "2026-03-13T12:00:00+0000",
            "2026-03-13T12:00:00.Z",
            "2026-03-13T12:00:00.0000000000Z",
            "2026-03-13T12:00:00Z ",
            "2026-03-13T12:00Z",
            "2026-03-13_12:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "2026-03-13T12:00:00+24:00",
            &long,
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert!(parse("2026-06-30T23:59:60Z").is_none_or(|leap| leap < utc_datetime!(2026-07-01 00:00:01)));
    }
}
