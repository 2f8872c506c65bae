//! A disk that is too small, for root to mount: a file system in a file where the machine has loop devices, else one in
//! memory.
//!
//! What must always hold: it is unmounted at the end, however a test ends; what a killed test left goes with its sandbox.

use crate::account::is_root;
use crate::sandbox::{Sandbox, end_processes_in};
use crate::skipped::skip;
use nix::sys::statvfs::statvfs;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted file system that holds so much and no more.
#[derive(Debug)]
pub struct SmallDisk {
    /// Where it is mounted; the servers' owner's.
    pub folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one in the sandbox, under the name `disk`; where that can't be done, says so.
    pub fn mount(sandbox: &Sandbox, megabytes: u64) -> Option<Self> {
        Self::named(sandbox, "disk", megabytes)
    }

    /// The same under another name.
    pub fn named(sandbox: &Sandbox, name: &str, megabytes: u64) -> Option<Self> {
        if !is_root() {
            skip("only root can mount a small disk");
            return None;
        }
        let folder = sandbox.folder(name);
        if !from_a_file(&folder, megabytes) && !in_memory(&folder, megabytes) {
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

    /// Fills it until no more than this fits; where that is nothing, not even the smallest file does.
    pub fn fill(&self, left: u64) {
        std::fs::create_dir_all(self.filling()).expect("make a folder");
        let mut file = File::create(self.filling().join("large")).expect("make a file");
        let at_once = usize::try_from(self.free().saturating_sub(left)).expect("a small disk");
        let _ = file.write_all(&vec![0; at_once]);
        // What the file system had put by to write it comes back once that is written.
        while file.sync_all().is_ok() && self.free() > left && file.write_all(&[0; 4096]).is_ok() {}
        if left == 0 {
            let mut small = (0..).map(|number| self.filling().join(format!("small-{number}")));
            while small.next().is_some_and(|path| write_one_byte(&path).is_ok()) {}
        }
    }

    /// Takes out what filled it.
    pub fn empty(&self) {
        std::fs::remove_dir_all(self.filling()).expect("remove a folder");
    }

    fn filling(&self) -> PathBuf {
        self.folder.join("filling")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Once it is gone, nobody sees any more that they work in it.
        end_processes_in(&self.folder);
        unmount(&self.folder);
    }
}

fn write_one_byte(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(b"0")?;
    file.sync_all()
}

/// Unmounts what a killed test left mounted in its sandbox.
pub(crate) fn unmount_below(sandbox: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    places.map(Path::new).filter(|place| place.starts_with(sandbox)).for_each(unmount);
}

/// With its loop device, where it has one.
fn unmount(folder: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(folder).status();
}

/// Without a journal and without what only root may fill: all of it is room.
fn from_a_file(folder: &Path, megabytes: u64) -> bool {
    let image = folder.with_extension("image");
    // What the file system takes for itself comes on top.
    let made = File::create(&image).and_then(|file| file.set_len((megabytes + megabytes / 10 + 2) << 20));
    let made = made.is_ok()
        && succeeds(Command::new("mkfs.ext4").args(["-q", "-m", "0", "-O", "^has_journal"]).arg(&image))
        && succeeds(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(folder));
    if made {
        std::fs::remove_dir(folder.join("lost+found")).expect("make it an empty folder");
    }
    made
}

fn in_memory(folder: &Path, megabytes: u64) -> bool {
    succeeds(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(folder))
}

fn succeeds(command: &mut Command) -> bool {
    command.stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}
