//! What a copy needs of the primary, and of the cluster compared with it.
//!
//! What must always hold: what the primary does not let the role know is told as unknown, never as good.

use crate::args::{FetchArguments, WalMethod};
use crate::bounds;
use crate::findings::Findings;
use crate::source::Source;
use pg_runbook::cluster::{programs, version};
use pg_runbook::invocation::Invocation;
use pg_runbook::{Cluster, Failure, Run};

/// What the primary says, and what is compared with it.
pub(super) fn look(
    run: &mut Run,
    findings: &mut Findings,
    cluster: &Cluster,
    source: &Source,
    named: bool,
    arguments: &FetchArguments,
) {
    let (target, address) = (&source.target, source.target.address());
    let with = target.passfile.as_ref().map_or(String::new(), |file| format!(", with {}", file.display()));
    findings.good("login", format!("{} logs in at {address}{with}", target.user));
    findings.good("replication", format!("{} may replicate", target.user));
    findings.found("system identifier", system_identifier(source));
    findings.found("version", same_version(cluster, source));
    if source.major() == cluster.major {
        timeline(findings, cluster, source, named);
        bounds(run, findings, cluster, source);
    }
    findings.found("slot", slot(source, arguments));
    findings.found("walsenders", walsenders(source, arguments));
    wal(findings, cluster, source);
    if let Some(method) = &arguments.compress {
        findings.found("compression", compression(source, method));
    }
}

fn system_identifier(source: &Source) -> Result<String, Failure> {
    let found = source.system_identifier();
    match &source.expected {
        None => Ok(found.to_owned()),
        Some(expected) => {
            Err(Failure::refused(format!("another system answers at {}: {found}", source.target.address()))
                .because(format!("the document's primary has the system identifier {expected}"))
                .hint("advertise the primary anew: pg-cluster advertise --host HOST"))
        }
    }
}

fn same_version(cluster: &Cluster, source: &Source) -> Result<String, Failure> {
    let (here, there) = (cluster.major, source.major());
    if here == there {
        return Ok(format!("{here} here and on the primary"));
    }
    Err(Failure::refused(format!("{} is of version {here}, the primary of {there}", cluster.title()))
        .hint(format!("pg-cluster create {there}/NAME, for a standby of the primary's version")))
}

/// A standby that has replayed a later timeline follows a newer primary than this one.
fn timeline(findings: &mut Findings, cluster: &Cluster, source: &Source, named: bool) {
    let there = source.primary.timeline.unwrap_or_default();
    if cluster.system_identifier.as_deref() != Some(source.system_identifier()) {
        return findings.good("timeline", format!("the primary writes {there}"));
    }
    let Some(here) = own_timeline(cluster) else {
        return findings.add(
            "timeline",
            None,
            format!("the primary writes {there}; the cluster's can't be read"),
            None,
        );
    };
    if here <= there || named {
        return findings.good("timeline", format!("the primary writes {there}, the cluster has {here}"));
    }
    let own = source.system_identifier();
    findings.bad(
        "timeline",
        Failure::refused(format!("{} is ahead of this primary", cluster.title()))
            .because(format!("it has timeline {here}, and {} writes {there}: an old primary?", source.target.address()))
            .hint(format!(
                "name the primary that writes timeline {here}; or, if it really is this one: --replace {own}"
            )),
    );
}

fn own_timeline(cluster: &Cluster) -> Option<u32> {
    let program = programs::find_server(cluster.major, "pg_controldata")?;
    let said = Invocation::new(program).arg(&cluster.data_directory).run().ok()?.stdout;
    let line = said.lines().find_map(|line| line.strip_prefix("Latest checkpoint's TimeLineID:"))?;
    line.trim().parse().ok()
}

