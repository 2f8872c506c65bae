//! Files of the history back in their places: judged, told setting by setting, and verified.
//!
//! What must always hold: nothing is put back that the server would not start with.

use crate::install::{self, Installed};
use crate::rules::access;
use crate::running::{self, Asked, Running};
use crate::settings::{self, World};
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::judge;
use pg_runbook::configuration::{ALTER_SYSTEM_FILE, ConfFile, Edit, EntryKind, cross_checks};
use pg_runbook::document::{Act, Change};
use pg_runbook::server::ConnectionArguments;
use pg_runbook::{Failure, Level, Run};
use std::path::PathBuf;

const PUT_BACK: Act = Act { plain: "put back", past: "put back" };

/// A setting whose value in the files becomes another one.
struct Turned {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

/// Puts the files back as they were before this step.
pub fn put_back(
    run: &mut Run,
    cluster: &Cluster,
    step: u32,
    edits: &[Edit],
    connection: &ConnectionArguments,
) -> Result<(), Failure> {
    let (of_rules, of_settings): (Vec<&Edit>, Vec<&Edit>) =
        edits.iter().partition(|edit| edit.path == cluster.hba_file);
    for edit in &of_rules {
        access::judge(run, cluster, edit)?;
    }
    let world = World::of(cluster)?;
    let candidate = candidate(&world, &of_settings)?;
    refuse_what_would_not_start(&world, step, &candidate)?;
    let turned = turned(&world, &of_settings, &candidate);
    let names: Vec<String> = turned.iter().map(|one| one.name.clone()).collect();
    let running = running::look(run, cluster, &names, connection)?;
    let mut needs = Vec::new();
    let mut changes: Vec<Change> = edits
        .iter()
        .map(|edit| Change::act("file", edit.path.display().to_string(), PUT_BACK))
        .map(|change| change.remark(format!("as before step {step}")))
        .collect();
    for one in turned {
        let (change, level) = told(&world, &running, one)?;
        needs.push((level, change.name.clone()));
        changes.push(change);
    }
    if !of_rules.is_empty() {
        needs.push((if running == Running::Down { Level::Start } else { Level::Reload }, "pg_hba.conf".to_owned()));
    }
    let mut what = install::what(run, &changes);
    what.undoes = Some(step);
    if let Some(installed) = install::install(run, cluster, edits, what)? {
        verify(run, cluster, &running, &changes, !of_rules.is_empty(), connection, &installed)?;
    }
    for change in changes {
        run.change(change);
    }
    for (level, name) in needs.iter().filter(|(level, _)| *level > Level::None) {
        run.need(*level, name);
    }
    let is = if run.check() { "would be" } else { "is" };
    settings::conclude(run, cluster, format!("the configuration {is} as before step {step}"), true);
    Ok(())
}

/// The configuration as it is to be, as the server would read it.
struct Candidate {
    file: tempfile::NamedTempFile,
    text: Vec<u8>,
}

fn candidate(world: &World, edits: &[&Edit]) -> Result<Candidate, Failure> {
    let files: Vec<(PathBuf, ConfFile)> = edits
        .iter()
        .map(|edit| (edit.path.clone(), ConfFile::parse(edit.after.as_deref().unwrap_or_default())))
        .collect();
    let text = world.configuration.flattened(&files);
    Ok(Candidate { file: judge::candidate(&world.configuration, &files)?, text })
}

fn refuse_what_would_not_start(world: &World, step: u32, candidate: &Candidate) -> Result<(), Failure> {
    let title = world.cluster.title();
    let refused =
        || Failure::refused(format!("{title} would not start with its configuration as it was before step {step}"));
    let judge = world.judge.over(candidate.file.path());
    if let Err(rejection) = judge.value("wal_level")? {
        return Err(rejection.lines.iter().fold(refused(), Failure::because));
    }
    let violations = cross_checks::of_configuration(&judge, world.cluster.major)?;
    if violations.is_empty() {
        return Ok(());
    }
    Err(violations.iter().fold(refused(), |failure, one| failure.because(&one.message)))
}

/// Every setting that the edited files name, where the value in force becomes another one.
fn turned(world: &World, edits: &[&Edit], candidate: &Candidate) -> Vec<Turned> {
    let mut names: Vec<String> = Vec::new();
    for edit in edits {
        for bytes in [&edit.before, &edit.after].into_iter().flatten() {
            names.extend(assignments(bytes).into_iter().map(|(name, _)| name));
        }
    }
    names.sort();
    names.dedup();
    let is_alter_system = |edit: &&&Edit| edit.path.ends_with(ALTER_SYSTEM_FILE);
    let alter_system =
        edits.iter().find(is_alter_system).map(|edit| assignments(edit.after.as_deref().unwrap_or_default()));
    let in_files = assignments(&candidate.text);
    let last = |list: &[(String, String)], name: &str| {
        list.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let mut turned = Vec::new();
    for name in names {
        let found = world.configuration.in_force(&name);
        let before = found.map(|found| found.value.clone());
        let by_alter_system = match &alter_system {
            Some(theirs) => last(theirs, &name),
            None => found.filter(|found| found.from_alter_system).map(|found| found.value.clone()),
        };
        let after = by_alter_system.or_else(|| last(&in_files, &name));
        if before != after {
            turned.push(Turned { name, before, after });
        }
    }
    turned
}

fn assignments(bytes: &[u8]) -> Vec<(String, String)> {
    let file = ConfFile::parse(bytes);
    let assignments = file.entries().iter().filter_map(|entry| match &entry.kind {
        EntryKind::Assignment { name, value } => Some((name.clone(), value.clone())),
        _ => None,
    });
    assignments.collect()
}

fn told(world: &World, running: &Running, one: Turned) -> Result<(Change, Level), Failure> {
    let known = world.catalogue.find(&one.name).map(|known| known.context.clone());
    let value = match &one.after {
        Some(after) => world.judge.value_of(&one.name, after)?.unwrap_or_else(|_| after.clone()),
        None => world.judge.over_nothing(judge::empty_folder()?.path()).value(&one.name)?.unwrap_or_default(),
    };
    let asked = Asked { name: &one.name, value: &value, changed: true, written: 0.0, context: known.as_deref() };
    let level = running.level(asked);
    let mut change = Change::value("setting", &one.name, one.before, one.after);
    change.context = running.live(&change.name).map(|live| live.context.clone()).or(known);
    Ok((settings::words(level).into_iter().fold(change, Change::remark), level))
}

fn verify(
    run: &mut Run,
    cluster: &Cluster,
    running: &Running,
    changes: &[Change],
    has_rules: bool,
    connection: &ConnectionArguments,
    installed: &Installed,
) -> Result<(), Failure> {
    if has_rules && let Some(mut server) = running::connect(run, cluster, connection) {
        access::verify(cluster, &mut server, installed)?;
    }
    settings::verify(run, cluster, running, changes, connection, installed)
}
