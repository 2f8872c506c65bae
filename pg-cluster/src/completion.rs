//! What a shell is told of clusters that could be made or dropped, and of slots.

use pg_runbook::cluster::{State, debian};
use pg_runbook::completion::{Candidate, Line, majors, of_cluster, of_rows};

const SLOTS: &str = "SELECT slot_name, CASE WHEN active THEN 'in use' ELSE 'not in use' END \
    FROM pg_catalog.pg_replication_slots WHERE slot_type = 'physical' ORDER BY slot_name";

/// What a new cluster's name begins with.
pub fn versions(line: &Line, current: &str) -> Vec<Candidate> {
    majors(line, current)
        .iter()
        .map(|major| Candidate::new(format!("{}/", major.get_value().to_string_lossy())))
        .collect()
}

/// Debian's clusters that `drop` would not refuse because they run.
pub fn stopped(_: &Line, _: &str) -> Vec<Candidate> {
    let clusters = debian::list().known;
    clusters.iter().filter(|cluster| cluster.state == State::Down).map(of_cluster).collect()
}

/// The physical replication slots of the server that is meant.
pub fn slots(line: &Line, _: &str) -> Vec<Candidate> {
    of_rows(line.ask(SLOTS))
}
