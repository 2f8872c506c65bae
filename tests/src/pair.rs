//! A primary and a standby that streams from it.

use crate::cluster::TestCluster;
use crate::command::ToolCommand;
use crate::outcome::Outcome;
use crate::sandbox::Sandbox;
use std::path::PathBuf;

/// A primary, a standby that streams from it, and what the standby was told.
#[derive(Debug)]
pub struct Pair<'a> {
    /// Its primary.
    pub primary: TestCluster<'a>,
    /// The standby.
    pub standby: TestCluster<'a>,
    /// Where the replication role's password is.
    pub passfile: PathBuf,
    /// What the primary's pipeline ended with.
    pub advertised: Outcome,
}

/// Makes them, with the runbook's own pipelines.
#[track_caller]
pub fn pair(sandbox: &Sandbox) -> Pair<'_> {
    pair_in(sandbox, "standby")
}

/// The same, with the standby in a folder of this name.
#[track_caller]
pub fn pair_in<'a>(sandbox: &'a Sandbox, name: &str) -> Pair<'a> {
    sandbox.file("secret", "swordfish\n");
    // A standby without a slot that is late, on a busy machine, would find it removed.
    let keeps = if sandbox.server.major < 13 { "wal_keep_segments = 8" } else { "wal_keep_size = 128MB" };
    let primary = sandbox.cluster("primary").setting(keeps).start();
    let standby = sandbox.cluster(name).planned();
    let passfile = sandbox.path().join("pgpass");
    let advertised = sandbox
        .pipeline(&format!(
            "pg-role ensure replicator -D {} --password-file secret | pg-conf allow replicator --from 127.0.0.1 \
             | pg-cluster restart | pg-cluster advertise --host 127.0.0.1",
            primary.data.display()
        ))
        .run()
        .success();
    let pipeline = format!(
        "pg-pass set --input - --passfile {} --password-file secret | {} | pg-basebackup-swap run | pg-cluster start \
         | pg-cluster wait --for streaming --timeout 30",
        passfile.display(),
        standby.create_command().shown()
    );
    sandbox.pipeline(&pipeline).after(&advertised).run().success();
    Pair { primary, standby, passfile, advertised }
}

impl Pair<'_> {
    /// `pg-basebackup-swap VERB` on the standby.
    pub fn swap(&self, verb: &str) -> ToolCommand<'_> {
        let command =
            self.standby.other_tool("pg-basebackup-swap", verb).args(["--input", "-"]).after(&self.advertised);
        if ["run", "fetch"].contains(&verb) { command.arg("--passfile").arg(&self.passfile) } else { command }
    }

    /// What lies beside the standby's data directory under such a name.
    #[track_caller]
    pub fn beside(&self, what: &str) -> Vec<PathBuf> {
        let parent = self.standby.data.parent().expect("a parent");
        let name = self.standby.data.file_name().expect("a name").to_string_lossy();
        let start = format!("{name}.{what}");
        let mut found: Vec<PathBuf> =
            std::fs::read_dir(parent).expect("read").flatten().map(|entry| entry.path()).collect();
        found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)));
        found.sort();
        found
    }

    /// Expects that the standby streams.
    #[track_caller]
    pub fn streams(&self) {
        self.standby.tool("wait").args(["--for", "streaming", "--timeout", "30"]).run().success();
        assert_eq!(self.standby.sql("SELECT pg_is_in_recovery()"), "t");
    }
}
