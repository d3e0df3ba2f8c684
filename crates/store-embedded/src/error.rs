//! Why a store did not open: one sentence for the operator.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use gateway_core::StoreError;

use crate::mark;

const MARK_ADVICE: &str = "without it nobody can tell whether acknowledged data is missing; restore the \
                           directory from a backup, or accept what is there: interlingua verify --repair-mark";

/// Why the store in a directory did not open. Nothing in it was changed, but for leftovers of an
/// interrupted creation.
#[derive(Debug)]
pub struct OpenError {
    /// The data directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: OpenFault,
}

/// What is wrong with a data directory.
#[derive(Debug)]
pub enum OpenFault {
    /// Another process has it open.
    Locked,
    /// It holds files, none of them ours.
    Foreign,
    /// There is data, but `users.created` is gone.
    MarkerLost,
    /// A file of ours is gone.
    Missing(String),
    /// A keyspace of the inventory is gone.
    KeyspaceLost(String),
    /// A file of ours is damaged.
    Damaged(&'static str),
    /// A file of the engine is damaged.
    FileDamaged(String),
    /// A file belongs to another store.
    OtherStore(&'static str),
    /// A file stands where the engine would stumble over it.
    Stray(String),
    /// Written by a later release.
    Format(u8),
    /// The engine ends before the last acknowledged batch.
    AcknowledgedLost {
        /// The last acknowledged batch.
        acked: u64,
        /// The last one found.
        found: u64,
    },
    /// A journal is damaged where no crash can have left it so.
    JournalDamaged {
        /// The file.
        name: String,
        /// How many bytes of it are whole.
        at: u64,
    },
    /// The engine read other batches than there are in its journals.
    JournalMisread {
        /// The last batch of the journals.
        last: u64,
        /// The last one that the engine found.
        found: u64,
    },
    /// A restore into it was not finished.
    RestoreCutShort,
    /// It is encrypted, and no key was given.
    KeyNeeded,
    /// It is not encrypted, and a key was given.
    NotEncrypted,
    /// It is encrypted with another key.
    KeyWrong,
    /// A record could not be sealed or opened.
    Store(StoreError),
    /// The file system.
    Io(io::Error),
    /// The engine.
    Engine(fjall::Error),
    /// The engine gave up on what it found in its files.
    EnginePanic,
}

impl OpenFault {
    pub(crate) fn at(self, path: &Path) -> OpenError {
        OpenError { path: path.to_owned(), fault: self }
    }
}

impl From<io::Error> for OpenFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<fjall::Error> for OpenFault {
    fn from(error: fjall::Error) -> Self {
        Self::Engine(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data directory {}: {}", self.path.display(), self.fault)
    }
}

impl fmt::Display for OpenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenFault::Locked => f.write_str("another process has it open"),
            OpenFault::Foreign => {
                f.write_str("it holds files that are not ours; give an empty or a new directory")
            }
            OpenFault::MarkerLost => {
                f.write_str("users.created is missing but there is data; restore the directory from a backup")
            }
            OpenFault::Missing(name) if name == mark::NAME => write!(f, "{name} is missing; {MARK_ADVICE}"),
            OpenFault::Damaged(name) if *name == mark::NAME => write!(f, "{name} is damaged; {MARK_ADVICE}"),
            OpenFault::Missing(name) => write!(f, "{name} is missing; restore the directory from a backup"),
            OpenFault::KeyspaceLost(name) => {
                write!(f, "the data of keyspace {name} is missing; restore the directory from a backup")
            }
            OpenFault::Damaged(name) => write!(f, "{name} is damaged; restore the directory from a backup"),
            OpenFault::FileDamaged(name) => {
                write!(f, "{name} is damaged; restore the directory from a backup")
            }
            OpenFault::OtherStore(name) => write!(f, "{name} belongs to another store"),
            OpenFault::Stray(name) => write!(f, "{name} does not belong there; move it away"),
            OpenFault::Format(format) => write!(f, "written by a later release (format {format})"),
            OpenFault::AcknowledgedLost { acked, found } => write!(
                f,
                "acknowledged data is missing: the last acknowledged batch is {acked}, the last one found is \
                 {found}; restore the directory from a backup"
            ),
            OpenFault::JournalDamaged { name, at } => write!(
                f,
                "{name} is damaged behind its byte {at}; nothing was changed; restore the directory from a backup"
            ),
            OpenFault::JournalMisread { last, found } => write!(
                f,
                "the last batch of the journals is {last}, but the engine found {found}; restore the directory \
                 from a backup"
            ),
            OpenFault::RestoreCutShort => f.write_str("a restore into it was cut short; run it again"),
            OpenFault::KeyNeeded => f.write_str("it is encrypted; configure its encryption key"),
            OpenFault::NotEncrypted => {
                f.write_str("it is not encrypted; remove the encryption key from the configuration")
            }
            OpenFault::KeyWrong => f.write_str("it is encrypted with another encryption key"),
            OpenFault::Store(error) => error.fmt(f),
            OpenFault::Io(error) => error.fmt(f),
            OpenFault::Engine(error) => write!(f, "the engine cannot open it: {error}"),
            OpenFault::EnginePanic => f.write_str("the engine cannot open it: its files are damaged"),
        }
    }
}

impl std::error::Error for OpenError {}
