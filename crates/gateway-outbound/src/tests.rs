use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{Call, CallError, Circuit, Client, Endpoint, Reply, Terms, Trust};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);
const CAP: usize = 64 * 1024;

fn terms(url: &str) -> Terms {
    Terms { endpoint: Endpoint::parse(url, true).unwrap(), trust: Trust::public(), max_concurrent: 8 }
}

fn client(address: SocketAddr) -> Client {
    Client::new(terms(&format!("http://{address}/hook?a=b"))).unwrap()
}

async fn call(client: &Client, budget: Duration) -> Result<Reply, CallError> {
    let call = Call {
        method: Method::POST,
        target: None,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{}"),
    };
    client.call(call, budget, CAP).await
}

/// A server that does the same with every connection; counts them.
async fn serve<F>(each: fn(TcpStream) -> F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(each(stream));
        }
    });
    (address, count)
}

/// Reads one request with a body of two bytes.
async fn request(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n{}") {
        read.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(read).unwrap())
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi";

async fn well(mut stream: TcpStream) -> io::Result<()> {
    loop {
        let request = request(&mut stream).await?;
        assert!(request.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{request}");
        answer(&mut stream, OK).await?;
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let (address, count) = serve(well).await;
    let client = client(address);
    for _ in 0..5 {
        let reply = call(&client, LONG).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"hi"[..]));
        assert_eq!(reply.headers["x-a"], "b");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    async fn once(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, OK).await
    }
    let (address, count) = serve(once).await;
    let client = client(address);
    for _ in 0..3 {
        assert!(call(&client, LONG).await.is_ok());
        // The end of the connection comes after its answer.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn every_misbehaviour_has_its_error() {
    async fn silent(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        tokio::time::sleep(LONG).await;
        Ok(())
    }
    async fn drip(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
        loop {
            answer(&mut stream, "x").await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    async fn closes(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await.map(drop)
    }
    async fn resets(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab").await?;
        stream.set_zero_linger()
    }
    async fn endless(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        loop {
            answer(&mut stream, &format!("1000\r\n{}\r\n", "x".repeat(0x1000))).await?;
        }
    }
    async fn announces(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await?;
        tokio::time::sleep(LONG).await;
        Ok(())
    }
    async fn no_http(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "SSH-2.0-OpenSSH_9.6\r\n\r\n").await?;
        tokio::time::sleep(LONG).await;
        Ok(())
    }
    async fn long_head(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "HTTP/1.1 200 OK\r\n").await?;
        loop {
            answer(&mut stream, &format!("X-A: {}\r\n", "a".repeat(1000))).await?;
        }
    }
    assert_eq!(call(&client(serve(silent).await.0), SHORT).await.err(), Some(CallError::Timeout));
    assert_eq!(call(&client(serve(drip).await.0), SHORT).await.err(), Some(CallError::Timeout));
    assert_eq!(call(&client(serve(closes).await.0), LONG).await.err(), Some(CallError::Reset));
    assert_eq!(call(&client(serve(resets).await.0), LONG).await.err(), Some(CallError::Reset));
    assert_eq!(call(&client(serve(endless).await.0), LONG).await.err(), Some(CallError::TooLarge));
    assert_eq!(call(&client(serve(announces).await.0), LONG).await.err(), Some(CallError::TooLarge));
    assert_eq!(call(&client(serve(no_http).await.0), LONG).await.err(), Some(CallError::Protocol));
    assert_eq!(call(&client(serve(long_head).await.0), LONG).await.err(), Some(CallError::Protocol));
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(call(&client(gone), LONG).await.err(), Some(CallError::Connect));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    async fn elsewhere(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "HTTP/1.1 302 Found\r\nLocation: /hook\r\nContent-Length: 0\r\n\r\n").await
    }
    let (address, count) = serve(elsewhere).await;
    assert_eq!(call(&client(address), LONG).await.unwrap().status, StatusCode::FOUND);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

#[tokio::test]
async fn every_address_of_a_name_is_checked_at_every_connection() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    /// First nobody, then a public address beside a private one.
    fn rebinds(_: String, port: u16) -> Found {
        let found: &[&str] = match ASKED.fetch_add(1, Ordering::SeqCst) {
            0 => &[],
            _ => &["1.1.1.1", "127.0.0.1"],
        };
        let found = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        Box::pin(std::future::ready(Ok(found)))
    }
    fn fails(_: String, _: u16) -> Found {
        Box::pin(std::future::ready(Err(io::ErrorKind::NotFound.into())))
    }
    let (address, count) = serve(well).await;
    let url = format!("http://hooks.example.com:{}/hook?a=b", address.port());
    let endpoint = Endpoint::parse(&url, false).unwrap();
    let client = || Client::new(Terms { endpoint: endpoint.clone(), ..terms(&url) }).unwrap();
    let rebinding = client().with_lookup(rebinds);
    assert_eq!(call(&rebinding, LONG).await.err(), Some(CallError::Resolve));
    assert_eq!(call(&rebinding, LONG).await.err(), Some(CallError::Refused));
    assert_eq!(call(&client().with_lookup(fails), LONG).await.err(), Some(CallError::Resolve));
    assert_eq!(count.load(Ordering::SeqCst), 0);
    // The same name, where private addresses are allowed: exactly the address is connected to.
    fn here(_: String, port: u16) -> Found {
        Box::pin(std::future::ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])))
    }
    let allowed = Client::new(terms(&url)).unwrap().with_lookup(here);
    assert!(call(&allowed, LONG).await.is_ok());
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_circuit_opens_for_what_is_down_and_not_for_what_is_odd() {
    async fn fails(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        answer(&mut stream, "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await
    }
    async fn closes(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await.map(drop)
    }
    let (address, count) = serve(fails).await;
    let down = client(address);
    for _ in 0..10 {
        assert_eq!(down.circuit(), Circuit::Closed);
        assert_eq!(call(&down, LONG).await.unwrap().status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(down.circuit(), Circuit::Open);
    assert_eq!(call(&down, LONG).await.err(), Some(CallError::Open));
    assert_eq!(count.load(Ordering::SeqCst), 10);
    let odd = client(serve(closes).await.0);
    for _ in 0..20 {
        assert_eq!(call(&odd, LONG).await.err(), Some(CallError::Reset));
    }
    assert_eq!(odd.circuit(), Circuit::Closed);
}

#[tokio::test]
async fn so_many_calls_are_under_way_at_once() {
    async fn silent(mut stream: TcpStream) -> io::Result<()> {
        request(&mut stream).await?;
        tokio::time::sleep(LONG).await;
        Ok(())
    }
    let (address, count) = serve(silent).await;
    let terms = Terms { max_concurrent: 2, ..client(address).terms().clone() };
    let client = Arc::new(Client::new(terms).unwrap());
    let long = |_| {
        let client = Arc::clone(&client);
        tokio::spawn(async move { call(&client, LONG).await.map(|reply| reply.status) })
    };
    let waiting: Vec<_> = (0..2).map(long).collect();
    while count.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(call(&client, SHORT).await.err(), Some(CallError::Busy));
    // A call that is given up makes room.
    for one in &waiting {
        one.abort();
    }
    for one in waiting {
        assert!(one.await.is_err());
    }
    assert_eq!(call(&client, SHORT).await.err(), Some(CallError::Timeout));
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

/// A server with a certificate for `localhost`, and its issuer in PEM.
async fn serve_tls() -> (u16, String) {
    let issuer = CertifiedIssuer::self_signed(
        {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params
        },
        KeyPair::generate().unwrap(),
    )
    .unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                request(&mut stream).await?;
                answer(&mut stream, OK).await
            });
        }
    });
    let pem = base64::engine::general_purpose::STANDARD.encode(issuer.der());
    (port, format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n"))
}

#[tokio::test]
async fn a_certificate_is_believed_of_the_issuer_that_was_named_and_for_its_name_only() {
    let (port, issuer) = serve_tls().await;
    let to = |host: &str, trust| {
        Client::new(Terms { trust, ..terms(&format!("https://{host}:{port}/hook?a=b")) }).unwrap()
    };
    let private = Trust::private(issuer.as_bytes()).unwrap();
    assert!(call(&to("localhost", private.clone()), LONG).await.is_ok());
    assert_eq!(call(&to("127.0.0.1", private), LONG).await.err(), Some(CallError::Tls));
    assert_eq!(call(&to("localhost", Trust::public()), LONG).await.err(), Some(CallError::Tls));
    assert!(Trust::private(b"no certificate").is_err());
    // Plain HTTP where TLS is spoken, and the other way round.
    let (plain, _) = serve(well).await;
    let secure = Client::new(terms(&format!("https://{plain}/"))).unwrap();
    assert_eq!(call(&secure, SHORT).await.err(), Some(CallError::Timeout));
    let insecure = Client::new(terms(&format!("http://localhost:{port}/"))).unwrap();
    assert!(call(&insecure, LONG).await.is_err());
}
