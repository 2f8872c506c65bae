//! Where things lie: the data directory, and beside it the copy that comes and the directories that went.
//!
//! What must always hold: all are on one file system under one folder, so that a rename is enough; a symbolic link to
//! the data directory is followed first, and stays. Where the data directory is a mount point, that folder is itself.

use pg_runbook::cluster::plain;
use pg_runbook::invocation::shell_word;
use pg_runbook::{Attempt, Cluster, Failure, durable_file, owner};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folders of one cluster.
#[derive(Clone, Debug)]
pub struct Places {
    /// The data directory, links followed.
    pub data: PathBuf,
    /// The folder that all lie in.
    folder: PathBuf,
    /// What their names begin with.
    name: String,
}

impl Places {
    /// Of this cluster.
    pub fn of(cluster: &Cluster) -> Result<Self, Failure> {
        let data = std::fs::canonicalize(&cluster.data_directory)
            .attempt(|| format!("find the data directory {}", cluster.data_directory.display()))?;
        Ok(Self::at(data))
    }

    /// Of this data directory, links followed.
    #[must_use]
    pub fn at(data: PathBuf) -> Self {
        let (folder, name) = plain::beside(&data);
        Self { data, folder, name }
    }

    /// The folder that all lie in.
    #[must_use]
    pub fn parent(&self) -> &Path {
        &self.folder
    }

    /// Whether the data directory is a mount point: then it stays, and what is in it changes places.
    #[must_use]
    pub fn is_mount_point(&self) -> bool {
        self.folder == self.data
    }

    /// A free name for a copy that is being fetched. Never one that was used before: when a run is killed, the process
    /// of `pg_basebackup` that receives WAL goes on writing under the old name until the next one ends it.
    #[must_use]
    pub fn next_partial(&self, now: SystemTime) -> PathBuf {
        self.free_name("partial", now)
    }

    /// Copies that were cut off, or are being fetched.
    #[must_use]
    pub fn partial(&self) -> Vec<PathBuf> {
        // What is found here is removed: a name that only begins as ours do is somebody else's.
        let start = format!("{}.partial-", self.name);
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(&start).is_some_and(is_stamp)
        };
        self.all("partial").into_iter().filter(is_ours).collect()
    }

    /// Whether a folder is such a copy, also one that was removed since.
    #[must_use]
    pub fn is_partial(&self, folder: &Path) -> bool {
        let start = format!("{}.partial-", self.name);
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folder.parent() == Some(self.parent()) && name.starts_with(&start)
    }

    /// A copy that is complete.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.beside("incoming")
    }

    /// A free name for the old directory: `main.previous-20261123T123000Z`.
    #[must_use]
    pub fn next_previous(&self, now: SystemTime) -> PathBuf {
        self.free_name("previous", now)
    }

    /// The old directories that are kept, oldest first.
    #[must_use]
    pub fn kept(&self) -> Vec<PathBuf> {
        self.all("previous")
    }

    /// A free name for the directory that a rollback takes out.
    #[must_use]
    pub fn next_rolled_back(&self, now: SystemTime) -> PathBuf {
        self.free_name("rolled-back", now)
    }

    /// The directories that rollbacks took out, oldest first.
    #[must_use]
    pub fn rolled_back(&self) -> Vec<PathBuf> {
        self.all("rolled-back")
    }

    /// A free name for a directory that is being removed.
    #[must_use]
    pub fn next_going(&self, now: SystemTime) -> PathBuf {
        self.free_name("going", now)
    }

    /// Directories whose removal was begun.
    #[must_use]
    pub fn going(&self) -> Vec<PathBuf> {
        self.all("going")
    }

    /// The directory of this name beside the data directory.
    #[must_use]
    pub fn sibling(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn free_name(&self, what: &str, now: SystemTime) -> PathBuf {
        let stamp = stamp(now);
        let numbered = |number: u32| if number < 2 { String::new() } else { format!("-{number}") };
        let mut names = (1..).map(|number| self.beside(&format!("{what}-{stamp}{}", numbered(number))));
        names.find(|path| !path.exists()).unwrap_or_default()
    }

    fn all(&self, what: &str) -> Vec<PathBuf> {
        let start = format!("{}.{what}-", self.name);
        let Ok(entries) = std::fs::read_dir(self.parent()) else { return Vec::new() };
        let named = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&start));
        let mut found: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
        found.sort();
        found
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{what}", self.name))
    }
}

