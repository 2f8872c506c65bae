//! What the running server has in force, and what it must do before something else is.
//!
//! What must always hold: whether a value is in force is decided by the server's own value, so a need that nobody has
//! met yet is told again by every run.

use pg_runbook::cluster::Cluster;
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::{Failure, Level, Run};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A cluster's server, as far as settings go.
#[derive(Clone, Debug, PartialEq)]
pub enum Running {
    /// There is none.
    Down,
    /// There is one, and it can't be asked.
    Silent,
    /// What it says.
    Answers(Snapshot),
}

/// One moment of `pg_settings`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The settings that were asked for, as far as the server has them.
    pub settings: Vec<Live>,
    /// `pg_conf_load_time()`, in seconds since 1970.
    pub loaded: f64,
    /// `pg_postmaster_start_time()`, in seconds since 1970.
    pub started: f64,
    /// Who replicates from it, base backups left aside.
    pub standbys: Vec<String>,
}

/// One row of `pg_settings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// In lower case.
    pub name: String,
    /// As `SHOW` says it.
    pub shown: String,
    /// What the server has for new sessions, in canonical form and past all show hooks.
    pub reset_value: String,
    /// The built-in default, likewise.
    pub boot_value: String,
    /// When a change takes effect.
    pub context: String,
    /// Who gave the value.
    pub source: String,
    /// Whether the files ask for another value, which only a restart brings.
    pub pending_restart: bool,
    /// The unit of a bare number, such as `8kB` or `ms`.
    pub unit: Option<String>,
}

/// What is asked of a setting.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// In lower case.
    pub name: &'a str,
    /// The value, in canonical form.
    pub value: &'a str,
    /// Whether this run changes it.
    pub changed: bool,
    /// When the file that says it was last written, in seconds since 1970.
    pub written: f64,
    /// The context, where the running server can't tell it.
    pub context: Option<&'a str>,
}

impl Running {
    /// The row of one setting.
    pub fn live(&self, name: &str) -> Option<&Live> {
        match self {
            Self::Answers(snapshot) => snapshot.settings.iter().find(|live| live.name == name),
            Self::Down | Self::Silent => None,
        }
    }

    /// What has to be done before the server has what is asked.
    pub fn level(&self, asked: Asked<'_>) -> Level {
        let snapshot = match self {
            Self::Down => return Level::Start,
            Self::Silent if asked.changed => return level_of(asked.context.unwrap_or_default()),
            Self::Silent => return Level::None,
            Self::Answers(snapshot) => snapshot,
        };
        let Some(live) = self.live(asked.name) else {
            // Of an extension that isn't loaded.
            return if asked.changed || asked.written > snapshot.loaded { Level::Reload } else { Level::None };
        };
        let level = level_of(&live.context);
        if live.holds(asked.value) {
            return Level::None;
        }
        let since = if level == Level::Restart { snapshot.started } else { snapshot.loaded };
        let waits = live.is_comparable() || asked.changed || live.pending_restart || asked.written > since;
        if waits { level } else { Level::None }
    }
}

impl Live {
    /// Whether this is the value in force. The server itself replaces some defaults (`wal_buffers = -1`).
    pub fn holds(&self, value: &str) -> bool {
        let replaced = matches!(self.source.as_str(), "default" | "override") && value == self.boot_value;
        !self.is_of_this_session() && (value == self.reset_value || replaced)
    }

    /// Whether a difference means anything. It doesn't where the server made the value up, and where an extension has a
    /// canonical form that the server program doesn't know.
    fn is_comparable(&self) -> bool {
        !self.is_of_this_session() && !self.name.contains('.') && self.source != "override"
    }

    /// Whether the value was given to this session (ALTER ROLE, the connection itself) and hides the server's.
    fn is_of_this_session(&self) -> bool {
        ["client", "session", "user", "database", "database user", "interactive"].contains(&self.source.as_str())
    }
}

fn level_of(context: &str) -> Level {
    match context {
        "postmaster" => Level::Restart,
        "internal" => Level::None,
        _ => Level::Reload,
    }
}

/// When a file was last written, in seconds since 1970.
pub fn written(path: &Path) -> f64 {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0.0, |since| since.as_secs_f64())
}

/// Connects where there is a server; one that can't be asked is told of.
pub fn connect(run: &mut Run, cluster: &Cluster, connection: &ConnectionArguments) -> Option<Server> {
    if !cluster.has_process() {
        return None;
    }
    match run.connect(cluster, connection) {
        Ok(server) => Some(server),
        Err(failure) => {
            run.warn(format!("{} runs and can't be asked what it has in force: {failure}", cluster.title()));
            None
        }
    }
}

