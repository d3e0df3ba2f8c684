//! How often a client may come: counted in this process by a [`Bucket`], or with other gateways by a
//! [`Shared`] one, in the same arithmetic (GCRA): what a request takes flows back at an even rate.

mod bucket;
mod rate;
mod server;
mod shared;

// Only its version matters: this one leaves host names as they are, and 20 crates of Unicode tables out.
use idna_adapter as _;

pub use bucket::Bucket;
pub use rate::{Rate, Standing};
pub use server::{BadUrl, Server};
pub use shared::Shared;
