//! Servers that cannot be reached, or not be believed.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
};
use tokio_rustls::TlsAcceptor;

/// An address where nobody listens.
#[must_use]
pub fn refused() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listener that takes no more connections: those who knock are not answered.
pub struct BlackHole {
    /// Where it is.
    pub address: SocketAddr,
    _kept: (TcpListener, Vec<TcpStream>, Runtime),
}

impl BlackHole {
    /// Fills a listener's queue.
    ///
    /// # Panics
    /// When it cannot be filled.
    #[must_use]
    pub fn dig() -> Self {
        let runtime = Runtime::new().unwrap();
        let (listener, kept) = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(1).unwrap();
            let address = listener.local_addr().unwrap();
            let mut kept = Vec::new();
            while let Ok(connected) =
                tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
            {
                kept.push(connected.unwrap());
                assert!(kept.len() < 100, "the queue has no end");
            }
            (listener, kept)
        });
        Self { address: listener.local_addr().unwrap(), _kept: (listener, kept, runtime) }
    }
}

/// A server on `localhost` with a certificate that has expired, or is good; its port, and its issuer's
/// certificate in PEM. It is there until the process ends.
#[must_use]
pub fn tls(is_expired: bool) -> (u16, String) {
    let mut issuer = CertificateParams::new(Vec::new()).unwrap();
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(issuer, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    if is_expired {
        leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (told, port) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever believes it is told nothing: nobody should.
                drop(acceptor.accept(stream).await);
            }
        });
    });
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(issuer.der())
    );
    (port.recv().unwrap(), pem)
}
