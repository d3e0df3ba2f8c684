//! `users.created`: proof that a store was created here, and the inventory of what it must hold.
//!
//! Written when creation is complete, and replaced as a whole whenever a keyspace comes or goes. An
//! engine that finds a file missing would open without its data; a marker makes that a refusal.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use crate::{
    codec::{Reader, Writer},
    error::OpenFault,
    seal::Sealer,
};

/// The file's name.
pub(crate) const NAME: &str = "users.created";
pub(crate) const NEW: &str = "users.created.tmp";
pub(crate) const MAGIC: &[u8; 8] = b"ILSTORE\n";
/// Of releases that kept no rows behind lists but for those of namespaces.
const UNLISTED: u8 = 1;
const FORMAT: u8 = 2;
const CHECK: (&str, &[u8], &[u8]) = ("meta", b"check", b"interlingua");

/// A keyspace of the inventory: its folder in the engine's directory, and its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Space {
    pub(crate) folder: String,
    pub(crate) name: String,
}

/// Whether each user has its rows in the index behind lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lists {
    /// An older release wrote the store, and may write it again.
    Absent,
    /// They are being made; no older release takes the store any more.
    Begun,
    /// Each has.
    Whole,
}

/// The contents of the file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) store: [u8; 16],
    pub(crate) checksum_key: [u8; 32],
    pub(crate) encrypted: bool,
    /// A record sealed at creation: opens only under the key that the store was created with.
    check: Vec<u8>,
    pub(crate) spaces: Vec<Space>,
    pub(crate) lists: Lists,
}

impl Marker {
    /// A marker for a new store.
    pub(crate) fn new(
        store: [u8; 16],
        checksum_key: [u8; 32],
        encryption_key: Option<&[u8; 32]>,
    ) -> Result<Self, OpenFault> {
        let sealer = Sealer::new(store, &checksum_key, encryption_key);
        let check = sealer.seal(CHECK.0, CHECK.1, CHECK.2).map_err(OpenFault::Store)?;
        let (encrypted, spaces) = (encryption_key.is_some(), Vec::new());
        Ok(Self { store, checksum_key, encrypted, check, spaces, lists: Lists::Whole })
    }

    /// A key of the store's own, for what is no secret record: entity tags.
    pub(crate) fn key(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in [&b"entity tags"[..], &self.store, &self.checksum_key] {
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        std::array::from_fn(|at| digest[at])
    }

    /// The sealer of this store, if it was created with this key (or without any).
    pub(crate) fn sealer(&self, encryption_key: Option<&[u8; 32]>) -> Result<Sealer, OpenFault> {
        match (self.encrypted, encryption_key.is_some()) {
            (true, false) => return Err(OpenFault::KeyNeeded),
            (false, true) => return Err(OpenFault::NotEncrypted),
            (true, true) | (false, false) => {}
        }
        let sealer = Sealer::new(self.store, &self.checksum_key, encryption_key);
        let opened = sealer.open(CHECK.0, CHECK.1, &self.check).is_some_and(|plain| *plain == *CHECK.2);
        match (opened, self.encrypted) {
            (true, _) => Ok(sealer),
            (false, true) => Err(OpenFault::KeyWrong),
            (false, false) => Err(OpenFault::Damaged(NAME)),
        }
    }

    /// Reads the marker of a directory; `None` where there is none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, OpenFault> {
        match fs::read(dir.join(NAME)) {
            Ok(bytes) => decode(&bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenFault::Io(error)),
        }
    }

    /// Replaces the marker of a directory, at once and durably.
    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join(NEW);
        let mut file = private(&new)?;
        file.write_all(&self.encode())?;
        file.sync_all()?;
        fs::rename(&new, dir.join(NAME))?;
        sync_dir(dir)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(MAGIC);
        match self.lists {
            Lists::Absent => out.u8(UNLISTED),
            Lists::Begun | Lists::Whole => {
                out.u8(FORMAT);
                out.u8(u8::from(self.lists == Lists::Whole));
            }
        }
        out.bytes(&self.store);
        out.bytes(&self.checksum_key);
        out.u8(u8::from(self.encrypted));
        out.blob(&self.check);
        out.number(self.spaces.len() as u64);
        for space in &self.spaces {
            out.blob(space.folder.as_bytes());
            out.blob(space.name.as_bytes());
        }
        let crc = crc32fast::hash(&out.0);
        out.bytes(&crc.to_be_bytes());
        out.0
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Marker, OpenFault> {
    let damaged = || OpenFault::Damaged(NAME);
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32fast::hash(body) != u32::from_be_bytes(*crc) || !body.starts_with(MAGIC) {
        return Err(damaged());
    }
    let mut input = Reader(&body[MAGIC.len()..]);
    let lists = match input.u8().ok_or_else(damaged)? {
        UNLISTED => Lists::Absent,
        FORMAT if input.flag().ok_or_else(damaged)? => Lists::Whole,
        FORMAT => Lists::Begun,
        format => return Err(OpenFault::Format(format)),
    };
    fields(&mut input, lists).ok_or_else(damaged)
}

fn fields(input: &mut Reader<'_>, lists: Lists) -> Option<Marker> {
    let marker = Marker {
        store: input.array()?,
        checksum_key: input.array()?,
        encrypted: input.flag()?,
        check: input.blob()?.to_vec(),
        spaces: input
            .list(|input| Some(Space { folder: input.text()?.to_owned(), name: input.text()?.to_owned() }))?,
        lists,
    };
    input.end()?;
    Some(marker)
}

/// A new, empty file that only its owner may read; an old one of that name goes.
pub(crate) fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
