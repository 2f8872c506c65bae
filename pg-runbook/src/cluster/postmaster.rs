//! The server process of a data directory, as postmaster.pid and the kernel tell of it.
//!
//! What must always hold: a stale postmaster.pid, also one whose number another process has now, counts as no server.

use super::State;
use crate::process;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No server.
    Nothing,
    /// A server.
    Process(Process),
    /// The data directory can't be read.
    Denied,
}

/// A running postmaster; the lines of postmaster.pid (`pidfile.h`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its process number.
    pub pid: i32,
    /// When it started, in seconds since 1970.
    pub started: i64,
    /// The port it listens on.
    pub port: Option<u16>,
    /// Where its Unix socket is.
    pub socket_directory: Option<PathBuf>,
    /// `starting`, `stopping`, `ready`, `standby`; empty early on.
    pub status: String,
}

impl Found {
    /// As the document says it.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Nothing => State::Down,
            Self::Denied => State::Unknown,
            Self::Process(process) => match process.status.as_str() {
                "ready" | "standby" => State::Running,
                "stopping" => State::Stopping,
                _ => State::Starting,
            },
        }
    }

    /// Port and socket folder, where there is a server.
    #[must_use]
    pub fn address(&self) -> (Option<u16>, Option<PathBuf>) {
        match self {
            Self::Process(process) => (process.port, process.socket_directory.clone()),
            Self::Nothing | Self::Denied => (None, None),
        }
    }

    /// The process, where there is one.
    #[must_use]
    pub fn process(self) -> Option<Process> {
        match self {
            Self::Process(process) => Some(process),
            Self::Nothing | Self::Denied => None,
        }
    }
}

/// Looks for the server of a data directory.
#[must_use]
pub fn look(data_directory: &Path) -> Found {
    match std::fs::read_to_string(data_directory.join("postmaster.pid")) {
        Ok(text) => {
            parse(&text).filter(|process| is_server(process.pid, data_directory)).map_or(Found::Nothing, Found::Process)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Found::Denied,
        Err(_) => Found::Nothing,
    }
}

fn parse(text: &str) -> Option<Process> {
    let line = |number: usize| text.lines().nth(number).map(str::trim).filter(|line| !line.is_empty());
    Some(Process {
        pid: line(0)?.parse().ok()?,
        started: line(2).and_then(|text| text.parse().ok()).unwrap_or_default(),
        port: line(3).and_then(|text| text.parse().ok()),
        socket_directory: line(4).map(PathBuf::from),
        status: line(7).unwrap_or_default().to_owned(),
    })
}

/// A postmaster works in its data directory: that tells it from whoever got its number after a crash.
fn is_server(pid: i32, data_directory: &Path) -> bool {
    if !is_alive(pid) {
        return false;
    }
    match (process::folder(pid), std::fs::canonicalize(data_directory)) {
        (Some(works_in), Ok(folder)) => works_in == folder,
        _ => true,
    }
}

/// Whether a server's process of this number runs.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    is_named_postgres(pid) && !process::is_zombie(pid)
}

/// A process that the postmaster started, with the title that it gives itself (`ps`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its process number.
    pub pid: i32,
    /// Such as `postgres: main: walreceiver streaming 0/3000148`.
    pub title: String,
}

/// The processes that a postmaster started.
#[must_use]
pub fn children(postmaster: i32) -> Vec<Child> {
    let told = process::children(postmaster).into_iter().filter_map(|pid| Some((pid, process::command_line(pid)?)));
    told.map(|(pid, words)| {
        let title = words.join(OsStr::new(" ")).to_string_lossy().trim_end().to_owned();
        Child { pid, title }
    })
    .collect()
}

/// The data directories of all servers that this user can see, in order.
#[must_use]
pub fn data_directories_of_running_servers() -> Vec<PathBuf> {
    let servers = process::all().filter(|pid| is_named_postgres(*pid));
    // A server's many processes all work in its data directory: each is looked at once.
    let folders: BTreeSet<PathBuf> = servers.filter_map(process::folder).collect();
    folders.into_iter().filter(|folder| matches!(look(folder), Found::Process(_))).collect()
}

fn is_named_postgres(pid: i32) -> bool {
    process::name(pid).is_some_and(|name| ["postgres", "postmaster"].contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str =
        "4711\n/srv/17/main\n1790000000\n5434\n/var/run/postgresql\nlocalhost\n  5432001    131072\nready   \n";

    #[test]
    fn reads_the_lines_that_a_server_writes() {
        let process = parse(RUNNING).unwrap();
        assert_eq!((process.pid, process.port, process.status.as_str()), (4711, Some(5434), "ready"));
        assert_eq!(process.socket_directory.as_deref(), Some(Path::new("/var/run/postgresql")));
        assert_eq!(Found::Process(process).state(), State::Running);
    }

    #[test]
    fn a_server_that_has_written_only_its_first_lines_is_starting() {
        let process = parse("4711\n/srv/17/main\n1790000000\n5434\n\n").unwrap();
        assert_eq!(Found::Process(process).state(), State::Starting);
    }

    #[test]
    fn a_pid_file_whose_number_another_process_has_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let pid = std::process::id().to_string();
        #[allow(clippy::disallowed_methods)] // The test's own scenery.
        std::fs::write(folder.path().join("postmaster.pid"), RUNNING.replace("4711", &pid)).unwrap();
        assert_eq!(look(folder.path()), Found::Nothing);
    }
}
