//! Where things lie: the data directory, and beside it the copy that comes and the directories that went.
//!
//! What must always hold: all are on one file system under one folder, so that a rename is enough; a symbolic link to
//! the data directory is followed first, and stays.

use pg_runbook::invocation::shell_word;
use pg_runbook::{Attempt, Cluster, Failure, durable_file, owner};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folders of one cluster.
#[derive(Clone, Debug)]
pub struct Places {
    /// The data directory, links followed.
    pub data: PathBuf,
}

impl Places {
    /// Of this cluster.
    pub fn of(cluster: &Cluster) -> Result<Self, Failure> {
        let data = std::fs::canonicalize(&cluster.data_directory)
            .attempt(|| format!("find the data directory {}", cluster.data_directory.display()))?;
        Ok(Self { data })
    }

    /// The folder that all lie in.
    #[must_use]
    pub fn parent(&self) -> &Path {
        self.data.parent().unwrap_or(Path::new("/"))
    }

    /// A free name for a copy that is being fetched. Never one that was used before: when a run is killed, the process
    /// of `pg_basebackup` that receives WAL goes on writing under the old name for some seconds.
    #[must_use]
    pub fn next_partial(&self, now: SystemTime) -> PathBuf {
        self.free_name("partial", now)
    }

    /// Copies that were cut off, or are being fetched.
    #[must_use]
    pub fn partial(&self) -> Vec<PathBuf> {
        self.all("partial")
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
        self.data.with_file_name(name)
    }

    fn free_name(&self, what: &str, now: SystemTime) -> PathBuf {
        let stamp = stamp(now);
        let numbered = |number: u32| if number < 2 { String::new() } else { format!("-{number}") };
        let mut names = (1..).map(|number| self.beside(&format!("{what}-{stamp}{}", numbered(number))));
        names.find(|path| !path.exists()).unwrap_or_default()
    }

    fn all(&self, what: &str) -> Vec<PathBuf> {
        let start = format!("{}.{what}-", self.name());
        let Ok(entries) = std::fs::read_dir(self.parent()) else { return Vec::new() };
        let named = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&start));
        let mut found: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
        found.sort();
        found
    }

    fn name(&self) -> String {
        self.data.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.parent().join(format!("{}.{what}", self.name()))
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

/// What is mounted at a folder or below it, the folder itself first (`/proc/self/mountinfo`, `proc_pid_mountinfo(5)`).
pub fn mount_points(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").attempt(|| "read /proc/self/mountinfo")?;
    let places = text.lines().filter_map(|line| line.split(' ').nth(4)).map(|place| PathBuf::from(unescape(place)));
    let mut found: Vec<PathBuf> = places.filter(|place| place.starts_with(folder)).collect();
    found.sort();
    Ok(found)
}

/// Blanks, tabs, line ends and backslashes come as `\040` and the like.
fn unescape(place: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(place.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
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
        let places = Places { data: "/srv/17/main".into() };
        assert_eq!(places.incoming(), Path::new("/srv/17/main.incoming"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        assert_eq!(places.next_previous(now), Path::new("/srv/17/main.previous-20260921T141320Z"));
    }

    #[test]
    fn knows_a_mount_point_from_a_folder() {
        assert_eq!(mount_points(Path::new("/proc")).unwrap()[0], Path::new("/proc"));
        assert!(mount_points(Path::new("/proc/self")).unwrap().is_empty());
        assert_eq!(unescape("/mnt/with\\040blank"), "/mnt/with blank");
    }
}
