//! What stands above the files, ALTER SYSTEM and the server's command line: seen, told, and taken back where that is
//! asked for.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_each_major, on_the_machines_own};

on_each_major!(
    alter_system_is_not_written_over,
    alter_system_is_taken_back_where_told,
    alter_system_is_taken_back_while_the_server_is_down,
    what_was_broken_off_between_file_and_server_is_told_and_ended_by_a_second_run,
);
on_the_machines_own!(a_value_on_the_command_line_is_not_written_under,);

fn set<'a>(cluster: &'a TestCluster, settings: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "set").args(settings)
}

fn restart(sandbox: &Sandbox, after: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("restart").after(after).run()
}

fn alter_system_is_not_written_over(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("ALTER SYSTEM SET work_mem = '6MB'");
    let before = cluster.fingerprint();
    let refused = set(&cluster, &["work_mem=7MB"]).run().expect_code(3).expect_error("ALTER SYSTEM set it to 6MB");
    assert!(refused.error().contains("postgresql.auto.conf:"), "{refused}");
    let refused = refused.expect_hint("pg-conf set --override -D");
    assert!(!refused.changed());
    set(&cluster, &["work_mem=6MB"]).run().success().expect_changed(false);
    assert_eq!(cluster.fingerprint(), before);
    cluster.sql("ALTER SYSTEM RESET work_mem");
    let done = set(&cluster, &["work_mem=7MB"]).run().success().expect_changed(true);
    restart(sandbox, &done).success();
    assert_eq!(cluster.sql("SHOW work_mem"), "7MB");
}

fn alter_system_is_taken_back_where_told(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    for statement in ["SET work_mem = '6MB'", "SET checkpoint_timeout = '7min'", "SET wal_level = 'logical'"] {
        cluster.sql(&format!("ALTER SYSTEM {statement}"));
    }
    cluster.sql("SELECT pg_reload_conf()");
    let told = |setting: &'static str| set(&cluster, &["--override", setting]);
    let before = cluster.fingerprint();
    let planned = told("work_mem=7MB").args(["--check", "--diff"]).run().success().expect_changed(true);
    assert!(planned.stderr.contains("6MB → (not set) (ALTER SYSTEM RESET; reload needed)"), "{planned}");
    assert!(planned.document["diff"].to_string().contains("postgresql.auto.conf"), "{planned}");
    told("work_mem=6144kB").run().success().expect_changed(false);
    // Judged as it would be: wal_level is not ALTER SYSTEM's any more, and max_wal_senders needs more than minimal.
    told("wal_level=minimal").run().expect_code(2).expect_error("max_wal_senders");
    assert_eq!(cluster.fingerprint(), before);

    let done = told("work_mem=7MB").run().success().expect_changed(true);
    let places: Vec<_> =
        done.typed().changes.iter().map(|change| (change.before.clone(), change.after.clone())).collect();
    assert_eq!(places.last(), Some(&(Some("6MB".into()), None)), "{done}");
    let kept = cluster.read("postgresql.auto.conf");
    assert!(!kept.contains("work_mem") && kept.contains("checkpoint_timeout"), "{kept}");
    restart(sandbox, &done).success();
    let source = "SELECT setting || ' ' || sourcefile FROM pg_settings WHERE name = 'work_mem'";
    assert_eq!(cluster.sql(source), format!("7168 {}", cluster.data.join("postgresql.conf").display()));
    let after = cluster.fingerprint();
    let again = told("work_mem=7MB").run().success().expect_changed(false);
    assert_eq!((cluster.fingerprint(), again.typed().needs.level.as_str()), (after, "none"));

    let unset = |more: &[&str]| cluster.other_tool("pg-conf", "unset").args(more).run().success();
    unset(&["checkpoint_timeout"]).expect_changed(false).expect_warning("pg-conf unset --override -D");
    restart(sandbox, &unset(&["--override", "checkpoint_timeout"]).expect_changed(true)).success();
    assert_eq!(cluster.sql("SHOW checkpoint_timeout"), "5min");
    unset(&["--override", "checkpoint_timeout"]).expect_changed(false);
}

