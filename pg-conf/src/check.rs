//! `pg-conf check`: the whole configuration judged, nothing changed.
//!
//! What must always hold: every problem that can be seen is told in one run, each with its file and line.

use crate::args::CheckArguments;
use crate::rules::hba_file::Record;
use crate::rules::hba_tree;
use crate::rules::scratch;
use crate::running;
use crate::settings::edits;
use crate::settings::versions;
use crate::settings::{World, concerns, replication};
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::judge::Rejection;
use pg_runbook::configuration::{ALTER_SYSTEM_FILE, cross_checks};
use pg_runbook::invocation::shell_word;
use pg_runbook::{Failure, Run, durable_file, service};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One thing that is wrong, as the document has it under `problems`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// The file; null where the server doesn't say.
    file: Option<PathBuf>,
    /// The line there, counted from 1; null where that isn't known.
    line: Option<usize>,
    /// What is wrong.
    message: String,
}

impl Problem {
    fn at(file: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { file: Some(file.to_owned()), line, message: message.into() }
    }

    /// `FILE:LINE: message`, with `?` and 0 for what the server doesn't know.
    fn told_by_server(text: &str) -> Self {
        let (place, message) = text.split_once(": ").unwrap_or(("", text));
        let (file, line) = place.rsplit_once(':').unwrap_or((place, ""));
        Self {
            file: Some(PathBuf::from(file)).filter(|_| !["", "?"].contains(&file)),
            line: line.parse().ok().filter(|line| *line > 0),
            message: message.to_owned(),
        }
    }

    /// The command that shows the line; nobody edits ALTER SYSTEM's file, so of that the one that takes it out.
    fn hint(&self, cluster: &Cluster) -> Option<String> {
        let (file, line) = (self.file.as_ref()?, self.line?);
        match Rejection::parameter(&self.message) {
            Some(name) if file.ends_with(ALTER_SYSTEM_FILE) => {
                Some(format!("pg-conf unset --override {} {name}", cluster.option()))
            }
            _ => Some(format!("sed -n {line}p {}", shell_word(file.as_os_str()))),
        }
    }

    fn shown(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        let file = self.file.as_ref().map(|file| format!("{}{line}: ", file.display())).unwrap_or_default();
        format!("{file}{}", self.message)
    }
}

/// `pg-conf check`
pub fn check(run: &mut Run, arguments: &CheckArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let world = World::of(&cluster)?;
    let mut problems = of_settings(&world)?;
    let warnings = if problems.is_empty() { warnings(&world)? } else { Vec::new() };
    let is_all = warnings.is_empty();
    for warning in warnings {
        run.warn(warning);
    }
    problems.extend(of_rules(&cluster)?);
    for error in told_by_server(run, &cluster, arguments)? {
        add_unless_known(&mut problems, error);
    }
    run.fact("problems", &problems);
    if problems.is_empty() {
        let but = if is_all { "" } else { ", but for what is warned of" };
        run.message(format!("the configuration of {} is sound{but}", cluster.title()));
        return Ok(());
    }
    let count = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    let failure = Failure::failed(format!("the configuration of {} has {count}", cluster.title()));
    let failure = problems.iter().map(Problem::shown).fold(failure, Failure::because);
    let hint = problems.iter().find_map(|problem| problem.hint(&cluster));
    Err(hint.into_iter().fold(failure, Failure::hint))
}

/// The cluster's own server is asked, or where none answers a scratch server about the rules.
fn told_by_server(run: &mut Run, cluster: &Cluster, arguments: &CheckArguments) -> Result<Vec<Problem>, Failure> {
    if let Some(mut server) = running::connect(run, cluster, &arguments.connection) {
        let errors = service::configuration_errors(&mut server)?;
        return Ok(errors.iter().map(|error| Problem::told_by_server(error)).collect());
    }
    let errors = scratch::errors(cluster).unwrap_or_else(|failure| {
        run.warn(format!("the rules could not be tried on a scratch server: {failure}"));
        Vec::new()
    });
    Ok(errors.into_iter().map(|error| Problem::at(&error.file, Some(error.line), error.error)).collect())
}

/// The running server reads the same files, so it mostly says the same again.
fn add_unless_known(problems: &mut Vec<Problem>, found: Problem) {
    if !problems.iter().any(|known| (&known.file, known.line) == (&found.file, found.line)) {
        problems.push(found);
    }
}

/// What deserves a look in a configuration that the server takes.
fn warnings(world: &World) -> Result<Vec<String>, Failure> {
    let mut told = concerns::of(world, &concerns::names(), &|_| None)?;
    let names: BTreeSet<&String> = world.configuration.assignments().iter().map(|located| &located.name).collect();
    for name in names {
        let (Some(by), Some(file)) = (world.by_alter_system(name), edits::in_files(&world.configuration, name)) else {
            continue;
        };
        if world.judge.value(name)? != world.judge.value_of(name, &file.value)? {
            told.push(format!(
                "{name} = {} ({}:{}) has no effect: ALTER SYSTEM set it to {} ({}:{}); \
                 pg-conf unset --override {} {name} takes both away",
                file.value,
                file.file.display(),
                file.line,
                by.value,
                by.file.display(),
                by.line,
                world.cluster.option()
            ));
        }
    }
    for (name, given) in &world.command_line {
        let Some(file) = world.configuration.in_force(name) else { continue };
        if world.judge.value(name)? != world.judge.value_of(name, given)? {
            let place = format!("{}:{}", file.file.display(), file.line);
            let value = &file.value;
            told.push(format!("{name} = {value} ({place}) has no effect: the server's command line says {given}"));
        }
    }
    Ok(told)
}

