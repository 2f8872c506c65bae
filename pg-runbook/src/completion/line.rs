//! The words before the one that is completed, and the cluster and server that they mean.
//!
//! What must always hold: the cluster and the server are those that the tool would work on; a server is only asked where
//! its answer doesn't depend on a password that has to be typed or rights that are known to be missing, and it has to
//! answer soon.

use super::{limit, within};
use crate::cli::CommonArguments;
use crate::cli::run::environment_cluster;
use crate::cluster::{self, Cluster, State};
use crate::server::{ConnectionArguments, Defaults, Server};
use crate::{Failure, owner};
use clap::{ArgMatches, Command};
use std::ffi::OsString;
use std::path::PathBuf;

/// A command line in the making.
#[derive(Clone, Debug)]
pub struct Line {
    tool: String,
    matches: ArgMatches,
}

impl Line {
    /// Understands as much of the words as can be.
    pub(super) fn read(command: &Command, words: &[OsString]) -> Self {
        let matches = command.clone().try_get_matches_from(words).unwrap_or_default();
        Self { tool: command.get_name().into(), matches }
    }

    /// The words of an option or a positional argument so far.
    #[must_use]
    pub fn words(&self, id: &str) -> Vec<String> {
        let found = self.verb().try_get_many::<String>(id).ok().flatten();
        found.map(|values| values.cloned().collect()).unwrap_or_default()
    }

    fn word(&self, id: &str) -> Option<String> {
        self.words(id).pop()
    }

    fn verb(&self) -> &ArgMatches {
        self.matches.subcommand().map_or(&self.matches, |(_, matches)| matches)
    }

    /// The options that say which cluster is meant.
    #[must_use]
    pub fn common(&self) -> CommonArguments {
        let pgdata = self.verb().try_get_one::<PathBuf>("pgdata").ok().flatten().cloned();
        CommonArguments { cluster: self.word("cluster"), pgdata: pgdata.map(at_home), ..CommonArguments::default() }
    }

    /// The options that say which server is meant.
    #[must_use]
    pub fn connection(&self) -> ConnectionArguments {
        ConnectionArguments {
            host: self.word("host"),
            port: self.verb().try_get_one("port").ok().flatten().copied(),
            username: self.word("username"),
            dbname: self.word("dbname"),
            conninfo: self.word("conninfo"),
        }
    }

    /// The cluster that is meant; from here on the tool acts as its owner.
    pub fn cluster(&self) -> Result<Cluster, Failure> {
        let mut cluster = match self.common().named_cluster()? {
            Some(named) => named,
            None => environment_cluster()?.map_or_else(cluster::only, |(_, named)| Ok(named))?,
        };
        owner::act_as(&cluster.owner()?)?;
        cluster.refresh();
        Ok(cluster)
    }

    /// What the server that is meant answers; nothing where it doesn't, or may not be asked.
    #[must_use]
    pub fn ask(&self, sql: &'static str) -> Vec<Vec<String>> {
        let common = self.common();
        if common.cluster.is_none() && common.pgdata.is_none() && self.connection().names_a_server() {
            return self.ask_named_server(sql);
        }
        let Ok(cluster) = self.cluster() else { return Vec::new() };
        let says_who = self.connection().username.is_some() || std::env::var_os("PGUSER").is_some();
        let may = says_who || cluster.owner().is_ok_and(|owner| owner::reaches(owner.uid.as_raw()));
        if !may || cluster.state != State::Running {
            return Vec::new();
        }
        self.ask_by(Defaults::of_cluster(&cluster, &self.tool), sql)
    }

    /// The same of a server that is no cluster's of this host.
    #[must_use]
    pub fn ask_named_server(&self, sql: &'static str) -> Vec<Vec<String>> {
        self.ask_by(Ok(Defaults::of_named_server(&self.tool)), sql)
    }

    fn ask_by(&self, defaults: Result<Defaults, Failure>, sql: &'static str) -> Vec<Vec<String>> {
        let Ok(mut target) = defaults.and_then(|defaults| self.connection().resolve(&defaults)) else {
            return Vec::new();
        };
        // Less than the whole answer may take, so that files can still tell what the server doesn't.
        let its_limit = limit().mul_f64(0.6);
        target.connect_timeout = Some(its_limit);
        let ask = move || {
            let mut server = Server::connect(&target)?;
            server.batch("SET statement_timeout = '1s'")?;
            server.texts(sql)
        };
        let rows = within(its_limit, ask).and_then(Result::ok).unwrap_or_default();
        rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
    }
}

/// A shell completes `~/data` before it is the folder that is meant.
fn at_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction, Args};

    fn line(words: &[&str]) -> Line {
        let command = CommonArguments::augment_args(Command::new("pg-x")).ignore_errors(true).subcommand(
            ConnectionArguments::augment_args(Command::new("set").disable_help_flag(true))
                .arg(Arg::new("settings").num_args(1..).required(true))
                .arg(Arg::new("force").long("force").action(ArgAction::SetTrue)),
        );
        let mut command = command.disable_help_flag(true);
        command.build();
        Line::read(&command, &words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn knows_the_cluster_wherever_it_was_typed() {
        for words in [
            &["pg-x", "--cluster", "15/main", "set", "a=b"][..],
            &["pg-x", "set", "--cluster=15/main"],
            &["pg-x", "set", "--force", "--cluster", "15/main", "--input"],
            &["pg-x", "set", "-D", "/srv/x", "--cluster", "15/main", "a=b", "--from", "x", "-p"],
        ] {
            assert_eq!(line(words).common().cluster.as_deref(), Some("15/main"), "{words:?}");
        }
        assert_eq!(line(&["pg-x", "set", "-D/srv/x", "a"]).common().pgdata, Some("/srv/x".into()));
    }

    #[test]
    fn knows_the_server_and_what_was_typed_already() {
        let line = line(&["pg-x", "set", "a=b", "-h", "db1", "c=d", "-p", "5433", "-U"]);
        assert_eq!((line.connection().host.as_deref(), line.connection().port), (Some("db1"), Some(5433)));
        assert_eq!(line.words("settings"), ["a=b", "c=d"]);
        assert!(line.words("of_another_verb").is_empty());
    }
}
