//! Clusters, standbys and a standby's replication as people read them.

use crate::lag;
use crate::running::AttachedStandby;
use pg_runbook::cli::colour::Mark;
use pg_runbook::cli::table::{Cell, Column, Table};
use pg_runbook::cluster::{Cluster, State, word};
use pg_runbook::standby::Replication;

/// The clusters of a host.
pub fn clusters(clusters: &[Cluster]) -> Table<6> {
    let columns = [
        Column::text("CLUSTER"),
        Column::number("PORT"),
        Column::text("STATE"),
        Column::text("ROLE"),
        Column::text("OWNER").least(),
        Column::path("DATA DIRECTORY"),
    ];
    let row = |cluster: &Cluster| {
        let plain = || format!("{} (plain)", cluster.major);
        [
            cluster.name.as_ref().map_or_else(plain, |_| cluster.title()).into(),
            cluster.port.to_string().into(),
            state(cluster),
            cluster.role.as_ref().map_or_else(|| "?".into(), word).into(),
            cluster.owner.clone().into(),
            cluster.data_directory.display().to_string().into(),
        ]
    };
    Table::new(columns, clusters.iter().map(row))
}

/// Its state, which needs a look unless it is running.
pub fn state(cluster: &Cluster) -> Cell {
    let word = Cell::from(word(&cluster.state));
    match cluster.state {
        State::Running => word,
        State::Down => word.marked(Mark::Error),
        _ => word.marked(Mark::Warning),
    }
}

/// Those that a server sends to.
pub fn standbys(standbys: &[AttachedStandby]) -> Table<9> {
    let columns = [
        Column::text("STANDBY"),
        Column::text("ADDRESS").least(),
        Column::text("ROLE").least(),
        Column::text("STATE"),
        Column::number("BEHIND"),
        Column::number("WRITE LAG").least(),
        Column::number("FLUSH LAG").least(),
        Column::number("REPLAY LAG"),
        Column::text("SLOT"),
    ];
    let time = |seconds: Option<f64>| Cell::from(seconds.map_or_else(|| "-".into(), lag::time_shown));
    let row = |standby: &AttachedStandby| {
        let state = Cell::from(standby.state.as_str());
        [
            standby.name.as_str().into(),
            standby.address.as_deref().unwrap_or("[local]").into(),
            standby.username.as_str().into(),
            if standby.state == "streaming" { state } else { state.marked(Mark::Warning) },
            standby.lag_bytes.map_or_else(|| "-".into(), lag::shown).into(),
            time(standby.write_lag_seconds),
            time(standby.flush_lag_seconds),
            time(standby.replay_lag_seconds),
            standby.slot.as_deref().unwrap_or("-").into(),
        ]
    };
    Table::new(columns, standbys.iter().map(row))
}

/// Where a standby receives from, how far it is, and when it was last spoken to.
pub fn replication(replication: &Replication) -> Vec<(&'static str, Cell)> {
    let source = match &replication.status {
        None => Cell::from("no walreceiver runs").marked(Mark::Error),
        Some(status) => {
            let from = replication.sender().map(|place| format!(" from {place}")).unwrap_or_default();
            let timeline = replication.timeline.map(|number| format!(", timeline {number}")).unwrap_or_default();
            let told = Cell::from(format!("{status}{from}{timeline}"));
            if status == "streaming" { told } else { told.marked(Mark::Warning) }
        }
    };
    let mut facts = vec![("replication", source)];
    facts.extend(replication.received.as_deref().map(|place| ("received", place.into())));
    if let Some(place) = &replication.replayed {
        let behind = if replication.status.is_some() { behind(replication) } else { left_to_replay(replication) };
        facts.push(("replayed", format!("{place}{behind}").into()));
    }
    if replication.replay_paused {
        facts.push(("replay", Cell::from("paused").marked(Mark::Error)));
    }
    if let Some(seconds) = replication.silent_seconds {
        let told = Cell::from(format!("{} ago", lag::time_shown(seconds)));
        facts.push(("last word", if lag::is_silent(seconds) { told.marked(Mark::Warning) } else { told }));
    }
    facts
}

fn behind(replication: &Replication) -> String {
    let bytes = replication.lag_bytes.or(replication.replay_lag_bytes);
    let bytes = bytes.map(|bytes| format!(", {} behind", lag::shown(bytes))).unwrap_or_default();
    let time = replication.lag_seconds.map(|time| format!(" ({})", lag::time_shown(time))).unwrap_or_default();
    bytes + &time
}

/// Without a walreceiver nobody says how far the primary is.
fn left_to_replay(replication: &Replication) -> String {
    let left = match replication.replay_lag_bytes {
        Some(bytes) if bytes > 0 => format!("{} of what came are left", lag::shown(bytes)),
        _ => "all that came".into(),
    };
    let age = replication.lag_seconds.map(|time| format!(", the last change {} old", lag::time_shown(time)));
    format!(", {left}{}; how far its primary is, it can't tell", age.unwrap_or_default())
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
