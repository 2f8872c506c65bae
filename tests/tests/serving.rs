//! Starting, stopping, restarting, reloading, promoting and waiting, on real servers.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use serde_json::{Value, json};
use tests::{Outcome, Sandbox, TestCluster, on_each_major, on_every_major, on_the_machines_own};

on_every_major!(promote_ends_recovery_once);
on_each_major!(
    each_verb_changes_something_the_first_time_only,
    restart_by_hand_always_restarts,
    restart_by_document_does_the_least_that_it_asks_for,
    reload_puts_a_new_value_in_force,
    reload_of_a_broken_file_fails_and_names_file_and_line,
    reload_of_a_broken_hba_rule_fails_and_names_file_and_line,
    a_start_that_fails_tells_the_servers_own_words,
    waits_until_a_slow_start_accepts_connections,
    a_second_start_joins_one_that_is_under_way,
    status_tells_state_role_and_address,
    advertise_tells_standbys_of_the_primary_and_crosses_hosts,
);
on_the_machines_own!(
    reload_and_promote_of_a_server_that_is_down_say_how_to_start_it,
    stop_takes_each_mode,
    a_smart_stop_that_clients_hold_up_gives_up_and_says_how_to_go_on,
    wait_for_streaming_on_a_primary_says_that_it_never_will,
    a_restart_that_failed_takes_no_need_away,
);

fn each_verb_changes_something_the_first_time_only(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    cluster.tool("start").run().success().expect_changed(true).expect_stderr("started");
    let pid = cluster.pid();
    let again = cluster.tool("start").run().success().expect_changed(false);
    assert!(again.typed().msg.contains("already runs"), "{again}");
    assert_eq!(cluster.pid(), pid, "the second start left the server alone");
    assert_eq!(cluster.sql("SELECT 1"), "1");
    let stopped = cluster.tool("stop").run().success().expect_changed(true);
    assert_eq!(stopped.typed().cluster.expect("a cluster").state, "down");
    assert_eq!(cluster.pid(), None);
    cluster.tool("stop").run().success().expect_changed(false);
}

fn restart_by_hand_always_restarts(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    for _ in 0..2 {
        let before = (cluster.pid(), cluster.started());
        cluster.tool("restart").run().success().expect_changed(true);
        assert_ne!((cluster.pid(), cluster.started()), before);
    }
    cluster.tool("stop").run().success();
    cluster.tool("restart").run().success().expect_changed(true);
    assert_eq!(cluster.sql("SELECT 1"), "1", "a restart starts what was down");
}

/// The document that `pg-conf` would hand on.
fn with_needs(cluster: &TestCluster, level: &str, names: &[&str]) -> Value {
    let mut document = cluster.tool("status").run().success().document;
    let (restart, reload) = if level == "restart" { (names, &[][..]) } else { (&[][..], names) };
    document["needs"] = json!({"level": level, "restart": restart, "reload": reload});
    document
}

fn restart_by_document_does_the_least_that_it_asks_for(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let watched = || (cluster.pid(), cluster.started(), cluster.loaded());
    let restart = |level: &str, names: &[&str]| {
        cluster.sandbox.tool("pg-cluster").arg("restart").document(&with_needs(&cluster, level, names)).run().success()
    };

    let before = watched();
    restart("none", &[]).expect_changed(false);
    assert_eq!(watched(), before, "nothing was asked for");

    let reloaded = restart("reload", &["work_mem"]).expect_changed(true);
    let after = watched();
    assert_eq!((after.0, &after.1), (before.0, &before.1), "the same server");
    assert_ne!(after.2, before.2, "with its configuration loaded anew");
    assert_eq!(reloaded.typed().needs.level, "none");

    cluster.append("postgresql.conf", "max_connections = 37\n");
    let restarted = restart("restart", &["max_connections"]).expect_changed(true);
    assert_ne!(watched().1, before.1, "another server");
    assert_eq!(cluster.sql("SHOW max_connections"), "37");
    assert_eq!(restarted.typed().needs.level, "none", "the need is discharged");
    let again = sandbox.tool("pg-cluster").arg("restart").after(&restarted).run().success();
    again.expect_changed(false);
}

fn reload_puts_a_new_value_in_force(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("postgresql.conf", "work_mem = 7MB\n");
    cluster.tool("reload").run().success().expect_changed(true);
    assert_eq!(cluster.sql("SHOW work_mem"), "7MB");
    let document = with_needs(&cluster, "none", &[]);
    sandbox.tool("pg-cluster").arg("reload").document(&document).run().success().expect_changed(false);
    let document = with_needs(&cluster, "restart", &["max_connections"]);
    let reloaded = sandbox.tool("pg-cluster").arg("reload").document(&document).run().success();
    assert_eq!(reloaded.typed().needs.restart, ["max_connections"], "a reload can't take that need away");
    reloaded.expect_warning("restart");
}

