//! What the gateway must survive: `kill -9`, power cuts, faults of the disk, damaged files; and the
//! oracle that stands outside of it and tells whether it did.

mod check;
mod clients;
mod cycles;
mod disk;
mod faults;
mod files;
mod flips;
mod known;
mod launch;
mod oracle;
mod postgres;
mod proxy;
mod raw;
mod report;
mod rng;
mod sabotage;
mod wire;

use std::path::PathBuf;

pub use cycles::{kill, power};
pub use faults::run as faults;
pub use flips::run as flips;
pub use oracle::{Fault, Wrong};
pub use postgres::{FOLLOWS_WITHIN, cut, failover, kill as kill_postgres};
pub use report::Report;
pub use sabotage::run as sabotage;

/// How a trial is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's binary.
    pub gateway: PathBuf,
    /// Where stores, images and the oracle's journal are put; on a real disk.
    pub folder: PathBuf,
    /// How many kills, cuts, faults or flips.
    pub rounds: usize,
    /// What all that is random comes from.
    pub seed: u64,
    /// Clients, a quarter in each dialect.
    pub clients: usize,
    /// Stop once an acknowledged write is lost.
    pub until_lost: bool,
}
