//! `interlingua serve`: from a configuration to a running gateway, and to its end.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gateway_core::UserStore;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use store_embedded::{EmbeddedStore, Health, Options};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    admin::Admin,
    cli::{self, printer, sign},
    clock,
    config::{Config, StoreConfig},
    demo, log,
    metrics::Metrics,
    mount::Mount,
    server::{self, ListenerLimits, Respond},
    service::{Gateway, Limits},
    store_metrics,
    vault::Vault,
};

/// An address cannot be bound (`EX_UNAVAILABLE` of sysexits.h).
const UNAVAILABLE: u8 = 69;
/// The store was stopped by a fault; start again (`EX_TEMPFAIL`).
const TEMPORARY: u8 = 75;
/// After a fault of the store, reads are served and `/readyz` says so for this long.
const FAULT_SHOWN: Duration = Duration::from_secs(10);
/// How often the store's health is looked at.
const HEALTH_PERIOD: Duration = Duration::from_millis(200);
/// Connections to the admin listener, at once.
const ADMIN_CONNECTIONS: usize = 64;

/// Why it did not start: a sentence, and the exit code.
struct Failure(String, u8);

impl<S: UserStore> Respond for Gateway<S> {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.handle(request).await
    }
}

/// Serves until SIGTERM or SIGINT, or until the store falls.
#[must_use]
pub fn run(config: Config) -> ExitCode {
    let served = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => Err(Failure(format!("the runtime does not start: {error}"), cli::IO_FAILURE)),
    };
    served.unwrap_or_else(|Failure(why, code)| {
        printer::err(&format!("interlingua serve: {why}"));
        ExitCode::from(code)
    })
}

async fn serve(config: Config) -> Result<ExitCode, Failure> {
    let _log = log::init(&config.log);
    let listener = bind(config.server.listen).await?;
    let admin_listener = bind(config.server.admin).await?;
    let store = open(&config.store).await?;
    if config.demo_user {
        let seeded = demo::seed(&store, clock::now()).await;
        seeded.map_err(|error| Failure(format!("the demo's user: {error}"), cli::IO_FAILURE))?;
    }
    let metrics = Metrics::new().map_err(|error| Failure(format!("metrics: {error}"), cli::IO_FAILURE))?;
    let banner = banner(&config, &listener, &admin_listener);
    let (server, mounts) = (config.server, config.mounts.into_iter().map(Mount::new).collect());
    let limits = Limits { body: server.body_timeout, work: server.request_timeout };
    let vault = Vault::new(config.secrets_key.as_ref());
    let gateway = Gateway::new(store, mounts, limits, Arc::new(clock::now), metrics).with_vault(vault);
    let gateway = Arc::new(gateway);

    let exit = Arc::new(AtomicU8::new(0));
    let draining = Arc::new(AtomicBool::new(false));
    let (stop, stopped) = watch::channel(false);
    let (stop_admin, admin_stopped) = watch::channel(false);
    // Heard from here on: whoever reads the banner may send one at once.
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let watching = tokio::spawn(wait_for_the_end(
        Arc::clone(&gateway),
        Arc::clone(&exit),
        Arc::clone(&draining),
        stop,
        signals,
    ));
    let header = server.header_timeout;
    let admin_limits =
        ListenerLimits { header, connections: ADMIN_CONNECTIONS, drain: Duration::from_secs(1) };
    let admin = Arc::new(admin(&gateway, &draining));
    let admin = tokio::spawn(server::serve(admin_listener, admin, admin_limits, admin_stopped));
    let _told = printer::out(&banner);
    let limits = ListenerLimits { header, connections: server.max_connections, drain: server.drain_timeout };
    server::serve(listener, Arc::clone(&gateway), limits, stopped).await;

    stop_admin.send_replace(true);
    watching.abort();
    let closing = Arc::clone(&gateway);
    let closed = tokio::task::spawn_blocking(move || closing.store().close());
    for ended in [closed.await, admin.await] {
        if let Err(error) = ended {
            tracing::error!(%error, "a task fell while stopping");
        }
    }
    // A fault that nobody has looked at yet, or that closing met, is one, too.
    if gateway.store().health() == Health::Poisoned {
        exit.store(TEMPORARY, Ordering::Relaxed);
    }
    tracing::info!("stopped");
    Ok(ExitCode::from(exit.load(Ordering::Relaxed)))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure(format!("cannot listen on {address}: {error}"), UNAVAILABLE))
}