fn line_count(text: &str) -> usize {
    text.lines().count()
}

fn reload_of_a_broken_file_fails_and_names_file_and_line(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("postgresql.conf", "work_mem = 9MB\nthis is not a setting\n");
    let place = format!("postgresql.conf:{}", line_count(&cluster.read("postgresql.conf")));
    let failed = cluster.tool("reload").run().expect_code(1).expect_error(&place);
    assert!(failed.hint().contains("pg-conf check"), "{failed}");
    assert_eq!(cluster.sql("SHOW work_mem"), "4MB", "the server goes on with the old one");
}

fn reload_of_a_broken_hba_rule_fails_and_names_file_and_line(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("pg_hba.conf", "host all all 192.0.2.0/99 md5\n");
    let place = format!("pg_hba.conf:{}", line_count(&cluster.read("pg_hba.conf")));
    cluster.tool("reload").run().expect_code(1).expect_error(&place);
}

fn a_start_that_fails_tells_the_servers_own_words(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").setting("shared_buffers = many").create();
    let failed =
        cluster.tool("start").run().expect_code(1).expect_error("shared_buffers").expect_error("did not start");
    assert_eq!(failed.typed().cluster.expect("a cluster").state, "down");
    assert!(!failed.changed(), "{failed}");

    let neighbour = sandbox.cluster("neighbour").start();
    let same_port = sandbox.cluster("latecomer").setting(&format!("port = {}", neighbour.port)).create();
    let port = neighbour.port.to_string();
    same_port.tool("start").run().expect_code(1).expect_error(&port).expect_hint("ss -ltnp");
}

fn promote_ends_recovery_once(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("standby").create();
    cluster.shut_gate();
    cluster.open_gate();
    cluster.tool("start").run().success();
    assert_eq!(cluster.sql("SELECT pg_is_in_recovery()"), "t");
    let planned = cluster.tool("promote").arg("--check").run().success().expect_changed(true);
    assert_eq!(planned.typed().cluster.expect("a cluster").role.as_deref(), Some("standby"));
    assert_eq!(cluster.sql("SELECT pg_is_in_recovery()"), "t", "--check promotes nothing");
    let promoted = cluster.tool("promote").run().success().expect_changed(true);
    assert_eq!(promoted.typed().cluster.expect("a cluster").role.as_deref(), Some("primary"));
    assert_eq!(cluster.sql("SELECT pg_is_in_recovery()"), "f");
    cluster.tool("promote").run().success().expect_changed(false);
}

fn waits_until_a_slow_start_accepts_connections(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("standby").create();
    cluster.shut_gate();
    let given_up = cluster.tool("start").args(["--timeout", "1"]).run().expect_code(5).expect_error("still starting");
    assert!(given_up.hint().contains("pg-cluster wait"), "{given_up}");
    cluster.tool("wait").args(["--for", "accepting", "--timeout", "0.2"]).run().expect_code(5);
    let waiting = cluster.tool("wait").args(["--for", "accepting"]).start();
    cluster.open_gate();
    waiting.end().success().expect_changed(false);
    assert_eq!(cluster.sql("SELECT 1"), "1");
    cluster
        .tool("wait")
        .args(["--for", "streaming", "--timeout", "0.2"])
        .run()
        .expect_code(5)
        .expect_error("walreceiver");
}

fn a_second_start_joins_one_that_is_under_way(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("standby").create();
    cluster.shut_gate();
    cluster.tool("start").args(["--timeout", "1"]).run().expect_code(5);
    let pid = cluster.pid();
    let second = cluster.tool("start").arg("-v").start();
    second.wait_until_it_says("is starting already");
    cluster.open_gate();
    second.end().success();
    assert_eq!(cluster.pid(), pid, "it is the server of the first start");
    assert_eq!(cluster.sql("SELECT 1"), "1");
}

fn status_tells_state_role_and_address(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let known = cluster.tool("status").run().success().expect_changed(false).typed().cluster.expect("a cluster");
    assert_eq!((known.state.as_str(), known.major, known.port), ("down", cluster.major, cluster.port));
    assert_eq!((known.layout.as_str(), known.name), ("plain", None));
    assert_eq!(known.owner, sandbox.account.name);
    assert_eq!(known.data_directory, cluster.data.display().to_string());
    cluster.tool("start").run().success();
    let running = cluster.tool("status").run().success();
    let known = running.typed().cluster.expect("a cluster");
    assert_eq!((known.state.as_str(), known.role.as_deref()), ("running", Some("primary")));
    assert_eq!(known.socket_directory, Some(cluster.socket_directory().display().to_string()));
    assert_eq!(known.system_identifier, Some(cluster.sql("SELECT system_identifier FROM pg_control_system()")));
    assert!(known.version.expect("a version").starts_with(&format!("{}.", cluster.major)));
    let text = cluster.tool("status").args(["--output", "text"]).run();
    assert_eq!(text.code(), 0, "{text}");
    assert!(text.stdout.contains("is running, a primary on port"), "{text}");
    let listed = sandbox.tool("pg-cluster").arg("list").run().success();
    assert!(listed.stdout.contains(&cluster.data.display().to_string()), "{listed}");
}

