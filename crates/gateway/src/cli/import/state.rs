//! How far an import came: a small file beside its input, so that it goes on where it ended.
//!
//! It only saves time. Without it, or where it is not of this input, an import begins anew and finds
//! there what it has made.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::transfer::lines::Mark;

/// What is known of an import that has not ended.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The store that it goes to.
    pub(super) store: String,
    /// The bytes that are read, and durable or refused.
    pub(super) bytes: u64,
    /// Their lines.
    pub(super) lines: u64,
    /// Their SHA-256.
    pub(super) sha256: String,
    /// The users made.
    pub(super) created: u64,
    /// The users that were there.
    pub(super) there: u64,
    /// The lines refused.
    pub(super) refused: u64,
    /// The bytes of their report.
    pub(super) report: u64,
}

impl State {
    /// The state of an import into a store; `None` where there is none that can be read.
    pub(super) fn load(path: &Path, store: &str) -> Option<Self> {
        let state: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (state.store == store).then_some(state)
    }

    /// Replaces the file in one step.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let new = super::beside(path, ".new");
        let mut file = private(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(new, path)
    }

    /// Moves on to a place of the input.
    pub(super) fn advance(&mut self, mark: &Mark) {
        self.bytes = mark.bytes;
        self.lines = mark.lines;
        self.sha256 = faster_hex::hex_string(&mark.digest);
    }
}

/// An empty file that only its owner may read.
pub(in crate::cli) fn private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_for_the_same_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.jsonl.state");
        assert_eq!(State::load(&path, "a"), None);
        let mark = Mark { bytes: 10, lines: 2, digest: [7; 32] };
        let mut state = State { store: "a".into(), created: 1, ..State::default() };
        state.advance(&mark);
        state.save(&path).unwrap();
        let later = State { created: 2, ..state };
        later.save(&path).unwrap();
        assert_eq!(State::load(&path, "b"), None);
        assert_eq!(State::load(&path, "a"), Some(later));
        fs::write(&path, "{}").unwrap();
        assert_eq!(State::load(&path, "a"), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