async fn open(config: &StoreConfig) -> Result<EmbeddedStore, Failure> {
    let StoreConfig::Embedded { path, cache_bytes, encryption_key } = config.clone();
    let options = Options {
        cache_bytes: usize::try_from(cache_bytes).unwrap_or(usize::MAX),
        encryption_key,
        ..Options::new(Arc::new(clock::now))
    };
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(Path::new(&path), options)).await;
    match opened {
        Ok(Ok(store)) => Ok(store),
        Ok(Err(error)) => Err(Failure(error.to_string(), cli::IO_FAILURE)),
        Err(_fallen) => Err(Failure("the store fell while it was opened".to_owned(), cli::IO_FAILURE)),
    }
}

/// Says where what is served, and how to try it. Never a credential.
fn banner(config: &Config, listener: &TcpListener, admin: &TcpListener) -> String {
    let address = |listener: &TcpListener, configured| listener.local_addr().unwrap_or(configured);
    let listen = address(listener, config.server.listen);
    let mut lines = vec![
        format!("interlingua {} listening on http://{listen}", env!("CARGO_PKG_VERSION")),
        format!("admin on http://{} (/livez /readyz /metrics)", address(admin, config.server.admin)),
    ];
    for mount in &config.mounts {
        let namespace = mount.namespace.as_text();
        lines.push(format!(
            "mount {} ({}, namespace {namespace}) at {}",
            mount.name,
            mount.dialect.name(),
            mount.prefixes.join(", ")
        ));
        if let Some(example) = sign::example(config, mount) {
            lines.push(format!("  try: {example}"));
        }
    }
    if config.uses_demo_credentials {
        lines.push("This configuration uses the shipped demo credentials, which everybody knows.".to_owned());
    }
    lines.join("\n")
}

fn admin(gateway: &Arc<Gateway<EmbeddedStore>>, draining: &Arc<AtomicBool>) -> Admin {
    let (gateway, draining) = (Arc::clone(gateway), Arc::clone(draining));
    let counted = Arc::clone(&gateway);
    Admin {
        ready: Arc::new(move || match gateway.store().health() {
            _ if draining.load(Ordering::Relaxed) => Err("draining"),
            Health::Poisoned => Err("the store was stopped by a fault"),
            Health::Ready => Ok(()),
        }),
        metrics: Arc::new(move || counted.metrics().render() + &store_metrics::render(counted.store())),
    }
}

/// Waits for a signal, or for the store to fall; then readiness goes first.
async fn wait_for_the_end(
    gateway: Arc<Gateway<EmbeddedStore>>,
    exit: Arc<AtomicU8>,
    draining: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    signals: (io::Result<Signal>, io::Result<Signal>),
) {
    let signals = async {
        match signals {
            (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
            },
            (terminate, interrupt) => {
                tracing::error!(ok = terminate.is_ok() && interrupt.is_ok(), "signals cannot be received");
                std::future::pending::<()>().await;
            }
        }
    };
    let fault = async {
        while gateway.store().health() == Health::Ready {
            tokio::time::sleep(HEALTH_PERIOD).await;
        }
        tracing::error!(
            "the store was stopped by a fault: no more writes; this process ends soon, start it again"
        );
        exit.store(TEMPORARY, Ordering::Relaxed);
        tokio::time::sleep(FAULT_SHOWN).await;
    };
    tokio::select! {
        () = signals => {}
        () = fault => {}
    }
    draining.store(true, Ordering::Relaxed);
    stop.send_replace(true);
}
