//! The wiki that the tools replace, literally: stage by stage, command by command, by an administrator with sudo on both
//! hosts, under the wiki's own names and ports.

use std::time::Duration;
use tests::hosts::{Host, Hosts};
use tests::{Outcome, on_each_suite, wait_for};

on_each_suite!(each_stage_of_the_wiki_is_a_command_and_typed_again_they_change_nothing);

/// One command under sudo; what it says is kept in the administrator's home, as `STAGE.json`.
#[track_caller]
fn stage(host: &Host, stage: &str, command: &str) -> Outcome {
    host.run_as("admin", &format!("sudo {command} > {stage}.json; code=$?; cat {stage}.json; exit $code")).success()
}

#[track_caller]
fn on_the_master(db1: &Host, replica_ip: &str) -> Vec<Outcome> {
    let settings = "wal_level=replica wal_keep_segments=500 wal_compression=on 'listen_addresses=*'";
    let done = vec![
        stage(db1, "information", "pg-cluster status"),
        stage(db1, "user", "pg-role ensure replica --password-file /home/admin/s"),
        stage(db1, "access", &format!("pg-conf allow replica --from {replica_ip}")),
        stage(db1, "settings", &format!("pg-conf set {settings} --input access.json")),
        stage(db1, "aware", "pg-cluster restart --input settings.json"),
        stage(db1, "primary", "pg-cluster advertise --host db1 --role replica"),
    ];
    db1.run_as("admin", "sudo cp primary.json /exchange/");
    done
}

#[track_caller]
fn on_the_replica(db2: &Host) -> Vec<Outcome> {
    let major = db2.suite.major;
    let primary = "--input /exchange/primary.json";
    let replica = format!("--cluster {major}/replica");
    vec![
        stage(db2, "packages", &format!("pg-cluster require --pg-version {major}")),
        stage(db2, "pgpass", &format!("pg-pass set {primary} --password-file /home/admin/s")),
        stage(db2, "connection", &format!("pg-pass check {primary}")),
        stage(db2, "create", &format!("pg-cluster create {major}/replica -p 5434")),
        stage(db2, "drop", &format!("pg-cluster drop {major}/main")),
        stage(db2, "bounds", &format!("pg-conf match {replica} {primary}")),
        stage(db2, "retrieve", &format!("pg-basebackup-swap fetch {replica} {primary}")),
        stage(db2, "install", &format!("pg-basebackup-swap swap {replica} {primary}")),
        stage(db2, "start", &format!("pg-cluster start {replica}")),
        stage(db2, "synchronised", &format!("pg-cluster wait {replica} {primary} --for streaming")),
    ]
}

fn each_stage_of_the_wiki_is_a_command_and_typed_again_they_change_nothing(hosts: &Hosts) {
    hosts.file("secret", "correct horse battery staple\n");
    let [db1, db2] = hosts.boot(["db1", "db2"]);
    for host in [&db1, &db2] {
        host.main_cluster();
        host.says("install -m 600 -o admin /exchange/secret /home/admin/s");
    }
    a_master_with_bounds_of_its_own(&db1);
    let main = format!("{}/main", db2.suite.major);
    let in_use = db2.run_as("admin", &format!("sudo pg-cluster drop {main}")).expect_code(3);
    in_use.expect_error("it runs").expect_hint(&format!("pg-cluster stop --cluster {main}"));
    stage(&db2, "unused", &format!("pg-cluster stop --cluster {main}")).expect_changed(true);

    let done = [on_the_master(&db1, &db2.address), on_the_replica(&db2)].concat();
    only_looking_changes_nothing(&done);
    what_the_wiki_wants_is_there(&db1, &db2);

    let starts =
        || [(&db1, 5432), (&db2, 5434)].map(|(host, port)| host.sql(port, "SELECT pg_postmaster_start_time()"));
    let before = (without_what_was_said(&db1), without_what_was_said(&db2), starts());
    for again in [on_the_master(&db1, &db2.address), on_the_replica(&db2)].concat() {
        assert!(!again.typed().changed, "{again}");
    }
    let after = (without_what_was_said(&db1), without_what_was_said(&db2), starts());
    assert_eq!(before, after);
}

fn a_master_with_bounds_of_its_own(db1: &Host) {
    let (major, bounds) = (db1.suite.major, r"max_connections = 128\nmax_worker_processes = 10\n");
    db1.says(&format!(
        "printf '{bounds}' > /etc/postgresql/{major}/main/conf.d/bounds.conf; systemctl restart postgresql@{major}-main"
    ));
}

/// Without the documents that the commands' output goes to.
fn without_what_was_said(host: &Host) -> Vec<String> {
    host.files().into_iter().filter(|line| !line.starts_with("/home/admin/")).collect()
}

fn only_looking_changes_nothing(done: &[Outcome]) {
    let looks = ["status", "advertise", "require", "check", "wait"];
    for outcome in done {
        let action = outcome.typed().action;
        assert_eq!(outcome.changed(), !looks.contains(&action.as_str()), "{outcome}");
    }
}

fn what_the_wiki_wants_is_there(db1: &Host, db2: &Host) {
    assert_eq!(db1.sql(5432, "SHOW wal_compression").replace("pglz", "on"), "on");
    assert_eq!(db1.sql(5432, "SHOW wal_keep_size"), "8000MB", "500 segments of 16 MB");
    let rule = format!(
        "SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{{replica}}' AND address = '{}'",
        db2.address
    );
    assert_eq!(db1.sql(5432, &rule), "1");
    let attached = "SELECT usename, host(client_addr), state FROM pg_stat_replication";
    assert_eq!(db1.sql(5432, attached), format!("replica|{}|streaming", db2.address));
    assert_eq!(db2.says("pg_lsclusters -h | awk '{ print $2, $3, $4 }'"), "replica 5434 online,recovery");
    assert_eq!(db2.sql(5434, "SHOW max_connections"), "128");
    assert_eq!(db2.sql(5434, "SHOW max_worker_processes"), "10");
    let line = db2.says("cut -d : -f 1-4 ~postgres/.pgpass; stat -c '%U %a' ~postgres/.pgpass");
    assert_eq!(line, "db1:5432:replication:replica\npostgres 600");
    db1.sql(5432, "CREATE TABLE proof AS SELECT 42 AS answer");
    wait_for("the row to arrive", Duration::from_secs(20), || {
        db2.try_sql(5434, "SELECT answer FROM proof").as_deref() == Some("42")
    });
}
