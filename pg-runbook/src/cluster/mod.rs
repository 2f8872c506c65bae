//! Which clusters this host has, and which one is meant.
//!
//! What must always hold: finding out starts no program and changes nothing; Debian's layout and plain directories are
//! equals.

pub mod contents;
pub mod debian;
pub mod host;
pub mod plain;
pub mod postmaster;
pub mod programs;
pub mod version;

use crate::configuration::Configuration;
use crate::failure::{Attempt, Failure};
use crate::owner::Owner;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One PostgreSQL server's data directory and configuration on this host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cluster {
    /// Which host, without telling its machine id.
    pub host_id: String,
    /// Such as `17.6`; null where no server and no program of one was asked.
    #[serde(default)]
    pub version: Option<String>,
    /// The major version, such as 17.
    pub major: u32,
    /// Debian's name, such as `main`; null in plain layouts.
    #[serde(default)]
    pub name: Option<String>,
    /// Who arranged the files.
    pub layout: Layout,
    /// The data directory, absolute.
    pub data_directory: PathBuf,
    /// The main configuration file, postgresql.conf.
    pub config_file: PathBuf,
    /// The file of its rules, `pg_hba.conf`.
    pub hba_file: PathBuf,
    /// The port: the running server's own, else the configured one.
    pub port: u16,
    /// Where its Unix socket is: the running server's own, else the configured one.
    #[serde(default)]
    pub socket_directory: Option<PathBuf>,
    /// The user that it belongs to.
    pub owner: String,
    /// The systemd unit; null where there is none.
    #[serde(default)]
    pub service: Option<String>,
    /// Which system's data it holds, in decimal digits; null where the control file can't be read.
    #[serde(default)]
    #[schemars(regex(pattern = crate::document::SYSTEM_IDENTIFIER))]
    pub system_identifier: Option<String>,
    /// Whether its server runs.
    pub state: State,
    /// Primary or standby: a running server's own word, else by the signal files; null where that can't be told.
    #[serde(default)]
    pub role: Option<Role>,
    /// Fields of a newer minor.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Who arranged a cluster's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// postgresql-common: configuration in /etc/postgresql/VERSION/NAME.
    Debian,
    /// `initdb` and `pg_ctl`: configuration in the data directory.
    Plain,
}

/// What a cluster's server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs.
    Running,
    /// It was started and doesn't answer yet.
    Starting,
    /// It was told to stop and hasn't yet.
    Stopping,
    /// It doesn't run.
    Down,
    /// With `--check`: the cluster would be made.
    Absent,
    /// This user may not look.
    Unknown,
}

/// What a cluster is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It is in recovery.
    Standby,
}

impl Cluster {
    /// How people call it: `17/main`, or the data directory.
    #[must_use]
    pub fn title(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| self.data_directory.display().to_string(), |name| format!("{}/{name}", self.major))
    }

    /// The option that names it on a command line.
    #[must_use]
    pub fn option(&self) -> String {
        self.name.as_ref().map_or_else(
            || format!("-D {}", crate::invocation::shell_word(self.data_directory.as_os_str())),
            |name| format!("--cluster {}/{name}", self.major),
        )
    }

    /// Whether a server process is there, answering or not.
    #[must_use]
    pub fn has_process(&self) -> bool {
        matches!(self.state, State::Running | State::Starting | State::Stopping)
    }

    /// Looks again at what changes as servers come and go.
    pub fn refresh(&mut self) {
        let found = postmaster::look(&self.data_directory);
        self.state = found.state();
        if let postmaster::Found::Process(process) = found {
            self.port = process.port.unwrap_or(self.port);
            self.socket_directory = process.socket_directory.or(self.socket_directory.take());
        }
        self.role = role(&self.data_directory);
        self.system_identifier = system_identifier(&self.data_directory);
    }

    /// Its owner, as a user of this host.
    pub fn owner(&self) -> Result<Owner, Failure> {
        Owner::named(&self.owner)?
            .map_or_else(|| self.owner.parse().ok().map_or_else(|| Err(unknown_owner(&self.owner)), Owner::of_uid), Ok)
    }

    /// Its configuration files, with includes and postgresql.auto.conf.
    pub fn configuration(&self) -> Result<Configuration, Failure> {
        Configuration::load(&self.config_file, Some(&self.data_directory))
    }

    /// Whether two descriptions mean the same cluster.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.host_id == other.host_id && self.data_directory == other.data_directory
    }
}

