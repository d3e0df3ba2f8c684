//! The dialects that there are. The only file that names more than one.

use std::{cell::RefCell, sync::Arc};

use dialect_jsonapi::JsonApi;
use dialect_jsonpatch::JsonPatch;
use dialect_partner::Partner;
use dialect_rest::Rest;
use dialect_update::Update;
use gateway_auth::{Basic, Bearer, Build, SignedRequests};
use gateway_dialect::{Dialect, Options, Secret, SecretSource};

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

impl Row {
    /// The dialect with its default options, for what needs no mount.
    #[must_use]
    pub fn with_defaults(&self) -> Arc<dyn Dialect> {
        (self.dialect)(&mut Options::new(Vec::new(), 0..0, &RefCell::default(), &NoSecrets))
    }
}

/// No dialect has a secret among its own options.
struct NoSecrets;

impl SecretSource for NoSecrets {
    fn resolve(&self, _: &str) -> Result<Secret, String> {
        Err("there are no secrets here".to_owned())
    }
}

/// Every dialect, in the order of their names.
#[rustfmt::skip]
pub const DIALECTS: &[Row] = &[
    Row { name: "jsonapi",   dialect: JsonApi::build,   authenticator: Bearer::build },
    Row { name: "jsonpatch", dialect: JsonPatch::build, authenticator: Basic::build },
    Row { name: "partner",   dialect: Partner::build,   authenticator: SignedRequests::build },
    Row { name: "rest",      dialect: Rest::build,      authenticator: Bearer::build },
    Row { name: "update",    dialect: Update::build,    authenticator: Bearer::build_with_subject },
];
