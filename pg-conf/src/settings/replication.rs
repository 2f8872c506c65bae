//! Settings that primary and standbys must change in the right order: the bounds that a hot standby must not be below.
//!
//! What must always hold: a standby is not given a value that it would not start with; on a primary the order is told,
//! not enforced, because its standbys are other people's files.

use super::{Subject, Wanted, World};
use crate::running::Running;
use pg_runbook::Failure;
use pg_runbook::cluster::{Role, version};
use pg_runbook::configuration::control_file::{self, Below};
use pg_runbook::configuration::judge::Judge;

/// Refuses what this standby would not start with.
pub fn refuse_below(world: &World, wanted: &[&Wanted], judge: &Judge) -> Result<(), Failure> {
    let asked = |name: &str| wanted.iter().find(|one| one.name == name);
    if !version::standby_bounds(world.cluster.major).into_iter().any(|name| asked(name).is_some()) {
        return Ok(());
    }
    let found = below(world, judge)?;
    let Some((first, one)) = found.iter().find_map(|below| Some((below, asked(below.name)?))) else { return Ok(()) };
    let value =
        one.value.as_ref().map_or_else(|| format!("{} unset", one.name), |value| format!("{} = {value}", one.name));
    let failure = Failure::refused(format!("this standby would not start with {value}"));
    let on_primary =
        one.value.as_ref().map_or_else(|| format!("unset {}", one.name), |value| format!("set {}={value}", one.name));
    Err(failure
        .because(&first.message)
        .hint(format!("on the primary first: pg-conf {on_primary} | pg-cluster restart; then this again")))
}

/// The bounds that a standby is below in the configuration that `judge` reads.
pub fn below(world: &World, judge: &Judge) -> Result<Vec<Below>, Failure> {
    control_file::below(&world.cluster, judge)
}

/// On a primary with standbys, who goes first. Pure.
pub fn order(world: &World, subject: &Subject) -> Option<String> {
    let Running::Answers(snapshot) = &world.running else { return None };
    let is_bound = version::standby_bounds(world.cluster.major).contains(&subject.name.as_str());
    if !is_bound || world.cluster.role == Some(Role::Standby) || snapshot.standbys.is_empty() {
        return None;
    }
    let (before, after): (u64, u64) = (subject.present.as_ref()?.parse().ok()?, subject.asked.parse().ok()?);
    let (name, standbys) = (&subject.name, snapshot.standbys.join(", "));
    let otherwise = if world.cluster.major >= 14 { "pauses its replay" } else { "shuts down" };
    match after.cmp(&before) {
        std::cmp::Ordering::Greater => Some(format!(
            "{name} goes up from {before} to {after}: the standbys first ({standbys}), restarted with it; one that is \
             below {otherwise} when this server restarts"
        )),
        std::cmp::Ordering::Less => Some(format!(
            "{name} goes down from {before} to {after}: this server first, restarted with it; then the standbys \
             ({standbys})"
        )),
        std::cmp::Ordering::Equal => None,
    }
}
