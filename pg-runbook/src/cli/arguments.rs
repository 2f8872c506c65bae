//! The options that every tool has.

use crate::cluster::{self, Cluster};
use crate::completion;
use crate::failure::Failure;
use clap::{ArgAction, Args, ValueEnum, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

/// Flattened into every tool's arguments.
#[derive(Args, Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of its own, named by the contract.
pub struct CommonArguments {
    /// Debian's name of the cluster [env: PGCLUSTER]
    ///
    /// It is VERSION/NAME, such as 17/main. Without this and -D it is the document's cluster,
    /// or the only one on this host.
    #[arg(long, value_name = "VERSION/NAME", global = true, conflicts_with = "pgdata", help_heading = "Which cluster", add = completion::of(completion::clusters))]
    pub cluster: Option<String>,
    /// The cluster's data directory [env: PGDATA]
    #[arg(short = 'D', long = "pgdata", value_name = "DIRECTORY", global = true, help_heading = "Which cluster", add = completion::of(completion::data_directories))]
    pub pgdata: Option<PathBuf>,
    /// Report what would be done
    ///
    /// Nothing is changed; tools further down the pipeline only report too.
    #[arg(long, global = true, help_heading = "What to do")]
    pub check: bool,
    /// Add before and after to the document
    #[arg(long, global = true, help_heading = "What to do")]
    pub diff: bool,
    /// Give up after this long when another tool works on the cluster [default: wait]
    #[arg(hide_short_help = true, long, value_name = "SECONDS", global = true, value_parser = seconds, help_heading = "What to do")]
    pub lock_timeout: Option<Duration>,
    /// Read the upstream document from here
    ///
    /// With -, standard input is read, whatever it is; over ssh that is the session's own, which only a verb that disturbs
    /// a server reads without being told.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "no_input", help_heading = "Input and output", value_hint = ValueHint::FilePath)]
    pub input: Option<PathBuf>,
    /// Don't read standard input
    #[arg(long, global = true, help_heading = "Input and output")]
    pub no_input: bool,
    /// Refuse to run without an upstream document
    #[arg(hide_short_help = true, long, global = true, conflicts_with = "no_input", help_heading = "Input and output")]
    pub require_input: bool,
    /// The form of standard output
    ///
    /// [default: text on a terminal, else json]
    #[arg(long, value_name = "FORM", global = true, help_heading = "Input and output")]
    pub output: Option<OutputForm>,
    /// Exit 10 instead of 0 where something changed
    #[arg(hide_short_help = true, long, global = true, help_heading = "Input and output")]
    pub detailed_exitcode: bool,
    /// Only errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Input and output")]
    pub quiet: bool,
    /// Show the commands that are run
    #[arg(short, long, global = true, help_heading = "Input and output")]
    pub verbose: bool,
    /// Run as an Ansible module with the options in this JSON file
    #[arg(hide_short_help = true, long, value_name = "FILE", global = true, help_heading = "Input and output", value_hint = ValueHint::FilePath)]
    pub ansible: Option<PathBuf>,
    /// Show the JSON Schema of the documents
    #[arg(hide_short_help = true, long, global = true, help_heading = "Input and output")]
    pub schema: bool,
    /// This; --help has more words and examples
    #[arg(short = '?', long, global = true, action = ArgAction::Help, help_heading = "Input and output")]
    pub help: Option<bool>,
}

impl CommonArguments {
    /// The cluster that the command line names.
    pub fn named_cluster(&self) -> Result<Option<Cluster>, Failure> {
        if let Some(name) = &self.cluster {
            return cluster::named(name).map(Some);
        }
        self.pgdata.as_deref().map(cluster::at).transpose()
    }
}

/// The forms of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// One document.
    Json,
    /// A short account for people.
    Text,
}

/// A number of seconds, whole or not. One that a server's `statement_timeout` can't hold (milliseconds in 31 bits) would
/// come up only in the middle of the work.
pub fn seconds(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(2_000_000);
    let number: f64 = text.parse().map_err(|_| "it is a number of seconds, such as 30 or 0.5".to_owned())?;
    let duration =
        Duration::try_from_secs_f64(number).map_err(|_| "it is a number of seconds, not below 0".to_owned())?;
    if duration > LONGEST { Err("it is at most 2000000 seconds".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_that_a_server_can_count() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("2e6").is_ok());
        for text in ["2000001", "1e19", "inf", "nan", "-1", "soon", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
