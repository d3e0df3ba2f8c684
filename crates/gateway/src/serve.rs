//! `interlingua serve`: from a configuration to a running gateway, and to its end.
//!
//! Which store is served is chosen here, once; behind that everything is generic over it.

mod ending;

use std::{future::Future, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use gateway_core::{StoreError, UserStore};
use http::{Request, Response};
use hyper::body::Incoming;
use store_embedded::EmbeddedStore;
use store_upstream::UpstreamStore;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    admin::Admin,
    backend::{Backend, Standing},
    body::AnswerBody,
    cli::{self, data::Place, printer, sign},
    clock,
    config::{self, Config, Embedded, Ledger, Overrides, Postgres, StoreConfig, Upstream},
    control::{self, Control},
    demo,
    issuers::{self, Readiness},
    limits::SharedCount,
    live::Live,
    log::{self, Logs},
    metrics::Metrics,
    openapi,
    otel::Tracer,
    reload::{Reloader, Told},
    remote::{self, Remote},
    server::{self, Figures, Listener, ListenerLimits, Origin, Respond},
    service::Gateway,
    tls::Tls,
    upstream,
    vault::Vault,
    webhook,
};

use self::ending::{End, Signals};

/// An address cannot be bound (`EX_UNAVAILABLE` of sysexits.h).
pub(crate) const UNAVAILABLE: u8 = 69;
/// Connections to the admin listener, at once.
const ADMIN_CONNECTIONS: usize = 64;

/// Between two attempts to make the demo's user in a store that was away at the start.
const SEED_PAUSE: Duration = Duration::from_millis(500);

/// Why it did not start: a sentence, and the exit code.
struct Failure(String, u8);

impl<S: UserStore> Respond for Gateway<S> {
    async fn respond(&self, origin: Origin<'_>, request: Request<Incoming>) -> Response<AnswerBody> {
        self.handle(origin, request).await
    }

    fn is_proxy(&self, peer: SocketAddr) -> bool {
        self.live().proxies.trusts(peer.ip())
    }
}

/// Serves until SIGTERM or SIGINT, or until the store falls. The overrides are those that the
/// configuration was loaded with.
#[must_use]
pub fn run(config: Config, overrides: Overrides) -> ExitCode {
    let served = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(config, overrides)),
        Err(error) => Err(Failure(format!("the runtime does not start: {error}"), cli::IO_FAILURE)),
    };
    served.unwrap_or_else(|Failure(why, code)| {
        printer::err(&format!("interlingua serve: {why}"));
        ExitCode::from(code)
    })
}

/// What is taken before the store is opened: a second process fails here, and touches no store.
struct Ground {
    logs: Logs,
    sockets: (TcpListener, TcpListener),
}

/// Opens the store, and serves it.
async fn serve(config: Config, overrides: Overrides) -> Result<ExitCode, Failure> {
    if let Some(why) = clock::doubt(clock::now()) {
        return Err(Failure(why, cli::IO_FAILURE));
    }
    let logs = log::init(&config.log);
    let logs = logs.map_err(|error| Failure(format!("the log: {error}"), cli::IO_FAILURE))?;
    let sockets = (bind(config.server.listen).await?, bind(config.server.admin).await?);
    let ground = Ground { logs, sockets };
    match config.store.clone() {
        StoreConfig::Embedded(embedded) => {
            let dir = embedded.path.clone();
            let store = open_embedded(embedded).await?;
            let control = Control::open(&dir);
            let beside = |gateway, stopped| control::serve(control, gateway, stopped);
            serve_store(config, overrides, ground, store, beside).await
        }
        StoreConfig::Postgres(postgres) => {
            let store = open_postgres(&postgres).await?;
            serve_store(config, overrides, ground, store, |_, _| std::future::ready(())).await
        }
        StoreConfig::Upstream(upstream, Ledger::Embedded(embedded)) => {
            let store = open_upstream(*upstream, open_embedded(embedded).await?).await?;
            serve_store(config, overrides, ground, store, |_, _| std::future::ready(())).await
        }
        StoreConfig::Upstream(upstream, Ledger::Postgres(postgres)) => {
            let store = open_upstream(*upstream, open_postgres(&postgres).await?).await?;
            serve_store(config, overrides, ground, store, |_, _| std::future::ready(())).await
        }
    }
}

