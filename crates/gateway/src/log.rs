//! Logs: one line for each request, JSON or pretty, to standard error.
//!
//! A log line names causes, route templates and namespaces; never a target, query, external id,
//! body, e-mail or token (decision 14).

use std::{io::IsTerminal, sync::Arc};

use prometheus::IntCounter;
use tracing_subscriber::{
    Registry, filter::LevelFilter, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::{
    access::AccessLog,
    config::{Log, LogFormat, LogLevel},
    sink::{Events, Guard, Sink},
};

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

/// A log that is being written.
pub struct Logs {
    /// Takes the lines of requests.
    pub access: AccessLog,
    /// Changes how much is logged.
    pub level: Level,
    /// Counts lines that were dropped.
    pub dropped: IntCounter,
    /// Writes what is left when dropped.
    pub guard: Guard,
}

/// Begins to log.
///
/// # Errors
/// When no thread can be started.
pub fn init(config: &Log) -> Result<Logs, Box<dyn std::error::Error>> {
    let (sink, guard) = Sink::start()?;
    let (level, events) = reload::Layer::new(filter(config.level));
    let is_terminal = std::io::stderr().is_terminal();
    let registry = tracing_subscriber::registry().with(level);
    let layer = fmt::layer().with_writer(Events(Arc::clone(&sink)));
    let set = match config.format {
        LogFormat::Json => {
            registry.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
        }
        LogFormat::Pretty => registry.with(layer.with_ansi(is_terminal)).try_init(),
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
    let dropped = sink.dropped();
    let access = AccessLog::new(sink, config.format, is_terminal);
    Ok(Logs { access, level: Level(events), dropped, guard })
}
