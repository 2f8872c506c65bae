//! The running server becomes the `primary` that standbys, on other hosts too, are told of.
//!
//! What must always hold: the document that leaves names no cluster of this host, so it can cross to another one.

use crate::args::AdvertiseArguments;
use crate::running;
use pg_runbook::cluster::{Cluster, system_identifier, version};
use pg_runbook::document::Needs;
use pg_runbook::invocation::shell_word;
use pg_runbook::server::{ConnectionArguments, Server, SslMode};
use pg_runbook::{Failure, Level, Run, service, standby};
use serde_json::{Map, Value};

/// Not the last checkpoint's: just after a promotion, that one is still of the timeline before.
const TIMELINE: &str = "SELECT CASE WHEN pg_is_in_recovery()
    THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END::text";

/// `pg-cluster advertise`
pub fn advertise(run: &mut Run, arguments: &AdvertiseArguments) -> Result<(), Failure> {
    SslMode::parse(&arguments.sslmode)?;
    let named = run.common.cluster.is_some() || run.common.pgdata.is_some();
    let planned = if named || !run.cluster_is_only_planned() { None } else { run.document.cluster.clone() };
    let cluster = match planned {
        // A copy has its primary's system identifier, version and bounds, and those are in the document already.
        Some(planned) => planned,
        None => ask(run, arguments)?,
    };
    let role = role(run, arguments);
    if role.is_none() {
        run.warn("standbys are not told of a role: name it with --role, or put pg-role ensure ROLE before this in the pipeline");
    }
    let primary = run.document.primary_mut();
    primary.host = Some(arguments.host.clone());
    primary.port = Some(arguments.advertised_port.unwrap_or(cluster.port));
    primary.username = role;
    primary.slot.clone_from(&arguments.slot);
    primary.sslmode = Some(arguments.sslmode.clone());
    primary.passfile = None;
    let place = format!("{}:{}", arguments.host, primary.port.unwrap_or_default());
    run.document.cluster = None;
    run.document.needs = Needs::default();
    run.message(format!("standbys are told of {} as {place}", cluster.title()));
    Ok(())
}

/// What the running server says of itself.
fn ask(run: &mut Run, arguments: &AdvertiseArguments) -> Result<Cluster, Failure> {
    let mut cluster = run.cluster()?;
    service::running(&cluster)?;
    let mut server = running::connect(run, &mut cluster, &ConnectionArguments::default())?;
    if standby::is_standby(&mut server)? {
        run.warn(format!("{} is a standby itself: its standbys will be fed through it", cluster.title()));
    }
    if let Some(role) = arguments.role.as_ref().filter(|_| !run.follows_plans()) {
        warn_of_role(run, &mut server, role)?;
    }
    let settings = bounds(&mut server, cluster.major)?;
    let timeline = server.text(TIMELINE)?.unwrap_or_default();
    let listens = server.text("SHOW listen_addresses")?.unwrap_or_default();
    // A plan before this may mend it.
    if !run.follows_plans() {
        warn_if_unreachable(run, &arguments.host, &listens, &cluster.option());
    }
    if run.document.needs.level > Level::None && !run.check() {
        run.warn(format!(
            "{} has not been made aware of its changes: pg-cluster restart {}",
            cluster.title(),
            cluster.option()
        ));
    }
    let primary = run.document.primary_mut();
    primary.major = Some(cluster.major);
    primary.system_identifier = system_identifier(&cluster.data_directory);
    primary.timeline = timeline.parse().ok();
    primary.settings = settings;
    Ok(cluster)
}

fn warn_of_role(run: &mut Run, server: &mut Server, role: &str) -> Result<(), Failure> {
    let rows =
        server.query("SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = $1", &[&role])?;
    let what = match rows.first().map(|row| row.get(0)) {
        Some(true) => return Ok(()),
        Some(false) => "may not replicate",
        None => "isn't there",
    };
    run.warn(format!("the role {role} {what}: pg-role ensure {}", shell_word(role.as_ref())));
    Ok(())
}

fn bounds(server: &mut Server, major: u32) -> Result<Map<String, Value>, Failure> {
    let mut settings = Map::new();
    for name in version::standby_bounds(major) {
        let value = server.text(&format!("SHOW {name}"))?.unwrap_or_default();
        settings.insert(name.into(), value.parse::<u64>().map_or(Value::from(value), Value::from));
    }
    Ok(settings)
}

fn role(run: &Run, arguments: &AdvertiseArguments) -> Option<String> {
    let known = run.document.primary.as_ref().and_then(|primary| primary.username.clone());
    arguments.role.clone().or(known)
}

/// Debian's servers listen on localhost only until told otherwise.
fn warn_if_unreachable(run: &mut Run, host: &str, listens: &str, option: &str) {
    let local = |name: &str| matches!(name.trim(), "localhost" | "127.0.0.1" | "::1");
    if !local(host) && listens.split(',').all(local) {
        run.warn(format!(
            "the server listens on {listens:?} only, so no other host can reach it; mend it with: pg-conf set {option} listen_addresses='*' | pg-cluster restart"
        ));
    }
}
