//! How serving ends: by a signal, or by a fault of the store. Readiness goes first.

use std::{
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    backend::{Backend, Standing},
    service::Gateway,
};

/// The store was stopped by a fault; start again (`EX_TEMPFAIL`).
const TEMPORARY: u8 = 75;
/// After a fault of the store, reads are served and `/readyz` says so for this long.
const FAULT_SHOWN: Duration = Duration::from_secs(10);
/// How often the store's health is looked at.
const HEALTH_PERIOD: Duration = Duration::from_millis(200);

/// The signals that end it. They are held back from the process from now on.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

/// What is known of the end.
#[derive(Default)]
pub(super) struct End {
    near: AtomicBool,
    fault: AtomicBool,
}

impl End {
    /// Whether no more requests should be sent here.
    pub(super) fn is_near(&self) -> bool {
        self.near.load(Ordering::Relaxed)
    }

    /// With what the process ends. A fault that nobody has looked at yet, or that closing met, is one, too.
    pub(super) fn code<S: Backend>(&self, gateway: &Gateway<S>) -> ExitCode {
        let fell = self.fault.load(Ordering::Relaxed) || gateway.store().standing() == Standing::Fallen;
        if fell { ExitCode::from(TEMPORARY) } else { ExitCode::SUCCESS }
    }
}

/// Waits for a signal, or for the store to fall; then tells `stop`.
pub(super) async fn wait<S: Backend>(
    gateway: Arc<Gateway<S>>,
    end: Arc<End>,
    stop: watch::Sender<bool>,
    mut signals: Signals,
) {
    let fault = async {
        while gateway.store().standing() != Standing::Fallen {
            tokio::time::sleep(HEALTH_PERIOD).await;
        }
        tracing::error!(
            "the store was stopped by a fault: no more writes; this process ends soon, start it again"
        );
        end.fault.store(true, Ordering::Relaxed);
        tokio::time::sleep(FAULT_SHOWN).await;
    };
    tokio::select! {
        _ = signals.terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = signals.interrupt.recv() => tracing::info!("SIGINT: stopping"),
        () = fault => {}
    }
    end.near.store(true, Ordering::Relaxed);
    stop.send_replace(true);
}
