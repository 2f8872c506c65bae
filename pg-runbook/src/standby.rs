//! A running standby, asked how its replication goes.
//!
//! What must always hold: the answers are the server's own; nothing in them can hold a password. Where it can't be
//! asked (`hot_standby = off`, a superuser of another name), its processes tell of themselves by their titles.

use crate::cluster::Cluster;
use crate::cluster::postmaster::{self, Child};
use crate::document::{LOCATION, SYSTEM_IDENTIFIER};
use crate::failure::Failure;
use crate::invocation::shell_word;
use crate::replication::between;
use crate::server::{ConnectionArguments, Defaults, Server, place};
use schemars::JsonSchema;
use serde::Serialize;

/// What a standby says of its replication (`pg_stat_wal_receiver`, `pg_control_system()`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Replication {
    /// The walreceiver's state: `starting`, `streaming`, `waiting`, `restarting` or `stopping`; null where none runs.
    pub status: Option<String>,
    /// Where it receives from; null where none runs, and until 10.
    pub sender_host: Option<String>,
    /// The sender's port.
    pub sender_port: Option<i32>,
    /// The timeline that is received.
    pub timeline: Option<i32>,
    /// The last location received and flushed.
    #[schemars(regex(pattern = LOCATION))]
    pub received: Option<String>,
    /// The last location replayed.
    #[schemars(regex(pattern = LOCATION))]
    pub replayed: Option<String>,
    /// Whether somebody paused its replay, or (14 and later) a setting that is below its primary's did.
    pub replay_paused: bool,
    /// Bytes received and not yet replayed.
    pub replay_lag_bytes: Option<i64>,
    /// Bytes that the sender said to have, and that are not replayed yet; null where there is no sender to say so.
    pub lag_bytes: Option<i64>,
    /// How old the last transaction is that was replayed, in seconds; 0 where a walreceiver runs and nothing that came
    /// waits to be replayed.
    pub lag_seconds: Option<f64>,
    /// For how long the sender said nothing, in seconds; an idle one speaks each `wal_sender_timeout` / 2.
    pub silent_seconds: Option<f64>,
    /// The system identifier of the data, in decimal digits.
    #[schemars(regex(pattern = SYSTEM_IDENTIFIER))]
    pub system_identifier: String,
    /// Whether the sender went along with it: one that has no longer what is asked for begins, and breaks off at once.
    #[serde(skip)]
    pub settled: bool,
}

impl Replication {
    /// Where it streams from just now; until 10 nobody knows the name.
    #[must_use]
    pub fn streams_from(&self) -> Option<String> {
        let streams = self.status.as_deref() == Some("streaming");
        streams.then(|| self.sender().unwrap_or_else(|| "its primary".into()))
    }

    /// Where it streams from, such as `db1:5432`, where it says so (11 and later).
    #[must_use]
    pub fn sender(&self) -> Option<String> {
        Some(place(self.sender_host.as_ref()?, u16::try_from(self.sender_port?).ok()?))
    }
}

/// Why its walreceiver could not do its work the last time, in the log's own words.
#[must_use]
pub fn last_trouble(cluster: &Cluster) -> Option<String> {
    let words =
        ["could not connect to the primary", "could not receive data from WAL stream", "could not start WAL streaming"];
    crate::service::Log::whole(cluster).newest_with(&words)
}

/// The command that mends what kept a walreceiver out, by what libpq said of it in the server's log; 14 and later name
/// the primary there.
#[must_use]
pub fn way_out(said: &str, option: &str) -> Option<String> {
    if said.contains("has already been removed") {
        return Some(format!(
            "a new copy, for its primary has no longer what it needs: pg-basebackup-swap run {option} --force"
        ));
    }
    if let Some(address) = between(said, "replication connection from host \"", "\"") {
        let role = between(said, "user \"", "\"")?;
        return Some(format!("on the primary: pg-conf allow {role} --from {address} | pg-cluster reload"));
    }
    let role = between(said, "password authentication failed for user \"", "\"")?;
    let host = between(said, "connection to server at \"", "\"")?;
    let port = between(said, ", port ", " failed")?;
    let file = between(said, "password retrieved from file \"", "\"");
    let file = file.map(|file| format!(" --passfile {}", shell_word(file.as_ref()))).unwrap_or_default();
    Some(format!("pg-pass set -h {host} -p {port} -U {role}{file}"))
}

