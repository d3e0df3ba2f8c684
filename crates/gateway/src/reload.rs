//! Reading the configuration again, at SIGHUP or when one of its files has changed: all of it is
//! checked, then swapped as a whole; a bad one changes nothing.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gateway_core::UserStore;
use prometheus::{IntCounterVec, IntGauge, Opts};
use tokio::{signal::unix::Signal, task::spawn_blocking};

use crate::{
    clock,
    config::{self, Config, Files, Overrides, Report},
    log::Level,
    metrics::Metrics,
    service::Gateway,
    tls::Tls,
};

/// How often the files are looked at. A change is taken once it has stood still for as long: a file
/// that is being written is not read half.
const PERIOD: Duration = Duration::from_millis(500);

/// What is said of a bad configuration.
const KEPT: &str = "the configuration was not loaded, the one before stays";

/// A setting's name, and whether it is the same in two configurations.
type Setting = (&'static str, fn(&Config, &Config) -> bool);

/// What is taken at the start and cannot change later.
const FROZEN: [Setting; 17] = [
    ("[server] listen", |old, new| old.server.listen == new.server.listen),
    ("[server] admin", |old, new| old.server.admin == new.server.admin),
    ("[server] header_timeout_ms", |old, new| old.server.header_timeout == new.server.header_timeout),
    ("[server] drain_timeout_ms", |old, new| old.server.drain_timeout == new.server.drain_timeout),
    ("[server] idle_timeout_ms", |old, new| old.server.idle_timeout == new.server.idle_timeout),
    ("[server] write_timeout_ms", |old, new| old.server.write_timeout == new.server.write_timeout),
    ("[server] max_connections_per_peer", |old, new| {
        old.server.max_connections_per_peer == new.server.max_connections_per_peer
    }),
    ("[server] max_connection_requests", |old, new| {
        old.server.max_connection_requests == new.server.max_connection_requests
    }),
    ("[server] max_connections", |old, new| old.server.max_connections == new.server.max_connections),
    ("[server.shared_limits]", |old, new| old.server.shared_limits == new.server.shared_limits),
    ("[server.tls]", |old, new| old.tls.is_some() == new.tls.is_some()),
    ("[log] format", |old, new| old.log.format == new.log.format),
    ("[store]", |old, new| old.store == new.store),
    ("[store] secrets_key", |old, new| old.secrets_key == new.secrets_key),
    ("[otel]", |old, new| old.otel.is_some() == new.otel.is_some()),
    ("[otel] max_queue_spans", |old, new| {
        let queue = |config: &Config| config.otel.as_ref().map(|otel| otel.max_queue);
        old.otel.is_none() || new.otel.is_none() || queue(old) == queue(new)
    }),
    ("[demo] user", |old, new| old.demo_user == new.demo_user),
];

/// What is told of reloads.
pub(crate) struct Told {
    reloads: IntCounterVec,
    failed: IntGauge,
    loaded: IntGauge,
}

impl Told {
    /// Registers the figures; the configuration of the start was just loaded.
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let reloads = Opts::new("interlingua_config_reloads_total", "Reloads of the configuration.");
        let reloads = IntCounterVec::new(reloads, &["outcome"])?;
        for outcome in ["ok", "failed"] {
            reloads.with_label_values(&[outcome]).reset();
        }
        let gauge = IntGauge::new;
        let told = Self {
            reloads,
            failed: gauge(
                "interlingua_config_reload_failed",
                "1 while the configuration's files are not what is served, since they could not be loaded.",
            )?,
            loaded: gauge(
                "interlingua_config_loaded_timestamp_seconds",
                "When the configuration that is served was loaded.",
            )?,
        };
        metrics.register(Box::new(told.reloads.clone()))?;
        metrics.register(Box::new(told.failed.clone()))?;
        metrics.register(Box::new(told.loaded.clone()))?;
        told.loaded.set(clock::now().unix_timestamp());
        Ok(told)
    }

    fn ok(&self) {
        self.loaded.set(clock::now().unix_timestamp());
        self.failed.set(0);
        self.reloads.with_label_values(&["ok"]).inc();
    }

    fn failed(&self) {
        self.failed.set(1);
        self.reloads.with_label_values(&["failed"]).inc();
    }
}

