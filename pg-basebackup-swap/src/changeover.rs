//! The changeover: stop, one exchange, start; and the way back. `swap` and `rollback` do it, and whoever comes after one
//! that was cut off ends it.
//!
//! What must always hold: it is written down before its first step, and no longer after its last; between the stop and
//! the start nothing can be interrupted and nothing is copied. Whatever goes wrong, the old directory is back in its
//! place and serves again, or the next run finds it written down that it has to.

use crate::marker::Marker;
use crate::notes::{Installed, Kept, Note};
use crate::outside::{self, Side};
use crate::places::{Places, in_parent};
use crate::streaming::{self, Goal, Position};
use crate::{entries, exchange};
use pg_runbook::cluster::{State, postmaster};
use pg_runbook::document::{Act, Change};
use pg_runbook::journal::{self, Journal};
use pg_runbook::standby::Replication;
use pg_runbook::{Cluster, Failure, GivenUp, Level, Run, durable_file, service, signals};
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
    /// The timeline that it is to stream, at least.
    pub timeline: u32,
    /// Where the server stands that runs now.
    pub position: Option<Position>,
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
    // Where the old data was given up, nobody has been served since then.
    let since = GivenUp::of(&places.data)?.and_then(|given_up| humantime::parse_rfc3339(&given_up.at).ok());
    let before = since.and_then(|since| since.elapsed().ok()).unwrap_or_default();
    let begun = Instant::now();
    let done = match forth(run, cluster, places, &journal) {
        Ok(replication) => Done { replication, outage: before + begun.elapsed() },
        Err(failure) => return Err(take_back(run, cluster, places, journal, failure)),
    };
    let served_again = done.replication.as_ref().map(|_| done.outage);
    close(places, &journal, served_again)?;
    drop(shield);
    run.set_cluster(cluster);
    Ok(done)
}

fn written(cluster: &Cluster, places: &Places, plan: &Plan<'_>) -> Result<Journal, Failure> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let command_line = service::command_line(cluster)?;
    let process = postmaster::look(&places.data).process();
    let server = process.map(|process| journal::Server { pid: process.pid, started: process.started, command_line });
    let given_up = GivenUp::of(&places.data)?.and_then(|given_up| given_up.server);
    Ok(Journal {
        verb: plan.verb.into(),
        begun_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        old: journal::identity(&places.data).unwrap_or_default(),
        old_goes_to: name(&plan.goes_to),
        new: journal::identity(&plan.comes_from).unwrap_or_default(),
        new_comes_from: name(&plan.comes_from),
        outside: outside::between(&places.data, &plan.comes_from)?,
        back: false,
        server: server.or(given_up),
        system_identifier: plan.system.into(),
        timeline: plan.timeline,
        stood_at: plan
            .position
            .map(|position| journal::StoodAt { timeline: position.timeline, replayed: position.replayed.to_string() }),
        timeout_seconds: plan.timeout.as_secs_f64(),
        keep_for_seconds: plan.keep_for.map(|time| time.as_secs()),
    })
}

/// What the server has to reach on the directory that came in.
fn goal(journal: &Journal) -> Goal {
    let past = journal
        .stood_at
        .as_ref()
        .and_then(|stood| Some(Position { timeline: stood.timeline, replayed: stood.replayed.parse().ok()? }));
    Goal { timeline: journal.timeline, past, ..Goal::system(&journal.system_identifier) }
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
    outside::give(places, journal, Side::New)?;
    in_parent(places, || exchange::directories(places, &goes_to))?;
    serve(run, cluster, journal)
}

/// Has the server run on what is in place now, where one ran before.
fn serve(run: &mut Run, cluster: &mut Cluster, journal: &Journal) -> Result<Option<Replication>, Failure> {
    cluster.refresh();
    let Some(server) = &journal.server else { return Ok(None) };
    let start = if journal.verb == "rollback" { streaming::start_as_it_was } else { streaming::start };
    start(run, cluster, &server.command_line, &goal(journal), timeout(journal)).map(Some)
}

