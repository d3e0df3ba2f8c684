//! What the embedded store reads from disk: whatever decodes is written again and decodes to the same.

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