/// Serves a store to its end; `beside` runs beside the mounts until it is told that they have stopped.
async fn serve_store<S: Backend, B: Future<Output = ()> + Send + 'static>(
    config: Config,
    overrides: Overrides,
    Ground { logs, sockets }: Ground,
    store: S,
    beside: impl FnOnce(Arc<Gateway<S>>, watch::Receiver<bool>) -> B,
) -> Result<ExitCode, Failure> {
    let banner = banner(&config, &sockets.0, &sockets.1);
    let origin = origin(&config, &sockets.0);
    let seeded = !config.demo_user || seed(&store).await?;
    let metrics = Metrics::new().map_err(unregistered)?;
    metrics.register(Box::new(logs.dropped.clone())).map_err(unregistered)?;
    let told = Told::new(&metrics).map_err(unregistered)?;
    let (listener, admin_listener) = listeners(&config, sockets, &metrics)?;
    let shared = config.server.shared_limits.as_ref().map(|terms| SharedCount::start(terms, &metrics));
    let shared = shared.transpose().map_err(unregistered)?;
    let tracer = config.otel.clone().map(|otel| Tracer::start(otel, config.scheme(), &metrics));
    let tracer = tracer.transpose().map_err(unregistered)?;
    let live = Live::new(config.mounts.clone(), &config.server);
    let gateway = Gateway::new(store, live, Arc::new(clock::now), metrics)
        .with_vault(Vault::new(config.secrets_key.as_ref()))
        .with_shared_count(shared)
        .with_tracer(tracer)
        .with_access_log(logs.access.clone());
    let gateway = Arc::new(gateway);

    // Signals are heard from here on: whoever reads the banner may send one at once.
    let heard = |error| Failure(format!("signals cannot be received: {error}"), cli::IO_FAILURE);
    let hangup = signal(SignalKind::hangup()).map_err(heard)?;
    let signals = Signals::new().map_err(heard)?;
    let (tls, log_level) = (listener.tls.clone(), logs.level.clone());
    let reloader =
        Reloader { gateway: Arc::clone(&gateway), tls, log_level, started: config, overrides, told };
    let reloading = tokio::spawn(reloader.run(hangup));
    let keeping = tokio::spawn(issuers::keep(Arc::clone(&gateway)));
    let seeding = (!seeded).then(|| tokio::spawn(seed_later(Arc::clone(&gateway))));
    let end = Arc::new(End::default());
    let (stop, stopped) = watch::channel(false);
    let (stop_admin, admin_stopped) = watch::channel(false);
    let watching = tokio::spawn(ending::wait(Arc::clone(&gateway), Arc::clone(&end), stop, signals));
    let beside = tokio::spawn(beside(Arc::clone(&gateway), stopped.clone()));
    let admin = Arc::new(admin(&gateway, &end, origin));
    let admin = tokio::spawn(server::serve(admin_listener, admin, admin_stopped));
    let _told = printer::out(&banner);
    server::serve(listener, Arc::clone(&gateway), stopped).await;

    stop_admin.send_replace(true);
    for task in [watching, reloading, keeping].into_iter().chain(seeding) {
        task.abort();
    }
    S::close(Arc::clone(&gateway), Gateway::store).await;
    for ended in [admin.await, beside.await] {
        if let Err(error) = ended {
            tracing::error!(%error, "a task fell while stopping");
        }
    }
    if let Some(tracer) = gateway.tracer() {
        tracer.stop().await;
    }
    tracing::info!("stopped");
    Ok(end.code(&gateway))
}

fn unregistered(error: prometheus::Error) -> Failure {
    Failure(format!("metrics: {error}"), cli::IO_FAILURE)
}

/// The clients' listener and the admin's, over their sockets.
fn listeners(
    config: &Config,
    sockets: (TcpListener, TcpListener),
    metrics: &Metrics,
) -> Result<(Listener, Listener), Failure> {
    let figures = Arc::new(Figures::new().map_err(unregistered)?);
    figures.register(metrics).map_err(unregistered)?;
    // The admin listener's connections are not clients'.
    let uncounted = Arc::new(Figures::new().map_err(unregistered)?);
    let tls = config.tls.clone().map(|terms| Tls::new(terms, metrics)).transpose().map_err(unregistered)?;
    let limits = listener_limits(&config.server);
    let admin_limits = ListenerLimits {
        connections: ADMIN_CONNECTIONS,
        connections_per_peer: ADMIN_CONNECTIONS,
        drain: Duration::from_secs(1),
        ..limits
    };
    Ok((
        Listener { socket: sockets.0, tls, limits, figures },
        Listener { socket: sockets.1, tls: None, limits: admin_limits, figures: uncounted },
    ))
}

fn listener_limits(server: &config::Server) -> ListenerLimits {
    ListenerLimits {
        header: server.header_timeout,
        idle: server.idle_timeout,
        write: server.write_timeout,
        drain: server.drain_timeout,
        connections: server.max_connections,
        connections_per_peer: server.max_connections_per_peer,
        requests: server.max_connection_requests,
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure(format!("cannot listen on {address}: {error}"), UNAVAILABLE))
}

