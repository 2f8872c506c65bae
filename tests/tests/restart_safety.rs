//! A restart can't leave a server down by its configuration: what surely would not start is refused while the old server
//! runs, and what fails all the same is taken back.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tests::{Outcome, Sandbox, TestCluster, on_each_major, on_the_machines_own, skip, wait_for};

on_each_major!(
    more_connections_than_memory_has_room_for_are_taken_back,
    a_library_that_is_not_there_is_taken_back,
    huge_pages_that_are_not_there_are_taken_back,
    what_would_surely_not_start_is_refused_while_the_server_runs,
);
on_the_machines_own!(
    a_port_whose_socket_is_taken_meanwhile_is_taken_back,
    what_a_reload_takes_and_a_start_refuses_is_taken_back,
    rules_that_were_in_force_stay_when_a_setting_is_taken_back,
    what_somebody_else_edited_is_taken_back_too_and_kept,
    what_alter_system_set_is_taken_back_too,
    of_a_server_that_was_not_seen_to_start_an_edit_by_hand_is_left_alone,
    without_a_kept_change_the_failure_says_so,
    a_configuration_that_failed_can_be_had_again,
    what_is_not_the_configurations_fault_leaves_the_newest_in_place,
    standbys_are_shown_in_the_plan,
    a_standby_that_a_setting_paused_is_told_of_and_not_restarted_before_that_is_mended,
    status_tells_what_waits_for_a_restart,
    a_reload_that_finds_errors_puts_the_old_file_back,
    a_reload_does_not_put_back_what_is_not_to_blame,
);

fn set(cluster: &TestCluster, settings: &[&str]) -> Outcome {
    cluster.other_tool("pg-conf", "set").args(settings).run().success().expect_changed(true)
}

fn restart_after(sandbox: &Sandbox, changed: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("restart").after(changed).run()
}

/// Sets what passes every check, sees the restart fail with the server's own words, and the server run as before.
fn is_taken_back(cluster: &TestCluster, settings: &[&str], words: &str) {
    let (before, shown) = (cluster.read("postgresql.conf"), cluster.sql("SHOW max_connections"));
    let changed = set(cluster, settings);
    let failed = restart_after(cluster.sandbox, &changed).expect_code(1).expect_error(words);
    let failed = failed.expect_error("it runs again with the one from before step").expect_hint("pg-conf undo");
    let document = failed.typed();
    assert_eq!(
        (document.cluster.expect("a cluster").state.as_str(), document.needs.level.as_str()),
        ("running", "none")
    );
    assert!(failed.changed(), "{failed}");
    assert_eq!(cluster.read("postgresql.conf"), before, "byte for byte");
    assert_eq!(cluster.sql("SHOW max_connections"), shown);
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL"), "0");
    cluster.tool("restart").run().success();
}

fn more_connections_than_memory_has_room_for_are_taken_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let settings = ["max_connections=200000", "max_locks_per_transaction=100000"];
    is_taken_back(&cluster, &settings, "could not map anonymous shared memory");
}

fn a_library_that_is_not_there_is_taken_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    is_taken_back(&cluster, &["shared_preload_libraries=nosuch"], "could not access file \"nosuch\"");
}

fn huge_pages_that_are_not_there_are_taken_back(sandbox: &Sandbox) {
    let meminfo = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
    if !meminfo.lines().any(|line| line.starts_with("HugePages_Free:") && line.ends_with(" 0")) {
        return tests::skip("this host has huge pages");
    }
    let cluster = sandbox.cluster("primary").start();
    is_taken_back(&cluster, &["huge_pages=on"], "could not map anonymous shared memory");
}

fn a_port_whose_socket_is_taken_meanwhile_is_taken_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let other = sandbox.cluster("other").setting("listen_addresses = ''").start();
    let before = cluster.read("postgresql.conf");
    let changed = set(&cluster, &[&format!("port={}", other.port)]);
    let failed = restart_after(sandbox, &changed).expect_code(1).expect_error("lock file");
    failed.expect_error("it runs again");
    assert_eq!(cluster.read("postgresql.conf"), before);
    assert_eq!((cluster.sql("SELECT 1").as_str(), other.sql("SELECT 1").as_str()), ("1", "1"));
}

