//! The whole runbook as one pipeline over ssh, from an administrator's own machine.

use std::time::Duration;
use tests::hosts::{Host, Hosts, Watcher, readmes_pipeline};
use tests::{Outcome, on_each_suite, wait_for};

on_each_suite!(
    one_pipeline_over_ssh_makes_a_standby_and_a_second_run_changes_nothing,
    what_is_typed_at_a_terminal_waits_for_nothing_more_from_it,
);

pub fn pipeline(work: &Host, standby: &Host) -> Outcome {
    work.run(&readmes_pipeline(standby))
}

fn one_pipeline_over_ssh_makes_a_standby_and_a_second_run_changes_nothing(hosts: &Hosts) {
    let secret = "correct horse battery staple";
    hosts.file("needle", &format!("{secret}\n"));
    let [work, db1, db2] = hosts.boot(["work", "db1", "db2"]);
    db1.main_cluster();
    for host in [&db1, &db2] {
        host.lets_in(&work, "root");
        host.says("install -m 600 /exchange/needle /root/s");
    }
    let watcher = Watcher::of(secret);
    let done = pipeline(&work, &db2).success().expect_changed(false);
    assert!(done.typed().changed, "{done}");
    db1.sql(5432, "CREATE TABLE proof AS SELECT 42 AS answer");
    wait_for("the row to arrive", Duration::from_secs(20), || {
        db2.try_sql(5434, "SELECT answer FROM proof").as_deref() == Some("42")
    });
    let started = |host: &Host, port| host.sql(port, "SELECT pg_postmaster_start_time()");
    let (before, starts) = ([db1.files(), db2.files()], [started(&db1, 5432), started(&db2, 5434)]);
    let again = pipeline(&work, &db2).success();
    assert!(!again.typed().changed, "{again}");
    for (host, before) in [&db1, &db2].into_iter().zip(&before) {
        host.expect_same_files(before);
    }
    assert_eq!(starts, [started(&db1, 5432), started(&db2, 5434)]);
    let watcher = watcher.expect_nothing_in_processes();
    watcher.expect_nothing_on(&db1, &["/root/s"]);
    watcher.expect_nothing_on(&db2, &["/root/s", "/var/lib/postgresql/.pgpass"]);
}

/// On a terminal where nobody types and nobody leaves.
fn at_a_terminal(work: &Host, command: &str) -> Outcome {
    work.run(&format!(
        "rm -f /tmp/typed; mkfifo /tmp/typed; sleep 60 > /tmp/typed &
         timeout 30 script --quiet --return --command \"{command}\" /dev/null < /tmp/typed; code=$?
         kill %1; exit $code"
    ))
}

fn what_is_typed_at_a_terminal_waits_for_nothing_more_from_it(hosts: &Hosts) {
    let [work, db1] = hosts.boot(["work", "db1"]);
    db1.main_cluster();
    for user in ["root", "admin", "dba"] {
        db1.lets_in(&work, user);
    }
    let status = "pg-cluster status --output json";
    for command in [
        format!("ssh db1 {status}"),
        format!("ssh db1 '{status} | pg-conf get wal_level'"),
        format!("ssh db1 'cd / && {status} | pg-cluster restart'"),
        format!("ssh admin@db1 sudo {status}"),
        format!("ssh admin@db1 'sudo {status} | sudo pg-cluster reload'"),
        format!("ssh dba@db1 sudo -u postgres {status}"),
    ] {
        let said = at_a_terminal(&work, &command);
        assert!(said.code() == 0 && !said.stdout.contains("waiting for a document"), "{command}\n{said}");
        let document = said.stdout.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("{said}"));
        let document: serde_json::Value =
            serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {said}"));
        let tools = command.matches("pg-c").count();
        assert_eq!(document["steps"].as_array().map(Vec::len), Some(tools), "{said}");
    }
    let failed = "pg-conf set no_such_setting=1";
    // The one that fails tells of it, and on which host; those behind it have nothing to add.
    let refused =
        work.run(&format!("ssh db1 {failed} | ssh db1 'pg-cluster restart | pg-cluster status'")).expect_code(4);
    assert!(refused.stderr.starts_with("db1: pg-conf: error: "), "{refused}");
    assert!(refused.stderr.contains("\ndb1: pg-conf: hint: "), "{refused}");
    assert!(!refused.stderr.contains("failed before"), "{refused}");
    work.run("ssh -n db1 pg-cluster restart").expect_code(3).expect_hint("--no-input");
    // What somebody pipes in is read where that is said.
    let advertised = "ssh db1 pg-cluster advertise --host db1";
    let piped = work.run(&format!("{advertised} | ssh db1 pg-cluster status --input -")).success();
    assert_eq!(piped.document["steps"].as_array().map(Vec::len), Some(2), "{piped}");
}
