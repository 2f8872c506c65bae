//! A server that doesn't take its new configuration gets the one back that it had, from what `pg-conf` kept.
//!
//! What must always hold: what somebody else edited is left alone; the configuration that failed is kept too, and the
//! failure says how to get at it; a success is a server that answers.

use crate::args::ServeArguments;
use crate::serve::see_it_answer;
use pg_runbook::cluster::{Cluster, State};
use pg_runbook::configuration::history::{History, Step, What};
use pg_runbook::configuration::{Edit, edit};
use pg_runbook::document::{Act, Change, Needs};
use pg_runbook::server::Server;
use pg_runbook::{Failure, Run, service, signals};

const PUT_BACK: Act = Act { plain: "put back", past: "put back" };
const START: Act = Act { plain: "start", past: "started" };

/// Files that were put back.
struct PutBack {
    /// They are as they were before this step.
    before: u32,
    /// The step that keeps what they were until now.
    kept: u32,
    edits: Vec<Edit>,
}

/// Puts back what the restart brought, starts the server, and returns the failure with both stories. A server that is
/// not down (it still stops, or still starts) is left alone.
pub fn after_restart(
    run: &mut Run,
    cluster: &mut Cluster,
    started: f64,
    failure: Failure,
    arguments: &ServeArguments,
) -> Failure {
    if cluster.state != State::Down {
        return failure;
    }
    // Whoever asked for an end did not ask for another configuration.
    if signals::arrived().is_some() {
        return failure.hint(format!("it is down: pg-cluster start {}", cluster.option()));
    }
    let history = History::of(cluster);
    let mut second_story = None;
    for attempt in [restart_steps, all_steps] {
        let put_back = history.since(started).and_then(|steps| put_back(run, &history, &attempt(&steps, cluster)));
        match put_back {
            Ok(None) => {}
            Ok(Some(done)) => match start(run, cluster, arguments) {
                Ok(()) => return back(run, cluster, failure, &done),
                Err(second) => second_story = Some(not_that_either(&second, &done)),
            },
            Err(conflict) => second_story = Some(format!("the configuration before it is not put back: {conflict}")),
        }
    }
    failure.because(second_story.unwrap_or_else(|| {
        "pg-conf has changed nothing since the server had started, so there is no configuration to put back".to_owned()
    }))
}

/// From the first step on that waits for a restart. What only concerns `pg_hba.conf` was in force before.
fn restart_steps(steps: &[Step], cluster: &Cluster) -> Vec<Step> {
    let Some(first) = steps.iter().position(|step| step.what.restart) else { return Vec::new() };
    let concerns_settings = |step: &&Step| step.files.iter().any(|file| file.path != cluster.hba_file);
    steps[first..].iter().filter(concerns_settings).cloned().collect()
}

/// Everything since the server started: what a reload takes can still be what a start refuses.
fn all_steps(steps: &[Step], _cluster: &Cluster) -> Vec<Step> {
    steps.to_vec()
}

fn put_back(run: &mut Run, history: &History, steps: &[Step]) -> Result<Option<PutBack>, Failure> {
    let edits = history.back_before(steps)?;
    let Some(before) = steps.first().map(|step| step.number).filter(|_| !edits.is_empty()) else { return Ok(None) };
    let told = |edit: &Edit| {
        Change::act("file", edit.path.display().to_string(), PUT_BACK).remark(format!("as before step {before}"))
    };
    let changes: Vec<Change> = edits.iter().map(told).collect();
    let what = What {
        tool: run.tool.to_owned(),
        action: run.document.action.clone(),
        changes: changes.iter().map(|change| change.line(false)).collect(),
        restart: steps.iter().any(|step| step.what.restart),
        undoes: Some(before),
    };
    let Some(kept) = history.change(what, &edits)? else { return Ok(None) };
    for change in changes {
        run.change(change);
    }
    Ok(Some(PutBack { before, kept, edits }))
}

fn start(run: &mut Run, cluster: &mut Cluster, arguments: &ServeArguments) -> Result<(), Failure> {
    let started = service::start(cluster, arguments.timeout);
    cluster.refresh();
    run.set_cluster(cluster);
    started?;
    see_it_answer(run, cluster, arguments)?;
    run.change(Change::act("service", cluster.title(), START));
    Ok(())
}

fn back(run: &mut Run, cluster: &Cluster, failure: Failure, done: &PutBack) -> Failure {
    run.document.needs = Needs::default();
    let title = cluster.title();
    let mut story = Failure::failed(format!(
        "{title} did not come back with its new configuration; it runs again with the one from before step {}",
        done.before
    ));
    story.causes.push(failure.message);
    story.causes.extend(failure.causes);
    story.because(where_it_is(cluster, done)).hint(format!("pg-conf undo {} --list", cluster.option()))
}

fn where_it_is(cluster: &Cluster, done: &PutBack) -> String {
    let (kept, option) = (done.kept, cluster.option());
    format!(
        "the configuration that failed is kept as step {kept}; to have it in place again: pg-conf undo {option} --step {kept}"
    )
}

fn not_that_either(second: &Failure, done: &PutBack) -> String {
    format!(
        "with its configuration from before step {}, which is in place now, it does not start either: {second}",
        done.before
    )
}

/// The same after a reload, where the server runs on with what it has in memory. What does not help is not kept.
pub fn after_reload(run: &mut Run, cluster: &Cluster, loaded: f64, failure: Failure, server: &mut Server) -> Failure {
    let history = History::of(cluster);
    let done = match history.since(loaded).and_then(|steps| put_back(run, &history, &steps)) {
        Ok(Some(done)) => done,
        Ok(None) => return failure,
        Err(conflict) => return failure.because(format!("the files before it are not put back: {conflict}")),
    };
    if let Ok(errors) = service::configuration_errors(server)
        && !errors.is_empty()
    {
        let again: Vec<Edit> = done.edits.iter().rev().map(Edit::reversed).collect();
        return match edit::put(&again).and_then(|()| history.forget(done.kept)) {
            Ok(()) => failure,
            Err(second) => failure.because(second),
        };
    }
    let mut story = Failure::failed(format!(
        "{} could not load its configuration; the files are as before step {} again",
        cluster.title(),
        done.before
    ));
    story.causes = failure.causes;
    if let Err(second) = service::reload(cluster, Some(server)) {
        return story.because(second);
    }
    run.document.needs = Needs::default();
    story.because(where_it_is(cluster, &done)).hint(format!("pg-conf undo {} --list", cluster.option()))
}
