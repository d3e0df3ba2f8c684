//! TLS on the listener: versions, protocols, mistakes, and a certificate that is replaced.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use gateway::{
    config::{self, Overrides},
    tls::{MinVersion, PairMistake, Terms},
};
use gateway_testkit::client::Connection;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::CertificateDer,
    version::{TLS12, TLS13},
};
use tests::{Bed, Process, partner};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate for `localhost`, and its key.
struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = |label: &str, der: &[u8]| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
        };
        Self {
            certificate: pem("CERTIFICATE", made.cert.der()),
            key: pem("PRIVATE KEY", &made.signing_key.serialize_der()),
            der: made.cert.der().clone(),
        }
    }

    fn put(&self, bed: &Bed) {
        bed.replace("tls.key", &self.key);
        bed.replace("tls.crt", &self.certificate);
    }
}

/// The mounts behind TLS, with more in its table.
fn bed(pair: &Pair, more: &str) -> Bed {
    let tls =
        format!("[server.tls]\ncertificate = \"$DIR/tls.crt\"\nkey = \"$DIR/tls.key\"\n{more}\n[log]\n");
    let bed = Bed::with(&include_str!("../src/mounts.toml").replacen("[log]\n", &tls, 1));
    pair.put(&bed);
    bed
}

/// A client's side of a connection.
async fn connect(
    address: SocketAddr,
    pair: &Pair,
    version: &'static SupportedProtocolVersion,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(pair.der.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

/// Reads a user who is not there, by the protocol that was agreed upon.
async fn ask(stream: TlsStream<TcpStream>) -> u16 {
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let raw = partner::read("nobody");
    let mut request = http::Request::get(format!("https://localhost{}", raw.target));
    for (name, value) in &raw.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::<bytes::Bytes>::default()).unwrap();
    let stream = TokioIo::new(stream);
    let response = if is_h2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let (mut head, body) = request.into_parts();
        head.uri = raw.target.parse().unwrap();
        head.headers.insert("host", "localhost".parse().unwrap());
        sender.send_request(http::Request::from_parts(head, body)).await.unwrap()
    };
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_and_both_protocols_are_spoken() {
    let pair = Pair::new();
    let process = Process::start(&bed(&pair, ""));
    for (version, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for alpn in ["h2", "http/1.1"] {
            let stream = connect(process.address, &pair, version, alpn).await.unwrap();
            let session = stream.get_ref().1;
            assert_eq!(session.protocol_version(), Some(spoken));
            assert_eq!(session.alpn_protocol(), Some(alpn.as_bytes()));
            assert_eq!(ask(stream).await, 404, "{alpn}");
        }
    }
    assert!(connect(process.address, &pair, &TLS13, "smtp").await.is_err());
    // The client may know before it is counted.
    let counted = |process: &Process| process.metric("interlingua_tls_handshakes_failed_total") == Some(1);
    process.wait_until("the handshake that failed is counted", counted);
    let (status, output) = process.stop();
    assert!(status.success() && output.contains("listening on https://"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_handshake_is_closed_and_others_are_served() {
    let pair = Pair::new();
    let process = Process::start(&bed(&pair, "min_version = \"1.3\"\nhandshake_timeout_ms = 300"));
    assert!(connect(process.address, &pair, &TLS12, "h2").await.is_err());
    for start in ["", "\x16\x03\x01", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut connection = Connection::open(process.address).unwrap();
        connection.socket().write_all(start.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _reset_is_an_end_too = std::io::Read::read_to_end(connection.socket(), &mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{start:?}");
    }
    process.wait_until("all four are counted", |process| {
        process.metric("interlingua_tls_handshakes_failed_total") == Some(4)
    });
    let stream = connect(process.address, &pair, &TLS13, "http/1.1").await.unwrap();
    assert_eq!(ask(stream).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_shown_to_new_connections() {
    let (first, second) = (Pair::new(), Pair::new());
    let bed = bed(&first, "");
    let process = Process::start(&bed);
    let old = connect(process.address, &first, &TLS13, "h2").await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(old)).await.unwrap();
    tokio::spawn(connection);
    // A key that is not the certificate's changes nothing, and the reason is told.
    bed.replace("tls.key", &second.key);
    process.wait_until("the reload failed", |process| {
        process.metric("interlingua_config_reload_failed") == Some(1)
    });
    assert_eq!(ask(connect(process.address, &first, &TLS13, "h2").await.unwrap()).await, 404);
    bed.replace("tls.crt", &second.certificate);
    process.wait_until("the pair fits again", |process| {
        process.metric("interlingua_config_reload_failed") == Some(0)
    });
    assert!(connect(process.address, &first, &TLS13, "h2").await.is_err());
    assert_eq!(ask(connect(process.address, &second, &TLS12, "http/1.1").await.unwrap()).await, 404);
    // A connection of before goes on.
    let request = http::Request::get("https://localhost/nowhere").body(Full::<bytes::Bytes>::default());
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), 404);
    drop(sender);
    let (status, output) = process.stop();
    assert!(status.success() && output.contains("is not the key of the certificate"), "{output}");
    assert!(!output.contains(second.key.lines().nth(1).unwrap()));
}

#[test]
fn a_pair_is_checked() {
    let (one, other) = (Pair::new(), Pair::new());
    let terms = |certificate: &str, key: &str| {
        Terms::new(certificate.as_bytes(), key.as_bytes(), MinVersion::Tls12, Duration::from_secs(1))
    };
    terms(&one.certificate, &one.key).unwrap();
    // Both may stand in one file.
    let both = format!("{}{}", one.key, one.certificate);
    terms(&both, &both).unwrap();
    let mistake = |certificate: &str, key: &str| terms(certificate, key).unwrap_err();
    let of_key = |why: &str| PairMistake::Key(why.to_owned());
    assert_eq!(mistake(&one.certificate, &other.key), of_key("is not the key of the certificate"));
    assert_eq!(mistake(&one.certificate, &one.certificate), of_key("is no private key in PEM form"));
    assert_eq!(mistake(&one.certificate, ""), of_key("is no private key in PEM form"));
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(matches!(mistake(&one.certificate, broken), PairMistake::Key(_)));
    for bad in ["", "hello", &*one.key, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(mistake(bad, &one.key), PairMistake::Certificate(_)), "{bad}");
    }
}

/// Each mistake stands at its key, and none shows what a file holds.
#[test]
fn mistakes_are_shown_where_they_are() {
    let pair = Pair::new();
    let report = |more: &str, change: &dyn Fn(&Bed)| {
        let bed = bed(&pair, more);
        change(&bed);
        config::load(&bed.config(), &Overrides::default()).unwrap_err().to_string()
    };
    let open = |bed: &Bed| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(bed.folder().join("tls.key"), mode).unwrap();
    };
    assert!(report("", &open).contains("is open to its group or to others"));
    let gone = |bed: &Bed| std::fs::remove_file(bed.folder().join("tls.crt")).unwrap();
    assert!(report("", &gone).contains("tls.crt` cannot be read"));
    let swapped = |bed: &Bed| bed.replace("tls.crt", &pair.key);
    let text = report("", &swapped);
    assert!(text.contains("the file of `certificate` is no certificate in PEM form"), "{text}");
    assert!(!text.contains(pair.key.lines().nth(1).unwrap()));
    let unchanged = |_: &Bed| {};
    assert!(report("min_version = \"1.1\"", &unchanged).contains("must be \"1.2\" or \"1.3\""));
    assert!(report("ciphers = \"all\"", &unchanged).contains("unknown key `ciphers`"));
    let pasted = |bed: &Bed| {
        let text = std::fs::read_to_string(bed.config()).unwrap();
        let at = text.find("key = ").unwrap();
        let end = at + text[at..].find('\n').unwrap();
        bed.replace("interlingua.toml", &format!("{}key = '''{}'''{}", &text[..at], pair.key, &text[end..]));
    };
    let text = report("", &pasted);
    assert!(text.contains("`key` must be the path of a PEM file") && !text.contains("PRIVATE"), "{text}");
}
