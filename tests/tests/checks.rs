//! What `pg-conf` finds wrong or doubtful in a configuration; the server says whether it is.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_each_major};

on_each_major!(
    check_finds_what_is_broken_and_where,
    what_the_host_has_not_got_is_warned_of,
    check_warns_of_what_alter_system_overrides,
    settings_that_do_not_go_together_are_not_written,
);

fn set<'a>(cluster: &'a TestCluster, settings: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "set").args(settings)
}

fn restart(sandbox: &Sandbox, after: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("restart").after(after).run()
}

fn check_finds_what_is_broken_and_where(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let check = || cluster.other_tool("pg-conf", "check").run();
    check().success().expect_changed(false);
    let good = cluster.read("postgresql.conf");
    let last = |text: &str| format!("postgresql.conf:{}", text.lines().count());
    for line in ["this is not a setting", "work_mem = many", "no_such_setting = 1", "max_connections = 99999999"] {
        let broken = format!("{good}{line}\n");
        cluster.write("postgresql.conf", &broken);
        let told = check().expect_code(1).expect_error(&last(&broken));
        let problem = &told.document["problems"][0];
        assert_eq!(problem["file"], cluster.data.join("postgresql.conf").display().to_string(), "{told}");
        assert_eq!(problem["line"], broken.lines().count(), "{told}");
        assert!(told.hint().contains("postgresql.conf"), "{told}");
        let server = cluster.sql("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL");
        assert_ne!(server, "0", "{line}: the server says so too");
    }
    cluster.write("postgresql.conf", &format!("{good}wal_level = minimal\n"));
    check().expect_code(1).expect_error("max_wal_senders");
    cluster.write("postgresql.conf", &good);
    cluster.append("pg_hba.conf", "host all all 192.0.2.0/99 md5\n");
    let line = cluster.read("pg_hba.conf").lines().count();
    check().expect_code(1).expect_error(&format!("pg_hba.conf:{line}"));
}

fn what_the_host_has_not_got_is_warned_of(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let by_segments = sandbox.server.major < 13;
    let keep = if by_segments { "wal_keep_segments=100000000" } else { "wal_keep_size=1600000000MB" };
    let folder = cluster.data.join("pg_wal").display().to_string();
    let told = set(&cluster, &[keep, "max_wal_size=2147483647MB"]).run().success().expect_changed(true);
    let told = told.expect_warning(&format!("{folder} has room for")).expect_warning("max_wal_size lets 2047.9 TB");
    assert!(
        told.typed().warnings.iter().any(|warning| warning.starts_with("wal_keep_s") && warning.contains("1525.8 TB")),
        "{told}"
    );
    set(&cluster, &["shared_buffers=7TB", "--check"])
        .run()
        .success()
        .expect_warning("7.0 TB are more than this host has");
    let quiet = set(&cluster, &["wal_level=logical", "shared_buffers=17MB"]).run().success();
    assert_eq!(quiet.typed().warnings, [""; 0], "only what is asked about is told");

    let missing = "shared_preload_libraries=no_such_library, \"libpqwalreceiver\"";
    let told =
        set(&cluster, &[missing]).run().success().expect_warning("shared_preload_libraries names no_such_library, and");
    assert!(!told.stderr.contains("libpqwalreceiver,"), "{told}");
    let told = cluster.other_tool("pg-conf", "check").run().success();
    told.expect_warning("no_such_library").expect_warning("max_wal_size lets");
    // The server agrees: it does not start.
    cluster.tool("start").run().expect_code(1).expect_error("no_such_library");
    cluster.other_tool("pg-conf", "unset").arg("shared_preload_libraries").run().success().expect_changed(true);
    cluster.tool("start").run().success();
}

fn check_warns_of_what_alter_system_overrides(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("postgresql.conf", "work_mem = 3MB\nmaintenance_work_mem = 48MB\n");
    let line = cluster.read("postgresql.conf").lines().count() - 1;
    cluster.sql("ALTER SYSTEM SET work_mem = '6MB'");
    cluster.sql("ALTER SYSTEM SET maintenance_work_mem = '49152kB'");
    let told = cluster.other_tool("pg-conf", "check").run().success().expect_changed(false);
    let told = told.expect_warning(&format!("postgresql.conf:{line}) has no effect: ALTER SYSTEM set it to 6MB"));
    assert_eq!(told.typed().warnings.len(), 1, "{told}");
    cluster.other_tool("pg-conf", "unset").args(["--override", "work_mem"]).run().success().expect_changed(true);
    assert_eq!(cluster.other_tool("pg-conf", "check").run().success().typed().warnings, [""; 0]);
}

fn settings_that_do_not_go_together_are_not_written(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = cluster.fingerprint();
    let refused = set(&cluster, &["wal_level=minimal"]).run().expect_code(2).expect_error("max_wal_senders");
    refused.expect_hint("pg-conf get");
    assert_eq!(cluster.fingerprint(), before);
    let both = set(&cluster, &["wal_level=minimal", "max_wal_senders=0"]).run().success().expect_changed(true);
    restart(sandbox, &both).success();
    assert_eq!(cluster.sql("SHOW wal_level"), "minimal", "the server agrees that these two go together");
}
