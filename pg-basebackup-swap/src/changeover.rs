//! The changeover: stop, one exchange, start; and the way back. `swap` and `rollback` do it, and whoever comes after one
//! that was cut off ends it.
//!
//! What must always hold: it is written down before its first step, and no longer after its last; between the stop and
//! the start nothing can be interrupted and nothing is copied. Whatever goes wrong, the old directory is back in its
//! place and serves again, or the next run finds it written down that it has to.

use crate::exchange::exchange;
use crate::marker::Marker;
use crate::notes::{Installed, Kept, Note};
use crate::places::{Places, in_parent};
use crate::streaming;
use pg_runbook::cluster::{State, postmaster};
use pg_runbook::document::{Act, Change};
use pg_runbook::journal::{self, Journal};
use pg_runbook::standby::Replication;
use pg_runbook::{Cluster, Failure, Level, Run, durable_file, service, signals};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const FINISH: Act = Act { plain: "finish the exchange of", past: "finished the exchange of" };
const TAKE_BACK: Act = Act { plain: "take back the exchange of", past: "took back the exchange of" };

/// What is to come in, and what becomes of the directory that goes out.
pub struct Plan<'a> {
    /// `swap` or `rollback`.
    pub verb: &'static str,
    /// The directory that comes in.
    pub comes_from: PathBuf,
    /// Where the other one goes.
    pub goes_to: PathBuf,
    /// The system that the one that comes in is to stream from.
    pub system: &'a str,
    /// How long a stop, a start and the first streaming may each take.
    pub timeout: Duration,
    /// How long the one that goes out is to be kept, where that was said.
    pub keep_for: Option<Duration>,
}

/// How a changeover went.
pub struct Done {
    /// How it streams; `None` where the server was down, and is.
    pub replication: Option<Replication>,
    /// From the stop until it streamed.
    pub outage: Duration,
}

impl Done {
    /// Says what the cluster does now, and how long it served nobody; or, where no server ran, what it is.
    pub fn tell(&self, run: &mut Run, cluster: &Cluster, does: &str, is: &str) {
        let title = cluster.title();
        if let Some(replication) = &self.replication {
            run.fact("replication", replication);
            let seconds = self.outage.as_secs_f64();
            run.message(format!("{title} {does}; from the stop until then it took {seconds:.2} s"));
        } else {
            run.need(Level::Start, &title);
            run.message(format!("{title} {is}, and down"));
        }
    }
}

/// Carries a plan out.
pub fn carry_out(run: &mut Run, cluster: &mut Cluster, places: &Places, plan: &Plan<'_>) -> Result<Done, Failure> {
    run.lock_folder(&plan.comes_from)?;
    let journal = written(cluster, places, plan)?;
    let shield = signals::Shield::raise();
    journal.write(&places.data)?;
    let begun = Instant::now();
    let done = match forth(run, cluster, places, &journal) {
        Ok(replication) => Done { replication, outage: begun.elapsed() },
        Err(failure) => return Err(take_back(run, cluster, places, journal, failure)),
    };
    close(places, &journal)?;
    drop(shield);
    run.set_cluster(cluster);
    Ok(done)
}

fn written(cluster: &Cluster, places: &Places, plan: &Plan<'_>) -> Result<Journal, Failure> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let command_line = service::command_line(cluster)?;
    let process = postmaster::look(&places.data).process();
    Ok(Journal {
        verb: plan.verb.into(),
        begun_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        old: journal::inode(&places.data).unwrap_or_default(),
        old_goes_to: name(&plan.goes_to),
        new: journal::inode(&plan.comes_from).unwrap_or_default(),
        new_comes_from: name(&plan.comes_from),
        back: false,
        server: process.map(|process| journal::Server { pid: process.pid, started: process.started, command_line }),
        system_identifier: plan.system.into(),
        timeout_seconds: plan.timeout.as_secs_f64(),
        keep_for_seconds: plan.keep_for.map(|time| time.as_secs()),
    })
}

fn timeout(journal: &Journal) -> Duration {
    Duration::try_from_secs_f64(journal.timeout_seconds).unwrap_or(Duration::from_secs(60))
}

