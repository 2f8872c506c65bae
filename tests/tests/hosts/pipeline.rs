//! The whole runbook as one pipeline over ssh, from an administrator's own machine.

use std::time::Duration;
use tests::hosts::{Host, Hosts, Watcher};
use tests::{Outcome, on_each_suite, wait_for};

on_each_suite!(one_pipeline_over_ssh_makes_a_standby_and_a_second_run_changes_nothing);

/// README's own words, but for the standby's address and version.
fn pipeline(work: &Host, standby: &Host) -> Outcome {
    let readme = include_str!("../../../README.md");
    let block = readme.split("```").find(|text| text.contains("ssh db1")).expect("README's pipeline");
    let words = block.trim_start_matches("sh\n");
    let (address, cluster) = ("192.0.2.7", "17/replica");
    assert!(words.contains(address) && words.contains(cluster), "{words}");
    work.run(&words.replace(address, &standby.address).replace(cluster, &format!("{}/replica", standby.suite.major)))
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
