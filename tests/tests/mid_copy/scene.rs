//! What the scenarios of a copy on its way share: a pair whose copies come through a line that can be cut, and what has
//! to be as it was.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::cell::Cell;
use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::{Account, Pair, Proxy, Running, Served, wait_for};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A pair whose standby is asked all the while, and what has to be as it was.
pub struct Scene<'a> {
    pub pair: Pair<'a>,
    pub proxy: Proxy,
    pub served: Served,
    pub before: Before,
    /// How many halves of a copy with a control file were seen.
    pub halves: Cell<usize>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Before {
    pub started: String,
    pub folder: u64,
    pub beside: Vec<PathBuf>,
}

pub fn scene(pair: Pair<'_>) -> Scene<'_> {
    // The line has a port of its own.
    std::fs::write(&pair.passfile, "*:*:*:replicator:swordfish\n").expect("write");
    let proxy = Proxy::new(pair.standby.sandbox.port(), pair.primary.port);
    let (served, before) = (pair.standby.served(), look(&pair));
    Scene { pair, proxy, served, before, halves: Cell::new(0) }
}

/// A complete copy may lie there; nothing else.
pub fn look(pair: &Pair<'_>) -> Before {
    let mut beside = pair.beside("");
    beside.retain(|path| !path.ends_with("standby.incoming"));
    let folder = std::fs::metadata(&pair.standby.data).expect("look").ino();
    Before { started: pair.standby.started(), folder, beside }
}

impl Scene<'_> {
    /// The old standby is what it was, nobody works for a copy any more, and nothing of one is left; a complete one may
    /// be.
    #[track_caller]
    pub fn nothing_is_left(&self, told: &dyn Display) {
        assert_eq!(look(&self.pair), self.before, "{told}");
        self.nobody_is_left();
        assert!(self.served.still(), "somebody was not served\n{told}");
    }

    #[track_caller]
    pub fn nobody_is_left(&self) {
        wait_for("pg_basebackup is gone", PATIENCE, || {
            self.pair.standby.sandbox.processes_of("pg_basebackup").is_empty()
        });
        let slots = || self.pair.primary.sql("SELECT count(*) FROM pg_replication_slots");
        wait_for("no slot is left", PATIENCE, || slots() == "0");
    }

    pub fn no_copy_is_there(&self) {
        assert!(self.pair.beside("incoming").is_empty(), "a copy is taken for complete");
    }

    /// What was cut off, were it started by hand, would not come up as a primary: its server says so.
    #[track_caller]
    pub fn no_half_is_a_primary(&self, told: &dyn Display) {
        self.nobody_is_left();
        let postgres = self.pair.standby.sandbox.server.bin.join("postgres");
        for half in self.pair.beside("partial").iter().filter(|half| half.join("global/pg_control").exists()) {
            let mut server =
                Account::of_servers().map_or_else(|| Command::new(&postgres), |account| account.command(&postgres));
            let started = server.arg("--single").arg("-D").arg(half).stdin(Stdio::null()).output().expect("postgres");
            let said = String::from_utf8_lossy(&started.stderr);
            assert!(said.contains("standby mode is not supported by single-user servers"), "{told}\n{said}");
            self.halves.set(self.halves.get() + 1);
        }
    }

    /// The next run brings a copy.
    #[track_caller]
    pub fn a_copy_comes(&self, told: &dyn Display) {
        let fetched = self.pair.swap("fetch").arg("--force").run().success().expect_changed(true);
        assert_eq!(self.pair.beside("incoming").len(), 1, "{told}\n{fetched}");
        self.nothing_is_left(&format!("{told}\n{fetched}"));
    }

    /// And the next one after that brings it in.
    #[track_caller]
    pub fn a_copy_comes_in(self) {
        drop(self.served);
        self.pair.swap("run").arg("--force").run().success().expect_changed(true);
        self.pair.streams();
        assert!(self.pair.beside("partial").is_empty() && self.pair.beside("incoming").is_empty());
    }

    /// A run through the line, which stalls in the middle of the copy, with both of its connections logged in.
    #[track_caller]
    pub fn under_way(&self, verb: &str, options: &[&str]) -> Running {
        self.proxy.heal();
        // Those of a run before may still be there.
        let logins = "SELECT pid FROM pg_stat_replication WHERE application_name = 'pg_basebackup' AND state IN \
                      ('backup', 'streaming')";
        let old = self.pair.primary.sql(logins);
        let (port, before) = (self.proxy.port.to_string(), self.pair.beside("partial"));
        let running = self.pair.swap(verb).args(["--force", "--max-rate", "4M", "-p", &port]).args(options).start();
        let has_both = || {
            let now = self.pair.primary.sql(logins);
            now.lines().filter(|pid| !old.lines().any(|old| old == *pid)).count() == 2
        };
        wait_for("some of the copy to arrive", PATIENCE, || {
            let mut partial = self.pair.beside("partial");
            partial.retain(|folder| !before.contains(folder));
            partial.iter().any(|folder| folder.join("base/1").exists()) && has_both()
        });
        self.proxy.stall();
        assert!(self.pair.beside("incoming").is_empty() && self.pair.beside("partial").len() == 1, "it was too quick");
        running
    }
}
