//! What `pg-basebackup-swap` looks at before it touches anything: all of it, told at once.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use serde_json::Value;
use std::time::Duration;
use tests::{Outcome, Pair, Sandbox, SmallDisk, on_each_major, on_the_machines_own, pair, pair_in, wait_for};

on_each_major!(check_tells_every_finding_and_touches_nothing, too_few_walsenders_are_found_before_anything_is_copied,);
on_the_machines_own!(
    everything_that_stands_in_the_way_is_told_at_once,
    a_primary_that_does_not_answer_hides_nothing_that_is_wrong_here,
    no_free_replication_slot_is_found_before_anything_is_copied,
    a_standby_that_is_ahead_of_the_primary_is_not_replaced,
    a_disk_that_is_too_small_is_known_beforehand_where_the_role_may_ask,
    a_server_that_could_not_be_started_again_is_known_before_anything_is_copied,
    a_disk_for_the_write_ahead_log_alone_has_to_hold_two_segments,
    an_old_copys_folders_do_not_stand_in_the_way_and_the_old_servers_do,
);

/// What must stay.
fn watched(pair: &Pair<'_>) -> (String, usize) {
    (pair.standby.started(), pair.beside("").len())
}

/// The finding of that name.
fn finding(outcome: &Outcome, what: &str) -> Value {
    let findings = outcome.document["preflight"].as_array().unwrap_or_else(|| panic!("no preflight\n{outcome}"));
    let found = findings.iter().find(|finding| finding["what"] == what);
    found.cloned().unwrap_or_else(|| panic!("no finding {what:?}\n{outcome}"))
}

fn check_tells_every_finding_and_touches_nothing(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let keeps = if pair.primary.major < 13 { "wal_keep_segments" } else { "wal_keep_size" };
    pair.primary.append("postgresql.conf", &format!("{keeps} = 0\n"));
    pair.primary.tool("reload").run().success();
    let before = watched(&pair);
    for verb in ["run", "fetch"] {
        let checked = pair.swap(verb).args(["--force", "--check"]).run().success();
        let whats = [
            "login",
            "replication",
            "system identifier",
            "version",
            "bounds",
            "slot",
            "walsenders",
            "old data",
            "server",
            "start",
            "recovery",
            "another run",
            "leftovers",
            "permissions",
            "mount points",
            "links",
            "space",
        ];
        for what in whats {
            assert_eq!(finding(&checked, what)["ok"], true, "{what}: {checked}");
        }
        // Without a slot and wal_keep_size nothing keeps it, which is no reason to refuse.
        assert_eq!(finding(&checked, "wal")["ok"], Value::Null, "{checked}");
        assert!(finding(&checked, "wal")["hint"].as_str().is_some_and(|hint| hint.contains("--create-slot")));
        let bytes = checked.document["copy"]["bytes"].as_u64().expect("how large it will be");
        assert!((10_000_000..200_000_000).contains(&bytes), "{bytes}");
        assert_eq!(checked.document["copy"]["disks"].as_array().map(Vec::len), Some(1), "{checked}");
    }
    let slots = pair.primary.sql("SELECT count(*) FROM pg_replication_slots");
    assert_eq!((watched(&pair), slots.as_str()), (before, "0"));
}

fn everything_that_stands_in_the_way_is_told_at_once(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.append("postgresql.conf", "recovery_target = 'immediate'\nmax_connections = 50\n");
    let used = sandbox.folder("used");
    std::fs::write(used.join("photo.jpg"), "x").expect("write");
    let before = watched(&pair);
    let command = pair.swap("run").args(["--force", "--slot", "nowhere", "--waldir"]).arg(&used);
    let refused = command.run().expect_code(3);
    let words = [
        "4 things stand in the way of a copy for",
        "max_connections is 50 here and 100 on the primary",
        "recovery_target = immediate",
        "the folder for the write-ahead log is not empty",
        "the primary has no physical replication slot \"nowhere\"",
        "hint: pg-conf unset",
    ];
    let refused = words.into_iter().fold(refused, |refused, word| refused.expect_error(word));
    assert!(refused.hint().starts_with("pg-conf match"), "the first one's: {refused}");
    for what in ["bounds", "slot", "recovery", "folders"] {
        assert_eq!(finding(&refused, what)["ok"], false, "{refused}");
    }
    assert_eq!(watched(&pair), before);
}

