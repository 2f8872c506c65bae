//! What a shell is told of slots, compression and tablespaces.

use crate::options::METHODS;
use pg_runbook::completion::{Candidate, Line, PathCompleter, ValueCompleter, candidate};
use std::ffi::OsStr;

/// The slot that the standby has in its configuration: the primary tells a replication role of no others.
pub fn slots(line: &Line, _: &str) -> Vec<Candidate> {
    let Ok(configuration) = line.cluster().and_then(|cluster| cluster.configuration()) else { return Vec::new() };
    let own = configuration.in_force("primary_slot_name").map(|found| found.value.clone());
    own.filter(|slot| !slot.is_empty()).map(|slot| candidate(slot, "the standby's own")).into_iter().collect()
}

/// How the primary can compress what it sends.
pub fn methods(_: &Line, _: &str) -> Vec<Candidate> {
    METHODS.iter().map(Candidate::new).collect()
}

/// `OLDDIR=NEWDIR`: the new one is on this host, and often the old one too.
pub fn folders(_: &Line, current: &str) -> Vec<Candidate> {
    let (old, new) = current.rsplit_once('=').map_or(("", current), |(old, new)| (&current[..=old.len()], new));
    let found = PathCompleter::dir().complete(OsStr::new(new)).into_iter();
    found.filter(|folder| folder.get_value() != ".").map(|folder| folder.add_prefix(old)).collect()
}
