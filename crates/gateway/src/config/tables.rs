//! The tables beside those of mounts.

use std::{net::SocketAddr, ops::RangeInclusive, path::Path, time::Duration};

use gateway_dialect::{Options, Span};
use gateway_outbound::Trust;

use super::{
    Log, LogFormat, LogLevel, Otel, Overrides, Server, StoreConfig, mounts::rate_limit, otel,
    report::Mistake, secrets::Secrets, shared, store, tls,
};
use crate::{
    forwarded::{ForwardedHeader, Network, Proxies},
    tls::Terms,
};

/// Waiting for ever is not on offer: 0 is refused.
pub(super) const TIMEOUT_MS: RangeInclusive<i64> = 1..=3_600_000;
pub(super) const BODY_BYTES: RangeInclusive<i64> = 1..=16 * 1024 * 1024;
const CONNECTIONS: RangeInclusive<i64> = 1..=1_000_000;
const REQUESTS: RangeInclusive<i64> = 1..=1_000_000;
const CONNECTION_REQUESTS: RangeInclusive<i64> = 1..=1_000_000_000;

const LISTEN: SocketAddr = loopback(8080);
const ADMIN: SocketAddr = loopback(8081);

pub(super) struct Tables {
    pub(super) server: Server,
    pub(super) tls: Option<Terms>,
    pub(super) log: Log,
    pub(super) store: StoreConfig,
    pub(super) secrets_key: Option<[u8; 32]>,
    pub(super) demo_user: bool,
    pub(super) otel: Option<Otel>,
    /// Where `listen` and `admin` stand; `None` for a flag.
    places: [Option<Span>; 2],
}

pub(super) fn read(root: &mut Options<'_>, overrides: &Overrides, secrets: &Secrets) -> Tables {
    let (server, tls, places) = server(root.table_or_empty("server"), overrides, secrets);
    let log = log(root.table_or_empty("log"));
    let (store, secrets_key) = store::read(root, overrides, secrets);
    let mut demo = root.table_or_empty("demo");
    let demo_user = demo.flag("user", false);
    demo.finish();
    let otel = otel::read(root, secrets);
    Tables { server, tls, log, store, secrets_key, demo_user, otel, places }
}

impl Tables {
    /// The mistake of a listener that is not on loopback, for a configuration that everybody knows
    /// the credentials of.
    pub(super) fn exposed(&self) -> Option<Mistake> {
        let listeners =
            [("listen", self.server.listen, &self.places[0]), ("admin", self.server.admin, &self.places[1])];
        let (name, at, place) = listeners.into_iter().find(|(_, at, _)| !at.ip().is_loopback())?;
        let why = "the demo credentials, which everybody knows, are served on loopback only; \
                   set credentials of your own, or listen on 127.0.0.1";
        Some(match place {
            Some(span) => Mistake::new(span.clone(), format!("`{name}` is not a loopback address: {why}")),
            None => Mistake::nowhere(format!("`--{name} {at}` is not a loopback address: {why}")),
        })
    }
}

fn server(
    mut options: Options<'_>,
    overrides: &Overrides,
    secrets: &Secrets,
) -> (Server, Option<Terms>, [Option<Span>; 2]) {
    let listen = address(&mut options, "listen");
    let admin = address(&mut options, "admin");
    let server = Server {
        listen: overrides.listen.or(listen).unwrap_or(LISTEN),
        admin: overrides.admin.or(admin).unwrap_or(ADMIN),
        header_timeout: timeout(&mut options, "header_timeout_ms", 10_000),
        body_timeout: timeout(&mut options, "body_timeout_ms", 15_000),
        request_timeout: timeout(&mut options, "request_timeout_ms", 10_000),
        drain_timeout: timeout(&mut options, "drain_timeout_ms", 25_000),
        max_body_bytes: size(&mut options, "max_body_bytes", BODY_BYTES).unwrap_or(1024 * 1024),
        idle_timeout: timeout(&mut options, "idle_timeout_ms", 60_000),
        write_timeout: timeout(&mut options, "write_timeout_ms", 15_000),
        max_connections: size(&mut options, "max_connections", CONNECTIONS).unwrap_or(10_000),
        max_connections_per_peer: size(&mut options, "max_connections_per_peer", CONNECTIONS).unwrap_or(256),
        max_connection_requests: options
            .integer("max_connection_requests", CONNECTION_REQUESTS)
            .and_then(|requests| u32::try_from(requests).ok())
            .unwrap_or(10_000),
        max_requests: size(&mut options, "max_requests", REQUESTS).unwrap_or(4096),
        proxies: proxies(&mut options),
        failed_auth_limit: rate_limit(&mut options, "failed_auth_limit"),
        shared_limits: shared::read(&mut options, secrets),
        watch: options.flag("watch", true),
    };
    let tls = tls::read(&mut options, secrets);
    if server.listen == server.admin && server.listen.port() != 0 {
        options.problem("admin", "`admin` is the same address as `listen`");
    }
    let places = [
        overrides.listen.is_none().then(|| options.span_of("listen")),
        overrides.admin.is_none().then(|| options.span_of("admin")),
    ];
    options.finish();
    (server, tls, places)
}

fn proxies(options: &mut Options<'_>) -> Proxies {
    let mut trusted = Vec::new();
    for (text, span) in options.texts("trusted_proxies") {
        match Network::parse(&text) {
            Ok(network) => trusted.push(network),
            Err(why) => options.problem_at(span, format!("a trusted proxy {why}")),
        }
    }
    let header = options.choice(
        "forwarded_header",
        &[("x-forwarded-for", ForwardedHeader::XForwardedFor), ("forwarded", ForwardedHeader::Forwarded)],
        ForwardedHeader::default(),
    );
    Proxies { trusted, header }
}

fn log(mut options: Options<'_>) -> Log {
    let log = Log {
        format: options.choice(
            "format",
            &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)],
            LogFormat::Pretty,
        ),
        level: options.choice(
            "level",
            &[
                ("error", LogLevel::Error),
                ("warn", LogLevel::Warn),
                ("info", LogLevel::Info),
                ("debug", LogLevel::Debug),
            ],
            LogLevel::Info,
        ),
    };
    options.finish();
    log
}

fn address(options: &mut Options<'_>, name: &'static str) -> Option<SocketAddr> {
    let text = options.text(name)?;
    let address = text.parse().ok();
    if address.is_none() {
        let message = format!(
            "`{name}` must be an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\""
        );
        options.problem(name, message);
    }
    address
}

pub(super) fn timeout(options: &mut Options<'_>, name: &'static str, default_ms: u64) -> Duration {
    let ms = options.integer(name, TIMEOUT_MS).and_then(|ms| u64::try_from(ms).ok());
    Duration::from_millis(ms.unwrap_or(default_ms))
}

pub(super) fn size(
    options: &mut Options<'_>,
    name: &'static str,
    bounds: RangeInclusive<i64>,
) -> Option<usize> {
    options.integer(name, bounds).and_then(|size| usize::try_from(size).ok())
}

/// Whose certificates a key says to believe; `None` where it is wrong.
pub(super) fn trust(options: &mut Options<'_>, key: &'static str, secrets: &Secrets) -> Option<Trust> {
    let Some(path) = options.text(key) else { return Some(Trust::public()) };
    let read = secrets
        .public_file(Path::new(&path))
        .and_then(|pem| Trust::private(&pem).map_err(|why| format!("the file of `{key}` {why}")));
    read.map_err(|why| options.problem(key, why)).ok()
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port))
}
