//! Values as the server reads them: equal ones change nothing, whatever their spelling, and each comes back as it was.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_each_major, on_the_machines_own};

on_each_major!(two_spellings_of_one_value_are_one_value, values_are_equal_where_the_server_finds_them_equal,);
on_the_machines_own!(values_of_any_characters_come_back_as_they_were, two_values_for_one_name_are_refused,);

fn set<'a>(cluster: &'a TestCluster, settings: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "set").args(settings)
}

fn restart(sandbox: &Sandbox, after: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("restart").after(after).run()
}

fn two_spellings_of_one_value_are_one_value(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let first = set(&cluster, &["effective_cache_size=8GB", "log_disconnections=on", "checkpoint_timeout=10min"]);
    restart(sandbox, &first.run().success().expect_changed(true)).success();
    let before = cluster.fingerprint();
    let spelled = ["effective_cache_size=8192MB", "log_disconnections=on", "checkpoint_timeout=600s"];
    let again = set(&cluster, &spelled).run().success().expect_changed(false);
    assert_eq!(again.typed().needs.level, "none", "{again}");
    let again = set(&cluster, &["Effective_Cache_Size = 8GB", "checkpoint_timeout='600'"]).run();
    assert_eq!(cluster.fingerprint(), before, "{again}");
    assert_eq!(cluster.sql("SHOW effective_cache_size"), "8GB");
}

const WRITTEN: &str = "
shared_buffers = 16MB
effective_cache_size = 1048576
work_mem = 1536kB
checkpoint_timeout = 90
random_page_cost = 4.0
log_disconnections = on
wal_level = replica
unix_socket_permissions = 0777
listen_addresses = 'localhost'
";

/// The same in other spellings.
const EQUAL: [&str; 17] = [
    "shared_buffers=16384kB",
    "shared_buffers=2048",
    "shared_buffers=0x800",
    "effective_cache_size=8GB",
    "effective_cache_size=8192MB",
    "effective_cache_size= 8GB ",
    "checkpoint_timeout=90s",
    "checkpoint_timeout=90000ms",
    "random_page_cost=4",
    "random_page_cost=0.4e1",
    "log_disconnections=YES",
    "log_disconnections=1",
    "log_disconnections=t",
    "wal_level=REPLICA",
    "wal_level=hot_standby",
    "unix_socket_permissions=511",
    "LISTEN_ADDRESSES=localhost",
];

/// The same as 12 and later read it.
const EQUAL_IN_FRACTIONS: [&str; 3] =
    ["work_mem=1.5MB", "checkpoint_timeout=1.5min", "effective_cache_size=0.0078125TB"];

fn values_are_equal_where_the_server_finds_them_equal(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").setting(WRITTEN).start();
    let before = cluster.fingerprint();
    let fractions: &[&str] = if sandbox.server.major < 12 { &[] } else { &EQUAL_IN_FRACTIONS };
    for setting in EQUAL.iter().chain(fractions) {
        let again = set(&cluster, &[setting]).run().success().expect_changed(false);
        assert_eq!((again.typed().needs.level.as_str(), cluster.fingerprint()), ("none", before.clone()), "{again}");
        // The server says so too: the value that it would take is the one that it has.
        let (name, value) = setting.split_once('=').expect("an assignment");
        let ask = |column: &str| format!("SELECT {column} FROM pg_settings WHERE name = lower('{name}')");
        if cluster.sql(&ask("context")) == "user" {
            let taken = cluster.sql(&format!("SET {name} = '{value}'; {}", ask("setting")));
            assert_eq!(taken, cluster.sql(&ask("reset_val")), "{setting}");
        }
    }
    if fractions.is_empty() {
        set(&cluster, &["work_mem=1.5MB"]).run().expect_code(2).expect_error("work_mem");
    }
    for other in ["shared_buffers=2049", "effective_cache_size=8193MB", "random_page_cost=4.01", "log_disconnections=n"]
    {
        set(&cluster, &["--check", other]).run().success().expect_changed(true);
    }
    // Case is part of a string.
    set(&cluster, &["--check", "listen_addresses=LOCALHOST"]).run().success().expect_changed(true);
}

fn values_of_any_characters_come_back_as_they_were(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    for value in ["cp '%p' /a b/%f", "it''s # no comment", "Grüße \\ \"x\"", " blanks "] {
        let done = set(&cluster, &[&format!("archive_cleanup_command={value}")]).run().success().expect_changed(true);
        restart(sandbox, &done).success();
        assert_eq!(
            cluster.sql("SELECT '>' || current_setting('archive_cleanup_command') || '<'"),
            format!(">{value}<")
        );
        set(&cluster, &[&format!("archive_cleanup_command={value}")]).run().success().expect_changed(false);
    }
    let done = set(&cluster, &["listen_addresses=*", "unix_socket_permissions=0700"]).run().success();
    restart(sandbox, &done).success().expect_changed(true);
    assert_eq!(cluster.sql("SHOW unix_socket_permissions"), "0700");
}

fn two_values_for_one_name_are_refused(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let before = cluster.fingerprint();
    set(&cluster, &["work_mem=1MB", "WORK_MEM=2MB"]).run().expect_code(2).expect_error("1MB and 2MB");
    set(&cluster, &["config_file=/etc/x"]).run().expect_code(2);
    assert_eq!(cluster.fingerprint(), before);
}
