//! `pg-conf match`: a standby must not be below its primary in the settings that shape shared memory.
//!
//! What must always hold: values are raised, never lowered; the primary is asked with the replication role alone.

use crate::args::MatchArguments;
use crate::settings::{self, Wanted, World};
use pg_runbook::cluster::{Cluster, version};
use pg_runbook::document::Primary;
use pg_runbook::replication::{self, Walsender};
use pg_runbook::server::{ConnectionArguments, Defaults};
use pg_runbook::{Failure, Run};
use serde::Serialize;

/// One bound, as the document has it under `bounds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Bound {
    name: String,
    /// The primary's value.
    primary: u64,
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
    let mut bounds = Vec::new();
    for name in version::standby_bounds(cluster.major) {
        let Some(theirs) = primary.settings.get(name) else {
            run.warn(format!("what {name} is on the primary is not known, so it stays as it is here"));
            continue;
        };
        let theirs = number(theirs)
            .ok_or_else(|| Failure::usage(format!("the primary's {name} is {theirs}, which is not a number")))?;
        bounds.push(bound(&world, name, theirs)?);
    }
    for bound in bounds.iter().filter(|bound| bound.here > bound.primary) {
        run.say(&format!("{} stays {}, above the primary's {}", bound.name, bound.here, bound.primary));
    }
    let wanted: Vec<Wanted> =
        bounds.iter().map(|bound| Wanted { name: bound.name.clone(), value: Some(bound.after.to_string()) }).collect();
    settings::change(run, &cluster, &mut world, &wanted, &ConnectionArguments::default())?;
    for bound in &bounds {
        run.account(format!("{}: {} here, {} on the primary at {place}", bound.name, bound.after, bound.primary));
    }
    run.fact("bounds", &bounds);
    Ok(())
}

fn bound(world: &World, name: &str, theirs: u64) -> Result<Bound, Failure> {
    let here = world.judge.value(name)?.map_err(|rejection| {
        let failure =
            Failure::failed(format!("the server does not take the configuration of {}", world.cluster.title()));
        rejection.lines.iter().fold(failure, Failure::because).hint(format!("pg-conf check {}", world.cluster.option()))
    })?;
    let here = here.parse().map_err(|_| Failure::failed(format!("{name} is {here:?} here, which is not a number")))?;
    Ok(Bound { name: name.to_owned(), primary: theirs, here, after: theirs.max(here) })
}

fn number(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// The document's primary tells its settings itself; a server that is named on the command line is asked.
fn primary(run: &mut Run, cluster: &Cluster, arguments: &MatchArguments) -> Result<(Primary, String), Failure> {
    let known = run.document.primary.clone();
    if let Some(known) = known.as_ref().filter(|known| arguments.primary.is_empty() && !known.settings.is_empty()) {
        let place = format!("{}:{}", known.host.clone().unwrap_or_default(), known.port.unwrap_or(5432));
        return Ok((known.clone(), place));
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
