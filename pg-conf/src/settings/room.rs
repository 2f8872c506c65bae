//! What a configuration asks of this host's disk and memory, although the server would take it.
//!
//! What must always hold: these are warnings, each with what is asked for, what there is, and where; what can't be found
//! out is not guessed. WAL that is there already counts as room, because it is what would be kept.

use std::path::{Path, PathBuf};

/// The settings that are looked at.
pub const NAMES: [&str; 6] =
    ["wal_keep_size", "wal_keep_segments", "max_wal_size", "max_slot_wal_keep_size", "shared_buffers", "huge_pages"];

/// The server's unit of `shared_buffers`, unless it was built with another one.
const BLOCK: u64 = 8 << 10;
const MEGABYTE: u64 = 1 << 20;

/// What the host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The folder of the WAL, links followed, and its room.
    pub wal: Option<(PathBuf, Room)>,
    /// Bytes, where the kernel tells.
    pub memory: Option<Memory>,
    /// How large a WAL segment of the cluster is.
    pub segment: u64,
}

/// Bytes on a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Not in use.
    pub free: u64,
    /// In the folder already.
    pub held: u64,
}

/// `/proc/meminfo`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// `MemTotal`.
    pub total: u64,
    /// `SwapTotal`.
    pub swap: u64,
    /// What is set aside as huge pages.
    pub huge: u64,
}

impl Host {
    /// Looks.
    pub fn look(data_directory: &Path, segment: u64) -> Self {
        let meminfo = std::fs::read("/proc/meminfo").ok();
        Self { wal: wal(data_directory), memory: meminfo.as_deref().and_then(memory), segment }
    }

