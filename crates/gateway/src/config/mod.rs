//! The configuration: strict TOML, read once, every mistake reported with its line.
//!
//! Architecture invariant: nothing outside this module reads settings from the environment or the
//! file system.

mod file;
mod files;
mod mask;
mod mounts;
mod otel;
mod passthrough;
mod prefix;
mod report;
pub mod routing;
mod secrets;
mod shared;
mod store;
mod tables;
mod tls;
mod upstream;
mod webhook;

use std::{
    cell::RefCell,
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gateway_auth::Authenticator;
use gateway_core::Reach;
use gateway_dialect::{Dialect, Options, Secret, SecretSource, UnknownFields};
use gateway_outbound::{Client, Relay};
use http::HeaderMap;

use crate::{cors::Cors, forwarded::Proxies, webhook::Webhook};

use self::{report::Mistake, secrets::Secrets};

pub use self::{
    files::Files,
    report::Report,
    store::{Embedded, Ledger, Postgres, StoreConfig, Upstream},
};

/// Where the configuration is, unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "config/interlingua.toml";

/// A validated configuration.
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The files that it was read from, secrets included.
    pub files: Files,
    /// The listeners and their limits.
    pub server: Server,
    /// The certificate that clients are met with; `None` for plain HTTP.
    pub tls: Option<crate::tls::Terms>,
    /// How to log.
    pub log: Log,
    /// Where users live.
    pub store: StoreConfig,
    /// Seals secret documents before they reach the store.
    pub secrets_key: Option<[u8; 32]>,
    /// Whether the demo's user is made when the store has none such.
    pub demo_user: bool,
    /// Where spans are exported to; `None` for no tracing.
    pub otel: Option<Otel>,
    /// The mounts, in the order of the file; at least one.
    pub mounts: Vec<MountConfig>,
    /// True where a credential is a shipped one. Then both listeners are on loopback.
    pub uses_demo_credentials: bool,
    /// What is odd, but no mistake; a sentence each.
    pub warnings: Vec<String>,
}

/// The listeners and their limits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Where clients are served.
    pub listen: SocketAddr,
    /// Where health and metrics are.
    pub admin: SocketAddr,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How long the work on a request may take, once it is read.
    pub request_timeout: Duration,
    /// How long open requests may go on after a stop was asked for.
    pub drain_timeout: Duration,
    /// The longest body, unless a mount says otherwise.
    pub max_body_bytes: usize,
    /// How long a connection may be open without a request.
    pub idle_timeout: Duration,
    /// How long a client may take to read an answer, once it no longer keeps up.
    pub write_timeout: Duration,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// How many of them from one address.
    pub max_connections_per_peer: usize,
    /// How many requests one connection may bring.
    pub max_connection_requests: u32,
    /// How many requests are under way at once.
    pub max_requests: usize,
    /// Whose word on the client's address is believed.
    pub proxies: Proxies,
    /// How often a peer may fail to prove who it is.
    pub failed_auth_limit: Option<RateLimit>,
    /// Where limits are counted together with other gateways.
    pub shared_limits: Option<SharedLimits>,
    /// Whether a changed file is taken without being told to.
    pub watch: bool,
}

/// Where limits are counted together with other gateways.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedLimits {
    /// A Valkey or Redis.
    pub server: gateway_limits::Server,
    /// How long a request waits for it.
    pub timeout: Duration,
}

/// Where spans are exported to, and how many.
#[derive(Clone)]
pub struct Otel {
    /// Calls the collector.
    pub client: Arc<Client>,
    /// What is sent with each call: secrets.
    pub headers: HeaderMap,
    /// Who this is in its traces.
    pub service_name: String,
    /// The share of traces that is recorded, from 0 to 1, where no caller decides.
    pub sample_ratio: f64,
    /// How long a call may take.
    pub timeout: Duration,
    /// How long a span waits for others to go with it.
    pub interval: Duration,
    /// How many spans wait; more are dropped.
    pub max_queue: usize,
}

/// How to log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Log {
    /// For whom.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
}

/// For whom log lines are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// What the gateway did wrong.
    Error,
    /// And what looks wrong.
    Warn,
    /// And every request.
    Info,
    /// And how it came to its answer.
    Debug,
}

/// Which users a mount sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MountNamespace {
    /// Those of a namespace, or all.
    Fixed(Reach),
    /// Those of the namespace that stands in the path under this parameter.
    InPath(&'static str),
}

impl MountNamespace {
    /// As the file says it.
    #[must_use]
    pub fn as_text(&self) -> String {
        match self {
            Self::Fixed(reach) => {
                reach.namespace().map_or_else(|| "*".to_owned(), |namespace| namespace.as_str().to_owned())
            }
            Self::InPath(parameter) => format!("{{{parameter}}}"),
        }
    }
}

