//! A cluster's running server, asked: whether it answers, when it started, what it is to others.

use crate::args::ServeArguments;
use pg_runbook::cluster::{Cluster, postmaster};
use pg_runbook::configuration::control_file;
use pg_runbook::configuration::judge::Judge;
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::standby::is_standby;
use pg_runbook::{Failure, Run, service};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// One standby that a primary sends to (`pg_stat_replication`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct AttachedStandby {
    /// The role that it logged in with.
    pub username: String,
    /// Its address; null for a Unix socket.
    pub address: Option<String>,
    /// Its `application_name`.
    pub name: String,
    /// Its walsender's state: `startup`, `catchup`, `streaming`, `backup` or `stopping`.
    pub state: String,
    /// Bytes written here and not yet replayed there; null where it replays nothing.
    pub lag_bytes: Option<i64>,
    /// How long it took, in seconds, until a change that was flushed here was written there; absent while nothing is sent.
    pub write_lag_seconds: Option<f64>,
    /// The same until it was flushed there.
    pub flush_lag_seconds: Option<f64>,
    /// The same until it was replayed there.
    pub replay_lag_seconds: Option<f64>,
    /// The replication slot that it uses.
    pub slot: Option<String>,
}

/// Connects, and puts the server's own version into the document's cluster.
pub fn connect(run: &mut Run, cluster: &mut Cluster, connection: &ConnectionArguments) -> Result<Server, Failure> {
    let mut server = run.connect(cluster, connection)?;
    let version = server.text("SHOW server_version")?.unwrap_or_default();
    cluster.version = version.split_whitespace().next().map(str::to_owned);
    run.set_cluster(cluster);
    Ok(server)
}

/// A server that runs but can't be asked (authentication) is told of; one that doesn't answer is a failure.
pub fn see_it_answer(run: &mut Run, cluster: &mut Cluster, arguments: &ServeArguments) -> Result<(), Failure> {
    let deadline = std::time::Instant::now() + arguments.timeout;
    loop {
        match connect(run, cluster, &arguments.connection) {
            Ok(_) => return Ok(()),
            // With hot_standby = off it says so in postmaster.pid, and answers nobody however long it is asked.
            Err(_) if takes_nobody(cluster) => {
                run.set_cluster(cluster);
                run.warn(format!(
                    "{} runs as a standby that takes no connections (hot_standby = off)",
                    cluster.title()
                ));
                return Ok(());
            }
            Err(failure) if failure.code == pg_runbook::Code::GaveUp && std::time::Instant::now() < deadline => {
                pg_runbook::signals::safe_point("while waiting for an answer")?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(failure) if failure.code == pg_runbook::Code::GaveUp => return Err(failure),
            Err(failure) => {
                run.set_cluster(cluster);
                run.warn(format!("{} runs, but could not be asked: {failure}", cluster.title()));
                return Ok(());
            }
        }
    }
}

/// Why a standby's replay is paused, and the way out. From 14 on one that is below its primary in a setting pauses, and
/// does not come back from a restart before that is mended.
pub fn why_paused(cluster: &Cluster) -> (String, String) {
    let option = cluster.option();
    let below = Judge::of(cluster).and_then(|judge| control_file::below(cluster, &judge)).unwrap_or_default();
    let of_the_server = service::bounds_too_low(&service::Log::whole(cluster).all_since());
    match (below.first(), of_the_server.last()) {
        (Some(below), _) => {
            (below.message.clone(), format!("pg-conf match {option}, and then: pg-cluster restart {option}"))
        }
        (None, Some(bound)) => (
            format!("it runs with {} = {}, below its primary's {}", bound.name, bound.here, bound.there),
            format!("pg-cluster restart {option}"),
        ),
        (None, None) => ("somebody did that".into(), "to go on: SELECT pg_wal_replay_resume()".into()),
    }
}

fn takes_nobody(cluster: &Cluster) -> bool {
    postmaster::look(&cluster.data_directory).process().is_some_and(|process| process.status == "standby")
}

/// When it started, in seconds since 1970.
pub fn started(server: &mut Server) -> Result<f64, Failure> {
    let rows = server.query("SELECT extract(epoch FROM pg_postmaster_start_time())::float8", &[])?;
    Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
}

/// A primary's (or cascading standby's) view.
pub fn attached_standbys(server: &mut Server) -> Result<Vec<AttachedStandby>, Failure> {
    let here = if is_standby(server)? { "pg_last_wal_replay_lsn()" } else { "pg_current_wal_lsn()" };
    let query = format!(
        "SELECT usename::text, host(client_addr), application_name, state, pg_wal_lsn_diff({here}, replay_lsn)::bigint,
            extract(epoch FROM write_lag)::float8, extract(epoch FROM flush_lag)::float8,
            extract(epoch FROM replay_lag)::float8, slot_name::text
         FROM pg_stat_replication LEFT JOIN pg_replication_slots ON active_pid = pid ORDER BY application_name, pid"
    );
    let rows = server.query(&query, &[])?;
    let standby = |row: &pg_runbook::server::Row| AttachedStandby {
        username: row.get::<_, Option<String>>(0).unwrap_or_default(),
        address: row.get(1),
        name: row.get::<_, Option<String>>(2).unwrap_or_default(),
        state: row.get::<_, Option<String>>(3).unwrap_or_default(),
        lag_bytes: row.get(4),
        write_lag_seconds: row.get(5),
        flush_lag_seconds: row.get(6),
        replay_lag_seconds: row.get(7),
        slot: row.get(8),
    };
    Ok(rows.iter().map(standby).collect())
}