fn forth(
    run: &mut Run,
    cluster: &mut Cluster,
    places: &Places,
    journal: &Journal,
) -> Result<Option<Replication>, Failure> {
    let comes_from = places.sibling(&journal.new_comes_from);
    let goes_to = places.sibling(&journal.old_goes_to);
    // The name first: after the exchange, everything is where it stays.
    in_parent(places, || durable_file::rename(&comes_from, &goes_to))?;
    streaming::stop(run, cluster, timeout(journal))?;
    in_parent(places, || exchange(&places.data, &goes_to))?;
    serve(run, cluster, journal)
}

/// Has the server run on what is in place now, where one ran before.
fn serve(run: &mut Run, cluster: &mut Cluster, journal: &Journal) -> Result<Option<Replication>, Failure> {
    cluster.refresh();
    let Some(server) = &journal.server else { return Ok(None) };
    let start = if journal.verb == "rollback" { streaming::start_as_it_was } else { streaming::start };
    start(run, cluster, &server.command_line, &journal.system_identifier, timeout(journal)).map(Some)
}

/// The notes that tell what each directory is; then nothing is under way any more.
fn close(places: &Places, journal: &Journal) -> Result<(), Failure> {
    let (by, at) = (journal.verb.clone(), journal.begun_at.clone());
    let kept = Kept { by: by.clone(), at: at.clone(), keep_for_seconds: journal.keep_for_seconds };
    let noted = Installed { by, at, kept: journal.old_goes_to.clone() }
        .put(&places.data)
        .and_then(|()| Marker::take_out(&places.data))
        .and_then(|()| Kept::take_out(&places.data))
        .and_then(|()| kept.put(&places.sibling(&journal.old_goes_to)))
        .and_then(|()| Journal::remove(&places.data));
    noted.map_err(|failure| {
        failure
            .while_doing(format!("{} is on its new directory, but that could not be noted", places.data.display()))
            .hint("run the same command again, once the cause is mended")
    })
}

/// Back to the old directory; both stories are told.
fn take_back(run: &mut Run, cluster: &mut Cluster, places: &Places, mut journal: Journal, failure: Failure) -> Failure {
    journal.back = true;
    let was_in_place = journal::inode(&places.data) == Some(journal.new);
    // Where that can't be written down, the way back is gone all the same.
    let noted = journal.write(&places.data);
    let result = back(run, cluster, places, &journal);
    run.set_cluster(cluster);
    let serves = if journal.server.is_some() { ", which serves again" } else { "" };
    let told = match (&result, was_in_place, journal.verb.as_str()) {
        (Ok(()), true, "rollback") => failure.while_doing(format!(
            "{} is back on the directory that it had before the rollback{serves}",
            cluster.title()
        )),
        (Ok(()), true, _) => failure
            .while_doing(format!("{} went back to its old directory{serves}", cluster.title()))
            .hint(format!("the copy is kept; once the cause is mended: pg-basebackup-swap swap {}", cluster.option())),
        (Ok(()), false, _) => still_stopping(cluster, &journal, failure),
        (Err(_), _, _) => failure
            .while_doing(format!("{} could not go back to its old directory by itself", cluster.title()))
            .hint(format!("both directories are whole: pg-basebackup-swap status {}", cluster.option())),
    };
    let second = result.and(noted).err();
    second.into_iter().fold(told, |told, second| told.because(format!("and then: {second}")))
}

/// Nothing was exchanged; but a server that was told to stop can't be told otherwise.
fn still_stopping(cluster: &Cluster, journal: &Journal, failure: Failure) -> Failure {
    let mut told = failure.while_doing(format!("{} was not exchanged", cluster.title()));
    if journal.server.is_some() && cluster.state != State::Running {
        let option = cluster.option();
        told = told.because("it was told to stop, and will; then it has to be started");
        told.hint = Some(format!("pg-cluster stop {option} --timeout 600 && pg-cluster start {option}"));
    }
    told
}

/// Puts both directories where they were, and has the server run again.
fn back(run: &mut Run, cluster: &mut Cluster, places: &Places, journal: &Journal) -> Result<(), Failure> {
    settle(places, journal)?;
    cluster.refresh();
    let (before, after) = (places.sibling(&journal.new_comes_from), places.sibling(&journal.old_goes_to));
    if journal::inode(&places.data) == Some(journal.new) {
        streaming::stop(run, cluster, timeout(journal))?;
        in_parent(places, || exchange(&places.data, &after))?;
        cluster.refresh();
    }
    if journal::inode(&after) == Some(journal.new) {
        remember_that_it_ran(&after)?;
        in_parent(places, || durable_file::rename(&after, &before))?;
    }
    if let Some(server) = &journal.server
        && !cluster.has_process()
    {
        service::start_again(cluster, &server.command_line, timeout(journal))?;
        run.say(&format!("started {}", cluster.title()));
    }
    if journal.server.is_some() && cluster.state != State::Running {
        // It stops yet. The next run has to see that it runs again, so what was begun stays written down.
        return Ok(());
    }
    Journal::remove(&places.data)
}

