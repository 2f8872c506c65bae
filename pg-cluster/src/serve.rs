//! Start, stop, promote: each looks first, does the least, and believes what it then sees.

use crate::args::{Mode, ServeArguments, StopArguments};
use crate::fall_back;
use crate::running;
use pg_runbook::cluster::{Cluster, Role, State};
use pg_runbook::document::{Act, Change, Needs};
use pg_runbook::service::{self, CommandLine, Manager, StopMode};
use pg_runbook::{Failure, GivenUp, Journal, Level, Run, standby};

const START: Act = Act { plain: "start", past: "started" };
const STOP: Act = Act { plain: "stop", past: "stopped" };
const PROMOTE: Act = Act { plain: "promote", past: "promoted" };

impl From<Mode> for StopMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Smart => Self::Smart,
            Mode::Fast => Self::Fast,
            Mode::Immediate => Self::Immediate,
        }
    }
}

/// The cluster, locked, its state as it is once nobody else works on it.
pub fn take(run: &mut Run) -> Result<Cluster, Failure> {
    let mut cluster = run.cluster()?;
    if cluster.state == State::Unknown {
        return Err(Failure::failed(format!("look into {}: permission denied", cluster.data_directory.display()))
            .hint(as_its_owner(run, &cluster)));
    }
    run.lock(&cluster)?;
    cluster.refresh();
    run.set_cluster(&cluster);
    Ok(cluster)
}

/// What was typed, by somebody who may.
pub fn as_its_owner(run: &Run, cluster: &Cluster) -> String {
    format!("sudo -u {} pg-cluster {} {}", cluster.owner, run.document.action, cluster.option())
}

/// A server that systemd knows nothing of is down to whoever asks systemd, and isn't stopped in order at a shutdown.
pub fn tell_if_outside(run: &mut Run, cluster: &Cluster) {
    // Who can't ask systemd isn't told.
    if let Ok(Manager::Stray { unit }) = Manager::seen(cluster) {
        run.warn(format!(
            "{} runs outside {unit}, which takes it for down; inside again: sudo pg-cluster restart {}",
            cluster.title(),
            cluster.option()
        ));
    }
}

/// Also where it failed the document tells the server's state as it is then.
pub fn look_again(run: &mut Run, cluster: &mut Cluster, result: Result<(), Failure>) -> Result<(), Failure> {
    cluster.refresh();
    run.set_cluster(cluster);
    result
}

pub fn act(run: &mut Run, cluster: &Cluster, act: Act) {
    run.change(Change::act("service", cluster.title(), act));
    let done = if run.check() {
        format!("would {} {}", act.plain, cluster.title())
    } else {
        format!("{} {}", act.past, cluster.title())
    };
    run.message(done);
}

/// `pg-cluster start`
pub fn start(run: &mut Run, arguments: &ServeArguments) -> Result<(), Failure> {
    let mut cluster = take(run)?;
    if cluster.state == State::Starting && !run.check() {
        run.say(&format!("{} is starting already", cluster.title()));
        let joined = service::start(&mut cluster, arguments.timeout);
        look_again(run, &mut cluster, joined)?;
    }
    if cluster.state == State::Running {
        run.message(format!("{} already runs", cluster.title()));
        tell_if_outside(run, &cluster);
        if run.document.needs.level > Level::None {
            run.warn(format!("{} runs with its old configuration; pg-cluster restart makes it aware", cluster.title()));
        }
        return Ok(());
    }
    start_down(run, &mut cluster, arguments)
}

pub fn start_down(run: &mut Run, cluster: &mut Cluster, arguments: &ServeArguments) -> Result<(), Failure> {
    if let Some(given_up) = GivenUp::of(&cluster.data_directory)? {
        return Err(Failure::refused(format!("{} has no data to start on", cluster.title()))
            .because(given_up.describe())
            .hint(format!("pg-basebackup-swap run {}", cluster.option())));
    }
    let before = as_before_a_changeover(run, cluster)?;
    if !run.check() {
        let started = service::start_again(cluster, &before, arguments.timeout);
        look_again(run, cluster, started)?;
        running::see_it_answer(run, cluster, arguments)?;
        fall_back::remember_start(run, cluster, &arguments.connection);
        tell_if_outside(run, cluster);
    }
    run.document.needs = Needs::default();
    act(run, cluster, START);
    Ok(())
}

/// An exchange of directories that was cut off left one of the two in place, whole: it is started with the command line
/// that the server had. One that would come up as a primary was not meant to be started.
fn as_before_a_changeover(run: &mut Run, cluster: &Cluster) -> Result<CommandLine, Failure> {
    let Some(journal) = Journal::of(&cluster.data_directory)? else { return Ok(CommandLine::default()) };
    let way_out = format!("pg-basebackup-swap {} {}", journal.verb, cluster.option());
    if cluster.role != Some(Role::Standby) {
        return Err(Failure::refused(format!("{} is not started: it would come up as a primary", cluster.title()))
            .because(format!("{}, and it was to become a standby", journal.describe()))
            .hint(way_out));
    }
    if cluster.system_identifier.is_none() {
        return Err(Failure::refused(format!(
            "{} can't be started yet: its folders outside are changing places",
            cluster.title()
        ))
        .because(format!("{}; nothing is lost", journal.describe()))
        .hint(way_out));
    }
    run.warn(format!("{}; that is ended by: {way_out}", journal.describe()));
    Ok(journal.server.map(|server| server.command_line).unwrap_or_default())
}

/// `pg-cluster stop`
pub fn stop(run: &mut Run, arguments: &StopArguments) -> Result<(), Failure> {
    let mut cluster = take(run)?;
    if !cluster.has_process() {
        run.message(format!("{} is already down", cluster.title()));
        return Ok(());
    }
    if !run.check() {
        let stopped = service::stop(&mut cluster, arguments.mode.into(), arguments.serve.timeout);
        look_again(run, &mut cluster, stopped)?;
    }
    act(run, &cluster, STOP);
    Ok(())
}

/// `pg-cluster promote`
pub fn promote(run: &mut Run, arguments: &ServeArguments) -> Result<(), Failure> {
    let mut cluster = take(run)?;
    service::running(&cluster)?;
    let mut server = running::connect(run, &mut cluster, &arguments.connection)?;
    if !standby::is_standby(&mut server)? {
        run.message(format!("{} already is a primary", cluster.title()));
        return Ok(());
    }
    if let Some(sender) = standby::replication(&mut server)?.streams_from() {
        run.warn(format!(
            "{} still streams from {sender}: what clients write there from now on is not here; stop that one first",
            cluster.title()
        ));
    }
    if !run.check() {
        service::promote(&mut cluster, arguments.timeout)?;
        match standby::is_standby(&mut server) {
            Ok(false) => {}
            Ok(true) => {
                let title = cluster.title();
                return Err(Failure::failed(format!("{title} was told to promote, and is still in recovery")));
            }
            Err(failure) => run.warn(format!("{} could not be asked afterwards: {failure}", cluster.title())),
        }
        cluster.role = Some(Role::Primary);
        run.set_cluster(&cluster);
    }
    act(run, &cluster, PROMOTE);
    Ok(())
}