async fn open_embedded(embedded: Embedded) -> Result<EmbeddedStore, Failure> {
    let place = Place::at(embedded);
    let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&place.dir, place.options)).await;
    let refused = |why: String| Failure(why, cli::IO_FAILURE);
    match opened {
        Ok(Ok(store)) => Ok(store),
        Ok(Err(error)) => Err(refused(error.to_string())),
        Err(_fallen) => Err(refused("the store fell while it was opened".to_owned())),
    }
}

async fn open_postgres(postgres: &Postgres) -> Result<Remote, Failure> {
    let store = Remote::open(remote::options(postgres)).await;
    store.map_err(|error| Failure(error.to_string(), cli::IO_FAILURE))
}

async fn open_upstream<L: Backend>(upstream: Upstream, ledger: L) -> Result<UpstreamStore<L>, Failure> {
    let store = UpstreamStore::open(upstream::options(upstream), ledger).await;
    store.map_err(|error| Failure(format!("the upstream store: {error}"), cli::IO_FAILURE))
}

/// Makes the demo's user; `false` where the store is away.
async fn seed<S: Backend>(store: &S) -> Result<bool, Failure> {
    match demo::seed(store, clock::now()).await {
        Ok(()) => Ok(true),
        Err(StoreError::Unavailable(_)) if matches!(store.standing(), Standing::Away(_)) => Ok(false),
        Err(error) => Err(Failure(format!("the demo's user: {error}"), cli::IO_FAILURE)),
    }
}

/// Makes it once the store is there.
async fn seed_later<S: Backend>(gateway: Arc<Gateway<S>>) {
    while demo::seed(gateway.store(), clock::now()).await.is_err() {
        tokio::time::sleep(SEED_PAUSE).await;
    }
}

/// Says where what is served, and how to try it. Never a credential.
fn banner(config: &Config, listener: &TcpListener, admin: &TcpListener) -> String {
    let address = |listener: &TcpListener, configured| listener.local_addr().unwrap_or(configured);
    let listen = address(listener, config.server.listen);
    let mut lines = vec![
        format!("interlingua {} listening on {}://{listen}", env!("CARGO_PKG_VERSION"), config.scheme()),
        format!("admin on http://{} (/livez /readyz /metrics /openapi)", address(admin, config.server.admin)),
    ];
    for mount in &config.mounts {
        let namespace = mount.namespace.as_text();
        lines.push(format!(
            "mount {} ({}, namespace {namespace}) at {}",
            mount.name,
            mount.dialect.name(),
            mount.prefixes.join(", ")
        ));
        if let Some(relay) = &mount.passthrough {
            lines.push(format!("  all else is passed on to {}", relay.passage().endpoint.origin()));
        }
        if let Some(example) = sign::example(config, mount) {
            lines.push(format!("  try: {example}"));
        }
    }
    if config.uses_demo_credentials {
        lines.push("This configuration uses the shipped demo credentials, which everybody knows.".to_owned());
    }
    lines.join("\n")
}

/// Where clients reach the listener, as far as it can be known from here.
fn origin(config: &Config, listener: &TcpListener) -> String {
    let listen = sign::reachable(listener.local_addr().unwrap_or(config.server.listen));
    format!("{}://{listen}", config.scheme())
}

fn admin<S: Backend>(gateway: &Arc<Gateway<S>>, end: &Arc<End>, origin: String) -> Admin {
    let (gateway, end) = (Arc::clone(gateway), Arc::clone(end));
    let (counted, described) = (Arc::clone(&gateway), Arc::clone(&gateway));
    let readiness = Readiness::default();
    Admin {
        ready: Arc::new(move || match gateway.store().standing() {
            _ if end.is_near() => Err("draining".to_owned()),
            Standing::Fallen => Err("the store was stopped by a fault".to_owned()),
            Standing::Away(why) => Err(why.into_owned()),
            Standing::Ready => readiness.check(&gateway.live(), clock::now()),
        }),
        metrics: Arc::new(move || {
            let (live, own) = (counted.live(), counted.metrics().render());
            let outside = webhook::circuits(&live) + &issuers::render(&live, clock::now());
            let shared = counted.shared_count.as_ref().map_or_else(String::new, |shared| shared.render());
            own + &in_flight(&counted) + &shared + &outside + &counted.store().figures()
        }),
        documents: Arc::new(move |path| {
            openapi::pages::answer(described.live().mounts(), path, &origin, clock::now())
        }),
    }
}

/// How near `max_requests` is.
fn in_flight<S: UserStore>(gateway: &Gateway<S>) -> String {
    const NAME: &str = "interlingua_requests_in_flight";
    let count = gateway.in_flight();
    format!("# HELP {NAME} Requests under way.\n# TYPE {NAME} gauge\n{NAME} {count}\n")
}
