//! The store that users go into or come from: opened here, or by way of the process that has it open.

use std::{io, sync::Arc};

use store_embedded::EmbeddedStore;
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::data::Place;
use crate::{
    backend::{Backend, Standing},
    clock,
    config::{Config, Postgres, StoreConfig},
    control,
    live::Live,
    metrics::Metrics,
    remote::{self, Remote},
    service::Gateway,
    transfer::{
        Failure, export,
        export::Lines,
        intake,
        lines::Chunk,
        serve::Asked,
        socket::{Said, send_chunk},
        store_name,
        verdict::Verdict,
    },
    vault::Vault,
};

/// What is said of users that no store of ours has.
const ELSEWHERE: &str =
    "the users are in another service (`[store.upstream]`): it has its own ways in and out";

/// Where the store is.
pub(super) enum Host {
    /// Nowhere: lines are only read.
    Nowhere,
    /// In this process, behind a gateway that serves no mounts.
    Here(Arc<Gateway<EmbeddedStore>>),
    /// A database, to which this process is one more gateway.
    Database(Arc<Gateway<Remote>>),
    /// In another, at the other end of its control socket.
    There(BufReader<OwnedReadHalf>, OwnedWriteHalf),
}

impl Host {
    /// The process that has the store of a configuration open, or else this one.
    pub(super) async fn find(config: &Config, asked: Asked) -> Result<Self, Failure> {
        let place = match &config.store {
            StoreConfig::Postgres(postgres) => return Self::database(config, postgres).await,
            StoreConfig::Upstream(..) => return Err(Failure::new(ELSEWHERE.to_owned())),
            StoreConfig::Embedded(embedded) => Place::at(embedded.clone()),
        };
        if let Some(client) = control::connect(&place.dir).map_err(|error| running(&error))? {
            let (from, to) = dial(client, asked).await.map_err(|error| running(&error))?;
            return Ok(Self::There(BufReader::new(from), to));
        }
        if asked == Asked::Export && !place.dir.exists() {
            return Err(Failure::new(format!("there is no directory {}", place.dir.display())));
        }
        let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&place.dir, place.options));
        let store = opened.await.map_err(|fallen| Failure::new(fallen.to_string()))?;
        let unopened = |error: store_embedded::OpenError| Failure {
            why: error.to_string(),
            is_damage: error.fault.is_damage(),
        };
        Ok(Self::Here(gateway(store.map_err(unopened)?, config)?))
    }

    async fn database(config: &Config, postgres: &Postgres) -> Result<Self, Failure> {
        let store = Remote::open(remote::options(postgres)).await;
        let store = store.map_err(|error| Failure::new(error.to_string()))?;
        match store.standing() {
            Standing::Ready => Ok(Self::Database(gateway(store, config)?)),
            Standing::Away(why) => Err(Failure::new(why.into_owned())),
            Standing::Fallen => Err(Failure::new("the store was stopped by a fault".to_owned())),
        }
    }

    /// The store's name, and that it is ready for chunks.
    pub(super) async fn ready(&mut self) -> Result<String, Failure> {
        match self {
            Self::Nowhere => Ok(String::new()),
            Self::Here(gateway) => Ok(store_name(gateway.store())),
            Self::Database(gateway) => Ok(store_name(gateway.store())),
            Self::There(from, _) => match hear(from).await? {
                Said::Ready(name) => Ok(name),
                _ => Err(running(&io::ErrorKind::InvalidData.into())),
            },
        }
    }

    /// Makes the users of chunks; says what came of each, in their order.
    pub(super) async fn import(
        self,
        chunks: mpsc::Receiver<Chunk>,
        verdicts: mpsc::Sender<Verdict>,
    ) -> Result<(), Failure> {
        match self {
            Self::Nowhere => intake::rehearse(Arc::new(clock::now), chunks, verdicts).await,
            Self::Here(gateway) => import_here(gateway, chunks, verdicts).await,
            Self::Database(gateway) => import_here(gateway, chunks, verdicts).await,
            Self::There(mut from, to) => {
                let sending = tokio::spawn(send_all(chunks, to));
                loop {
                    match hear(&mut from).await? {
                        Said::Verdict(verdict) => {
                            if verdicts.send(verdict).await.is_err() {
                                // Whoever counts them has failed, and says so.
                                return Ok(());
                            }
                        }
                        Said::Done => break,
                        _ => return Err(running(&io::ErrorKind::InvalidData.into())),
                    }
                }
                let sent = sending.await.map_err(|fallen| Failure::new(fallen.to_string()))?;
                sent.map_err(|error| running(&error))
            }
        }
    }

    /// Gives out all users.
    pub(super) async fn export(self, out: mpsc::Sender<Lines>) -> Result<(), Failure> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Here(gateway) => export_here(gateway, out).await,
            Self::Database(gateway) => export_here(gateway, out).await,
            Self::There(mut from, _to) => loop {
                match hear(&mut from).await? {
                    Said::Lines(lines) => {
                        if out.send(lines).await.is_err() {
                            return Ok(());
                        }
                    }
                    Said::Done => return Ok(()),
                    _ => return Err(running(&io::ErrorKind::InvalidData.into())),
                }
            },
        }
    }
}

async fn dial(
    client: std::os::unix::net::UnixStream,
    asked: Asked,
) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    client.set_nonblocking(true)?;
    let mut client = UnixStream::from_std(client)?;
    client.write_all(format!("{}\n", asked.as_str()).as_bytes()).await?;
    Ok(client.into_split())
}

async fn send_all(mut chunks: mpsc::Receiver<Chunk>, mut to: OwnedWriteHalf) -> io::Result<()> {
    while let Some(chunk) = chunks.recv().await {
        send_chunk(Some(&chunk), &mut to).await?;
    }
    send_chunk(None, &mut to).await
}

/// What the running process says, unless it says that it failed.
async fn hear(from: &mut BufReader<OwnedReadHalf>) -> Result<Said, Failure> {
    match Said::hear(from).await.map_err(|error| running(&error))? {
        Said::Failed(Failure { why, is_damage }) => {
            Err(Failure { why: format!("the running process: {why}"), is_damage })
        }
        said => Ok(said),
    }
}

fn running(error: &io::Error) -> Failure {
    Failure::new(format!("the running process: {error}"))
}

/// A gateway that serves no mounts.
fn gateway<S: Backend>(store: S, config: &Config) -> Result<Arc<Gateway<S>>, Failure> {
    let live = Live::new(Vec::new(), &config.server);
    let metrics = Metrics::new().map_err(|error| Failure::new(format!("metrics: {error}")))?;
    let gateway = Gateway::new(store, live, Arc::new(clock::now), metrics);
    Ok(Arc::new(gateway.with_vault(Vault::new(config.secrets_key.as_ref()))))
}

/// Imports, and ends the store in good order; what it has acknowledged is durable already.
async fn import_here<S: Backend>(
    gateway: Arc<Gateway<S>>,
    chunks: mpsc::Receiver<Chunk>,
    verdicts: mpsc::Sender<Verdict>,
) -> Result<(), Failure> {
    let imported = intake::import(Arc::clone(&gateway), intake::ALONE, chunks, verdicts).await;
    S::close(gateway, Gateway::store).await;
    imported
}

async fn export_here<S: Backend>(gateway: Arc<Gateway<S>>, out: mpsc::Sender<Lines>) -> Result<(), Failure> {
    let exported = export::export(Arc::clone(&gateway), out).await;
    S::close(gateway, Gateway::store).await;
    exported
}