/// A copy that a server ran on is past its `backup_label`, which a copy otherwise has to have.
fn remember_that_it_ran(copy: &Path) -> Result<(), Failure> {
    match Marker::of(copy)? {
        Some(marker) if !copy.join("backup_label").exists() => Marker { started: true, ..marker }.put(copy),
        _ => Ok(()),
    }
}

/// Where no file system could exchange, one of the two may lie aside, between two renames.
pub fn settle(places: &Places, journal: &Journal) -> Result<(), Failure> {
    let aside = pg_runbook::cluster::plain::aside(&places.data);
    let after = places.sibling(&journal.old_goes_to);
    let Some(found) = journal::inode(&aside).filter(|found| [journal.old, journal.new].contains(found)) else {
        return Ok(());
    };
    in_parent(places, || {
        if !places.data.exists() && found == journal.old {
            return durable_file::rename(&aside, &places.data);
        }
        if !places.data.exists() {
            durable_file::rename(&after, &places.data)?;
        }
        durable_file::rename(&aside, &after)
    })
}

/// What the next run does with a changeover that was cut off: the one that had put the new directory in place is
/// finished, any other is taken back. Returns the verb that was finished.
pub fn end_what_was_cut_off(run: &mut Run, cluster: &mut Cluster, places: &Places) -> Result<Option<String>, Failure> {
    let Some(journal) = Journal::of(&places.data)? else { return Ok(None) };
    refuse_what_is_not_there(places, &journal)?;
    let shield = signals::Shield::raise();
    for wanted in [journal.old, journal.new] {
        if let Some(folder) = journal.find(&places.data, wanted) {
            run.lock_folder(&folder)?;
        }
    }
    settle(places, &journal)?;
    cluster.refresh();
    let in_place = journal::inode(&places.data) == Some(journal.new);
    let (act, result) = if in_place && !journal.back {
        run.say(&format!("{}; its new directory was in place, and it is finished", journal.describe()));
        (FINISH, finish(run, cluster, places, journal).map(Some))
    } else {
        run.say(&format!("{}; it is taken back", journal.describe()));
        (TAKE_BACK, undo(run, cluster, places, &journal).map(|()| None))
    };
    drop(shield);
    run.set_cluster(cluster);
    if result.is_ok() {
        run.change(Change::act("data_directory", cluster.title(), act).at(&places.data, None));
    }
    result
}

fn finish(run: &mut Run, cluster: &mut Cluster, places: &Places, journal: Journal) -> Result<String, Failure> {
    match serve(run, cluster, &journal) {
        Ok(_) => close(places, &journal).map(|()| journal.verb),
        Err(failure) => Err(take_back(run, cluster, places, journal, failure)),
    }
}

fn undo(run: &mut Run, cluster: &mut Cluster, places: &Places, journal: &Journal) -> Result<(), Failure> {
    // The very process that was there then may have been told to stop: nobody can see whether it was, so it stops.
    let process = postmaster::look(&places.data).process();
    let same = |server: &journal::Server| {
        process.as_ref().is_some_and(|process| (process.pid, process.started) == (server.pid, server.started))
    };
    if journal.server.as_ref().is_some_and(same) {
        streaming::stop(run, cluster, timeout(journal))?;
    }
    back(run, cluster, places, journal)
        .map_err(|failure| failure.while_doing(format!("end what was begun: {}", journal.describe())))
}

/// A journal of directories that somebody else has moved or replaced since tells nothing.
fn refuse_what_is_not_there(places: &Places, journal: &Journal) -> Result<(), Failure> {
    let missing = [journal.old, journal.new].into_iter().any(|wanted| journal.find(&places.data, wanted).is_none());
    if !missing {
        return Ok(());
    }
    let path = journal::path(&places.data);
    let word = pg_runbook::invocation::shell_word(path.as_os_str());
    Err(Failure::refused(journal.describe())
        .because("its two directories are not beside each other any more: somebody moved or replaced one of them")
        .hint(format!("look at what lies in {}; if all is well there: rm {word}", places.parent().display())))
}
