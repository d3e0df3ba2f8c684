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

/// Why this cannot be now: a clock before 1970 was never set, and no record could be told from another
/// by its time.
#[must_use]
pub fn doubt(now: Timestamp) -> Option<String> {
    (now < Timestamp::UNIX_EPOCH).then(|| format!("the clock says {}, before 1970: set it first", now.date()))
}

#[cfg(test)]
mod tests {
    use time::macros::utc_datetime;

    use super::*;

    /// `clock-006`.
    #[test]
    fn a_clock_before_1970_is_doubted() {
        assert_eq!(doubt(now()), None);
        assert_eq!(doubt(Timestamp::UNIX_EPOCH), None);
        let why = doubt(utc_datetime!(1969-12-31 23:59:59)).unwrap();
        assert_eq!(why, "the clock says 1969-12-31, before 1970: set it first");
    }
}
