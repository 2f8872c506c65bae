//! What the files, the server program and the running server say of the settings that are wanted.

use super::candidate::Candidate;
use super::{Wanted, concerns, replication};
use crate::running::{self, Running};
use crate::settings::catalogue::Catalogue;
use crate::settings::command_line;
use crate::settings::edits;
use crate::settings::versions;
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::judge::{self, Judge, Rejection};
use pg_runbook::configuration::{Configuration, Located, cross_checks};
use pg_runbook::server::ConnectionArguments;
use pg_runbook::{Failure, Run};
use std::path::PathBuf;

/// Everything that a plan looks at.
pub struct World {
    /// Where the cluster is.
    pub cluster: Cluster,
    /// Its files.
    pub configuration: Configuration,
    /// The server's own parser.
    pub judge: Judge,
    /// The settings that the server has.
    pub catalogue: Catalogue,
    /// What the running server was started with, as it was typed.
    pub command_line: Vec<(String, String)>,
    /// Debian's file of options for `pg_ctl`, where it has any.
    pub pg_ctl_options: Option<PathBuf>,
    /// What the running server has in force.
    pub running: Running,
    /// What deserves a look about what is wanted, although the server takes it.
    pub concerns: Vec<String>,
    /// Whether what ALTER SYSTEM set is to be taken back where it beats what is wanted.
    pub overriding: bool,
}

/// One wanted setting, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// In lower case.
    pub name: String,
    /// The value that is asked for; nothing to take it out.
    pub wanted: Option<String>,
    /// What it will be, in canonical form.
    pub asked: String,
    /// What the files make it now; nothing where they are refused.
    pub present: Option<String>,
    /// The running server's command line, where it names this setting.
    pub on_command_line: Option<String>,
}

impl World {
    /// Reads the cluster's files.
    pub fn of(cluster: &Cluster) -> Result<Self, Failure> {
        Ok(Self {
            configuration: cluster.configuration()?,
            judge: Judge::of(cluster)?,
            catalogue: Catalogue::of(cluster.major)?,
            command_line: command_line::settings(cluster),
            pg_ctl_options: command_line::pg_ctl_options(cluster),
            running: Running::Down,
            concerns: Vec::new(),
            overriding: false,
            cluster: cluster.clone(),
        })
    }

    /// What ALTER SYSTEM set this to, where that is in force.
    pub fn by_alter_system(&self, name: &str) -> Option<&Located> {
        self.configuration.in_force(name).filter(|found| found.from_alter_system)
    }

    /// The same, where it is to be taken back.
    pub fn to_take_back(&self, name: &str) -> Option<&Located> {
        self.by_alter_system(name).filter(|_| self.overriding)
    }

    /// An assignment that goes when this setting is unset.
    pub fn to_take_out(&self, name: &str) -> Option<&Located> {
        edits::in_files(&self.configuration, name).or_else(|| self.to_take_back(name))
    }

    /// Whether the server has a setting of this name; a failure says which one was probably meant.
    pub fn require_known(&self, name: &str) -> Result<(), Failure> {
        let letters = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.$".contains(c));
        if !plain || !name.split('.').all(letters) {
            return Err(Failure::usage(format!("{name:?} can't be the name of a setting")).hint("pg-conf get"));
        }
        if self.catalogue.find(name).is_some() || name.contains('.') {
            return Ok(());
        }
        match self.judge.over_nothing(judge::empty_folder()?.path()).value(name)? {
            Err(rejection) if rejection.is_unknown_name() => Err(self.unknown(name)),
            _ => Ok(()),
        }
    }

    fn unknown(&self, name: &str) -> Failure {
        let failure = Failure::usage(format!("PostgreSQL {} has no setting {name:?}", self.cluster.major));
        if let Some((why, hint)) = versions::elsewhere(name, self.cluster.major) {
            let hint = hint.map(|command| format!("{command} {}", self.cluster.option()));
            return hint.into_iter().fold(failure.because(why), Failure::hint);
        }
        match self.catalogue.nearest(name) {
            Some(near) => failure
                .because(format!("the nearest name that it has is {near}"))
                .hint(format!("pg-conf get {} {near}", self.cluster.option())),
            None => failure.hint("see them all: psql -c 'SELECT name, short_desc FROM pg_settings'"),
        }
    }

