//! What the fuzz targets see of the readers in this crate: bytes in, and what was read written again.

use std::{io, sync::Arc};

use gateway_core::{StoreError, User};

use crate::{
    backup::{manifest::Manifest, rows},
    journal, ledger, mark, marker, record,
    seal::Sealer,
};

/// A user or its tombstone; the number of its batch, which is not kept, becomes 0.
#[must_use]
pub fn record(bytes: &[u8]) -> Option<Vec<u8>> {
    record::Stored::decode(bytes).map(|stored| stored.encode(0))
}

/// The record of a user.
#[must_use]
pub fn encode_user(user: &User) -> Vec<u8> {
    record::Stored::Live(Arc::new(user.clone())).encode(0)
}

/// The inverse of [`encode_user`].
#[must_use]
pub fn decode_user(bytes: &[u8]) -> Option<Arc<User>> {
    record::Stored::decode(bytes).and_then(record::Stored::live)
}

/// A record of the ledger.
#[must_use]
pub fn ledger_record(bytes: &[u8]) -> Option<Vec<u8>> {
    record::decode_ledger(bytes).map(|record| record::encode_ledger(&record))
}

/// The key of a row of the ledger.
#[must_use]
pub fn ledger_row(bytes: &[u8]) -> Option<Vec<u8>> {
    ledger::Row::decode(bytes).map(|row| row.encode().to_vec())
}

/// The name of an hour's keyspace.
#[must_use]
pub fn ledger_name(text: &str) -> Option<String> {
    ledger::parse_name(text).map(ledger::name)
}

/// The marker with its inventory.
#[must_use]
pub fn marker(bytes: &[u8]) -> Option<Vec<u8>> {
    marker::decode(bytes).ok().map(|marker| marker.encode())
}

/// The number in each slot of the mark, where the slot is whole.
#[must_use]
pub fn mark(bytes: &[u8]) -> [Option<u64>; 2] {
    mark::slots(bytes).map(|slot| slot.map(|(_, acked)| acked))
}

/// The manifest of a backup.
#[must_use]
pub fn backup_manifest(text: &str) -> Option<String> {
    Manifest::parse(text).map(|manifest| manifest.render())
}

/// The rows of a file of a backup.
///
/// # Errors
/// Bytes that are no rows.
pub fn backup_rows(mut bytes: &[u8]) -> io::Result<Vec<u8>> {
    rows::begin(&mut bytes)?;
    let mut again = rows::MAGIC.to_vec();
    while let Some((key, value)) = rows::next(&mut bytes)? {
        rows::write(&mut again, &key, &value)?;
    }
    Ok(again)
}

/// A batch of a journal, with this number and nothing else in it.
///
/// # Errors
/// No randomness.
pub fn batch(seq: u64) -> Result<Vec<u8>, StoreError> {
    journal::batch(seq, &sealer(false))
}

/// Where the last whole batch of a journal ends.
#[must_use]
pub fn journal_end(bytes: &[u8]) -> usize {
    journal::end(bytes, &sealer(false))
}

/// Bytes with the checksum behind them that markers and marks have.
#[must_use]
pub fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    [bytes, &crc32fast::hash(bytes).to_be_bytes()].concat()
}

/// Seals bytes for a place.
///
/// # Errors
/// No randomness.
pub fn seal(encrypts: bool, space: &str, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    sealer(encrypts).seal(space, key, plain)
}

/// True for what was sealed for this place.
#[must_use]
pub fn opens(encrypts: bool, space: &str, key: &[u8], sealed: &[u8]) -> bool {
    sealer(encrypts).open(space, key, sealed).is_some()
}

fn sealer(encrypts: bool) -> Sealer {
    Sealer::new([1; 16], &[2; 32], encrypts.then_some(&[3; 32]))
}
