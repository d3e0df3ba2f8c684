//! The input of an import: a file, from where the last run ended, or stdin.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    path::Path,
    thread,
};

use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::state::State;
use crate::transfer::lines::{Chunk, Cutter, Edge, Mark};

/// What is read at once.
const PIECE: usize = 256 << 10;

/// An open input.
pub(super) struct Input {
    from: Box<dyn Read + Send>,
    cutter: Cutter,
    /// Its bytes, where that is known.
    pub(super) size: Option<u64>,
    /// The state that it goes on from.
    pub(super) state: Option<State>,
}

impl Input {
    /// Stdin, from its beginning.
    pub(super) fn stdin(longest: usize) -> Self {
        Self { from: Box::new(io::stdin()), cutter: Cutter::new(longest), size: None, state: None }
    }

    /// A file, from the place of a state if it is still the same up to there.
    pub(super) fn open(path: &Path, state: Option<State>, longest: usize) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Ok(Self { from: Box::new(file), ..Self::stdin(longest) });
        }
        let size = Some(about.len());
        if let Some(state) = state {
            let hasher = hash(&mut file, state.bytes)?;
            let digest: [u8; 32] = hasher.clone().finalize().into();
            if faster_hex::hex_string(&digest) == state.sha256 {
                let mark = Mark { bytes: state.bytes, lines: state.lines, digest };
                let cutter = Cutter::after(&mark, hasher, longest);
                return Ok(Self { from: Box::new(file), cutter, size, state: Some(state) });
            }
            file.rewind()?;
        }
        Ok(Self { from: Box::new(file), cutter: Cutter::new(longest), size, state: None })
    }

    /// Reads it on a thread of its own, which may wait for whoever writes to a pipe; says at the end
    /// whether it came to the end.
    pub(super) fn start(
        self,
        chunks: mpsc::Sender<(Chunk, Edge)>,
    ) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let (ended_in, ended) = oneshot::channel();
        thread::Builder::new().name("import-reader".to_owned()).spawn(move || {
            // Where nobody waits for it, the import has ended already.
            ended_in.send(read(self.from, self.cutter, &chunks)).ok();
        })?;
        Ok(ended)
    }
}

/// The first so many bytes of a file, hashed.
fn hash(file: &mut File, bytes: u64) -> io::Result<Sha256> {
    let (mut hasher, mut piece, mut from) = (Sha256::new(), vec![0; PIECE], file.take(bytes));
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hasher),
            count => hasher.update(&piece[..count]),
        }
    }
}

fn read(
    mut from: Box<dyn Read + Send>,
    mut cutter: Cutter,
    chunks: &mpsc::Sender<(Chunk, Edge)>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut is_wanted = true;
    while is_wanted {
        let count = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        cutter.push(&piece[..count], |chunk, edge| {
            is_wanted = is_wanted && chunks.blocking_send((chunk, edge)).is_ok();
        });
    }
    if let Some(last) = cutter.finish().filter(|_| is_wanted) {
        // As above.
        chunks.blocking_send(last).ok();
    }
    Ok(())
}
