//! Path prefixes and hosts, as a mount may have them.

use gateway_dialect::Options;

/// A prefix without its trailing slash; `/` alone is empty.
pub(super) fn parse(text: &str) -> Result<String, String> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err("a prefix must begin with `/`".to_owned());
    };
    if rest.is_empty() {
        return Ok(String::new());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    for segment in rest.split('/') {
        match segment {
            "" => return Err("a prefix has no empty segments".to_owned()),
            "." | ".." => return Err(format!("a prefix has no `{segment}` segments")),
            _ => {}
        }
        if let Some(odd) = segment.chars().find(|c| !is_path_char(*c)) {
            return Err(format!("a prefix may not contain `{}`", odd.escape_default()));
        }
    }
    Ok(format!("/{rest}"))
}

/// A character of a path that stands for itself (RFC 3986, 3.3).
fn is_path_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(c)
}

/// A host name or address, in lower case.
pub(super) fn host(options: &mut Options<'_>, name: &'static str) -> Option<String> {
    let host = options.text(name)?.to_ascii_lowercase();
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if plain || bracketed.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()) {
        return Some(host);
    }
    options.problem(name, format!("`{name}` must be a host name or an address, without a port"));
    // Still a claim: two mounts are not at the same place because one's host is misspelt.
    Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_normalised() {
        for (text, prefix) in
            [("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a/v1", "/a/v1"), ("/a.b~c", "/a.b~c")]
        {
            assert_eq!(parse(text).as_deref(), Ok(prefix));
        }
        for bad in
            ["", "a", "//", "/a//b", "/a//", "/./a", "/a/..", "/a%20", "/a?b", "/a#b", "/a b", "/é", "/a\n"]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
