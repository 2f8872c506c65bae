//! `pg-conf undo` on real servers: what a change replaced comes back, byte for byte, and nobody else's edit is lost.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Outcome, Sandbox, TestCluster, on_each_major, on_the_machines_own};

on_each_major!(
    the_last_change_of_a_setting_comes_back_byte_for_byte,
    the_last_change_of_the_rules_comes_back_byte_for_byte,
    what_is_put_back_needs_what_the_change_needed,
);
on_the_machines_own!(
    a_step_takes_back_all_later_ones_with_it,
    a_file_that_somebody_else_edited_is_not_overwritten,
    what_the_server_would_no_longer_take_is_not_put_back,
    an_undo_can_be_undone,
    the_steps_are_listed_with_what_they_changed,
    check_mode_puts_nothing_back,
    a_cluster_that_is_down_is_undone_too,
    what_the_running_server_does_not_read_does_not_stay,
    what_alter_system_had_set_comes_back_with_the_rest,
    the_history_of_a_plain_standby_outlives_a_copy,
);

fn set(cluster: &TestCluster, settings: &[&str]) -> Outcome {
    cluster.other_tool("pg-conf", "set").args(settings).run().success().expect_changed(true)
}

fn undo(cluster: &TestCluster, arguments: &[&str]) -> Outcome {
    cluster.other_tool("pg-conf", "undo").args(arguments).run()
}

fn odd_file(cluster: &TestCluster) -> String {
    cluster.append("postgresql.conf", "work_mem = '3MB'\t# ours\r\n\n  Log_Line_Prefix '%m '");
    cluster.read("postgresql.conf")
}

fn the_last_change_of_a_setting_comes_back_byte_for_byte(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = odd_file(&cluster);
    set(&cluster, &["work_mem=5MB", "temp_buffers=1MB"]);
    assert_ne!(cluster.read("postgresql.conf"), before);
    let undone = undo(&cluster, &[]).success().expect_changed(true).expect_stderr("put back");
    assert_eq!(cluster.read("postgresql.conf"), before);
    let undone = undone.expect_stderr("work_mem: 5MB → 3MB");
    assert!(undone.typed().msg.contains("as before step 1"), "{undone}");
    let print = cluster.fingerprint();
    undo(&cluster, &[]).success().expect_changed(false);
    undo(&cluster, &["--step", "1"]).success().expect_changed(false);
    assert_eq!(cluster.fingerprint(), print, "a second run changes nothing");
}

fn the_last_change_of_the_rules_comes_back_byte_for_byte(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = cluster.read("pg_hba.conf");
    let allow = cluster.other_tool("pg-conf", "allow").args(["replicator", "--from", "192.0.2.7"]);
    allow.run().success().expect_changed(true);
    let undone = undo(&cluster, &[]).success().expect_changed(true);
    assert_eq!(cluster.read("pg_hba.conf"), before);
    assert_eq!(undone.typed().needs.level, "reload", "{undone}");
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL"), "0");
}

fn what_is_put_back_needs_what_the_change_needed(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let max_connections = cluster.sql("SHOW max_connections");
    set(&cluster, &["max_connections=37"]);
    // Before the restart the server still has the old value, so nothing is needed to go back to it.
    let early = undo(&cluster, &[]).success().expect_changed(true);
    assert_eq!(early.typed().needs.level, "none", "{early}");
    let changed = set(&cluster, &["max_connections=37"]);
    sandbox.tool("pg-cluster").arg("restart").after(&changed).run().success();
    assert_eq!(cluster.sql("SHOW max_connections"), "37");
    let undone = undo(&cluster, &[]).success();
    assert_eq!(undone.typed().needs.restart, ["max_connections"], "{undone}");
    sandbox.tool("pg-cluster").arg("restart").after(&undone).run().success();
    assert_eq!(cluster.sql("SHOW max_connections"), max_connections);
}

fn a_step_takes_back_all_later_ones_with_it(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    set(&cluster, &["work_mem=5MB"]);
    let middle = (cluster.read("postgresql.conf"), cluster.read("pg_hba.conf"));
    set(&cluster, &["work_mem=6MB"]);
    cluster.other_tool("pg-conf", "allow").args(["replicator", "--from", "192.0.2.7"]).run().success();
    set(&cluster, &["temp_buffers=2MB"]);
    undo(&cluster, &["--step", "2"]).success().expect_changed(true);
    assert_eq!((cluster.read("postgresql.conf"), cluster.read("pg_hba.conf")), middle);
    undo(&cluster, &["--step", "2"]).success().expect_changed(false);
    undo(&cluster, &["--step", "99"]).expect_code(2).expect_hint("pg-conf undo").expect_hint("--list");
}

fn a_file_that_somebody_else_edited_is_not_overwritten(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    set(&cluster, &["work_mem=5MB"]);
    cluster.append("postgresql.conf", "# by hand, at night\n");
    let print = cluster.fingerprint();
    let refused = undo(&cluster, &[]).expect_code(3).expect_error("edited by somebody else since step 1");
    assert!(refused.hint().contains("diff"), "{refused}");
    assert_eq!(cluster.fingerprint(), print);
}

