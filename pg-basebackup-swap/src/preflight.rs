//! Everything that a copy needs, looked at before anything is touched.
//!
//! What must always hold: nothing is changed here, on this host or on the primary (the login that rehearses what a base
//! backup needs ends with what it made); one bad finding keeps none of the others from being looked at.

mod primary;
mod space;

pub use space::Sizes;

use crate::args::{ConfigOf, FetchArguments, Space};
use crate::destinations;
use crate::findings::Findings;
use crate::inspect::{self, Situation, Standing};
use crate::notes::{Installed, Note};
use crate::places::{self, Places};
use crate::room::Part;
use crate::size::Size;
use crate::source::Source;
use crate::verify::{self, Plan};
use pg_runbook::cluster::State;
use pg_runbook::lock::Lock;
use pg_runbook::{Cluster, Failure, GivenUp, Run, service, signals};
use schemars::JsonSchema;
use serde::Serialize;

/// For how long nobody will be served, as the document has it under `outage`.
#[derive(Serialize, JsonSchema)]
pub struct Outage {
    /// What it will be made of.
    expected: Expected,
    /// What the last exchange of this cluster took, in seconds; null where that isn't known.
    last_seconds: Option<f64>,
}

/// What the time without answers is made of.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ExpectedOutage")]
enum Expected {
    /// One stop, one exchange, one start, whatever the copy takes.
    Restart,
    /// From before the copy is begun until it is in place (`--space replace`).
    Copy,
    /// Nobody is served now.
    None,
}

/// Looks at everything; the failure tells all that stands in the way. Where nothing does: the primary, and the folders
/// that the copy goes to.
pub fn pass(
    run: &mut Run,
    cluster: &Cluster,
    places: &Places,
    situation: Situation,
    arguments: &FetchArguments,
) -> Result<(Source, Vec<Part>), Failure> {
    let mut findings = Findings::default();
    match &situation.source {
        Ok(source) => primary::look(run, &mut findings, cluster, source, situation.named, arguments),
        Err(failure) => findings.bad("login", failure.clone()),
    }
    of_the_cluster(run, &mut findings, cluster, places, &situation);
    let parts = of_the_ground(run, &mut findings, cluster, places, &situation, arguments);
    verification(&mut findings, cluster, arguments);
    signals::safe_point("while looking what a copy needs")?;
    findings.tell(run);
    match (findings.failure(&format!("a copy for {}", cluster.title())), situation.source) {
        (None, Ok(source)) => Ok((source, parts)),
        (Some(failure), _) | (None, Err(failure)) => Err(failure),
    }
}

fn verification(findings: &mut Findings, cluster: &Cluster, arguments: &FetchArguments) {
    match verify::plan(cluster.major, arguments.verify) {
        Plan::By(program) => findings.good("verification", format!("by {}", program.display())),
        Plan::LeftOut(why) => findings.good("verification", why),
        Plan::Impossible(why) => findings.add("verification", None, why, None),
    }
}

fn of_the_cluster(run: &mut Run, findings: &mut Findings, cluster: &Cluster, places: &Places, situation: &Situation) {
    match &situation.standing {
        Ok(None) => {}
        Ok(Some(Standing::Replaceable(why))) => findings.good("old data", format!("may be replaced: {why}")),
        Ok(Some(Standing::Streams(_) | Standing::Down)) => findings.good("old data", "a standby of this primary"),
        Err(failure) => findings.bad("old data", failure.clone()),
    }
    findings.good(
        "server",
        match cluster.state {
            State::Down => "down",
            _ if situation.space == Space::Replace => "runs, and is stopped before the copy is fetched",
            _ => "runs, and serves until the exchange",
        },
    );
    let could_start = service::look_whether_it_could_start(cluster);
    findings.found("start", could_start.map(|()| "the server can be started on the copy"));
    match expected_outage(cluster, places, situation.space) {
        Ok((detail, fact)) => {
            run.fact("outage", &fact);
            findings.good("outage", detail);
        }
        Err(failure) => findings.bad("outage", failure),
    }
    findings.found("recovery", inspect::refuse_what_would_promote(cluster).map(|()| "nothing would end it"));
    let linked = cluster.data_directory != places.data;
    let place = places.data.display();
    findings
        .good("data directory", if linked { format!("a link to {place}, and stays one") } else { place.to_string() });
    if situation.space == Space::Replace {
        findings.found("kept directories", nothing_is_kept(cluster, places));
    }
    another_run(run, findings, places);
    let (cut_off, incoming) = (places.partial().len(), places.incoming().exists());
    findings.good(
        "leftovers",
        match (cut_off, incoming) {
            (0, false) => "none".to_owned(),
            (count, false) => format!("{count} copies that were cut off are removed first"),
            (0, true) => "an earlier copy is removed first".to_owned(),
            (count, true) => format!("an earlier copy, and {count} that were cut off, are removed first"),
        },
    );
}

