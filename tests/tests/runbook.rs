//! The whole runbook, through the real pipelines, on one host that plays both.

use std::time::Duration;
use tests::{Outcome, Sandbox, TestCluster, Wanted, on_each_major, on_every_major, wait_for, with_server};

on_every_major!(the_whole_runbook_makes_a_standby_that_streams_and_a_second_run_changes_nothing);
on_each_major!(check_plans_the_whole_runbook_and_changes_nothing);

const PASSWORD: &str = "correct horse battery staple";

fn keep(major: u32) -> &'static str {
    if major < 13 { "wal_keep_segments=32" } else { "wal_keep_size=512MB" }
}

fn prepare(sandbox: &Sandbox, primary: &TestCluster, options: &str) -> Outcome {
    sandbox
        .pipeline(&format!(
            "pg-role ensure replicator {options} -D {data} --password-file secret \
             | pg-conf set wal_level=replica {keep} wal_compression=on \
             | pg-conf allow replicator --from 127.0.0.1 \
             | pg-cluster restart | pg-cluster advertise --host 127.0.0.1",
            data = primary.data.display(),
            keep = keep(primary.major)
        ))
        .run()
}

fn follow(sandbox: &Sandbox, prepared: &Outcome, standby: &TestCluster, options: &str) -> Outcome {
    sandbox
        .pipeline(&format!(
            "pg-pass set {options} --input - --passfile {folder}/pgpass --password-file secret | pg-pass check \
             | {create} | pg-conf match | pg-basebackup-swap run | pg-cluster start \
             | pg-cluster wait --for streaming --timeout 30",
            folder = sandbox.path().display(),
            create = standby.create_command().shown()
        ))
        .after(prepared)
        .run()
}

fn the_whole_runbook_makes_a_standby_that_streams_and_a_second_run_changes_nothing(sandbox: &Sandbox) {
    sandbox.file("secret", &format!("{PASSWORD}\n"));
    let primary =
        sandbox.cluster("primary").setting("max_connections = 128").setting("max_worker_processes = 10").start();
    primary.sql("CREATE TABLE before AS SELECT generate_series(1, 1000) AS n");
    let standby = sandbox.cluster("standby").planned();

    let prepared = prepare(sandbox, &primary, "").success();
    let streams = follow(sandbox, &prepared, &standby, "").success();
    assert!(streams.typed().changed);
    assert_eq!(standby.sql("SELECT count(*) FROM before"), "1000");
    primary.sql("CREATE TABLE proof AS SELECT 42 AS answer");
    wait_for("the row to arrive", Duration::from_secs(20), || {
        standby.try_sql("SELECT answer FROM proof").as_deref() == Some("42")
    });
    assert_eq!(standby.sql("SHOW max_connections"), "128");
    assert_eq!(standby.sql("SELECT pg_is_in_recovery()"), "t");
    assert!(!streams.stdout.contains(PASSWORD) && !streams.stderr.contains(PASSWORD));

    let (before, started) = ((primary.fingerprint(), standby.fingerprint()), (primary.started(), standby.started()));
    let again = prepare(sandbox, &primary, "").success();
    assert!(!again.typed().changed, "{again}");
    let again = follow(sandbox, &again, &standby, "").success();
    assert!(!again.typed().changed, "{again}");
    assert_eq!(before, (primary.fingerprint(), standby.fingerprint()));
    assert_eq!(started, (primary.started(), standby.started()));
}

fn check_plans_the_whole_runbook_and_changes_nothing(sandbox: &Sandbox) {
    sandbox.file("secret", &format!("{PASSWORD}\n"));
    let primary = sandbox.cluster("primary").start();
    let standby = sandbox.cluster("standby").planned();
    let (before, started) = (primary.fingerprint(), primary.started());

    let planned = prepare(sandbox, &primary, "--check").success();
    assert!(planned.typed().changed && planned.typed().check, "{planned}");
    let planned = follow(sandbox, &planned, &standby, "").success();
    assert!(planned.typed().check, "{planned}");

    assert_eq!((before, started), (primary.fingerprint(), primary.started()));
    assert_eq!(primary.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"), "0");
    assert!(!standby.data.exists() && !sandbox.path().join("pgpass").exists());
}

/// The wiki's own case: 10, `replica`, its three settings, and a primary with larger bounds than a new cluster has.
#[test]
fn the_wikis_standby_starts_only_with_the_primarys_bounds_on_10() {
    with_server(Wanted::Major(10), |sandbox| {
        sandbox.file("secret", &format!("{PASSWORD}\n"));
        let primary =
            sandbox.cluster("master").setting("max_connections = 128").setting("max_worker_processes = 10").start();
        let replica = sandbox.cluster("replica").planned();
        let prepared = sandbox
            .pipeline(&format!(
                "pg-role ensure replicator -D {} --password-file secret \
                 | pg-conf set wal_level=replica wal_keep_segments=500 wal_compression=on \
                 | pg-conf allow replicator --from 127.0.0.1 | pg-cluster restart | pg-cluster advertise --host 127.0.0.1",
                primary.data.display()
            ))
            .run()
            .success();
        let installed = sandbox
            .pipeline(&format!(
                "pg-pass set --input - --passfile {}/pgpass --password-file secret | {} | pg-basebackup-swap run",
                sandbox.path().display(),
                replica.create_command().shown()
            ))
            .after(&prepared)
            .run()
            .success();
        assert!(installed.stderr.contains("max_connections is 100 here and 128 on the primary"), "{installed}");

        let refused = replica.tool("start").run().expect_code(1);
        assert!(refused.error().contains("max_connections is 100 here and 128 on the primary"), "{refused}");
        assert!(refused.hint().contains("pg-conf match -D"), "{refused}");

        let matched = sandbox
            .pipeline(&format!(
                "pg-conf match -D {} --input - | pg-cluster start | pg-cluster wait --for streaming",
                replica.data.display()
            ))
            .after(&installed)
            .run()
            .success();
        assert!(matched.typed().changed);
        assert_eq!(replica.sql("SHOW max_connections"), "128");
        assert_eq!(replica.sql("SHOW max_worker_processes"), "10");
    });
}
