//! Dialect jsonpatch.
