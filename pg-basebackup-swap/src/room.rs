//! How much is free where a copy goes, and what of it goes there.
//!
//! What must always hold: what is free on one file system is no room for what goes to another; where the old data is
//! given up for a copy, each of them is known to hold its part before.

use crate::args::Space;
use crate::outside;
use crate::size::size;
use nix::sys::statvfs::statvfs;
use pg_runbook::{Attempt, Failure};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

mod refusal;

pub use refusal::asking_by_sql;

/// What a copy consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What is not elsewhere.
    DataDirectory,
    /// The write-ahead log, where that is not in the data directory.
    Wal,
    /// The tablespace that has this location on the primary.
    Tablespace(PathBuf),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataDirectory => f.write_str("the data directory"),
            Self::Wal => f.write_str("the write-ahead log"),
            Self::Tablespace(location) => write!(f, "the tablespace {}", location.display()),
        }
    }
}

/// One place that the copy is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What goes there.
    pub what: What,
    /// The folder.
    pub folder: PathBuf,
    /// How much, where it is known; of the write-ahead log the least.
    pub bytes: Option<u64>,
    /// Whether that is the primary's word.
    pub is_told: bool,
}

impl Part {
    fn is_tablespace(&self) -> bool {
        matches!(self.what, What::Tablespace(_))
    }
}

/// One file system, and what of the copy goes there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Disk {
    /// A folder on it.
    pub folder: PathBuf,
    /// What the copy takes there, in bytes, as far as it is known.
    pub bytes: Option<u64>,
    /// What is free for the cluster's owner, in bytes.
    pub free: u64,
    /// What it takes at most, by the primary's word alone.
    #[serde(skip)]
    most: u64,
    /// Whether the primary did not say how all of it is divided.
    #[serde(skip)]
    is_guessed: bool,
    #[serde(skip)]
    parts: Vec<Part>,
    /// Whether it is the only one.
    #[serde(skip)]
    holds_all: bool,
    /// Whether the write-ahead log goes there, be it inside the data directory.
    #[serde(skip)]
    has_wal: bool,
    #[serde(skip)]
    device: u64,
    #[serde(skip)]
    space: Space,
}

impl Disk {
    /// The file systems of all parts, each once.
    pub fn all(parts: &[Part], space: Space) -> Result<Vec<Self>, Failure> {
        let mut disks: Vec<Self> = Vec::new();
        for part in parts {
            let folder = nearest(&part.folder).to_owned();
            let device = std::fs::metadata(&folder).attempt(|| format!("look at {}", folder.display()))?.dev();
            if let Some(disk) = disks.iter_mut().find(|disk| disk.device == device) {
                disk.parts.push(part.clone());
            } else {
                let free = free_bytes(&folder)?;
                disks.push(Self {
                    folder,
                    bytes: None,
                    free,
                    most: u64::MAX,
                    is_guessed: false,
                    parts: vec![part.clone()],
                    holds_all: false,
                    has_wal: false,
                    device,
                    space,
                });
            }
        }
        let holds_all = disks.len() == 1;
        let is_wal = |part: &Part| part.what == What::Wal;
        let place_of_wal = if parts.iter().any(is_wal) { What::Wal } else { What::DataDirectory };
        for disk in &mut disks {
            let only_wal = disk.holds_only_wal();
            let counted = disk.parts.iter().filter(|part| only_wal || !is_wal(part));
            disk.bytes = counted.filter_map(|part| part.bytes).reduce(|one, other| one + other);
            disk.has_wal = disk.parts.iter().any(|part| part.what == place_of_wal);
            disk.holds_all = holds_all;
        }
        Ok(disks)
    }

    /// The same, with what the old data takes there, which is given up first.
    pub fn all_without_old_data(parts: &[Part], data: &Path) -> Result<Vec<Self>, Failure> {
        let mut disks = Self::all(parts, Space::Replace)?;
        for disk in &mut disks {
            disk.free += disk.old_data(data);
        }
        Ok(disks)
    }

    /// The same disk, with what is free by now.
    pub fn again(&self) -> Result<Self, Failure> {
        Ok(Self { free: free_bytes(&self.folder)?, ..self.clone() })
    }

    /// The same for a copy of this size in all, by the primary's word: what is not in a tablespace elsewhere goes where
    /// the data directory goes.
    #[must_use]
    pub fn for_all_of(disks: &[Self], total: u64) -> Vec<Self> {
        let divide = |disk: &Self| {
            let elsewhere = || {
                let others = disks.iter().filter(|other| other.device != disk.device);
                others.flat_map(|other| &other.parts).filter(|part| part.is_tablespace())
            };
            let told: u64 = elsewhere().filter(|part| part.is_told).filter_map(|part| part.bytes).sum();
            let known: Option<u64> = elsewhere().map(|part| part.bytes).sum();
            let rest = |elsewhere| total.saturating_sub(elsewhere);
            let is_open = disk.parts.iter().any(|part| part.is_tablespace() && !part.is_told);
            let holds_data = disk.holds_data();
            let bytes = if holds_data { known.map(rest) } else { disk.bytes };
            let most = if holds_data || is_open { rest(told) } else { bytes.unwrap_or_default() };
            let is_guessed = if holds_data { elsewhere().any(|part| !part.is_told) } else { is_open };
            Self { bytes, most, is_guessed, ..disk.clone() }
        };
        disks.iter().map(divide).collect()
    }

