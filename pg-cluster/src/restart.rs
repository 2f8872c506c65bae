//! Restart and reload: the least that a document asks for, and never a server that is left down by its configuration.
//!
//! What must always hold: what would not start is noticed while the old server still runs; where a server does not come
//! back, the configuration that it ran with is put back and started, and both stories are told.

use crate::args::{ConnectArguments, StopArguments};
use crate::fall_back;
use crate::lag;
use crate::readiness;
use crate::running::{self, AttachedStandby};
use crate::serve::{act, look_again, start_down, take, tell_if_outside};
use pg_runbook::cluster::{Cluster, postmaster};
use pg_runbook::document::{Act, Needs};
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::service::{self, Manager};
use pg_runbook::{Failure, Level, Run};

const RESTART: Act = Act { plain: "restart", past: "restarted" };
const RELOAD: Act = Act { plain: "reload", past: "reloaded" };

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
    tell_of_the_way(run, cluster)?;
    let before = Before::of(run, cluster, &arguments.serve.connection);
    readiness::refuse_what_would_not_start(run, cluster, &before.rule_errors)?;
    service::refuse_what_could_not_start(cluster)?;
    tell_of_standbys(run, cluster, &before.standbys);
    if !run.check() {
        let restarted = service::restart(cluster, arguments.mode.into(), arguments.serve.timeout);
        if let Err(failure) = look_again(run, cluster, restarted) {
            return Err(fall_back::after_restart(run, cluster, before.started, failure, &arguments.serve));
        }
        running::see_it_answer(run, cluster, &arguments.serve)?;
        fall_back::remember_start(run, cluster, &arguments.serve.connection);
    }
    let needs = std::mem::take(&mut run.document.needs);
    act(run, cluster, RESTART);
    if run.check() { Ok(()) } else { see_it_in_force(run, cluster, &needs, &arguments.serve.connection) }
}

fn tell_of_the_way(run: &mut Run, cluster: &Cluster) -> Result<(), Failure> {
    let manager = Manager::of(cluster)?;
    if let Manager::Stray { unit } = &manager {
        run.warn(format!("{} was started outside {unit}; it comes back inside", cluster.title()));
    } else if cluster.service.is_some() && manager == Manager::Wrapper {
        run.warn(format!(
            "{} comes back outside {}, which only root may tell to restart; inside: sudo pg-cluster restart {}",
            cluster.title(),
            cluster.service.clone().unwrap_or_default(),
            cluster.option()
        ));
    }
    Ok(())
}

/// What the running server tells before it is stopped.
struct Before {
    /// When it started, in seconds since 1970.
    started: f64,
    /// What it finds wrong in `pg_hba.conf`.
    rule_errors: Vec<String>,
    /// Those that will have to connect again.
    standbys: Vec<AttachedStandby>,
}

impl Before {
    /// Asks it. One that can't be asked still has its postmaster.pid, which knows the second of its start.
    fn of(run: &mut Run, cluster: &mut Cluster, connection: &ConnectionArguments) -> Self {
        let asked = running::connect(run, cluster, connection).and_then(|mut server| Self::asked(&mut server));
        asked.unwrap_or_else(|_| {
            let process = postmaster::look(&cluster.data_directory).process();
            #[allow(clippy::cast_precision_loss)] // Seconds since 1970 fit.
            let started = process.map_or(0.0, |process| process.started as f64);
            Self { started, rule_errors: Vec::new(), standbys: Vec::new() }
        })
    }

    fn asked(server: &mut Server) -> Result<Self, Failure> {
        Ok(Self {
            started: running::started(server)?,
            rule_errors: service::rule_errors(server)?,
            standbys: running::attached_standbys(server)?,
        })
    }
}

fn tell_of_standbys(run: &mut Run, cluster: &Cluster, standbys: &[AttachedStandby]) {
    for standby in standbys {
        run.say(&line_of(standby, cluster));
    }
    if !standbys.is_empty() {
        run.fact("standbys", &standbys);
    }
}

fn line_of(standby: &AttachedStandby, cluster: &Cluster) -> String {
    let from = standby.address.as_ref().map(|address| format!(" at {address}")).unwrap_or_default();
    let lag = standby.lag_bytes.map(|bytes| format!(", {} behind", lag::shown(bytes))).unwrap_or_default();
    let name = if standby.name.is_empty() { &standby.username } else { &standby.name };
    format!(
        "{name}{from} is attached to {} ({}{lag}); it loses its connection and comes back by itself",
        cluster.title(),
        standby.state
    )
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
        match running::connect(run, cluster, connection) {
            Ok(mut server) => reload_observed(run, cluster, &mut server)?,
            Err(failure) => {
                run.warn(format!("the reload can't be observed: {failure}"));
                service::reload(cluster, None)?;
            }
        }
    }
    run.document.needs = Needs::default();
    tell_what_waits(run, cluster, connection);
    tell_if_outside(run, cluster);
    act(run, cluster, RELOAD);
    Ok(())
}

fn reload_observed(run: &mut Run, cluster: &Cluster, server: &mut Server) -> Result<(), Failure> {
    let rows = server.query("SELECT extract(epoch FROM pg_conf_load_time())::float8", &[])?;
    let loaded = rows.first().map(|row| row.get(0)).unwrap_or_default();
    service::reload(cluster, Some(server))
        .map_err(|failure| fall_back::after_reload(run, cluster, loaded, failure, server))
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

/// After a restart no setting that was changed before it may still wait.
fn see_it_in_force(
    run: &mut Run,
    cluster: &mut Cluster,
    needs: &Needs,
    connection: &ConnectionArguments,
) -> Result<(), Failure> {
    let changed = run.document.changes.iter().filter(|change| change.kind == "setting").map(|change| &change.name);
    let asked: Vec<String> = needs.restart.iter().chain(&needs.reload).chain(changed).cloned().collect();
    let Ok(mut server) = running::connect(run, cluster, connection) else { return Ok(()) };
    let waiting = still_waiting(&mut server, &asked)?;
    if waiting.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("{} restarted, but {} is not in force", cluster.title(), waiting.join(", ")))
        .hint(format!("pg-conf get {} {}", cluster.option(), waiting.join(" "))))
}

fn still_waiting(server: &mut Server, names: &[String]) -> Result<Vec<String>, Failure> {
    let query =
        "SELECT DISTINCT s.name FROM pg_settings s LEFT JOIN pg_file_settings f ON lower(f.name) = lower(s.name)
        WHERE lower(s.name) = ANY ($1) AND (s.pending_restart OR f.error = 'setting could not be applied')";
    server.batch("SET lc_messages = 'C'")?;
    Ok(server.query(query, &[&names])?.iter().map(|row| row.get(0)).collect())
}
