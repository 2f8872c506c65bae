//! Exchanges that were cut off, rollbacks and commits where a cluster is more than one plain directory: tablespaces, and
//! Debian's layout.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::path::Path;
use std::process::Command;
use tests::{Call, KilledSwaps, Sandbox, ToolCommand, has_strace, is_root, on_the_machines_own, pair, skip, wait_for};

on_the_machines_own!(
    a_swap_with_tablespaces_that_is_killed_leaves_each_directory_its_own,
    a_debian_cluster_is_swapped_cut_off_and_rolled_back,
);

fn call(name: &str, number: usize) -> Call {
    Call { name: name.into(), number }
}

fn a_swap_with_tablespaces_that_is_killed_leaves_each_directory_its_own(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    let place = sandbox.folder("a \"place\"");
    pair.standby.tool("stop").run().success();
    pair.primary.sql(&format!("CREATE TABLESPACE elsewhere LOCATION '{}'", place.display()));
    pair.primary.sql("CREATE TABLE proof TABLESPACE elsewhere AS SELECT 42 AS answer");
    let mapped = |verb: &str, name: &str| {
        let mapping = format!("{}={}", place.display(), sandbox.path().join(name).display());
        pair.swap(verb).args(["--force", "--tablespace-mapping", &mapping])
    };
    mapped("run", "space 0").run().success();
    pair.standby.tool("start").run().success();
    let proved = || {
        pair.streams();
        wait_for("the table to be there", std::time::Duration::from_secs(20), || {
            pair.standby.try_sql("SELECT answer FROM proof").as_deref() == Some("42")
        });
    };
    let is_there = |name: &str| sandbox.path().join(name).exists();
    // Before the exchange, and before the first note after it.
    for (turn, at) in [call("renameat2", 1), call("renameat", 2)].iter().enumerate() {
        let [before, name] = [turn, turn + 1].map(|number| format!("space {number}"));
        mapped("fetch", &name).run().success();
        pair.swap("swap").hindered(at, "signal=KILL").start().ended();
        pair.swap("swap").run();
        proved();
        pair.swap("rollback").run().success().expect_changed(true);
        proved();
        assert!(is_there(&before) && is_there(&name), "killed at {at:?}");
        // What the rollback took out goes, with its tablespace; what is in place keeps its own.
        pair.swap("commit").run().success().expect_changed(true);
        assert!(is_there(&before) && !is_there(&name), "killed at {at:?}");
        let next = format!("space {}", turn + 1);
        mapped("run", &next).run().success();
        pair.swap("commit").run().success();
        assert!(!is_there(&before) && is_there(&next), "killed at {at:?}");
        proved();
    }
}

/// Gone when the test ends.
struct DebianCluster {
    major: String,
    short: String,
}

impl Drop for DebianCluster {
    fn drop(&mut self) {
        let _ = Command::new("/usr/bin/pg_dropcluster").args(["--stop", &self.major, &self.short]).status();
        // The wrapper leaves what pg-conf kept.
        let _ = std::fs::remove_dir_all(Path::new("/etc/postgresql").join(&self.major).join(&self.short));
        let folder = Path::new("/var/lib/postgresql").join(&self.major);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{}.", self.short)) {
                let _ = std::fs::remove_dir_all(entry.path()).or_else(|_| std::fs::remove_file(entry.path()));
            }
        }
    }
}

fn a_debian_cluster_is_swapped_cut_off_and_rolled_back(sandbox: &Sandbox) {
    if !is_root() || !Path::new("/usr/bin/pg_createcluster").exists() {
        return skip("only root can make Debian clusters, and only with postgresql-common");
    }
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    let cluster =
        DebianCluster { major: sandbox.server.major.to_string(), short: format!("pgrunbookcut{}", std::process::id()) };
    let name = format!("{}/{}", cluster.major, cluster.short);
    let port = sandbox.port().to_string();
    sandbox.tool("pg-cluster").args(["create", &name, "-p", &port]).env("LC_ALL", "C").run().success();
    let pg_cluster = |verb: &str| sandbox.tool("pg-cluster").args([verb, "--cluster", &name]);
    let swap = |verb: &str| -> ToolCommand<'_> {
        let command = sandbox.tool("pg-basebackup-swap").args([verb, "--cluster", &name, "--input", "-"]);
        let command = command.after(&pair.advertised);
        if ["run", "fetch"].contains(&verb) { command.arg("--passfile").arg(&pair.passfile) } else { command }
    };
    let streams = || pg_cluster("wait").args(["--for", "streaming", "--timeout", "30"]).run().success();
    swap("run").run().success().expect_changed(true);
    pg_cluster("start").run().success();
    streams();
    swap("commit").run().success().expect_changed(true);
    for by_renames in [false, true] {
        swap("fetch").arg("--force").run().success();
        if by_renames {
            // As on a file system that can't exchange: the old directory lies aside, and nothing has its name.
            let swap = swap("swap").hindered(&call("renameat2", 1), "error=EINVAL");
            swap.hindered(&call("rename", 3), "signal=KILL").start().ended();
            pg_cluster("start").run().expect_code(3).expect_error("lies aside").expect_hint("mv ");
        } else {
            swap("swap").hindered(&call("renameat2", 1), "signal=KILL").start().ended();
        }
        swap("swap").run().success().expect_changed(true).expect_stderr("it is taken back");
        streams();
        swap("rollback").run().success().expect_changed(true);
        swap("rollback").run().success().expect_changed(false);
        streams();
        swap("commit").run().success().expect_changed(true);
    }
    let fetch = || drop(swap("fetch").arg("--force").run().success());
    let ended = |_: &str| {
        streams();
        swap("commit").run().success();
    };
    KilledSwaps { sandbox, fetch: &fetch, swap: &|| swap("swap"), every: 4 }.run(&|_, _| (), &ended);
    let told = swap("status").run().success();
    assert_eq!(told.document["directories"].as_array().map(Vec::len), Some(1), "{told}");
    pg_cluster("stop").run().success();
}
