//! What one gateway takes from another.

use gateway::registry::DIALECTS;
use gateway_core::Outcome;
use gateway_record::{decode_page, encode_page};

use super::dialects::{at_site, is_json};

/// A page that is read is written again and reads the same; whoever is on it, every dialect can show.
pub(super) fn page(bytes: &[u8]) -> bool {
    let Some((users, next)) = decode_page(bytes) else { return false };
    let once = encode_page(&users, next);
    let (again, goes_on) = decode_page(&once).expect("it was written here");
    assert_eq!((encode_page(&again, goes_on), goes_on), (once, next));
    for (user, row) in users.iter().flat_map(|user| DIALECTS.iter().map(move |row| (user, row))) {
        let dialect = row.with_defaults();
        let answer = at_site(&*dialect, |site, _| dialect.encode(site, &Outcome::Found(user)));
        is_json(&answer);
    }
    !users.is_empty()
}
