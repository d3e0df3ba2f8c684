//! `interlingua sign`: the request that a mount's client would send, as a curl command.

use std::{fmt::Write, fs, net::SocketAddr};

use clap::Args;
use gateway_auth::Presented;
use gateway_core::Timestamp;
use gateway_dialect::{Action, Naming, decode_segment};
use http::{HeaderMap, HeaderName, Method, header, uri::PathAndQuery};

use super::shell::quote;
use crate::{
    config::{
        Config, DEFAULT_PATH, MountConfig,
        routing::{below, longest_prefix},
    },
    demo,
};

/// What to sign.
#[derive(Args, Clone, Debug)]
pub struct Order {
    /// GET, POST, ...
    pub method: String,
    /// `http://host/path?query`, or `/path?query` at the listener of the configuration
    pub url: String,
    /// The client to sign as
    #[arg(long, value_name = "NAME")]
    pub client: String,
    /// The body, or @ and the file that holds it
    #[arg(long, value_name = "TEXT|@FILE", allow_hyphen_values = true)]
    pub body: Option<String>,
}

/// An absolute URL, in the parts that matter.
struct Url {
    full: String,
    /// `None` where only a target was given.
    authority: Option<String>,
    target: String,
}

/// The mount that a URL leads to.
struct Place<'c> {
    mount: &'c MountConfig,
    /// The target as the gateway will check it.
    signed: String,
    /// A `Host` to send, where the URL does not say it.
    host: Option<&'c str>,
}

/// The curl command.
///
/// # Errors
/// A sentence that says what is wrong with the order, and what there is instead.
pub fn curl(config: &Config, order: &Order, now: Timestamp) -> Result<String, String> {
    let method = method(&order.method)?;
    let url = url(&order.url, config)?;
    let place = place(&config.mounts, &url)?;
    let body = body(order.body.as_deref())?;
    let (headers, bytes) = (HeaderMap::new(), body.as_deref().unwrap_or_default());
    let request = Presented {
        method: method.as_str(),
        target: &place.signed,
        headers: &headers,
        body: bytes,
        is_read: false,
    };
    let credential = credential(&place, order, &request, now)?;

    let mut command = "curl -sS".to_owned();
    match method {
        // With -X HEAD, curl would wait for a body.
        Method::HEAD => command.push_str(" --head"),
        _ => add(&mut command, " -X", method.as_str()),
    }
    if url.full.contains(['[', ']', '{', '}']) {
        command.push_str(" --globoff");
    }
    if url.target.contains("/.") {
        command.push_str(" --path-as-is");
    }
    add(&mut command, "", &url.full);
    if let Some(host) = place.host {
        add(&mut command, " \\\n  -H", &format!("Host: {host}"));
    }
    if order.body.is_some() {
        add(&mut command, " \\\n  -H", &format!("Content-Type: {}", place.mount.dialect.media_type()));
    }
    for (name, value) in credential {
        add(&mut command, " \\\n  -H", &format!("{name}: {value}"));
    }
    if let Some(body) = &order.body {
        add(&mut command, " \\\n  --data-binary", body);
    }
    Ok(command)
}

/// The `interlingua sign` line to try on a mount: its first route that reads, for its first client.
#[must_use]
pub fn example(config: &Config, mount: &MountConfig) -> Option<String> {
    let route = mount.dialect.routes().iter().find(|route| route.action == Action::Read)?;
    let (prefix, client) = (mount.prefixes.first()?, mount.clients.first()?);
    let segment = |part: &'static str| match mount.dialect.naming() {
        _ if !part.starts_with('{') => part,
        Naming::InPath(parameter) if part.trim_matches(['{', '}']) == parameter => demo::PROJECT,
        Naming::InPath(_) => demo::EXTERNAL_ID,
        Naming::Canonical => demo::USER,
        Naming::External => "partner-user-42",
    };
    let path: Vec<_> = route.template.split('/').map(segment).collect();
    let url = format!("{}://{}{prefix}{}", config.scheme(), reachable(config.server.listen), path.join("/"));
    // A host that the URL does not name is found by the target alone.
    let url = if mount.host.is_some() { format!("{prefix}{}", path.join("/")) } else { url };
    let mut line = format!("interlingua sign GET {} --client {client}", quote(&url));
    if config.path.as_os_str() != DEFAULT_PATH {
        add(&mut line, " --config", &config.path.display().to_string());
    }
    Some(line + " | sh")
}

