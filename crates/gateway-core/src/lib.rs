//! The canonical user, the operations on it, and the contract of a store.
//!
//! Architecture invariant: nothing here knows HTTP, JSON, SQL, a clock or a runtime, and no type
//! here is serializable. Time and randomness are arguments.

pub mod address;
mod attr;
pub mod check;
mod error;
mod identity;
mod operation;
mod profile;
pub mod regions;
mod store;
mod user;

pub use attr::{Attr, Change, Point, Value};
pub use error::{Error, ErrorKind, FieldError, Place, Problem};
pub use identity::{ExternalId, Link, Namespace, Reach, UserId};
pub use operation::{Caller, Creation, Locator, Operation, Outcome, Query};
pub use profile::Profile;
pub use store::{
    Commit, Committed, Guard, LedgerKey, LedgerRecord, Page, Selection, StoreError, UserStore, Write,
};
pub use user::{Standing, Status, Suspension, UniqueKey, User, View, fold};

/// A calendar date, proleptic Gregorian.
pub use time::Date;
/// An instant, UTC, nanosecond resolution.
pub use time::UtcDateTime as Timestamp;
