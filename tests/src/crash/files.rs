//! The files of a store, and where in them damage is done: bits anywhere, and the headers of the
//! journal's batches.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::rng::Rng;

/// What part of a store is damaged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Part {
    /// What frames the batches of a journal: no checksum of the engine covers all of it.
    Headers,
    /// Anywhere in the written part of a journal.
    Journal,
    /// Tables and blobs.
    Tables,
    /// Manifests, their pointers, and the engine's own marks.
    Manifests,
    /// The marker, the mark, and what else lies beside the engine.
    Beside,
    /// A file cut short.
    Cut,
}

impl Part {
    pub(crate) const ALL: [Self; 6] =
        [Self::Headers, Self::Journal, Self::Tables, Self::Manifests, Self::Beside, Self::Cut];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Headers => "flips: headers of journal batches",
            Self::Journal => "flips: journals",
            Self::Tables => "flips: tables and blobs",
            Self::Manifests => "flips: manifests",
            Self::Beside => "flips: marker and mark",
            Self::Cut => "truncations: all files",
        }
    }
}

/// Every file of a folder that is not empty.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if fs::metadata(&path).unwrap().len() > 0 {
            found.push(path);
        }
    }
    found.sort();
}

fn is_part(part: Part, path: &Path) -> bool {
    let within = |names: &[&str]| path.iter().any(|name| names.iter().any(|wanted| name == *wanted));
    let journal = path.extension().is_some_and(|extension| extension == "jnl");
    match part {
        Part::Headers | Part::Journal => journal,
        Part::Tables => within(&["tables", "blobs"]),
        Part::Manifests => within(&["users"]) && !journal && !within(&["tables", "blobs"]),
        Part::Beside => !within(&["users"]),
        Part::Cut => true,
    }
}

/// Damages one thing in a data directory; says what, or `None` where there is no such part.
pub(crate) fn damage(data: &Path, part: Part, rng: &mut Rng) -> Option<String> {
    let mut all = Vec::new();
    files(data, &mut all);
    all.retain(|path| is_part(part, path.strip_prefix(data).unwrap()));
    let path = rng.pick(&all)?;
    let bytes = fs::read(path).unwrap();
    let journal = is_part(Part::Journal, path).then(|| headers(&bytes));
    // Space is set aside behind what is written: nothing lies there.
    let used = journal.as_ref().map_or(bytes.len() as u64, |(_, used)| *used);
    let name = path.strip_prefix(data).unwrap().display();
    if part == Part::Cut {
        let length = rng.below(used.max(1));
        fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
        return Some(format!("{name} cut to {length} of {used} bytes"));
    }
    let (at, field) = match (part, journal) {
        (Part::Headers, Some((fields, _))) => *rng.pick(&fields)?,
        _ => (rng.below(used.max(1)), "byte"),
    };
    let bit = rng.below(8);
    let file = fs::File::options().write(true).open(path).unwrap();
    let flipped = bytes[usize::try_from(at).unwrap()] ^ (1 << bit);
    file.write_all_at(&[flipped], at).unwrap();
    Some(format!("{name}, {field} at {at} of {used}, bit {bit}"))
}

/// The bytes of a journal that frame its batches, each with its field; and where the last batch ends.
///
/// A batch is `1, count u32, number u64`, then items `2, type u8, compression u8, keyspace u64,
/// key length u16, value length u32, stored length u32, key, value`, then `3, checksum u64, magic`.
fn headers(bytes: &[u8]) -> (Vec<(u64, &'static str)>, u64) {
    const ITEM: [(&str, usize); 7] = [
        ("item.tag", 1),
        ("item.type", 1),
        ("item.compression", 1),
        ("item.keyspace", 8),
        ("item.key length", 2),
        ("item.value length", 4),
        ("item.stored length", 4),
    ];
    let (mut fields, mut at) = (Vec::new(), 0);
    let mut take = |at: &mut usize, names: &[(&'static str, usize)]| {
        for (name, length) in names {
            fields.extend((*at..*at + length).map(|at| (at as u64, *name)));
            *at += length;
        }
    };
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    while let Some(tag) = bytes.get(at) {
        match tag {
            1 => take(&mut at, &[("start.tag", 1), ("start.count", 4), ("start.number", 8)]),
            2 => {
                let (Some(key), Some(value)) = (number(at + 11, 2), number(at + 17, 4)) else { break };
                take(&mut at, &ITEM);
                at += key + value;
            }
            3 => take(&mut at, &[("end.tag", 1), ("end.checksum", 8), ("end.magic", 4)]),
            4 => take(&mut at, &[("clear.tag", 1), ("clear.keyspace", 8)]),
            _ => break,
        }
    }
    (fields, at as u64)
}
