//! Before the old server is stopped, the copy replays what was written since it began, on a private server of its own;
//! the old one writes out what it would otherwise write while it stops. What is left for the time without answers is
//! what a restart takes.
//!
//! What must always hold: the old server serves all the while. A copy that doesn't come up here, or doesn't stream,
//! would not in the old one's place either: it is never installed, and nobody was without answers for finding out.

use crate::args::SwapArguments;
use crate::inspect;
use crate::marker::Marker;
use crate::outside;
use crate::private_server::{self, PrivateServer};
use crate::standby_settings;
use pg_runbook::cluster::State;
use pg_runbook::document::LOCATION;
use pg_runbook::lsn::Lsn;
use pg_runbook::replication::Walsender;
use pg_runbook::server::{ConnectionArguments, Defaults, Server, Target};
use pg_runbook::standby::{self, Replication};
use pg_runbook::{Cluster, Code, Failure, Run, signals};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// So little takes no time to replay.
const CLOSE: u64 = 1 << 20;

/// On a busy primary it may never come closer than that: after so long without coming closer, it is close enough.
const CLOSES_UP_WITHIN: Duration = Duration::from_secs(5);

/// How often the copy is looked at, and the primary asked.
/// A server that gave a statement up says so at once.
const SAYS_WITHIN: Duration = Duration::from_secs(10);

const LOOKS_EVERY: Duration = Duration::from_millis(20);
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// How a copy caught up, as the document has it under `catch_up`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct CatchUp {
    /// How long it took, while the old server served, in seconds; null where it was left out.
    seconds: Option<f64>,
    /// How far the copy has replayed, as a location in the write-ahead log.
    #[schemars(regex(pattern = LOCATION))]
    replayed: Option<String>,
    /// How many bytes the primary was ahead of that then.
    behind_bytes: Option<u64>,
    /// Why the copy was not caught up; null where it was.
    left_out: Option<String>,
}

/// Catches the copy up, where there is a server whose time without answers that makes shorter.
pub fn catch_up(
    run: &mut Run,
    cluster: &mut Cluster,
    data: &Path,
    copy: &Path,
    arguments: &SwapArguments,
) -> Result<(), Failure> {
    let report = match reason_to_leave_it_out(cluster, copy, arguments)? {
        Some(reason) => {
            write_out(run, cluster, arguments.timeout);
            CatchUp { left_out: Some(reason), ..CatchUp::default() }
        }
        None => on_private_server(run, cluster, data, copy, arguments.timeout)
            .map_err(|failure| untouched(cluster, failure))?,
    };
    private_server::tidy(cluster, data, copy)?;
    run.fact("catch_up", &report);
    Ok(())
}

/// Why nothing is caught up; known beforehand.
pub fn reason_to_leave_it_out(
    cluster: &Cluster,
    copy: &Path,
    arguments: &SwapArguments,
) -> Result<Option<String>, Failure> {
    if cluster.state != State::Running {
        return Ok(Some("no server runs whose clients would wait".into()));
    }
    if arguments.no_catch_up {
        return Ok(Some("--no-catch-up".into()));
    }
    let configuration = cluster.configuration()?;
    let delay = configuration.in_force("recovery_min_apply_delay").map(|found| found.value.clone());
    if let Some(delay) = delay.filter(|delay| !delay.starts_with('0')) {
        return Ok(Some(format!("recovery_min_apply_delay = {delay}: it is meant to lag")));
    }
    Ok(private_server::hindrance(cluster, copy))
}

fn untouched(cluster: &Cluster, failure: Failure) -> Failure {
    let told =
        failure.while_doing(format!("the copy does not catch up; {} is untouched and serves on", cluster.title()));
    let hint = format!(
        "once the cause is mended: pg-basebackup-swap swap {0}; without catching up first: pg-basebackup-swap swap {0} \
         --no-catch-up",
        cluster.option()
    );
    if told.hint.is_some() { told } else { told.hint(hint) }
}