fn a_primary_that_does_not_answer_hides_nothing_that_is_wrong_here(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.append("postgresql.conf", "recovery_target = 'immediate'\n");
    let nobody = sandbox.port().to_string();
    let refused = pair.swap("run").args(["--force", "-p", &nobody]).run();
    // What is wrong here is still wrong when the primary answers again.
    let refused = refused.expect_code(3).expect_error("recovery_target = immediate").expect_error("pg_isready");
    assert!(refused.hint().starts_with("pg-conf unset"), "{refused}");
}

fn too_few_walsenders_are_found_before_anything_is_copied(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.primary.append("postgresql.conf", "max_wal_senders = 2\n");
    pair.primary.tool("restart").run().success();
    pair.streams();
    let before = watched(&pair);
    let failed = pair.swap("run").arg("--force").run().expect_code(1).expect_error("two walsenders");
    failed.expect_error("max_wal_senders").expect_hint("pg-conf set max_wal_senders=N");
    assert_eq!(watched(&pair), before);
    // Without a second connection for its write-ahead log, one is enough.
    pair.swap("fetch").args(["--force", "--wal-method", "fetch"]).run().success().expect_changed(true);
}

fn no_free_replication_slot_is_found_before_anything_is_copied(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.primary.append("postgresql.conf", "max_replication_slots = 1\n");
    pair.primary.tool("restart").run().success();
    pair.primary.sql("SELECT pg_create_physical_replication_slot('taken')");
    pair.streams();
    let failed = pair.swap("run").arg("--force").run().expect_code(1).expect_error("a replication slot");
    failed.expect_hint("pg-conf set max_replication_slots=N");
    // The one that is there needs no other.
    pair.swap("run").args(["--force", "--slot", "taken"]).run().success().expect_changed(true);
}

fn a_standby_that_is_ahead_of_the_primary_is_not_replaced(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.tool("promote").run().success();
    pair.standby.sql("CREATE TABLE newer AS SELECT 1");
    pair.standby.sql("CHECKPOINT");
    pair.standby.tool("stop").run().success();
    // As it would be after it had followed a newer primary; the old one is named by mistake.
    pair.standby.append("standby.signal", "");
    let refused = pair.swap("run").arg("--force").run().expect_code(3).expect_error("is ahead of this primary");
    let refused = refused.expect_error("it has timeline 2").expect_error("writes 1");
    let system = pair.primary.sql("SELECT system_identifier FROM pg_control_system()");
    assert!(refused.hint().ends_with(&format!("--replace {system}")), "{refused}");
    pair.swap("run").args(["--force", "--replace", &system]).run().success().expect_changed(true);
}

fn a_disk_that_is_too_small_is_known_beforehand_where_the_role_may_ask(sandbox: &Sandbox) {
    let Some(_disk) = SmallDisk::mount(sandbox, 130) else { return };
    let pair = pair_in(sandbox, "disk/standby");
    pair.standby.tool("stop").run().success();
    pair.primary.sql("CREATE TABLE large AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 100000) AS n");
    // Any database, not only a replication connection: then it may ask by SQL.
    std::fs::write(&pair.passfile, "*:*:*:replicator:swordfish\n").expect("write");
    let refused = pair.swap("run").args(["--force", "--check"]).run().expect_code(3).expect_error("the copy needs ");
    let refused = refused.expect_error("MB are free").expect_hint("df -h");
    assert_eq!(refused.document["copy"]["told_by"], "primary", "{refused}");
    assert_eq!(finding(&refused, "space")["ok"], false, "{refused}");
    assert!(pair.beside("partial").is_empty());
}

