//! Why a store did not open, and what became of a statement: never with SQL, values or addresses in it.

use std::{fmt, io};

use gateway_core::StoreError;
use tokio_postgres::error::{DbError, SqlState};

/// Why a store did not open, or could not be migrated: one sentence for the operator.
#[derive(Debug)]
pub enum OpenError {
    /// The URL cannot be read.
    Url(&'static str),
    /// The file of root certificates cannot be read.
    Roots(io::Error),
    /// No host could be connected to in time.
    Unreachable,
    /// A host is there, but none that takes writes.
    ReadOnly,
    /// The database refused to be connected to, or refused a statement, with this SQLSTATE.
    Refused(String),
    /// A certificate or a handshake is not as `sslmode` asks.
    Tls,
    /// The tables are not there, or are of an earlier release.
    Behind {
        /// The migration that is wanted.
        wanted: i32,
        /// The last one found; 0 where there is none.
        found: i32,
    },
    /// The tables are of a later release.
    Ahead {
        /// The last migration that is known here.
        known: i32,
        /// The last one found.
        found: i32,
    },
    /// What is in the tables cannot be ours.
    Damaged(&'static str),
    /// No randomness.
    Random,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgreSQL store: ")?;
        match self {
            Self::Url(what) => write!(f, "the URL cannot be used: {what}"),
            Self::Roots(error) => write!(f, "the file of sslrootcert cannot be used: {error}"),
            Self::Unreachable => f.write_str("no host of the URL could be connected to in time"),
            Self::ReadOnly => f.write_str("no host of the URL takes writes"),
            Self::Refused(state) => write!(f, "the database refused (SQLSTATE {state})"),
            Self::Tls => {
                f.write_str("TLS is not as sslmode asks: the server has none, or not that certificate")
            }
            Self::Behind { wanted, found } => write!(
                f,
                "the database is at migration {found}, and {wanted} is wanted; run `interlingua migrate`"
            ),
            Self::Ahead { known, found } => write!(
                f,
                "the database is at migration {found}, of a later release than this one, which knows {known}"
            ),
            Self::Damaged(what) => write!(f, "{what} in the database is damaged"),
            Self::Random => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for OpenError {}

/// How a statement failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The database told that nothing was done, and it may go well another time.
    Collided,
    /// The database told that nothing was done.
    Refused(&'static str),
    /// The host takes no writes any more.
    ReadOnly,
    /// It was never sent.
    NotSent,
    /// Whether it was done is not known; the connection is of no use any more.
    Lost,
}

impl Failure {
    /// Reads an error of the client. What the server says with severity `ERROR` undid the statement;
    /// everything else may have come after its commit.
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(told)
                if told.severity() == "ERROR"
                    || told.parsed_severity() == Some(tokio_postgres::error::Severity::Error) =>
            {
                Self::told(told)
            }
            Some(_) => Self::Lost,
            None => Self::Lost,
        }
    }

    fn told(error: &DbError) -> Self {
        let state = error.code();
        let collisions = [
            &SqlState::UNIQUE_VIOLATION,
            &SqlState::T_R_SERIALIZATION_FAILURE,
            &SqlState::T_R_DEADLOCK_DETECTED,
            // How our statement says that it lost a race.
            &SqlState::DIVISION_BY_ZERO,
        ];
        if collisions.contains(&state) {
            return Self::Collided;
        }
        match state.code() {
            "25006" => Self::ReadOnly,
            "40003" => Self::Lost,
            "57014" | "55P03" => Self::Refused(SLOW),
            code => {
                let class = code.get(..2).unwrap_or_default();
                tracing::warn!(sqlstate = code, "the database refused a statement");
                match class {
                    "08" => Self::Lost,
                    "53" => Self::Refused("the database is out of resources"),
                    _ => Self::Refused("the database refused a statement"),
                }
            }
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(match failure {
            Failure::Collided => "too many collisions in the database",
            Failure::Refused(why) => why,
            Failure::ReadOnly => "the database takes no writes",
            Failure::NotSent => AWAY,
            Failure::Lost => "the connection to the database broke",
        })
    }
}

/// A statement took too long.
pub(crate) const SLOW: &str = "the database was too slow";
/// No connection could be had in time.
pub(crate) const AWAY: &str = "no connection to the database";