fn of_settings(world: &World) -> Result<Vec<Problem>, Failure> {
    let mut problems: Vec<Problem> = world
        .configuration
        .syntax_errors()
        .into_iter()
        .map(|(file, line)| Problem::at(&file, Some(line), "syntax error"))
        .collect();
    match world.judge.value("wal_level")? {
        Err(rejection) if problems.is_empty() => {
            problems.extend(rejection.lines.iter().map(|line| located(world, line)));
        }
        Err(_) => {}
        Ok(_) => problems.extend(cross_checks::of_configuration(&world.judge, world.cluster.major)?.into_iter().map(
            |violation| {
                let found =
                    world.configuration.in_force(violation.name).or_else(|| world.configuration.in_force("wal_level"));
                let file = found.map_or(world.configuration.main_file(), |found| &found.file);
                Problem::at(file, found.map(|found| found.line), violation.message)
            },
        )),
    }
    if problems.is_empty() {
        problems.extend(replication::below(world, &world.judge)?.into_iter().map(|below| {
            let found = world.configuration.in_force(below.name);
            let file = found.map_or(world.configuration.main_file(), |found| &found.file);
            Problem::at(file, found.map(|found| found.line), below.message)
        }));
    }
    Ok(problems)
}

/// The server names the line of an unknown name (`… in file "x" line 3`) and not that of a bad value.
fn located(world: &World, line: &str) -> Problem {
    if let Some((message, file, number)) = place_at_end(line) {
        return Problem::at(&file, Some(number), explained(message, world.cluster.major));
    }
    let found = Rejection::parameter(line).and_then(|name| {
        let name = name.to_ascii_lowercase();
        world.configuration.in_force(&name).or_else(|| edits::in_files(&world.configuration, &name))
    });
    let file = found.map_or(world.configuration.main_file(), |found| &found.file);
    Problem::at(file, found.map(|found| found.line), line)
}

/// A setting that the server doesn't know may be one that came or went.
fn explained(message: String, major: u32) -> String {
    let name = Rejection::parameter(&message).map(str::to_ascii_lowercase).unwrap_or_default();
    match versions::elsewhere(&name, major) {
        Some((why, _)) if message.starts_with("unrecognized") => format!("{message}: {why}"),
        _ => message,
    }
}

fn place_at_end(line: &str) -> Option<(String, PathBuf, usize)> {
    let (message, rest) = line.split_once(" in file \"")?;
    let (file, rest) = rest.split_once("\" line ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((message.to_owned(), PathBuf::from(file), digits.parse().ok()?))
}

fn of_rules(cluster: &Cluster) -> Result<Vec<Problem>, Failure> {
    let path: &Path = &cluster.hba_file;
    let Some(bytes) = durable_file::read(path)? else {
        return Ok(vec![Problem::at(path, None, "there is no such file")]);
    };
    let records = hba_tree::records(path, &bytes, cluster.major)?;
    let problem = |found: hba_tree::Found| match found.record {
        Record::Invalid { line, reason, .. } => Some(Problem::at(&found.file, Some(line), reason)),
        _ => None,
    };
    Ok(records.into_iter().filter_map(problem).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_place_in_the_words_of_the_server() {
        let line = "unrecognized configuration parameter \"nosuch\" in file \"/etc/x.conf\" line 817";
        let (message, file, number) = place_at_end(line).unwrap();
        assert_eq!(message, "unrecognized configuration parameter \"nosuch\"");
        assert_eq!((file, number), (PathBuf::from("/etc/x.conf"), 817));
        let went = explained("unrecognized configuration parameter \"checkpoint_segments\"".into(), 15);
        assert!(went.contains("went with PostgreSQL 9.5"), "{went}");
        assert_eq!(explained(message.clone(), 15), message);
        assert!(place_at_end("invalid value for parameter \"wal_level\": \"x\"").is_none());
    }

    #[test]
    fn tells_a_problem_once() {
        let mut told = vec![Problem::at(Path::new("/etc/x"), Some(3), "invalid value for parameter \"a\"")];
        add_unless_known(&mut told, Problem::told_by_server("/etc/x:3: a: setting is wrong"));
        add_unless_known(&mut told, Problem::told_by_server("/etc/x:4: b: setting is wrong"));
        add_unless_known(&mut told, Problem::told_by_server("?:0: b: something else"));
        let shown: Vec<String> = told.iter().skip(1).map(Problem::shown).collect();
        assert_eq!(shown, ["/etc/x:4: b: setting is wrong", "b: something else"]);
    }
}
