//! A server that doesn't take its new configuration gets the one back that it had, from what `pg-conf` kept.
//!
//! What must always hold: the configuration that failed is kept too, whoever wrote it, and the failure says how to get
//! at it; a success is a server that answers.

use crate::args::ServeArguments;
use crate::running;
use pg_runbook::cluster::{Cluster, State};
use pg_runbook::configuration::history::{History, Step, What};
use pg_runbook::configuration::{Edit, edit};
use pg_runbook::document::{Act, Change, Needs};
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::{Failure, Run, durable_file, service, signals};
use std::path::PathBuf;

const PUT_BACK: Act = Act { plain: "put back", past: "put back" };
const START: Act = Act { plain: "start", past: "started" };

/// Files that were put back.
struct PutBack {
    /// `before step 7`, or when the server started.
    as_before: String,
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
    let nothing = "nothing is kept of what changed since the server had started";
    let mut second_story = format!("{nothing}, so there is no configuration to put back");
    for way in [Way::RestartSteps, Way::AllSteps, Way::Start] {
        match edits(&history, cluster, started, way).and_then(|back| put_back(run, &history, back)) {
            Ok(None) => {}
            Ok(Some(done)) => match start(run, cluster, arguments) {
                Ok(()) => return back(run, cluster, failure, &done),
                Err(second) => second_story = not_that_either(run, &history, &second, &done),
            },
            Err(conflict) => second_story = format!("the configuration before it is not put back: {conflict}"),
        }
    }
    failure.because(second_story)
}

/// How far back, the least first.
#[derive(Clone, Copy)]
enum Way {
    /// From the first step on that waits for a restart. What only concerns `pg_hba.conf` was in force before.
    RestartSteps,
    /// Every step since the server started: what a reload takes can still be what a start refuses.
    AllSteps,
    /// The very files with which it was seen to start, whoever edited them since.
    Start,
}

/// The way back: as before which step, if it is one, and what it takes.
struct Back {
    before: Option<u32>,
    edits: Vec<Edit>,
}

fn edits(history: &History, cluster: &Cluster, started: f64, way: Way) -> Result<Back, Failure> {
    let steps = history.since(started)?;
    let steps = match way {
        Way::RestartSteps => restart_steps(&steps, cluster),
        Way::AllSteps => steps,
        Way::Start => {
            let edits = history.back_to_start(started, &files(cluster)?)?.unwrap_or_default();
            return Ok(Back { before: None, edits });
        }
    };
    Ok(Back { before: steps.first().map(|step| step.number), edits: history.back_before(&steps)? })
}

fn restart_steps(steps: &[Step], cluster: &Cluster) -> Vec<Step> {
    let Some(first) = steps.iter().position(|step| step.what.restart) else { return Vec::new() };
    let concerns_settings = |step: &&Step| step.files.iter().any(|file| file.path != cluster.hba_file);
    steps[first..].iter().filter(concerns_settings).cloned().collect()
}

/// Keeps the files with which a server came up, for the next restart. A server that can't be asked when it started is
/// not remembered.
pub fn remember_start(run: &mut Run, cluster: &mut Cluster, connection: &ConnectionArguments) {
    let Ok(mut server) = running::connect(run, cluster, connection) else { return };
    let kept = running::started(&mut server)
        .and_then(|started| History::of(cluster).remember_start(started, &files(cluster)?))
        .map_err(|failure| failure.while_doing("the configuration that it came up with could not be kept"));
    if let Err(failure) = kept {
        run.warn(failure.to_string());
    }
}

/// The files that the server's start depends on.
fn files(cluster: &Cluster) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let configuration = cluster.configuration()?;
    let mut files: Vec<(PathBuf, Vec<u8>)> =
        configuration.files().map(|(path, file)| (path.to_owned(), file.to_bytes())).collect();
    files.extend(durable_file::read(&cluster.hba_file)?.map(|bytes| (cluster.hba_file.clone(), bytes)));
    Ok(files)
}

