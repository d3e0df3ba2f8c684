//! The table `[otel]`.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use gateway_dialect::Options;
use gateway_outbound::{Client, Endpoint, Terms};
use http::{HeaderName, HeaderValue, header};

use super::{Otel, secrets::Secrets, tables::trust};

const TIMEOUT_MS: RangeInclusive<i64> = 1..=60_000;
const INTERVAL_MS: RangeInclusive<i64> = 1..=60_000;
const QUEUE: RangeInclusive<i64> = 1..=1_000_000;

/// What a header of the configuration must not be: these are the exporter's own.
const OWN: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

/// What the table says; `None` where it is absent or wrong.
pub(super) fn read(root: &mut Options<'_>, secrets: &Secrets) -> Option<Otel> {
    let mut options = root.table("otel")?;
    let endpoint = endpoint(&mut options);
    let trust = trust(&mut options, "ca", secrets);
    let headers = options.tables("header").into_iter().filter_map(header).collect();
    let mut ms = |name, bounds, default| {
        let ms = options.integer(name, bounds).and_then(|ms| u64::try_from(ms).ok());
        Duration::from_millis(ms.unwrap_or(default))
    };
    let (timeout, interval) = (ms("timeout_ms", TIMEOUT_MS, 10_000), ms("interval_ms", INTERVAL_MS, 5_000));
    let max_queue = options.integer("max_queue_spans", QUEUE).and_then(|spans| usize::try_from(spans).ok());
    let sample_ratio = options.share("sample_ratio").unwrap_or(1.0);
    let service_name = service_name(&mut options);
    let client = endpoint.zip(trust).and_then(|(endpoint, trust)| {
        let wrong = |_| options.problem("ca", "the certificates of `ca` cannot be used");
        Client::new(Terms { endpoint, trust, max_concurrent: 1 }).map_err(wrong).ok()
    });
    options.finish();
    Some(Otel {
        client: Arc::new(client?),
        headers,
        service_name,
        sample_ratio,
        timeout,
        interval,
        max_queue: max_queue.unwrap_or(8192),
    })
}

/// A collector is a server of one's own, and mostly at a private address. Where no path is given, it is
/// the one of the specification (OTLP/HTTP).
fn endpoint(options: &mut Options<'_>) -> Option<Endpoint> {
    let url = options.required_text("endpoint")?;
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let whole = match rest.find(['/', '?', '#']) {
        None => format!("{url}/v1/traces"),
        Some(at) if &rest[at..] == "/" => format!("{url}v1/traces"),
        Some(_) => url,
    };
    let wrong = |why| options.problem("endpoint", format!("`endpoint` {why}"));
    Endpoint::parse(&whole, true).map_err(wrong).ok()
}

/// A header by its name and a reference to its value.
fn header(mut options: Options<'_>) -> Option<(HeaderName, HeaderValue)> {
    let name = options.required_text("name");
    let name = name.and_then(|name| {
        let name: Option<HeaderName> = name.parse().ok().filter(|name| !OWN.contains(name));
        if name.is_none() {
            options
                .problem("name", "`name` must be the name of a header that the exporter does not set itself");
        }
        name
    });
    let value = options.secrets("secret", 1).pop().and_then(|secret| {
        let mut value = HeaderValue::from_bytes(secret.expose()).ok();
        match &mut value {
            Some(value) => value.set_sensitive(true),
            None => options.problem("secret", "what `secret` refers to cannot be the value of a header"),
        }
        value
    });
    options.finish();
    name.zip(value)
}

fn service_name(options: &mut Options<'_>) -> String {
    let name = options.text("service_name").unwrap_or_else(|| "interlingua".to_owned());
    if name.is_empty() || name.len() > 255 || name.contains(char::is_control) {
        options.problem("service_name", "`service_name` must be a line of 1 to 255 bytes");
    }
    name
}
