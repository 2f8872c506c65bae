//! A scratch server of the cluster's version, which reads a `pg_hba.conf` before it is anybody's: `initdb` and
//! `postgres --single` in a temporary folder, and `pg_hba_file_rules` asked there. It needs no running server.
//!
//! What must always hold: the cluster isn't touched, the scratch server listens nowhere, and both it and its folder are
//! gone when this is dropped. It takes about a second, so it is only asked about what would be installed.

use pg_runbook::cluster::{Cluster, programs};
use pg_runbook::invocation::Invocation;
use pg_runbook::{Attempt, Failure, durable_file};
use serde::Deserialize;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};

/// No `initdb` takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The scratch server.
#[derive(Debug)]
pub struct Scratch {
    postgres: PathBuf,
    folder: TempDir,
}

/// A line that the server would not load, and its own words about it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RuleError {
    /// The file: the one that was asked about, or (16 and later) one that it includes.
    #[serde(default)]
    pub file: PathBuf,
    /// From 1; 0 where it is about no line.
    #[serde(default)]
    pub line: usize,
    /// Why.
    pub error: String,
}

impl Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.error)
    }
}

impl Scratch {
    /// Makes one of the cluster's version.
    pub fn of(cluster: &Cluster) -> Result<Self, Failure> {
        let postgres = programs::server(cluster.major, "postgres")?;
        let initdb = programs::server(cluster.major, "initdb")?;
        let folder = tempfile::Builder::new().prefix("pg-conf-scratch-").tempdir();
        let folder = folder.attempt(|| "make a folder for a scratch server")?;
        let mut invocation = Invocation::new(initdb).args(["--no-sync", "--auth=trust", "--locale=C", "-D"]);
        invocation = invocation.arg(folder.path().join("data")).timeout(PATIENCE);
        // Smaller segments are written faster; 10 has them built in.
        if cluster.major >= 11 {
            invocation = invocation.arg("--wal-segsize=1");
        }
        invocation.run()?;
        Ok(Self { postgres, folder })
    }

    /// What the server finds wrong in a file as it stands.
    pub fn errors(&self, hba_file: &Path) -> Result<Vec<RuleError>, Failure> {
        let answer = self.folder.path().join("answer");
        durable_file::remove(&answer)?;
        // One line, for the single-user mode takes a line for a statement. As CSV with a quote that JSON never holds,
        // a row is written as it is. A rule that can't match as things are (hostssl without TLS) is no error: it has a
        // type. file_name came with 16.
        let statement = format!(
            "COPY (SELECT json_build_object('file', coalesce(to_jsonb(r) ->> 'file_name', current_setting('hba_file')), \
             'line', coalesce(line_number, 0), 'error', error) FROM pg_hba_file_rules r \
             WHERE error IS NOT NULL AND type IS NULL) TO '{}' (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')\n",
            answer.display().to_string().replace('\'', "''")
        );
        let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
        let invocation = Invocation::new(&self.postgres).arg("--single").arg("-D").arg(self.folder.path().join("data"));
        let invocation = invocation.arg("-c").arg(setting("hba_file", hba_file)).args(["-c", "fsync=off", "template1"]);
        let completed = invocation.input(statement.as_bytes()).timeout(PATIENCE).outcome()?;
        let Some(bytes) = durable_file::read(&answer)? else { return Err(invocation_failure(&completed.stderr)) };
        let lines = String::from_utf8_lossy(&bytes).into_owned();
        let error = |line: &str| serde_json::from_str(line).attempt(|| "read what a scratch server answered");
        lines.lines().map(error).collect()
    }

    /// What the server would find wrong in `hba_file` if it had these bytes. Nothing that reads it sees them.
    pub fn errors_with(&self, hba_file: &Path, bytes: &[u8], is_alone: bool) -> Result<Vec<RuleError>, Failure> {
        let candidate = self.candidate(hba_file, bytes, is_alone)?;
        let mut errors = self.errors(candidate.path())?;
        for error in errors.iter_mut().filter(|error| error.file == candidate.path()) {
            hba_file.clone_into(&mut error.file);
        }
        Ok(errors)
    }

    /// Beside the real one, so that what it names is found; a file that names no other may stand anywhere.
    fn candidate(&self, hba_file: &Path, bytes: &[u8], is_alone: bool) -> Result<NamedTempFile, Failure> {
        let beside = durable_file::candidate(hba_file, bytes);
        if beside.is_err() && is_alone {
            return durable_file::candidate(&self.folder.path().join("pg_hba.conf"), bytes);
        }
        beside
    }
}

fn invocation_failure(said: &str) -> Failure {
    Failure::failed("a scratch server did not answer").because(said.trim())
}

/// What the cluster's own server would find wrong in its `pg_hba.conf`, asked without it.
pub fn errors(cluster: &Cluster) -> Result<Vec<RuleError>, Failure> {
    Scratch::of(cluster)?.errors(&cluster.hba_file)
}
