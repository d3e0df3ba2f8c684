//! The floor: a hyper server that reads a request and answers a constant.

use std::{io::Write, net::SocketAddr};

use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Method, Request, Response, header, request::Parts};
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
    let (get, patch) = (constant(sizes.get), constant(sizes.patch));
    serve(move |head, _| json(if head.method == Method::GET { get.clone() } else { patch.clone() }))
}

/// Serves what `answer` makes of a head and a body, in the same way.
pub(crate) fn serve<A>(answer: A) -> Result<(), Failure>
where
    A: Fn(&Parts, Bytes) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        writeln!(std::io::stdout(), "bare listening on http://{}", listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            let service = service_fn(move |request| respond(request, answer.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

async fn respond<A>(request: Request<Incoming>, answer: A) -> Result<Response<Full<Bytes>>, hyper::Error>
where
    A: Fn(&Parts, Bytes) -> Response<Full<Bytes>> + Sync,
{
    let (head, body) = request.into_parts();
    Ok(answer(&head, body.collect().await?.to_bytes()))
}

/// An answer of 200.
pub(crate) fn json(body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON object of so many bytes.
pub(crate) fn constant(bytes: usize) -> Bytes {
    format!("{{\"a\":\"{}\"}}", "x".repeat(bytes.saturating_sub(8))).into()
}
