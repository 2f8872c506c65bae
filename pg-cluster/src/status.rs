//! Which clusters there are, and how one of them is. Changes nothing.

use crate::args::StatusArguments;
use crate::lag;
use crate::running;
use crate::serve::{as_its_owner, tell_if_outside};
use pg_runbook::cli::table;
use pg_runbook::cluster::{self, Cluster, Role, State, debian, word};
use pg_runbook::server::Server;
use pg_runbook::service::Manager;
use pg_runbook::{Failure, Run, standby};

/// `pg-cluster list`
pub fn list(run: &mut Run) -> Result<(), Failure> {
    let clusters = cluster::list()?;
    run.message(match clusters.len() {
        0 => "there is no cluster on this host".to_owned(),
        1 => "1 cluster".to_owned(),
        count => format!("{count} clusters"),
    });
    let rows: Vec<[String; 6]> = clusters.iter().map(row).collect();
    for line in table::lines(["CLUSTER", "PORT", "STATE", "ROLE", "OWNER", "DATA DIRECTORY"], &rows) {
        run.account(line);
    }
    run.fact("clusters", &clusters);
    Ok(())
}

fn row(cluster: &Cluster) -> [String; 6] {
    let name = cluster.name.as_ref().map_or_else(|| format!("{} (plain)", cluster.major), |_| cluster.title());
    [
        name,
        cluster.port.to_string(),
        word(&cluster.state),
        cluster.role.as_ref().map_or_else(|| "?".into(), word),
        cluster.owner.clone(),
        cluster.data_directory.display().to_string(),
    ]
}

/// `pg-cluster status`
pub fn status(run: &mut Run, arguments: &StatusArguments) -> Result<(), Failure> {
    let mut cluster = run.cluster()?;
    let manager = Manager::seen(&cluster).or_else(|_| Manager::of(&cluster))?;
    run.fact("managed_by", &manager.describe());
    run.account(format!("data directory: {}", cluster.data_directory.display()));
    run.account(format!("configuration:  {}", cluster.config_file.display()));
    run.account(format!("managed by:     {}", manager.describe()));
    if let Some(policy) = debian::start_policy(&cluster).filter(|_| cluster.name.is_some()) {
        run.fact("start_policy", &policy);
        if policy != "auto" {
            run.account(format!("start.conf:     {policy}"));
        }
    }
    tell_if_outside(run, &cluster);
    if cluster.state == State::Unknown {
        let folder = cluster.data_directory.display();
        run.warn(format!("{folder} is not yours to look into: {}", as_its_owner(run, &cluster)));
    }
    if cluster.state != State::Running {
        run.message(format!("{} is {}", cluster.title(), word(&cluster.state)));
        return arguments.max_lag.map_or(Ok(()), |_| Err(lag::does_not_run(&cluster, &word(&cluster.state))));
    }
    let mut server = running::connect(run, &mut cluster, &arguments.connection)?;
    let in_recovery = standby::is_standby(&mut server)?;
    cluster.role = Some(if in_recovery { Role::Standby } else { Role::Primary });
    run.set_cluster(&cluster);
    let version = cluster.version.clone().unwrap_or_default();
    run.message(format!(
        "{} is {}, a {} on port {} (PostgreSQL {version})",
        cluster.title(),
        word(&cluster.state),
        cluster.role.as_ref().map(word).unwrap_or_default(),
        cluster.port
    ));
    let mut replication = None;
    if in_recovery {
        let replication = replication.insert(standby::replication(&mut server)?);
        run.account(describe(replication));
        if replication.status.is_none() {
            warn_of_silence(run, &cluster, &mut server);
        }
        run.fact("replication", &*replication);
    }
    let standbys = running::attached_standbys(&mut server)?;
    for attached in &standbys {
        let address = attached.address.as_deref().unwrap_or("[local]");
        let lag = attached.lag_bytes.map(|bytes| format!(", {} behind", lag::shown(bytes))).unwrap_or_default();
        run.account(format!("sends to:       {address} as {} ({}{lag})", attached.username, attached.state));
    }
    run.fact("standbys", &standbys);
    match arguments.max_lag {
        Some(limit) => lag::judge(&cluster, limit, replication.as_ref(), &standbys),
        None => Ok(()),
    }
}

/// A standby that only replays an archive has no primary to stream from.
fn warn_of_silence(run: &mut Run, cluster: &Cluster, server: &mut Server) {
    let trouble = standby::last_trouble(cluster);
    let hint = trouble.as_deref().and_then(standby::way_out).or_else(|| standby::does_its_primary_answer(server));
    let said = trouble.map(|trouble| format!("the log said last: {trouble}"));
    let told: Vec<String> = said.into_iter().chain(hint.map(|hint| format!("hint: {hint}"))).collect();
    if !told.is_empty() {
        run.warn(format!("it does not stream; {}", told.join("\n")));
    }
}

fn describe(replication: &standby::Replication) -> String {
    match &replication.status {
        None => "replication:    no walreceiver runs".into(),
        Some(status) => {
            let from = replication.sender_host.as_ref().map(|host| format!(" from {host}")).unwrap_or_default();
            let bytes = replication.lag_bytes.or(replication.replay_lag_bytes);
            let time = replication.lag_seconds.map(|seconds| format!(" ({seconds} s)")).unwrap_or_default();
            let lag = bytes.map(|bytes| format!(", {} behind{time}", lag::shown(bytes))).unwrap_or_default();
            format!("replication:    {status}{from}{lag}")
        }
    }
}
