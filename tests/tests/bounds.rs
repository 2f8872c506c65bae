//! The bounds that a hot standby must not be below: matched, and changed in the right order.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::path::Path;
use tests::{Outcome, Pair, Sandbox, TestCluster, ToolCommand, on_each_major, pair};

on_each_major!(
    match_raises_what_a_standby_must_not_be_below,
    bounds_are_changed_in_the_order_that_primary_and_standbys_need,
);

fn set<'a>(cluster: &'a TestCluster, settings: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "set").args(settings)
}

fn restart(sandbox: &Sandbox, after: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("restart").after(after).run()
}

fn match_raises_what_a_standby_must_not_be_below(sandbox: &Sandbox) {
    let primary = sandbox.cluster("primary").setting("max_connections = 128\nmax_worker_processes = 10").start();
    let standby = sandbox.cluster("standby").setting("max_locks_per_transaction = 100").start();
    let advertised = primary.tool("advertise").args(["--host", "127.0.0.1", "--role", "replicator"]).run().success();
    let matched = || standby.other_tool("pg-conf", "match").after(&advertised).run().success();
    let first = matched().expect_changed(true);
    assert_eq!(first.typed().needs.level, "restart", "{first}");
    let again = matched().expect_changed(false);
    let restarted = restart(sandbox, &again).success().expect_changed(true);
    assert_eq!(restarted.typed().needs.level, "none");
    assert_eq!(
        (standby.sql("SHOW max_connections"), standby.sql("SHOW max_worker_processes")),
        ("128".into(), "10".into())
    );
    assert_eq!(standby.sql("SHOW max_locks_per_transaction"), "100", "never lowered");
    assert_eq!(matched().expect_changed(false).typed().needs.level, "none");
    standby.other_tool("pg-conf", "match").run().expect_code(2).expect_hint("pg-cluster advertise");
}

fn bounds_are_changed_in_the_order_that_primary_and_standbys_need(sandbox: &Sandbox) {
    let Pair { primary, standby, .. } = pair(sandbox);
    let up = set(&primary, &["max_connections=150", "--check"]).run().success();
    up.expect_warning("max_connections goes up from 100 to 150: the standbys first (walreceiver at 127.0.0.1)");
    let down = set(&primary, &["max_connections=50", "--check"]).run().success();
    down.expect_warning("max_connections goes down from 100 to 50: this server first");
    assert_eq!(set(&primary, &["work_mem=9MB", "--check"]).run().success().typed().warnings, [""; 0]);

    // On a standby too ALTER SYSTEM is taken back by the server.
    standby.sql("ALTER SYSTEM SET work_mem = '6MB'");
    set(&standby, &["--override", "work_mem=7MB"]).run().success().expect_changed(true);
    assert!(!standby.read("postgresql.auto.conf").contains("work_mem"));

    if sandbox.server.bin.join("pg_controldata").exists() {
        a_standby_stays_above_what_it_remembers(&standby);
        a_copy_tells_the_bounds(sandbox, &standby);
    } else {
        // Nobody can tell what the standby remembers.
        set(&standby, &["max_connections=50"]).run().success().expect_changed(true);
        let other = match_with_copy(&primary, &standby.data).run();
        other.expect_code(1).expect_error("pg_controldata");
    }
}

fn match_with_copy<'a>(cluster: &'a TestCluster, copy: &Path) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "match").arg("--from-copy").arg(copy)
}

fn a_standby_stays_above_what_it_remembers(standby: &TestCluster) {
    let before = standby.fingerprint();
    let lowered = set(standby, &["max_connections=50"]).run().expect_code(3);
    let lowered = lowered.expect_error("max_connections = 50 is below the 100 that the primary had");
    lowered.expect_hint("on the primary first: pg-conf set max_connections=50 | pg-cluster restart");
    assert_eq!(standby.fingerprint(), before);
    set(standby, &["max_connections=150", "--check"]).run().success().expect_changed(true);

    // The server agrees: with that value it does not start.
    standby.tool("stop").run().success();
    standby.append("postgresql.conf", "max_connections = 50\n");
    standby.other_tool("pg-conf", "check").run().expect_code(1).expect_error("max_connections = 50 is below the 100");
    standby.tool("start").run().expect_code(1).expect_error("max_connections is 50 here and 100 on the primary");
    // What it remembers counts, also where the primary asks for less by now.
    let lower = standby.sandbox.cluster("lower").setting("max_connections = 20").start();
    let matched = match_with_copy(standby, &lower.data).run().success().expect_changed(true);
    let bound = &matched.document["bounds"][0];
    assert_eq!((&bound["primary"], &bound["remembered"], &bound["after"]), (&20.into(), &100.into(), &100.into()));
    standby.tool("start").run().success();
}

fn a_copy_tells_the_bounds(sandbox: &Sandbox, copy: &TestCluster) {
    let other = sandbox.cluster("other").setting("max_connections = 20\nmax_locks_per_transaction = 100").create();
    let matched = match_with_copy(&other, &copy.data).run().success().expect_changed(true);
    assert_eq!(matched.document["bounds"][0]["after"], 100, "{matched}");
    assert!(matched.stderr.contains("max_locks_per_transaction stays 100, above the primary's 64"), "{matched}");
    match_with_copy(&other, &copy.data).run().success().expect_changed(false);
    let empty = match_with_copy(&other, &sandbox.folder("empty")).run();
    empty.expect_code(2).expect_error("is no copy of a primary");
    let both = match_with_copy(&other, &copy.data).args(["-h", "127.0.0.1"]).run();
    both.expect_code(2).expect_hint("--from-copy");
}
