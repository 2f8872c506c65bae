//! Why a server did not start, from its own log, with the command that mends it.

use super::Log;
use crate::cluster::Cluster;
use crate::configuration::{ConfFile, EntryKind};
use crate::failure::Failure;
use crate::invocation::shell_word;

/// A setting of a standby that is below its primary's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Such as `max_connections`.
    pub name: String,
    /// The standby's value.
    pub here: String,
    /// The primary's.
    pub there: String,
}

/// Reads them from a log. Until 13: `hot standby is not possible because max_connections = 100 is a lower setting than
/// on the master server (its value was 128)`; from 14 on: `max_connections = 100 is a lower setting than on the primary
/// server, where its value was 128.` (xlogrecovery.c).
#[must_use]
pub fn bounds_too_low(log: &str) -> Vec<Bound> {
    let mut bounds: Vec<Bound> = Vec::new();
    for line in log.lines() {
        let Some((before, after)) = line.split_once(" is a lower setting than on the ") else { continue };
        let mut words = before.rsplitn(4, ' ');
        let (Some(here), Some("="), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
        let Some((_, value)) = after.split_once("its value was ") else { continue };
        let there: String = value.chars().take_while(char::is_ascii_digit).collect();
        let bound = Bound { name: name.into(), here: here.into(), there };
        if !bounds.contains(&bound) {
            bounds.push(bound);
        }
    }
    bounds
}

pub(super) fn start_failure(cluster: &Cluster, log: &Log, told: Option<Failure>) -> Failure {
    let text = log.all_since();
    let title = cluster.title();
    let bounds = bounds_too_low(&text);
    if !bounds.is_empty() {
        let list: Vec<String> = bounds
            .iter()
            .map(|bound| format!("{} is {} here and {} on the primary", bound.name, bound.here, bound.there))
            .collect();
        // The server stops at the first bound; match sees them all.
        return Failure::failed(format!("{title} did not start: {}", list.join(", ")))
            .because(format!("the server's log says\n{}", log.since()))
            .hint(format!("pg-conf match {} {}", cluster.option(), way_to_primary(cluster)));
    }
    let mut failure = Failure::failed(format!("{title} did not start"));
    if text.contains("Address already in use") || text.contains("could not create any TCP/IP sockets") {
        failure = failure
            .because(format!("something else listens on port {}", cluster.port))
            .hint(format!("see what it is: ss -ltnp 'sport = :{}'", cluster.port));
    }
    let said = log.since();
    if said.is_empty() {
        if let Some(told) = told {
            failure.causes.push(told.message);
            failure.causes.extend(told.causes);
        }
        return failure
            .because(format!("its log is {}", log.file().map_or("unknown".into(), |path| path.display().to_string())));
    }
    failure.because(format!("the server's log says\n{said}")).hint(format!("pg-conf check {}", cluster.option()))
}

/// As the standby's own settings tell it; without the database, which 10 and 11 may name.
fn way_to_primary(cluster: &Cluster) -> String {
    let is_it = |kind: &EntryKind| match kind {
        EntryKind::Assignment { name, value } if name == "primary_conninfo" => Some(value.clone()),
        _ => None,
    };
    let recovery = std::fs::read(cluster.data_directory.join("recovery.conf")).unwrap_or_default();
    let told = ConfFile::parse(&recovery).entries().iter().find_map(|entry| is_it(&entry.kind));
    let set = || cluster.configuration().ok()?.in_force("primary_conninfo").map(|found| found.value.clone());
    told.or_else(set).filter(|text| !text.contains("password=")).map_or_else(
        || "-h PRIMARY -U REPLICATION_ROLE".into(),
        |text| format!("--conninfo {}", shell_word(text.as_ref())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_bounds_from_the_words_of_10_and_of_14() {
        let ten = "FATAL:  hot standby is not possible because max_connections = 100 is a lower setting than on the master server (its value was 128)";
        let fourteen =
            "DETAIL:  max_worker_processes = 8 is a lower setting than on the primary server, where its value was 10.";
        let found = bounds_too_low(&format!("{ten}\n{fourteen}\n{fourteen}\n"));
        let bound =
            |name: &str, here: &str, there: &str| Bound { name: name.into(), here: here.into(), there: there.into() };
        assert_eq!(found, [bound("max_connections", "100", "128"), bound("max_worker_processes", "8", "10")]);
    }

    #[test]
    fn finds_no_bound_in_other_lines() {
        assert!(bounds_too_low("LOG:  database system is ready\n").is_empty());
    }
}