fn what_a_reload_takes_and_a_start_refuses_is_taken_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    for name in ["server.crt", "server.key"] {
        cluster.write(name, "not a certificate\n");
        std::fs::set_permissions(cluster.data.join(name), PermissionsExt::from_mode(0o600)).expect("chmod");
        sandbox.give_to_owner(&cluster.data.join(name));
    }
    let before = cluster.read("postgresql.conf");
    set(&cluster, &["ssl=on"]);
    let failed = cluster.tool("restart").run().expect_code(1).expect_error("could not load server certificate file");
    failed.expect_error("it runs again with the one from before step 1");
    assert_eq!(cluster.read("postgresql.conf"), before);
    assert_eq!(cluster.sql("SHOW ssl"), "off");
}

fn rules_that_were_in_force_stay_when_a_setting_is_taken_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let changed = set(&cluster, &["shared_preload_libraries=nosuch"]);
    let allowed = cluster.other_tool("pg-conf", "allow").args(["replicator", "--from", "192.0.2.7"]).run().success();
    let rules = cluster.read("pg_hba.conf");
    assert!(rules.contains("192.0.2.7"), "{allowed}");
    restart_after(sandbox, &changed).expect_code(1).expect_error("it runs again");
    assert_eq!(cluster.read("pg_hba.conf"), rules);
}

fn what_somebody_else_edited_is_taken_back_too_and_kept(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = cluster.read("postgresql.conf");
    cluster.append("postgresql.conf", "shared_preload_libraries = 'nosuch' # by hand\n");
    let edited = cluster.read("postgresql.conf");
    let failed = cluster.tool("restart").run().expect_code(1).expect_error("nosuch");
    failed.expect_error("it runs again with the one from when it started").expect_error("is kept as step 1");
    assert_eq!((cluster.read("postgresql.conf"), cluster.sql("SELECT 1")), (before.clone(), "1".to_owned()));
    cluster.other_tool("pg-conf", "undo").args(["--step", "1"]).run().success().expect_changed(true);
    assert_eq!(cluster.read("postgresql.conf"), edited);

    // What pg-conf changed before that can't be followed back by itself.
    cluster.write("postgresql.conf", &before);
    cluster.tool("restart").run().success();
    set(&cluster, &["work_mem=5MB"]);
    cluster.append("postgresql.conf", "shared_preload_libraries = 'nosuch'\n");
    cluster.tool("restart").run().expect_code(1).expect_error("it runs again with the one from when it started");
    assert_eq!(cluster.read("postgresql.conf"), before);
}

fn what_alter_system_set_is_taken_back_too(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("ALTER SYSTEM SET shared_preload_libraries = 'nosuch'");
    cluster.tool("restart").run().expect_code(1).expect_error("it runs again").expect_error("nosuch");
    assert_eq!(cluster.sql("SHOW shared_preload_libraries"), "");
}

/// As after the host's own boot.
fn status_tells_what_waits_for_a_restart(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let told = || cluster.tool("status").run().success();
    assert_eq!(told().document["pending_restart"], serde_json::json!([]));
    let changed = set(&cluster, &["max_connections=120", "work_mem=8MB"]);
    sandbox.tool("pg-cluster").arg("reload").after(&changed).run().success();
    assert_eq!(told().document["pending_restart"], serde_json::json!(["max_connections"]));
    let shown = cluster.tool("status").args(["--output", "text"]).run();
    assert!(shown.stdout.contains("wait for a restart: max_connections"), "{shown}");
    cluster.tool("restart").run().success();
    assert_eq!(told().document["pending_restart"], serde_json::json!([]));
}

fn forget_the_start(cluster: &TestCluster) {
    std::fs::remove_dir_all(cluster.data.join(".pg-conf/started-with")).expect("what it started with");
}

fn of_a_server_that_was_not_seen_to_start_an_edit_by_hand_is_left_alone(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    forget_the_start(&cluster);
    set(&cluster, &["shared_preload_libraries=nosuch"]);
    cluster.append("postgresql.conf", "# by hand\n");
    let edited = cluster.read("postgresql.conf");
    let failed = cluster.tool("restart").run().expect_code(1).expect_error("nosuch");
    let failed = failed.expect_error("was edited by somebody else since step 1").expect_error("is not put back");
    assert_eq!(failed.typed().cluster.expect("a cluster").state, "down");
    assert_eq!(cluster.read("postgresql.conf"), edited);
    cluster.other_tool("pg-conf", "unset").arg("shared_preload_libraries").run().success();
    cluster.tool("start").run().success();
}

