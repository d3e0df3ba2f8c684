//! The one reader of the wall clock.

use std::sync::Arc;

use gateway_core::Timestamp;

/// Tells the time, UTC. An argument to everything that needs it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    Timestamp::now()
}
