//! Connections: made, set up, watched.

use std::{
    error::Error as _,
    future::poll_fn,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, task::AbortHandle, time};
use tokio_postgres::{
    AsyncMessage, Client, Config, NoTls, Socket, config::SslMode, error::Severity, tls::MakeTlsConnect,
};

use crate::{
    Options,
    error::OpenError,
    stats::{Counters, count},
    tls::Tls,
    url,
};

/// What every connection is set to, where the database knows it. A plan must be the same whatever the
/// size of a table when it was made, so it goes by index, and is made once.
const SETTINGS: [(&str, &str); 11] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("default_transaction_isolation", "read committed"),
    ("synchronous_commit", "on"),
    // A statement whose client went away must not hold its locks.
    ("client_connection_check_interval", "1s"),
    // CockroachDB: our statement changes a table twice, but never a row.
    ("enable_multiple_modifications_of_table", "on"),
];
/// What is acknowledged is on disk, whatever the default of the database is; a stricter one stays.
const KNOWN: &str = "SELECT set_config(s.name, w.value, false) FROM pg_settings s JOIN w ON w.name = s.name \
    WHERE s.name <> 'synchronous_commit' OR s.setting = 'off'";
/// How long a connection that is given up has for its good-bye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Makes connections to the host that takes writes.
pub(crate) struct Connector {
    hosts: Vec<Config>,
    /// The one that was last found to take writes: it is asked first.
    last: AtomicUsize,
    connect_timeout: Duration,
    tls: Tls,
    statement_timeout: Duration,
    counters: Arc<Counters>,
}

/// A connection.
pub(crate) struct Link {
    pub(crate) client: Client,
    warnings: Arc<AtomicU64>,
    closed: watch::Receiver<()>,
    driver: AbortHandle,
}

impl Connector {
    /// Reads the URL. A `statement_timeout` of zero is none.
    pub(crate) fn new(
        options: &Options,
        statement_timeout: Duration,
        counters: Arc<Counters>,
    ) -> Result<Self, OpenError> {
        let connect_timeout = options.connect_timeout;
        let target = url::parse(&options.url, connect_timeout)?;
        let tls = Tls::of(&target)?;
        Ok(Self {
            hosts: target.hosts,
            last: AtomicUsize::new(0),
            connect_timeout,
            tls,
            statement_timeout,
            counters,
        })
    }

    /// Connects to the first host that takes writes, and sets the session up.
    pub(crate) async fn connect(&self) -> Result<Link, OpenError> {
        let mut fault = OpenError::Unreachable;
        let first = self.last.load(Ordering::Relaxed);
        for at in (0..self.hosts.len()).map(|offset| (first + offset) % self.hosts.len()) {
            let host = &self.hosts[at];
            let limit = host.get_connect_timeout().copied().unwrap_or(self.connect_timeout);
            // The client bounds the dialling only, not what a host that was reached does then.
            match time::timeout(limit, self.dial(host)).await {
                Ok(Ok(link)) => {
                    count(&self.counters.connects);
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(link);
                }
                Ok(Err(OpenError::Unreachable)) | Err(_) => {}
                Ok(Err(other)) => fault = other,
            }
        }
        count(&self.counters.failed_connects);
        Err(fault)
    }

    async fn dial(&self, host: &Config) -> Result<Link, OpenError> {
        let link = if host.get_ssl_mode() == SslMode::Disable {
            dial(host, NoTls).await?
        } else {
            dial(host, self.tls.clone()).await?
        };
        let timeout = format!("SET statement_timeout = {}", self.statement_timeout.as_millis());
        link.client.batch_execute(&timeout).await.map_err(|error| refused(&error))?;
        let wanted: Vec<_> = SETTINGS.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
        let known = format!("WITH w (name, value) AS (VALUES {}) {KNOWN}", wanted.join(", "));
        if link.client.batch_execute(&known).await.is_err() {
            for (name, value) in SETTINGS {
                // A relative that cannot be asked: what it does not know is not needed there.
                link.client.batch_execute(&format!("SET {name} = '{value}'")).await.ok();
            }
        }
        Ok(link)
    }
}

async fn dial<T>(host: &Config, tls: T) -> Result<Link, OpenError>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, mut connection) = host.connect(tls).await.map_err(|error| refused(&error))?;
    let warnings = Arc::new(AtomicU64::new(0));
    let (open, closed) = watch::channel(());
    let noted = Arc::clone(&warnings);
    let driver = tokio::spawn(async move {
        let _open = open;
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notice(notice) = message
                && notice.parsed_severity().is_none_or(|severity| severity == Severity::Warning)
            {
                count(&noted);
            }
        }
    });
    Ok(Link { client, warnings, closed, driver: driver.abort_handle() })
}

impl Link {
    /// How many warnings the server sent. One that comes with a commit says that it may not be safe: a
    /// wait for a standby that was cut short, say.
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Acquire)
    }

    /// Waits until the connection has ended.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.clone();
        while closed.changed().await.is_ok() {}
    }

    /// Cuts it: nobody waits for its answers any more.
    pub(crate) fn cut(&self) {
        self.driver.abort();
    }
}

impl Drop for Link {
    /// It ends by itself, unless the server hangs over something that was asked.
    fn drop(&mut self) {
        let driver = self.driver.clone();
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                time::sleep(FAREWELL).await;
                driver.abort();
            })),
            Err(_ending) => driver.abort(),
        }
    }
}

/// Why a connection or a statement of the start failed, without a word of the server's.
pub(crate) fn refused(error: &tokio_postgres::Error) -> OpenError {
    if let Some(state) = error.code() {
        return OpenError::Refused(state.code().to_owned());
    }
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match cause {
        // How the client says that a host is a standby.
        Some(io::ErrorKind::PermissionDenied) => OpenError::ReadOnly,
        _ if error.to_string().contains("TLS") => OpenError::Tls,
        _ => OpenError::Unreachable,
    }
}