/// Asks for these settings.
pub fn look(
    run: &mut Run,
    cluster: &Cluster,
    names: &[String],
    connection: &ConnectionArguments,
) -> Result<Running, Failure> {
    if !cluster.has_process() {
        return Ok(Running::Down);
    }
    match connect(run, cluster, connection) {
        Some(mut server) => snapshot(&mut server, names).map(Running::Answers),
        None => Ok(Running::Silent),
    }
}

fn snapshot(server: &mut Server, names: &[String]) -> Result<Snapshot, Failure> {
    let query = "SELECT lower(name), coalesce(current_setting(name), ''), coalesce(reset_val, ''),
            coalesce(boot_val, ''), context, source, pending_restart, unit
        FROM pg_settings WHERE lower(name) = ANY ($1)";
    let live = |row: &pg_runbook::server::Row| Live {
        name: row.get(0),
        shown: row.get(1),
        reset_value: row.get(2),
        boot_value: row.get(3),
        context: row.get(4),
        source: row.get(5),
        pending_restart: row.get(6),
        unit: row.get(7),
    };
    let settings = server.query(query, &[&names])?.iter().map(live).collect();
    let times = times(server)?;
    let standbys = "SELECT application_name || coalesce(' at ' || host(client_addr), '') FROM pg_stat_replication
        WHERE state <> 'backup' ORDER BY 1";
    let standbys = server.query(standbys, &[])?.iter().map(|row| row.get(0)).collect();
    Ok(Snapshot { settings, loaded: times.0, started: times.1, standbys })
}

/// When the server loaded its files, and when it started, in seconds since 1970.
pub fn times(server: &mut Server) -> Result<(f64, f64), Failure> {
    let query = "SELECT extract(epoch FROM pg_conf_load_time())::float8,
        extract(epoch FROM pg_postmaster_start_time())::float8";
    let rows = server.query(query, &[])?;
    Ok(rows.first().map(|row| (row.get(0), row.get(1))).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(live: Live) -> Running {
        Running::Answers(Snapshot { settings: vec![live], loaded: 200.0, started: 100.0, standbys: Vec::new() })
    }

    fn live(name: &str, value: &str, context: &str, source: &str) -> Live {
        Live {
            name: name.into(),
            reset_value: value.into(),
            boot_value: "-1".into(),
            context: context.into(),
            source: source.into(),
            ..Live::default()
        }
    }

    fn asked<'a>(name: &'a str, value: &'a str, written: f64) -> Asked<'a> {
        Asked { name, value, changed: false, written, context: None }
    }

    #[test]
    fn a_value_that_is_not_in_force_needs_what_its_context_says_also_when_the_file_is_old() {
        let postmaster = server(live("max_connections", "100", "postmaster", "configuration file"));
        assert_eq!(postmaster.level(asked("max_connections", "128", 0.0)), Level::Restart);
        assert_eq!(postmaster.level(asked("max_connections", "100", 999.0)), Level::None);
        let sighup = server(live("wal_keep_size", "0", "sighup", "default"));
        assert_eq!(sighup.level(asked("wal_keep_size", "8192", 0.0)), Level::Reload);
    }

    #[test]
    fn a_default_that_the_server_replaced_itself_is_in_force() {
        let buffers = server(live("wal_buffers", "512", "postmaster", "override"));
        assert_eq!(buffers.level(asked("wal_buffers", "-1", 0.0)), Level::None);
    }

    #[test]
    fn where_values_cannot_be_compared_the_time_of_the_file_decides() {
        let session = server(live("work_mem", "1", "user", "user"));
        assert_eq!(session.level(asked("work_mem", "2", 150.0)), Level::None);
        assert_eq!(session.level(asked("work_mem", "2", 250.0)), Level::Reload);
        assert_eq!(session.level(asked("work_mem", "1", 250.0)), Level::Reload);
        let extension = server(live("x.y", "1000", "postmaster", "configuration file"));
        assert_eq!(extension.level(asked("x.y", "1s", 50.0)), Level::None);
        assert_eq!(extension.level(asked("x.y", "1s", 150.0)), Level::Restart);
    }

    #[test]
    fn a_server_that_is_down_needs_a_start_and_a_silent_one_what_the_catalogue_says() {
        assert_eq!(Running::Down.level(asked("work_mem", "2", 0.0)), Level::Start);
        let changed = Asked { changed: true, context: Some("postmaster"), ..asked("port", "2", 0.0) };
        assert_eq!(Running::Silent.level(changed), Level::Restart);
        assert_eq!(Running::Silent.level(asked("port", "2", 0.0)), Level::None);
    }
}
