//! A role's password is changed while its standby streams on.

use super::{on_the_primary, on_the_standby};
use std::time::Duration;
use tests::hosts::{Host, Hosts, Watcher};
use tests::{on_the_newest_suite, wait_for};

on_the_newest_suite!(a_password_is_rotated_while_the_standby_streams_on);

const OLD: &str = "correct horse battery staple";
const NEW: &str = "a new horse: with \\ colon";
const WALSENDER: &str = "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'";

fn a_password_is_rotated_while_the_standby_streams_on(hosts: &Hosts) {
    hosts.file("old", &format!("{OLD}\n"));
    hosts.file("new", &format!("{NEW}\n"));
    let [db1, db2] = hosts.boot(["db1", "db2"]);
    db1.main_cluster();
    for host in [&db1, &db2] {
        host.says("install -m 600 /exchange/old /root/s; install -m 600 /exchange/new /root/new");
    }
    let watchers = [OLD, NEW].map(Watcher::of);
    on_the_primary(&db1, &db2.address);
    on_the_standby(&db2);
    let first = (db1.sql(5432, WALSENDER), started(&db2));

    db1.run("pg-role ensure replicator --password-file /root/new").success().expect_changed(true);
    let check = "pg-pass check --input /exchange/primary.json";
    db2.run(check).expect_code(1).expect_hint("pg-pass set");
    assert_eq!(db1.sql(5432, WALSENDER), first.0, "a connection that is made asks no more");
    let set = "pg-pass set --input /exchange/primary.json --password-file /root/new";
    db2.run(&format!("{set} | pg-pass check")).success();

    let ended = db1.sql(5432, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    assert_eq!(ended, "t");
    wait_for("the standby to log in anew", Duration::from_secs(30), || {
        db1.try_sql(5432, WALSENDER).is_some_and(|pid| !pid.is_empty() && pid != first.0)
    });
    db2.run("pg-cluster wait --for streaming --input /exchange/primary.json").success();
    assert_eq!(started(&db2), first.1, "it was not restarted");
    the_old_one_is_nowhere_and_the_new_one_where_it_belongs(hosts, &db1, &db2, watchers);
}

fn started(db2: &Host) -> String {
    db2.sql(5434, "SELECT pg_postmaster_start_time()")
}

fn the_old_one_is_nowhere_and_the_new_one_where_it_belongs(
    hosts: &Hosts,
    db1: &Host,
    db2: &Host,
    watchers: [Watcher; 2],
) {
    for watcher in watchers {
        watcher.expect_nothing_in_processes();
    }
    hosts.file("needle", &format!("{OLD}\n"));
    Watcher::of(OLD).expect_nothing_on(db1, &["/root/s"]);
    Watcher::of(OLD).expect_nothing_on(db2, &["/root/s"]);
    hosts.file("needle", &format!("{NEW}\n"));
    Watcher::of(NEW).expect_nothing_on(db1, &["/root/new"]);
    Watcher::of(NEW).expect_nothing_on(db2, &["/root/new"]);
}
