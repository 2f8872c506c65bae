//! A data directory made by `initdb` and served by `pg_ctl`, its configuration inside.

use super::{Cluster, Layout, describe, host, major_of, owner_of, postmaster, role, system_identifier};
use crate::failure::Failure;
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
