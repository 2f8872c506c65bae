//! From what was seen to what is to be done. Pure.

use super::{Subject, World, replication};
use crate::running::{self, Asked, Running};
use crate::settings::command_line;
use crate::settings::edits::{self, Edited};
use pg_runbook::configuration::{Edit, Located};
use pg_runbook::document::Change;
use pg_runbook::invocation::shell_word;
use pg_runbook::secret;
use pg_runbook::{Failure, Level};
use std::collections::BTreeSet;

/// Everything that apply does.
#[derive(Debug, Default)]
pub struct Plan {
    pub edits: Vec<Edit>,
    pub changes: Vec<Change>,
    /// What the running server is to take back.
    pub taken_back: TakenBack,
    pub needs: Vec<(Level, String)>,
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
}

/// Entries of ALTER SYSTEM that go.
#[derive(Debug, Default)]
pub struct TakenBack {
    pub changes: Vec<Change>,
    /// What that makes of its file; the server writes it.
    pub edit: Option<Edit>,
}

impl Plan {
    /// How many settings change, in whatever many files.
    pub fn count(&self) -> usize {
        let changes = self.changes.iter().chain(&self.taken_back.changes);
        changes.map(|change| change.name.as_str()).collect::<BTreeSet<_>>().len()
    }
}

pub fn plan(world: &World, subjects: &[Subject]) -> Result<Plan, Failure> {
    let mut plan = Plan { warnings: world.concerns.clone(), ..Plan::default() };
    let mut edited = Edited::default();
    let mut changed = Vec::new();
    for subject in subjects {
        refuse_overridden(world, subject)?;
        if is_changed(world, subject) {
            edit(world, subject, &mut edited)?;
            changed.push(&subject.name);
        } else {
            plan.notes.extend(already(world, subject));
        }
        plan.warnings.extend(replication::order(world, subject));
        plan.warnings.extend(left_to_alter_system(world, subject));
        plan.warnings.extend(left_to_command_line(world, subject));
    }
    for subject in subjects {
        let is_changed = changed.contains(&&subject.name);
        let level = level(world, subject, is_changed);
        if level > Level::None {
            plan.needs.push((level, subject.name.clone()));
        }
        if is_changed {
            plan.changes.extend(change(world, subject, &edited, level));
            let entry = world.to_take_back(&subject.name);
            plan.taken_back.changes.extend(entry.map(|found| taken_back(world, found, level)));
        }
    }
    plan.edits = edited.edits(&world.configuration);
    plan.taken_back.edit = edited.edit_of_alter_system(&world.configuration);
    if world.running == Running::Down {
        // Nobody else writes that file now.
        plan.edits.extend(plan.taken_back.edit.take());
        plan.changes.append(&mut plan.taken_back.changes);
    }
    Ok(plan)
}

fn edit(world: &World, subject: &Subject, edited: &mut Edited) -> Result<(), Failure> {
    match &subject.wanted {
        Some(value) => edited.assign(&world.configuration, [(subject.name.as_str(), value.as_str())])?,
        None => edited.remove(&world.configuration, &subject.name)?,
    }
    if world.overriding { edited.take_back(&world.configuration, &subject.name) } else { Ok(()) }
}

fn is_changed(world: &World, subject: &Subject) -> bool {
    match subject.wanted {
        Some(_) => subject.present.as_ref() != Some(&subject.asked),
        None => world.to_take_out(&subject.name).is_some(),
    }
}

/// A change that something else beats would be reported and have no effect.
fn refuse_overridden(world: &World, subject: &Subject) -> Result<(), Failure> {
    let name = &subject.name;
    let found = world.by_alter_system(name).filter(|_| is_changed(world, subject));
    if let Some(found) = found.filter(|_| world.overriding && world.running == Running::Silent) {
        return Err(Failure::gave_up(format!("take back what ALTER SYSTEM set {name} to ({})", place(found)))
            .because(format!("only the server of {} may do that while it runs", world.cluster.title()))
            .because("it can't be asked")
            .hint(format!("name a superuser that it lets in: pg-conf get {} -U SUPERUSER", world.cluster.option())));
    }
    let Some(value) = &subject.wanted else { return Ok(()) };
    let refused = |by: String| Failure::refused(format!("{name} = {value} would have no effect")).because(by);
    if let Some(found) = found.filter(|_| !world.overriding) {
        let asked = shell_word(format!("{name}={value}").as_ref());
        let by = format!("ALTER SYSTEM set it to {} ({}), which beats the file", shown(&found.value), place(found));
        return Err(refused(by).hint(format!("pg-conf set --override {} {asked}", world.cluster.option())));
    }
    if let Some(given) = subject.on_command_line.as_ref().filter(|given| **given != subject.asked) {
        // As it was typed there: 6MB for 6144.
        let given = shown(command_line::value(&world.command_line, name).unwrap_or(given));
        let by = format!("the running server was started with {name} = {given} on its command line");
        return Err(without_command_line(world, refused(by)));
    }
    Ok(())
}

