//! A Valkey or Redis, and how to get to it.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use gateway_outbound::Trust;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    aio::MultiplexedConnection,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

/// What keeps a connection going; the connection ends with it.
pub(crate) type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A Valkey or Redis by its URL, which holds a password: it is never shown.
#[derive(Clone)]
pub struct Server {
    url: Arc<str>,
    address: ConnectionAddr,
    login: RedisConnectionInfo,
    tls: Option<Arc<ClientConfig>>,
    trust: Trust,
}

/// A URL that is none of a Valkey or Redis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadUrl;

impl fmt::Display for BadUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no URL such as valkey://user:password@host:6379/0, valkeys://… (TLS) or unix:///path")
    }
}

impl Server {
    /// Reads a URL: `valkey` or `redis`, with TLS `valkeys` or `rediss`, or `unix`.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn parse(url: &str, trust: Trust) -> Result<Self, BadUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(BadUrl)?;
        let (scheme, is_tls) = match scheme {
            "valkeys" | "rediss" => ("redis", true),
            other => (other, false),
        };
        // The library would take a fragment for a wish to believe any certificate.
        let plain = Some(format!("{scheme}://{rest}")).filter(|plain| !plain.contains('#')).ok_or(BadUrl)?;
        let info = plain.into_connection_info().ok().ok_or(BadUrl)?;
        let tls = if is_tls { Some(trust.config(&[]).ok().ok_or(BadUrl)?) } else { None };
        let (address, login) = (info.addr().clone(), info.redis_settings().clone());
        Ok(Self { url: url.into(), address, login, tls, trust })
    }

    /// True where what is sent can be read on its way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.tls.is_none() && matches!(self.address, ConnectionAddr::Tcp(..))
    }

    /// Connects, and logs in.
    pub(crate) async fn connect(&self) -> Result<(MultiplexedConnection, Driver), &'static str> {
        match &self.address {
            ConnectionAddr::Unix(path) => self.speak(unreachable(UnixStream::connect(path).await)?).await,
            ConnectionAddr::Tcp(host, port) => {
                let stream = unreachable(TcpStream::connect((host.as_str(), *port)).await)?;
                unreachable(stream.set_nodelay(true))?;
                let Some(tls) = &self.tls else { return self.speak(stream).await };
                let name = ServerName::try_from(host.clone()).ok().ok_or("tls")?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
                self.speak(stream.ok().ok_or("tls")?).await
            }
            _ => Err("unreachable"),
        }
    }

    async fn speak<C>(&self, stream: C) -> Result<(MultiplexedConnection, Driver), &'static str>
    where
        C: Unpin + AsyncRead + AsyncWrite + Send + 'static,
    {
        // Whoever asks has a deadline of its own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&self.login, stream, config).await;
        let (connection, driver) = opened.ok().ok_or("refused")?;
        Ok((connection, Box::pin(driver)))
    }
}

fn unreachable<T>(done: io::Result<T>) -> Result<T, &'static str> {
    done.ok().ok_or("unreachable")
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url && self.trust == other.trust
    }
}

impl Eq for Server {}

/// Blank: the URL holds a password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let parse = |url| Server::parse(url, Trust::public());
        for (url, is_open, is_tls) in [
            ("valkey://127.0.0.1", true, false),
            ("redis://user:p%40ss@limits.internal:6380/3", true, false),
            ("valkeys://:password@limits.internal", false, true),
            ("rediss://[::1]:6380/0", false, true),
            ("unix:///run/valkey.sock?db=2", false, false),
        ] {
            let server = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((server.is_open(), server.tls.is_some()), (is_open, is_tls), "{url}");
            assert_eq!(server, parse(url).unwrap());
            assert!(!format!("{server:?}").contains("limits.internal"));
        }
        assert_ne!(parse("valkey://a").unwrap(), parse("valkey://b").unwrap());
        for bad in
            ["", "valkey", "http://a", "valkey://", "valkey://0.0.0.0", "valkey://a/x", "rediss://a#insecure"]
        {
            assert_eq!(parse(bad).err(), Some(BadUrl), "{bad}");
        }
    }
}
