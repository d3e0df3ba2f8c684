//! The bytes of a stored user and of a ledger record, the same in every store.

pub mod codec;
mod record;
#[cfg(test)]
mod tests;

pub use record::{Stored, decode_ledger, encode_ledger};
