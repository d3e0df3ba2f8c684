//! The dialects that there are. The only file that names more than one.

use std::sync::Arc;

use dialect_jsonapi::JsonApi;
use dialect_jsonpatch::JsonPatch;
use dialect_partner::Partner;
use dialect_update::Update;
use gateway_auth::{Basic, Bearer, Build, SignedRequests};
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

/// Every dialect, in the order of their names.
#[rustfmt::skip]
pub const DIALECTS: &[Row] = &[
    Row { name: "jsonapi",   dialect: JsonApi::build,   authenticator: Bearer::build },
    Row { name: "jsonpatch", dialect: JsonPatch::build, authenticator: Basic::build },
    Row { name: "partner",   dialect: Partner::build,   authenticator: SignedRequests::build },
    Row { name: "update",    dialect: Update::build,    authenticator: Bearer::build_with_subject },
];
