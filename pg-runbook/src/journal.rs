//! What is written down beside a data directory before it changes places with another one, so that whoever comes after a
//! kill knows what was begun.
//!
//! What must always hold: it is written and synced before the first step that it announces, and removed after the last;
//! it is for the owner's eyes only. The two directories are known by inode numbers, so where each of them lies
//! tells how far it came; names in it are of the folder that the data directory lies in, never a way out of it.

use crate::cluster::plain;
use crate::failure::{Attempt, Failure};
use crate::invocation::shell_word;
use crate::service::CommandLine;
use crate::{durable_file, owner};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// One change of directories, from before its first step until after its last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    /// The verb that began it, such as `swap`.
    pub verb: String,
    /// When, in RFC 3339.
    pub begun_at: String,
    /// The [`identity`] of the directory that is to go out.
    pub old: u64,
    /// Its name once it is out.
    pub old_goes_to: String,
    /// The [`identity`] of the directory that is to come in.
    pub new: u64,
    /// Its name before.
    pub new_comes_from: String,
    /// What changes places with them outside: tablespaces and a write-ahead log that keep their locations.
    #[serde(default)]
    pub outside: Vec<Outside>,
    /// Whether it was given up, and the old directory is to be back in place.
    pub back: bool,
    /// The server that ran before, and so has to run in the end.
    pub server: Option<Server>,
    /// The system that the new directory is to stream from.
    pub system_identifier: String,
    /// The timeline that it is to stream, at least.
    #[serde(default)]
    pub timeline: u32,
    /// Where the server stood before, where it could be asked; the new directory has to come past it.
    #[serde(default)]
    pub stood_at: Option<StoodAt>,
    /// How long a stop, a start and the first streaming may each take.
    pub timeout_seconds: f64,
    /// How long the old directory is to be kept, where that was said.
    pub keep_for_seconds: Option<u64>,
}

/// A server as it was before its directory was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its process, which may have been told to stop.
    pub pid: i32,
    /// When that was started, in seconds since 1970.
    pub started: i64,
    /// What its command line said.
    pub command_line: CommandLine,
}

/// A folder outside the two directories, in each of which a link leads to its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// Where it is for the directory that is in place.
    pub location: PathBuf,
    /// What stands in the link of the one that is in place, which ends there.
    pub written: PathBuf,
    /// Where it is for the other one.
    pub beside: PathBuf,
    /// The folder in both that changes places; where there is none, they do themselves.
    pub inside: Option<String>,
    /// The inode number of what is in place before; `None` where nothing is.
    pub old: Option<u64>,
    /// The inode number of what comes into place.
    pub new: u64,
    /// The link of the directory that goes out, such as `pg_tblspc/16384`, where it has one.
    pub old_link: Option<String>,
    /// The link of the one that comes in.
    pub new_link: String,
}

/// What the names of such folders have before their time.
pub const BESIDE_MARK: &str = ".pg-runbook-";

impl Outside {
    /// Whether it names only what lies where such things lie: root may act on it in the owner's stead.
    fn is_plain(&self) -> bool {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_whole = |path: &Path| {
            path.is_absolute()
                && path.components().all(|part| !matches!(part, Component::ParentDir | Component::CurDir))
        };
        let lies_right = match &self.inside {
            None => {
                self.beside.parent() == self.location.parent()
                    && name(&self.beside).starts_with(&format!("{}{BESIDE_MARK}", name(&self.location)))
            }
            Some(inside) => {
                inside.starts_with("PG_")
                    && !inside.contains('/')
                    && self.beside.parent() == Some(&self.location)
                    && name(&self.beside).contains(BESIDE_MARK)
            }
        };
        let is_link = |link: &String| {
            link == "pg_wal"
                || link
                    .strip_prefix("pg_tblspc/")
                    .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        lies_right
            && is_whole(&self.location)
            && is_whole(&self.beside)
            && is_link(&self.new_link)
            && self.old_link.iter().all(is_link)
    }
}

/// How far a standby had replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoodAt {
    /// On which timeline.
    pub timeline: u32,
    /// The last location, such as `16/B374D848`.
    pub replayed: String,
}

/// Where it lies: beside the data directory, links followed.
#[must_use]
pub fn path(data_directory: &Path) -> PathBuf {
    let (folder, name) = plain::beside(&real(data_directory));
    folder.join(format!("{name}.pg-runbook-journal.json"))
}

fn real(data_directory: &Path) -> PathBuf {
    std::fs::canonicalize(data_directory).unwrap_or_else(|_| data_directory.to_owned())
}

/// By what a data directory is known wherever it lies, also where only its entries change places: the inode number of
/// its folder `global`.
#[must_use]
pub fn identity(data_directory: &Path) -> Option<u64> {
    inode(&data_directory.join("global"))
}

/// A folder's inode number; `None` where there is none.
#[must_use]
pub fn inode(folder: &Path) -> Option<u64> {
    std::fs::symlink_metadata(folder).ok().map(|found| found.ino())
}

