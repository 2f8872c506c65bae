//! Where sandboxes lie: in memory where there is room for that, because making a cluster on a disk takes several times
//! as long; on a disk where a test is about disks, or memory is short.
//!
//! What must always hold: programs can be started there, and its name is short (a socket's path has at most 107 bytes).

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::path::Path;

/// Everywhere that sandboxes may lie.
pub(crate) const ALL: [&str; 3] = ["/dev/shm", "/tmp", "/var/tmp"];

/// The variable that has every test on a disk.
const ON_A_DISK: &str = "PG_RUNBOOK_TEST_ON_A_DISK";

/// What the largest scenarios take, all at once, and as much again.
const ROOM: u64 = 4 << 30;

/// What a sandbox lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Whatever is fastest.
    Any,
    /// A file system that is not in memory.
    Disk,
}

impl Ground {
    /// The folder for a sandbox.
    pub(crate) fn folder(self) -> &'static Path {
        let on_a_disk = self == Self::Disk || std::env::var_os(ON_A_DISK).is_some();
        let fits = |folder: &&str| {
            if on_a_disk { !is_in_memory(folder) } else { is_in_memory(folder) && has_room(folder) }
        };
        Path::new(ALL.iter().copied().find(fits).unwrap_or("/tmp"))
    }
}

/// Whether what is on no disk has room: hosts' clusters lie there too.
pub(crate) fn in_memory() -> bool {
    Ground::Any.folder().to_str().is_some_and(|folder| is_in_memory(folder) && has_room(folder))
}

fn is_in_memory(folder: &str) -> bool {
    statfs(folder).is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC)
}

/// What such a file system may take is more than the machine may have.
fn has_room(folder: &str) -> bool {
    statvfs(folder).is_ok_and(|found| {
        let free = found.blocks_available() * found.fragment_size();
        free >= ROOM && !found.flags().contains(FsFlags::ST_NOEXEC)
    }) && available_memory() >= ROOM
}

fn available_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kilobytes| kilobytes * 1024)
}
