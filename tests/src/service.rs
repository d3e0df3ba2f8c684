//! The upstream store over a gateway of this test's.

use std::{net::SocketAddr, time::Duration};

use gateway_outbound::{Endpoint, Terms, Trust};
use store_upstream::{Form, Options, Vocabulary};

/// Of the client of the REST mount that may exchange records.
pub const GATEWAY: &str = "demo-gateway-token";
/// Of one that may not.
pub const ADMIN: &str = "demo-admin-token";

/// The base of the REST mount of a gateway.
#[must_use]
pub fn base(address: SocketAddr) -> String {
    format!("http://{address}/api/v1")
}

/// Options for a store over that mount. However busy the machine is, what is slow is waited for.
#[must_use]
pub fn options(address: SocketAddr, token: &str) -> Options {
    let rest = gateway::registry::DIALECTS.iter().find(|row| row.name == "rest").unwrap().with_defaults();
    let authorization = http::HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let endpoint = Endpoint::parse(&base(address), true).unwrap();
    Options {
        terms: Terms { endpoint, trust: Trust::public(), max_concurrent: 64 },
        authorization: Some(authorization),
        timeout: Duration::from_secs(60),
        form: Form::Auto,
        honours_keys: true,
        vocabulary: Vocabulary::rest(rest.fields().clone()).unwrap(),
        cache_bytes: 16 << 20,
    }
}
