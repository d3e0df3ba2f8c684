//! The table `[store]`: which kind it is, and the table of that kind.

use std::{fmt, ops::RangeInclusive, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use gateway_dialect::{Options, Secret};
use gateway_outbound::Terms;
use store_upstream::{Form, Vocabulary};

use super::{
    Overrides,
    secrets::Secrets,
    tables::{size, timeout},
    upstream,
};

/// Where users live.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// In a directory of this machine.
    Embedded(Embedded),
    /// In a PostgreSQL, which other gateways may share.
    Postgres(Postgres),
    /// In another service; the ledger is beside it.
    Upstream(Box<Upstream>, Ledger),
}

/// Where the ledger is, where users are in another service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ledger {
    /// In a directory of this machine: of this gateway alone.
    Embedded(Embedded),
    /// In a PostgreSQL, which other gateways may share.
    Postgres(Postgres),
}

/// A directory of this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Embedded {
    /// The directory.
    pub path: PathBuf,
    /// How much memory the cache may take.
    pub cache_bytes: u64,
    /// Seals the fields that are never shown.
    pub encryption_key: Option<[u8; 32]>,
}

/// A service that keeps the users, and how it is called.
#[derive(Clone, PartialEq)]
pub struct Upstream {
    /// Where it is, and who is believed there.
    pub terms: Terms,
    /// What it is told about who asks: a secret.
    pub authorization: Option<http::HeaderValue>,
    /// How long a call may take.
    pub timeout: Duration,
    /// In which form users are exchanged.
    pub form: Form,
    /// Whether it answers a repeated request with the answer that it gave.
    pub honours_keys: bool,
    /// How much memory users may take that were read or written lately.
    pub cache_bytes: u64,
    /// How it speaks about users.
    pub vocabulary: Vocabulary,
}

// `Vocabulary` compares whole.
impl Eq for Upstream {}

/// A PostgreSQL, and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Where it is, and who may enter: a secret.
    pub url: String,
    /// Connections for commits.
    pub commit_connections: usize,
    /// Connections for reads.
    pub read_connections: usize,
    /// Whether commits that come at once share a statement.
    pub coalesce: bool,
    /// How old a read may be; `None` for not at all.
    pub max_stale: Option<Duration>,
    /// How much memory users may take that were read lately, where reads may be old.
    pub cache_bytes: u64,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long a request waits for a connection.
    pub wait_timeout: Duration,
    /// How long the answer to a statement may take.
    pub statement_timeout: Duration,
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(embedded) => embedded.fmt(f),
            Self::Postgres(postgres) => postgres.fmt(f),
            Self::Upstream(upstream, ledger) => {
                f.debug_tuple("Upstream").field(upstream).field(ledger).finish()
            }
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("terms", &self.terms)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("path", &self.path)
            .field("cache_bytes", &self.cache_bytes)
            .field("encrypted", &self.encryption_key.is_some())
            .finish()
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("coalesce", &self.coalesce)
            .field("max_stale", &self.max_stale)
            .finish_non_exhaustive()
    }
}

const CACHE_BYTES: RangeInclusive<i64> = 64 * 1024..=64 * 1024 * 1024 * 1024;
const CONNECTIONS: RangeInclusive<i64> = 1..=1_000;
/// 0 is off.
const STALE_MS: RangeInclusive<i64> = 0..=60_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Embedded,
    Postgres,
    Upstream,
}

/// Each by its name, which is also that of its table.
const KINDS: [(&str, Kind); 3] =
    [("embedded", Kind::Embedded), ("postgres", Kind::Postgres), ("upstream", Kind::Upstream)];