/// Keeps a gateway's configuration as its files are.
pub(crate) struct Reloader<S> {
    pub(crate) gateway: Arc<Gateway<S>>,
    pub(crate) tls: Option<Tls>,
    pub(crate) log_level: Level,
    /// The configuration of the start, by which what cannot change is named.
    pub(crate) started: Config,
    pub(crate) overrides: Overrides,
    pub(crate) told: Told,
}

impl<S: UserStore> Reloader<S> {
    /// Reloads whenever it should, for ever.
    pub(crate) async fn run(self, mut hangup: Signal) {
        let (mut files, mut watch) = (self.started.files.clone(), self.started.server.watch);
        let mut seen = files.clone();
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => tracing::info!("SIGHUP: loading the configuration"),
                () = tokio::time::sleep(PERIOD), if watch => {
                    let now = look(&files).await;
                    let stands = now == seen;
                    seen = now;
                    if !stands || seen == files {
                        continue;
                    }
                    tracing::info!("a file of the configuration has changed: loading it");
                }
                // Neither signals nor files can be waited for any more: the runtime is ending.
                else => return,
            }
            match self.load().await {
                Some(Ok(config)) if exposes_demo(&self.started, &config) => {
                    files = config.files;
                    self.told.failed();
                    tracing::error!("{KEPT}: it has demo credentials, and this process is not on loopback");
                }
                Some(Ok(config)) => {
                    (files, watch) = (config.files.clone(), config.server.watch);
                    self.take(config);
                }
                Some(Err(report)) => {
                    files = report.files().clone();
                    self.told.failed();
                    tracing::error!("{KEPT}:\n{report}");
                }
                None => {
                    files = look(&files).await;
                    self.told.failed();
                }
            }
            seen = files.clone();
        }
    }

    async fn load(&self) -> Option<Result<Config, Report>> {
        let (path, overrides) = (self.started.path.clone(), self.overrides.clone());
        match spawn_blocking(move || config::load(&path, &overrides)).await {
            Ok(loaded) => Some(loaded),
            Err(error) => {
                tracing::error!(%error, "{KEPT}");
                None
            }
        }
    }

    fn take(&self, config: Config) {
        for warning in &config.warnings {
            tracing::warn!("the configuration: {warning}");
        }
        for (name, is_same) in FROZEN {
            if !is_same(&self.started, &config) {
                tracing::warn!("`{name}` has changed; that takes effect at the next start");
            }
        }
        let Config { mounts, server, tls, log, otel, .. } = config;
        self.log_level.set(log.level);
        if let (Some(listener), Some(terms)) = (&self.tls, tls) {
            listener.replace(terms);
        }
        if let (Some(tracer), Some(otel)) = (self.gateway.tracer(), otel) {
            tracer.renew(otel);
        }
        let count = mounts.len();
        self.gateway.swap(self.gateway.live().renewed(mounts, &server));
        self.told.ok();
        tracing::info!(mounts = count, "the configuration was loaded");
    }
}

/// True for demo credentials where strangers would meet them. A new configuration may say that it
/// listens on loopback; the listeners are where the start put them.
fn exposes_demo(started: &Config, new: &Config) -> bool {
    let is_open = |address: SocketAddr| !address.ip().is_loopback();
    new.uses_demo_credentials && (is_open(started.server.listen) || is_open(started.server.admin))
}

/// The files as they are now; unchanged where nobody can look.
async fn look(files: &Files) -> Files {
    let known = files.clone();
    spawn_blocking(move || known.now()).await.unwrap_or_else(|_fallen| files.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_credentials_are_not_loaded_into_an_open_listener() {
        const MOUNT: &str =
            "[[mount]]\nname = \"a\"\nprefix = \"/a\"\ndialect = \"update\"\nnamespace = \"{projectId}\"\n";
        const DEMO: &str =
            "[[mount.client]]\nname = \"a\"\ntoken = \"demo-service-token\"\nproject = \"p\"\n";
        let load = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            config::load(file.path(), &Overrides::default()).unwrap()
        };
        let (own, demo) = (load(MOUNT), load(&format!("{MOUNT}{DEMO}")));
        let open = |key: &str| load(&format!("[server]\n{key} = \"0.0.0.0:9000\"\n{MOUNT}"));
        assert!(!exposes_demo(&own, &demo));
        for started in [open("listen"), open("admin")] {
            assert!(exposes_demo(&started, &demo));
            assert!(!exposes_demo(&started, &own));
        }
    }
}
