//! The exchange: stop, one exchange, start; and the way back.
//!
//! What must always hold: between the stop and the start nothing can be interrupted and nothing is copied. If the new
//! copy doesn't stream, the old directory is back in its place and serves again.

use crate::args::{RunArguments, SwapVerb};
use crate::exchange::exchange;
use crate::fetch;
use crate::inspect::{self, Situation, Standing};
use crate::marker::Marker;
use crate::places::{self, Places, in_parent};
use crate::prepare;
use crate::source::Source;
use crate::streaming;
use pg_runbook::cluster::State;
use pg_runbook::document::{Act, Change};
use pg_runbook::service::CommandLine;
use pg_runbook::{Cluster, Failure, Level, Run, durable_file, service, signals};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

const SWAP: Act = Act { plain: "exchange the data directory of", past: "exchanged the data directory of" };

/// `pg-basebackup-swap run`
pub fn run(run: &mut Run, arguments: &RunArguments) -> Result<(), Failure> {
    let (mut cluster, places) = prepare::take(run)?;
    if prepare::only_planned(run, &cluster) {
        return Ok(());
    }
    let situation = Situation::look(run, &mut cluster, &arguments.fetch, &arguments.replaced)?;
    if let Ok(source) = &situation.source {
        remember(run, source);
    }
    match situation.standing() {
        Some(Standing::Streams) => {
            run.set_cluster(&cluster);
            run.message(format!(
                "{} already streams from this primary; nothing was copied (--force clones it anew)",
                cluster.title()
            ));
            return Ok(());
        }
        Some(Standing::Down) => {
            run.need(Level::Start, &cluster.title());
            run.message(format!(
                "{} already is a standby of this primary, and is down; nothing was copied (pg-cluster start {}, or --force \
                 to clone it anew)",
                cluster.title(),
                cluster.option()
            ));
            return Ok(());
        }
        Some(Standing::Replaceable(why)) => {
            run.say(&format!("{} is to be replaced by a copy of the primary: {why}", cluster.title()));
        }
        // Why not is told with everything else that stands in the way.
        None => {}
    }
    let source = fetch::bring(run, &cluster, &places, situation, &arguments.fetch)?;
    install(run, &mut cluster, &places, source.system_identifier(), arguments.swap.timeout)
}

/// `pg-basebackup-swap swap`
pub fn swap(run: &mut Run, arguments: &SwapVerb) -> Result<(), Failure> {
    let (mut cluster, places) = prepare::take(run)?;
    let Some(marker) = Marker::of(&places.incoming())? else {
        return Err(Failure::refused(format!(
            "there is no copy to install: {} is missing",
            places.incoming().display()
        ))
        .hint(format!("pg-basebackup-swap fetch {}", cluster.option())));
    };
    // Whoever asks for a swap has seen that the standby streams, and wants the copy all the same.
    let replaced = crate::args::ReplacedArguments { force: true, ..arguments.replaced.clone() };
    inspect::judge(run, &mut cluster, &marker.system_identifier, &replaced)?;
    install(run, &mut cluster, &places, &marker.system_identifier, arguments.swap.timeout)
}

fn remember(run: &mut Run, source: &Source) {
    let slot = source.slot.clone();
    let mut primary = source.primary.clone();
    primary.slot = slot;
    if let Some(told) = &run.document.primary {
        primary.rest.clone_from(&told.rest);
    }
    run.document.primary = Some(primary);
}

