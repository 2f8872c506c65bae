//! Which clusters there are, and how one of them is. Changes nothing.

use crate::args::StatusArguments;
use crate::running::{self, AttachedStandby};
use crate::serve::{as_its_owner, tell_if_outside};
use crate::{lag, shown, watch};
use pg_runbook::cli::colour::Mark;
use pg_runbook::cli::table::Cell;
use pg_runbook::cluster::{self, Cluster, Role, State, Unreadable, debian, word};
use pg_runbook::server::Server;
use pg_runbook::service::Manager;
use pg_runbook::standby::Replication;
use pg_runbook::{Failure, Run, standby};
use schemars::JsonSchema;
use serde::Serialize;

/// A cluster whose configuration can't be read, as the document has it under `unreadable`.
#[derive(Serialize, JsonSchema)]
pub struct UnreadableCluster {
    /// Its major version.
    major: u32,
    /// Debian's name, such as `main`.
    name: String,
    /// Why.
    message: String,
}

impl UnreadableCluster {
    fn of(one: &Unreadable) -> Self {
        Self { major: one.major, name: one.name.clone(), message: one.failure.to_string() }
    }
}

/// `pg-cluster list`
pub fn list(run: &mut Run) {
    let clusters = cluster::list();
    run.message(match clusters.known.len() + clusters.unreadable.len() {
        0 => "there is no cluster on this host".to_owned(),
        1 => "1 cluster".to_owned(),
        count => format!("{count} clusters"),
    });
    for unreadable in &clusters.unreadable {
        run.warn(format!("{} can't be told of: {}", unreadable.title(), unreadable.failure));
    }
    run.fact("unreadable", &clusters.unreadable.iter().map(UnreadableCluster::of).collect::<Vec<_>>());
    run.show_table(&shown::clusters(&clusters.known));
    run.fact("clusters", &clusters.known);
}

/// What one look found.
pub struct Seen {
    cluster: Cluster,
    facts: Vec<(&'static str, Cell)>,
    /// A standby's own.
    pub replication: Option<Replication>,
    standbys: Vec<AttachedStandby>,
}

/// `pg-cluster status`
pub fn status(run: &mut Run, arguments: &StatusArguments) -> Result<(), Failure> {
    if let Some(every) = arguments.watch {
        return watch::watch(run, arguments, every);
    }
    let seen = look(run, arguments)?;
    show(run, &seen, None);
    arguments.max_lag.map_or(Ok(()), |limit| seen.judge(limit))
}

impl Seen {
    /// Whether all of it is within the limit.
    pub fn judge(&self, limit: u64) -> Result<(), Failure> {
        if self.cluster.state != State::Running {
            return Err(lag::does_not_run(&self.cluster, &word(&self.cluster.state)));
        }
        lag::judge(&self.cluster, limit, self.replication.as_ref(), &self.standbys)
    }
}

/// Puts the facts into the account, and one more that a single look can't tell.
pub fn show(run: &mut Run, seen: &Seen, besides: Option<(&'static str, Cell)>) {
    let facts: Vec<(&str, Cell)> = seen.facts.iter().cloned().chain(besides).collect();
    run.show_list(&facts);
    if !seen.standbys.is_empty() {
        run.account("");
        run.show_table(&shown::standbys(&seen.standbys));
    }
}

/// Looks, and puts what it finds into the document.
pub fn look(run: &mut Run, arguments: &StatusArguments) -> Result<Seen, Failure> {
    let cluster = run.cluster()?;
    let facts = facts(run, &cluster)?;
    tell_if_outside(run, &cluster);
    if cluster.state == State::Unknown {
        let folder = cluster.data_directory.display();
        run.warn(format!("{folder} is not yours to look into: {}", as_its_owner(run, &cluster)));
    }
    let mut seen = Seen { cluster, facts, replication: None, standbys: Vec::new() };
    if seen.cluster.state != State::Running {
        seen.facts.insert(0, ("state", shown::state(&seen.cluster)));
        run.message(format!("{} is {}", seen.cluster.title(), word(&seen.cluster.state)));
        return Ok(seen);
    }
    ask(run, arguments, &mut seen)?;
    Ok(seen)
}

/// What is known of it, whether it runs or not.
fn facts(run: &mut Run, cluster: &Cluster) -> Result<Vec<(&'static str, Cell)>, Failure> {
    let manager = Manager::seen(cluster).or_else(|_| Manager::of(cluster))?;
    run.fact("managed_by", &manager.describe());
    let mut facts = vec![
        ("data directory", cluster.data_directory.display().to_string().into()),
        ("configuration", cluster.config_file.display().to_string().into()),
        ("managed by", manager.describe().into()),
    ];
    if let Some(policy) = debian::start_policy(cluster).filter(|_| cluster.name.is_some()) {
        run.fact("start_policy", &policy);
        if policy != "auto" {
            facts.push(("start.conf", policy.into()));
        }
    }
    Ok(facts)
}

/// What the running server says.
fn ask(run: &mut Run, arguments: &StatusArguments, seen: &mut Seen) -> Result<(), Failure> {
    let cluster = &mut seen.cluster;
    let mut server = running::connect(run, cluster, &arguments.connection)?;
    let in_recovery = standby::is_standby(&mut server)?;
    cluster.role = Some(if in_recovery { Role::Standby } else { Role::Primary });
    run.set_cluster(cluster);
    run.message(format!(
        "{} is {}, a {} on port {} (PostgreSQL {})",
        cluster.title(),
        word(&cluster.state),
        cluster.role.as_ref().map(word).unwrap_or_default(),
        cluster.port,
        cluster.version.clone().unwrap_or_default()
    ));
    let waiting = server.texts("SELECT name FROM pg_settings WHERE pending_restart ORDER BY name")?;
    let waiting: Vec<String> = waiting.into_iter().flatten().flatten().collect();
    if !waiting.is_empty() {
        seen.facts.push(("wait for a restart", Cell::from(waiting.join(", ")).marked(Mark::Warning)));
    }
    run.fact("pending_restart", &waiting);
    if in_recovery {
        let replication = seen.replication.insert(standby::replication(&mut server)?);
        seen.facts.extend(shown::replication(replication));
        if replication.replay_paused {
            let (why, way_out) = running::why_paused(cluster);
            run.warn(format!("its replay is paused; {why}\nhint: {way_out}"));
        }
        if replication.status.is_none() {
            warn_of_silence(run, cluster, &mut server);
        }
        run.fact("replication", &*replication);
    }
    seen.standbys = running::attached_standbys(&mut server)?;
    run.fact("standbys", &seen.standbys);
    Ok(())
}

/// A standby that only replays an archive has no primary to stream from.
fn warn_of_silence(run: &mut Run, cluster: &Cluster, server: &mut Server) {
    let trouble = standby::last_trouble(cluster);
    let hint = trouble
        .as_deref()
        .and_then(|said| standby::way_out(said, &cluster.option()))
        .or_else(|| standby::does_its_primary_answer(server));
    let said = trouble.map(|trouble| format!("the log said last: {trouble}"));
    let told: Vec<String> = said.into_iter().chain(hint.map(|hint| format!("hint: {hint}"))).collect();
    if !told.is_empty() {
        run.warn(format!("it does not stream; {}", told.join("\n")));
    }
}