fn what_the_server_would_no_longer_take_is_not_put_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    // Broken by hand, mended by pg-conf: going back would break it again.
    cluster.append("postgresql.conf", "nosuch_setting = 1\n");
    cluster.other_tool("pg-conf", "unset").arg("nosuch_setting").run().success().expect_changed(true);
    let print = cluster.fingerprint();
    undo(&cluster, &[]).expect_code(3).expect_error("would not start").expect_error("nosuch_setting");
    assert_eq!(cluster.fingerprint(), print);
}

fn an_undo_can_be_undone(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    set(&cluster, &["work_mem=5MB"]);
    let changed = cluster.read("postgresql.conf");
    undo(&cluster, &[]).success().expect_changed(true);
    undo(&cluster, &["--step", "2"]).success().expect_changed(true);
    assert_eq!(cluster.read("postgresql.conf"), changed);
}

fn the_steps_are_listed_with_what_they_changed(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let none = undo(&cluster, &[]).success().expect_changed(false);
    assert!(none.typed().msg.contains("no change"), "{none}");
    set(&cluster, &["work_mem=5MB"]);
    set(&cluster, &["max_connections=37"]);
    let listed = undo(&cluster, &["--list"]).success().expect_changed(false);
    let kept = listed.document["history"].as_array().expect("the kept steps").clone();
    assert_eq!(kept.len(), 2);
    assert_eq!((&kept[1]["number"], &kept[1]["action"], &kept[1]["restart"]), (&2.into(), &"set".into(), &true.into()));
    assert!(kept[0]["changes"][0].as_str().is_some_and(|text| text.contains("→ 5MB")), "{listed}");
}

fn check_mode_puts_nothing_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    set(&cluster, &["work_mem=5MB"]);
    let print = cluster.fingerprint();
    let planned = undo(&cluster, &["--check", "--diff"]).success().expect_changed(true).expect_stderr("would put back");
    assert!(planned.document["diff"].to_string().contains("work_mem"), "{planned}");
    assert_eq!(cluster.fingerprint(), print);
    undo(&cluster, &[]).success().expect_changed(true);
}

fn a_cluster_that_is_down_is_undone_too(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let before = cluster.read("postgresql.conf");
    set(&cluster, &["max_connections=37"]);
    let undone = undo(&cluster, &[]).success().expect_changed(true);
    assert_eq!(cluster.read("postgresql.conf"), before);
    assert_eq!(undone.typed().needs.level, "start", "{undone}");
    cluster.tool("start").run().success();
}

/// What the server's own limits say is not what a program that is started here would say: the tool runs with 8 MB of
/// stack, the server with 1 MB.
fn what_the_running_server_does_not_read_does_not_stay(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let start = format!("ulimit -S -s 1024; pg-cluster start -D {}", cluster.data.display());
    sandbox.pipeline(&start).run().success();
    let before = cluster.read("postgresql.conf");
    let failed = cluster.other_tool("pg-conf", "set").arg("max_stack_depth=6MB").run().expect_code(1);
    failed.expect_error("max_stack_depth").expect_error("the old files are back");
    assert_eq!(cluster.read("postgresql.conf"), before);
    let none = undo(&cluster, &[]).success().expect_changed(false);
    assert!(none.typed().msg.contains("no change"), "of what was taken back at once nothing is kept: {none}");
}

fn what_alter_system_had_set_comes_back_with_the_rest(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("ALTER SYSTEM SET work_mem = '6MB'");
    let before = (cluster.read("postgresql.conf"), cluster.read("postgresql.auto.conf"));
    let undone = || {
        let undone = undo(&cluster, &[]).success().expect_changed(true);
        assert_eq!((cluster.read("postgresql.conf"), cluster.read("postgresql.auto.conf")), before, "{undone}");
        undone
    };
    // By the running server, and by ourselves where it is down.
    set(&cluster, &["--override", "work_mem=7MB"]);
    let needs = undone().typed().needs;
    assert_eq!(needs.level, "reload", "the server has its built-in value until it loads the old one again");
    cluster.other_tool("pg-conf", "unset").args(["--override", "work_mem"]).run().success().expect_changed(true);
    undone();
    cluster.tool("stop").run().success();
    set(&cluster, &["--override", "work_mem=7MB"]);
    undone();
}

fn the_history_of_a_plain_standby_outlives_a_copy(sandbox: &Sandbox) {
    let pair = tests::pair(sandbox);
    set(&pair.primary, &["work_mem=5MB"]);
    set(&pair.standby, &["work_mem=6MB"]);
    let before_copy = undo(&pair.standby, &["--list"]).success().document["history"].clone();
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    assert_eq!(undo(&pair.standby, &["--list"]).success().document["history"], before_copy);
    undo(&pair.standby, &[]).success().expect_changed(true).expect_stderr("work_mem");
}
