//! Everything that a copy needs, looked at before anything is touched.
//!
//! What must always hold: nothing is changed here, on this host or on the primary (the login that rehearses what a base
//! backup needs ends with what it made); one bad finding keeps none of the others from being looked at.

mod primary;

use crate::args::FetchArguments;
use crate::destinations;
use crate::findings::Findings;
use crate::inspect::{self, Situation, Standing};
use crate::places::{self, Places};
use crate::room::{Disk, Part, Size, Teller, megabytes};
use crate::source::Source;
use crate::verify::{self, Plan};
use pg_runbook::cluster::State;
use pg_runbook::{Cluster, Failure, Run, signals};
use serde_json::json;

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
    of_the_cluster(&mut findings, cluster, places, &situation);
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

fn of_the_cluster(findings: &mut Findings, cluster: &Cluster, places: &Places, situation: &Situation) {
    match &situation.standing {
        Ok(None) => {}
        Ok(Some(Standing::Replaceable(why))) => findings.good("old data", format!("may be replaced: {why}")),
        Ok(Some(Standing::Streams | Standing::Down)) => findings.good("old data", "a standby of this primary"),
        Err(failure) => findings.bad("old data", failure.clone()),
    }
    findings.good(
        "server",
        match cluster.state {
            State::Down => "down",
            _ => "runs, and serves until the exchange",
        },
    );
    findings.found("recovery", inspect::refuse_what_would_promote(cluster).map(|()| "nothing would end it"));
    let linked = cluster.data_directory != places.data;
    let place = places.data.display();
    findings
        .good("data directory", if linked { format!("a link to {place}, and stays one") } else { place.to_string() });
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
    findings
        .found("mount points", inspect::refuse_mount_points(places).map(|()| "none at the data directory or in it"));
    let elsewhere = inspect::refuse_what_lies_elsewhere(cluster, places, arguments);
    findings.found("links", elsewhere.map(|()| "none that leads out of it is without a new place"));
    let source = situation.source.as_ref().ok();
    let same = source.is_some_and(|source| cluster.system_identifier.as_deref() == Some(source.system_identifier()));
    let size = Size::find(source, places, same);
    if let Err(failure) = destinations::unknown_mapping(arguments, size.as_ref()) {
        findings.bad("tablespaces", failure);
    }
    let parts = destinations::parts(places, arguments, size.as_ref());
    for looked in destinations::check(cluster, places, &parts) {
        findings.found("folders", looked);
    }
    space(run, findings, cluster, &parts, size.as_ref());
    parts
}

fn space(run: &mut Run, findings: &mut Findings, cluster: &Cluster, parts: &[Part], size: Option<&Size>) {
    let disks = match Disk::all(parts) {
        Ok(disks) => disks,
        Err(failure) => return findings.bad("space", failure),
    };
    let teller = size.map(|size| size.teller);
    for disk in &disks {
        room_on(findings, cluster, disk, teller);
    }
    run.fact("copy", &json!({ "bytes": size.map(|size| size.total), "told_by": teller, "disks": disks }));
}

fn room_on(findings: &mut Findings, cluster: &Cluster, disk: &Disk, teller: Option<Teller>) {
    let free = format!("{} are free at {}", megabytes(disk.free), disk.folder.display());
    match (teller, disk.bytes.map(megabytes)) {
        (Some(Teller::Primary), Some(takes)) if !disk.is_too_small() => {
            findings.good("space", format!("{free}, the copy takes {takes} there"));
        }
        (Some(Teller::Primary), Some(_)) => findings.bad("space", disk.too_small(cluster)),
        (Some(Teller::Standby), Some(takes)) => {
            let detail =
                format!("{free}; the old standby takes {takes}, the primary says its own size as the copy begins");
            // The primary may have shrunk since.
            let ok = (!disk.is_too_small()).then_some(true);
            findings.add("space", ok, detail, None);
        }
        _ => findings.add("space", None, format!("{free}; the primary says its size as the copy begins"), None),
    }
}
