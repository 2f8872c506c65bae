//! A disk that is too small, for root to mount.
//!
//! What must always hold: it is unmounted at the end, however a test ends.

use crate::account::is_root;
use crate::sandbox::{Sandbox, end_processes_in};
use crate::skipped::skip;
use nix::sys::statvfs::statvfs;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// A mounted file system that holds so much and no more.
#[derive(Debug)]
pub struct SmallDisk {
    /// Where it is mounted; the servers' owner's.
    pub folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one in the sandbox, under the name `disk`; where that can't be done, says so.
    pub fn mount(sandbox: &Sandbox, size: &str) -> Option<Self> {
        if !is_root() {
            skip("only root can mount a small disk");
            return None;
        }
        let folder = sandbox.folder("disk");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&folder);
        if !mount.status().is_ok_and(|end| end.success()) {
            skip("a small disk can't be mounted here");
            return None;
        }
        let disk = Self { folder };
        sandbox.give_to_owner(&disk.folder);
        Some(disk)
    }

    /// How many bytes fit yet.
    pub fn free(&self) -> u64 {
        let found = statvfs(&self.folder).expect("ask how much is free");
        found.blocks_available() * found.fragment_size()
    }

    /// Fills it until no more than this fits.
    pub fn fill(&self, left: u64) {
        let mut file = File::create(self.filling()).expect("make a file");
        let at_once = usize::try_from(self.free().saturating_sub(left)).expect("a small disk");
        let _ = file.write_all(&vec![0; at_once]);
        while self.free() > left && file.write_all(&[0; 4096]).is_ok() {}
    }

    /// Takes out what filled it.
    pub fn empty(&self) {
        std::fs::remove_file(self.filling()).expect("remove a file");
    }

    fn filling(&self) -> PathBuf {
        self.folder.join("filling")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Once it is gone, nobody sees any more that they work in it.
        end_processes_in(&self.folder);
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