    /// Has the server judge what is wanted, all of it together. A candidate file is only written where something may
    /// have to change.
    pub fn examine(&self, wanted: &[Wanted]) -> Result<Vec<Subject>, Failure> {
        let mut presents = Vec::new();
        for one in wanted {
            presents.push(self.judge.value(&one.name)?);
        }
        let pairs = || wanted.iter().zip(&presents);
        let open: Vec<&Wanted> =
            pairs().filter(|(one, present)| !self.is_settled(one, present.as_ref().ok())).map(|(one, _)| one).collect();
        let candidate = if open.is_empty() { None } else { Some(Candidate::of(self, &open)?) };
        let mut subjects = Vec::new();
        for (one, present) in pairs() {
            let asked = match (&candidate, present) {
                (Some(candidate), _) if open.contains(&one) => self.judged(one, &candidate.judge)?,
                (_, Ok(present)) => present.clone(),
                // Of an extension that isn't loaded, and in no file.
                (_, Err(rejection)) if one.value.is_none() && is_unknown(rejection, &one.name) => String::new(),
                (_, Err(rejection)) => return Err(self.broken(rejection)),
            };
            subjects.push(Subject {
                name: one.name.clone(),
                wanted: one.value.clone(),
                asked,
                present: present.clone().ok(),
                on_command_line: self.canonical_command_line(&one.name)?,
            });
        }
        if let Some(candidate) = candidate {
            self.cross_check(&open, &candidate.judge)?;
            replication::refuse_below(self, &open, &candidate.judge)?;
        }
        Ok(subjects)
    }

    /// Asks the running server, where there is one.
    pub fn look_at_server(
        &mut self,
        run: &mut Run,
        cluster: &Cluster,
        wanted: &[Wanted],
        connection: &ConnectionArguments,
    ) -> Result<(), Failure> {
        let names: Vec<String> = wanted.iter().map(|one| one.name.clone()).collect();
        self.running = running::look(run, cluster, &names, connection)?;
        self.concerns = concerns::of(self, &names, &|name| wanted.iter().find(|one| one.name == name)?.value.clone())?;
        Ok(())
    }

    /// Whether it can be seen without a candidate that nothing has to be written.
    fn is_settled(&self, one: &Wanted, present: Option<&String>) -> bool {
        match &one.value {
            None => self.to_take_out(&one.name).is_none(),
            Some(value) => {
                let stands = self.configuration.in_force(&one.name).is_some_and(|found| found.value == *value);
                present.is_some() && (stands || present == Some(value))
            }
        }
    }

    fn judged(&self, one: &Wanted, judge: &Judge) -> Result<String, Failure> {
        let answer = match &one.value {
            Some(value) => judge.value_of(&one.name, value)?,
            // One that this version doesn't know was rightly taken out, if the rest is well.
            None => match judge.value(&one.name)? {
                Err(rejection) if rejection.is_unknown_name() && judge.value("wal_level")?.is_ok() => Ok(String::new()),
                answer => answer,
            },
        };
        answer.map_err(|rejection| self.refused(one, &rejection))
    }

    /// Whether it is the wanted value that the server doesn't take, or what stood in the files before.
    fn refused(&self, one: &Wanted, rejection: &Rejection) -> Failure {
        let about_it = rejection.lines.iter().any(|line| Rejection::parameter(line) == Some(&one.name));
        if !about_it && let Ok(Err(before)) = self.judge.value("wal_level") {
            return self.broken(&before);
        }
        let what = one.value.as_ref().map_or_else(|| one.name.clone(), |value| format!("{} = {value}", one.name));
        let failure = Failure::usage(format!("PostgreSQL {} does not take {what}", self.cluster.major));
        rejection.lines.iter().fold(failure, Failure::because)
    }

    fn broken(&self, rejection: &Rejection) -> Failure {
        let main = self.configuration.main_file().display();
        let failure = Failure::failed(format!("the server does not take {main} as it is, before any change"));
        rejection.lines.iter().fold(failure, Failure::because).hint(format!("pg-conf check {}", self.cluster.option()))
    }

    fn canonical_command_line(&self, name: &str) -> Result<Option<String>, Failure> {
        let Some(value) = command_line::value(&self.command_line, name) else { return Ok(None) };
        Ok(Some(self.judge.value_of(name, value)?.unwrap_or_else(|_| value.to_owned())))
    }

    fn cross_check(&self, open: &[&Wanted], judge: &Judge) -> Result<(), Failure> {
        if !open.iter().any(|one| cross_checks::NAMES.contains(&one.name.as_str())) {
            return Ok(());
        }
        let found = cross_checks::of_configuration(judge, self.cluster.major)?;
        let Some(first) = found.first() else { return Ok(()) };
        let asked: Vec<String> = open.iter().map(|one| spelled(one)).collect();
        let failure = Failure::usage(format!("the server would not start with {}", asked.join(", ")));
        Err(found.iter().fold(failure, |failure, violation| failure.because(&violation.message)).hint(format!(
            "pg-conf get {} {} {}",
            self.cluster.option(),
            first.other,
            first.name
        )))
    }
}

/// Whether it is this setting that the server doesn't have.
fn is_unknown(rejection: &Rejection, name: &str) -> bool {
    rejection.is_unknown_name() && rejection.lines.iter().any(|line| Rejection::parameter(line) == Some(name))
}

fn spelled(one: &Wanted) -> String {
    one.value.as_ref().map_or_else(|| format!("{} unset", one.name), |value| format!("{} = {value}", one.name))
}