/// A state, a layout or a role as the document has it.
#[must_use]
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn unknown_owner(name: &str) -> Failure {
    Failure::failed(format!("find the user {name:?}")).because("this host has no such user")
}

/// What a configuration says of where a server lives; shared by both layouts.
pub(crate) struct Described {
    pub data_directory: PathBuf,
    pub hba_file: PathBuf,
    pub port: u16,
    pub socket_directory: Option<PathBuf>,
}

pub(crate) fn describe(config_file: &Path, data_directory: Option<&Path>) -> Result<Described, Failure> {
    let first = Configuration::load(config_file, data_directory)?;
    let said =
        |configuration: &Configuration, name: &str| configuration.in_force(name).map(|found| found.value.clone());
    let folder = config_file.parent().unwrap_or(Path::new("/"));
    let data_directory = match (said(&first, "data_directory"), data_directory) {
        (Some(named), _) => PathBuf::from(named),
        (None, Some(given)) => given.to_owned(),
        (None, None) => folder.to_owned(),
    };
    let all = Configuration::load(config_file, Some(&data_directory)).unwrap_or(first);
    let socket_directory = said(&all, "unix_socket_directories")
        .and_then(|list| list.split(',').next().map(|first| PathBuf::from(first.trim())))
        .filter(|path| path.is_absolute());
    Ok(Described {
        hba_file: said(&all, "hba_file").map_or_else(|| folder.join("pg_hba.conf"), |path| data_directory.join(path)),
        port: said(&all, "port").and_then(|port| port.parse().ok()).unwrap_or(5432),
        socket_directory,
        data_directory,
    })
}

/// The first 8 bytes of `global/pg_control`, in the machine's order: true of every version (`pg_control.h`).
#[must_use]
pub fn system_identifier(data_directory: &Path) -> Option<String> {
    let mut bytes = [0; 8];
    std::fs::File::open(data_directory.join("global/pg_control"))
        .and_then(|mut file| file.read_exact(&mut bytes))
        .ok()?;
    Some(u64::from_ne_bytes(bytes).to_string())
}

/// The major version in `PG_VERSION`; `None` where there is no such file or it can't be read.
#[must_use]
pub fn major_of(data_directory: &Path) -> Option<u32> {
    std::fs::read_to_string(data_directory.join("PG_VERSION")).ok()?.trim().split('.').next()?.parse().ok()
}

fn role(data_directory: &Path) -> Option<Role> {
    // try_exists, because a folder that can't be searched says neither.
    let there = |name: &str| data_directory.join(name).try_exists();
    let mut signals = ["standby.signal", "recovery.signal", "recovery.conf"].iter().map(|name| there(name));
    match signals.try_fold(false, |any, there| there.map(|there| any || there)) {
        Ok(true) => Some(Role::Standby),
        Ok(false) => Some(Role::Primary),
        Err(_) => None,
    }
}

fn owner_of(path: &Path) -> Result<Owner, Failure> {
    Owner::of_uid(std::fs::metadata(path).attempt(|| format!("look at {path:?}"))?.uid())
}

/// The clusters of this host.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    /// Those whose configuration can be read.
    pub known: Vec<Cluster>,
    /// Those of Debian's layout whose configuration can't.
    pub unreadable: Vec<Unreadable>,
}

/// A cluster of Debian's layout whose configuration can't be read, so that nobody knows where its data is.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Its major version.
    pub major: u32,
    /// Its name, such as `main`.
    pub name: String,
    /// Where its configuration is.
    pub folder: PathBuf,
    /// Why it can't be read.
    pub failure: Failure,
}

impl Unreadable {
    /// How people call it: `17/main`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.major, self.name)
    }

    /// Whether a folder is its configuration's, or where its data would usually be.
    fn may_be_at(&self, folder: &Path) -> bool {
        folder == self.folder || folder == debian::usual_data_directory(self.major, &self.name)
    }
}

