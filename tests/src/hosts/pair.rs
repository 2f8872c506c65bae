//! A primary on db1 and a standby of it on db2, made by the runbook's own pipelines, and the questions that stories about
//! them ask.
//!
//! What must always hold: the document goes from one to the other as it does between real hosts, and the password
//! through a file.

use crate::hosts::host::Host;
use crate::hosts::network::Hosts;
use crate::outcome::Outcome;
use crate::patience::wait_for;
use std::time::Duration;

/// Longer than anything that ends well takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A new copy that takes its time.
pub const SLOW_COPY: &str = "run --force --max-rate 4M";

/// What a copy that is on its way has brought at least, in bytes.
const SOME: u32 = 4_000_000;

/// A primary and its standby.
#[derive(Debug)]
pub struct Pair {
    /// Where the primary is, as `MAJOR/main` at 5432.
    pub db1: Host,
    /// Where the standby is, as `MAJOR/replica` at 5434.
    pub db2: Host,
    /// The standby's name.
    pub standby: String,
    /// The password of the role that replicates.
    pub secret: String,
}

/// What must not change while a copy fails: the standby's server and its folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Serving {
    /// When its server started.
    pub started: String,
    /// The inode number of its folder.
    pub folder: String,
}

impl Pair {
    /// On two new hosts.
    #[track_caller]
    pub fn boot(hosts: &Hosts) -> Self {
        let [db1, db2] = hosts.boot(["db1", "db2"]);
        Self::on(hosts, db1, db2)
    }

    /// On these; where the first has no cluster yet, it gets one.
    #[track_caller]
    pub fn on(hosts: &Hosts, db1: Host, db2: Host) -> Self {
        let secret = "correct horse battery staple".to_owned();
        hosts.file("secret", &format!("{secret}\n"));
        if !db1.says("pg_lsclusters --no-header").contains(" main ") {
            db1.main_cluster();
        }
        db1.says(&format!(
            "pg-role ensure replicator --password-file /exchange/secret \
             | pg-conf set wal_level=replica wal_keep_size=8GB \"listen_addresses=*\" \
             | pg-conf allow replicator --from {} \
             | pg-cluster restart | pg-cluster advertise --host db1 > /exchange/primary.json",
            db2.address
        ));
        let pair = Self { standby: format!("{}/replica", db2.suite.major), db1, db2, secret };
        pair.db2
            .run(&format!(
                "pg-pass set --input /exchange/primary.json --password-file /exchange/secret | pg-pass check \
                 | pg-cluster create {} -p 5434 | pg-conf match \
                 | pg-basebackup-swap run | pg-cluster start | pg-cluster wait --for streaming",
                pair.standby
            ))
            .success();
        pair.swap("commit").success();
        pair
    }

    /// `pg-basebackup-swap VERB …` on the standby, with what the primary advertised.
    #[track_caller]
    pub fn swap(&self, words: &str) -> Outcome {
        self.db2.run(&self.swap_command(words))
    }

    /// The same, as it is typed.
    pub fn swap_command(&self, words: &str) -> String {
        format!("pg-basebackup-swap {words} --cluster {} --input /exchange/primary.json", self.standby)
    }

    /// `pg-cluster VERB …` on the standby.
    #[track_caller]
    pub fn cluster(&self, words: &str) -> Outcome {
        self.db2.run(&format!("pg-cluster {words} --cluster {}", self.standby))
    }

    /// Begins a new copy, slowly, and does something to it once it is on its way; how it ended.
    #[track_caller]
    pub fn while_copying(&self, happens: impl FnOnce()) -> Outcome {
        self.meanwhile(SLOW_COPY, || {
            self.wait_for_a_copy_on_its_way();
            happens();
        })
    }

    /// Waits until a copy that was begun has brought something.
    #[track_caller]
    pub fn wait_for_a_copy_on_its_way(&self) {
        let under_way = format!("SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > {SOME}");
        wait_for("a copy to be on its way", PATIENCE, || {
            self.db1.try_sql(5432, &under_way).is_some_and(|count| count != "0")
        });
    }

    /// Runs the tool, and something else at the same time.
    #[track_caller]
    pub fn meanwhile(&self, words: &str, happens: impl FnOnce()) -> Outcome {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| self.swap(words));
            happens();
            running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// What serves now.
    #[track_caller]
    pub fn serving(&self) -> Serving {
        Serving {
            started: self.db2.sql(5434, "SELECT pg_postmaster_start_time()"),
            folder: self.db2.says(&format!("stat -c %i {}", self.folder())),
        }
    }

    /// The standby's data directory.
    pub fn folder(&self) -> String {
        format!("/var/lib/postgresql/{}", self.standby)
    }

    /// What lies beside it and belongs to a copy, kept directories too.
    #[track_caller]
    pub fn beside(&self) -> Vec<String> {
        let said = self.db2.says(&format!("ls -d {}.* 2>/dev/null; true", self.folder()));
        said.lines().map(str::to_owned).collect()
    }

    /// Expects that a failure left everything as it was.
    #[track_caller]
    pub fn expect_untouched(&self, before: &Serving, told: &Outcome) {
        assert_eq!(&self.serving(), before, "{told}");
        assert!(self.beside().is_empty(), "{:?}\n{told}", self.beside());
        let copies = || self.db2.says("pgrep -c pg_basebackup; true");
        wait_for("pg_basebackup to be gone", PATIENCE, || copies() == "0");
    }

    /// Expects that the standby is systemd's, streams, and gets what is written from now on.
    #[track_caller]
    pub fn expect_streaming(&self) {
        self.cluster("wait --for streaming --input /exchange/primary.json").success();
        let unit = format!("postgresql@{}.service", self.standby.replace('/', "-"));
        assert_eq!(self.db2.says(&format!("systemctl is-active {unit}")), "active");
        let main = self.db2.says(&format!("systemctl show --property MainPID --value {unit}"));
        assert_eq!(main, self.db2.says(&format!("head -n 1 {}/postmaster.pid", self.folder())));
        let written = self.db1.sql(5432, "SELECT pg_logical_emit_message(false, 'a story', 'goes on')");
        wait_for("the standby to replay what was written", PATIENCE, || {
            let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
            self.db2.try_sql(5434, &replayed).as_deref() == Some("t")
        });
    }

    /// Expects that a new copy comes in, that the next run has nothing to do, and that nothing is left of it all.
    #[track_caller]
    pub fn expect_next_run_ends_well(&self) {
        self.swap("run --force").success().expect_changed(true);
        self.expect_streaming();
        self.swap("run").success().expect_changed(false);
        self.swap("commit").success();
        assert!(self.beside().is_empty(), "{:?}", self.beside());
    }
}
