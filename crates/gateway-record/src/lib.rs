//! The bytes of a stored user and of a ledger record, the same in every store; and of a page of users, as
//! one gateway gives them to another.

pub mod codec;
mod page;
mod record;
#[cfg(test)]
mod tests;

pub use page::{MEDIA_TYPE, PAGE_BYTES, decode_page, encode_page};
pub use record::{Stored, decode_ledger, encode_ledger};
