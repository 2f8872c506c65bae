//! A standby's data directory fetched anew and exchanged, and everything that must not happen meanwhile.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{Sandbox, on_each_major, on_every_major, on_the_machines_own, pair, wait_for};

on_every_major!(a_new_clone_serves_until_the_exchange_and_keeps_the_old_directory);
on_each_major!(the_standbys_own_configuration_stays, a_standby_knows_its_primary_where_nobody_names_one,);
on_the_machines_own!(
    a_standby_that_streams_is_left_alone,
    a_copy_that_does_not_stream_gives_way_to_the_old_directory,
    a_killed_fetch_leaves_the_old_standby_and_the_next_run_converges,
    a_terminated_fetch_ends_its_children_and_writes_a_document,
    a_copy_without_its_signal_is_not_installed,
    another_systems_data_is_refused_unless_it_is_named,
    a_running_primary_of_the_same_system_is_refused,
    wrong_password_slot_and_address_leave_everything_as_it_was,
    a_running_standby_below_the_bounds_is_refused,
    a_run_killed_between_rename_and_exchange_is_put_in_order,
);

fn a_new_clone_serves_until_the_exchange_and_keeps_the_old_directory(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let kept_before = pair.beside("previous").len();
    let running = pair.swap("run").args(["--force", "--max-rate", "20M"]).start();
    wait_for("the copy to begin", Duration::from_secs(30), || !pair.beside("partial").is_empty());
    assert_eq!(pair.standby.sql("SELECT 1"), "1");
    let cloned = running.end().success().expect_changed(true);
    pair.streams();
    assert_eq!(pair.beside("previous").len(), kept_before + 1);
    assert!(cloned.document["catch_up"]["replayed"].is_string(), "it caught up on a private server first\n{cloned}");
    let kept = PathBuf::from(cloned.document["kept"].as_str().expect("the kept directory"));
    assert!(kept.join("PG_VERSION").exists(), "{cloned}");
    assert!(pair.beside("partial").is_empty() && pair.beside("incoming").is_empty());
    assert!(!pair.standby.data.join("pg-runbook.staged.json").exists());
    // The server's own word for the copy: every page that has a checksum, every relation.
    pair.primary.sql("CREATE TABLE proof AS SELECT 42 AS answer");
    wait_for("the row to arrive", Duration::from_secs(20), || {
        pair.standby.try_sql("SELECT answer FROM proof").as_deref() == Some("42")
    });
    let conninfo = pair.standby.sql(if pair.standby.major < 12 { "SELECT 1" } else { "SHOW primary_conninfo" });
    assert!(!conninfo.contains("swordfish") && !conninfo.contains("channel_binding"), "{conninfo}");
}

fn the_standbys_own_configuration_stays(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.append("postgresql.conf", "work_mem = '7MB'\ninclude_dir = 'conf.d'\n");
    std::fs::create_dir(pair.standby.data.join("conf.d")).expect("make conf.d");
    let own = pair.standby.data.join("conf.d/own.conf");
    std::fs::write(&own, "maintenance_work_mem = '33MB'\n").expect("write");
    sandbox.give_to_owner(&pair.standby.data.join("conf.d"));
    sandbox.give_to_owner(&own);
    pair.standby.append("pg_hba.conf", "# the standby's own\n");
    pair.primary.append("postgresql.conf", "work_mem = '9MB'\n");
    let port = pair.standby.port;
    pair.swap("run").arg("--force").run().success();
    pair.streams();
    assert_eq!(pair.standby.sql("SHOW work_mem"), "7MB");
    assert_eq!(pair.standby.sql("SHOW maintenance_work_mem"), "33MB");
    assert_eq!(pair.standby.sql("SHOW port"), port.to_string());
    assert!(pair.standby.read("pg_hba.conf").contains("# the standby's own"));
}

fn a_standby_knows_its_primary_where_nobody_names_one(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let run = || sandbox.tool("pg-basebackup-swap").args(["run", "--no-input", "-D"]).arg(&pair.standby.data);
    run().run().success().expect_changed(false);
    run().arg("--force").run().success().expect_changed(true);
    pair.streams();
    // One that is no standby has nobody to follow.
    let lost = pair.primary.other_tool("pg-basebackup-swap", "run").arg("--no-input").run();
    lost.expect_code(2).expect_error("which server is the primary?");
}

fn a_standby_that_streams_is_left_alone(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let (before, started) = (pair.beside(""), pair.standby.started());
    let left = pair.swap("run").run().success().expect_changed(false);
    assert!(left.document["msg"].as_str().is_some_and(|text| text.contains("already streams")), "{left}");
    assert_eq!(started, pair.standby.started());
    assert_eq!(before, pair.beside(""));
}

fn a_copy_that_does_not_stream_gives_way_to_the_old_directory(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success().expect_changed(true);
    let identity = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).expect("look"));
    let old = identity(&pair.standby.data);
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    let failed = pair.swap("swap").args(["--timeout", "2", "--no-catch-up"]).run().expect_code(1);
    assert!(failed.error().contains("went back to its old directory"), "{failed}");
    assert!(failed.error().contains("password authentication failed"), "{failed}");
    assert_eq!(old, identity(&pair.standby.data));
    assert_eq!(pair.standby.sql("SELECT pg_is_in_recovery()"), "t");
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'swordfish'");
    pair.swap("swap").run().success().expect_changed(true);
    pair.streams();
    assert_ne!(old, identity(&pair.standby.data));
}