fn advertise_tells_standbys_of_the_primary_and_crosses_hosts(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").setting("max_connections = 41").start();
    let advertised = cluster.tool("advertise").args(["--host", "db1", "--role", "replicator"]).run().success();
    let document = advertised.typed();
    let primary = document.primary.expect("a primary");
    assert!(document.cluster.is_none(), "no cluster of this host leaves it");
    assert_eq!((primary.host.as_deref(), primary.port), (Some("db1"), Some(cluster.port)));
    assert_eq!((primary.username.as_deref(), primary.major), (Some("replicator"), Some(cluster.major)));
    assert_eq!(primary.system_identifier, Some(cluster.sql("SELECT system_identifier FROM pg_control_system()")));
    assert_eq!((primary.timeline, &primary.settings["max_connections"]), (Some(1), &json!(41)));
    assert_eq!(primary.settings.contains_key("max_wal_senders"), cluster.major >= 12, "a bound from 12 on");
    let advertised = advertised.expect_changed(false).expect_warning("listen");

    other_major_is_refused(sandbox, &advertised, cluster.major);
    cluster.tool("stop").run().success();
    cluster.tool("advertise").args(["--host", "db1"]).run().expect_code(1).expect_hint("pg-cluster start");
}

fn other_major_is_refused(sandbox: &Sandbox, advertised: &Outcome, major: u32) {
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "--pg-version", "9", "-D"]);
    let refused = create.arg(sandbox.path().join("other")).after(advertised).run();
    assert_eq!(refused.code(), if refused.error().contains("follow") { 3 } else { 1 }, "{refused}");
    let made = sandbox.path().join("follower");
    let port = sandbox.port().to_string();
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p", &port, "-D"]).arg(&made);
    let created = create.after(advertised).run().success().expect_changed(true);
    assert_eq!(created.typed().cluster.expect("a cluster").major, major, "the primary's major is the default");
    assert_eq!(created.typed().primary.expect("a primary").host.as_deref(), Some("db1"), "and it is passed on");
}

fn reload_and_promote_of_a_server_that_is_down_say_how_to_start_it(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    for verb in ["reload", "promote", "wait"] {
        cluster.tool(verb).run().expect_code(1).expect_error("does not run").expect_hint("pg-cluster start -D");
    }
}

fn stop_takes_each_mode(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    for (mode, words) in [("smart", "smart"), ("fast", "fast"), ("immediate", "immediate")] {
        cluster.tool("start").run().success();
        cluster.tool("stop").args(["--mode", mode]).run().success().expect_changed(true);
        let log = std::fs::read_to_string(cluster.data.with_extension("log")).expect("the log");
        assert!(log.contains(&format!("received {words} shutdown request")), "{mode}: {log}");
    }
}

fn a_smart_stop_that_clients_hold_up_gives_up_and_says_how_to_go_on(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let client = cluster.client();
    let stop = cluster.tool("stop").args(["--mode", "smart", "--timeout", "0.3"]);
    let stopped = stop.run().expect_code(5).expect_hint("--mode fast");
    assert_eq!(stopped.typed().cluster.expect("a cluster").state, "stopping");
    assert!(cluster.pid().is_some());
    cluster.tool("stop").run().success().expect_changed(true);
    assert!(cluster.pid().is_none());
    drop(client);
}

fn wait_for_streaming_on_a_primary_says_that_it_never_will(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let wait = cluster.tool("wait").args(["--for", "streaming"]);
    wait.run().expect_code(1).expect_error("primary").expect_hint("pg-cluster status");
}

fn a_restart_that_failed_takes_no_need_away(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let document = with_needs(&cluster, "restart", &["max_connections"]);
    // As after the host's own boot: nobody knows what it started with.
    std::fs::remove_dir_all(cluster.data.join(".pg-conf")).expect("what is kept");
    cluster.append("postgresql.conf", "max_connections = 37\nshared_preload_libraries = nosuch\n");
    let pid = cluster.pid();
    let failed = sandbox.tool("pg-cluster").arg("restart").document(&document).run().expect_code(1);
    let failed = failed.expect_error("nosuch");
    assert_eq!(failed.typed().cluster.expect("a cluster").state, "down");
    assert_eq!(failed.typed().needs.level, "restart", "the need is not discharged\n{failed}");
    assert_ne!(cluster.pid(), pid);
}
