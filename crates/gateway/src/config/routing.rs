//! Which mount a path belongs to.

use super::MountConfig;

/// The mount with the longest prefix that the path begins with, segment by segment. A mount with a
/// host answers only there, and goes before one without at the same prefix.
#[must_use]
pub fn longest_prefix<'m, M: AsRef<MountConfig>>(
    mounts: &'m [M],
    host: Option<&str>,
    path: &str,
) -> Option<(&'m M, &'m str)> {
    let host = host.map(without_port);
    let candidates = mounts.iter().filter(|mount| match (&mount.as_ref().host, host) {
        (None, _) => true,
        (Some(own), Some(asked)) => own.eq_ignore_ascii_case(asked),
        (Some(_), None) => false,
    });
    candidates
        .flat_map(|mount| mount.as_ref().prefixes.iter().map(move |prefix| (mount, prefix.as_str())))
        .filter(|(_, prefix)| below(prefix, path).is_some())
        .max_by_key(|(mount, prefix)| (prefix.len(), mount.as_ref().host.is_some()))
}

/// What is left of a path below a prefix: nothing, or a rest that begins with `/`.
#[must_use]
pub fn below<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The host of an authority; the port behind an IPv6 address's brackets is one too.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}
