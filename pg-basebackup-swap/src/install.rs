//! `run` and `swap`: a copy is installed as the cluster's data directory.
//!
//! What must always hold: all that can be looked at is looked at before the server is stopped.

use crate::args::{RunArguments, SwapArguments, SwapVerb};
use crate::changeover::{self, Plan};
use crate::inspect::{self, Situation, Standing};
use crate::marker::Marker;
use crate::places::{self, Places};
use crate::source::Source;
use crate::{commit, fetch, prepare};
use pg_runbook::document::{Act, Change};
use pg_runbook::{Cluster, Failure, Level, Run, service};
use std::time::SystemTime;

const SWAP: Act = Act { plain: "exchange the data directory of", past: "exchanged the data directory of" };

/// `pg-basebackup-swap run`
pub fn run(run: &mut Run, arguments: &RunArguments) -> Result<(), Failure> {
    let (mut cluster, places) = prepare::take(run)?;
    commit::let_go_what_is_over(run, &cluster, &places)?;
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
    install(run, &mut cluster, &places, source.system_identifier(), &arguments.swap)
}

/// `pg-basebackup-swap swap`
pub fn swap(run: &mut Run, arguments: &SwapVerb) -> Result<(), Failure> {
    let (mut cluster, places, finished) = prepare::take_and_tell(run)?;
    commit::let_go_what_is_over(run, &cluster, &places)?;
    if finished.as_deref() == Some("swap") {
        run.message(format!("the swap of {} that was cut off is finished", cluster.title()));
        return Ok(());
    }
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
    install(run, &mut cluster, &places, &marker.system_identifier, &arguments.swap)
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
    arguments: &SwapArguments,
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
    let goes_to = places.next_previous(SystemTime::now());
    let plan = Plan {
        verb: "swap",
        comes_from: incoming,
        goes_to,
        system,
        timeout: arguments.timeout,
        keep_for: arguments.keep_for,
    };
    let done = changeover::carry_out(run, cluster, places, &plan)?;
    let kept = plan.goes_to.display();
    done.tell(run, cluster, "streams on its new copy", "is a standby of the primary now");
    run.fact("kept", &plan.goes_to);
    run.account(format!("the old directory is kept: {kept}"));
    run.account(format!("to go back: pg-basebackup-swap rollback {}", cluster.option()));
    run.account(format!("to let it go: pg-basebackup-swap commit {}", cluster.option()));
    run.change(change.remark(format!("the old one is kept: {kept}")));
    Ok(())
}

/// The time without answers is no time to find out.
pub fn refuse_what_would_fail_later(cluster: &Cluster, places: &Places) -> Result<(), Failure> {
    inspect::refuse_mount_points(places)?;
    inspect::refuse_what_would_promote(cluster)?;
    places::refuse_a_parent_out_of_reach(cluster, places)?;
    if cluster.has_process() { service::refuse_what_could_not_start(cluster) } else { Ok(()) }
}
