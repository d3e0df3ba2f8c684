//! The files that a configuration was read from, as they were then: when one differs, it is read again.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What files were like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// What tells one content from another without reading it: another file, or one that was written to
/// or whose mode was changed. Symbolic links are followed, so a link that is turned is a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Files {
    /// Notes a file that is about to be read: what is written after this is a change.
    pub(super) fn note(&mut self, path: &Path) {
        if self.0.iter().all(|(known, _)| known != path) {
            self.0.push((path.to_owned(), Stamp::of(path)));
        }
    }

    /// The same files as they are now.
    #[must_use]
    pub fn now(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), Stamp::of(path))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("file"), "same").unwrap();
        }
        std::os::unix::fs::symlink("a", path("data")).unwrap();
        let mut files = Files::default();
        files.note(&path("data/file"));
        files.note(&path("absent"));
        assert_eq!(files.now(), files);
        // As Kubernetes does it: the link is turned, the content's length and time may be the same.
        std::os::unix::fs::symlink("b", path("new")).unwrap();
        fs::rename(path("new"), path("data")).unwrap();
        let turned = files.now();
        assert_ne!(turned, files);
        fs::write(path("b/file"), "longer").unwrap();
        let longer = turned.now();
        assert_ne!(longer, turned);
        fs::write(path("absent"), "").unwrap();
        assert_ne!(longer.now(), longer);
    }
}
