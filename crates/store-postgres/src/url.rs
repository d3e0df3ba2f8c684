//! The URL: what libpq reads, with the parts that the client leaves to us.

use std::{path::PathBuf, time::Duration};

use tokio_postgres::{
    Config,
    config::{SslMode, TargetSessionAttrs},
};

use crate::error::OpenError;

/// A peer that stopped to acknowledge is given up after so long: its host may have lost its power.
const PEER_TIMEOUT: Duration = Duration::from_secs(5);

/// What of the server's certificate is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verify {
    /// Nothing: whoever is on the way can read along. Only against listeners.
    Nothing,
    /// That a root vouches for it, for whatever name.
    Chain,
    /// That, and its name.
    Full,
}

/// A URL as read.
pub(crate) struct Target {
    /// For each host by itself: one that hangs must not keep us from the next.
    pub(crate) hosts: Vec<Config>,
    pub(crate) verify: Verify,
    /// A file of root certificates; without one the public issuers count.
    pub(crate) roots: Option<PathBuf>,
}

/// Reads a URL. Errors never hold any of it.
pub(crate) fn parse(url: &str, connect_timeout: Duration) -> Result<Target, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Url("it must begin with postgres:// or postgresql://"));
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
    for part in query.split('&').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => roots = Some(decode(value)?),
            _ => rest.push(part),
        }
    }
    let is_system = roots.as_deref() == Some("system");
    let roots = roots.filter(|_| !is_system);
    // As libpq has it: whom the public issuers vouch for is told by name alone.
    let (ssl, verify) = match (mode.unwrap_or(if is_system { "verify-full" } else { "prefer" }), &roots) {
        ("disable" | "prefer" | "require" | "verify-ca", _) if is_system => {
            return Err(OpenError::Url("sslrootcert=system goes with sslmode=verify-full"));
        }
        ("disable", _) => (SslMode::Disable, Verify::Nothing),
        ("prefer", _) => (SslMode::Prefer, Verify::Nothing),
        ("require", None) => (SslMode::Require, Verify::Nothing),
        // As libpq has it: roots that are given are used.
        ("require", Some(_)) | ("verify-ca", _) => (SslMode::Require, Verify::Chain),
        ("verify-full", _) => (SslMode::Require, Verify::Full),
        _ => {
            return Err(OpenError::Url(
                "sslmode is none of disable, prefer, require, verify-ca, verify-full",
            ));
        }
    };
    let hosts = each_host(base)
        .into_iter()
        .map(|base| config(&base, &rest.join("&"), ssl, connect_timeout))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Target { hosts, verify, roots: roots.map(PathBuf::from) })
}

/// The URL without its query, once for each host that it names before its path.
fn each_host(base: &str) -> Vec<String> {
    let Some((scheme, rest)) = base.split_once("://") else {
        return vec![base.to_owned()];
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    hosts.split(',').map(|host| format!("{scheme}://{user}{host}{path}")).collect()
}

fn config(base: &str, query: &str, ssl: SslMode, connect_timeout: Duration) -> Result<Config, OpenError> {
    let plain = if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") };
    // The client's error may repeat a part of the URL.
    let mut config =
        plain.parse::<Config>().or(Err(OpenError::Url("it is malformed, or has an unknown parameter")))?;
    if config.get_hosts().is_empty() {
        return Err(OpenError::Url("it names no host"));
    }
    config.ssl_mode(ssl).target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(connect_timeout);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(PEER_TIMEOUT).keepalives_idle(PEER_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("interlingua");
    }
    Ok(config)
}

fn decode(value: &str) -> Result<String, OpenError> {
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8();
    decoded.map(String::from).or(Err(OpenError::Url("sslrootcert is no path")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    fn read(url: &str) -> Target {
        parse(url, Duration::from_secs(2)).unwrap()
    }

    #[test]
    fn sslmode_says_what_is_verified() {
        for (query, ssl, verify) in [
            ("", SslMode::Prefer, Verify::Nothing),
            ("?sslmode=disable", SslMode::Disable, Verify::Nothing),
            ("?sslmode=require", SslMode::Require, Verify::Nothing),
            ("?sslmode=require&sslrootcert=/a%20b", SslMode::Require, Verify::Chain),
            ("?sslmode=verify-ca", SslMode::Require, Verify::Chain),
            (
                "?a=b&sslmode=verify-full".replace("a=b", "connect_timeout=3").as_str(),
                SslMode::Require,
                Verify::Full,
            ),
        ] {
            let target = read(&format!("postgres://u:p@h/db{query}"));
            assert_eq!((target.hosts[0].get_ssl_mode(), target.verify), (ssl, verify), "{query}");
        }
        let path = read("postgres://h/db?sslmode=require&sslrootcert=/a%20b").roots;
        assert_eq!(path, Some(PathBuf::from("/a b")));
        for full in ["?sslmode=verify-full&sslrootcert=system", "?sslrootcert=system"] {
            let target = read(&format!("postgres://h/db{full}"));
            assert_eq!((target.roots, target.verify), (None, Verify::Full), "{full}");
            assert_eq!(target.hosts[0].get_ssl_mode(), SslMode::Require, "{full}");
        }
        for weak in ["disable", "prefer", "require", "verify-ca"] {
            let url = format!("postgres://h/db?sslrootcert=system&sslmode={weak}");
            assert!(parse(&url, Duration::from_secs(2)).is_err(), "{weak}");
        }
    }

    #[test]
    fn every_host_is_asked_for_one_that_takes_writes() {
        let target = read("postgresql://u:a%40b@one:1,two:2/db?target_session_attrs=any");
        let hosts: Vec<_> = target.hosts.iter().map(|host| (host.get_hosts(), host.get_ports())).collect();
        let host = |name: &str| [Host::Tcp(name.into())];
        assert_eq!(hosts, [(&host("one")[..], &[1][..]), (&host("two")[..], &[2][..])]);
        for host in &target.hosts {
            assert_eq!(host.get_password(), Some(&b"a@b"[..]));
            assert_eq!(host.get_dbname(), Some("db"));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
        let socket = read("postgres:///db?host=/run/a&user=u");
        assert_eq!(socket.hosts[0].get_hosts(), [Host::Unix("/run/a".into())]);
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_repeated() {
        for url in [
            "",
            "secret",
            "http://secret",
            "postgres://secret:secret@h:port/db",
            "postgres:///db?secret=1",
            "postgres://h/db?sslmode=secret",
            "postgres:///db",
        ] {
            let Err(error) = parse(url, Duration::from_secs(2)) else { panic!("{url}") };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
