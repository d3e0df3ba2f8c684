//! Bad input below the dialects: raw bytes on a connection, frames of HTTP/2, and what the process is
//! given by its surroundings.

pub mod h2;
pub mod listing;
pub mod raw;
