//! postgresql.conf. `get` shows settings; `set`, `unset` and `match` say what is wanted, and all come to [`change`]:
//! inspect, plan, apply.
//!
//! What must always hold: two spellings of one value are the same value, the server says which are; nothing is
//! installed that the server has not judged; what would be overridden is refused, not written.

mod alter_system;
pub mod bounds;
mod candidate;
mod catalogue;
mod command_line;
pub mod concerns;
pub mod edits;
pub mod get;
mod inspect;
mod libraries;
mod plan;
pub mod replication;
mod room;
pub mod set;
mod translation;
mod verify;
pub mod versions;

pub use catalogue::Catalogue;
pub use inspect::{Subject, World};
pub use plan::words;
pub use verify::verify;

use crate::install;
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::History;
use pg_runbook::document::Change;
use pg_runbook::server::ConnectionArguments;
use pg_runbook::{Failure, Level, Run};

/// One setting as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// In lower case, as this version has it.
    pub name: String,
    /// The value; nothing to take the setting out of the files.
    pub value: Option<String>,
}

/// Makes it so.
pub fn change(
    run: &mut Run,
    cluster: &Cluster,
    world: &mut World,
    wanted: &[Wanted],
    connection: &ConnectionArguments,
) -> Result<(), Failure> {
    let subjects = world.examine(wanted)?;
    world.look_at_server(run, cluster, wanted, connection)?;
    let plan = plan::plan(world, &subjects)?;
    for note in &plan.notes {
        run.say(note);
    }
    for warning in &plan.warnings {
        run.warn(warning);
    }
    let count = plan.count();
    let what = install::what(run, plan.changes.iter().chain(&plan.taken_back.changes));
    let installed = install::install(run, cluster, &plan.edits, what.clone())?;
    if let Some(installed) = &installed {
        // Until ALTER SYSTEM's entry is taken back, the server still reads that.
        let is_ours = |change: &&Change| !plan.taken_back.changes.iter().any(|other| other.name == change.name);
        let changes: Vec<Change> = plan.changes.iter().filter(is_ours).cloned().collect();
        verify(run, cluster, &world.running, &changes, connection, installed)?;
    }
    for change in plan.changes {
        run.change(change);
    }
    if let Some(written) = alter_system::take_back(run, cluster, plan.taken_back, connection)? {
        match &installed {
            Some(installed) => installed.note(&written)?,
            None => drop(History::of(cluster).record(what, &[written])?),
        }
    }
    for (level, name) in &plan.needs {
        run.need(*level, name);
    }
    conclude(run, cluster, counted(run, count, "setting"), count > 0);
    Ok(())
}

/// How many of a thing are changed, in words.
pub fn counted(run: &Run, count: usize, thing: &str) -> String {
    match (count, run.check()) {
        (0, _) => "nothing to change".to_owned(),
        (1, false) => format!("1 {thing} changed"),
        (1, true) => format!("1 {thing} would change"),
        (_, false) => format!("{count} {thing}s changed"),
        (_, true) => format!("{count} {thing}s would change"),
    }
}

/// The message, and for people the command that makes the server aware.
pub fn conclude(run: &mut Run, cluster: &Cluster, what: String, changed: bool) {
    let level = match run.document.needs.level {
        Level::None => {
            run.message(what);
            return;
        }
        Level::Reload => "reload",
        Level::Restart => "restart",
        Level::Start => "start",
    };
    let needs = &run.document.needs;
    let names = if needs.level == Level::Restart { &needs.restart } else { &needs.reload };
    let names = if !changed && !names.is_empty() { format!(" for {}", names.join(", ")) } else { String::new() };
    let is = if run.check() && changed { "would be" } else { "is" };
    run.message(format!("{what}; a {level} {is} needed{names}"));
    run.account(format!("make the server aware: pg-cluster {level} {}", cluster.option()));
}
