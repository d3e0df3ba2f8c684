//! Dialect jsonapi.
