//! The bounds that a data directory remembers of its primary (`pg_control`), as `pg_controldata` of its own major tells
//! them. A hot standby that is below one does not start.
//!
//! What must always hold: nothing is read by offsets of ours; where the program is missing nothing is claimed.

use super::judge::Judge;
use crate::cluster::{Cluster, Role, programs, version};
use crate::failure::Failure;
use crate::invocation::Invocation;
use std::path::Path;

/// One bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The setting.
    pub name: &'static str,
    /// The primary's value, when this data directory last heard of it.
    pub value: u64,
}

/// Asks; fails where the program is missing.
pub fn bounds(data_directory: &Path, major: u32) -> Result<Vec<Bound>, Failure> {
    let program = programs::server(major, "pg_controldata")?;
    let said = Invocation::new(program).arg("-D").arg(data_directory).run()?.stdout;
    Ok(parse(&said, major))
}

/// The same, and nothing where it can't be found out.
#[must_use]
pub fn bounds_if_known(data_directory: &Path, major: u32) -> Vec<Bound> {
    if programs::find_server(major, "pg_controldata").is_none() {
        return Vec::new();
    }
    bounds(data_directory, major).unwrap_or_default()
}

/// A bound that a standby is below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// The setting.
    pub name: &'static str,
    /// In words.
    pub message: String,
}

/// The bounds that a standby is below in the configuration that `judge` reads: with it, it would not start.
pub fn below(cluster: &Cluster, judge: &Judge) -> Result<Vec<Below>, Failure> {
    if cluster.role != Some(Role::Standby) || judge.value("hot_standby")?.as_deref() != Ok("on") {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for Bound { name, value: there } in bounds_if_known(&cluster.data_directory, cluster.major) {
        let here = judge.value(name)?.ok().and_then(|text| text.parse::<u64>().ok());
        if let Some(here) = here.filter(|here| *here < there) {
            let message = format!(
                "{name} = {here} is below the {there} that the primary had when this standby last heard of it \
                 (pg_controldata {})",
                cluster.data_directory.display()
            );
            found.push(Below { name, message });
        }
    }
    Ok(found)
}

/// `max_prepared_xacts setting:           0`
fn parse(said: &str, major: u32) -> Vec<Bound> {
    let value = |name: &str| {
        let label = format!("{} setting:", name.replace("transaction", "xact"));
        said.lines().find_map(|line| line.strip_prefix(&label)?.trim().parse().ok())
    };
    version::standby_bounds(major).into_iter().filter_map(|name| Some(Bound { name, value: value(name)? })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_pg_controldata_prints() {
        let said = "wal_log_hints setting:                off\nmax_connections setting:              100\n\
            max_worker_processes setting:         8\nmax_wal_senders setting:              10\n\
            max_prepared_xacts setting:           0\nmax_locks_per_xact setting:           64\n";
        let names = |major: u32| parse(said, major).iter().map(|bound| (bound.name, bound.value)).collect::<Vec<_>>();
        let expected = [
            ("max_connections", 100),
            ("max_worker_processes", 8),
            ("max_wal_senders", 10),
            ("max_prepared_transactions", 0),
            ("max_locks_per_transaction", 64),
        ];
        assert_eq!(names(15), expected);
        assert_eq!(names(10).len(), 4);
        assert_eq!(parse("nonsense", 15), []);
    }
}