fn on_private_server(
    run: &mut Run,
    cluster: &Cluster,
    data: &Path,
    copy: &Path,
    limit: Duration,
) -> Result<CatchUp, Failure> {
    let begun = Instant::now();
    let own = inspect::own_slot(cluster)?;
    let takes_slot = own.is_none() || own != standby_settings::slot_of(copy, cluster.major)?;
    Marker::remember_that_a_server_ran(copy)?;
    run.say(&format!("catching the copy up while {} serves", cluster.title()));
    let mut primary = Primary::of(cluster, copy)?;
    let mut private = PrivateServer::start(cluster, copy, takes_slot)?;
    let (replication, behind) = match follow(run, cluster, &mut private, &mut primary, limit) {
        Ok(Followed::Close(replication, behind)) => (replication, behind),
        Ok(Followed::Untold(why)) => {
            private.stop(limit)?;
            return Ok(CatchUp { left_out: Some(why), ..CatchUp::default() });
        }
        Err(failure) => {
            let said = private.said();
            drop(private);
            private_server::tidy(cluster, data, copy)?;
            if failure.code == Code::Refused {
                return Err(failure);
            }
            return Err(primary.explain(failure).because(format!("its server says\n{said}")));
        }
    };
    private.stop(limit)?;
    Ok(CatchUp {
        seconds: Some((begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0),
        behind_bytes: Some(behind),
        replayed: replication.replayed,
        left_out: None,
    })
}

/// The primary that the copy follows, asked how far it is.
struct Primary {
    walsender: Walsender,
    told: Option<(Instant, Result<Lsn, Failure>)>,
}

impl Primary {
    /// By the very words that the copy's walreceiver goes by.
    fn of(cluster: &Cluster, copy: &Path) -> Result<Self, Failure> {
        let owner = cluster.owner()?;
        let defaults = Defaults { home: Some(owner.home), user: Some(owner.name), ..Defaults::default() };
        let way = ConnectionArguments {
            conninfo: standby_settings::conninfo_of(copy, cluster.major)?,
            ..ConnectionArguments::default()
        };
        let target = Target { dbname: "replication".into(), ..way.resolve_in(&defaults, &|_| None)? };
        Ok(Self { walsender: Walsender::new(target)?, told: None })
    }

    /// Where it was at most [`ASKED_EVERY`] ago, or why it doesn't say.
    fn location(&mut self) -> Result<Lsn, Failure> {
        if let Some((at, told)) = &self.told
            && at.elapsed() < ASKED_EVERY
        {
            return told.clone();
        }
        let told = self.walsender.identify().and_then(|found| {
            found.location.parse().map_err(|why: String| Failure::failed("ask the primary how far it is").because(why))
        });
        self.told = Some((Instant::now(), told.clone()));
        told
    }

    /// What libpq itself says tells more than that nothing streams.
    fn explain(&mut self, failure: Failure) -> Failure {
        self.told = None;
        let Err(why) = self.location() else { return failure };
        let code = if why.code == Code::GaveUp { why.code } else { failure.code };
        Failure { code, hint: why.hint.clone(), ..failure.because(why.to_string()) }
    }

    /// How far it is ahead of what was replayed; `None` where nothing streams.
    fn ahead(&mut self, replication: &Replication) -> Option<u64> {
        let lsn = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Lsn>().ok());
        if replication.status.as_deref() != Some("streaming") {
            return None;
        }
        let replayed = lsn(&replication.replayed)?;
        let goal = match self.location() {
            Ok(location) => location,
            // A walreceiver takes a minute to notice that nobody is there any more, and all that it has is little.
            Err(why) if why.code == Code::GaveUp => return None,
            Err(_) => lsn(&replication.received)?,
        };
        Some(goal.since(replayed))
    }
}

/// How following the primary ended.
enum Followed {
    /// With all that there was, and so much behind.
    Close(Replication, u64),
    /// It takes no session, so nobody knows; for this reason.
    Untold(String),
}

/// Waits until it has replayed all that there is, and until both servers have written out what they changed.
fn follow(
    run: &mut Run,
    cluster: &Cluster,
    private: &mut PrivateServer,
    primary: &mut Primary,
    limit: Duration,
) -> Result<Followed, Failure> {
    match until_close(run, private, primary, limit) {
        Ok(_) => {}
        // Whether it streams is seen once it is in place, as with any server that can't be asked.
        Err(Trouble::NoSession(failure)) => return Ok(Followed::Untold(format!("it can't be asked: {failure}"))),
        Err(Trouble::Other(failure)) => return Err(failure),
    }
    write_out(run, cluster, limit);
    // Which took its time; and the nearer its own restartpoint is to the end, the less the next start replays.
    let (mut server, replication, behind) = until_close(run, private, primary, limit).map_err(Trouble::into_failure)?;
    write_a_restartpoint(&mut server, limit)?;
    Ok(Followed::Close(standby::replication(&mut server).unwrap_or(replication), behind))
}

enum Trouble {
    NoSession(Failure),
    Other(Failure),
}

