//! A cluster's running server, asked what it is to others.

use pg_runbook::cluster::Cluster;
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::standby::is_standby;
use pg_runbook::{Failure, Run};
use serde::Serialize;

/// One standby that a primary sends to (`pg_stat_replication`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttachedStandby {
    /// Its role.
    pub username: String,
    /// Its address; absent for a Unix socket.
    pub address: Option<String>,
    /// Its `application_name`.
    pub name: String,
    /// `streaming`, `catchup`, `backup`, ….
    pub state: String,
    /// Bytes written here and not yet replayed there.
    pub lag_bytes: Option<i64>,
}

/// Connects, and puts the server's own version into the document's cluster.
pub fn connect(run: &mut Run, cluster: &mut Cluster, connection: &ConnectionArguments) -> Result<Server, Failure> {
    let mut server = run.connect(cluster, connection)?;
    let version = server.text("SHOW server_version")?.unwrap_or_default();
    cluster.version = version.split_whitespace().next().map(str::to_owned);
    run.set_cluster(cluster);
    Ok(server)
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
        "SELECT usename::text, client_addr::text, application_name, state, pg_wal_lsn_diff({here}, replay_lsn)::bigint
         FROM pg_stat_replication ORDER BY application_name, pid"
    );
    let rows = server.query(&query, &[])?;
    let standby = |row: &pg_runbook::server::Row| AttachedStandby {
        username: row.get::<_, Option<String>>(0).unwrap_or_default(),
        address: row.get(1),
        name: row.get::<_, Option<String>>(2).unwrap_or_default(),
        state: row.get::<_, Option<String>>(3).unwrap_or_default(),
        lag_bytes: row.get(4),
    };
    Ok(rows.iter().map(standby).collect())
}