impl Journal {
    /// Reads it; `None` where nothing is under way.
    pub fn of(data_directory: &Path) -> Result<Option<Self>, Failure> {
        let path = path(data_directory);
        let Some(bytes) = durable_file::read(&path)? else { return Ok(None) };
        let word = shell_word(path.as_os_str());
        let found: Self = serde_json::from_slice(&bytes)
            .attempt(|| format!("understand {}", path.display()))
            .map_err(|failure| failure.hint(format!("look what lies beside it; if all is well there: rm {word}")))?;
        let (_, name) = plain::beside(&real(data_directory));
        for beside in [&found.old_goes_to, &found.new_comes_from] {
            // Root may act on it in the owner's stead: a name that leads elsewhere is nobody's honest work.
            let kinds = ["incoming", "previous-", "rolled-back-"].map(|kind| format!("{name}.{kind}"));
            if beside.contains('/') || !kinds.iter().any(|kind| beside.starts_with(kind)) {
                return Err(Failure::refused(format!("{} names {beside:?}", path.display()))
                    .because(format!("that is no directory kept beside {name}"))
                    .hint(format!("look what lies beside it; if all is well there: rm {word}")));
            }
        }
        if let Some(odd) = found.outside.iter().find(|outside| !outside.is_plain()) {
            return Err(Failure::refused(format!("{} names {}", path.display(), odd.beside.display()))
                .because("that is no place beside a tablespace or a write-ahead log")
                .hint(format!("look what lies beside it; if all is well there: rm {word}")));
        }
        Ok(Some(found))
    }

    /// Writes it, durably.
    pub fn write(&self, data_directory: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self).attempt(|| "write a journal")?;
        durable_file::replace(&path(data_directory), &text, 0o600).map(drop)
    }

    /// Removes it, durably, with what a kill while it was written may have left; one that isn't there is no failure.
    pub fn remove(data_directory: &Path) -> Result<(), Failure> {
        let path = path(data_directory);
        let folder = path.parent().unwrap_or(Path::new("/"));
        let remove = || {
            durable_file::remove_unfinished(&path)?;
            durable_file::remove(&path)?;
            durable_file::sync(folder)
        };
        if owner::may_write(folder) {
            return remove();
        }
        if !path.exists() {
            return Ok(());
        }
        let denied = Failure::failed(format!("remove {path:?}: permission denied"));
        durable_file::in_the_owners_stead(&path, denied, remove)
    }

    /// What was begun, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let back = if self.back { ", and was being taken back" } else { "" };
        format!("a pg-basebackup-swap {} that began at {} was cut off{back}", self.verb, self.begun_at)
    }

    /// Where the directory of this [`identity`] lies now, among the places where the change may have left it.
    #[must_use]
    pub fn find(&self, data_directory: &Path, wanted: u64) -> Option<PathBuf> {
        let data = real(data_directory);
        let (folder, _) = plain::beside(&data);
        let [after, before] = [&self.old_goes_to, &self.new_comes_from].map(|name| folder.join(name));
        [data.clone(), plain::aside(&data), after, before].into_iter().find(|path| identity(path) == Some(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(goes_to: &str) -> Journal {
        Journal {
            verb: "swap".into(),
            begun_at: "2026-11-23T12:00:00Z".into(),
            old: 1,
            old_goes_to: goes_to.into(),
            new: 2,
            new_comes_from: "main.incoming".into(),
            outside: Vec::new(),
            back: false,
            server: None,
            system_identifier: "7".into(),
            timeline: 1,
            stood_at: None,
            timeout_seconds: 60.0,
            keep_for_seconds: None,
        }
    }

    #[test]
    fn comes_back_as_it_was_written_and_goes_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("main");
        let written = journal("main.previous-1");
        written.write(&data).unwrap();
        assert_eq!(Journal::of(&data).unwrap(), Some(written));
        #[allow(clippy::disallowed_methods)] // What a kill in the middle of writing leaves.
        std::fs::write(folder.path().join(".main.pg-runbook-journal.json.x.pg-runbook"), "").unwrap();
        Journal::remove(&data).unwrap();
        assert_eq!(Journal::of(&data).unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_place_outside_that_is_none_of_ours_is_refused() {
        let outside = |location: &str, beside: &str, inside: Option<&str>, link: &str| Outside {
            location: location.into(),
            written: location.into(),
            beside: beside.into(),
            inside: inside.map(str::to_owned),
            old: Some(1),
            new: 2,
            old_link: None,
            new_link: link.into(),
        };
        let (wal, tablespace) = ("/wal/main.pg-runbook-1", "/fast/main.pg-runbook-1");
        assert!(outside("/wal/main", wal, None, "pg_wal").is_plain());
        assert!(outside("/fast", tablespace, Some("PG_15_1"), "pg_tblspc/16384").is_plain());
        for odd in [
            outside("/wal/main", "/etc", None, "pg_wal"),
            outside("/wal/main", "/wal/other.pg-runbook-1", None, "pg_wal"),
            outside("/fast", "/etc/main.pg-runbook-1", Some("PG_15_1"), "pg_tblspc/16384"),
            outside("/fast", tablespace, Some("PG_15_1/../../etc"), "pg_tblspc/16384"),
            outside("/fast", tablespace, Some("etc"), "pg_tblspc/16384"),
            outside("/fast/..", "/fast/../main.pg-runbook-1", Some("PG_15_1"), "pg_tblspc/16384"),
            outside("/fast", tablespace, Some("PG_15_1"), "../../etc/cron.d/x"),
        ] {
            assert!(!odd.is_plain(), "{odd:?}");
        }
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("main");
        for name in ["../main.previous-1", "main.previous-1/../../etc", "/etc", "main.secrets"] {
            journal(name).write(&data).unwrap();
            assert_eq!(Journal::of(&data).unwrap_err().code, crate::Code::Refused, "{name}");
        }
    }
}
