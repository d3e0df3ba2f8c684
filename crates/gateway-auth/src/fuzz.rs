//! What the fuzz targets see of the readers in this crate that have no other door.

use gateway_core::Timestamp;

/// A date-time of RFC 3339, as the signing rule takes it.
#[must_use]
pub fn rfc3339(text: &str) -> Option<Timestamp> {
    crate::rfc3339::parse(text)
}
