//! `pg-conf match`: a standby must not be below its primary in the settings that shape shared memory.
//!
//! What must always hold: values are raised, never lowered; the primary is asked with the replication role alone, or
//! not at all where a document or a copy of it tells.

use crate::args::MatchArguments;
use crate::settings::{self, Wanted, World};
use pg_runbook::cluster::{self, Cluster, Role, version};
use pg_runbook::configuration::control_file;
use pg_runbook::document::Primary;
use pg_runbook::invocation::shell_word;
use pg_runbook::replication::{self, Walsender};
use pg_runbook::server::{ConnectionArguments, Defaults, place};
use pg_runbook::{Failure, Run};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;

/// One bound, as the document has it under `bounds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bound {
    /// The setting's name.
    name: String,
    /// The primary's value.
    primary: u64,
    /// What a standby itself still remembers of its primary, and must have until it has replayed something else;
    /// null where it remembers none.
    remembered: Option<u64>,
    /// This cluster's, before.
    here: u64,
    /// This cluster's, after.
    after: u64,
}

/// `pg-conf match`
pub fn match_primary(run: &mut Run, arguments: &MatchArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    run.lock(&cluster)?;
    let mut world = World::of(&cluster)?;
    let (primary, place) = primary(run, &cluster, arguments)?;
    let remembered = remembered(&cluster);
    let mut bounds = Vec::new();
    for name in version::standby_bounds(cluster.major) {
        let Some(theirs) = primary.settings.get(name) else {
            run.warn(format!("what {name} is on the primary is not known, so it stays as it is here"));
            continue;
        };
        let theirs = number(theirs)
            .ok_or_else(|| Failure::usage(format!("the primary's {name} is {theirs}, which is not a number")))?;
        let remembered = remembered.iter().find(|bound| bound.name == name).map(|bound| bound.value);
        bounds.push(bound(&world, name, theirs, remembered)?);
    }
    for bound in bounds.iter().filter(|bound| bound.here > bound.primary) {
        run.say(&format!(
            "{} stays {}, above the primary's {}, which does no harm; it may be lowered once this standby has replayed \
             what the primary lowered",
            bound.name, bound.here, bound.primary
        ));
    }
    let wanted: Vec<Wanted> =
        bounds.iter().map(|bound| Wanted { name: bound.name.clone(), value: Some(bound.after.to_string()) }).collect();
    settings::change(run, &cluster, &mut world, &wanted, &ConnectionArguments::default())?;
    for bound in &bounds {
        run.account(format!("{}: {} here, {} on the primary ({place})", bound.name, bound.after, bound.primary));
    }
    run.fact("bounds", &bounds);
    Ok(())
}

/// A cluster that isn't a standby yet gets other data, with another control file.
fn remembered(cluster: &Cluster) -> Vec<control_file::Bound> {
    match cluster.role {
        Some(Role::Standby) => control_file::bounds_if_known(&cluster.data_directory, cluster.major),
        _ => Vec::new(),
    }
}

fn bound(world: &World, name: &str, theirs: u64, remembered: Option<u64>) -> Result<Bound, Failure> {
    let here = world.judge.value(name)?.map_err(|rejection| {
        let failure =
            Failure::failed(format!("the server does not take the configuration of {}", world.cluster.title()));
        rejection.lines.iter().fold(failure, Failure::because).hint(format!("pg-conf check {}", world.cluster.option()))
    })?;
    let here = here.parse().map_err(|_| Failure::failed(format!("{name} is {here:?} here, which is not a number")))?;
    let after = theirs.max(here).max(remembered.unwrap_or_default());
    Ok(Bound { name: name.to_owned(), primary: theirs, remembered, here, after })
}

fn number(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// The document's primary tells its settings itself; a server that is named on the command line is asked.
fn primary(run: &mut Run, cluster: &Cluster, arguments: &MatchArguments) -> Result<(Primary, String), Failure> {
    if let Some(copy) = &arguments.from_copy {
        return from_copy(cluster, arguments, copy);
    }
    let known = run.document.primary.clone();
    if let Some(known) = known.as_ref().filter(|known| arguments.primary.is_empty() && !known.settings.is_empty()) {
        let place = place(known.host.as_deref().unwrap_or_default(), known.port.unwrap_or(5432));
        return Ok((known.clone(), format!("{place}, as the document has it")));
    }
    let owner = cluster.owner()?;
    let defaults = Defaults {
        dbname: Some("replication".into()),
        home: Some(owner.home),
        application_name: Some(run.tool.into()),
        ..Defaults::default()
    };
    let mut target = replication::target(&arguments.primary, known.as_ref(), &defaults)?;
    if let Some(file) = &arguments.passfile {
        target.passfile = Some(std::path::absolute(file).unwrap_or_else(|_| file.clone()));
    }
    let place = target.address();
    let primary = Walsender::new(target)?.describe()?;
    if known.is_none() {
        run.document.primary = Some(primary.clone());
    }
    Ok((primary, place))
}

/// A copy remembers its primary's settings in its control file.
fn from_copy(cluster: &Cluster, arguments: &MatchArguments, copy: &Path) -> Result<(Primary, String), Failure> {
    if !arguments.primary.is_empty() {
        return Err(Failure::usage("the bounds are asked of a server and of a copy").hint(format!(
            "pg-conf match {} --from-copy {}",
            cluster.option(),
            shell_word(copy.as_os_str())
        )));
    }
    let copy = std::path::absolute(copy).unwrap_or_else(|_| copy.to_owned());
    let major = cluster::major_of(&copy).ok_or_else(|| {
        Failure::usage(format!("{} is no copy of a primary", copy.display())).because("it has no PG_VERSION")
    })?;
    if major != cluster.major {
        let failure = Failure::usage(format!("{} is a copy of PostgreSQL {major}", copy.display()));
        return Err(failure.because(format!("{} is {}'s", cluster.title(), cluster.major)));
    }
    let bounds = control_file::bounds(&copy, major)?;
    let settings = bounds.into_iter().map(|bound| (bound.name.to_owned(), bound.value.into())).collect();
    Ok((Primary { settings, ..Primary::default() }, copy.display().to_string()))
}
