//! The gateway in this process, over the memory store.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use gateway::{
    clock::Clock,
    config::{self, Server},
    live::Live,
    metrics::Metrics,
    service::Gateway,
};
use gateway_core::UserStore;
use gateway_testkit::{
    cases::Transport,
    client::{RawRequest, RawResponse},
    memory::MemoryStore,
};
use http::{HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};

use crate::Bed;

/// Who sends, where no socket has another end.
pub const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A gateway without sockets.
pub struct Inside<S = MemoryStore> {
    /// The gateway.
    pub gateway: Gateway<S>,
}

impl Inside {
    /// Starts one by a bed's configuration.
    #[must_use]
    pub fn new(bed: &Bed) -> Self {
        Self::at(bed, Arc::new(gateway::clock::now))
    }

    /// The same, by another clock.
    #[must_use]
    pub fn at(bed: &Bed, clock: Clock) -> Self {
        Self::over(MemoryStore::default(), bed, clock)
    }
}

impl<S: UserStore> Inside<S> {
    /// The same, over another store.
    #[must_use]
    pub fn over(store: S, bed: &Bed, clock: Clock) -> Self {
        let config = config::load(&bed.config(), &config::Overrides::default());
        let config = config.unwrap_or_else(|report| panic!("{report}"));
        let (body_timeout, request_timeout) = (Duration::from_secs(5), Duration::from_secs(20));
        let server = Server { body_timeout, request_timeout, ..config.server };
        let live = Live::new(config.mounts, &server);
        let gateway = Gateway::new(store, live, clock, Metrics::new().unwrap());
        Self { gateway }
    }
}

impl Transport for Inside {
    async fn send(&self, request: RawRequest) -> Result<RawResponse, String> {
        self.send_from(PEER, request).await
    }

    fn digest(&self) -> Option<String> {
        Some(format!("{:?}", self.gateway.store().digest()))
    }
}

impl<S: UserStore> Inside<S> {
    /// Sends a request as somebody.
    ///
    /// # Errors
    /// For a request that cannot be sent, or an answer that is not allowed.
    pub async fn send_from(&self, peer: SocketAddr, request: RawRequest) -> Result<RawResponse, String> {
        let mut built = http::Request::new(Full::new(Bytes::from(request.body)));
        *built.method_mut() = request.method.parse().map_err(|_invalid| "method")?;
        *built.uri_mut() = request.target.parse().map_err(|error| format!("target: {error}"))?;
        for (name, value) in request.headers {
            let name: HeaderName = name.parse().map_err(|_invalid| "header name")?;
            built
                .headers_mut()
                .append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_invalid| "header value")?);
        }
        let response = self.gateway.handle(peer, built).await;
        let (head, body) = response.into_parts();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes().to_vec();
        RawResponse { status: head.status.as_u16(), headers, body }.checked()
    }
}
