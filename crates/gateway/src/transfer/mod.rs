//! Users in and out as lines of JSON: what `import` and `export` do, wherever the store is open.
//!
//! An input is cut into chunks of lines (`lines.rs`). Chunks are read side by side into users that are
//! fit to be made (`form.rs`), and committed in the order of their lines, many at once (`intake.rs`,
//! `settle.rs`), each by the same commit as a request's. What is there already, just so, counts as done:
//! so an import can be given the same input again, and a note of how far it came only saves time.
//! `socket.rs` carries chunks, verdicts and lines to and from a process that has the store open, where
//! `serve.rs` is the other end.

pub mod export;
pub mod form;
pub mod intake;
pub mod lines;
pub(crate) mod serve;
mod settle;
pub mod socket;
pub mod verdict;

use std::fmt;

use gateway_core::{StoreError, UserStore};
use sha2::{Digest as _, Sha256};

/// What ends an import or export before its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// A sentence. Holds nothing of a user.
    pub why: String,
    /// True where data of the store are damaged.
    pub is_damage: bool,
}

impl Failure {
    /// Something could not be done.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_damage: false }
    }

    /// A part of the work fell.
    fn fallen(error: &tokio::task::JoinError) -> Self {
        Self::new(format!("a task fell: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { why: error.to_string(), is_damage: matches!(error, StoreError::Damaged(_)) }
    }
}

/// Tells a store from others, and nothing of its key.
pub fn store_name<S: UserStore>(store: &S) -> String {
    let digest = Sha256::new_with_prefix(b"store").chain_update(store.key()).finalize();
    faster_hex::hex_string(&digest[..8])
}