fn what_was_broken_off_between_file_and_server_is_told_and_ended_by_a_second_run(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    cluster.write("pg_hba.conf", "local all all trust\n");
    cluster.tool("start").run().success();
    cluster.sql("CREATE ROLE nobody_special LOGIN");
    cluster.sql("ALTER SYSTEM SET work_mem = '6MB'");
    let told = set(&cluster, &["--override", "work_mem=7MB", "-U", "nobody_special"]).run().expect_code(1);
    let told = told.expect_error("take back what ALTER SYSTEM set work_mem to").expect_error("it still beats the file");
    let told = told.expect_hint("-U SUPERUSER");
    assert!(told.changed() && cluster.read("postgresql.conf").contains("work_mem = 7MB"), "{told}");
    cluster.sql("SELECT pg_reload_conf()");
    assert_eq!(cluster.sql("SHOW work_mem"), "6MB", "what was in force still is");
    let ended = set(&cluster, &["--override", "work_mem=7MB"]).run().success().expect_changed(true);
    assert_eq!(ended.typed().changes.len(), 1, "{ended}");
    restart(sandbox, &ended).success();
    assert_eq!(cluster.sql("SHOW work_mem"), "7MB");
}

fn alter_system_is_taken_back_while_the_server_is_down(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("ALTER SYSTEM SET work_mem = '6MB'");
    cluster.sql("ALTER SYSTEM SET checkpoint_timeout = '7min'");
    cluster.tool("stop").run().success();
    // What an upgrade may leave behind: nothing else can be judged before it is gone.
    cluster.append("postgresql.auto.conf", "no_such_setting = '1'\n");
    set(&cluster, &["work_mem=7MB"]).run().expect_code(1).expect_hint("pg-conf check");
    let told = cluster.other_tool("pg-conf", "check").run().expect_code(1).expect_error("no_such_setting");
    told.expect_hint(&format!("pg-conf unset --override -D {} no_such_setting", cluster.data.display()));
    let unset = || cluster.other_tool("pg-conf", "unset").args(["--override", "no_such_setting"]).run().success();
    unset().expect_changed(true);
    let kept = cluster.read("postgresql.auto.conf");
    let told = || set(&cluster, &["--override", "work_mem=7MB"]).run().success();
    told().expect_changed(true);
    assert_eq!(
        cluster.read("postgresql.auto.conf"),
        kept.replace("work_mem = '6MB'\n", ""),
        "no other line was touched"
    );
    told().expect_changed(false);
    cluster.tool("start").run().success();
    assert_eq!((cluster.sql("SHOW work_mem"), cluster.sql("SHOW checkpoint_timeout")), ("7MB".into(), "7min".into()));
}

fn a_value_on_the_command_line_is_not_written_under(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let pg_ctl = sandbox.server.bin.join("pg_ctl");
    let mut start = sandbox.account.command(&pg_ctl);
    start.args(["start", "-w", "-s", "-o", "-c work_mem=6MB", "-D"]).arg(&cluster.data);
    assert!(start.arg("-l").arg(cluster.data.with_extension("log")).status().expect("run pg_ctl").success());
    let before = cluster.fingerprint();
    let refused = set(&cluster, &["work_mem=7MB"]).run().expect_code(3).expect_error("command line");
    refused.expect_error("6MB").expect_hint("pg-cluster restart");
    assert_eq!(cluster.fingerprint(), before);
    assert_eq!(cluster.sql("SHOW work_mem"), "6MB");
    cluster.append("postgresql.conf", "work_mem = 3MB\n");
    let told = cluster.other_tool("pg-conf", "check").run().success();
    told.expect_warning("work_mem = 3MB").expect_warning("the server's command line says 6MB");
    let told = cluster.other_tool("pg-conf", "unset").arg("work_mem").run().success().expect_changed(true);
    told.expect_warning("work_mem stays 6MB while the server runs");
}
