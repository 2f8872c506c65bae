//! How large the copy will be, and how much is free where it goes.
//!
//! What must always hold: a number says whose it is. Only what the primary itself reports is reason enough to refuse;
//! the old standby's own size is a guess.

use crate::args::Space;
use crate::outside;
use crate::places::Places;
use crate::size::size;
use crate::source::Source;
use nix::sys::statvfs::statvfs;
use pg_runbook::invocation::shell_word;
use pg_runbook::server::{Server, Target};
use pg_runbook::{Attempt, Cluster, Failure};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What databases and tablespaces take, where the role may know; the second only of those that it may see.
const DATABASES: &str = "SELECT CASE WHEN bool_and(has_database_privilege(oid, 'CONNECT') \
     OR pg_has_role('pg_read_all_stats', 'USAGE')) THEN sum(pg_database_size(oid))::text END FROM pg_database";
const TABLESPACES: &str = "SELECT oid::text, pg_tablespace_location(oid), CASE WHEN has_tablespace_privilege(oid, 'CREATE') \
     OR pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_tablespace_size(oid)::text END \
     FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 2";

/// Whose word a size is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Teller {
    /// The primary's, asked by SQL.
    Primary,
    /// The old standby's files.
    Standby,
}

/// What the copy will take, without its write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Who says so.
    pub teller: Teller,
    /// All of it.
    pub total: u64,
    /// The part of each tablespace.
    pub tablespaces: Vec<Tablespace>,
}

/// One tablespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tablespace {
    /// Its number, which is the name of its link in every data directory of the system.
    pub oid: String,
    /// Where it is, by whoever tells.
    pub location: PathBuf,
    /// What it takes, where that may be known.
    pub bytes: Option<u64>,
}

impl Size {
    /// The primary's word, else (of the same system) the old standby's files.
    #[must_use]
    pub fn find(source: Option<&Source>, places: &Places, same_system: bool) -> Option<Self> {
        let told = source.and_then(|source| Self::as_the_primary_says(&source.target).ok().flatten());
        told.or_else(|| same_system.then(|| Self::of_the_standby(&places.data)))
    }

    /// An ordinary login, which the role need not have.
    fn as_the_primary_says(target: &Target) -> Result<Option<Self>, Failure> {
        let mut server = Server::connect(&Target { dbname: "postgres".into(), ..target.clone() })?;
        let number = |text: Option<&String>| text.and_then(|text| text.parse::<u64>().ok());
        let Some(total) = number(server.text(DATABASES)?.as_ref()) else { return Ok(None) };
        let rows = server.texts(TABLESPACES)?;
        let tablespaces = rows.iter().filter_map(|row| {
            let location = row.get(1)?.as_ref().filter(|location| location.starts_with('/'))?;
            Some(Tablespace {
                oid: row.first()?.clone()?,
                location: location.into(),
                bytes: number(row.get(2)?.as_ref()),
            })
        });
        Ok(Some(Self { teller: Teller::Primary, total, tablespaces: tablespaces.collect() }))
    }

    fn of_the_standby(data: &Path) -> Self {
        let links = outside::links(data).into_iter().filter(|link| !link.is_wal());
        let tablespaces: Vec<_> = links
            .map(|link| {
                let oid = link.name.rsplit('/').next().unwrap_or_default().to_owned();
                Tablespace { oid, bytes: Some(outside::size_of(&link)), location: link.location }
            })
            .collect();
        let elsewhere: u64 = tablespaces.iter().filter_map(|tablespace| tablespace.bytes).sum();
        let own = size(data).saturating_sub(size(&data.join("pg_wal")));
        Self { teller: Teller::Standby, total: own + elsewhere, tablespaces }
    }

    /// What lies in the data directory itself; `None` where a tablespace's part is not known.
    #[must_use]
    pub fn data(&self) -> Option<u64> {
        let parts: Option<Vec<u64>> = self.tablespaces.iter().map(|tablespace| tablespace.bytes).collect();
        parts.map(|parts| self.total.saturating_sub(parts.iter().sum()))
    }
}

