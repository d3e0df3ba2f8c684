//! One flipped bit or one cut anywhere in a data directory: refused, reported, or without effect;
//! never acknowledged data silently missing, old or wrong.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use super::*;
use crate::{
    engine::{DATABASE, Stamp},
    journal::{self, Numbers},
    marker::Marker,
    seal::Sealer,
};

/// A closed store with tables, blobs and two journals, and what it must say.
struct Sample {
    bench: Bench,
    users: Vec<Arc<User>>,
    guards: Vec<Guard>,
}

/// What became of a damaged copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fate {
    Refused,
    Reported,
    NoEffect,
}

impl Sample {
    /// The engine flushes in the background what a sealed journal holds, and then removes it: such a
    /// sample is made again.
    async fn new() -> Self {
        loop {
            let sample = Self::make().await;
            if [0, 1].iter().all(|id| sample.bench.path().join(format!("users/{id}.jnl")).exists()) {
                return sample;
            }
        }
    }

    async fn make() -> Self {
        let bench = Bench::new();
        let mut sample = Self { users: Vec::new(), guards: Vec::new(), bench };
        // The engine sets 64 MiB of zeros aside for its first journal; reopening gives them back.
        drop(sample.bench.open());
        sample.write(0..3, true).await;
        sample.write(3..6, false).await;
        sample.update(0).await;
        sample.split_journal();
        sample.write(6..9, false).await;
        sample.update(1).await;
        sample
    }

    async fn write(&mut self, numbers: std::ops::Range<u64>, flushed: bool) {
        let store = self.bench.open();
        for number in numbers {
            let user = with(&user(number), Attr::Occupation, &"surveyor ".repeat(70));
            let guard = self.bench.guard(u8::try_from(number).unwrap() + 1, Some(user.id));
            let mut commit = self.bench.create(&user);
            commit.guards.push(guard.clone());
            done(&store, commit).await;
            self.users.push(user);
            self.guards.push(guard);
        }
        if flushed {
            store.shared.engine.flush();
        }
    }

    async fn update(&mut self, at: usize) {
        let store = self.bench.open();
        let after = with(&self.users[at], Attr::City, "Timbuktu");
        done(&store, self.bench.update(&self.users[at], &after)).await;
        self.users[at] = after;
    }

    /// Makes two journals of one, as the engine does when the first is full.
    fn split_journal(&self) {
        let path = |id| self.bench.path().join(format!("users/{id}.jnl"));
        let bytes = fs::read(path(0)).unwrap();
        let first: usize = batches(&self.bench, &bytes)[..4].iter().map(|batch| batch.len).sum();
        fs::write(path(0), &bytes[..first]).unwrap();
        fs::write(path(1), &bytes[first..]).unwrap();
    }

    fn copy(&self) -> Bench {
        let copied = Bench::new();
        copy(self.bench.path(), copied.path());
        copied
    }

    /// What a store says of everything that was acknowledged.
    async fn fate(&self, damaged: &Bench) -> Fate {
        let opened =
            catch_unwind(AssertUnwindSafe(|| EmbeddedStore::open(damaged.path(), damaged.options())));
        let Ok(Ok(store)) = opened else {
            return Fate::Refused;
        };
        let mut fate = Fate::NoEffect;
        for user in &self.users {
            match (store.user(user.id).await, store.find(&UniqueKey::Link(user.links[0].clone())).await) {
                (Ok(read), Ok(found)) => {
                    assert_eq!(read.as_ref(), Some(user), "silently wrong");
                    assert_eq!(found.as_ref(), Some(user), "silently wrong");
                }
                _ => fate = Fate::Reported,
            }
        }
        for guard in &self.guards {
            match store.ledger(guard.key, damaged.now()).await {
                Ok(read) => assert_eq!(read.as_ref(), Some(&guard.record), "silently wrong"),
                Err(_) => fate = Fate::Reported,
            }
        }
        match store.scrub() {
            Ok(crate::Scrubbed { damaged: 0, .. }) => fate,
            _ => Fate::Reported,
        }
    }
}

fn sealer(bench: &Bench) -> (Sealer, u64) {
    let marker = Marker::read(bench.path()).unwrap().unwrap();
    let meta = marker.spaces.iter().find(|space| space.name == "meta").unwrap();
    (marker.sealer(None).unwrap(), meta.folder.parse().unwrap())
}