/// The notes that tell what each directory is; then nothing is under way any more.
fn close(places: &Places, journal: &Journal, outage: Option<Duration>) -> Result<(), Failure> {
    let (by, at) = (journal.verb.clone(), journal.begun_at.clone());
    let kept = Kept { by: by.clone(), at: at.clone(), keep_for_seconds: journal.keep_for_seconds };
    // An old directory that comes back has its own note yet.
    let told = Marker::of(&places.data)?.map(|marker| marker.tablespaces);
    let own = Installed::of(&places.data)?.map(|installed| installed.tablespaces);
    let tablespaces = told.or(own).unwrap_or_default();
    let outage_seconds = outage.map(|outage| (outage.as_secs_f64() * 1000.0).round() / 1000.0);
    let installed = Installed { by, at, kept: journal.old_goes_to.clone(), outage_seconds, tablespaces };
    let noted = outside::make_startable(&places.sibling(&journal.old_goes_to))
        .and_then(|()| installed.put(&places.data))
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

/// Where the old data was given up, the new directory stays, whatever its server does.
fn nowhere_to_go(
    run: &mut Run,
    cluster: &mut Cluster,
    places: &Places,
    journal: &Journal,
    failure: Failure,
) -> Failure {
    cluster.refresh();
    run.set_cluster(cluster);
    let does = if cluster.state == State::Running { "runs" } else { "is down" };
    let told = failure
        .while_doing(format!("{} {does} on its new copy; its old data was given up", cluster.title()))
        .hint(format!("pg-cluster status {}", cluster.option()));
    close(places, journal, None)
        .err()
        .into_iter()
        .fold(told, |told, second| told.because(format!("and then: {second}")))
}

/// Back to the old directory; both stories are told.
fn take_back(run: &mut Run, cluster: &mut Cluster, places: &Places, mut journal: Journal, failure: Failure) -> Failure {
    let was_in_place = journal::identity(&places.data) == Some(journal.new);
    if was_in_place && matches!(GivenUp::of(&places.sibling(&journal.old_goes_to)), Ok(Some(_))) {
        return nowhere_to_go(run, cluster, places, &journal, failure);
    }
    journal.back = true;
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
    if journal::identity(&places.data) == Some(journal.new) {
        streaming::stop(run, cluster, timeout(journal))?;
        in_parent(places, || exchange::directories(places, &after))?;
    }
    outside::give(places, journal, Side::Old)?;
    outside::make_startable(&places.data)?;
    cluster.refresh();
    if journal::identity(&after) == Some(journal.new) {
        if !after.join("backup_label").exists() {
            Marker::remember_that_a_server_ran(&after)?;
        }
        in_parent(places, || durable_file::rename(&after, &before))?;
    }
    if GivenUp::of(&places.data)?.is_some() {
        return Journal::remove(&places.data);
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

/// Where no file system could exchange, one of the two may lie aside, between two renames.
pub fn settle(places: &Places, journal: &Journal) -> Result<(), Failure> {
    let aside = pg_runbook::cluster::plain::aside(&places.data);
    let after = places.sibling(&journal.old_goes_to);
    if places.is_mount_point() {
        return entries::settle(&places.data, &after);
    }
    let Some(found) = journal::identity(&aside).filter(|found| [journal.old, journal.new].contains(found)) else {
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
    let in_place = journal::identity(&places.data) == Some(journal.new);
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
        Ok(_) => close(places, &journal, None).map(|()| journal.verb),
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
        .map_err(|failure| failure.while_doing(format!("end what was begun: {}", journal.describe())))?;
    // Before anything else has the primary remove what it may need next.
    if journal.server.is_some() && cluster.state == State::Running {
        let goal = Goal::system(&journal.system_identifier);
        if let Err(missing) = streaming::wait(run, cluster, &goal, streaming::RECONNECTS_WITHIN)? {
            run.warn(format!("{} runs on its old directory, but {missing}", cluster.title()));
        }
    }
    Ok(())
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
