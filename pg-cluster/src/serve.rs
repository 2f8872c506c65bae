//! Start, stop, restart, reload, promote: each looks first, does the least, and believes what it then sees.

use crate::args::{ConnectArguments, Mode, ServeArguments, StopArguments};
use crate::running;
use pg_runbook::cluster::{Cluster, Role, State, postmaster};
use pg_runbook::document::{Act, Change, Needs};
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::service::{self, Manager, StopMode};
use pg_runbook::{Failure, Level, Run, standby};
use std::time::Duration;

const START: Act = Act { plain: "start", past: "started" };
const STOP: Act = Act { plain: "stop", past: "stopped" };
const RESTART: Act = Act { plain: "restart", past: "restarted" };
const RELOAD: Act = Act { plain: "reload", past: "reloaded" };
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
fn take(run: &mut Run) -> Result<Cluster, Failure> {
    let mut cluster = run.cluster()?;
    if cluster.state == State::Unknown {
        return Err(Failure::failed(format!("look into {}: permission denied", cluster.data_directory.display()))
            .hint(format!("sudo pg-cluster …, or sudo -u {} pg-cluster …", cluster.owner)));
    }
    run.lock(&cluster)?;
    cluster.refresh();
    run.set_cluster(&cluster);
    Ok(cluster)
}

/// Also where it failed the document tells the server's state as it is then.
fn look_again(run: &mut Run, cluster: &mut Cluster, result: Result<(), Failure>) -> Result<(), Failure> {
    cluster.refresh();
    run.set_cluster(cluster);
    result
}

fn act(run: &mut Run, cluster: &Cluster, act: Act) {
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
        if run.document.needs.level > Level::None {
            run.warn(format!("{} runs with its old configuration; pg-cluster restart makes it aware", cluster.title()));
        }
        return Ok(());
    }
    start_down(run, &mut cluster, arguments)
}

