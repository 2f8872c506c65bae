//! postgresql-common's clusters: /etc/postgresql/VERSION/NAME.
//!
//! What must always hold: the files are read as `pg_lsclusters` reads them, without its 50 ms of Perl.

use super::{Cluster, Clusters, Layout, Unreadable, describe, host, owner_of, postmaster, role, system_identifier};
use crate::configuration::Configuration;
use crate::failure::Failure;
use serde_json::Map;
use std::path::{Path, PathBuf};

/// Where the configurations are: `$PG_CLUSTER_CONF_ROOT` (`PgCommon.pm`), else /etc/postgresql.
#[must_use]
pub fn configuration_root() -> PathBuf {
    std::env::var_os("PG_CLUSTER_CONF_ROOT").map_or_else(|| PathBuf::from("/etc/postgresql"), PathBuf::from)
}

/// Whether postgresql-common is there.
#[must_use]
pub fn is_installed() -> bool {
    Path::new("/usr/bin/pg_ctlcluster").exists()
}

/// Every cluster, by version and name; where one's configuration can't be read, the others stay known.
#[must_use]
pub fn list() -> Clusters {
    let mut found = Clusters::default();
    for (major, versioned) in
        entries(&configuration_root()).into_iter().filter_map(|(name, path)| Some((name.parse().ok()?, path)))
    {
        for (name, folder) in entries(&versioned) {
            let there = || folder.join("postgresql.conf").exists();
            if there() {
                match cluster(major, &name, &folder) {
                    Ok(cluster) => found.known.push(cluster),
                    // It was dropped while we looked.
                    Err(_) if !there() => {}
                    Err(failure) => found.unreadable.push(Unreadable { major, name, folder, failure }),
                }
            }
        }
    }
    found.known.sort_by(|a, b| (a.major, &a.name).cmp(&(b.major, &b.name)));
    found.unreadable.sort_by(|a, b| (a.major, &a.name).cmp(&(b.major, &b.name)));
    found
}

/// One cluster, where it exists.
pub fn find(major: u32, name: &str) -> Result<Option<Cluster>, Failure> {
    let folder = configuration_root().join(major.to_string()).join(name);
    if folder.join("postgresql.conf").exists() { cluster(major, name, &folder).map(Some) } else { Ok(None) }
}

/// Where `pg_createcluster` puts a cluster's data if it isn't told (`pg_createcluster(8)`, `createcluster.conf`).
#[must_use]
pub fn usual_data_directory(major: u32, name: &str) -> PathBuf {
    let defaults = Configuration::load(Path::new("/etc/postgresql-common/createcluster.conf"), None).ok();
    let told = defaults.and_then(|defaults| defaults.in_force("data_directory").map(|found| found.value.clone()));
    PathBuf::from(fill_in(told.as_deref().unwrap_or("/var/lib/postgresql/%v/%c"), major, name))
}

fn fill_in(pattern: &str, major: u32, name: &str) -> String {
    let parts = pattern.split("%%").map(|part| part.replace("%v", &major.to_string()).replace("%c", name));
    parts.collect::<Vec<_>>().join("%")
}

/// What start.conf says: `auto`, `manual` or `disabled`.
#[must_use]
pub fn start_policy(cluster: &Cluster) -> Option<String> {
    let text = std::fs::read_to_string(cluster.config_file.parent()?.join("start.conf")).ok()?;
    let word = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).find(|line| !line.is_empty());
    Some(word.unwrap_or("auto").to_owned())
}

/// The log that `pg_ctlcluster` writes.
#[must_use]
pub fn log_file(cluster: &Cluster) -> Option<PathBuf> {
    let name = cluster.name.as_ref()?;
    let link = cluster.config_file.parent()?.join("log");
    let usual = PathBuf::from(format!("/var/log/postgresql/postgresql-{}-{name}.log", cluster.major));
    Some(std::fs::read_link(link).unwrap_or(usual))
}

fn cluster(major: u32, name: &str, folder: &Path) -> Result<Cluster, Failure> {
    let config_file = folder.join("postgresql.conf");
    let described = describe(&config_file, None)?;
    let found = postmaster::look(&described.data_directory);
    let owner = owner_of(&described.data_directory).or_else(|_| owner_of(&config_file))?;
    let (port, socket) = found.address();
    Ok(Cluster {
        host_id: host::id(),
        version: None,
        major,
        name: Some(name.into()),
        layout: Layout::Debian,
        hba_file: described.hba_file,
        port: port.unwrap_or(described.port),
        socket_directory: socket.or(described.socket_directory),
        owner: owner.name,
        service: Path::new("/run/systemd/system").exists().then(|| format!("postgresql@{major}-{name}.service")),
        system_identifier: system_identifier(&described.data_directory),
        state: found.state(),
        role: role(&described.data_directory),
        data_directory: described.data_directory,
        config_file,
        rest: Map::new(),
    })
}

fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_data_directory_is_filled_in_as_pg_createcluster_does() {
        assert_eq!(fill_in("/var/lib/postgresql/%v/%c", 17, "replica"), "/var/lib/postgresql/17/replica");
        assert_eq!(fill_in("/data/100%%c/%c-%v", 15, "main"), "/data/100%c/main-15");
    }
}