/// The headers that prove who calls. A client that issues tokens issues one, with all scopes, for the
/// user whom the path names.
fn credential(
    place: &Place<'_>,
    order: &Order,
    request: &Presented<'_>,
    now: Timestamp,
) -> Result<Vec<(HeaderName, String)>, String> {
    let (mount, client) = (place.mount, &order.client);
    let path = place.signed.split('?').next().unwrap_or_default();
    let user = path.rsplit('/').next().and_then(decode_segment);
    let scopes = Some(mount.dialect.scopes()).filter(|scopes| !scopes.is_empty());
    if let Some(token) = mount.authenticator.mint(client, user.as_deref(), scopes, now) {
        return Ok(vec![(header::AUTHORIZATION, format!("Bearer {token}"))]);
    }
    mount.authenticator.sign(client, request, now).ok_or_else(|| {
        if mount_has(mount, client) {
            return format!("the configuration holds only a digest of the credential of `{client}`");
        }
        let (name, known) = (&mount.name, mount.clients.join(", "));
        format!("mount `{name}` has no client `{client}`; its clients are: {known}")
    })
}

fn mount_has(mount: &MountConfig, client: &str) -> bool {
    mount.clients.iter().any(|name| **name == *client)
}

fn add(command: &mut String, flag: &str, word: &str) {
    // Writing to a string cannot fail.
    if write!(command, "{flag} {}", quote(word)).is_err() {
        command.clear();
    }
}

fn method(text: &str) -> Result<Method, String> {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let upper = text.to_ascii_uppercase();
    if upper != text && known.contains(&upper.as_str()) {
        return Err(format!("methods are in upper case; did you mean {upper}?"));
    }
    let method = known.contains(&text).then(|| Method::from_bytes(text.as_bytes()).ok()).flatten();
    method.ok_or_else(|| format!("`{text}` is none of the methods {}", known.join(", ")))
}

/// Only what curl sends as it stands, for that is what is signed.
fn url(text: &str, config: &Config) -> Result<Url, String> {
    if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains('#') {
        return Err("the URL must be plain ASCII, without blanks and without a `#`; escape them".to_owned());
    }
    if text.starts_with('/') {
        let full = format!("{}://{}{text}", config.scheme(), reachable(config.server.listen));
        return Ok(Url { full, authority: None, target: checked(text)? });
    }
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest else {
        return Err(format!(
            "`{text}` is neither an http:// or https:// URL nor a path that begins with `/`"
        ));
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    if authority.is_empty() || authority.contains('@') {
        return Err("the URL must have a host, and no user name".to_owned());
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    let (authority, target) = (authority.to_owned(), checked(&format!("{slash}{target}"))?);
    Ok(Url { full: text.to_owned(), authority: Some(authority), target })
}

fn checked(target: &str) -> Result<String, String> {
    match target.parse::<PathAndQuery>() {
        Ok(_) => Ok(target.to_owned()),
        Err(error) => Err(format!("`{target}` is no path: {error}")),
    }
}

/// The address to reach a listener by: one that listens everywhere listens on loopback too.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// Looks as the gateway would; then behind the public prefixes, as a client of the proxy would.
fn place<'c>(mounts: &'c [MountConfig], url: &Url) -> Result<Place<'c>, String> {
    let path = url.target.split('?').next().unwrap_or_default();
    let found = longest_prefix(mounts, url.authority.as_deref(), path);
    if let Some((mount, prefix)) = found {
        return Ok(Place { mount, signed: seen(mount, prefix, &url.target), host: None });
    }
    let public = mounts
        .iter()
        .find(|mount| mount.public_prefix.as_deref().is_some_and(|prefix| below(prefix, path).is_some()));
    if let Some(mount) = public {
        return Ok(Place { mount, signed: url.target.clone(), host: None });
    }
    if url.authority.is_none() {
        let mut hosts = mounts.iter().filter_map(|mount| mount.host.as_deref());
        let by_host = hosts.find_map(|host| Some((longest_prefix(mounts, Some(host), path)?, host)));
        if let Some(((mount, prefix), host)) = by_host {
            return Ok(Place { mount, signed: seen(mount, prefix, &url.target), host: Some(host) });
        }
    }
    Err(format!("no mount is at `{path}`; the prefixes are: {}", prefixes(mounts)))
}

/// A request straight to the gateway is checked as if it came through the proxy (decision 17).
fn seen(mount: &MountConfig, prefix: &str, target: &str) -> String {
    match (&mount.public_prefix, target.strip_prefix(prefix)) {
        (Some(public), Some(rest)) => format!("{public}{rest}"),
        _ => target.to_owned(),
    }
}

fn prefixes(mounts: &[MountConfig]) -> String {
    let one = |mount: &MountConfig| {
        let host = mount.host.clone().unwrap_or_default();
        let shown = |prefix: &String| format!("{host}{}", if prefix.is_empty() { "/" } else { prefix });
        mount.prefixes.iter().map(shown).collect::<Vec<_>>()
    };
    mounts.iter().flat_map(one).collect::<Vec<_>>().join(", ")
}

fn body(body: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    match body {
        None => Ok(None),
        Some("@-") => Err("the body cannot come from stdin, which sh will be reading".to_owned()),
        Some(text) => match text.strip_prefix('@') {
            Some(file) => {
                fs::read(file).map(Some).map_err(|error| format!("the body `{file}` cannot be read: {error}"))
            }
            None => Ok(Some(text.as_bytes().to_vec())),
        },
    }
}
