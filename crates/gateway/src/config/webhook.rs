//! The table `[mount.webhook]`.

use std::{ops::RangeInclusive, time::Duration};

use gateway_dialect::{Dialect, Options};
use gateway_outbound::{Endpoint, Terms};

use super::{secrets::Secrets, tables::trust};
use crate::webhook::{
    Use, Webhook,
    keys::{Keys, SECRETS},
};

const TIMEOUT_MS: RangeInclusive<i64> = 1..=60_000;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const CONCURRENT: RangeInclusive<i64> = 1..=10_000;
const DEFAULT_CONCURRENT: usize = 32;

/// What the table says; `None` where it is absent or wrong.
pub(super) fn read(
    mount: &mut Options<'_>,
    dialect: &dyn Dialect,
    request_timeout: Duration,
    secrets: &Secrets,
) -> Option<Webhook> {
    let mut options = mount.table("webhook")?;
    if !dialect.has_webhook() {
        mount.problem_at(
            options.span(),
            format!("the dialect `{}` has no validation webhook", dialect.name()),
        );
        return None;
    }
    let url = options.required_text("url");
    let allow_private = options.flag("allow_private", false);
    let endpoint = url.and_then(|url| {
        let wrong = |why| options.problem("url", format!("`url` {why}"));
        Endpoint::parse(&url, allow_private).map_err(wrong).ok()
    });
    let keys = Keys::new(&options.secrets("secret", SECRETS));
    let trust = trust(&mut options, "ca", secrets);
    let max_concurrent = options.integer("max_concurrent", CONCURRENT);
    let max_concurrent =
        max_concurrent.and_then(|many| usize::try_from(many).ok()).unwrap_or(DEFAULT_CONCURRENT);
    let usage = Use {
        budget: budget(&mut options, request_timeout),
        is_optional: options.choice("on_failure", &[("reject", false), ("allow", true)], false),
        sends_secure: options.flag("send_secure", false),
    };
    let webhook = endpoint.zip(trust).and_then(|(endpoint, trust)| {
        let wrong = |_| options.problem("ca", "the certificates of `ca` cannot be used");
        Webhook::new(Terms { endpoint, trust, max_concurrent }, keys, usage).map_err(wrong).ok()
    });
    options.finish();
    webhook
}

/// A request that is out of time has no verdict: the webhook's time must end before.
fn budget(options: &mut Options<'_>, request_timeout: Duration) -> Duration {
    let ms = options.integer("timeout_ms", TIMEOUT_MS).and_then(|ms| u64::try_from(ms).ok());
    let budget = ms.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    if budget >= request_timeout {
        let (own, whole) = (budget.as_millis(), request_timeout.as_millis());
        options.problem(
            "timeout_ms",
            format!("`timeout_ms` ({own}) must be less than `request_timeout_ms` of [server] ({whole})"),
        );
    }
    budget
}
