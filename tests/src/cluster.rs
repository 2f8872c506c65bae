//! A plain cluster in a sandbox, made (or copied from what was made) and served by `pg-cluster` itself, and looked at by
//! psql.

use crate::command::ToolCommand;
use crate::sandbox::Sandbox;
use crate::servers::psql;
use crate::template;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A cluster to be made.
#[derive(Debug)]
pub struct ClusterBuilder<'a> {
    sandbox: &'a Sandbox,
    name: String,
    major: u32,
    settings: String,
}

impl<'a> ClusterBuilder<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, name: &str) -> Self {
        Self { sandbox, name: name.into(), major: sandbox.server.major, settings: String::new() }
    }

    /// Another major than the sandbox's.
    #[must_use]
    pub fn major(mut self, major: u32) -> Self {
        self.major = major;
        self
    }

    /// A line at the end of postgresql.conf.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// Only its name and its port: a pipeline under test makes it.
    pub fn planned(&self) -> TestCluster<'a> {
        let data = self.sandbox.path().join(&self.name);
        TestCluster { sandbox: self.sandbox, port: self.sandbox.port(), data, major: self.major }
    }

    /// Makes it; it is down.
    #[track_caller]
    pub fn create(self) -> TestCluster<'a> {
        let cluster = self.planned();
        let may_be_a_copy = self.sandbox.may_have_a_copy(self.major);
        if !(may_be_a_copy && template::bring(&cluster)) {
            cluster.create_command().run().success().expect_changed(true);
            if may_be_a_copy {
                template::keep(&cluster);
            }
        }
        // A test's server need not outlive a power loss.
        cluster.append("postgresql.conf", &format!("fsync = off\nshared_buffers = 16MB\n{}", self.settings));
        cluster
    }

    /// Makes and starts it.
    #[track_caller]
    pub fn start(self) -> TestCluster<'a> {
        let cluster = self.create();
        cluster.tool("start").run().success().expect_changed(true);
        cluster
    }
}

/// A cluster.
#[derive(Debug)]
pub struct TestCluster<'a> {
    /// Its sandbox.
    pub sandbox: &'a Sandbox,
    /// Its data directory.
    pub data: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its major version.
    pub major: u32,
}