fn without_a_kept_change_the_failure_says_so(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    forget_the_start(&cluster);
    cluster.append("postgresql.conf", "shared_preload_libraries = 'nosuch'\n");
    let failed = cluster.tool("restart").run().expect_code(1).expect_error("nosuch");
    failed.expect_error("there is no configuration to put back");
}

fn a_configuration_that_failed_can_be_had_again(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let changed = set(&cluster, &["shared_preload_libraries=nosuch", "work_mem=5MB"]);
    let failing = cluster.read("postgresql.conf");
    let failed = restart_after(sandbox, &changed).expect_code(1).expect_error("is kept as step 2");
    assert!(failed.error().contains("pg-conf undo"), "{failed}");
    cluster.other_tool("pg-conf", "undo").args(["--step", "2"]).run().success().expect_changed(true);
    assert_eq!(cluster.read("postgresql.conf"), failing);
}

fn what_would_surely_not_start_is_refused_while_the_server_runs(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let good = (cluster.read("postgresql.conf"), cluster.read("pg_hba.conf"));
    let before = (cluster.pid(), cluster.started());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = format!("port = {}\n", taken.local_addr().expect("an address").port());
    let beyond = "shared_buffers = 1000TB\n";
    for (file, line, words) in [
        ("postgresql.conf", "this is no setting\n", "syntax error"),
        ("postgresql.conf", "nosuch_setting = 1\n", "nosuch_setting"),
        ("postgresql.conf", "max_connections = many\n", "max_connections"),
        ("postgresql.conf", "wal_level = minimal\n", "requires wal_level"),
        ("postgresql.conf", port.as_str(), "something else listens on 127.0.0.1"),
        ("postgresql.conf", beyond, "shared_buffers"),
        ("postgresql.conf", "unix_socket_directories = '/nosuch'\n", "/nosuch"),
        ("postgresql.conf", "ssl = on\nssl_key_file = 'nosuch.key'\n", "server.crt"),
        ("pg_hba.conf", "host all all 192.0.2.0/99 md5\n", "pg_hba.conf:"),
    ] {
        cluster.append(file, line);
        for check in [&["--check"][..], &[]] {
            let refused = cluster.tool("restart").args(check).run().expect_code(3).expect_error(words);
            assert!(refused.error().contains("would not come back") && !refused.changed(), "{line}: {refused}");
        }
        cluster.write("postgresql.conf", &good.0);
        cluster.write("pg_hba.conf", &good.1);
    }
    cluster.append("postgresql.conf", "include 'nosuch.conf'\n");
    cluster.tool("restart").run().expect_code(1).expect_error("nosuch.conf").expect_hint("sed -n");
    cluster.write("postgresql.conf", &good.0);
    assert_eq!((cluster.pid(), cluster.started()), before, "the same server all the time");
    cluster.tool("restart").run().success();
}

fn what_is_not_the_configurations_fault_leaves_the_newest_in_place(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let changed = set(&cluster, &["max_connections=37"]);
    cluster.other_tool("pg-conf", "allow").args(["replicator", "--from", "192.0.2.7"]).run().success();
    let newest = (cluster.read("postgresql.conf"), cluster.read("pg_hba.conf"));
    // Without the first segment of its log of transactions no configuration helps.
    let (there, hidden) = (cluster.data.join("pg_xact"), cluster.data.join("pg_xact.hidden"));
    std::fs::rename(&there, &hidden).expect("hide it");
    let restart = sandbox.tool("pg-cluster").args(["restart", "--mode", "immediate"]);
    let failed = restart.after(&changed).run().expect_code(1);
    let failed = failed.expect_error("it does not start either, so the newest is in place again");
    assert_eq!(failed.typed().cluster.expect("a cluster").state, "down");
    assert_eq!((cluster.read("postgresql.conf"), cluster.read("pg_hba.conf")), newest);
    std::fs::rename(&hidden, &there).expect("show it again");
    cluster.tool("start").run().success();
    assert_eq!(cluster.sql("SHOW max_connections"), "37");
    let listed = cluster.other_tool("pg-conf", "undo").arg("--list").run().success();
    assert_eq!(listed.document["history"].as_array().map(Vec::len), Some(2), "{listed}");
}

