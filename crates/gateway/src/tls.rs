//! TLS 1.2 and 1.3 on the listener: a certificate with its key, replaced while connections go on.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prometheus::IntCounter;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;

use crate::metrics::Metrics;

/// What the listener offers to speak inside, best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The oldest version that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MinVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// Which of the two files is wrong, and how; it never holds a part of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PairMistake {
    /// The certificate's.
    Certificate(String),
    /// The key's.
    Key(String),
}

/// What new connections are met with.
#[derive(Clone)]
pub struct Terms {
    config: Arc<ServerConfig>,
    handshake: Duration,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("handshake", &self.handshake).finish_non_exhaustive()
    }
}

impl Terms {
    /// Checks a certificate chain and its key, both in PEM. Early data is not accepted: it can be
    /// replayed.
    ///
    /// # Errors
    /// The first thing that is wrong with the pair.
    pub fn new(
        certificate: &[u8],
        key: &[u8],
        min_version: MinVersion,
        handshake: Duration,
    ) -> Result<Self, PairMistake> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain =
            chain.ok_or_else(|| PairMistake::Certificate("is no certificate in PEM form".to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_may_hold_the_key| PairMistake::Key("is no private key in PEM form".to_owned()))?;
        let versions = match min_version {
            MinVersion::Tls12 => &[&TLS13, &TLS12][..],
            MinVersion::Tls13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    PairMistake::Key("is not the key of the certificate".to_owned())
                }
                rustls::Error::General(_) => {
                    PairMistake::Key("is no RSA, ECDSA or Ed25519 key that can be used".to_owned())
                }
                other => PairMistake::Certificate(format!("cannot be used: {other}")),
            })?;
        config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
        Ok(Self { config: Arc::new(config), handshake })
    }
}

/// The listener's side: the terms of now, and how many handshakes failed.
#[derive(Clone)]
pub struct Tls {
    terms: Arc<ArcSwap<Terms>>,
    failed: IntCounter,
}

impl Tls {
    /// A listener's side.
    ///
    /// # Errors
    /// When its counter is registered already.
    pub fn new(terms: Terms, metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let failed = IntCounter::new(
            "interlingua_tls_handshakes_failed_total",
            "TLS handshakes that failed or took too long.",
        )?;
        metrics.register(Box::new(failed.clone()))?;
        Ok(Self { terms: Arc::new(ArcSwap::from_pointee(terms)), failed })
    }

    /// Meets new connections with other terms; open ones go on.
    pub fn replace(&self, terms: Terms) {
        self.terms.store(Arc::new(terms));
    }

    /// Shakes hands.
    async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let terms = self.terms.load_full();
        let shaken = TlsAcceptor::from(Arc::clone(&terms.config)).accept(stream);
        let stream = match tokio::time::timeout(terms.handshake, shaken).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_elapsed) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        };
        if stream.is_none() {
            self.failed.inc();
        }
        stream
    }
}

/// What is read from and written to: the socket, or what TLS makes of it.
pub type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// Opens a connection, with a handshake where there is TLS; `None` where that failed or took too
/// long, and the connection is closed. Not for an accept loop: it waits for the client.
pub async fn open(tls: Option<&Tls>, stream: TcpStream) -> Option<Stream> {
    match tls {
        None => Some(Either::Left(stream)),
        Some(tls) => tls.accept(stream).await.map(Either::Right),
    }
}