impl Clusters {
    fn titles(&self) -> Vec<String> {
        let known = self.known.iter().map(Cluster::title);
        let unreadable = self.unreadable.iter().map(|one| format!("{} (its configuration can't be read)", one.title()));
        known.chain(unreadable).collect()
    }
}

/// Every cluster of this host: Debian's by their configuration, plain ones by their running servers.
#[must_use]
pub fn list() -> Clusters {
    let mut clusters = debian::list();
    for folder in postmaster::data_directories_of_running_servers() {
        // Once it is in place it is one, also before its note is gone.
        let waits = folder.extension().is_some_and(|end| end == "incoming");
        let is_a_copy = waits && folder.join(plain::STAGED_NOTE).exists();
        let is_known = clusters.known.iter().any(|known| known.data_directory == folder)
            || clusters.unreadable.iter().any(|unreadable| unreadable.may_be_at(&folder));
        if !is_a_copy && !is_known {
            clusters.known.extend(plain::at(&folder).ok());
        }
    }
    clusters
}

/// The cluster that `17/main` (or `17-main`) names.
pub fn named(text: &str) -> Result<Cluster, Failure> {
    let (major, name) = split_name(text)?;
    debian::find(major, name)?.ok_or_else(|| {
        with_choices(Failure::usage(format!("there is no cluster {major}/{name}")), &debian::list())
            .hint("pg-cluster list")
    })
}

/// `17/main` taken apart.
pub fn split_name(text: &str) -> Result<(u32, &str), Failure> {
    let unclear = || {
        Failure::usage(format!("{text:?} does not name a cluster"))
            .because("it is written VERSION/NAME, such as 17/main")
    };
    let (major, name) = text.split_once('/').or_else(|| text.split_once('-')).ok_or_else(unclear)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
        return Err(unclear());
    }
    Ok((major.parse().map_err(|_| unclear())?, name))
}

/// The cluster whose data directory (or Debian configuration directory) this is.
pub fn at(folder: &Path) -> Result<Cluster, Failure> {
    let folder = std::path::absolute(folder).attempt(|| format!("find the folder {folder:?}"))?;
    let real = std::fs::canonicalize(&folder);
    let clusters = debian::list();
    for cluster in clusters.known {
        let configured = cluster.config_file.parent() == Some(&folder);
        let same = real
            .as_ref()
            .is_ok_and(|real| std::fs::canonicalize(&cluster.data_directory).is_ok_and(|its| its == *real));
        if configured || same {
            return Ok(cluster);
        }
    }
    // Taken for a plain one it would be started and stopped without its unit.
    match clusters
        .unreadable
        .into_iter()
        .find(|one| one.may_be_at(&folder) || real.as_ref().is_ok_and(|real| one.may_be_at(real)))
    {
        Some(unreadable) => Err(unreadable.failure),
        None => plain::at(&folder),
    }
}

/// The only cluster of this host.
pub fn only() -> Result<Cluster, Failure> {
    let mut clusters = list();
    match (clusters.known.len(), clusters.unreadable.len()) {
        (1, 0) => Ok(clusters.known.remove(0)),
        (0, 1) => Err(clusters.unreadable.remove(0).failure),
        (0, 0) => Err(Failure::usage("there is no cluster on this host")
            .because("no Debian cluster, and no PostgreSQL server that runs")
            .hint("name one: -D DIRECTORY; or make one: pg-cluster create --layout plain -D DIRECTORY")),
        _ => Err(with_choices(Failure::usage("this host has several clusters, and none was named"), &clusters)
            .hint("name one: --cluster VERSION/NAME, or -D DIRECTORY")),
    }
}

fn with_choices(failure: Failure, clusters: &Clusters) -> Failure {
    let titles = clusters.titles();
    if titles.is_empty() {
        return failure.because("this host has no Debian cluster");
    }
    failure.because(format!("there are: {}", titles.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_name_apart_as_pg_ctlcluster_does() {
        assert_eq!(split_name("17/main").unwrap(), (17, "main"));
        assert_eq!(split_name("17-main").unwrap(), (17, "main"));
        for bad in ["main", "17/", "17/..", "x/main", "17/a b", "17/a/b"] {
            assert_eq!(split_name(bad).unwrap_err().code, crate::Code::Usage, "{bad}");
        }
    }
}
