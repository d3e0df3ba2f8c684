//! A checked URL: what may be called at all.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use http::{HeaderValue, Method, Uri, uri::PathAndQuery};

use crate::{
    is_special,
    trace::{Child, Kind, Value, method_names},
};

/// Where calls go: `http` or `https`, a host, a port, a path.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) is_tls: bool,
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) target: PathAndQuery,
    /// What stands in `Host`.
    pub(crate) authority: HeaderValue,
    pub(crate) allow_private: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why a URL is not one to call. `Display` is a sentence that goes on from the URL's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadUrl {
    /// Not a URL with a host.
    NotUrl,
    /// Neither `http` nor `https`.
    Scheme,
    /// A name or a password before the host.
    UserInfo,
    /// A fragment.
    Fragment,
    /// A host that is neither a plain name nor an address in its usual spelling.
    Host,
    /// An address that is not called unless it is allowed.
    Private,
}

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUrl => "is not an absolute URL",
            Self::Scheme => "must begin with https:// or http://",
            Self::UserInfo => "must not hold a user name or password",
            Self::Fragment => "must not have a fragment",
            Self::Host => "must have a plain host: a name, or an address in its usual spelling",
            Self::Private => "is at a private or special address; that needs `allow_private = true`",
        })
    }
}

impl Endpoint {
    /// Checks a URL. A host that is an address is judged here, one that is a name at every call.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn parse(url: &str, allow_private: bool) -> Result<Self, BadUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(BadUrl::NotUrl)?;
        let is_tls = match &*scheme.to_ascii_lowercase() {
            "https" => true,
            "http" => false,
            _ => return Err(BadUrl::Scheme),
        };
        // Everything else reads a `\` as it likes.
        if !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(BadUrl::NotUrl);
        }
        if url.contains('#') {
            return Err(BadUrl::Fragment);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(BadUrl::UserInfo);
        }
        let uri: Uri = url.parse().ok().ok_or(BadUrl::NotUrl)?;
        let named = uri.authority().ok_or(BadUrl::NotUrl)?;
        let after_host = authority.strip_prefix(named.host()).ok_or(BadUrl::NotUrl)?;
        let port = match after_host.strip_prefix(':') {
            None if after_host.is_empty() => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            None => return Err(BadUrl::NotUrl),
            Some(_) => named.port_u16().filter(|port| *port != 0).ok_or(BadUrl::NotUrl)?,
        };
        let host = Host::parse(named.host())?;
        if host.is_private() && !allow_private {
            return Err(BadUrl::Private);
        }
        let target = match uri.path_and_query() {
            Some(target) if target.as_str().starts_with('/') => target.clone(),
            Some(query) => query.to_string().parse().ok().ok_or(BadUrl::NotUrl)?,
            None => PathAndQuery::from_static("/"),
        };
        let authority = HeaderValue::from_str(authority).ok().ok_or(BadUrl::NotUrl)?;
        Ok(Self { is_tls, host, port, target, authority, allow_private })
    }

    /// True for `https`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Its path and query.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target.as_str()
    }

    /// Scheme, host and port, as they were written: without the path, which may hold a secret.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", String::from_utf8_lossy(self.authority.as_bytes()))
    }

    /// True where it says more than a path.
    #[must_use]
    pub fn has_query(&self) -> bool {
        self.target.query().is_some()
    }

    /// True where private and special addresses are called.
    #[must_use]
    pub const fn allows_private(&self) -> bool {
        self.allow_private
    }

    /// Begins the span of a call to it, where one is made for a request that is traced. To be written into
    /// what is sent; the path is not in it, since that may hold a secret.
    #[must_use]
    pub fn span(&self, method: &Method) -> Option<Child> {
        let (method, shown) = method_names(method);
        let mut child = Child::begin(Kind::Client, shown)?;
        if child.is_recorded() {
            child.note("http.request.method", Value::Text(method.into()));
            child.note("server.address", Value::Text(self.host.to_string().into()));
            child.note("server.port", Value::Number(self.port.into()));
        }
        Some(child)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, BadUrl> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(BadUrl::Host)?;
            let address = inner.parse::<Ipv6Addr>().ok().ok_or(BadUrl::Host)?;
            return Ok(Self::Address(address.into()));
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if text.len() > 253 || !text.split('.').all(is_label) {
            return Err(BadUrl::Host);
        }
        // What ends in a number is an address to many readers, in many spellings: one is taken.
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_number =
            last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
        if is_number {
            return text
                .parse::<Ipv4Addr>()
                .map(|address| Self::Address(address.into()))
                .ok()
                .ok_or(BadUrl::Host);
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }

    /// True where it shows without asking a name server.
    fn is_private(&self) -> bool {
        match self {
            Self::Address(address) => is_special(*address),
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

/// Without the path: it may hold a secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("is_tls", &self.is_tls)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(url: &str) -> BadUrl {
        Endpoint::parse(url, false).expect_err(url)
    }

    #[test]
    fn a_plain_url_is_taken_apart() {
        let endpoint = Endpoint::parse("https://Hooks.example.com/a/b?c=d", false).unwrap();
        assert!(endpoint.is_tls());
        assert_eq!(endpoint.host, Host::Name("hooks.example.com".to_owned()));
        assert_eq!((endpoint.port, endpoint.target.as_str()), (443, "/a/b?c=d"));
        assert_eq!(endpoint.authority, "Hooks.example.com");
        let plain = Endpoint::parse("http://1.1.1.1:8080", false).unwrap();
        assert_eq!((plain.port, plain.target.as_str(), plain.is_tls()), (8080, "/", false));
        let bare = Endpoint::parse("http://example.com?x", false).unwrap();
        assert_eq!(bare.target.as_str(), "/?x");
        assert!(Endpoint::parse("https://[2606:4700::1111]:8443/x", false).is_ok());
        assert!(!format!("{endpoint:?}").contains("c=d"));
    }

    #[test]
    fn private_hosts_need_to_be_allowed() {
        for url in [
            "http://127.0.0.1",
            "http://0.0.0.0",
            "http://[::1]:80/",
            "http://[::ffff:127.0.0.1]",
            "http://[fd00:ec2::254]",
            "http://100.64.0.1",
            "http://169.254.169.254/latest",
            "http://localhost/",
            "http://LOCALHOST:99/",
            "http://a.localhost",
            "http://[64:ff9b::7f00:1]",
            "https://10.1.2.3/",
        ] {
            assert_eq!(bad(url), BadUrl::Private, "{url}");
            assert!(Endpoint::parse(url, true).is_ok(), "{url}");
        }
    }

    #[test]
    fn odd_urls_are_refused_even_where_private_ones_are_allowed() {
        for (url, why) in [
            ("", BadUrl::NotUrl),
            ("/hook", BadUrl::NotUrl),
            ("example.com/hook", BadUrl::NotUrl),
            ("https://", BadUrl::NotUrl),
            ("https:///path", BadUrl::NotUrl),
            ("file:///etc/passwd", BadUrl::Scheme),
            ("gopher://x", BadUrl::Scheme),
            ("http://user@h@127.0.0.1", BadUrl::UserInfo),
            ("https://user:word@example.com/", BadUrl::UserInfo),
            ("http://h\\\\@127.0.0.1", BadUrl::NotUrl),
            ("http://example.com\\@127.0.0.1/", BadUrl::NotUrl),
            ("https://example.com/#x", BadUrl::Fragment),
            ("https://exa mple.com/", BadUrl::NotUrl),
            ("https://ex\u{e4}mple.com/", BadUrl::NotUrl),
            ("http://0x7f000001", BadUrl::Host),
            ("http://0x7f.1", BadUrl::Host),
            ("http://017700000001", BadUrl::Host),
            ("http://2130706433/", BadUrl::Host),
            ("http://127.1/", BadUrl::Host),
            ("http://0177.0.0.1/", BadUrl::Host),
            ("http://localhost.", BadUrl::Host),
            ("http://127.0.0.1./", BadUrl::Host),
            ("http://a..b/", BadUrl::Host),
            ("http://-a.b/", BadUrl::Host),
            ("http://[fe80::1%25eth0]/", BadUrl::Host),
            ("http://[::1/", BadUrl::NotUrl),
            ("http://a%2eb/", BadUrl::Host),
            ("http://example.com:/", BadUrl::NotUrl),
            ("http://example.com:0/", BadUrl::NotUrl),
            ("http://example.com:65536/", BadUrl::NotUrl),
        ] {
            let refused = Endpoint::parse(url, true).expect_err(url);
            assert!(
                refused == why || (why == BadUrl::Host && refused == BadUrl::NotUrl),
                "{url}: {refused:?}"
            );
        }
    }
}
