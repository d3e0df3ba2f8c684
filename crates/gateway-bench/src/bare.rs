//! The floor: a hyper server that reads a request and answers a constant.

use std::{convert::Infallible, io::Write, net::SocketAddr};

use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Failure;

/// How long its answers are.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Bytes of the answer to a GET
    #[arg(long)]
    pub(crate) get: usize,
    /// Bytes of the answer to anything else
    #[arg(long)]
    pub(crate) patch: usize,
}

/// Serves on a free port of loopback, which it prints, until it is killed.
pub(crate) fn run(sizes: Sizes) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(sizes))
}

async fn serve(sizes: Sizes) -> Result<(), Failure> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    writeln!(std::io::stdout(), "bare listening on http://{}", listener.local_addr()?)?;
    let (get, patch) = (constant(sizes.get), constant(sizes.patch));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (get, patch) = (get.clone(), patch.clone());
        let service = service_fn(move |request| answer(request, get.clone(), patch.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    get: Bytes,
    patch: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = if *request.method() == Method::GET { get } else { patch };
    // Read and thrown away; a broken one is the client's affair.
    let _read = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A JSON object of so many bytes.
fn constant(bytes: usize) -> Bytes {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes.saturating_sub(8))).into()
}
