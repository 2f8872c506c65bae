//! Signals, locks and sudden death: what was begun is ended or told of, and nothing outlives a tool.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::Duration;
use tests::{
    Running, Sandbox, Stdin, TestCluster, lets_in_and_says_nothing, on_each_major, on_the_machines_own, pair, wait_for,
};

on_each_major!(a_signal_during_a_long_start_ends_with_a_document_and_no_child);
on_the_machines_own!(
    a_signal_during_a_long_stop_ends_with_a_document,
    a_signal_while_waiting_ends_with_a_document,
    a_signal_while_another_session_is_in_the_way_ends_with_a_document_and_nothing_is_done_later,
    a_server_that_lets_in_and_says_nothing_is_given_up,
    a_session_that_falls_silent_is_left_for_another_one,
    a_second_run_waits_for_the_first_and_says_for_whom,
    a_second_run_gives_up_after_its_lock_timeout,
    a_lock_dies_with_its_holder,
    no_lock_hinders_those_who_only_look,
    a_killed_create_leaves_no_initdb_behind,
);

const PATIENCE: Duration = Duration::from_secs(30);

/// A stop that its one client holds up for as long as the test wants.
fn held_up_stop(cluster: &TestCluster) -> Running {
    let stop = cluster.tool("stop").args(["--mode", "smart", "--timeout", "100"]).start();
    // Until 13 the pid file doesn't say that a smart stop is under way; the log does.
    let log = cluster.data.with_extension("log");
    wait_for("a smart stop is under way", PATIENCE, || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("received smart shutdown request")
    });
    stop
}

fn is_gone(pid: i32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

fn a_signal_during_a_long_start_ends_with_a_document_and_no_child(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("standby").create();
    cluster.shut_gate();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let start = cluster.tool("start").start();
        wait_for("the server is starting", PATIENCE, || cluster.status_line() == "starting");
        wait_for("the tool has a child", PATIENCE, || !start.children().is_empty());
        let children = start.children();
        start.signal(signal);
        let stopped = start.end().expect_code(1).expect_error(signal.as_str());
        assert!(stopped.error().contains("run the same command again"), "{stopped}");
        assert_eq!(stopped.typed().cluster.expect("a cluster").state, "starting");
        assert!(children.into_iter().all(is_gone), "pg_ctl is gone too");
        cluster.tool("stop").args(["--mode", "immediate"]).run().success().expect_changed(true);
    }
    let start = cluster.tool("start").start();
    wait_for("the server is starting", PATIENCE, || cluster.status_line() == "starting");
    start.signal(Signal::SIGTERM);
    start.end().expect_code(1);
    cluster.open_gate();
    cluster.tool("start").run().success();
    assert_eq!(cluster.sql("SELECT 1"), "1", "a re-run goes on");
}

fn a_signal_during_a_long_stop_ends_with_a_document(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let client = cluster.client();
    let stop = held_up_stop(&cluster);
    stop.signal(Signal::SIGTERM);
    stop.end().expect_code(1).expect_error("SIGTERM").expect_error("run the same command again");
    drop(client);
    cluster.tool("stop").run().success();
    assert_eq!(cluster.pid(), None, "a re-run goes on");
}

fn a_signal_while_waiting_ends_with_a_document(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("standby").create();
    cluster.shut_gate();
    cluster.tool("start").args(["--timeout", "1"]).run().expect_code(5);
    let waiting = cluster.tool("wait").arg("-v").start();
    // It has connected, and so listens, once the server has refused it.
    let log = cluster.data.with_extension("log");
    wait_for("the server has refused a connection", PATIENCE, || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("the database system is starting up")
    });
    waiting.signal(Signal::SIGINT);
    waiting.end().expect_code(1).expect_error("SIGINT while waiting");
}

fn a_signal_while_another_session_is_in_the_way_ends_with_a_document_and_nothing_is_done_later(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("CREATE ROLE replicator LOGIN REPLICATION");
    let mut other = cluster.client();
    other.says("BEGIN; ALTER ROLE replicator CONNECTION LIMIT 3;");
    let sessions = |condition: &str| {
        cluster
            .sql(&format!("SELECT count(*) FROM pg_stat_activity WHERE {condition}"))
            .parse::<u32>()
            .expect("a number")
    };
    wait_for("somebody works on the role", PATIENCE, || sessions("state = 'idle in transaction'") == 1);
    let password = sandbox.file("secret", "swordfish\n");
    let ensure = cluster.other_tool("pg-role", "ensure").arg("replicator").arg("--password-file").arg(password).start();
    wait_for("it waits for them", PATIENCE, || sessions("wait_event_type = 'Lock'") == 1);
    ensure.signal(Signal::SIGINT);
    ensure.end().expect_code(1).expect_error("stopped by SIGINT while").expect_error("run the same command again");
    other.says("COMMIT;");
    wait_for("the others are done", PATIENCE, || {
        sessions("application_name = 'pg-role' OR state LIKE 'idle in%'") == 0
    });
    let role = "SELECT rolpassword IS NULL, rolconnlimit FROM pg_authid WHERE rolname = 'replicator'";
    assert_eq!(cluster.sql(role), "t|3", "what was given up is not done when the way is free");
}

