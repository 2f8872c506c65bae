//! A primary of a given size, a standby that streams from it, and a load on the primary: what is measured on.
//!
//! What must always hold: the servers keep what they were told (`fsync` is on), and before anything is measured the
//! standby has caught up and what was written before is on disk.

use crate::clients::{Habit, Readers};
use crate::ground::{Background, Ground, Outcome, refuse_after_a_signal};
use crate::materials::Materials;
use clap::{Args, ValueEnum};
use pg_runbook::server::{ConnectionArguments, Defaults};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What can be asked of the servers.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Arguments {
    /// The size of the database; may be repeated
    #[arg(long = "size", value_name = "MB", default_values_t = [300, 2000], value_parser = clap::value_parser!(u64).range(30..))]
    pub sizes: Vec<u64>,
    /// How often each way is taken
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// Where the throwaway servers live: on the disk that is to be measured
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/tmp")]
    pub folder: PathBuf,
}

impl Arguments {
    /// As it could be typed.
    pub fn typed(&self) -> String {
        let sizes = self.sizes.iter().map(|size| format!("--size {size}")).collect::<Vec<_>>().join(" ");
        format!("{sizes} --runs {} --folder {}", self.runs, self.folder.display())
    }
}

/// What is written on the primary all the while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// Nothing
    None,
    /// 100 of pgbench's transactions a second
    Light,
    /// 1000 of them
    Heavy,
}

impl Load {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A primary and its standby.
pub struct Pair {
    pub ground: Ground,
    /// In MB, as the server says.
    pub size: u64,
}

impl Pair {
    /// Makes them, with the runbook's own pipelines.
    pub fn make(materials: &Materials, arguments: &Arguments, size: u64) -> Outcome<Self> {
        refuse_a_small_disk(&arguments.folder, size)?;
        let ground = Ground::make(materials, &arguments.folder, "bench")?;
        println!("Making a primary with {size} MB of data and a standby …");
        let mut pair = Self { ground, size };
        pair.make_primary()?;
        pair.fill(size)?;
        pair.make_standby()?;
        let bytes = pair.psql(pair.ground.primary_port, "SELECT sum(pg_database_size(oid)) FROM pg_database")?;
        pair.size = bytes.parse::<u64>().map_err(|_| format!("{bytes:?} is no size"))? / 1_000_000;
        Ok(pair)
    }

    fn make_primary(&self) -> Outcome<()> {
        let Ground { folder, primary_port, major, .. } = &self.ground;
        let sockets = folder.join("sockets");
        self.owner("mkdir sockets")?;
        self.tools(&format!(
            "pg-cluster create --layout plain -D primary -p {primary_port} --socket-directory {} | pg-cluster start",
            sockets.display()
        ))?;
        self.psql(*primary_port, "CREATE ROLE watcher LOGIN")?;
        let keep = if *major < 13 { "wal_keep_segments=256" } else { "wal_keep_size=4GB" };
        self.tools(&format!(
            "pg-role ensure replicator -D primary --password-file secret \
             | pg-conf set wal_level=replica {keep} wal_compression=on shared_buffers=128MB \
             | pg-conf allow replicator --from 127.0.0.1 | {WATCHER} \
             | pg-cluster restart | pg-cluster advertise --host 127.0.0.1 > primary.json"
        ))
    }

    /// Half of it are pgbench's rows, mostly blanks, half is text that hardly compresses.
    fn fill(&self, size: u64) -> Outcome<()> {
        let primary = self.ground.place(self.ground.primary_port);
        let scale = (size / 2 / MB_OF_A_SCALE).max(1);
        self.tools(&format!("pgbench -i -q -s {scale} {primary}"))?;
        let rows = size / 2 * ROWS_OF_A_MB;
        let texts = "md5(random()::text) || md5(random()::text)";
        self.psql(
            self.ground.primary_port,
            &format!("CREATE TABLE texts AS SELECT {texts} AS text FROM generate_series(1, {rows}); CHECKPOINT"),
        )?;
        Ok(())
    }

    fn make_standby(&self) -> Outcome<()> {
        let Ground { folder, standby_port, .. } = &self.ground;
        self.tools(&format!(
            "pg-pass set --input primary.json --passfile pgpass --password-file secret | pg-pass check \
             | pg-cluster create --layout plain -D standby -p {standby_port} --socket-directory {} \
             | pg-conf set shared_buffers=128MB | {WATCHER} | pg-conf match \
             | pg-basebackup-swap run | pg-cluster start | pg-cluster wait --for streaming",
            folder.join("sockets").display()
        ))?;
        self.tools("pg-basebackup-swap commit -D standby --no-input")
    }