fn start_down(run: &mut Run, cluster: &mut Cluster, arguments: &ServeArguments) -> Result<(), Failure> {
    if !run.check() {
        let started = service::start(cluster, arguments.timeout);
        look_again(run, cluster, started)?;
        see_it_answer(run, cluster, arguments)?;
    }
    run.document.needs = Needs::default();
    act(run, cluster, START);
    Ok(())
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

/// `pg-cluster restart`: what to do is decided here, from the document's needs and the server's state.
pub fn restart(run: &mut Run, arguments: &StopArguments) -> Result<(), Failure> {
    let described = run.document.cluster.clone();
    let mut cluster = take(run)?;
    let asked_by_document = run.has_input() && described.is_some_and(|known| known.is(&cluster));
    let level = if asked_by_document { run.document.needs.level } else { Level::Restart };
    match (level, cluster.has_process()) {
        (Level::None, true) => {
            run.message(format!("{} needs no restart", cluster.title()));
            Ok(())
        }
        (Level::None, false) if asked_by_document => {
            run.message(format!("{} is down, and nothing asks for a start", cluster.title()));
            Ok(())
        }
        (_, false) => start_down(run, &mut cluster, &arguments.serve),
        (Level::Reload, true) => reload_running(run, &mut cluster, &arguments.serve.connection),
        (_, true) => restart_running(run, &mut cluster, arguments),
    }
}

fn restart_running(run: &mut Run, cluster: &mut Cluster, arguments: &StopArguments) -> Result<(), Failure> {
    let manager = Manager::of(cluster)?;
    if let Manager::Stray { unit } = &manager {
        run.warn(format!("{} was started outside {unit}; it comes back inside", cluster.title()));
    } else if cluster.service.is_some() && manager == Manager::Wrapper {
        run.warn(format!(
            "{} comes back outside {}, which only root may tell to restart",
            cluster.title(),
            cluster.service.clone().unwrap_or_default()
        ));
    }
    if !run.check() {
        let restarted = service::restart(cluster, arguments.mode.into(), arguments.serve.timeout);
        look_again(run, cluster, restarted)?;
        see_it_answer(run, cluster, &arguments.serve)?;
        see_it_in_force(run, cluster, &arguments.serve.connection)?;
    }
    run.document.needs = Needs::default();
    act(run, cluster, RESTART);
    Ok(())
}

/// `pg-cluster reload`
pub fn reload(run: &mut Run, arguments: &ConnectArguments) -> Result<(), Failure> {
    let described = run.document.cluster.clone();
    let mut cluster = take(run)?;
    service::running(&cluster)?;
    let asked_by_document = run.has_input() && described.is_some_and(|known| known.is(&cluster));
    if asked_by_document && run.document.needs.level == Level::None {
        run.message(format!("{} needs no reload", cluster.title()));
        return Ok(());
    }
    let mut waits = run.document.needs.restart.clone();
    reload_running(run, &mut cluster, &arguments.connection)?;
    waits.retain(|name| !run.document.needs.restart.contains(name));
    if !waits.is_empty() {
        run.warn(format!("{} still needs a restart for {}", cluster.title(), waits.join(", ")));
        for name in &waits {
            run.need(Level::Restart, name);
        }
    }
    Ok(())
}

fn reload_running(run: &mut Run, cluster: &mut Cluster, connection: &ConnectionArguments) -> Result<(), Failure> {
    if !run.check() {
        let mut server = running::connect(run, cluster, connection);
        if let Err(failure) = &server {
            run.warn(format!("the reload can't be observed: {failure}"));
        }
        service::reload(cluster, server.as_mut().ok())?;
    }
    run.document.needs = Needs::default();
    tell_what_waits(run, cluster, connection);
    act(run, cluster, RELOAD);
    Ok(())
}

/// A reload leaves some settings for the next restart: the server says which.
fn tell_what_waits(run: &mut Run, cluster: &Cluster, connection: &ConnectionArguments) {
    if run.check() {
        return;
    }
    let query = "SELECT name FROM pg_settings WHERE pending_restart ORDER BY name";
    let Ok(rows) = run.connect(cluster, connection).and_then(|mut server| server.query(query, &[])) else { return };
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if !names.is_empty() {
        run.warn(format!("{} still needs a restart for {}", cluster.title(), names.join(", ")));
        for name in &names {
            run.need(Level::Restart, name);
        }
    }
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
    if !run.check() {
        service::promote(&mut cluster, arguments.timeout)?;
        if standby::is_standby(&mut server)? {
            return Err(Failure::failed(format!("{} was told to promote, and is still in recovery", cluster.title())));
        }
        cluster.role = Some(Role::Primary);
        run.set_cluster(&cluster);
    }
    act(run, &cluster, PROMOTE);
    Ok(())
}

/// A server that runs but can't be asked (authentication) is told of; one that doesn't answer is a failure.
fn see_it_answer(run: &mut Run, cluster: &mut Cluster, arguments: &ServeArguments) -> Result<(), Failure> {
    let deadline = std::time::Instant::now() + arguments.timeout;
    loop {
        match running::connect(run, cluster, &arguments.connection) {
            Ok(_) => return Ok(()),
            // With hot_standby = off it says so in postmaster.pid, and answers nobody however long it is asked.
            Err(_) if takes_nobody(cluster) => {
                run.set_cluster(cluster);
                run.warn(format!(
                    "{} runs as a standby that takes no connections (hot_standby = off)",
                    cluster.title()
                ));
                return Ok(());
            }
            Err(failure) if failure.code == pg_runbook::Code::GaveUp && std::time::Instant::now() < deadline => {
                pg_runbook::signals::safe_point("while waiting for an answer")?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(failure) if failure.code == pg_runbook::Code::GaveUp => return Err(failure),
            Err(failure) => {
                run.set_cluster(cluster);
                run.warn(format!("{} runs, but could not be asked: {failure}", cluster.title()));
                return Ok(());
            }
        }
    }
}

fn takes_nobody(cluster: &Cluster) -> bool {
    postmaster::look(&cluster.data_directory).process().is_some_and(|process| process.status == "standby")
}

/// After a restart no setting that asked for it may still wait.
fn see_it_in_force(run: &mut Run, cluster: &mut Cluster, connection: &ConnectionArguments) -> Result<(), Failure> {
    let asked = run.document.needs.restart.clone();
    let Ok(mut server) = running::connect(run, cluster, connection) else { return Ok(()) };
    let waiting = still_waiting(&mut server, &asked)?;
    if waiting.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("{} restarted, but {} is not in force", cluster.title(), waiting.join(", ")))
        .hint(format!("pg-conf get {} {}", cluster.option(), waiting.join(" "))))
}

fn still_waiting(server: &mut Server, names: &[String]) -> Result<Vec<String>, Failure> {
    let query = "SELECT DISTINCT s.name FROM pg_settings s LEFT JOIN pg_file_settings f USING (name)
        WHERE s.name = ANY ($1) AND (s.pending_restart OR f.error = 'setting could not be applied')";
    server.batch("SET lc_messages = 'C'")?;
    Ok(server.query(query, &[&names])?.iter().map(|row| row.get(0)).collect())
}
