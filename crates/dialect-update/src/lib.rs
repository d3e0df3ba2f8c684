//! Dialect update.
