//! The report of an import: the number of each line that was refused, and why.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::state::private;
use crate::cli::printer;

/// Where lines that were refused are reported.
pub(super) enum Report {
    /// In a file, which is made with the first of them.
    File {
        /// Its name.
        path: PathBuf,
        /// Open once it is made.
        file: Option<File>,
        /// Its bytes.
        bytes: u64,
    },
    /// On stderr.
    Stderr,
}

impl Report {
    /// In a file that goes on after so many bytes; without any, an old one goes.
    pub(super) fn open(path: PathBuf, bytes: u64) -> io::Result<Self> {
        let file = match bytes {
            0 => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => None,
            },
            _ => {
                let file = OpenOptions::new().append(true).open(&path)?;
                file.set_len(bytes)?;
                Some(file)
            }
        };
        Ok(Self::File { path, file, bytes })
    }

    /// Adds lines.
    pub(super) fn add(&mut self, text: &str) -> io::Result<()> {
        match self {
            _ if text.is_empty() => Ok(()),
            Self::Stderr => {
                printer::err(text.trim_end());
                Ok(())
            }
            Self::File { path, file, bytes } => {
                let file = match file {
                    Some(file) => file,
                    None => file.insert(private(path)?),
                };
                *bytes += text.len() as u64;
                file.write_all(text.as_bytes())
            }
        }
    }

    /// Where to look.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Stderr => None,
        }
    }

    /// Makes what was added durable; says how many bytes there are.
    pub(super) fn sync(&self) -> io::Result<u64> {
        match self {
            Self::File { file: Some(file), bytes, .. } => file.sync_data().map(|()| *bytes),
            Self::File { .. } | Self::Stderr => Ok(0),
        }
    }
}
