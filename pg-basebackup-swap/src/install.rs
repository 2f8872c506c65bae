//! `run` and `swap`: a copy is installed as the cluster's data directory.
//!
//! What must always hold: all that can be looked at is looked at before the server is stopped.

use crate::args::{RunArguments, Space, SwapArguments, SwapVerb};
use crate::changeover::{self, Plan};
use crate::inspect::{self, Situation, Standing};
use crate::marker::Marker;
use crate::places::{self, Places};
use crate::source::Source;
use crate::streaming::{self, Goal, Position};
use crate::{catch_up, commit, fetch, outside, prepare, standby_settings};
use pg_runbook::cluster::{Role, State};
use pg_runbook::document::{Act, Change};
use pg_runbook::server::ConnectionArguments;
use pg_runbook::{Cluster, Failure, GivenUp, Level, Run, service};
use std::path::Path;
use std::time::SystemTime;

const SWAP: Act = Act { plain: "exchange the data directory of", past: "exchanged the data directory of" };

/// `pg-basebackup-swap run`
pub fn run(run: &mut Run, arguments: &RunArguments) -> Result<(), Failure> {
    let (mut cluster, places) = prepare::take(run)?;
    commit::let_go_what_is_over(run, &cluster, &places)?;
    if prepare::only_planned(run, &cluster) {
        return Ok(());
    }
    let looked = Situation::look(run, &mut cluster, &arguments.fetch, &arguments.replaced)?;
    let space = if arguments.space == Space::Replace { Space::Replace } else { looked.space };
    let situation = Situation { space, ..looked };
    if let Ok(source) = &situation.source {
        remember(run, source);
    }
    match situation.standing() {
        Some(Standing::Streams(from)) => {
            run.set_cluster(&cluster);
            run.message(format!(
                "{} already streams from {}; nothing was copied (--force clones it anew)",
                cluster.title(),
                from.as_deref().unwrap_or("this primary")
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
    let source = fetch::bring(run, &mut cluster, &places, situation, &arguments.fetch, arguments.swap.timeout)?;
    // With `--check` there is no copy to look at.
    if !run.check() {
        refuse_what_could_not_be_installed(&mut cluster, &places, source.system_identifier())?;
    }
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
        if streams_already(run, &mut cluster) {
            run.message(format!("{} already streams from this primary; nothing to install", cluster.title()));
            return Ok(());
        }
        return Err(Failure::refused(format!(
            "there is no copy to install: {} is missing",
            places.incoming().display()
        ))
        .hint(format!("pg-basebackup-swap fetch {}", cluster.option())));
    };
    // Whoever asks for a swap has seen that the standby streams, and wants the copy all the same.
    let replaced = crate::args::ReplacedArguments { force: true, ..arguments.replaced.clone() };
    inspect::judge(run, &mut cluster, &Goal::system(&marker.system_identifier), &replaced)?;
    refuse_what_could_not_be_installed(&mut cluster, &places, &marker.system_identifier)?;
    install(run, &mut cluster, &places, &marker.system_identifier, &arguments.swap)
}

/// Without a copy, a standby of the document's primary that streams is what a swap was to bring.
fn streams_already(run: &mut Run, cluster: &mut Cluster) -> bool {
    let primary = run.document.primary.as_ref();
    let told = primary.and_then(|primary| Some((primary.system_identifier.clone()?, primary.timeline)));
    let Some((system, timeline)) = told.filter(|(told, _)| cluster.system_identifier.as_ref() == Some(told)) else {
        return false;
    };
    let nothing = crate::args::ReplacedArguments::default();
    let standing = inspect::judge(run, cluster, &Goal::current(&system, timeline), &nothing);
    matches!(standing, Ok(Standing::Streams(_)))
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
    let marker = Marker::of(&incoming)?;
    fetch::renew(cluster, places, &incoming)?;
    catch_up::catch_up(run, cluster, &places.data, &incoming, arguments)?;
    fetch::refuse_what_is_no_standby(&incoming, cluster.major, system)?;
    let goes_to = places.next_previous(SystemTime::now());
    let plan = Plan {
        verb: "swap",
        timeline: marker.map_or(0, |marker| marker.timeline),
        position: position(run, cluster),
        comes_from: incoming,
        goes_to,
        system,
        timeout: arguments.timeout,
        keep_for: arguments.keep_for,
    };
    let done = changeover::carry_out(run, cluster, places, &plan)?;
    done.tell(run, cluster, "streams on its new copy", "is a standby of the primary now");
    if GivenUp::of(&plan.goes_to)?.is_some() {
        run.change(change.remark("the old data was given up before"));
        return commit::remove_what_was_given_up(run, places, &plan.goes_to);
    }
    let kept = plan.goes_to.display();
    run.fact("kept", &plan.goes_to);
    run.account(format!("the old directory is kept: {kept}"));
    if plan.goes_to.join(standby_settings::signal_file(cluster.major)).is_file() {
        run.account(format!("to go back: pg-basebackup-swap rollback {}", cluster.option()));
    } else {
        run.account("it was no standby, and is never put back as one");
    }
    run.account(format!("to let it go: pg-basebackup-swap commit {}", cluster.option()));
    run.change(change.remark(format!("the old one is kept: {kept}")));
    Ok(())
}

/// What can be seen of a complete copy and of what it goes to, before anything is disturbed.
fn refuse_what_could_not_be_installed(cluster: &mut Cluster, places: &Places, system: &str) -> Result<(), Failure> {
    let incoming = places.incoming();
    fetch::refuse_what_is_no_standby(&incoming, cluster.major, system)?;
    // A copy takes its time: what runs now is what counts.
    cluster.refresh();
    refuse_what_would_fail_later(cluster, places)?;
    refuse_what_would_share_a_tablespace(cluster, places, &incoming, Marker::of(&incoming)?.as_ref())
}

/// A tablespace that the primary made since would be made again by the copy, in the very folder that the old directory
/// uses by now.
fn refuse_what_would_share_a_tablespace(
    cluster: &Cluster,
    places: &Places,
    incoming: &Path,
    marker: Option<&Marker>,
) -> Result<(), Failure> {
    if GivenUp::of(&places.data)?.is_some() {
        return Ok(());
    }
    let then = marker.map(|marker| marker.tablespaces_then.clone()).unwrap_or_default();
    let its = outside::tablespaces(incoming);
    let own = outside::tablespaces(&places.data);
    let Some(made) = own.iter().find(|name| !then.contains(name) && !its.contains(name)) else {
        return outside::refuse_what_is_shared(&places.data, incoming);
    };
    Err(Failure::refused(format!("the copy for {} is from before a tablespace was made ({made})", cluster.title()))
        .because("it would make it again, in the very folder that the old directory uses")
        .hint(format!("a new copy: pg-basebackup-swap run {} --force", cluster.option())))
}

/// Where the old server stands, if it is a standby that can be asked: the new one has to come as far.
fn position(run: &mut Run, cluster: &Cluster) -> Option<Position> {
    if cluster.state != State::Running || cluster.role != Some(Role::Standby) {
        return None;
    }
    run.connect(cluster, &ConnectionArguments::default()).ok().and_then(|mut server| streaming::position(&mut server))
}

/// The time without answers is no time to find out.
pub fn refuse_what_would_fail_later(cluster: &Cluster, places: &Places) -> Result<(), Failure> {
    inspect::refuse_mount_points(places)?;
    inspect::refuse_what_would_promote(cluster)?;
    places::refuse_a_parent_out_of_reach(cluster, places)?;
    if cluster.has_process() { service::refuse_what_could_not_start(cluster) } else { Ok(()) }
}
