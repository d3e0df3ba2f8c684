//! What the fuzz targets see of the readers in this crate that have no other door.

use gateway_core::Timestamp;

use crate::{
    jwk::KeySet,
    jws::{Algorithm, Header},
};

/// A date-time of RFC 3339, as the signing rule takes it.
#[must_use]
pub fn rfc3339(text: &str) -> Option<Timestamp> {
    crate::rfc3339::parse(text)
}

/// How many keys of a set fit each published algorithm (RS256, ES256, EdDSA), where any does.
#[must_use]
pub fn jwk_set(bytes: &[u8]) -> [Option<usize>; 3] {
    [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]
        .map(|algorithm| KeySet::parse(bytes, algorithm).ok().map(|keys| keys.counts().0))
}

/// A token's header: its algorithm, and the id of its key.
#[must_use]
pub fn jws_header(bytes: &[u8]) -> Option<(&'static str, Option<String>)> {
    Header::read(bytes).ok().map(|header| (header.algorithm.as_str(), header.kid))
}