fn batches(bench: &Bench, bytes: &[u8]) -> Vec<journal::Batch> {
    let (sealer, meta) = sealer(bench);
    let numbers = Numbers { sealer: &sealer, meta };
    let mut at = 0;
    let next = || {
        let batch = journal::read(&bytes[at..], &numbers)?;
        at += batch.len;
        Some(batch)
    };
    std::iter::from_fn(next).collect()
}

/// Every regular file of a directory, by its path in it.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_journals_hold_what_they_are_believed_to_hold() {
    let sample = Sample::new().await;
    let mut seqs = Vec::new();
    for id in [0, 1] {
        let bytes = fs::read(sample.bench.path().join(format!("users/{id}.jnl"))).unwrap();
        let found = batches(&sample.bench, &bytes);
        assert_eq!(found.iter().map(|batch| batch.len).sum::<usize>(), bytes.len());
        for batch in found {
            let Stamp { seq, floor } = batch.stamp;
            assert_eq!(batch.seqno, floor, "nothing else took a number meanwhile");
            seqs.push(seq);
        }
    }
    assert_eq!(seqs, (1..=11).collect::<Vec<_>>());
    assert_eq!(sample.fate(&sample.copy()).await, Fate::NoEffect);
}

#[tokio::test]
async fn every_byte_of_the_journals_counts() {
    let sample = Sample::new().await;
    let (copied, (sealer, meta)) = (sample.copy(), sealer(&sample.bench));
    let numbers = Numbers { sealer: &sealer, meta };
    let database = copied.path().join(DATABASE);
    let (mut refused, mut opened) = (0, 0);
    for id in [0, 1] {
        let path = database.join(format!("{id}.jnl"));
        let whole = fs::read(&path).unwrap();
        let mut heads = batches(&sample.bench, &whole);
        heads.iter_mut().fold(0, |at, batch| at + std::mem::replace(&mut batch.len, at));
        for at in 0..whole.len() {
            // Every bit of a head, and one of every other byte.
            let is_head = heads.iter().any(|head| (head.len..head.len + 48).contains(&at));
            for bit in if is_head { 0..8 } else { at % 8..at % 8 + 1 } {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                fs::write(&path, &bytes).unwrap();
                if journal::check(&database, &numbers, 11).is_err() {
                    refused += 1;
                } else {
                    let fate = sample.fate(&sample_with(&copied)).await;
                    assert_eq!(fate, Fate::NoEffect, "journal {id}, byte {at}, bit {bit}");
                    opened += 1;
                }
            }
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(refused > 5_000, "{refused} refused");
    // The last batch's engine number is free to grow, and the kind of an item is its own checksum's.
    assert!(opened < 200, "{opened} opened");
}

fn sample_with(copied: &Bench) -> Bench {
    let again = Bench::new();
    copy(copied.path(), again.path());
    again
}

#[tokio::test]
async fn a_refused_journal_is_left_as_it_is() {
    let sample = Sample::new().await;
    for (id, at) in [(0, 0), (0, 5), (0, 13), (1, 0), (1, 6)] {
        let copied = sample.copy();
        let path = copied.path().join(format!("users/{id}.jnl"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let before: Vec<_> = files(copied.path()).into_iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(matches!(copied.refused(), OpenFault::JournalDamaged { .. }), "journal {id}, byte {at}");
        let after: Vec<_> = files(copied.path()).into_iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(before == after, "journal {id}, byte {at}");
    }
}

#[tokio::test]
async fn a_journal_in_the_middle_is_missed() {
    let sample = Sample::new().await;
    let copied = sample.copy();
    fs::rename(copied.path().join("users/1.jnl"), copied.path().join("users/2.jnl")).unwrap();
    assert!(matches!(copied.refused(), OpenFault::Missing(name) if name == "users/1.jnl"));
}

#[tokio::test]
async fn every_cut_through_the_journals_is_noticed_or_without_effect() {
    let sample = Sample::new().await;
    for id in [0, 1] {
        let len = fs::metadata(sample.bench.path().join(format!("users/{id}.jnl"))).unwrap().len();
        for cut in (0..len).step_by(397) {
            let copied = sample.copy();
            let file = fs::File::options().write(true).open(copied.path().join(format!("users/{id}.jnl")));
            file.unwrap().set_len(cut).unwrap();
            assert_eq!(sample.fate(&copied).await, Fate::Refused, "journal {id} cut at {cut}");
        }
    }
}

/// What a crash leaves of a batch that was never acknowledged goes, and nothing else does.
#[tokio::test]
async fn a_torn_tail_is_cut_off() {
    let sample = Sample::new().await;
    let path = sample.bench.path().join("users/1.jnl");
    let whole = fs::read(&path).unwrap();
    // The next batch, from a copy that went on.
    let ahead = sample.copy();
    let store = ahead.open();
    done(&store, ahead.create(&with(&user(99), Attr::Occupation, &"drover ".repeat(300)))).await;
    drop(store);
    let next = fs::read(ahead.path().join("users/1.jnl")).unwrap()[whole.len()..].to_vec();
    let mut torn: Vec<Vec<u8>> = (1..next.len()).step_by(61).map(|len| next[..len].to_vec()).collect();
    let mut holed = next.clone();
    let first_sector = whole.len().next_multiple_of(512) - whole.len();
    holed[first_sector..first_sector + 512].fill(0);
    torn.push(holed);
    torn.push([&next[..20], &[0; 4096]].concat());
    for tail in torn {
        let copied = sample.copy();
        fs::write(copied.path().join("users/1.jnl"), [&whole[..], &tail].concat()).unwrap();
        assert_eq!(sample.fate(&copied).await, Fate::NoEffect, "{} bytes", tail.len());
    }
    // Written to its end and yet not whole, or with a batch behind it: no crash does that.
    let mut flipped = next.clone();
    flipped[3] ^= 1;
    for tail in [flipped.clone(), [&flipped[..], &next].concat()] {
        let copied = sample.copy();
        fs::write(copied.path().join("users/1.jnl"), [&whole[..], &tail].concat()).unwrap();
        assert!(matches!(copied.refused(), OpenFault::JournalDamaged { .. }));
    }
}

/// Every small file wholly, large ones in steps.
#[tokio::test]
async fn no_damage_to_any_file_is_silent() {
    let sample = Sample::new().await;
    let mut fates = std::collections::BTreeMap::new();
    for file in files(sample.bench.path()) {
        let name = file.strip_prefix(sample.bench.path()).unwrap();
        let bytes = fs::read(&file).unwrap();
        if bytes.is_empty() || name.extension().is_some_and(|end| end == "jnl") {
            continue;
        }
        let steps = (bytes.len() / 24).max(1);
        for at in (0..bytes.len()).step_by(steps) {
            let copied = sample.copy();
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(copied.path().join(name), flipped).unwrap();
            let fate = sample.fate(&copied).await;
            *fates.entry((fate, "flip")).or_insert(0) += 1;
        }
        for len in [0, bytes.len() / 2, bytes.len() - 1] {
            let copied = sample.copy();
            fs::write(copied.path().join(name), &bytes[..len]).unwrap();
            let fate = sample.fate(&copied).await;
            *fates.entry((fate, "cut")).or_insert(0) += 1;
        }
    }
    assert!(fates[&(Fate::Refused, "flip")] > 300 && fates[&(Fate::Refused, "cut")] > 20, "{fates:?}");
}

#[tokio::test]
async fn every_byte_of_every_manifest_in_use_counts() {
    let sample = Sample::new().await;
    let copied = sample.copy();
    let database = copied.path().join(DATABASE);
    for current in files(&database.join("keyspaces")).into_iter().filter(|path| path.ends_with("current")) {
        let version = u64::from_le_bytes(fs::read(&current).unwrap()[..8].try_into().unwrap());
        for path in [current.with_file_name(format!("v{version}")), current] {
            let whole = fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << (at % 8);
                fs::write(&path, bytes).unwrap();
                assert!(crate::manifest::check(&database).is_err(), "{}, byte {at}", path.display());
            }
            fs::write(&path, whole).unwrap();
        }
    }
    assert!(crate::manifest::check(&database).is_ok());
}
