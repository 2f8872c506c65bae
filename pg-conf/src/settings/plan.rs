//! From what was seen to what is to be done. Pure.

use super::{Subject, World};
use crate::command_line;
use crate::edits::{self, Edited};
use crate::running::{self, Asked};
use pg_runbook::configuration::{Edit, Located};
use pg_runbook::document::Change;
use pg_runbook::{Failure, Level};

/// Everything that apply does.
#[derive(Debug, Default)]
pub struct Plan {
    pub edits: Vec<Edit>,
    pub changes: Vec<Change>,
    pub needs: Vec<(Level, String)>,
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
}

pub fn plan(world: &World, subjects: &[Subject]) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let mut edited = Edited::default();
    let mut changed = Vec::new();
    for subject in subjects {
        refuse_overridden(world, subject)?;
        if !is_changed(world, subject) {
            plan.notes.extend(already(world, subject));
        } else if let Some(value) = &subject.wanted {
            edited.assign(&world.configuration, [(subject.name.as_str(), value.as_str())])?;
            changed.push(&subject.name);
        } else {
            edited.remove(&world.configuration, &subject.name)?;
            changed.push(&subject.name);
        }
        plan.warnings.extend(left_to_alter_system(world, subject));
    }
    for subject in subjects {
        let is_changed = changed.contains(&&subject.name);
        let level = level(world, subject, is_changed);
        if level > Level::None {
            plan.needs.push((level, subject.name.clone()));
        }
        if is_changed {
            plan.changes.push(change(world, subject, &edited, level));
        }
    }
    plan.edits = edited.edits(&world.configuration);
    Ok(plan)
}

fn is_changed(world: &World, subject: &Subject) -> bool {
    match subject.wanted {
        Some(_) => subject.present.as_ref() != Some(&subject.asked),
        None => edits::in_files(&world.configuration, &subject.name).is_some(),
    }
}

/// A change that something else beats would be reported and have no effect.
fn refuse_overridden(world: &World, subject: &Subject) -> Result<(), Failure> {
    let Some(value) = &subject.wanted else { return Ok(()) };
    let (name, cluster) = (&subject.name, &world.cluster);
    let refused = |by: String| Failure::refused(format!("{name} = {value} would have no effect")).because(by);
    if let Some(found) = override_of(world, name).filter(|_| is_changed(world, subject)) {
        let place = format!("{}:{}", found.file.display(), found.line);
        return Err(refused(format!("ALTER SYSTEM set it to {} ({place}), which beats the file", shown(&found.value)))
            .hint(format!("{} -c 'ALTER SYSTEM RESET {name}' -c 'SELECT pg_reload_conf()'", psql(world))));
    }
    if let Some(given) = subject.on_command_line.as_ref().filter(|given| **given != subject.asked) {
        let hint = match &cluster.name {
            Some(_) => format!("grep pg_ctl_options {}/pg_ctl.conf", folder(world)),
            None => format!("pg-cluster restart {}", cluster.option()),
        };
        return Err(refused(format!(
            "the running server was started with {name} = {} on its command line",
            // As it was typed there: 6MB for 6144.
            shown(command_line::value(&world.command_line, name).unwrap_or(given))
        ))
        .because(format!("{}/postmaster.opts", cluster.data_directory.display()))
        .hint(hint));
    }
    Ok(())
}

fn override_of<'a>(world: &'a World, name: &str) -> Option<&'a Located> {
    world.configuration.in_force(name).filter(|found| found.from_alter_system)
}

/// What is as asked by somebody else's doing.
fn already(world: &World, subject: &Subject) -> Option<String> {
    let found = override_of(world, &subject.name).filter(|_| subject.wanted.is_some())?;
    let place = format!("{}:{}", found.file.display(), found.line);
    Some(format!("{} already is {}, by ALTER SYSTEM ({place})", subject.name, shown(&found.value)))
}

/// What stays although it was taken out of the files.
fn left_to_alter_system(world: &World, subject: &Subject) -> Option<String> {
    let found = override_of(world, &subject.name).filter(|_| subject.wanted.is_none())?;
    let place = format!("{}:{}", found.file.display(), found.line);
    Some(format!(
        "{name} stays {value}: ALTER SYSTEM set it ({place}); {psql} -c 'ALTER SYSTEM RESET {name}'",
        name = subject.name,
        value = shown(&found.value),
        psql = psql(world)
    ))
}

fn level(world: &World, subject: &Subject, changed: bool) -> Level {
    let found = world.configuration.in_force(&subject.name);
    let file = found.map_or(world.configuration.main_file(), |found| &found.file);
    let level = world.running.level(Asked {
        name: &subject.name,
        value: &subject.asked,
        changed,
        written: running::written(file),
        context: world.catalogue.find(&subject.name).map(|known| known.context.as_str()),
    });
    // A default is in force however the server is started.
    if level == Level::Start && !changed && found.is_none() { Level::None } else { level }
}

fn change(world: &World, subject: &Subject, edited: &Edited, level: Level) -> Change {
    let name = &subject.name;
    let located = edits::in_files(&world.configuration, name);
    let file = located.map_or(world.configuration.main_file(), |found| &found.file).to_owned();
    let at = match subject.wanted {
        Some(_) => edited.line(&file, name),
        None => located.map(|found| found.line),
    };
    let before = located.map(|found| found.value.clone()).or_else(|| unwritten(world, subject));
    let mut change = Change::value("setting", name, before, subject.wanted.clone()).at(file, at);
    let known = world.catalogue.find(name).map(|known| known.context.clone());
    change.context = world.running.live(name).map(|live| live.context.clone()).or(known);
    with_remark(change, level)
}

/// Says what a change needs before it is in force.
pub fn with_remark(change: Change, level: Level) -> Change {
    match level {
        Level::None => change,
        Level::Reload => change.remark("reload needed"),
        Level::Restart => change.remark("restart needed"),
        Level::Start => change.remark("start needed"),
    }
}

/// The value before of a setting that no file names: as people write it where the server says so, 4MB for 4096.
fn unwritten(world: &World, subject: &Subject) -> Option<String> {
    let present = subject.present.as_ref()?;
    let shown = world.running.live(&subject.name).filter(|live| live.holds(present)).map(|live| &live.shown);
    Some(shown.unwrap_or(present).clone()).filter(|value| !value.is_empty())
}

fn psql(world: &World) -> String {
    let cluster = &world.cluster;
    let host = cluster.socket_directory.as_ref().map(|folder| format!(" -h {}", folder.display())).unwrap_or_default();
    format!("sudo -u {} psql{host} -p {} -d postgres", cluster.owner, cluster.port)
}

fn folder(world: &World) -> String {
    world.cluster.config_file.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
}

fn shown(value: &str) -> String {
    if value.is_empty() { "''".into() } else { value.into() }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
