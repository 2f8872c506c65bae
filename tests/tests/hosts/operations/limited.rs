//! An administrator who may only become postgres: the runbook goes through, and what only root can do is told.

use super::{UP, told_of};
use std::time::Duration;
use tests::hosts::{Host, Hosts};
use tests::{Outcome, on_the_newest_suite, wait_for};

on_the_newest_suite!(who_may_only_become_postgres_gets_through_the_runbook_and_is_told_what_takes_root);

fn who_may_only_become_postgres_gets_through_the_runbook_and_is_told_what_takes_root(hosts: &Hosts) {
    hosts.file("secret", "correct horse battery staple\n");
    let [db1, db2] = hosts.boot(["db1", "db2"]);
    let main = db1.main_cluster();
    for host in [&db1, &db2] {
        host.says("install -m 600 -o dba /exchange/secret /home/dba/s");
    }
    what_takes_more_is_refused_with_a_way_out(&db1, &main);
    systemd_takes_its_time(&db1);

    let primary = on_the_primary(hosts, &db1, &db2.address);
    primary.expect_warning(&format!("inside: sudo pg-cluster restart --cluster {main}"));
    it_outlives_the_end_of_its_unit(&db1);
    db1.run_as("dba", "sudo -u postgres pg-cluster status").success().expect_warning("outside postgresql@");
    let standby = on_the_standby(&db2);
    standby.expect_stderr("/replica runs outside postgresql@");

    db1.run("pg-cluster restart").success().expect_warning("comes back inside");
    assert_eq!(told_of(&db1, "main"), UP);
    db1.sql(5432, "CREATE TABLE proof AS SELECT 42 AS answer");
    wait_for("the row to arrive", Duration::from_secs(30), || {
        db2.try_sql(5434, "SELECT answer FROM proof").as_deref() == Some("42")
    });
    let before = (db1.files(), db2.files());
    for again in [on_the_primary(hosts, &db1, &db2.address), on_the_standby(&db2)] {
        assert!(!again.typed().changed, "{again}");
    }
    db1.expect_same_files(&before.0);
    db2.expect_same_files(&before.1);
    assert_eq!(told_of(&db1, "main"), UP);
}

fn what_takes_more_is_refused_with_a_way_out(db1: &Host, main: &str) {
    let refused = |command: &str, hint: &str| {
        db1.run_as("dba", command).expect_code(1).expect_hint(hint);
    };
    refused("pg-cluster restart", &format!("sudo -u postgres pg-cluster restart --cluster {main}"));
    refused("pg-conf set work_mem=7MB", "sudo -u postgres pg-conf");
    let file = "--password-file /home/dba/s";
    refused(&format!("sudo -u postgres pg-role ensure replicator {file}"), "--password-stdin < /home/dba/s");
    let install = "pg-cluster require --pg-version 14 --install";
    refused(&format!("sudo -u postgres {install}"), &format!("sudo {install}"));
    let status = db1.run_as("dba", "pg-cluster status").success();
    status.expect_warning(&format!("sudo -u postgres pg-cluster status --cluster {main}"));
}

/// A unit whose server is gone stops "the cluster". Here that comes so late that a server which somebody started
/// meanwhile would be stopped by it.
fn systemd_takes_its_time(db1: &Host) {
    let stop = "/bin/sh -c \"sleep 2; exec /usr/bin/pg_ctlcluster --skip-systemctl-redirect -m fast %i stop\"";
    db1.says(&format!(
        "mkdir -p /etc/systemd/system/postgresql@.service.d
         printf '[Service]\\nExecStop=\\nExecStop=%s\\n' '{stop}' > /etc/systemd/system/postgresql@.service.d/slow.conf
         systemctl daemon-reload"
    ));
}

fn it_outlives_the_end_of_its_unit(db1: &Host) {
    let state = || db1.run(&format!("systemctl is-active postgresql@{}-main", db1.suite.major)).stdout;
    wait_for("the unit to have ended", Duration::from_secs(30), || ["failed\n", "inactive\n"].contains(&&*state()));
    assert_eq!(db1.sql(5432, "SHOW wal_keep_size"), "1GB");
}

/// Each stage through sudo; the password file is the administrator's own, so the shell reads it.
#[track_caller]
fn on_the_primary(hosts: &Hosts, db1: &Host, standby: &str) -> Outcome {
    let done = db1.run_as(
        "dba",
        &format!(
            "set -o pipefail; as='sudo -u postgres'
             $as pg-role ensure replicator --password-stdin < s \
             | $as pg-conf set wal_level=replica wal_keep_size=1GB 'listen_addresses=*' \
             | $as pg-conf allow replicator --from {standby} \
             | $as pg-cluster restart | $as pg-cluster advertise --host db1"
        ),
    );
    let done = done.success();
    hosts.file("primary.json", &done.stdout);
    done
}

#[track_caller]
fn on_the_standby(db2: &Host) -> Outcome {
    let major = db2.suite.major;
    db2.run_as(
        "dba",
        &format!(
            "set -o pipefail; as='sudo -u postgres'
             $as pg-pass set --input /exchange/primary.json --password-stdin < s | $as pg-pass check \
             | $as pg-cluster create {major}/replica -p 5434 | $as pg-conf match \
             | $as pg-basebackup-swap run | $as pg-cluster start | $as pg-cluster wait --for streaming"
        ),
    )
    .success()
}
