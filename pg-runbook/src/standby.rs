//! A running standby, asked how its replication goes.
//!
//! What must always hold: the answers are the server's own; nothing in them can hold a password.

use crate::failure::Failure;
use crate::server::Server;
use serde::Serialize;

/// What a standby says of its replication (`pg_stat_wal_receiver`, `pg_control_system()`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replication {
    /// The walreceiver's state; absent where none runs.
    pub status: Option<String>,
    /// Where it receives from, without any password.
    pub sender_host: Option<String>,
    /// The sender's port.
    pub sender_port: Option<i32>,
    /// The timeline that is received.
    pub timeline: Option<i32>,
    /// The last location received and flushed.
    pub received: Option<String>,
    /// The last location replayed.
    pub replayed: Option<String>,
    /// Bytes received and not yet replayed.
    pub replay_lag_bytes: Option<i64>,
    /// The system identifier of the data.
    pub system_identifier: String,
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
        "SELECT status, {host}, received_tli, {received}::text FROM (SELECT 1) one LEFT JOIN pg_stat_wal_receiver ON true"
    );
    let rows = server.query(&query, &[])?;
    let replay = "SELECT pg_last_wal_replay_lsn()::text, pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::bigint,
        (SELECT system_identifier::text FROM pg_control_system())";
    let replayed = server.query(replay, &[])?;
    let (Some(row), Some(replay)) = (rows.first(), replayed.first()) else { return Ok(Replication::default()) };
    Ok(Replication {
        status: row.get(0),
        sender_host: row.get(1),
        sender_port: row.get(2),
        timeline: row.get(3),
        received: row.get(4),
        replayed: replay.get(0),
        replay_lag_bytes: replay.get::<_, Option<i64>>(1).map(|bytes| bytes.max(0)),
        system_identifier: replay.get(2),
    })
}