fn a_killed_fetch_leaves_the_old_standby_and_the_next_run_converges(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let running = pair.swap("run").args(["--force", "--max-rate", "2M"]).start();
    wait_for("files to arrive", Duration::from_secs(30), || {
        pair.beside("partial").iter().any(|folder| folder.join("base").exists())
    });
    running.kill();
    assert_eq!(pair.standby.sql("SELECT 1"), "1");
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    pair.streams();
    assert!(pair.beside("partial").is_empty() && pair.beside("incoming").is_empty());
}

fn a_terminated_fetch_ends_its_children_and_writes_a_document(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let running = pair.swap("run").args(["--force", "--max-rate", "2M"]).start();
    wait_for("files to arrive", Duration::from_secs(30), || {
        pair.beside("partial").iter().any(|folder| folder.join("base").exists())
    });
    // pg_basebackup has a process of its own for the WAL.
    let copying = || processes_that_name(&pair.standby.data.with_file_name("standby.partial-"));
    wait_for("both of its processes", Duration::from_secs(20), || copying() >= 2);
    running.signal(Signal::SIGTERM);
    let ended = running.end().expect_code(1);
    assert!(ended.error().contains("SIGTERM"), "{ended}");
    wait_for("its children to end", Duration::from_secs(1), || copying() == 0);
    assert!(pair.beside("partial").is_empty());
    pair.streams();
}

/// How many `pg_basebackup` processes have this in their command lines; a zombie has none left.
fn processes_that_name(path: &Path) -> usize {
    let path = path.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("read /proc").flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| line.split(|byte| *byte == 0).next().is_some_and(|word| word.ends_with(b"/pg_basebackup")))
        .filter(|line| String::from_utf8_lossy(line).contains(&path))
        .count()
}

fn a_copy_without_its_signal_is_not_installed(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    let signal = if pair.standby.major < 12 { "recovery.conf" } else { "standby.signal" };
    std::fs::remove_file(pair.beside("incoming")[0].join(signal)).expect("remove");
    let started = pair.standby.started();
    let refused = pair.swap("swap").run().expect_code(1);
    assert!(refused.error().contains(&format!("it has no {signal}")), "{refused}");
    assert_eq!(started, pair.standby.started());
}

fn another_systems_data_is_refused_unless_it_is_named(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let other = sandbox.cluster("other").start();
    other.sql("CREATE TABLE mine AS SELECT 1");
    let run = |options: &[&str]| {
        let command = other.other_tool("pg-basebackup-swap", "run").args(["--input", "-"]).after(&pair.advertised);
        command.arg("--passfile").arg(&pair.passfile).args(options).run()
    };
    let refused = run(&[]).expect_code(3);
    let system = other.sql("SELECT system_identifier FROM pg_control_system()");
    assert!(refused.hint().contains(&format!("--replace {system}")), "{refused}");
    assert_eq!(other.sql("SELECT count(*) FROM mine"), "1");
    run(&["--replace", "1"]).expect_code(3);
    run(&["--replace", &system]).success().expect_changed(true);
    other.tool("wait").args(["--for", "streaming", "--timeout", "30"]).run().success();
}

fn a_running_primary_of_the_same_system_is_refused(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let system = pair.primary.sql("SELECT system_identifier FROM pg_control_system()");
    for options in [&["--force"][..], &["--replace", &system]] {
        let itself =
            pair.primary.other_tool("pg-basebackup-swap", "run").args(["--input", "-"]).after(&pair.advertised);
        let refused = itself.arg("--passfile").arg(&pair.passfile).args(options).run().expect_code(3);
        assert!(refused.error().contains("runs as a primary of this very system"), "{refused}");
    }
}

fn wrong_password_slot_and_address_leave_everything_as_it_was(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let (started, beside) = (pair.standby.started(), pair.beside("").len());
    let wrong = sandbox.file("wrong", &format!("127.0.0.1:{}:*:replicator:nonsense\n", pair.primary.port));
    sandbox.give_to_owner(&wrong);
    let command = || {
        pair.standby
            .other_tool("pg-basebackup-swap", "run")
            .args(["--input", "-"])
            .after(&pair.advertised)
            .arg("--force")
    };
    let refused = command().arg("--passfile").arg(&wrong).run().expect_code(1);
    assert!(refused.hint().contains("pg-pass set"), "{refused}");
    if pair.primary.major >= 15 {
        let refused = pair.swap("run").args(["--force", "--slot", "nowhere"]).run().expect_code(3);
        assert!(refused.hint().contains("pg_create_physical_replication_slot"), "{refused}");
    }
    let nobody = sandbox.port().to_string();
    let gave_up = pair.swap("run").args(["--force", "-p", &nobody]).run().expect_code(5);
    assert!(gave_up.hint().contains("pg_isready"), "{gave_up}");
    assert_eq!((started, beside), (pair.standby.started(), pair.beside("").len()));
}

fn a_running_standby_below_the_bounds_is_refused(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.append("postgresql.conf", "max_connections = 50\n");
    let started = pair.standby.started();
    let refused = pair.swap("run").arg("--force").run().expect_code(3);
    assert!(refused.error().contains("max_connections is 50 here and 100 on the primary"), "{refused}");
    assert!(refused.hint().starts_with("pg-conf match -D"), "{refused}");
    assert_eq!(started, pair.standby.started());
}

fn a_run_killed_between_rename_and_exchange_is_put_in_order(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    let incoming = pair.beside("incoming").remove(0);
    // What a kill at that moment leaves: the copy under the name that waits for the old directory.
    let named = pair.standby.data.with_file_name("standby.previous-20260101T000000Z");
    std::fs::rename(&incoming, &named).expect("rename");
    pair.swap("swap").run().success().expect_changed(true);
    pair.streams();
    assert!(!named.exists());
}