/// Who does more than look holds the lock, and has waited for it.
fn another_run(run: &Run, findings: &mut Findings, places: &Places) {
    if !run.check() {
        return findings.good("another run", "none");
    }
    match Lock::holder(&places.data) {
        Ok(None) => findings.good("another run", "none"),
        Ok(Some(holder)) => findings.add(
            "another run",
            None,
            format!("{holder} works on it: a run waits for its end, and what it leaves is not what is told here"),
            None,
        ),
        Err(failure) => findings.bad("another run", failure),
    }
}

/// For how long nobody will be served: what it is made of, and what the last one took.
fn expected_outage(cluster: &Cluster, places: &Places, space: Space) -> Result<(String, Outage), Failure> {
    let expected = match space {
        _ if !cluster.has_process() => Expected::None,
        Space::Keep => Expected::Restart,
        Space::Replace => Expected::Copy,
    };
    let last = Installed::of(&places.data)?.and_then(|installed| installed.outage_seconds);
    let detail = match (expected, last) {
        (Expected::Restart, None) => "one stop, one exchange, one start: about what a restart takes".into(),
        (Expected::Restart, Some(last)) => {
            format!("one stop, one exchange, one start; the last one here took {last:.2} s")
        }
        (Expected::Copy, _) => "from before the copy begins until it is in place".into(),
        (Expected::None, _) => "nobody is served now".into(),
    };
    Ok((detail, Outage { expected, last_seconds: last }))
}

/// Whoever gives up the old data for want of room lets go of what is older first.
fn nothing_is_kept(cluster: &Cluster, places: &Places) -> Result<&'static str, Failure> {
    match places.kept().len() + places.rolled_back().len() {
        0 => Ok("none beside the old data, which is given up"),
        count => Err(Failure::refused(format!("{count} old directories of {} are kept", cluster.title()))
            .because("they take room that the copy may need, and would outlive what is newer")
            .hint(format!("pg-basebackup-swap commit {}", cluster.option()))),
    }
}

fn of_the_ground(
    run: &mut Run,
    findings: &mut Findings,
    cluster: &Cluster,
    places: &Places,
    situation: &Situation,
    arguments: &FetchArguments,
) -> Vec<Part> {
    let parent = places.parent().display();
    let reachable = places::refuse_a_parent_out_of_reach(cluster, places);
    findings.found("permissions", reachable.map(|()| format!("the copy can be put into {parent}")));
    findings.found("mount points", inspect::refuse_mount_points(places));
    findings.found("links", inspect::what_lies_elsewhere(places, arguments, situation.space));
    let source = situation.source.as_ref().ok();
    // Of data that was given up the note still knows.
    let given_up = GivenUp::of(&places.data).ok().flatten().and_then(|given_up| given_up.system_identifier);
    let is_given_up = given_up.is_some();
    let own = cluster.system_identifier.clone().or(given_up);
    let same = source.is_some_and(|source| own.as_deref() == Some(source.system_identifier()));
    let size = Size::find(source, places, same && !is_given_up);
    if let Err(failure) = destinations::unknown_mapping(arguments, size.as_ref()) {
        findings.bad("tablespaces", failure);
    }
    let mut parts = match destinations::parts(places, arguments, size.as_ref(), same, situation.space) {
        Ok(parts) => parts,
        Err(failure) => {
            findings.bad("folders", failure);
            return Vec::new();
        }
    };
    for looked in destinations::check(cluster, places, &parts, situation.space) {
        findings.found("folders", looked);
    }
    if arguments.config == ConfigOf::Primary {
        findings.found("configuration", primarys_configuration(cluster, places));
    }
    space::look(run, findings, cluster, places, situation, &mut parts, size.as_ref());
    parts
}

/// A copy brings it only where it lies inside the data directory.
fn primarys_configuration(cluster: &Cluster, places: &Places) -> Result<&'static str, Failure> {
    if places::as_if_in(cluster, &places.incoming()).config_file != cluster.config_file {
        return Ok("the copy has the primary's");
    }
    Err(Failure::refused(format!("{} can't have the primary's configuration", cluster.title()))
        .because(format!(
            "its own is {}, outside the data directory: no copy brings one",
            cluster.config_file.display()
        ))
        .hint("leave --config out"))
}
