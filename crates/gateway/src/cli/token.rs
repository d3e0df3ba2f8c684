//! `interlingua token`: a token as an issuer in the configuration would make it.

use clap::Args;
use gateway_core::Timestamp;

use crate::config::Config;

/// What to mint.
#[derive(Args, Clone, Debug)]
pub struct Order {
    /// The client whose key signs it
    #[arg(long, value_name = "NAME")]
    pub client: String,
    /// The user it is for
    #[arg(long, value_name = "ID")]
    pub sub: Option<String>,
    /// Space-separated scopes
    #[arg(long, value_name = "SCOPES")]
    pub scope: Option<String>,
}

/// The token.
///
/// # Errors
/// A sentence that names the clients that can.
pub fn mint(config: &Config, order: &Order, now: Timestamp) -> Result<String, String> {
    let by = |client: &str| {
        let issuers = config.mounts.iter().filter(|mount| mount.clients.iter().any(|name| **name == *client));
        issuers.into_iter().find_map(|mount| {
            mount.authenticator.mint(client, order.sub.as_deref(), order.scope.as_deref(), now)
        })
    };
    by(&order.client).ok_or_else(|| {
        let all = config.mounts.iter().flat_map(|mount| &mount.clients);
        let can: Vec<_> = all.filter(|name| by(name).is_some()).map(|name| &**name).collect();
        let can = if can.is_empty() { "none".to_owned() } else { can.join(", ") };
        format!(
            "no token can be made for client `{}`: only a `jwt_secret` makes one, other issuers make theirs; clients with one: {can}",
            order.client
        )
    })
}