fn put_back(run: &mut Run, history: &History, back: Back) -> Result<Option<PutBack>, Failure> {
    let edits = back.edits;
    if edits.is_empty() {
        return Ok(None);
    }
    let as_before = as_before(back.before);
    let told =
        |edit: &Edit| Change::act("file", edit.path.display().to_string(), PUT_BACK).remark(format!("as {as_before}"));
    let changes: Vec<Change> = edits.iter().map(told).collect();
    let what = What {
        tool: run.tool.to_owned(),
        action: run.document.action.clone(),
        changes: changes.iter().map(|change| change.line(false)).collect(),
        restart: true,
        undoes: back.before.or(Some(0)),
    };
    let Some(kept) = history.change(what, &edits)? else { return Ok(None) };
    for change in changes {
        run.change(change);
    }
    Ok(Some(PutBack { as_before, kept, edits }))
}

fn as_before(step: Option<u32>) -> String {
    step.map_or_else(|| "when it started".to_owned(), |step| format!("before step {step}"))
}

fn start(run: &mut Run, cluster: &mut Cluster, arguments: &ServeArguments) -> Result<(), Failure> {
    let started = service::start(cluster, arguments.timeout);
    cluster.refresh();
    run.set_cluster(cluster);
    started?;
    running::see_it_answer(run, cluster, arguments)?;
    remember_start(run, cluster, &arguments.connection);
    run.change(Change::act("service", cluster.title(), START));
    Ok(())
}

fn back(run: &mut Run, cluster: &Cluster, failure: Failure, done: &PutBack) -> Failure {
    run.document.needs = Needs::default();
    let title = cluster.title();
    let mut story = Failure::failed(format!(
        "{title} did not come back with its new configuration; it runs again with the one from {}",
        done.as_before
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

/// What did not help is taken back again: it is not the configuration, or not alone.
fn not_that_either(run: &mut Run, history: &History, second: &Failure, done: &PutBack) -> String {
    let in_place = match take_back(history, done) {
        Ok(()) => {
            for edit in &done.edits {
                let change = Change::act("file", edit.path.display().to_string(), PUT_BACK);
                run.change(change.remark("as the restart found it"));
            }
            "the newest is in place again".to_owned()
        }
        Err(third) => format!("the newest could not be put in place again ({third})"),
    };
    format!("with its configuration from {} it does not start either, so {in_place}: {second}", done.as_before)
}

fn take_back(history: &History, done: &PutBack) -> Result<(), Failure> {
    let again: Vec<Edit> = done.edits.iter().rev().map(Edit::reversed).collect();
    edit::put(&again)?;
    history.forget(done.kept)
}

/// The same after a reload, where the server runs on with what it has in memory. What does not help is not kept.
pub fn after_reload(run: &mut Run, cluster: &Cluster, loaded: f64, failure: Failure, server: &mut Server) -> Failure {
    let history = History::of(cluster);
    let back = edits(&history, cluster, loaded, Way::AllSteps);
    let done = match back.and_then(|back| put_back(run, &history, back)) {
        Ok(Some(done)) => done,
        Ok(None) => return failure,
        Err(conflict) => return failure.because(format!("the files before it are not put back: {conflict}")),
    };
    if let Ok(errors) = service::configuration_errors(server)
        && !errors.is_empty()
    {
        return match take_back(&history, &done) {
            Ok(()) => failure,
            Err(second) => failure.because(second),
        };
    }
    let mut story = Failure::failed(format!(
        "{} could not load its configuration; the files are as {} again",
        cluster.title(),
        done.as_before
    ));
    story.causes = failure.causes;
    if let Err(second) = service::reload(cluster, Some(server)) {
        return story.because(second);
    }
    run.document.needs = Needs::default();
    story.because(where_it_is(cluster, &done)).hint(format!("pg-conf undo {} --list", cluster.option()))
}
