//! Chunks of lines into a store: read side by side, committed in order, answered in order.

use std::sync::Arc;

use gateway_core::{Timestamp, UserId, UserStore};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use uuid::Builder;

use super::{
    Failure,
    form::{self, Given},
    lines::Chunk,
    settle::{Begun, Settled},
    verdict::{Refusal, Verdict},
};
use crate::{clock::Clock, service::Gateway};

/// Chunks that are read at once, or are read and wait for the store.
const AHEAD: usize = 4;
/// Commits in flight beside requests: fewer than those from which on a store sheds.
pub const BESIDE_REQUESTS: usize = 256;
/// Commits in flight where there are no requests: several syncs' worth.
pub const ALONE: usize = 2048;

/// A chunk, read.
struct Read {
    now: Timestamp,
    fit: Vec<(u64, Given)>,
    refused: Vec<Refusal>,
}

/// A chunk that the store has.
struct Staged<S> {
    begun: Vec<(u64, Begun<S>)>,
    refused: Vec<Refusal>,
}

/// Makes the users of chunks, with so many commits in flight; says what came of each chunk, in their
/// order, once that is durable.
///
/// # Errors
/// When the store fails. Chunks without a verdict may be written in part.
pub async fn import<S: UserStore>(
    gateway: Arc<Gateway<S>>,
    in_flight: usize,
    chunks: mpsc::Receiver<Chunk>,
    verdicts: mpsc::Sender<Verdict>,
) -> Result<(), Failure> {
    let reads = read_all(gateway.store.key(), gateway.clock(), chunks);
    let (staged_in, mut staged) = mpsc::channel(AHEAD);
    let staging = tokio::spawn(stage_all(gateway, in_flight, reads, staged_in));
    while let Some(chunk) = staged.recv().await {
        if verdicts.send(chunk.settle().await?).await.is_err() {
            break;
        }
    }
    drop(staged);
    staging.await.map_err(|fallen| Failure::fallen(&fallen))?
}

/// Says of each chunk which users could be made, as far as the lines alone can tell.
///
/// # Errors
/// When a part of the work falls.
pub async fn rehearse(
    clock: Clock,
    chunks: mpsc::Receiver<Chunk>,
    verdicts: mpsc::Sender<Verdict>,
) -> Result<(), Failure> {
    let mut reads = read_all([0; 16], clock, chunks);
    while let Some(read) = reads.recv().await {
        let Read { fit, refused, .. } = read.await.map_err(|fallen| Failure::fallen(&fallen))?;
        let verdict = Verdict { created: fit.len() as u64, there: 0, refused };
        if verdicts.send(verdict).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads chunks on threads for blocking work: requests are served meanwhile.
fn read_all(
    key: [u8; 16],
    clock: Clock,
    mut chunks: mpsc::Receiver<Chunk>,
) -> mpsc::Receiver<JoinHandle<Read>> {
    let (reads_in, reads) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        while let Some(chunk) = chunks.recv().await {
            let now = clock();
            let read = tokio::task::spawn_blocking(move || Read::of(&chunk, key, now));
            if reads_in.send(read).await.is_err() {
                break;
            }
        }
    });
    reads
}

async fn stage_all<S: UserStore>(
    gateway: Arc<Gateway<S>>,
    in_flight: usize,
    mut reads: mpsc::Receiver<JoinHandle<Read>>,
    staged: mpsc::Sender<Staged<S>>,
) -> Result<(), Failure> {
    let permits = Arc::new(Semaphore::new(in_flight));
    while let Some(read) = reads.recv().await {
        let Read { now, fit, refused } = read.await.map_err(|fallen| Failure::fallen(&fallen))?;
        let mut begun = Vec::with_capacity(fit.len());
        for (line, given) in fit {
            let permit = Arc::clone(&permits).acquire_owned().await;
            let permit = permit.map_err(|error| Failure::new(error.to_string()))?;
            begun.push((line, Begun::begin(&gateway, given, now, permit).await?));
        }
        if staged.send(Staged { begun, refused }).await.is_err() {
            break;
        }
    }
    Ok(())
}

impl Read {
    fn of(chunk: &Chunk, key: [u8; 16], now: Timestamp) -> Self {
        let mut read = Self { now, fit: Vec::new(), refused: Vec::new() };
        for (line, text) in chunk.lines() {
            match form::read(text, now, || id_of(key, line, text)) {
                Ok(given) => read.fit.push((line, given)),
                Err(errors) => read.refused.push(Refusal { line, errors }),
            }
        }
        read
    }
}

impl<S: UserStore> Staged<S> {
    async fn settle(self) -> Result<Verdict, Failure> {
        let mut verdict = Verdict { refused: self.refused, ..Verdict::default() };
        for (line, begun) in self.begun {
            match begun.settle().await? {
                Settled::Created => verdict.created += 1,
                Settled::There => verdict.there += 1,
                Settled::Refused(flaw) => verdict.refused.push(Refusal { line, errors: vec![flaw] }),
            }
        }
        verdict.refused.sort_by_key(|refusal| refusal.line);
        Ok(verdict)
    }
}

/// The id of a user whose line says none: made of the line and its number, so that the same line of the
/// same input is the same user when it comes again. A UUID of version 8.
fn id_of(key: [u8; 16], line: u64, text: &[u8]) -> UserId {
    let mut hasher = Sha256::new();
    hasher.update(b"import");
    hasher.update(key);
    hasher.update(line.to_be_bytes());
    hasher.update(text.trim_ascii());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize()[..16]);
    UserId::new(Builder::from_custom_bytes(bytes).into_uuid())
}
