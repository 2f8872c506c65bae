//! Whether the cluster's server streams from the system that it should, and has come as far as it must.

use pg_runbook::cluster::State;
use pg_runbook::lsn::Lsn;
use pg_runbook::server::ConnectionArguments;
use pg_runbook::server::Server;
use pg_runbook::service::{self, CommandLine, Log};
use pg_runbook::standby::{self, Replication};
use pg_runbook::{Cluster, Code, Failure, Run, signals};
use std::time::{Duration, Instant};

/// A walreceiver whose primary restarted tries again after `wal_retrieve_retry_interval`, 5 s unless set otherwise.
pub const RECONNECTS_WITHIN: Duration = Duration::from_secs(15);

/// A walreceiver that the primary turns away is gone within moments.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

/// What a standby has to have reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// The system that it streams from.
    pub system_identifier: String,
    /// The timeline that it streams, at least.
    pub timeline: u32,
    /// Where the server stood that it takes the place of.
    pub past: Option<Position>,
}

/// How far a standby has replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// On which timeline.
    pub timeline: u32,
    /// The last location.
    pub replayed: Lsn,
}

impl Goal {
    /// That it streams from this system, wherever it is.
    #[must_use]
    pub fn system(system_identifier: &str) -> Self {
        Self { system_identifier: system_identifier.to_owned(), timeline: 0, past: None }
    }

    /// That it streams what this system writes now: after a promotion, the old primary's standbys don't.
    #[must_use]
    pub fn current(system_identifier: &str, timeline: Option<u32>) -> Self {
        Self { timeline: timeline.unwrap_or_default(), ..Self::system(system_identifier) }
    }

    /// What is missing yet of a standby that says this of itself.
    fn missing(&self, replication: &Replication) -> Option<String> {
        if replication.system_identifier != self.system_identifier {
            return Some(format!("it holds the data of the system {}", replication.system_identifier));
        }
        match replication.status.as_deref() {
            Some("streaming") => {}
            Some(other) => return Some(format!("its walreceiver is {other}, not streaming")),
            None => return Some("no walreceiver runs".into()),
        }
        let timeline = replication.timeline.and_then(|timeline| u32::try_from(timeline).ok());
        if timeline.is_some_and(|timeline| timeline < self.timeline) {
            let timeline = timeline.unwrap_or_default();
            return Some(format!("it streams timeline {timeline}, and the primary wrote {}", self.timeline));
        }
        // On another timeline, the old server may have stood where nobody comes by any more.
        let Some(past) = self.past.filter(|past| Some(past.timeline) == timeline) else {
            return (!replication.settled).then(|| "its walreceiver has only just begun".into());
        };
        let replayed: Option<Lsn> = replication.replayed.as_deref().and_then(|text| text.parse().ok());
        let behind = replayed.is_none_or(|replayed| replayed < past.replayed);
        behind.then(|| {
            let replayed = replication.replayed.as_deref().unwrap_or("nothing");
            format!("it has replayed {replayed}, and the old directory stood at {}", past.replayed)
        })
    }
}

/// Where a standby stands now, where it can be asked.
pub fn position(server: &mut Server) -> Option<Position> {
    // Until it streams, its last restartpoint tells the timeline.
    let query = "SELECT pg_last_wal_replay_lsn()::text, coalesce((SELECT received_tli FROM pg_stat_wal_receiver), \
        (SELECT timeline_id FROM pg_control_checkpoint()))::text";
    let row = server.texts(query).ok()?.into_iter().next()?;
    let mut values = row.into_iter().map(Option::unwrap_or_default);
    Some(Position { replayed: values.next()?.parse().ok()?, timeline: values.next()?.parse().ok()? })
}

