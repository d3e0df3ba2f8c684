//! Where a trial's data lies, and what takes it down: `kill -9` in a plain folder; a power cut on a
//! file system in a file of its own, of which only what it has written out is left.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::launch::{must, signal};

/// What a store lies on.
pub(crate) trait Disk {
    /// What is not yet synced is gone after a strike.
    const FORGETS: bool;

    /// The data directory.
    fn data(&self) -> PathBuf;

    /// Ends the gateway with this process id as the trial does, by `kill` at the latest; [`Disk::data`]
    /// is then what a restart finds.
    fn strike(&mut self, id: u32, kill: &mut dyn FnMut());

    /// An empty disk.
    fn renew(&mut self);
}

/// A folder. What the gateway has written is in the kernel's hands, and outlives it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Disk for Folder {
    const FORGETS: bool = false;

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn strike(&mut self, _id: u32, kill: &mut dyn FnMut()) {
        kill();
    }

    fn renew(&mut self) {
        remove(&self.data());
        fs::create_dir_all(&self.0).unwrap();
    }
}

/// A folder that may not be there.
pub(crate) fn remove(path: &Path) {
    if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
}

const IMAGE_BYTES: u64 = 512 << 20;

/// An ext4 file system in a file. What the gateway has not synced is in the page cache of *this* file
/// system, and not in the file.
pub(crate) struct Image {
    folder: PathBuf,
    /// Counts the cuts: each leaves another file.
    number: usize,
}

impl Image {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, number: 0 }
    }

    fn file(&self) -> PathBuf {
        self.file_of(self.number)
    }

    fn file_of(&self, number: usize) -> PathBuf {
        self.folder.join(format!("disk-{number}.img"))
    }

    fn mount_point(&self) -> PathBuf {
        self.folder.join("mnt")
    }

    fn mount(&self) {
        must(
            Command::new("mount").args(["-t", "ext4", "-o", "loop"]).args([self.file(), self.mount_point()]),
        );
    }

    fn unmount(&self) {
        for _ in 0..100 {
            if Command::new("umount").arg(self.mount_point()).output().unwrap().status.success() {
                return;
            }
            // A killed process still holds it for a moment.
            std::thread::sleep(Duration::from_millis(20));
        }
        must(Command::new("umount").arg(self.mount_point()));
    }

    fn is_mounted(&self) -> bool {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        mounts.lines().any(|line| line.split(' ').nth(1) == self.mount_point().to_str())
    }

    /// The writes that the loop device has done, and those under way.
    fn writes(&self) -> (u64, u64) {
        let listed = must(Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(self.file()));
        let name = listed.trim().rsplit('/').next().unwrap_or_default().to_owned();
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let figures: Vec<u64> = stat.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
        (figures[4], figures[8])
    }

    /// Copies the file as it is at one instant: once more when it was written to meanwhile. The gateway
    /// stands still, so that a later instant knows no more answers.
    fn copy(&self, to: &Path) {
        loop {
            let before = self.writes();
            must(Command::new("cp").arg("--sparse=always").args([&self.file(), to]));
            if before.1 == 0 && self.writes() == before {
                return;
            }
        }
    }
}

impl Disk for Image {
    const FORGETS: bool = true;

    fn data(&self) -> PathBuf {
        self.mount_point().join("data")
    }

    fn strike(&mut self, id: u32, kill: &mut dyn FnMut()) {
        signal(id, "STOP");
        let cut = self.file_of(self.number + 1);
        self.copy(&cut);
        kill();
        self.unmount();
        fs::remove_file(self.file()).unwrap();
        self.number += 1;
        self.mount();
    }

    fn renew(&mut self) {
        if self.is_mounted() {
            self.unmount();
            fs::remove_file(self.file()).unwrap();
        }
        fs::create_dir_all(self.mount_point()).unwrap();
        self.number += 1;
        fs::File::create(self.file()).unwrap().set_len(IMAGE_BYTES).unwrap();
        must(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(self.file()));
        self.mount();
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.is_mounted() {
            self.unmount();
            fs::remove_file(self.file()).ok();
        }
    }
}