/// A running standby would not come back with bounds that are too low, so it is refused; one that is set up first is
/// only told.
fn bounds(run: &mut Run, findings: &mut Findings, cluster: &Cluster, source: &Source) {
    let low = match bounds::low(run, cluster, source) {
        Ok(low) => low,
        Err(failure) => return findings.bad("bounds", failure),
    };
    if low.is_empty() {
        return findings.good("bounds", "none is below the primary's");
    }
    let place = format!("-h {} -p {} -U {}", source.target.host, source.target.port, source.target.user);
    let hint = format!("pg-conf match {} {place}", cluster.option());
    if cluster.has_process() {
        let failure = Failure::refused(format!("{} would not start on the copy", cluster.title()));
        return findings.bad("bounds", low.into_iter().fold(failure, Failure::because).hint(hint));
    }
    let low = low.join(", ");
    run.warn(format!("{} will not start like this: {low} (mend it with: {hint})", cluster.title()));
    findings.add("bounds", None, low, Some(hint));
}

fn slot(source: &Source, arguments: &FetchArguments) -> Result<String, Failure> {
    let Some(slot) = &source.slot else { return Ok("none is used".into()) };
    Ok(match source.slot_is_there {
        Some(true) if source.slot_is_busy => format!("{slot} is there; the old standby uses it until the exchange"),
        Some(true) => format!("{slot} is there"),
        _ if arguments.create_slot => format!("{slot} is made where it is not there"),
        None => format!("{slot}; a primary of version {} doesn't say whether it is there", source.major()),
        Some(false) => {
            return Err(Failure::refused(format!("the primary has no physical replication slot {slot:?}"))
                .hint(format!(
                    "add --create-slot; or on the primary: psql -c \"SELECT pg_create_physical_replication_slot('{slot}')\""
                )));
        }
    })
}

/// The copy takes one, and streaming its write-ahead log another, with a slot of its own where none is named.
fn walsenders(source: &Source, arguments: &FetchArguments) -> Result<&'static str, Failure> {
    if arguments.wal_method == WalMethod::Fetch {
        return Ok("the copy takes one");
    }
    let has_one = source.slot.is_some() && !source.slot_is_busy && source.slot_is_there == Some(true);
    source.walsender()?.rehearse(!has_one).map_err(|failure| {
        failure
            .while_doing("the primary does not give what the copy takes: two walsenders and a replication slot at once")
    })?;
    Ok("two are free, and a replication slot")
}

fn wal(findings: &mut Findings, cluster: &Cluster, source: &Source) {
    let (name, value) = if version::wal_keep_is_segments(source.major()) {
        ("wal_keep_segments", "500")
    } else {
        ("wal_keep_size", "8GB")
    };
    match keeps_wal(cluster, source, name) {
        Ok(Some(who)) => findings.good("wal", who),
        Err(failure) => findings.bad("wal", failure),
        Ok(None) => findings.add(
            "wal",
            None,
            format!("nothing keeps what is written after the copy until it streams: no slot, and {name} = 0"),
            Some(format!(
                "--slot NAME --create-slot; or on the primary: pg-conf set {name}={value} | pg-cluster reload"
            )),
        ),
    }
}

/// Who keeps the write-ahead log, or brings it, until the new copy streams.
fn keeps_wal(cluster: &Cluster, source: &Source, setting: &str) -> Result<Option<String>, Failure> {
    // One that the old standby uses moves on with it.
    if let Some(slot) = source.slot.as_ref().filter(|_| !source.slot_is_busy) {
        return Ok(Some(format!("the replication slot {slot} keeps it")));
    }
    let kept = source.walsender()?.show(&[setting])?.first().cloned().unwrap_or_default();
    if kept != "0" {
        return Ok(Some(format!("the primary keeps {setting} = {kept}")));
    }
    // Until 11 it stands in recovery.conf, which is written anew.
    let restores = !version::has_recovery_conf(cluster.major)
        && cluster.configuration()?.in_force("restore_command").is_some_and(|found| !found.value.is_empty());
    Ok(restores.then(|| "what the primary removes comes by restore_command".into()))
}

fn compression(source: &Source, method: &str) -> Result<String, Failure> {
    programs::client("pg_basebackup", 15)?;
    if source.major() >= 15 {
        return Ok(method.to_owned());
    }
    Err(Failure::refused(format!("a primary of version {} can't compress what it sends", source.major()))
        .because("15 and later can")
        .hint("leave --compress out"))
}