impl Trouble {
    fn into_failure(self) -> Failure {
        match self {
            Self::NoSession(failure) | Self::Other(failure) => failure,
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

fn until_close(
    run: &mut Run,
    private: &mut PrivateServer,
    primary: &mut Primary,
    limit: Duration,
) -> Result<(Server, Replication, u64), Trouble> {
    let mut session: Option<Server> = None;
    let mut moved = Moved::new();
    let tablespaces = outside::tablespaces(&private.cluster.data_directory);
    loop {
        private.still_runs()?;
        private.refuse_a_new_tablespace(&tablespaces)?;
        let looked = look(run, private, &mut session);
        let ahead = looked.as_ref().ok().and_then(|replication| primary.ahead(replication));
        let sign = match &looked {
            Ok(replication) => replication.replayed.clone(),
            Err(_) => private.replay(),
        };
        moved.see(sign, ahead);
        match (looked, session.take()) {
            (Ok(replication), Some(server)) if moved.is_close_enough() => {
                return Ok((server, replication, ahead.unwrap_or_default()));
            }
            // A login that is refused is refused the next time too.
            (Err(failure), _) if failure.code != Code::GaveUp => return Err(Trouble::NoSession(failure)),
            (Err(failure), _) if moved.at.elapsed() >= limit => return Err(failure.into()),
            (Ok(replication), _) if moved.at.elapsed() >= limit => {
                return Err(Failure::failed(format!(
                    "it does not stream: it has stood at {} for {} s",
                    replication.replayed.unwrap_or_else(|| "the beginning".into()),
                    limit.as_secs()
                ))
                .into());
            }
            (_, server) => session = server,
        }
        signals::safe_point("while the copy catches up")?;
        std::thread::sleep(LOOKS_EVERY);
    }
}

/// Over one session, as long as it holds.
fn look(run: &mut Run, private: &PrivateServer, session: &mut Option<Server>) -> Result<Replication, Failure> {
    let mut server = session.take().map_or_else(|| private.connect(run), Ok)?;
    let replication = standby::replication(&mut server)?;
    *session = Some(server);
    Ok(replication)
}

/// Whether it moves, and whether it still comes closer.
struct Moved {
    sign: Option<String>,
    at: Instant,
    is_known: bool,
    closest: Option<u64>,
    closer_at: Instant,
}

impl Moved {
    fn new() -> Self {
        Self { sign: None, at: Instant::now(), is_known: false, closest: None, closer_at: Instant::now() }
    }

    fn see(&mut self, sign: Option<String>, behind: Option<u64>) {
        if behind.is_some() || sign != self.sign {
            self.at = Instant::now();
        }
        self.sign = sign;
        self.is_known = behind.is_some();
        if let Some(behind) = behind
            && self.closest.is_none_or(|closest| behind < closest)
        {
            self.closest = Some(behind);
            self.closer_at = Instant::now();
        }
    }

    fn is_close_enough(&self) -> bool {
        let has_come = |closest| closest <= CLOSE || self.closer_at.elapsed() >= CLOSES_UP_WITHIN;
        self.is_known && self.closest.is_some_and(has_come)
    }
}

/// On a standby, a checkpoint writes out all that it has changed, so that the next stop and start find little to do.
fn write_a_restartpoint(server: &mut Server, limit: Duration) -> Result<(), Failure> {
    server.batch(&format!("SET statement_timeout = {}", limit.as_millis()))?;
    // What it is told by then comes by itself.
    server.may_take(Some(limit + SAYS_WITHIN));
    server.batch("CHECKPOINT")
}

/// The old server's turn: what it can't write out now it writes out while it stops, and that is all.
fn write_out(run: &mut Run, cluster: &Cluster, limit: Duration) {
    if cluster.state != State::Running {
        return;
    }
    let asked = run
        .connect(cluster, &ConnectionArguments::default())
        .and_then(|mut server| write_a_restartpoint(&mut server, limit));
    if let Err(failure) = asked {
        run.say(&format!("{} was not asked to write out what it has changed: {failure}", cluster.title()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_while_its_processes_tell_of_another_segment() {
        let mut moved = Moved::new();
        let startup = |number: u32| Some(format!("startup recovering {number}"));
        moved.see(startup(1), None);
        let first = moved.at;
        moved.see(startup(1), None);
        assert_eq!(moved.at, first);
        moved.see(startup(2), None);
        assert!(moved.at > first && !moved.is_close_enough());
        moved.see(None, Some(CLOSE));
        assert!(moved.is_close_enough());
    }

    #[test]
    fn it_is_not_close_once_nobody_says_any_more_how_far_the_primary_is() {
        let mut moved = Moved::new();
        moved.see(Some("0/3000000".into()), Some(CLOSE));
        let at = moved.at;
        moved.see(Some("0/3000000".into()), None);
        assert!(!moved.is_close_enough());
        assert_eq!(moved.at, at);
    }
}
