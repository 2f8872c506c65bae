//! Waiting for a state that was observed, and saying what is missing when the time is over.

use crate::args::{Awaited, WaitArguments};
use crate::running;
use pg_runbook::cluster::{Cluster, State};
use pg_runbook::server::Server;
use pg_runbook::service::{self, Log};
use pg_runbook::standby::{self, Replication};
use pg_runbook::{Failure, Run, signals};
use std::time::{Duration, Instant};

/// One look: there, not yet (with what is missing), or never.
enum Look {
    There(String),
    NotYet(String),
    Never(Failure),
}

/// Whoever waits longer than this wants to know for what.
const TELLS_AFTER: Duration = Duration::from_secs(2);

/// `pg-cluster wait`
pub fn wait(run: &mut Run, arguments: &WaitArguments) -> Result<(), Failure> {
    let mut cluster = run.cluster()?;
    if run.check() {
        let what = clap::ValueEnum::to_possible_value(&arguments.state)
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default();
        run.message(format!("would wait until {} is {what}", cluster.title()));
        return Ok(());
    }
    let log = Log::mark(&cluster);
    let begun = Instant::now();
    let deadline = begun + arguments.serve.timeout;
    let mut watch = Watch::default();
    let mut told = false;
    loop {
        let look = watch.look(run, &mut cluster, arguments)?;
        match look {
            Look::There(text) => {
                run.set_cluster(&cluster);
                if let Some(replication) = &watch.last {
                    run.fact("replication", replication);
                }
                run.message(format!("{} {text}", cluster.title()));
                return Ok(());
            }
            Look::Never(failure) => return Err(failure),
            Look::NotYet(missing) if Instant::now() >= deadline => {
                return Err(watch.given_up(&cluster, &log, arguments, &missing));
            }
            Look::NotYet(missing) => {
                if begun.elapsed() >= TELLS_AFTER && !std::mem::replace(&mut told, true) {
                    let limit = arguments.serve.timeout.as_secs_f32();
                    run.say(&format!("waiting up to {limit} s for {}: {missing}", cluster.title()));
                }
            }
        }
        signals::safe_point("while waiting")?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[derive(Default)]
struct Watch {
    server: Option<Server>,
    first: Option<Replication>,
    last: Option<Replication>,
    /// For caught-up: where the primary was when the wait began.
    goal: Option<String>,
}

impl Watch {
    fn given_up(&mut self, cluster: &Cluster, log: &Log, arguments: &WaitArguments, missing: &str) -> Failure {
        let seconds = arguments.serve.timeout.as_secs_f32();
        let failure = Failure::gave_up(format!("{}: {missing} (waited {seconds} s)", cluster.title()));
        let (mut said, mut hint) = (log.since(), None);
        if arguments.state != Awaited::Accepting {
            if said.is_empty() {
                said = standby::last_trouble(cluster).unwrap_or_default();
            }
            let is_alone = self.last.as_ref().is_some_and(|last| last.status.is_none());
            let server = self.server.as_mut().filter(|_| is_alone);
            let is_paused = self.last.as_ref().is_some_and(|last| last.replay_paused);
            let go_on = is_paused.then(|| running::why_paused(cluster).1);
            hint = go_on
                .or_else(|| standby::way_out(&said, &cluster.option()))
                .or_else(|| server.and_then(standby::does_its_primary_answer));
        }
        let failure = failure.hint(hint.unwrap_or_else(|| format!("pg-cluster status {}", cluster.option())));
        if said.is_empty() { failure } else { failure.because(format!("the server's log says\n{said}")) }
    }

    fn look(&mut self, run: &mut Run, cluster: &mut Cluster, arguments: &WaitArguments) -> Result<Look, Failure> {
        cluster.refresh();
        if cluster.state == State::Down {
            return Ok(Look::Never(
                service::running(cluster).err().unwrap_or_else(|| Failure::failed("it does not run")),
            ));
        }
        if self.server.is_none() {
            match running::connect(run, cluster, &arguments.serve.connection) {
                Ok(server) => self.server = Some(server),
                Err(failure) if failure.code == pg_runbook::Code::GaveUp => {
                    return Ok(Look::NotYet(failure.to_string()));
                }
                Err(failure) => return Err(failure),
            }
        }
        match self.ask(run, cluster, arguments) {
            // It is asked again, by another connection.
            Err(failure) if failure.code == pg_runbook::Code::GaveUp => {
                self.server = None;
                Ok(Look::NotYet(failure.to_string()))
            }
            told => told,
        }
    }

    fn ask(&mut self, run: &Run, cluster: &Cluster, arguments: &WaitArguments) -> Result<Look, Failure> {
        let Some(server) = &mut self.server else { return Ok(Look::NotYet("no connection".into())) };
        if arguments.state == Awaited::Accepting {
            return match server.text("SELECT 1::text") {
                Ok(_) => Ok(Look::There("accepts connections".into())),
                Err(failure) => {
                    self.server = None;
                    Ok(Look::NotYet(failure.to_string()))
                }
            };
        }
        if !standby::is_standby(server)? {
            return Ok(Look::Never(
                Failure::failed(format!("{} is a primary: it will never stream", cluster.title()))
                    .hint(format!("pg-cluster status {}", cluster.option())),
            ));
        }
        let now = standby::replication(server)?;
        let look = match arguments.state {
            Awaited::CaughtUp => self.caught_up(&now)?,
            _ => self.streaming(run, cluster, &now),
        };
        self.first.get_or_insert_with(|| now.clone());
        self.last = Some(now);
        Ok(look)
    }

    fn streaming(&self, run: &Run, cluster: &Cluster, now: &Replication) -> Look {
        if let Some(expected) = run.document.primary.as_ref().and_then(|primary| primary.system_identifier.as_ref())
            && *expected != now.system_identifier
        {
            return Look::Never(
                Failure::failed(format!("it holds the data of another system: {}", now.system_identifier))
                    .because(format!("the primary's system identifier is {expected}"))
                    .hint("pg-basebackup-swap run"),
            );
        }
        match now.status.as_deref() {
            Some("streaming") if now.settled => {}
            Some("streaming") => return Look::NotYet("its walreceiver has only just begun".into()),
            Some(other) => return Look::NotYet(format!("its walreceiver is {other}, not streaming")),
            None => return Look::NotYet("it does not stream: no walreceiver runs".into()),
        }
        let wanted = run
            .document
            .primary
            .as_ref()
            .and_then(|primary| primary.timeline)
            .and_then(|timeline| i32::try_from(timeline).ok());
        if let (Some(wanted), Some(timeline)) = (wanted, now.timeline)
            && timeline < wanted
        {
            return Look::NotYet(format!("it streams timeline {timeline}, the primary is on {wanted}"));
        }
        if now.replay_paused {
            return Look::NotYet(format!("it receives, but its replay is paused; {}", running::why_paused(cluster).0));
        }
        let moved = self.first.as_ref().is_some_and(|first| first.replayed != now.replayed);
        if now.replay_lag_bytes == Some(0) || moved {
            return Look::There(format!("streams, replayed to {}", now.replayed.clone().unwrap_or_default()));
        }
        Look::NotYet(format!("it receives, but replay stands still at {}", now.replayed.clone().unwrap_or_default()))
    }

    fn caught_up(&mut self, now: &Replication) -> Result<Look, Failure> {
        let Some(server) = &mut self.server else { return Ok(Look::NotYet("no connection".into())) };
        if now.status.as_deref() != Some("streaming") {
            return Ok(Look::NotYet("it does not stream".into()));
        }
        if self.goal.is_none() {
            self.goal = server
                .query("SELECT latest_end_lsn::text FROM pg_stat_wal_receiver WHERE latest_end_lsn IS NOT NULL", &[])?
                .first()
                .map(|row| row.get(0));
        }
        let Some(goal) = &self.goal else {
            return Ok(Look::NotYet("the primary has not said yet how far it is".into()));
        };
        let query = "SELECT pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn())::bigint";
        let missing: i64 = server.query(query, &[goal])?.first().map_or(0, |row| row.get(0));
        Ok(if missing <= 0 {
            Look::There(format!("has caught up with {goal}"))
        } else {
            Look::NotYet(format!("{missing} bytes behind {goal}"))
        })
    }
}