/// The way out of a command line. A restart leaves it behind, unless Debian's file gives it again.
fn without_command_line(world: &World, failure: Failure) -> Failure {
    let restart = format!("pg-cluster restart {}", world.cluster.option());
    match &world.pg_ctl_options {
        Some(file) => failure
            .because(format!("{} gives the server its options at every start", file.display()))
            .hint(format!("take it out of pg_ctl_options in {}, then: {restart}", file.display())),
        None => failure
            .because(format!("{}/postmaster.opts", world.cluster.data_directory.display()))
            .hint(format!("leave it behind by a restart: {restart}")),
    }
}

fn place(found: &Located) -> String {
    format!("{}:{}", found.file.display(), found.line)
}

/// What is as asked by somebody else's doing.
fn already(world: &World, subject: &Subject) -> Option<String> {
    let found = world.by_alter_system(&subject.name).filter(|_| subject.wanted.is_some())?;
    Some(format!("{} already is {}, by ALTER SYSTEM ({})", subject.name, shown(&found.value), place(found)))
}

/// What stays although it was taken out of the files.
fn left_to_alter_system(world: &World, subject: &Subject) -> Option<String> {
    let found = world.by_alter_system(&subject.name).filter(|_| subject.wanted.is_none() && !world.overriding)?;
    Some(format!(
        "{name} stays {value}: ALTER SYSTEM set it ({place}); pg-conf unset --override {cluster} {name}",
        name = subject.name,
        value = shown(&found.value),
        place = place(found),
        cluster = world.cluster.option()
    ))
}

fn left_to_command_line(world: &World, subject: &Subject) -> Option<String> {
    let given =
        subject.on_command_line.as_ref().filter(|given| subject.wanted.is_none() && **given != subject.asked)?;
    let given = command_line::value(&world.command_line, &subject.name).unwrap_or(given);
    Some(format!("{} stays {} while the server runs: it is on its command line", subject.name, shown(given)))
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

/// What changes in the files, ALTER SYSTEM's left aside; there it may already be as it is to be.
fn change(world: &World, subject: &Subject, edited: &Edited, level: Level) -> Option<Change> {
    let name = &subject.name;
    let located = edits::in_files(&world.configuration, name);
    if located.map(|found| &found.value) == subject.wanted.as_ref() {
        return None;
    }
    let file = edits::place(&world.configuration, name);
    let at = match subject.wanted {
        Some(_) => edited.line(&file, name),
        None => located.map(|found| found.line),
    };
    let before = located.map(|found| found.value.clone()).or_else(|| unwritten(world, subject));
    let mut change = Change::value("setting", name, before, subject.wanted.clone()).at(file, at);
    change.context = context(world, name);
    Some(words(level).into_iter().fold(change, Change::remark))
}

fn taken_back(world: &World, found: &Located, level: Level) -> Change {
    let mut change = Change::value("setting", &found.name, Some(found.value.clone()), None)
        .at(&found.file, Some(found.line))
        .remark(["ALTER SYSTEM RESET"].into_iter().chain(words(level)).collect::<Vec<_>>().join("; "));
    change.context = context(world, &found.name);
    change
}

fn context(world: &World, name: &str) -> Option<String> {
    let known = world.catalogue.find(name).map(|known| known.context.clone());
    world.running.live(name).map(|live| live.context.clone()).or(known)
}

/// What a change needs before it is in force.
pub fn words(level: Level) -> Option<&'static str> {
    match level {
        Level::None => None,
        Level::Reload => Some("reload needed"),
        Level::Restart => Some("restart needed"),
        Level::Start => Some("start needed"),
    }
}

/// The value before of a setting that no file names: as people write it where the server says so, 4MB for 4096.
fn unwritten(world: &World, subject: &Subject) -> Option<String> {
    let present = subject.present.as_ref()?;
    let shown = world.running.live(&subject.name).filter(|live| live.holds(present)).map(|live| &live.shown);
    Some(shown.unwrap_or(present).clone()).filter(|value| !value.is_empty())
}

fn shown(value: &str) -> String {
    if value.is_empty() { "''".into() } else { secret::shown(value) }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