    /// What one setting asks for too much of; values in the server's canonical form.
    pub fn concern(&self, name: &str, value: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let number: u64 = value(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        match name {
            "wal_keep_size" | "max_wal_size" | "max_slot_wal_keep_size" => self.disk(name, number * MEGABYTE),
            "wal_keep_segments" => self.disk(name, number.saturating_mul(self.segment)),
            "shared_buffers" => self.buffers(number.saturating_mul(BLOCK)),
            "huge_pages" if value(name).as_deref() == Some("on") => {
                self.huge_pages(value("shared_buffers")?.parse::<u64>().ok()?.saturating_mul(BLOCK))
            }
            _ => None,
        }
    }

    fn disk(&self, name: &str, asked: u64) -> Option<String> {
        let (folder, room) = self.wal.as_ref()?;
        let all = room.free.saturating_add(room.held);
        (asked > all).then(|| {
            format!(
                "{name} lets {asked} of WAL pile up, and {folder} has room for {all}: {free} free, {held} of WAL already",
                asked = shown(asked),
                folder = folder.display(),
                all = shown(all),
                free = shown(room.free),
                held = shown(room.held)
            )
        })
    }

    fn buffers(&self, asked: u64) -> Option<String> {
        let memory = self.memory?;
        (asked > memory.total.saturating_add(memory.swap)).then(|| {
            format!(
                "shared_buffers of {} are more than this host has: {} of memory and {} of swap",
                shown(asked),
                shown(memory.total),
                shown(memory.swap)
            )
        })
    }

    fn huge_pages(&self, buffers: u64) -> Option<String> {
        let huge = self.memory?.huge;
        (buffers > huge).then(|| {
            format!(
                "huge_pages = on with shared_buffers of {} needs at least as much in huge pages, and this host has {} \
                 (sysctl vm.nr_hugepages); the server would not start",
                shown(buffers),
                shown(huge)
            )
        })
    }
}

fn wal(data_directory: &Path) -> Option<(PathBuf, Room)> {
    let folder = std::fs::canonicalize(data_directory.join("pg_wal")).ok()?;
    let found = nix::sys::statvfs::statvfs(&folder).ok()?;
    let files = std::fs::read_dir(&folder).ok()?.flatten().filter_map(|entry| entry.metadata().ok());
    let held = files.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum();
    Some((folder, Room { free: found.blocks_available() * found.fragment_size(), held }))
}

fn memory(meminfo: &[u8]) -> Option<Memory> {
    let text = String::from_utf8_lossy(meminfo);
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kilobytes = |name: &str| number(name).map(|number| number << 10);
    let huge = number("HugePages_Total").unwrap_or_default() * kilobytes("Hugepagesize").unwrap_or_default();
    Some(Memory { total: kilobytes("MemTotal")?, swap: kilobytes("SwapTotal").unwrap_or_default(), huge })
}

/// In the server's units, with one decimal: `7.8 GB`.
fn shown(bytes: u64) -> String {
    let units = [("TB", 40), ("GB", 30), ("MB", 20), ("kB", 10)];
    let fitting = units.iter().find(|(_, shift)| bytes >> shift > 0);
    fitting.map_or_else(
        || format!("{bytes} B"),
        |(unit, shift)| {
            let tenths = ((bytes >> (shift - 10)) * 10) >> 10;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIGABYTE: u64 = 1 << 30;

    fn host() -> Host {
        let memory = Memory { total: 16 * GIGABYTE, swap: GIGABYTE, huge: 2 * GIGABYTE };
        let room = Room { free: 9 * GIGABYTE, held: GIGABYTE };
        Host { wal: Some(("/srv/wal".into(), room)), memory: Some(memory), segment: 64 * MEGABYTE }
    }

    fn concern(name: &str, value: &str, buffers: &str) -> Option<String> {
        host().concern(name, &|asked| Some(if asked == name { value.to_owned() } else { buffers.to_owned() }))
    }

    #[test]
    fn wal_that_would_fill_the_disk_is_told_with_both_figures() {
        let told = "wal_keep_size lets 10.0 GB of WAL pile up, and /srv/wal has room for 10.0 GB: 9.0 GB free, 1.0 GB of WAL already";
        assert_eq!(concern("wal_keep_size", "10241", "").as_deref(), Some(told));
        assert_eq!(concern("wal_keep_size", "10240", ""), None);
        assert!(concern("wal_keep_segments", "161", "").is_some());
        assert_eq!(concern("wal_keep_segments", "160", ""), None);
        assert_eq!(concern("max_slot_wal_keep_size", "-1", ""), None);
        assert!(concern("max_wal_size", "2147483647", "").unwrap().contains("2047.9 TB"));
    }

    #[test]
    fn buffers_must_fit_into_memory_and_huge_pages() {
        let told = "shared_buffers of 17.0 GB are more than this host has: 16.0 GB of memory and 1.0 GB of swap";
        assert_eq!(concern("shared_buffers", &(17 * GIGABYTE / BLOCK + 1).to_string(), "").as_deref(), Some(told));
        assert_eq!(concern("shared_buffers", "16384", ""), None);
        assert!(concern("huge_pages", "on", &(3 * GIGABYTE / BLOCK).to_string()).unwrap().contains("has 2.0 GB"));
        assert_eq!(concern("huge_pages", "on", "16384"), None);
        assert_eq!(concern("huge_pages", "try", &(3 * GIGABYTE / BLOCK).to_string()), None);
    }

    #[test]
    fn what_cannot_be_found_out_is_not_guessed() {
        let nothing = Host::default();
        for name in NAMES {
            assert_eq!(nothing.concern(name, &|_| Some("999999999".into())), None, "{name}");
        }
        assert_eq!(memory(b"nonsense"), None);
    }

    #[test]
    fn reads_what_the_kernel_says_of_memory() {
        let said = b"MemTotal:       24684084 kB\nSwapTotal:             4 kB\nHugePages_Total:       3\nHugepagesize:       2048 kB\n";
        let expected = Memory { total: 24_684_084 << 10, swap: 4096, huge: 6 * MEGABYTE };
        assert_eq!(memory(said), Some(expected));
    }
}