/// Looks until the goal is reached or the time is over, and says what it waits for where that takes long; `Err` holds what
/// was missing at the last look.
pub fn wait(
    run: &mut Run,
    cluster: &mut Cluster,
    goal: &Goal,
    limit: Duration,
) -> Result<Result<Replication, String>, Failure> {
    let begun = Instant::now();
    let deadline = begun + limit;
    let mut told = false;
    loop {
        let missing = match look(run, cluster, goal)? {
            Ok(replication) => return Ok(Ok(replication)),
            Err(missing) => missing,
        };
        if Instant::now() >= deadline || cluster.state == State::Down {
            return Ok(Err(missing));
        }
        if begun.elapsed() >= SETTLES_WITHIN && !std::mem::replace(&mut told, true) {
            let (title, limit) = (cluster.title(), limit.as_secs());
            run.say(&format!("waiting up to {limit} s for {title} to stream: {missing}"));
        }
        signals::safe_point("while waiting for the standby to stream")?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn look(run: &mut Run, cluster: &mut Cluster, goal: &Goal) -> Result<Result<Replication, String>, Failure> {
    cluster.refresh();
    if cluster.state == State::Down {
        return Ok(Err("its server does not run".into()));
    }
    let mut server = match run.connect(cluster, &ConnectionArguments::default()) {
        Ok(server) => server,
        Err(failure) => return Ok(without_asking(run, cluster, &goal.system_identifier, &failure)),
    };
    match asked(&mut server, goal) {
        // It let us in, and then said nothing.
        Err(failure) if failure.code == Code::GaveUp => {
            Ok(without_asking(run, cluster, &goal.system_identifier, &failure))
        }
        told => told,
    }
}

fn asked(server: &mut Server, goal: &Goal) -> Result<Result<Replication, String>, Failure> {
    if !standby::is_standby(server)? {
        return Ok(Err("it is a primary".into()));
    }
    let replication = standby::replication(server)?;
    Ok(goal.missing(&replication).map_or(Ok(replication), Err))
}

/// A server that takes no connections (`hot_standby = off`) or not this one (a superuser of another name) may stream all
/// the same: a copy is not rolled back for want of an answer.
fn without_asking(
    run: &mut Run,
    cluster: &Cluster,
    system_identifier: &str,
    failure: &Failure,
) -> Result<Replication, String> {
    let found = cluster.system_identifier.clone().unwrap_or_default();
    if cluster.state != State::Running {
        return Err(failure.to_string());
    }
    if found != system_identifier {
        return Err(format!("it holds the data of the system {found}"));
    }
    let processes = standby::processes(cluster);
    // Without update_process_title it only is there; and at first nobody's title says more.
    if processes.has_walreceiver && processes.streams.is_none() {
        let shows = || standby::processes(cluster).streams.is_some();
        let _ = service::await_condition(SETTLES_WITHIN, "while the walreceiver settles", shows);
    }
    let processes = standby::processes(cluster);
    let streams = processes.streams.unwrap_or(processes.has_walreceiver);
    if streams {
        run.warn(format!(
            "{} can't be asked ({failure}); its walreceiver process shows that it streams",
            cluster.title()
        ));
        return Ok(Replication {
            status: Some("streaming".into()),
            system_identifier: found,
            settled: true,
            ..Replication::default()
        });
    }
    let seen = if processes.has_walreceiver {
        "its walreceiver process does not stream"
    } else {
        "no walreceiver process runs"
    };
    Err(format!("{seen} (and it can't be asked: {failure})"))
}

/// Stops the server if it runs; afterwards none does.
pub fn stop(run: &Run, cluster: &mut Cluster, limit: Duration) -> Result<(), Failure> {
    // Somebody may have started it since it was looked at.
    cluster.refresh();
    if !cluster.has_process() {
        return Ok(());
    }
    service::stop(cluster, service::StopMode::Fast, limit)?;
    if cluster.has_process() {
        return Err(Failure::failed(format!("{} was stopped, and runs again: somebody starts it", cluster.title()))
            .hint(format!("pg-cluster status {}", cluster.option())));
    }
    run.say(&format!("stopped {}", cluster.title()));
    Ok(())
}

/// Starts the server on a directory that it had before. That one may be too old to stream: a standby that runs is what
/// it was, and whether it streams is told.
pub fn start_as_it_was(
    run: &mut Run,
    cluster: &mut Cluster,
    before: &CommandLine,
    goal: &Goal,
    limit: Duration,
) -> Result<Replication, Failure> {
    let log = Log::mark(cluster);
    start_unless_it_runs(cluster, before, limit)?;
    let missing = match wait(run, cluster, goal, limit.min(RECONNECTS_WITHIN))? {
        Ok(replication) => return Ok(replication),
        Err(missing) => missing,
    };
    let runs = cluster.state == State::Running && standby::processes(cluster).in_recovery == Some(true);
    if !runs {
        let failure = Failure::failed(format!("{} started on its old directory, but {missing}", cluster.title()));
        return Err(failure.because(format!("the server's log says\n{}", log.since())));
    }
    run.warn(format!("{} runs as the standby that it was, but {missing}", cluster.title()));
    Ok(Replication { system_identifier: goal.system_identifier.clone(), ..Replication::default() })
}

/// A run that was cut off may have started it already.
fn start_unless_it_runs(cluster: &mut Cluster, before: &CommandLine, limit: Duration) -> Result<(), Failure> {
    if cluster.state == State::Running { Ok(()) } else { service::start_again(cluster, before, limit) }
}

/// Starts the server, and waits until it streams; the failure tells what was missing and what the log says.
pub fn start(
    run: &mut Run,
    cluster: &mut Cluster,
    before: &CommandLine,
    goal: &Goal,
    limit: Duration,
) -> Result<Replication, Failure> {
    let log = Log::mark(cluster);
    start_unless_it_runs(cluster, before, limit)?;
    match wait(run, cluster, goal, limit)? {
        Ok(replication) => Ok(replication),
        Err(missing) => {
            let mut failure = Failure::failed(format!("{} started on the new copy, but {missing}", cluster.title()));
            let server = run.connect(cluster, &ConnectionArguments::default()).ok();
            if let Some(ask) = server.and_then(|mut server| standby::does_its_primary_answer(&mut server)) {
                failure = failure.because(ask);
            }
            let said = log.since();
            Err(if said.is_empty() { failure } else { failure.because(format!("the server's log says\n{said}")) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_of_the_old_primary_does_not_stream_what_the_promoted_one_writes() {
        let follows_the_old = Replication {
            status: Some("streaming".into()),
            sender_host: Some("fd57::a".into()),
            sender_port: Some(5432),
            timeline: Some(1),
            system_identifier: "7".into(),
            settled: true,
            ..Replication::default()
        };
        assert_eq!(Goal::current("7", Some(1)).missing(&follows_the_old), None);
        let missing = Goal::current("7", Some(2)).missing(&follows_the_old);
        assert_eq!(missing.as_deref(), Some("it streams timeline 1, and the primary wrote 2"));
        assert_eq!(follows_the_old.sender().as_deref(), Some("[fd57::a]:5432"));
    }

    #[test]
    fn a_walreceiver_that_has_only_just_begun_may_yet_be_turned_away() {
        let just_begun = Replication {
            status: Some("streaming".into()),
            timeline: Some(1),
            replayed: Some("0/4000000".into()),
            system_identifier: "7".into(),
            ..Replication::default()
        };
        let goal = Goal::system("7");
        assert_eq!(goal.missing(&just_begun).as_deref(), Some("its walreceiver has only just begun"));
        assert_eq!(goal.missing(&Replication { settled: true, ..just_begun.clone() }), None);
        // One that caught up beforehand was not turned away then.
        let past = Position { timeline: 1, replayed: "0/4000000".parse().expect("a location") };
        assert_eq!(Goal { past: Some(past), ..goal }.missing(&just_begun), None);
    }
}