/// A cluster as it would be with its data in another directory; configuration inside it goes along.
#[must_use]
pub fn as_if_in(cluster: &Cluster, folder: &Path) -> Cluster {
    let data = &cluster.data_directory;
    let real = std::fs::canonicalize(data).unwrap_or_else(|_| data.clone());
    let at = |file: &PathBuf| {
        let inside = [data, &real].into_iter().find_map(|data| file.strip_prefix(data).ok());
        inside.map_or_else(|| file.clone(), |name| folder.join(name))
    };
    Cluster {
        config_file: at(&cluster.config_file),
        hba_file: at(&cluster.hba_file),
        data_directory: folder.to_owned(),
        ..cluster.clone()
    }
}

/// A time as a part of a name: `20261123T123000Z`.
#[must_use]
pub fn stamp(now: SystemTime) -> String {
    humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "")
}

/// Whether a name ends as ours do: with a time, and with a number where that alone was taken.
fn is_stamp(text: &str) -> bool {
    let Some((time, number)) = text.split_once('Z') else { return false };
    let is_time = time.len() == 15
        && time.char_indices().all(|(place, letter)| if place == 8 { letter == 'T' } else { letter.is_ascii_digit() });
    let is_number = |text: &str| text.strip_prefix('-').is_some_and(|digits| digits.parse::<u32>().is_ok());
    is_time && (number.is_empty() || is_number(number))
}

/// Work in the folder above the data directory, as the owner where the owner may, else as root where that is safe.
pub fn in_parent<T>(places: &Places, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    if owner::may_write(places.parent()) {
        return work();
    }
    let denied = Failure::failed(format!("work in {}: permission denied", places.parent().display()));
    durable_file::in_the_owners_stead(&places.incoming(), denied, work)
}

/// What the exchange needs of the folder above is looked at before anything is copied or stopped.
pub fn refuse_a_parent_out_of_reach(cluster: &Cluster, places: &Places) -> Result<(), Failure> {
    let parent = places.parent().display();
    if owner::may_write(places.parent()) {
        return Ok(());
    }
    let refused = |why: String| {
        Err(Failure::refused(format!("nothing can be put beside {}", places.data.display())).because(why))
    };
    if !owner::started_by_root() {
        return refused(format!("{} may not write into {parent}", cluster.owner))
            .map_err(|failure| failure.hint("run this as root: sudo pg-basebackup-swap …"));
    }
    if owner::as_started(|| Ok(durable_file::only_root_leads_to(&places.incoming())))? {
        return Ok(());
    }
    refused(format!(
        "{} may not write into {parent}, and somebody other than root can change where that leads",
        cluster.owner
    ))
    .map_err(|failure| failure.hint(format!("chown {}: {}", cluster.owner, shell_word(places.parent().as_os_str()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn names_what_lies_beside_the_data_directory() {
        let places = Places::at("/srv/17/main".into());
        assert_eq!(places.incoming(), Path::new("/srv/17/main.incoming"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        assert_eq!(places.next_previous(now), Path::new("/srv/17/main.previous-20260921T141320Z"));
        assert!(is_stamp(&stamp(now)) && is_stamp("20260921T141320Z-2"));
        for theirs in ["keep", "", "20260921", "20260921T141320", "20260921T141320Z-", "20260921T141320Z.bak"] {
            assert!(!is_stamp(theirs), "{theirs}");
        }
    }
}