fn a_server_that_could_not_be_started_again_is_known_before_anything_is_copied(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let (data, odd) = (&pair.standby.data, sandbox.path().join("a\"b"));
    pair.standby.tool("stop").run().success();
    std::fs::rename(data, &odd).expect("rename");
    // As somebody starts it by hand, past pg_ctl and its shell.
    let mut server = sandbox.account.command(&sandbox.server.bin.join("postgres"));
    let mut server = server.arg("-D").arg(&odd).stderr(std::process::Stdio::null()).spawn().expect("a server");
    wait_for("the server to write its file", Duration::from_secs(30), || odd.join("postmaster.pid").exists());
    let is_there = || (odd.join("global/pg_control").exists(), odd.with_file_name("a\"b.log").exists());
    for options in [&["--check"][..], &[], &["--space", "replace"]] {
        let run = sandbox.tool("pg-basebackup-swap").args(["run", "--force", "--input", "-", "--passfile"]);
        let refused = run.arg(&pair.passfile).arg("-D").arg(&odd).args(options).after(&pair.advertised).run();
        let refused = refused.expect_code(3).expect_error("could not be started again once it is stopped");
        assert_eq!(finding(&refused, "start")["ok"], false, "{refused}");
        assert_eq!(is_there(), (true, false), "{refused}");
        assert_eq!(server.try_wait().expect("look"), None, "{refused}");
    }
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(server.id().cast_signed()), nix::sys::signal::Signal::SIGQUIT)
        .expect("end the server");
    server.wait().expect("the end of the server");
}

fn a_disk_for_the_write_ahead_log_alone_has_to_hold_two_segments(sandbox: &Sandbox) {
    let Some(disk) = SmallDisk::named(sandbox, "logs", 12) else { return };
    let pair = pair(sandbox);
    let fetch = || pair.swap("fetch").args(["--force", "--waldir"]).arg(disk.folder.join("wal"));
    for options in [&["--check"][..], &[]] {
        let refused = fetch().args(options).run().expect_code(3);
        let refused = refused.expect_error("the copy needs 33 MB for the write-ahead log, and 1");
        let refused = refused.expect_error(&format!("MB are free beside {}", disk.folder.display()));
        assert!(refused.hint().ends_with("--waldir DIRECTORY"), "{refused}");
        assert_eq!(finding(&refused, "space")["ok"], true, "the data directory's: {refused}");
        assert!(pair.beside("partial").is_empty() && pair.beside("incoming").is_empty());
    }
}

fn an_old_copys_folders_do_not_stand_in_the_way_and_the_old_servers_do(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    sandbox.folder("wal");
    let fetch = || pair.swap("fetch").args(["--force", "--waldir", "wal/1"]);
    let running = fetch().args(["--max-rate", "2M"]).start();
    wait_for("files to arrive", Duration::from_secs(30), || {
        pair.beside("partial").iter().any(|folder| folder.join("base").exists())
    });
    running.kill();
    fetch().run().success().expect_changed(true);
    fetch().run().success().expect_changed(true);
    pair.swap("swap").run().success().expect_changed(true);
    pair.streams();
    // Where the old one's is, the copy's comes beside it; where anything else is, it does not.
    fetch().run().success().expect_changed(true);
    std::fs::write(sandbox.folder("photos").join("1.jpg"), "x").expect("write");
    let refused = pair.swap("fetch").args(["--force", "--waldir", "photos"]).run().expect_code(3);
    refused.expect_error("not empty").expect_hint("--waldir");
    let inside = pair.standby.data.join("wal");
    let refused = pair.swap("fetch").args(["--force", "--waldir"]).arg(&inside).run().expect_code(3);
    refused.expect_error("inside the old data directory");
}
