//! Tests of the parts; whole requests are in `cases/`.

mod document;
mod merge;
mod patch;
mod query;
