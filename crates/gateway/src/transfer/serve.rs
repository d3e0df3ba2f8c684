//! An import or export that another process has asked for at the control socket.

use std::{io, sync::Arc};

use gateway_core::UserStore;
use tokio::{
    io::BufReader,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    Failure, export, intake,
    lines::Chunk,
    socket::{Said, receive_chunk},
    store_name,
};
use crate::service::Gateway;

/// What another process may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// Users of its chunks are made.
    Import,
    /// It is given all users.
    Export,
}

impl Asked {
    /// The line that asks for it, without its end.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
        }
    }

    /// The inverse of [`Asked::as_str`].
    pub(crate) fn parse(line: &str) -> Option<Self> {
        [Self::Import, Self::Export].into_iter().find(|asked| asked.as_str() == line)
    }

    /// Does it, unless the client goes away or the process is to end.
    pub(crate) async fn obey<S: UserStore>(
        self,
        client: UnixStream,
        gateway: Arc<Gateway<S>>,
        stopped: watch::Receiver<bool>,
    ) {
        let kind = self.as_str();
        let (from, mut to) = client.into_split();
        let done = match self {
            Self::Import => import(from, &mut to, gateway, stopped).await,
            Self::Export => export(&mut to, gateway, stopped).await,
        };
        match &done {
            Ok(()) => tracing::info!(kind, "asked for at the control socket, and done"),
            Err(failure) => tracing::warn!(kind, %failure, "asked for at the control socket, and failed"),
        }
        // A client that went away needs no answer.
        done.map_or_else(Said::Failed, |()| Said::Done).send(&mut to).await.ok();
    }
}

async fn import<S: UserStore>(
    from: OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    gateway: Arc<Gateway<S>>,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    Said::Ready(store_name(gateway.store())).send(to).await.map_err(|error| gone(&error))?;
    let ((chunks_in, chunks), (verdicts_in, mut verdicts)) = (mpsc::channel(1), mpsc::channel(1));
    let receiving = tokio::spawn(receive(BufReader::new(from), chunks_in, stopped));
    let importing = intake::import(gateway, intake::BESIDE_REQUESTS, chunks, verdicts_in);
    let importing = tokio::spawn(importing);
    let mut sent = Ok(());
    while let Some(verdict) = verdicts.recv().await {
        sent = Said::Verdict(verdict).send(to).await;
        if sent.is_err() {
            break;
        }
    }
    drop(verdicts);
    ended(importing).await?;
    sent.map_err(|error| gone(&error))?;
    ended(receiving).await
}

/// Receives chunks until there are no more.
async fn receive(
    mut from: BufReader<OwnedReadHalf>,
    chunks: mpsc::Sender<Chunk>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    loop {
        let received = tokio::select! {
            received = receive_chunk(&mut from) => received.map_err(|error| gone(&error))?,
            _ = stopped.wait_for(|stopped| *stopped) => return Err(stops()),
        };
        let Some(chunk) = received else { return Ok(()) };
        if chunks.send(chunk).await.is_err() {
            // Whoever takes them has failed, and says so.
            return Ok(());
        }
    }
}

async fn export<S: UserStore>(
    to: &mut OwnedWriteHalf,
    gateway: Arc<Gateway<S>>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let (lines_in, mut lines) = mpsc::channel(1);
    let exporting = tokio::spawn(export::export(gateway, lines_in));
    while let Some(lines) = lines.recv().await {
        let said = Said::Lines(lines);
        tokio::select! {
            sent = said.send(to) => sent.map_err(|error| gone(&error))?,
            _ = stopped.wait_for(|stopped| *stopped) => return Err(stops()),
        }
    }
    ended(exporting).await
}

async fn ended(task: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    task.await.map_err(|fallen| Failure::fallen(&fallen))?
}

fn gone(error: &io::Error) -> Failure {
    Failure::new(format!("the other side: {error}"))
}

fn stops() -> Failure {
    Failure::new("the process that has the store open is about to end")
}