fn a_server_that_lets_in_and_says_nothing_is_given_up(sandbox: &Sandbox) {
    let (cluster, port) = (sandbox.cluster("standby").start(), sandbox.port());
    lets_in_and_says_nothing(port);
    let there = |limit: u32| format!("host=127.0.0.1 port={port} sslmode=disable connect_timeout={limit}");
    for verb in [&["status", "--max-lag", "64MB"][..], &["wait", "--timeout", "1"]] {
        let gave_up = cluster.tool(verb[0]).args(&verb[1..]).args(["--conninfo", &there(1)]).run().expect_code(5);
        let way_out = if verb[0] == "status" { "ps -C postgres" } else { "pg-cluster status" };
        gave_up.expect_error("then said nothing for 10s").expect_hint(way_out);
    }
    // Where nobody limits it, whoever asks for an end gets it.
    let status = cluster.tool("status").args(["-v", "--conninfo", &there(0)]).start();
    wait_for("it has connected", PATIENCE, || {
        std::fs::read_to_string(format!("/proc/{}/net/tcp", status.pid()))
            .is_ok_and(|table| table.contains(&format!(":{port:04X} 01 ")))
    });
    status.signal(Signal::SIGTERM);
    status.end().expect_code(1).expect_error("stopped by SIGTERM while 127.0.0.1");
}

fn a_session_that_falls_silent_is_left_for_another_one(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.primary.tool("stop").run().success();
    let waiting = pair.standby.tool("wait").args(["--for", "streaming", "--timeout", "60"]).start();
    let session = || {
        let pids = pair.standby.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'pg-cluster'");
        pids.lines().next().and_then(|pid| pid.parse().ok()).map(Pid::from_raw)
    };
    wait_for("it asks the standby", PATIENCE, || session().is_some());
    let session = session().expect("a session");
    kill(session, Signal::SIGSTOP).expect("stop the session's process");
    pair.primary.tool("start").run().success();
    waiting.end().success();
    kill(session, Signal::SIGCONT).expect("let it go on");
}

fn a_second_run_waits_for_the_first_and_says_for_whom(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let client = cluster.client();
    let first = held_up_stop(&cluster);
    let second = cluster.tool("start").start();
    second.wait_until_it_says(&format!("waiting for pg-cluster (pid {})", first.pid()));
    drop(client);
    first.end().success().expect_changed(true);
    second.end().success().expect_changed(true);
    assert_eq!(cluster.sql("SELECT 1"), "1", "the second run saw what the first had done");
}

fn a_second_run_gives_up_after_its_lock_timeout(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let client = cluster.client();
    let first = held_up_stop(&cluster);
    for verb in ["stop", "restart", "reload", "drop"] {
        let second = cluster.tool(verb).args(["--lock-timeout", "0.1"]).stdin(Stdin::Null).run().expect_code(5);
        let second = second.expect_error(&format!("pg-cluster (pid {})", first.pid()));
        assert!(second.error().contains("--lock-timeout"), "{second}");
    }
    drop(client);
    first.end().success();
}

fn a_lock_dies_with_its_holder(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let client = cluster.client();
    let first = held_up_stop(&cluster);
    let second = cluster.tool("stop").start();
    second.wait_until_it_says("waiting for pg-cluster");
    first.kill();
    second.end().success().expect_changed(true);
    assert_eq!(cluster.pid(), None);
    drop(client);
}

fn no_lock_hinders_those_who_only_look(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let client = cluster.client();
    let first = held_up_stop(&cluster);
    cluster.tool("stop").arg("--check").run().success();
    assert_eq!(cluster.tool("status").run().typed().cluster.expect("a cluster").state, "stopping");
    drop(client);
    first.end().success();
}

fn a_killed_create_leaves_no_initdb_behind(sandbox: &Sandbox) {
    let data = sandbox.path().join("half");
    let port = sandbox.port().to_string();
    let create = || sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p", &port, "-D"]).arg(&data);
    let first = create().start();
    wait_for("initdb is at work", PATIENCE, || data.join("base").exists());
    let children = first.children();
    first.kill();
    wait_for("initdb is gone", PATIENCE, || children.iter().copied().all(is_gone));
    // What initdb had begun is removed by itself, or refused as what it is: never taken for a cluster.
    let again = create().run();
    assert!([0, 3].contains(&again.code()), "{again}");
    let start = sandbox.tool("pg-cluster").args(["start", "-D"]).arg(&data).run();
    assert_eq!(start.code() == 0, again.code() == 0, "{again}\n{start}");
}