/// The question whether its primary is there, as a command. A network that has gone silent is in no log for two minutes.
/// Only its address is told: the setting (12 and later) may hold a password.
#[must_use]
pub fn does_its_primary_answer(server: &mut Server) -> Option<String> {
    let conninfo = server.text("SELECT nullif(current_setting('primary_conninfo', true), '')").ok()??;
    let way = ConnectionArguments { conninfo: Some(conninfo), ..ConnectionArguments::default() };
    let target = way.resolve_in(&Defaults::default(), &|_| None).ok()?;
    Some(format!("does its primary answer? pg_isready -h {} -p {}", target.host, target.port))
}

/// Whether the server is in recovery: the server's own word.
pub fn is_standby(server: &mut Server) -> Result<bool, Failure> {
    Ok(server.text("SELECT pg_is_in_recovery()")?.as_deref() == Some("t"))
}

/// A standby's view.
pub fn replication(server: &mut Server) -> Result<Replication, Failure> {
    // 11 and later name the sender's address; 13 renamed received_lsn.
    let (host, received) = match server.server_version_num() {
        130_000.. => ("sender_host, sender_port", "flushed_lsn"),
        110_000.. => ("sender_host, sender_port", "received_lsn"),
        _ => ("NULL::text, NULL::int", "received_lsn"),
    };
    let query = format!(
        "SELECT status, {host}, received_tli, {received}::text,
            coalesce({received} > receive_start_lsn OR backend_start < clock_timestamp() - interval '1 s', false),
            CASE WHEN latest_end_lsn IS NOT NULL
                THEN greatest(pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()), 0)::bigint END,
            extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8
        FROM (SELECT 1) one LEFT JOIN pg_stat_wal_receiver ON true LEFT JOIN pg_stat_activity USING (pid)"
    );
    let rows = server.query(&query, &[])?;
    let replay = "SELECT pg_last_wal_replay_lsn()::text, pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
        (SELECT system_identifier::text FROM pg_control_system()),
        (CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END)::float8,
        pg_is_wal_replay_paused()";
    let replayed = server.query(replay, &[])?;
    let (Some(row), Some(replay)) = (rows.first(), replayed.first()) else { return Ok(Replication::default()) };
    Ok(Replication {
        status: row.get(0),
        sender_host: row.get(1),
        sender_port: row.get(2),
        timeline: row.get(3),
        received: row.get(4),
        settled: row.get(5),
        lag_bytes: row.get(6),
        silent_seconds: row.get::<_, Option<f64>>(7).map(rounded),
        lag_seconds: replay.get::<_, Option<f64>>(3).map(rounded),
        replayed: replay.get(0),
        replay_paused: replay.get(4),
        replay_lag_bytes: replay.get::<_, Option<i64>>(1).map(|bytes| bytes.max(0)),
        system_identifier: replay.get(2),
    })
}

fn rounded(seconds: f64) -> f64 {
    (seconds.max(0.0) * 10.0).round() / 10.0
}

/// What the running server's processes tell without being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// Whether it replays; `None` where its processes don't tell (yet).
    pub in_recovery: Option<bool>,
    /// Whether a walreceiver streams; `None` where none runs, or where it doesn't say what it does.
    pub streams: Option<bool>,
    /// Whether a walreceiver runs.
    pub has_walreceiver: bool,
}

/// Looks at the processes of a cluster's server; all empty where none runs.
#[must_use]
pub fn processes(cluster: &Cluster) -> Processes {
    postmaster::look(&cluster.data_directory)
        .process()
        .map_or_else(Processes::default, |process| by_titles(&postmaster::children(process.pid)))
}