    /// What the old data takes there.
    fn old_data(&self, data: &Path) -> u64 {
        let links = outside::links(data);
        let elsewhere = links.iter().map(|link| (link.location.as_path(), outside::size_of(link)));
        let all = std::iter::once((data, size(data))).chain(elsewhere);
        let is_here = |folder: &Path| std::fs::metadata(folder).is_ok_and(|found| found.dev() == self.device);
        all.filter(|(folder, _)| is_here(folder)).map(|(_, bytes)| bytes).sum()
    }

    fn holds_data(&self) -> bool {
        self.parts.iter().any(|part| part.what == What::DataDirectory)
    }

    /// Whether nothing but the write-ahead log goes there.
    #[must_use]
    pub fn holds_only_wal(&self) -> bool {
        self.parts.iter().all(|part| part.what == What::Wal)
    }

    /// What lies there of a copy on its way, whose data directory's part is `partial`.
    pub fn filled(&self, partial: &Path) -> u64 {
        let folder = |part: &Part| if part.what == What::DataDirectory { size(partial) } else { size(&part.folder) };
        self.parts.iter().map(folder).sum()
    }

    /// Whether what is known to come does not fit.
    #[must_use]
    pub fn is_too_small(&self) -> bool {
        self.bytes.is_some_and(|bytes| bytes > self.free)
    }
}

/// How many tablespaces are known to go somewhere.
#[must_use]
pub fn tablespaces(parts: &[Part]) -> usize {
    parts.iter().filter(|part| part.is_tablespace()).count()
}

/// The folder itself, or the nearest one above that is there.
#[must_use]
pub fn nearest(folder: &Path) -> &Path {
    folder.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"))
}

fn free_bytes(folder: &Path) -> Result<u64, Failure> {
    let found = statvfs(folder).attempt(|| format!("ask how much is free at {}", folder.display()))?;
    Ok(found.blocks_available() * found.fragment_size())
}

/// In MB, as `df -BMB` says it.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_on_one_file_system_are_added_up_and_the_write_ahead_log_is_told_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str, what, bytes| Part { what, folder: folder.path().join(name), bytes, is_told: true };
        let tablespace = |name: &str, bytes| part(name, What::Tablespace(name.into()), bytes);
        let parts = [tablespace("a", Some(3)), tablespace("b/c", None), tablespace("d", Some(4))];
        let disks = Disk::all(&[&parts[..], &[part("wal", What::Wal, Some(32))]].concat(), Space::Keep).unwrap();
        assert_eq!((disks.len(), disks[0].bytes, disks[0].folder.as_path()), (1, Some(7), folder.path()));
        assert!(!disks[0].is_too_small() && disks[0].holds_all);
        assert!(Disk { bytes: Some(1), free: 0, ..disks[0].clone() }.is_too_small());
        let wal = Disk::all(&[part("wal", What::Wal, Some(32))], Space::Keep).unwrap();
        assert_eq!(wal[0].bytes, Some(32));
    }

    #[test]
    fn what_is_not_elsewhere_goes_where_the_data_directory_goes() {
        let disk = |device, what, bytes, is_told| Disk {
            folder: "/".into(),
            bytes,
            free: 0,
            most: u64::MAX,
            is_guessed: false,
            parts: vec![Part { what, folder: "/".into(), bytes, is_told }],
            holds_all: false,
            has_wal: false,
            device,
            space: Space::Replace,
        };
        let divided = |bytes, is_told| {
            let tablespace = What::Tablespace("/ts".into());
            let wal = disk(3, What::Wal, Some(32), false);
            let disks = [disk(1, What::DataDirectory, None, false), disk(2, tablespace, bytes, is_told), wal];
            Disk::for_all_of(&disks, 100).iter().map(|disk| (disk.bytes, disk.most)).collect::<Vec<_>>()
        };
        assert_eq!(divided(Some(30), true), [(Some(70), 70), (Some(30), 30), (Some(32), 32)]);
        // The old standby's is a guess: all of it may come to either.
        assert_eq!(divided(Some(30), false), [(Some(70), 100), (Some(30), 100), (Some(32), 32)]);
        assert_eq!(divided(None, false), [(None, 100), (None, 100), (Some(32), 32)]);
    }
}
