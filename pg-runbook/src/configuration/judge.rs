//! The server's own parser (`postgres -C`): what a value comes to, and what is wrong with a file.
//!
//! What must always hold: nothing is judged here by rules of ours, and nothing that the server reads is changed. Of
//! what it only notices at start it says nothing: see [`super::cross_checks`].

use super::{ConfFile, Configuration};
use crate::cluster::{Cluster, programs};
use crate::invocation::Invocation;
use crate::{Attempt, Failure, durable_file};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A server program, and the configuration that it is to read.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    program: PathBuf,
    data_directory: PathBuf,
    config_file: PathBuf,
    /// Whether `data_directory` stands in for the one that the configuration may name.
    stands_in: bool,
    /// What was already asked: each question starts a program.
    answers: RefCell<BTreeMap<(String, Option<String>), Answer>>,
}

/// What the server said against a value or a file, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// In the server's own words.
    pub lines: Vec<String>,
}

/// The server's answer: a value in its canonical form (numbers in base units, `on` and `off`), or what is wrong.
pub type Answer = Result<String, Rejection>;

impl Judge {
    /// The judge of a cluster's configuration as it is.
    pub fn of(cluster: &Cluster) -> Result<Self, Failure> {
        Ok(Self {
            program: programs::server(cluster.major, "postgres")?,
            data_directory: cluster.data_directory.clone(),
            config_file: cluster.config_file.clone(),
            stands_in: false,
            answers: RefCell::default(),
        })
    }

    /// The same server over another file.
    #[must_use]
    pub fn over(&self, config_file: &Path) -> Self {
        Self { config_file: config_file.to_owned(), answers: RefCell::default(), ..self.clone() }
    }

    /// The same server without any configuration: `folder` is empty and takes the place of the data directory.
    #[must_use]
    pub fn over_nothing(&self, folder: &Path) -> Self {
        Self { data_directory: folder.to_owned(), ..self.over(Path::new("/dev/null")) }
    }

    /// The same server with the postgresql.auto.conf of another folder.
    #[must_use]
    pub fn with_alter_system_of(&self, folder: &Path) -> Self {
        Self { data_directory: folder.to_owned(), stands_in: true, answers: RefCell::default(), ..self.clone() }
    }

    /// The value that the configuration gives this setting.
    pub fn value(&self, name: &str) -> Result<Answer, Failure> {
        self.ask(name, None)
    }

    /// What `value` comes to for this setting, whatever the files and postgresql.auto.conf say.
    pub fn value_of(&self, name: &str, value: &str) -> Result<Answer, Failure> {
        self.ask(name, Some(value))
    }

    fn ask(&self, name: &str, value: Option<&str>) -> Result<Answer, Failure> {
        let question = (name.to_owned(), value.map(str::to_owned));
        if let Some(known) = self.answers.borrow().get(&question) {
            return Ok(known.clone());
        }
        let answer = self.ask_server(name, value)?;
        self.answers.borrow_mut().insert(question, answer.clone());
        Ok(answer)
    }

    fn ask_server(&self, name: &str, value: Option<&str>) -> Result<Answer, Failure> {
        let mut invocation = Invocation::new(&self.program).arg("-C").arg(name).arg("-D").arg(&self.data_directory);
        // Its messages bare and in English, unless that is what is asked about.
        for (pinned, to) in [("log_line_prefix", ""), ("lc_messages", "C")] {
            if pinned != name {
                invocation = invocation.arg("-c").arg(format!("{pinned}={to}"));
            }
        }
        invocation = invocation.arg("-c").arg(format!("config_file={}", self.config_file.display()));
        if self.stands_in && name != "data_directory" {
            invocation = invocation.arg("-c").arg(format!("data_directory={}", self.data_directory.display()));
        }
        if let Some(value) = value {
            invocation = invocation.arg("-c").arg(format!("{name}={value}"));
        }
        let completed = invocation.outcome()?;
        if completed.status.success() {
            let value = completed.stdout.strip_suffix('\n').unwrap_or(&completed.stdout);
            return Ok(Ok(value.to_owned()));
        }
        let lines = words(&completed.stderr);
        if lines.is_empty() { Err(invocation.failure(&completed)) } else { Ok(Err(Rejection { lines })) }
    }
}

impl Rejection {
    /// Whether the server has no setting of this name.
    #[must_use]
    pub fn is_unknown_name(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with("unrecognized configuration parameter"))
    }

    /// The setting that a line is about: `invalid value for parameter "wal_level": "x"`.
    #[must_use]
    pub fn parameter(line: &str) -> Option<&str> {
        let (_, rest) = line.split_once("parameter \"")?;
        rest.split_once('"').map(|(name, _)| name)
    }
}

/// Without the severities, and without the line that only says that there were others.
fn words(stderr: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in stderr.lines() {
        let (severity, text) = line.split_once(":  ").unwrap_or(("", line));
        match severity {
            "HINT" | "DETAIL" if !lines.is_empty() => {
                let last = lines.len() - 1;
                lines[last] = format!("{} ({text})", lines[last]);
            }
            "FATAL" if text.ends_with("contains errors") && !lines.is_empty() => {}
            _ if text.trim().is_empty() => {}
            _ => lines.push(text.to_owned()),
        }
    }
    lines
}

/// The configuration with edited files in their places, as one file for the server to read; gone when dropped.
pub fn candidate(configuration: &Configuration, edited: &[(PathBuf, ConfFile)]) -> Result<NamedTempFile, Failure> {
    let (main, text) = (configuration.main_file(), configuration.flattened(edited));
    // Its includes are absolute, so where the folder isn't ours to write in, any other does.
    durable_file::candidate(main, &text).or_else(|_| {
        let name = main.file_name().unwrap_or_default();
        durable_file::candidate(&std::env::temp_dir().join(name), &text)
    })
}

/// An empty folder; gone when dropped.
pub fn empty_folder() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir().attempt(|| "make an empty folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_words_of_the_server_and_drops_what_says_nothing() {
        let said = "LOG:  invalid value for parameter \"wal_level\": \"bogus\"\n\
            HINT:  Available values: minimal, replica, logical.\n\
            FATAL:  configuration file \"/etc/x\" contains errors\n";
        let expected =
            "invalid value for parameter \"wal_level\": \"bogus\" (Available values: minimal, replica, logical.)";
        assert_eq!(words(said), [expected]);
        assert_eq!(Rejection::parameter(expected), Some("wal_level"));
        let alone = "FATAL:  unrecognized configuration parameter \"x\"\n";
        assert!(Rejection { lines: words(alone) }.is_unknown_name());
    }
}
