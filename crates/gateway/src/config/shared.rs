//! The table `[server.shared_limits]`.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use gateway_dialect::Options;
use gateway_limits::Server;
use gateway_outbound::Trust;

use super::{SharedLimits, secrets::Secrets};

const TIMEOUT_MS: RangeInclusive<i64> = 1..=1_000;

/// What the table says; `None` where it is absent or wrong.
pub(super) fn read(server: &mut Options<'_>, secrets: &Secrets) -> Option<SharedLimits> {
    let mut options = server.table("shared_limits")?;
    if !options.has("url") {
        options.problem_at(options.span(), "`url` is missing");
    }
    let url = options.secret("url");
    let trust = trust(&mut options, secrets);
    let ms = options.integer("timeout_ms", TIMEOUT_MS).and_then(|ms| u64::try_from(ms).ok());
    let server = url.zip(trust).and_then(|(url, trust)| {
        let url = std::str::from_utf8(url.expose()).unwrap_or_default();
        let server = Server::parse(url, trust);
        server.map_err(|why| options.problem("url", format!("what `url` refers to {why}"))).ok()
    });
    options.finish();
    Some(SharedLimits { server: server?, timeout: Duration::from_millis(ms.unwrap_or(50)) })
}

/// Whose certificates are believed: those that `ca` names, else the public issuers.
pub(super) fn trust(options: &mut Options<'_>, secrets: &Secrets) -> Option<Trust> {
    let Some(path) = options.text("ca") else { return Some(Trust::public()) };
    let read = secrets
        .public_file(Path::new(&path))
        .and_then(|pem| Trust::private(&pem).map_err(|why| format!("the file of `ca` {why}")));
    read.map_err(|why| options.problem("ca", why)).ok()
}
