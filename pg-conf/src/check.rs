//! `pg-conf check`: the whole configuration judged, nothing changed.
//!
//! What must always hold: every problem that can be seen is told in one run, each with its file and line.

use crate::args::CheckArguments;
use crate::edits;
use crate::hba_file::Record;
use crate::hba_tree;
use crate::running;
use crate::settings::World;
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::cross_checks;
use pg_runbook::configuration::judge::Rejection;
use pg_runbook::{Failure, Run, durable_file, service};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Problem {
    file: PathBuf,
    line: Option<usize>,
    message: String,
}

impl Problem {
    fn shown(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}: {}", self.file.display(), self.message)
    }
}

/// `pg-conf check`
pub fn check(run: &mut Run, arguments: &CheckArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let world = World::of(&cluster)?;
    let mut problems = of_settings(&world)?;
    problems.extend(of_rules(&cluster)?);
    let mut told: Vec<String> = problems.iter().map(Problem::shown).collect();
    if let Some(mut server) = running::connect(run, &cluster, &arguments.connection) {
        for error in service::configuration_errors(&mut server)? {
            add_unless_known(&mut told, error);
        }
    }
    run.fact("problems", &told);
    if told.is_empty() {
        run.message(format!("the configuration of {} is sound", cluster.title()));
        return Ok(());
    }
    let count = if told.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", told.len()) };
    let failure = Failure::failed(format!("the configuration of {} has {count}", cluster.title()));
    let place = problems.iter().find_map(|problem| Some((problem.file.clone(), problem.line?)));
    let failure = told.into_iter().fold(failure, Failure::because);
    Err(match place {
        Some((file, line)) => failure.hint(format!("sed -n {line}p {}", file.display())),
        None => failure,
    })
}

/// The running server reads the same files, so it mostly says the same again.
fn add_unless_known(told: &mut Vec<String>, error: String) {
    let place = |text: &str| text.split(": ").next().unwrap_or_default().to_owned();
    let same = |known: &String| place(known) == place(&error) && error.contains(':');
    if !told.iter().any(same) {
        told.push(error);
    }
}

fn of_settings(world: &World) -> Result<Vec<Problem>, Failure> {
    let mut problems: Vec<Problem> = world
        .configuration
        .syntax_errors()
        .into_iter()
        .map(|(file, line)| Problem { file, line: Some(line), message: "syntax error".into() })
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
                let file = found.map_or(world.configuration.main_file(), |found| &found.file).to_owned();
                Problem { file, line: found.map(|found| found.line), message: violation.message }
            },
        )),
    }
    Ok(problems)
}

/// The server names the line of an unknown name (`… in file "x" line 3`) and not that of a bad value.
fn located(world: &World, line: &str) -> Problem {
    if let Some((message, file, number)) = place_at_end(line) {
        return Problem { file, line: Some(number), message };
    }
    let found = Rejection::parameter(line).and_then(|name| {
        let name = name.to_ascii_lowercase();
        world.configuration.in_force(&name).or_else(|| edits::in_files(&world.configuration, &name))
    });
    let file = found.map_or(world.configuration.main_file(), |found| &found.file).to_owned();
    Problem { file, line: found.map(|found| found.line), message: line.to_owned() }
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
        return Ok(vec![Problem { file: path.to_owned(), line: None, message: "there is no such file".into() }]);
    };
    let records = hba_tree::records(path, &bytes, cluster.major)?;
    let problem = |found: hba_tree::Found| match found.record {
        Record::Invalid { line, reason, .. } => Some(Problem { file: found.file, line: Some(line), message: reason }),
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
        assert!(place_at_end("invalid value for parameter \"wal_level\": \"x\"").is_none());
    }

    #[test]
    fn tells_a_problem_once() {
        let mut told = vec!["/etc/x:3: invalid value for parameter \"a\"".to_owned()];
        add_unless_known(&mut told, "/etc/x:3: a: setting is wrong".into());
        add_unless_known(&mut told, "/etc/x:4: b: setting is wrong".into());
        assert_eq!(told.len(), 2);
    }
}
