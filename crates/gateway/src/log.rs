//! Logs: one line for each request, JSON or pretty, to standard error.
//!
//! A log line names causes, route templates and namespaces; never a target, query, external id,
//! body, e-mail or token (decision 14).

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{
    Registry, filter::LevelFilter, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat, LogLevel};

/// How much is logged, to be changed while it is.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// Logs this much from now on.
    pub fn set(&self, level: LogLevel) {
        // An error means that this is not the process's log, as in `init`.
        self.0.reload(filter(level)).ok();
    }
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}

/// Begins to log. Lines are written by a thread of their own, until the guard is dropped.
pub fn init(config: &Log) -> (WorkerGuard, Level) {
    let (writer, guard) = tracing_appender::non_blocking(std::io::stderr());
    let (level, handle) = reload::Layer::new(filter(config.level));
    let registry = tracing_subscriber::registry().with(level);
    let layer = fmt::layer().with_writer(writer);
    let set = match config.format {
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
        }
        LogFormat::Pretty => {
            registry.with(layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))).try_init()
        }
    };
    if let Err(error) = set {
        // Only when a test has set one before; its lines go there then.
        tracing::debug!(%error, "logging was set up before");
    }
    std::panic::set_hook(Box::new(|panic| {
        // The payload may hold request data; the place cannot.
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "a panic was caught");
    }));
    (guard, Level(handle))
}
