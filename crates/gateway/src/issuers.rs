//! Other servers that issue tokens: their keys are kept fresh, waited for at the start, and counted.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gateway_auth::{Fetched, Introspected, Outside};
use gateway_core::{Timestamp, UserStore};

use crate::{clock, live::Live, service::Gateway};

/// How often it is looked whether a fetch is due.
const PERIOD: Duration = Duration::from_millis(250);

/// Begins the fetches that are due, for ever.
pub(crate) async fn keep<S: UserStore>(gateway: Arc<Gateway<S>>) {
    loop {
        tend(&gateway.live(), clock::now());
        tokio::time::sleep(PERIOD).await;
    }
}

/// Begins the fetches that are due.
pub fn tend(live: &Live, now: Timestamp) {
    outsides(live).for_each(|(_, outside)| outside.tend(now));
}

/// Waits for the fetches that are under way.
pub async fn settled(live: &Live) {
    for keys in outsides(live).flat_map(|(_, outside)| &outside.keys) {
        keys.settled().await;
    }
}

/// Whether every issuer's keys have been there since the start. Once they were, an issuer that is away
/// is its mount's trouble, and no reason to take the others from their clients.
#[derive(Default)]
pub(crate) struct Readiness(AtomicBool);

impl Readiness {
    /// # Errors
    /// The mount that lacks some.
    pub(crate) fn check(&self, live: &Live, now: Timestamp) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some((mount, _)) = outsides(live).find(|(_, outside)| !outside.is_ready(now)) {
            return Err(format!("mount {mount} has no keys of an issuer yet"));
        }
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn outsides(live: &Live) -> impl Iterator<Item = (&str, &Outside)> {
    let configs = live.mounts().iter().map(|mount| &mount.config);
    configs.filter_map(|config| Some((&*config.name, config.authenticator.outside()?)))
}

/// The figures in the Prometheus text format.
#[must_use]
pub fn render(live: &Live, now: Timestamp) -> String {
    let (mut fetches, mut ages, mut introspections) = (String::new(), String::new(), String::new());
    for (mount, outside) in outsides(live) {
        for keys in &outside.keys {
            let labels = format!("mount=\"{mount}\",client=\"{}\"", keys.name());
            for fetched in Fetched::ALL {
                let (outcome, count) = (fetched.as_str(), keys.count(fetched));
                line(&mut fetches, format_args!("{FETCHES}{{{labels},outcome=\"{outcome}\"}} {count}"));
            }
            if let Some(age) = keys.age(now) {
                line(&mut ages, format_args!("{AGE}{{{labels}}} {}", age.whole_seconds()));
            }
        }
        for introspected in outside.introspector.iter().flat_map(|_| Introspected::ALL) {
            let count = outside.introspector.as_ref().map_or(0, |one| one.count(introspected));
            let outcome = introspected.as_str();
            line(
                &mut introspections,
                format_args!("{INTROSPECTIONS}{{mount=\"{mount}\",outcome=\"{outcome}\"}} {count}"),
            );
        }
    }
    [
        (FETCHES, "counter", "Fetches of issuers' keys.", fetches),
        (AGE, "gauge", "The age of the keys that are used.", ages),
        (INTROSPECTIONS, "counter", "Questions to issuers about tokens.", introspections),
    ]
    .into_iter()
    .filter(|(.., lines)| !lines.is_empty())
    .map(|(name, kind, help, lines)| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}"))
    .collect()
}

const FETCHES: &str = "interlingua_jwks_fetches_total";
const AGE: &str = "interlingua_jwks_age_seconds";
const INTROSPECTIONS: &str = "interlingua_introspections_total";

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "{arguments}");
}
