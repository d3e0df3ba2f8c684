//! A client's requests, counted for all gateways at once in a Valkey or Redis: one script, one round trip.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use redis::{Script, aio::MultiplexedConnection};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{Rate, Server, Standing, server::Driver};

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(2);
/// How long after a loss it is tried again, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A connection that was good for so long was no mistake.
const STEADY: Duration = Duration::from_secs(10);

/// Counts with other gateways. While the server is out of reach it counts nothing, and nobody waits for it.
pub struct Shared {
    server: Server,
    deadline: Duration,
    script: Script,
    link: ArcSwapOption<Link>,
}

/// A connection, until somebody finds it lost.
struct Link {
    connection: MultiplexedConnection,
    lost: Notify,
}

impl Shared {
    /// Over a server, which a request waits for so long at most.
    #[must_use]
    pub fn new(server: Server, deadline: Duration) -> Self {
        let script = Script::new(include_str!("bucket.lua"));
        Self { server, deadline, script, link: ArcSwapOption::empty() }
    }

    /// Whether the server is within reach, as far as is known.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link.load().is_some()
    }

    /// Counts a request under a key; `None` where that was not possible, or took too long.
    pub async fn take(&self, key: &str, rate: Rate) -> Option<Standing> {
        let link = self.link.load_full()?;
        let mut connection = link.connection.clone();
        let (interval, window) = (micros(rate.interval_nanos()), micros(rate.window_nanos()));
        let mut call = self.script.key(key);
        let call = call.arg(interval).arg(window);
        match timeout(self.deadline, call.invoke_async::<(u8, u64)>(&mut connection)).await {
            Ok(Ok((is_over, debt))) => Some(Standing::of(rate, debt.saturating_mul(1_000), is_over == 1)),
            Ok(Err(_)) | Err(_) => {
                link.lost.notify_one();
                None
            }
        }
    }

    /// Keeps the server within reach, for ever; what it finds is told once.
    pub async fn keep(&self) {
        let (mut pause, mut told) = (PAUSES.0, false);
        loop {
            let opened = timeout(CONNECT, self.open()).await.unwrap_or(Err("timeout"));
            let cause = match opened {
                Ok((link, driver)) => {
                    tracing::info!("rate limits are shared");
                    let begun = Instant::now();
                    let cause = self.hold(Arc::new(link), driver).await;
                    told = false;
                    if begun.elapsed() > STEADY {
                        pause = PAUSES.0;
                    }
                    cause
                }
                Err(cause) => cause,
            };
            if !told {
                tracing::warn!(
                    cause,
                    "the server of shared limits is out of reach: each gateway counts by itself"
                );
                told = true;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// A connection with the script in it.
    async fn open(&self) -> Result<(Link, Driver), &'static str> {
        let (mut connection, mut driver) = self.server.connect().await?;
        let loaded = tokio::select! {
            loaded = self.script.load_async(&mut connection) => loaded.ok().ok_or("refused"),
            () = &mut driver => Err("closed"),
        };
        loaded.map(|_hash| (Link { connection, lost: Notify::new() }, driver))
    }

    /// Serves a connection until it is lost.
    async fn hold(&self, link: Arc<Link>, driver: Driver) -> &'static str {
        self.link.store(Some(Arc::clone(&link)));
        let cause = tokio::select! {
            () = driver => "closed",
            () = link.lost.notified() => "no_answer",
        };
        self.link.store(None);
        cause
    }
}

/// Microseconds, with what there is of one.
#[expect(clippy::cast_precision_loss, reason = "a rate's interval to 15 digits will do")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}
