//! A server that hangs once it has let one in.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// Connections to a server of ours.
#[derive(Default)]
pub(crate) struct Connections {
    /// Those that asked for something that they are not told.
    pub(crate) waited: AtomicUsize,
    pub(crate) standing: AtomicUsize,
}

/// A server that lets everybody in, says that it takes writes, and nothing more.
pub(crate) async fn hanging() -> (std::net::SocketAddr, Arc<Connections>) {
    // The login is good; ready. A row of one column, "off"; ready again.
    const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    const WRITES: &[u8] = b"T\0\0\0\x1a\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0\
        D\0\0\0\x0d\0\x01\0\0\0\x03offC\0\0\0\x09SHOW\0Z\0\0\0\x05I";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(Connections::default());
    let counts = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            counts.standing.fetch_add(1, Ordering::SeqCst);
            let counts = Arc::clone(&counts);
            tokio::spawn(async move {
                let mut piece = [0; 1024];
                for said in [WELCOME, WRITES] {
                    if !matches!(client.read(&mut piece).await, Ok(1..))
                        || client.write_all(said).await.is_err()
                    {
                        break;
                    }
                }
                let waits = matches!(client.read(&mut piece).await, Ok(1..));
                counts.waited.fetch_add(usize::from(waits), Ordering::SeqCst);
                while let Ok(1..) = client.read(&mut piece).await {}
                counts.standing.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (address, connections)
}