fn install(
    run: &mut Run,
    cluster: &mut Cluster,
    places: &Places,
    system: &str,
    timeout: Duration,
) -> Result<(), Failure> {
    let change = Change::act("data_directory", cluster.title(), SWAP).at(&places.data, None);
    if run.check() {
        run.change(change);
        run.message(format!("would install a copy of the primary as {}", cluster.title()));
        return Ok(());
    }
    let incoming = places.incoming();
    fetch::refuse_what_is_no_standby(&incoming, cluster.major, system)?;
    refuse_what_would_fail_later(cluster, places)?;
    run.lock_folder(&incoming)?;
    let kept = places.next_previous(SystemTime::now());
    let begun = Instant::now();
    // The name first: whoever finds a kept directory with a note in it knows that it is the copy.
    in_parent(places, || durable_file::rename(&incoming, &kept))?;
    let shield = signals::Shield::raise();
    let before = match streaming::stop(run, cluster, timeout) {
        Ok(before) => before,
        Err(failure) => return Err(call_off(cluster, places, &kept, None, timeout, failure)),
    };
    if let Err(failure) = in_parent(places, || exchange(&places.data, &kept)) {
        return Err(call_off(cluster, places, &kept, before.as_ref(), timeout, failure));
    }
    let marker = Marker::of(&places.data)?;
    Marker::take_out(&places.data)?;
    cluster.refresh();
    if let Some(before) = &before {
        let started = streaming::start(run, cluster, before, system, timeout);
        let outage = begun.elapsed();
        match started {
            Ok(replication) => run.fact("replication", &replication),
            Err(failure) => return Err(go_back(run, cluster, places, &kept, marker, before, timeout, failure)),
        }
        run.message(format!(
            "{} streams on its new copy; from the stop until then it took {:.2} s",
            cluster.title(),
            outage.as_secs_f64()
        ));
    } else {
        run.need(Level::Start, &cluster.title());
        run.message(format!("{} is a standby of the primary now, and down", cluster.title()));
    }
    drop(shield);
    run.set_cluster(cluster);
    run.fact("kept", &kept);
    run.account(format!("the old directory is kept: {}", kept.display()));
    run.change(change.remark(format!("the old one is kept: {}", kept.display())));
    Ok(())
}

/// The time without answers is no time to find out.
fn refuse_what_would_fail_later(cluster: &Cluster, places: &Places) -> Result<(), Failure> {
    inspect::refuse_mount_points(places)?;
    inspect::refuse_what_would_promote(cluster)?;
    places::refuse_a_parent_out_of_reach(cluster, places)?;
    if cluster.has_process() { service::refuse_what_could_not_start(cluster) } else { Ok(()) }
}

/// Nothing was exchanged: the copy gets its name back, and a server that was stopped is started again.
fn call_off(
    cluster: &mut Cluster,
    places: &Places,
    kept: &Path,
    before: Option<&CommandLine>,
    timeout: Duration,
    failure: Failure,
) -> Failure {
    let renamed = in_parent(places, || durable_file::rename(kept, &places.incoming()));
    cluster.refresh();
    let mut told = failure.while_doing(format!("{} was not exchanged", cluster.title()));
    let started = match before {
        Some(before) => service::start_again(cluster, before, timeout),
        None => Ok(()),
    };
    if before.is_none() && cluster.state != State::Running {
        // It was told to stop, and that can't be taken back.
        let option = cluster.option();
        told = told.because("it was told to stop, and will; then it has to be started");
        told.hint = Some(format!("pg-cluster stop {option} --timeout 600 && pg-cluster start {option}"));
    }
    renamed.and(started).err().into_iter().fold(told, |told, second| told.because(format!("and then: {second}")))
}

/// The copy didn't stream: the old directory takes its place again, and both stories are told.
#[allow(clippy::too_many_arguments, reason = "all that the way there knew")]
fn go_back(
    run: &mut Run,
    cluster: &mut Cluster,
    places: &Places,
    kept: &Path,
    marker: Option<Marker>,
    before: &CommandLine,
    timeout: Duration,
    failure: Failure,
) -> Failure {
    let back = || -> Result<(), Failure> {
        streaming::stop(run, cluster, timeout)?;
        in_parent(places, || exchange(&places.data, kept))?;
        if let Some(marker) = marker {
            Marker { started: true, ..marker }.put(kept)?;
        }
        in_parent(places, || durable_file::rename(kept, &places.incoming()))?;
        service::start_again(cluster, before, timeout)
    };
    let result = back();
    run.set_cluster(cluster);
    match result {
        Ok(()) => failure
            .while_doing(format!("{} went back to its old directory, which serves again", cluster.title()))
            .hint(format!("the copy is kept; once the cause is mended: pg-basebackup-swap swap {}", cluster.option())),
        Err(second) => failure
            .while_doing(format!("{} could not go back to its old directory by itself", cluster.title()))
            .because(format!("and then: {second}"))
            .hint(format!("both directories are whole: pg-basebackup-swap status {}", cluster.option())),
    }
}