/// A path prefix, bound to a dialect, an authenticator and a namespace.
#[derive(Clone)]
pub struct MountConfig {
    /// Its name in logs and metrics, unique.
    pub name: Arc<str>,
    /// Its path prefixes: each empty, or beginning with `/` and not ending with it.
    pub prefixes: Vec<String>,
    /// The host that it answers on, lower-case, without a port; `None` for any.
    pub host: Option<String>,
    /// What is spoken there.
    pub dialect: Arc<dyn Dialect>,
    /// How clients prove who they are.
    pub authenticator: Arc<dyn Authenticator>,
    /// The clients' names, in the order of the file.
    pub clients: Vec<Arc<str>>,
    /// Which users it sees.
    pub namespace: MountNamespace,
    /// Which other origins may read its answers.
    pub cors: Option<Cors>,
    /// The longest body.
    pub max_body_bytes: usize,
    /// What unknown members in a body do.
    pub unknown_fields: UnknownFields,
    /// How many requests each client may make.
    pub rate_limit: Option<RateLimit>,
    /// Whether a signature counts once (decision 18).
    pub replay_protection: bool,
    /// The prefix as clients see it, where a proxy in front rewrites it (decision 17); formed as
    /// `prefixes`.
    pub public_prefix: Option<String>,
    /// What its updates are validated by (decision 30).
    pub webhook: Option<Webhook>,
    /// Where what the dialect does not own is passed on to.
    pub passthrough: Option<Arc<Relay>>,
}

impl AsRef<MountConfig> for MountConfig {
    fn as_ref(&self) -> &MountConfig {
        self
    }
}

/// How many requests a client may make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// So many.
    pub requests: NonZeroU32,
    /// In this time.
    pub per: Duration,
    /// So many of them at once.
    pub burst: NonZeroU32,
}

/// What the command line sets over the file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Overrides {
    /// For `[server] listen`.
    pub listen: Option<SocketAddr>,
    /// For `[server] admin`.
    pub admin: Option<SocketAddr>,
    /// For `[store.embedded] path`.
    pub data: Option<PathBuf>,
}

/// Reads a configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Config, Report> {
    let secrets = Secrets::default();
    secrets.note(path);
    let read = read(path, overrides, &secrets);
    let files = secrets.into_files();
    match read {
        Ok(config) => Ok(Config { files, ..config }),
        Err(report) => Err(report.with_files(files)),
    }
}

fn read(path: &Path, overrides: &Overrides, secrets: &Secrets) -> Result<Config, Report> {
    let text = file::read(path)?;
    let name = path.display().to_string();
    let entries = file::parse(&text).map_err(|mistakes| Report::new(&name, &text, mistakes))?;
    let problems = RefCell::default();
    let mut root = Options::new(entries.clone(), 0..0, &problems, secrets);
    let tables = tables::read(&mut root, overrides, secrets);
    let read = mounts::read(&mut root, &text, &tables.server, secrets);
    root.finish();
    secrets.look_for_digests(&text);

    let mut mistakes = read.mistakes;
    mistakes.extend(problems.take().into_iter().map(Mistake::from));
    if secrets.used_demo() {
        mistakes.extend(tables.exposed());
    }
    if !mistakes.is_empty() {
        return Err(Report::new(&name, &text, mistakes).masked(&entries));
    }
    let uses_demo_credentials = secrets.used_demo();
    let mut warnings = secrets.take_warnings();
    warnings.extend(read.warnings);
    Ok(Config {
        path: path.to_owned(),
        files: Files::default(),
        server: tables.server,
        tls: tables.tls,
        log: tables.log,
        store: tables.store,
        secrets_key: tables.secrets_key,
        demo_user: tables.demo_user,
        otel: tables.otel,
        mounts: read.mounts,
        uses_demo_credentials,
        warnings,
    })
}

/// A secret by reference, as the configuration has them: for commands that need one and no more.
///
/// # Errors
/// A sentence that says what is wrong with the reference.
pub fn secret(reference: &str) -> Result<Secret, String> {
    Secrets::default().resolve(reference)
}

impl Config {
    /// The scheme of the listener's URLs.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("path", &self.path)
            .field("server", &self.server)
            .field("store", &self.store)
            .field("mounts", &self.mounts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountConfig")
            .field("name", &self.name)
            .field("prefixes", &self.prefixes)
            .field("host", &self.host)
            .field("dialect", &self.dialect.name())
            .field("clients", &self.clients)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
