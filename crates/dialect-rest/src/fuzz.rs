//! What the fuzz targets reach of this crate; their assertions stand with them.

use gateway_dialect::Form;

pub use crate::{
    merge::merge,
    patch::apply,
    query::{read_cursor, write_cursor},
};

/// Reads the query of a list.
///
/// # Errors
/// Every bad parameter.
pub fn query(form: Form, raw: &str) -> Result<gateway_core::Query, gateway_core::Error> {
    crate::query::read(form, Some(raw))
}
