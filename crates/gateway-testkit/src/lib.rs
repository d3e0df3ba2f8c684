//! What the tests of several crates share. Nothing here is part of the product.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test library fails by panicking"
)]

pub mod cases;
pub mod client;
pub mod contract;
pub mod memory;
pub mod postgres;
