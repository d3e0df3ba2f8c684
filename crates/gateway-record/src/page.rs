//! A page of users: of each the length of its record, four bytes, and the record; then, where the list goes
//! on, a length of zero and the id to go on after.

use std::sync::Arc;

use gateway_core::{User, UserId};

use crate::{
    Stored,
    codec::{Reader, Writer},
};

/// The media type of a record, and of a page of them.
pub const MEDIA_TYPE: &str = "application/vnd.interlingua.record";
/// Once a page has so many bytes, it holds no more users, and goes on.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

const LENGTH: usize = size_of::<u32>();

/// A page of as many of the users, from the first on, as it has room for; after the last of them it goes on,
/// or after `next` where it holds all.
#[must_use]
pub fn encode_page(users: &[Arc<User>], next: Option<UserId>) -> Vec<u8> {
    let mut out = Writer::default();
    let mut next = next;
    for (at, user) in users.iter().enumerate() {
        let record = Stored::Live(user.clone()).encode(0);
        // A record is far from four gigabytes: profile, links and suspensions all have their limits.
        out.bytes(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.bytes(&record);
        if out.0.len() >= PAGE_BYTES && at + 1 < users.len() {
            next = Some(user.id);
            break;
        }
    }
    if let Some(next) = next {
        out.bytes(&[0; LENGTH]);
        out.bytes(next.as_bytes());
    }
    out.0
}

/// The inverse of [`encode_page`]: any bytes give a page or `None`.
#[must_use]
pub fn decode_page(bytes: &[u8]) -> Option<(Vec<Arc<User>>, Option<UserId>)> {
    let (mut input, mut users) = (Reader(bytes), Vec::new());
    while input.end().is_none() {
        match u32::from_be_bytes(input.array()?) {
            0 => {
                let next = UserId::from_bytes(input.array()?);
                return input.end().map(|()| (users, Some(next)));
            }
            length => {
                let record = input.take(usize::try_from(length).ok()?)?;
                users.push(Stored::decode(record)?.live()?);
            }
        }
    }
    Some((users, None))
}