    /// Has the primary written to until what comes back is dropped.
    pub fn load(&self, load: Load) -> Outcome<Option<Background>> {
        let (clients, rate) = match load {
            Load::None => return Ok(None),
            Load::Light => (2, 100),
            Load::Heavy => (8, 1000),
        };
        let primary = self.ground.place(self.ground.primary_port);
        self.ground.background(&format!("pgbench -n -c {clients} -R {rate} -T 1000000 {primary}")).map(Some)
    }

    /// Clients of the standby: each comes anew by the Unix socket.
    pub fn clients(&self) -> Outcome<Readers> {
        let Ground { folder, standby_port, .. } = &self.ground;
        let sockets = folder.join("sockets");
        let way = format!("host={} port={standby_port} user=watcher dbname=postgres", sockets.display());
        let arguments = ConnectionArguments { conninfo: Some(way), ..ConnectionArguments::default() };
        let target = arguments.resolve(&Defaults { beats_environment: true, ..Defaults::default() });
        Readers::start(target.map_err(|failure| failure.to_string())?, Habit::ComesAnew("SELECT 1"))
    }

    /// Waits until the standby has caught up and the disk has nothing to do.
    pub fn settle(&self) -> Outcome<()> {
        self.tools("pg-cluster wait -D standby --for caught-up --no-input")?;
        nix::unistd::sync();
        Ok(())
    }

    /// Runs one of our own pipelines, pgbench or psql; how long it took.
    pub fn timed_tools(&self, script: &str) -> Outcome<Duration> {
        timed(self.ground.shell(script), script)
    }

    /// Runs what the servers' owner would type; how long it took.
    pub fn timed_owner(&self, script: &str) -> Outcome<Duration> {
        timed(self.ground.owners_shell(script), script)
    }

    pub fn tools(&self, script: &str) -> Outcome<()> {
        self.timed_tools(script).map(|_| ())
    }

    pub fn owner(&self, script: &str) -> Outcome<()> {
        self.timed_owner(script).map(|_| ())
    }

    /// What a superuser's psql prints.
    pub fn psql(&self, port: u16, statements: &str) -> Outcome<String> {
        let script = format!("psql -XAtqc '{statements}' {}", self.ground.place(port));
        let output = self.ground.shell(&script).output().map_err(|error| format!("run psql: {error}"))?;
        if !output.status.success() {
            return Err(format!("{statements}: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// How much write-ahead log the primary has made, in bytes; versions before 14 don't count it. (How far the log has
    /// come doesn't tell: each copy leaves the rest of a segment empty.)
    pub fn written(&self) -> Outcome<Option<u64>> {
        if self.ground.major < 14 {
            return Ok(None);
        }
        let said = self.psql(self.ground.primary_port, "SELECT wal_bytes FROM pg_stat_wal")?;
        said.parse().map(Some).map_err(|_| format!("{said:?} is no number of bytes"))
    }

    /// The replication role's way to the primary, for `pg_basebackup`.
    pub fn way(&self, port: u16) -> String {
        let passfile = self.ground.folder.join("pgpass");
        format!("host=127.0.0.1 port={port} user=replicator passfile={}", passfile.display())
    }
}

/// Lets the clients in: they ask so often that a password would be most of what is measured.
const WATCHER: &str = "pg-conf allow watcher --type local --database postgres --method trust";

/// pgbench's.
const MB_OF_A_SCALE: u64 = 15;

/// Of 64 letters each.
const ROWS_OF_A_MB: u64 = 10_000;

fn timed(mut command: std::process::Command, script: &str) -> Outcome<Duration> {
    refuse_after_a_signal()?;
    let begun = Instant::now();
    let output = command.output().map_err(|error| format!("run {script:?}: {error}"))?;
    let took = begun.elapsed();
    if output.status.success() {
        return Ok(took);
    }
    // Then it is the signal that ended it.
    refuse_after_a_signal()?;
    let said = if output.stderr.is_empty() { output.stdout } else { output.stderr };
    let said = pg_runbook::invocation::last_lines(&String::from_utf8_lossy(&said), 8);
    Err(format!("it ended with {}: {script}\n{said}", output.status))
}

/// Primary, standby, its new copy, the old one that is kept, and what the log of a run comes to.
fn refuse_a_small_disk(folder: &Path, size: u64) -> Outcome<()> {
    let found = nix::sys::statvfs::statvfs(folder).map_err(|error| format!("look at {}: {error}", folder.display()))?;
    let free = found.blocks_available() * found.fragment_size() / 1_000_000;
    let needed = 5 * size + 6000;
    if free >= needed {
        return Ok(());
    }
    Err(format!(
        "{size} MB take about {needed} MB of disk, and {free} MB are free in {}\nhint: --size, or --folder DIRECTORY",
        folder.display()
    ))
}