fn standbys_are_shown_in_the_plan(sandbox: &Sandbox) {
    let pair = tests::pair(sandbox);
    let planned = pair.primary.tool("restart").arg("--check").run().success().expect_stderr("is attached to");
    assert_eq!(planned.document["standbys"][0]["username"], "replicator", "{planned}");
    assert_eq!(planned.document["standbys"][0]["state"], "streaming", "{planned}");
    pair.primary.tool("restart").run().success();
    pair.streams();
    // What is refused takes nobody's connection.
    pair.primary.append("postgresql.conf", "work_mem = 'much'\n");
    let refused = pair.primary.tool("restart").run().expect_code(3);
    assert!(!refused.stderr.contains("is attached to"), "{refused}");
}

fn a_standby_that_a_setting_paused_is_told_of_and_not_restarted_before_that_is_mended(sandbox: &Sandbox) {
    if sandbox.server.major < 14 {
        return skip("until 13 such a standby shuts down");
    }
    let pair = tests::pair(sandbox);
    pair.primary
        .other_tool("pg-conf", "set")
        .arg("max_connections=150")
        .run()
        .success()
        .expect_warning("the standbys first");
    pair.primary.tool("restart").run().success();
    wait_for("the standby to pause", Duration::from_secs(20), || {
        pair.standby.sql("SELECT pg_get_wal_replay_pause_state()") == "paused"
    });
    let below = "max_connections = 100 is below the 150 that the primary had";
    let status =
        pair.standby.tool("status").run().success().expect_warning("its replay is paused").expect_warning(below);
    assert_eq!(status.document["replication"]["replay_paused"], true, "{status}");
    pair.standby.tool("status").args(["--max-lag", "1GB"]).run().expect_code(1).expect_error("that is paused");
    let waited = pair.standby.tool("wait").args(["--for", "streaming", "--timeout", "1"]).run().expect_code(5);
    waited.expect_error("its replay is paused").expect_error(below);
    let started = pair.standby.started();
    pair.standby.tool("restart").run().expect_code(3).expect_error(below);
    pair.standby.tool("restart").arg("--check").run().expect_code(3).expect_error(below);
    assert_eq!(pair.standby.started(), started, "it serves on");

    let advertised =
        pair.primary.tool("advertise").args(["--host", "127.0.0.1", "--role", "replicator"]).run().success();
    let matched = pair.standby.other_tool("pg-conf", "match").args(["--input", "-"]).after(&advertised).run().success();
    sandbox.tool("pg-cluster").arg("restart").after(&matched).run().success().expect_changed(true);
    pair.streams();
    pair.standby.tool("promote").arg("--check").run().success().expect_warning("still streams from 127.0.0.1:");
}

/// The program that judges runs with 8 MB of stack, the server with 1 MB, and the server was not to be asked.
fn bad_for_the_server_alone(sandbox: &Sandbox) -> TestCluster<'_> {
    let cluster = sandbox.cluster("primary").create();
    let start = format!("ulimit -S -s 1024; pg-cluster start -D {}", cluster.data.display());
    sandbox.pipeline(&start).run().success();
    let unasked = cluster.other_tool("pg-conf", "set").args(["max_stack_depth=6MB", "-h", "/nonexistent"]);
    unasked.run().success().expect_changed(true).expect_warning("can't be asked");
    cluster
}

fn a_reload_that_finds_errors_puts_the_old_file_back(sandbox: &Sandbox) {
    let cluster = bad_for_the_server_alone(sandbox);
    let failed = cluster.tool("reload").run().expect_code(1).expect_error("max_stack_depth");
    failed.expect_error("the files are as before step 1 again");
    assert!(!cluster.read("postgresql.conf").contains("max_stack_depth = 6MB"));
    cluster.tool("reload").run().success();
}

fn a_reload_does_not_put_back_what_is_not_to_blame(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    set(&cluster, &["work_mem=5MB"]);
    cluster.append("pg_hba.conf", "host all all 192.0.2.0/99 md5\n");
    cluster.tool("reload").run().expect_code(1).expect_error("pg_hba.conf:");
    assert!(cluster.read("postgresql.conf").contains("work_mem = 5MB"));
    let listed = cluster.other_tool("pg-conf", "undo").arg("--list").run().success();
    assert_eq!(listed.document["history"].as_array().map(Vec::len), Some(1), "{listed}");
}
