//! What the embedded store reads from disk: whatever decodes is written again and decodes to the same.

use sha2::{Digest, Sha256};
use store_embedded::fuzz;

/// Decodes, encodes, decodes: the second encoding is the first.
fn settles(bytes: &[u8], again: fn(&[u8]) -> Option<Vec<u8>>) -> bool {
    let Some(once) = again(bytes) else { return false };
    // No longer than it was, but for numbers, which stand for themselves.
    assert!(once.len() <= bytes.len() + 16, "{} bytes of {}", once.len(), bytes.len());
    assert_eq!(again(&once).as_ref(), Some(&once));
    true
}

pub(super) fn record(bytes: &[u8]) -> bool {
    settles(bytes, fuzz::record)
}

pub(super) fn ledger_record(bytes: &[u8]) -> bool {
    settles(bytes, fuzz::ledger_record)
}

/// A row, and the name of a keyspace of rows.
pub(super) fn ledger_row(bytes: &[u8]) -> bool {
    let name = std::str::from_utf8(bytes).ok();
    let is_name = name.is_some_and(|name| fuzz::ledger_name(name).is_some_and(|again| again == name));
    let row = fuzz::ledger_row(bytes);
    assert!(row.as_deref().is_none_or(|row| row == bytes));
    is_name || row.is_some()
}

/// The inventory; its checksum is put right first, so that more than one input in four thousand
/// millions is looked at.
pub(super) fn marker(bytes: &[u8]) -> bool {
    assert!(fuzz::marker(bytes).is_none_or(|again| fuzz::marker(&again).is_some()));
    settles(&fuzz::with_checksum(bytes), fuzz::marker)
}

/// The two slots: what is whole in either counts.
pub(super) fn mark(bytes: &[u8]) -> bool {
    let at = bytes.len().min(4096);
    let (first, second) = bytes.split_at(at);
    let mut slots = fuzz::with_checksum(first);
    slots.resize(4096.max(slots.len()), 0);
    slots.extend(fuzz::with_checksum(second));
    let [one, two] = fuzz::mark(&slots);
    let [bare, _] = fuzz::mark(bytes);
    assert!(bare.is_none() || bare == one || bytes.len() > 36);
    one.or(two).is_some()
}

/// Nothing opens that was not sealed for this place.
pub(super) fn seal(bytes: &[u8]) -> bool {
    let (space, rest) = bytes.split_at(bytes.len().min(2));
    let (key, plain) = rest.split_at(rest.len().min(4));
    let space = String::from_utf8_lossy(space);
    for encrypts in [false, true] {
        assert!(!fuzz::opens(encrypts, &space, key, plain));
        let sealed = fuzz::seal(encrypts, &space, key, plain).unwrap();
        assert!(fuzz::opens(encrypts, &space, key, &sealed));
        assert!(!fuzz::opens(encrypts, &space, plain, &sealed) || plain == key);
        assert!(!fuzz::opens(!encrypts, &space, key, &sealed));
        let mut bent = sealed;
        let at = bent.len() * usize::from(bytes.first().copied().unwrap_or_default()) / 256;
        bent[at] ^= 1;
        assert!(!fuzz::opens(encrypts, &space, key, &bent));
    }
    !plain.is_empty()
}

/// Whole batches, one byte of them bent, and what a crash may leave behind them: what is whole in front
/// of all that stays, and nothing else becomes a batch.
pub(super) fn journal(bytes: &[u8]) -> bool {
    let (start, tail) = bytes.split_at(bytes.len().min(3));
    let [count, place, bits] = *start else { return false };
    let batches: Vec<_> = (1..=u64::from(count % 4)).map(|seq| fuzz::batch(seq).unwrap()).collect();
    let mut journal = batches.concat();
    let whole = journal.len();
    assert_eq!(fuzz::journal_end(&journal), whole);
    journal.extend_from_slice(tail);
    assert_eq!(fuzz::journal_end(&journal), whole);
    if whole > 0 {
        let (at, one) = (usize::from(place) * whole / 256, batches[0].len());
        journal[at] ^= bits;
        let end = fuzz::journal_end(&journal);
        assert!(end.is_multiple_of(one) && (at / one * one..=whole).contains(&end), "{end}, {at} is bent");
        // Bytes 5 to 12 are the engine's own number, which has a lower bound and no checksum.
        assert!(bits == 0 || (5..13).contains(&(at % one)) || end == at / one * one, "{end}, {at} is bent");
    }
    whole > 0 && !tail.is_empty()
}

/// A manifest reads back only as it was written; its own hash is put right first.
pub(super) fn backup_manifest(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    assert!(fuzz::backup_manifest(text).is_none_or(|again| again == text));
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let hashed = format!("{text}\n[manifest]\nsha256 = \"{hash}\"\n");
    let again = fuzz::backup_manifest(&hashed);
    assert!(again.as_ref().is_none_or(|again| *again == hashed));
    again.is_some()
}

/// Rows are written again as they were read.
pub(super) fn backup_rows(bytes: &[u8]) -> bool {
    let Ok(again) = fuzz::backup_rows(bytes) else { return false };
    assert_eq!(again, bytes);
    true
}