/// `postgres: startup recovering …`, `postgres: walreceiver streaming …`; with `cluster_name` between, and until 10
/// `startup process` and `wal receiver process`. Without `update_process_title` nothing stands behind the name.
fn by_titles(children: &[Child]) -> Processes {
    let doing = |names: [&str; 2]| {
        children.iter().find_map(|child| {
            let title = child.title.strip_prefix("postgres: ")?;
            names
                .iter()
                .flat_map(|name| [title.strip_prefix(name), behind(title, &format!(": {name}"))])
                .flatten()
                .next()
        })
    };
    let replays = doing(["startup process", "startup"]).is_some();
    let writes = doing(["wal writer process", "walwriter"]).is_some();
    let receives = doing(["wal receiver process", "walreceiver"]);
    Processes {
        in_recovery: if replays { Some(true) } else { writes.then_some(false) },
        streams: receives.map(str::trim).filter(|doing| !doing.is_empty()).map(|doing| doing.starts_with("streaming")),
        has_walreceiver: receives.is_some(),
    }
}

fn behind<'a>(title: &'a str, name: &str) -> Option<&'a str> {
    title.split_once(name).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(titles: &[&str]) -> Processes {
        let children: Vec<Child> =
            titles.iter().map(|title| Child { pid: 1, title: format!("postgres: {title}") }).collect();
        by_titles(&children)
    }

    #[test]
    fn reads_the_titles_of_10_and_of_15_and_those_with_a_clusters_name() {
        let streams = Processes { in_recovery: Some(true), streams: Some(true), has_walreceiver: true };
        let ten =
            ["startup process   recovering 000000010000000000000003", "wal receiver process   streaming 0/3000140"];
        let fifteen = ["main: startup recovering 000000010000000000000006", "main: walreceiver streaming 0/6000060"];
        assert_eq!(told(&ten), streams);
        assert_eq!(told(&fifteen), streams);
        assert_eq!(told(&["checkpointer", "walwriter"]).in_recovery, Some(false));
    }

    #[test]
    fn a_title_without_a_word_on_what_it_does_tells_only_that_it_runs() {
        let untold = Processes { in_recovery: Some(true), streams: None, has_walreceiver: true };
        assert_eq!(told(&["startup", "walreceiver"]), untold);
        assert_eq!(told(&["startup", "walreceiver waiting for WAL"]).streams, Some(false));
        assert_eq!(told(&["somebody walreceiver [local] idle"]), Processes::default());
    }

    #[test]
    fn a_log_tells_the_command_that_lets_a_walreceiver_in() {
        let at = "could not connect to the primary server: connection to server at \"db1\" (192.0.2.1), port 5432 failed: \
                  FATAL:  ";
        let wrong = "password authentication failed for user \"replicator\"\n\tpassword retrieved from file \"/a b\"";
        let said = way_out(&format!("{at}{wrong}"), "-D /srv/standby").unwrap();
        assert_eq!(said, "pg-pass set -h db1 -p 5432 -U replicator --passfile '/a b'");
        let no_rule =
            "no pg_hba.conf entry for replication connection from host \"192.0.2.7\", user \"replicator\", SSL on";
        let said = way_out(&format!("{at}{no_rule}"), "-D /srv/standby").unwrap();
        assert_eq!(said, "on the primary: pg-conf allow replicator --from 192.0.2.7 | pg-cluster reload");
        assert_eq!(
            way_out("FATAL:  password authentication failed for user \"replicator\"", "-D /srv/standby"),
            None,
            "13 names no host"
        );
        assert_eq!(way_out("invalid magic number 0000 in WAL segment", "-D /srv/standby"), None);
        let gone = "FATAL:  requested WAL segment 000000010000000000000003 has already been removed";
        assert!(way_out(gone, "-D /srv/standby").is_some_and(|hint| hint.contains("pg-basebackup-swap run")));
    }
}
