//! Replication logins by libpq itself, as the walreceiver makes them.

use crate::cluster::TestCluster;
use crate::servers::psql;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Who logs in, and how.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The server.
    pub cluster: &'a TestCluster<'a>,
    /// Its address.
    pub host: &'a str,
    /// The role.
    pub role: &'a str,
}

impl Login<'_> {
    /// The system that answers to this password, or what libpq says instead.
    pub fn with_password(&self, password: &str) -> Result<String, String> {
        identity(self.command().env("PGPASSWORD", password))
    }

    /// The same with a password file and nothing else.
    pub fn with_file(&self, file: &Path) -> Result<String, String> {
        identity(self.command().env("PGPASSFILE", file))
    }

    /// A walsender that lives until this is dropped.
    #[track_caller]
    pub fn stay(&self, password: &str) -> Walsender {
        let mut command = self.command();
        command.env("PGPASSWORD", password).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let walsender = Walsender(command.spawn().expect("start psql"));
        let query = format!("SELECT count(*) FROM pg_stat_replication WHERE usename = '{}'", self.role);
        crate::wait_for("a walsender is there", std::time::Duration::from_secs(20), || self.cluster.sql(&query) == "1");
        walsender
    }

    fn command(&self) -> Command {
        let mut command = self.cluster.sandbox.account.command(&psql().expect("psql"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        let (host, port, role) = (self.host, self.cluster.port, self.role);
        command.env("PGPASSFILE", "/dev/null").args(["-X", "-A", "-t", "-q", "-w", "-d"]);
        command.arg(format!("host={host} port={port} user={role} dbname=replication replication=true"));
        command
    }
}

fn identity(command: &mut Command) -> Result<String, String> {
    let output = command.args(["-c", "IDENTIFY_SYSTEM"]).output().expect("run psql");
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(said.split('|').next().unwrap_or_default().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A psql in replication mode that says nothing.
#[derive(Debug)]
pub struct Walsender(Child);

impl Drop for Walsender {
    fn drop(&mut self) {
        // End of input ends it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
