//! A data directory made by `initdb` and served by `pg_ctl`, its configuration inside.

use super::{Cluster, Layout, describe, host, major_of, owner_of, postmaster, role, system_identifier};
use crate::failure::{Attempt, Failure};
use serde_json::Map;
use std::path::{Path, PathBuf};

/// The note in a copy that waits to be put in place of a data directory: a server on it is nobody's cluster.
pub const STAGED_NOTE: &str = "pg-runbook.staged.json";

/// The cluster in this data directory.
pub fn at(folder: &Path) -> Result<Cluster, Failure> {
    let owner = owner_of(folder).map_err(|failure| missing(folder, &failure))?;
    if !crate::owner::reaches(owner.uid.as_raw()) {
        return Err(Failure::usage(format!(
            "{} belongs to {}, and only that user can look into it",
            folder.display(),
            owner.name
        ))
        .hint(format!("sudo -u {} …, or sudo …", owner.name)));
    }
    refuse_a_mixture(folder)?;
    let major = major_of(folder).ok_or_else(|| not_one(folder))?;
    let config_file = config_file(folder);
    let described = describe(&config_file, Some(folder))
        .map_err(|failure| failure.while_doing(format!("read the configuration of {}", folder.display())))?;
    let found = postmaster::look(folder);
    let (port, socket) = found.address();
    Ok(Cluster {
        host_id: host::id(),
        version: None,
        major,
        name: None,
        layout: Layout::Plain,
        data_directory: folder.to_owned(),
        config_file,
        hba_file: described.hba_file,
        port: port.unwrap_or(described.port),
        socket_directory: socket.or(described.socket_directory),
        owner: owner.name,
        service: None,
        system_identifier: system_identifier(folder),
        state: found.state(),
        role: role(folder),
        rest: Map::new(),
    })
}

/// The server's log where `pg_ctl` writes it: beside the data directory, which a re-clone replaces.
#[must_use]
pub fn log_file(data_directory: &Path) -> PathBuf {
    let mut name = data_directory.as_os_str().to_owned();
    name.push(".log");
    PathBuf::from(name)
}

/// The file that keeps two servers from one socket.
#[must_use]
pub fn socket_lock(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// postmaster.opts remembers the last command line, where the configuration may have been named.
fn config_file(folder: &Path) -> PathBuf {
    let options = std::fs::read_to_string(folder.join("postmaster.opts")).unwrap_or_default();
    let named = options.split('"').find_map(|word| word.trim_start_matches("--").strip_prefix("config_file="));
    named.map_or_else(|| folder.join("postgresql.conf"), PathBuf::from)
}

/// Where the data directory is for the moment between two renames, on a file system that can't exchange.
#[must_use]
pub fn aside(data_directory: &Path) -> PathBuf {
    let mut name = data_directory.as_os_str().to_owned();
    name.push(".aside");
    PathBuf::from(name)
}

/// What our own names begin with inside a data directory that is a mount point.
pub const IN_MOUNT: &str = "pg-runbook";

/// The folder in which things lie beside a data directory on its own file system, and what their names begin with:
/// `/srv` and `main`, or, where the data directory is a mount point, that itself and `pg-runbook`.
#[must_use]
pub fn beside(data_directory: &Path) -> (PathBuf, String) {
    if is_mount_point(data_directory) {
        return (data_directory.to_owned(), IN_MOUNT.to_owned());
    }
    let name = data_directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (data_directory.parent().unwrap_or(Path::new("/")).to_owned(), name)
}

/// Whether a file system is mounted at this very folder.
#[must_use]
pub fn is_mount_point(folder: &Path) -> bool {
    mount_points(folder).is_ok_and(|places| places.iter().any(|place| place == folder))
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

/// In a mount point: where the old entries are while they go out, until the last of them is.
#[must_use]
pub fn aside_in_mount(data_directory: &Path) -> PathBuf {
    data_directory.join(format!("{IN_MOUNT}.aside"))
}

/// In a mount point: where they all are while the new ones come in.
#[must_use]
pub fn out_in_mount(data_directory: &Path) -> PathBuf {
    data_directory.join(format!("{IN_MOUNT}.out"))
}

/// Whether the entries of a mount point are changing places.
#[must_use]
pub fn entries_are_changing_places(data_directory: &Path) -> bool {
    aside_in_mount(data_directory).exists() || out_in_mount(data_directory).exists()
}

/// A data directory that an exchange, cut off between two renames, left under its other name: nothing may take its
/// place.
pub fn refuse_one_aside(folder: &Path) -> Result<(), Failure> {
    let aside = aside(folder);
    if folder.exists() || !aside.join("PG_VERSION").exists() {
        return Ok(());
    }
    let word = |path: &Path| crate::invocation::shell_word(path.as_os_str());
    Err(Failure::refused(format!("{} lies aside, as {}", folder.display(), aside.display()))
        .because("an exchange of directories was cut off between two renames; nothing is lost")
        .hint(format!("mv {} {}", word(&aside), word(folder))))
}

/// Nothing but what ends it may take it for a cluster.
fn refuse_a_mixture(folder: &Path) -> Result<(), Failure> {
    if !entries_are_changing_places(folder) {
        return Ok(());
    }
    let word = crate::invocation::shell_word(folder.as_os_str());
    Err(Failure::refused(format!("what is in {} is changing places", folder.display()))
        .because("an exchange was cut off; nothing is lost, and no server can be started on it")
        .hint(format!("pg-basebackup-swap swap -D {word}")))
}

fn missing(folder: &Path, failure: &Failure) -> Failure {
    if let Err(aside) = refuse_one_aside(folder) {
        return aside;
    }
    Failure::usage(format!("{} is not a data directory", folder.display()))
        .because(failure.causes.join(": "))
        .hint("pg-cluster list")
}

fn not_one(folder: &Path) -> Failure {
    Failure::usage(format!("{} is not a data directory", folder.display()))
        .because("it has no PG_VERSION")
        .hint("pg-cluster list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_mount_point_from_a_folder() {
        assert_eq!(mount_points(Path::new("/proc")).unwrap()[0], Path::new("/proc"));
        assert!(mount_points(Path::new("/proc/self")).unwrap().is_empty());
        assert_eq!(unescape("/mnt/with\\040blank"), "/mnt/with blank");
    }

    #[test]
    fn what_lies_beside_a_mount_point_lies_in_it() {
        assert_eq!(beside(Path::new("/srv/17/main")), (PathBuf::from("/srv/17"), "main".to_owned()));
        assert_eq!(beside(Path::new("/proc")), (PathBuf::from("/proc"), "pg-runbook".to_owned()));
    }
}