impl TestCluster<'_> {
    /// The command that makes it.
    pub fn create_command(&self) -> ToolCommand<'_> {
        let command = self.sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-D"]).arg(&self.data);
        command
            .args(["--pg-version", &self.major.to_string(), "-p", &self.port.to_string(), "--socket-directory"])
            .arg(self.socket_directory())
    }

    /// `pg-cluster VERB` on it.
    pub fn tool(&self, verb: &str) -> ToolCommand<'_> {
        self.sandbox.tool("pg-cluster").arg(verb).arg("-D").arg(&self.data)
    }

    /// Another tool on it: `pg-conf set`.
    pub fn other_tool(&self, tool: &str, verb: &str) -> ToolCommand<'_> {
        self.sandbox.tool(tool).arg(verb).arg("-D").arg(&self.data)
    }

    /// Where its socket is.
    pub fn socket_directory(&self) -> PathBuf {
        self.sandbox.path().join("sockets")
    }

    /// What a superuser's psql prints.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> String {
        let output = self.psql().arg("-c").arg(statement).output().expect("run psql");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql: {statement}: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// What a superuser's psql prints, where the statement works.
    pub fn try_sql(&self, statement: &str) -> Option<String> {
        let output = self.psql().arg("-c").arg(statement).output().expect("run psql");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// A client that stays connected until it is dropped.
    #[track_caller]
    pub fn client(&self) -> Client {
        // Of another name than a psql that asks: that one may still be on its way out when the next one counts.
        const NAME: &str = "a client that stays";
        let query = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{NAME}'");
        let clients = || self.sql(&query).parse::<u32>().expect("a number");
        let (mut psql, before) = (self.psql(), clients());
        psql.env("PGAPPNAME", NAME).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let client = Client(psql.spawn().expect("start psql"));
        crate::wait_for("a client is connected", Duration::from_secs(20), || clients() > before);
        client
    }

    /// A client that asks all the while, until it is dropped.
    #[track_caller]
    pub fn served(&self) -> Served {
        let answers = self.sandbox.file(&format!("answers-{}", self.port), "");
        let file = std::fs::File::options().append(true).open(&answers).expect("open a file");
        let mut psql = self.psql();
        let child = psql.stdin(Stdio::piped()).stdout(file).stderr(Stdio::null()).spawn().expect("start psql");
        let mut served = Served { child, answers };
        let asks = b"SELECT pg_is_in_recovery() \\watch 0.05\n";
        std::io::Write::write_all(served.child.stdin.as_mut().expect("a pipe"), asks).expect("ask");
        assert!(served.still(), "nobody answers");
        served
    }

    fn psql(&self) -> Command {
        let account = &self.sandbox.account;
        let mut command = account.command(&psql().expect("psql"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-U", &account.name, "-h"]);
        command.arg(self.socket_directory()).args(["-p", &self.port.to_string()]);
        command
    }

    /// The server's process number; `None` where there is no postmaster.pid.
    pub fn pid(&self) -> Option<i32> {
        std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
    }

    /// The status line of postmaster.pid: `starting`, `ready`, ….
    pub fn status_line(&self) -> String {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        text.lines().nth(7).unwrap_or_default().trim().to_owned()
    }

    /// When the server started.
    pub fn started(&self) -> String {
        self.sql("SELECT pg_postmaster_start_time()")
    }

    /// When it loaded its configuration.
    pub fn loaded(&self) -> String {
        self.sql("SELECT pg_conf_load_time()")
    }

    /// Adds lines to one of its files.
    pub fn append(&self, file: &str, lines: &str) {
        let path = self.data.join(file);
        let mut text = std::fs::read_to_string(&path).unwrap_or_default();
        text.push_str(lines);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("write {path:?}: {error}"));
        self.sandbox.account.give(&path);
    }

    /// One of its files.
    pub fn read(&self, file: &str) -> String {
        let path = self.data.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path:?}: {error}"))
    }

    /// Puts lines in place of one of its files, keeping whose it is and its mode.
    pub fn write(&self, file: &str, lines: &str) {
        let path = self.data.join(file);
        std::fs::write(&path, lines).unwrap_or_else(|error| panic!("write {path:?}: {error}"));
    }

    /// What it says while it starts and serves.
    pub fn log(&self) -> String {
        let path = self.data.with_extension("log");
        std::fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// A replication login at an address, as this role.
    pub fn login<'b>(&'b self, host: &'b str, role: &'b str) -> crate::Login<'b> {
        crate::Login { cluster: self, host, role }
    }

    /// Makes a standby of it that waits, when it starts, until [`Self::open_gate`]: its start takes as long as a test
    /// wants.
    pub fn shut_gate(&self) {
        let gate = self.sandbox.path().join("gate");
        let restore = format!("restore_command = 'while ! test -e {}; do sleep 0.01; done; false'\n", gate.display());
        if self.major < 12 {
            self.append("recovery.conf", &format!("standby_mode = on\n{restore}"));
        } else {
            self.append("postgresql.conf", &restore);
            self.append("standby.signal", "");
        }
    }

    /// Lets the start go on.
    pub fn open_gate(&self) {
        self.sandbox.file("gate", "");
    }

    /// The files that people write, with their contents and times: what `--check` and a second run must not touch.
    pub fn fingerprint(&self) -> BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)> {
        let mut found = BTreeMap::new();
        for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf", "PG_VERSION"] {
            let path = self.data.join(name);
            let Ok(metadata) = path.metadata() else { continue };
            let bytes = std::fs::read(&path).unwrap_or_default();
            found.insert(path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), bytes));
        }
        found
    }
}

/// A psql that is connected and says nothing unless it is told to.
#[derive(Debug)]
pub struct Client(Child);

impl Client {
    /// Has it say something; nobody waits for an answer.
    pub fn says(&mut self, statements: &str) {
        let input = self.0.stdin.as_mut().expect("a pipe");
        std::io::Write::write_all(input, format!("{statements}\n").as_bytes()).expect("speak");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // End of input ends it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A psql that asks all the while.
#[derive(Debug)]
pub struct Served {
    child: Child,
    answers: PathBuf,
}

impl Served {
    /// Whether it is still connected, by the connection that it began with, and gets answers.
    pub fn still(&self) -> bool {
        let size = || std::fs::metadata(&self.answers).map_or(0, |found| found.len());
        let (before, deadline) = (size(), Instant::now() + Duration::from_secs(10));
        while size() == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        size() > before
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every path below a folder, in order.
pub fn names_below(folder: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return names };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            names.extend(names_below(&path));
        }
        names.push(path);
    }
    names.sort();
    names
}