/// What a copy consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What is not elsewhere.
    DataDirectory,
    /// The write-ahead log.
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
    /// How much, where it is known.
    pub bytes: Option<u64>,
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
            let there = nearest(&part.folder);
            let device = std::fs::metadata(there).attempt(|| format!("look at {}", there.display()))?.dev();
            if let Some(disk) = disks.iter_mut().find(|disk| disk.device == device) {
                disk.bytes = disk.bytes.map_or(part.bytes, |sum| Some(sum + part.bytes.unwrap_or(0)));
            } else {
                let free = free_bytes(there)?;
                disks.push(Self { folder: there.to_owned(), bytes: part.bytes, free, device, space });
            }
        }
        Ok(disks)
    }

    /// The same, with what the old data takes there, which is given up first.
    pub fn all_without_old_data(parts: &[Part], data: &Path) -> Result<Vec<Self>, Failure> {
        let mut disks = Self::all(parts, Space::Replace)?;
        let links = outside::links(data);
        let elsewhere = links.iter().map(|link| (link.location.as_path(), outside::size_of(link)));
        for (folder, bytes) in std::iter::once((data, size(data))).chain(elsewhere) {
            let Ok(device) = std::fs::metadata(folder).map(|found| found.dev()) else { continue };
            if let Some(disk) = disks.iter_mut().find(|disk| disk.device == device) {
                disk.free += bytes;
            }
        }
        Ok(disks)
    }

    /// All of them as one: what is larger than all that is free can't fit, however it is divided.
    pub fn together(parts: &[Part], space: Space) -> Result<Self, Failure> {
        Self::as_one(Self::all(parts, space)?)
    }

    /// The first of them, with all that is free.
    pub fn as_one(disks: Vec<Self>) -> Result<Self, Failure> {
        let free = disks.iter().map(|disk| disk.free).sum();
        let first = disks.into_iter().next();
        first.map(|disk| Self { free, ..disk }).ok_or_else(|| Failure::failed("find out where the copy goes"))
    }

    /// The same with so many bytes to come.
    #[must_use]
    pub fn with(&self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self.clone() }
    }

    /// The refusal, in numbers.
    #[must_use]
    pub fn too_small(&self, cluster: &Cluster) -> Failure {
        Failure::refused(format!(
            "the copy needs {} and the WAL that is written meanwhile, and {} are free beside {}",
            megabytes(self.bytes.unwrap_or_default()),
            megabytes(self.free),
            self.folder.display()
        ))
        .because(match self.space {
            Space::Keep => "the old directory is kept until the new one streams, so both must fit",
            Space::Replace => "the old data is counted as free already",
        })
        .hint(self.way_out(cluster))
    }

    fn way_out(&self, cluster: &Cluster) -> String {
        let option = cluster.option();
        let folder = shell_word(self.folder.as_os_str());
        let look = format!("df -h {folder}; and what may be removed there: pg-basebackup-swap status {option}");
        match self.space {
            Space::Replace => look,
            Space::Keep => format!(
                "{look}; or, with no way back and nobody served while the copy is fetched: pg-basebackup-swap run {option} \
                 --force --space replace"
            ),
        }
    }

    /// Whether what is known to come does not fit.
    #[must_use]
    pub fn is_too_small(&self) -> bool {
        self.bytes.is_some_and(|bytes| bytes > self.free)
    }
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
    fn the_data_directorys_part_is_known_only_where_every_tablespaces_is() {
        let tablespace = |bytes| Tablespace { oid: "16384".into(), location: "/ts".into(), bytes };
        let size = |bytes| Size { teller: Teller::Primary, total: 100, tablespaces: vec![tablespace(bytes)] };
        assert_eq!((size(Some(30)).data(), size(None).data()), (Some(70), None));
    }

    #[test]
    fn parts_on_one_file_system_are_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str, bytes| Part { what: What::Wal, folder: folder.path().join(name), bytes };
        let disks = Disk::all(&[part("a", Some(3)), part("b/c", None), part("d", Some(4))], Space::Keep).unwrap();
        assert_eq!((disks.len(), disks[0].bytes, disks[0].folder.as_path()), (1, Some(7), folder.path()));
        assert!(!disks[0].is_too_small());
        assert!(Disk { bytes: Some(1), free: 0, ..disks[0].clone() }.is_too_small());
    }
}
