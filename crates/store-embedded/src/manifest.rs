//! The engine's manifests, checked before the engine reads them.
//!
//! A keyspace's `current` names its manifest and holds the checksum of it. The engine writes the
//! checksum and never looks at it, although the manifest says which tables there are: those that it
//! does not name are deleted.

use std::{fs, path::Path};

use xxhash_rust::xxh3::xxh3_128;

use crate::{codec::Reader, engine::DATABASE, error::OpenFault};

/// Names the manifest of a keyspace.
pub(crate) const CURRENT: &str = "current";
/// The folder of the keyspaces.
pub(crate) const KEYSPACES: &str = "keyspaces";
/// The tag of the checksum in use.
const XXH3: u8 = 0;

/// Compares every manifest that is in use with its checksum.
pub(crate) fn check(database: &Path) -> Result<(), OpenFault> {
    for entry in fs::read_dir(database.join(KEYSPACES))? {
        let folder = entry?.path();
        if !folder.join(CURRENT).try_exists()? {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let damaged = |file: &str| OpenFault::FileDamaged(format!("{DATABASE}/{KEYSPACES}/{name}/{file}"));
        let current = fs::read(folder.join(CURRENT))?;
        let (version, checksum) = decode(&current).ok_or_else(|| damaged(CURRENT))?;
        let file = format!("v{version}");
        match fs::read(folder.join(&file)) {
            Ok(manifest) if xxh3_128(&manifest) == checksum => {}
            Ok(_) => return Err(damaged(&file)),
            Err(_) => return Err(damaged(CURRENT)),
        }
    }
    Ok(())
}

/// The number of the manifest, and its checksum.
fn decode(current: &[u8]) -> Option<(u64, u128)> {
    let mut input = Reader(current);
    let found = (u64::from_le_bytes(input.array()?), u128::from_le_bytes(input.array()?));
    let is_known = input.u8()? == XXH3;
    input.end()?;
    is_known.then_some(found)
}