pub(super) fn read(
    root: &mut Options<'_>,
    overrides: &Overrides,
    secrets: &Secrets,
) -> (StoreConfig, Option<[u8; 32]>) {
    let mut options = root.table_or_empty("store");
    let kind = options.choice("kind", &KINDS, Kind::Embedded);
    let secrets_key = key(&mut options, "secrets_key");
    let upstream = (kind == Kind::Upstream).then(|| upstream::read(&mut options, secrets));
    // A service that keeps users has its ledger in one of the other two.
    let own = upstream.as_ref().map_or(
        kind,
        |(_, is_shared)| {
            if *is_shared { Kind::Postgres } else { Kind::Embedded }
        },
    );
    for (name, other) in KINDS.iter().filter(|(_, other)| ![kind, own].contains(other)) {
        if options.table(name).is_some() {
            let used = KINDS.iter().find(|(_, used)| *used == kind).map_or("", |(name, _)| name);
            let why = match other {
                _ if kind != Kind::Upstream => format!("since `kind` is \"{used}\""),
                _ => "since the `ledger` of `[store.upstream]` is another".to_owned(),
            };
            options.problem(name, format!("`[store.{name}]` has no effect, {why}"));
        }
    }
    if own == Kind::Postgres && overrides.data.is_some() {
        options.problem("kind", "`kind` is \"postgres\", which has no directory for `--data`");
    }
    let ledger = match own {
        Kind::Postgres => Ledger::Postgres(postgres(options.table_or_empty("postgres"))),
        _ => Ledger::Embedded(embedded(options.table_or_empty("embedded"), overrides)),
    };
    options.finish();
    let store = match (upstream, ledger) {
        (Some((Some(upstream), _)), ledger) => StoreConfig::Upstream(Box::new(upstream), ledger),
        (_, Ledger::Embedded(embedded)) => StoreConfig::Embedded(embedded),
        (_, Ledger::Postgres(postgres)) => StoreConfig::Postgres(postgres),
    };
    (store, secrets_key)
}

fn embedded(mut options: Options<'_>, overrides: &Overrides) -> Embedded {
    let path = options.text("path");
    if path.as_deref().is_some_and(str::is_empty) {
        options.problem("path", "`path` is empty");
    }
    let path = overrides.data.clone().or(path.map(PathBuf::from));
    let embedded = Embedded {
        path: path.unwrap_or_else(|| PathBuf::from("data")),
        cache_bytes: cache_bytes(&mut options),
        encryption_key: key(&mut options, "encryption_key"),
    };
    options.finish();
    embedded
}

fn postgres(mut options: Options<'_>) -> Postgres {
    let stale = options.integer("max_stale_ms", STALE_MS).and_then(|ms| u64::try_from(ms).ok());
    let store = Postgres {
        url: url(&mut options),
        commit_connections: size(&mut options, "commit_connections", CONNECTIONS).unwrap_or(2),
        read_connections: size(&mut options, "read_connections", CONNECTIONS).unwrap_or(2),
        coalesce: options.flag("coalesce", true),
        max_stale: stale.filter(|ms| *ms > 0).map(Duration::from_millis),
        cache_bytes: cache_bytes(&mut options),
        connect_timeout: timeout(&mut options, "connect_timeout_ms", 2_000),
        wait_timeout: timeout(&mut options, "wait_timeout_ms", 2_000),
        statement_timeout: timeout(&mut options, "statement_timeout_ms", 5_000),
    };
    options.finish();
    store
}

/// The URL, of which nothing is ever shown.
fn url(options: &mut Options<'_>) -> String {
    let Some(secret) = options.secrets("url", 1).pop() else { return String::new() };
    let url = String::from_utf8_lossy(secret.expose()).into_owned();
    if let Err(why) = store_postgres::check_url(&url) {
        options.problem("url", format!("the URL cannot be used: {why}"));
    }
    url
}

pub(super) fn cache_bytes(options: &mut Options<'_>) -> u64 {
    let bytes = options.integer("cache_bytes", CACHE_BYTES).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.unwrap_or(64 * 1024 * 1024)
}

/// A key of 32 bytes, by reference.
fn key(options: &mut Options<'_>, name: &'static str) -> Option<[u8; 32]> {
    let secret = options.secret(name)?;
    let key = key_bytes(&secret);
    if key.is_none() {
        options.problem(name, format!("`{name}` must be 32 bytes, as 64 hex digits or in base64"));
    }
    key
}

fn key_bytes(secret: &Secret) -> Option<[u8; 32]> {
    let text = secret.expose();
    if text.len() != 64 {
        return STANDARD.decode(text).ok()?.try_into().ok();
    }
    let mut key = [0; 32];
    for (byte, digits) in key.iter_mut().zip(text.chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hex_or_base64() {
        let key = |text: &str| key_bytes(&Secret::new(text.into(), false));
        assert_eq!(key(&"0A".repeat(32)), Some([10; 32]));
        assert_eq!(key("CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo="), Some([10; 32]));
        for bad in ["", "0a", &"0a".repeat(31), &"+a".repeat(32), &"zz".repeat(32), &"é".repeat(32), "CgoK"]
        {
            assert_eq!(key(bad), None, "{bad}");
        }
    }
}
