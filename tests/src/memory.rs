//! What a process takes of memory.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

/// The memory of a process, looked at until it is asked for.
pub struct Memory {
    first_kib: u64,
    most_kib: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    watching: JoinHandle<()>,
}

impl Memory {
    /// Looks at a process from now on.
    #[must_use]
    pub fn watch(id: u32) -> Self {
        let first_kib = resident_kib(id);
        let (most_kib, done) = (Arc::new(AtomicU64::new(first_kib)), Arc::new(AtomicBool::new(false)));
        let (most, ended) = (Arc::clone(&most_kib), Arc::clone(&done));
        let watching = std::thread::spawn(move || {
            while !ended.load(Relaxed) {
                most.fetch_max(resident_kib(id), Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { first_kib, most_kib, done, watching }
    }

    /// By how much it has grown at most.
    #[must_use]
    pub fn growth_kib(self) -> u64 {
        self.done.store(true, Relaxed);
        self.watching.join().unwrap();
        self.most_kib.load(Relaxed) - self.first_kib
    }
}

fn resident_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
