//! The dialects that there are. The only file that names more than one.

use std::sync::Arc;

use dialect_partner::Partner;
use gateway_auth::{Build, SignedRequests};
use gateway_dialect::{Dialect, Options};

/// A dialect by its name in the configuration.
#[derive(Clone, Copy)]
pub struct Row {
    /// The name.
    pub name: &'static str,
    /// Reads the dialect's options of a mount.
    pub dialect: fn(&mut Options<'_>) -> Arc<dyn Dialect>,
    /// Reads how its clients prove who they are.
    pub authenticator: Build,
}

/// Every dialect.
pub const DIALECTS: &[Row] =
    &[Row { name: "partner", dialect: Partner::build, authenticator: SignedRequests::build }];
