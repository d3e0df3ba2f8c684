//! `interlingua openapi`: the OpenAPI document of a mount.

use clap::Args;
use gateway_core::Timestamp;

use super::sign::reachable;
use crate::{config::Config, openapi::document};

/// Which mount.
#[derive(Args, Clone, Debug)]
pub struct Order {
    /// The mount's name
    #[arg(long, value_name = "NAME")]
    pub mount: String,
}

/// The document, as text.
///
/// # Errors
/// A sentence that names the mounts that there are.
pub fn print(config: &Config, order: &Order, now: Timestamp) -> Result<String, String> {
    let Some(mount) = config.mounts.iter().find(|mount| *mount.name == *order.mount) else {
        let names: Vec<_> = config.mounts.iter().map(|mount| &*mount.name).collect();
        return Err(format!("there is no mount `{}`; there are: {}", order.mount, names.join(", ")));
    };
    let document = document(mount, &origin(config), now);
    serde_json::to_string_pretty(&document).map_err(|error| error.to_string())
}

/// Where the listener of a configuration can be reached.
#[must_use]
pub fn origin(config: &Config) -> String {
    format!("{}://{}", config.scheme(), reachable(config.server.listen))
}
