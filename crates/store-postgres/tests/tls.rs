//! What each `sslmode` promises, against a server with a certificate of our own issuer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_core::Timestamp;
use gateway_testkit::postgres::{Database, Instance, column, execute};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use store_postgres::{OpenError, Options, PostgresStore, migrate};

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Gives a server a certificate for `localhost`, and writes its issuer's into a file.
fn equip(server: &str, issuer_file: &Path) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(issuer_file, pem("CERTIFICATE", issuer.der())).unwrap();
    for (name, pem) in [
        ("server.crt", pem("CERTIFICATE", certificate.der())),
        ("server.key", pem("PRIVATE KEY", &key.serialize_der())),
    ] {
        // In base64, which COPY has nothing to escape in.
        let text = STANDARD.encode(pem);
        let write = format!("COPY (SELECT '{text}') TO PROGRAM 'umask 077; base64 -d > {name}'");
        execute(server, &write).unwrap();
    }
    execute(server, "ALTER SYSTEM SET ssl = on").unwrap();
    execute(server, "SELECT pg_reload_conf()").unwrap();
}

async fn open(url: &str, host: &str, query: &str) -> Result<PostgresStore, OpenError> {
    let url = format!("{}?{query}", url.replace("127.0.0.1", host));
    PostgresStore::open(Options::new(url, Arc::new(|| Timestamp::UNIX_EPOCH))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sslmode_promises_what_it_says() {
    let server = Instance::start();
    let database = Database::on(&server.url());
    let url = &database.url;
    migrate(&Options::new(url.clone(), Arc::new(|| Timestamp::UNIX_EPOCH))).await.unwrap();
    for (query, opens) in [("", true), ("sslmode=prefer", true), ("sslmode=require", false)] {
        assert_eq!(open(url, "127.0.0.1", query).await.is_ok(), opens, "{query:?} without TLS");
    }

    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own.pem"), folder.path().join("other.pem"));
    equip(&server.url(), &own);
    let stranger = CertifiedIssuer::self_signed(
        CertificateParams::new(Vec::<String>::new()).unwrap(),
        KeyPair::generate().unwrap(),
    );
    fs::write(&other, pem("CERTIFICATE", stranger.unwrap().der())).unwrap();
    let roots = |mode: &str, path: &Path| format!("sslmode={mode}&sslrootcert={}", path.display());
    let mut stores = Vec::new();
    for (host, query, opens) in [
        ("127.0.0.1", "sslmode=prefer".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        ("127.0.0.1", roots("require", &own), true),
        ("127.0.0.1", roots("require", &other), false),
        ("127.0.0.1", roots("verify-ca", &own), true),
        ("127.0.0.1", roots("verify-ca", &other), false),
        // Its certificate names no address.
        ("127.0.0.1", roots("verify-full", &own), false),
        ("localhost", roots("verify-full", &own), true),
        ("localhost", roots("verify-full", &other), false),
        ("localhost", "sslmode=verify-full".to_owned(), false),
    ] {
        let opened = open(url, host, &query).await;
        assert_eq!(opened.is_ok(), opens, "{query} at {host}: {:?}", opened.err());
        stores.extend(opened);
    }
    let encrypted = "SELECT bool_and(ssl)::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'interlingua'";
    assert_eq!(column(url, encrypted).unwrap(), ["true"]);

    let missing = folder.path().join("missing.pem");
    let refused = open(url, "localhost", &roots("verify-full", &missing)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Roots(_)), "{refused}");
    fs::write(&missing, "no certificate").unwrap();
    let refused = open(url, "localhost", &roots("verify-full", &missing)).await.unwrap_err();
    assert!(matches!(refused, OpenError::Roots(_)), "{refused}");
}
