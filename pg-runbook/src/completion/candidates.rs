//! Candidates that more than one tool has: clusters, their folders, their servers' roles and databases.

use super::{Candidate, Line, PathCompleter, ValueCompleter, candidate};
use crate::cluster::{self, Cluster, programs};
use std::ffi::OsStr;
use std::path::Path;

/// Asks for roles: standbys' first, and not the predefined ones, which nobody logs in with.
pub const ROLES: &str = "SELECT rolname, concat_ws(', ', CASE WHEN rolsuper THEN 'superuser' END, \
    CASE WHEN rolreplication THEN 'replication' END, CASE WHEN NOT rolcanlogin THEN 'no login' END) \
    FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY rolsuper, NOT rolreplication, NOT rolcanlogin, rolname";
const DATABASES: &str =
    "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname";

/// Debian's clusters of this host.
#[must_use]
pub fn clusters(_: &Line, _: &str) -> Vec<Candidate> {
    cluster::debian::list().known.iter().map(of_cluster).collect()
}

/// A cluster by its name, with what it is doing beside it.
#[must_use]
pub fn of_cluster(cluster: &Cluster) -> Candidate {
    candidate(cluster.title(), about(cluster))
}

fn about(cluster: &Cluster) -> String {
    let role = cluster.role.map(|role| format!("{}, ", cluster::word(&role))).unwrap_or_default();
    format!("{role}{}, port {}", cluster::word(&cluster.state), cluster.port)
}

/// The data directories of this host's clusters, then any folder.
#[must_use]
pub fn data_directories(_: &Line, current: &str) -> Vec<Candidate> {
    let clusters = cluster::list().known;
    let known = clusters.iter().map(|cluster| candidate(cluster.data_directory.to_string_lossy(), about(cluster)));
    let is_known = |folder: &Path| clusters.iter().any(|cluster| cluster.data_directory == folder);
    let folders = PathCompleter::dir().complete(OsStr::new(current)).into_iter();
    known
        .chain(folders.filter(|folder| folder.get_value() != "." && !is_known(Path::new(folder.get_value()))))
        .collect()
}

/// The majors whose server is installed.
#[must_use]
pub fn majors(_: &Line, _: &str) -> Vec<Candidate> {
    programs::installed_majors().iter().map(|major| Candidate::new(major.to_string())).collect()
}

/// The roles of the server that is meant.
#[must_use]
pub fn roles(line: &Line, _: &str) -> Vec<Candidate> {
    of_rows(line.ask(ROLES))
}

/// The databases of the server that is meant.
#[must_use]
pub fn databases(line: &Line, _: &str) -> Vec<Candidate> {
    of_rows(line.ask(DATABASES))
}

/// The first column, with the second beside it.
#[must_use]
pub fn of_rows(rows: Vec<Vec<String>>) -> Vec<Candidate> {
    let first_two = |row: Vec<String>| {
        let mut columns = row.into_iter();
        Some(candidate(columns.next()?, columns.next().unwrap_or_default()))
    };
    rows.into_iter().filter_map(first_two).collect()
}
