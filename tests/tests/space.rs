//! Disks that can't hold two copies: the old data is given up, by word and by journal; and whose configuration a copy has.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::time::Duration;
use tests::{
    Call, Pair, Running, Sandbox, SmallDisk, has_strace, on_each_major, on_the_machines_own, pair, pair_in, some,
    thinned, wait_for,
};

on_each_major!(
    old_data_is_given_up_for_a_copy_that_streams,
    a_copy_that_is_cut_off_leaves_what_the_next_run_ends,
    the_configuration_is_the_standbys_or_by_word_the_primarys,
);
on_the_machines_own!(
    a_disk_for_one_copy_is_refused_with_both_numbers_and_the_way_out,
    what_would_not_fit_either_way_is_known_before_anything_is_given_up,
    what_is_free_elsewhere_is_no_room_for_the_data_directory,
    old_data_is_not_given_up_where_a_tablespaces_size_is_not_known,
    what_is_only_announced_is_taken_back,
    killed_at_any_call_it_ends_with_the_old_data_or_with_a_copy,
    a_copy_that_does_not_stream_stays_for_there_is_no_way_back,
    what_lies_elsewhere_keeps_its_place_also_where_it_is_emptied,
    a_check_tells_the_outage_and_touches_nothing,
);

fn replace<'a>(pair: &'a Pair<'_>) -> tests::ToolCommand<'a> {
    pair.swap("run").args(["--force", "--space", "replace"])
}

/// Nothing of an older directory is kept.
fn alone(sandbox: &Sandbox) -> Pair<'_> {
    let pair = pair(sandbox);
    pair.swap("commit").run().success();
    pair
}

fn beside(pair: &Pair<'_>) -> Vec<PathBuf> {
    let mut found = pair.beside("");
    found.retain(|path| path.extension().is_none_or(|end| end != "log"));
    found
}

fn old_data_is_given_up_for_a_copy_that_streams(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let refused = replace(&pair).run().expect_code(3).expect_error("old directories of").expect_error("are kept");
    refused.expect_hint("pg-basebackup-swap commit");
    pair.swap("commit").run().success();
    let replaced = replace(&pair).run().success().expect_changed(true).expect_stderr("gave up the old data of");
    assert_eq!(replaced.document["kept"], serde_json::Value::Null, "{replaced}");
    // Nobody was served while the copy came, and that is what is told.
    let told =
        |text: &str| text.split_once("it took ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<f64>().ok());
    let outage = told(replaced.document["msg"].as_str().unwrap_or_default()).unwrap_or_else(|| panic!("{replaced}"));
    assert!(outage > replaced.document["fetch"]["seconds"].as_f64().expect("how long the copy took"), "{replaced}");
    assert_eq!(beside(&pair), [] as [PathBuf; 0], "{replaced}");
    pair.streams();
    assert!(!pair.standby.data.join("pg-runbook.given-up.json").exists());
    pair.swap("rollback").run().expect_code(3).expect_error("there is no old directory to put back");
    // A standby that streams needs none of it.
    pair.swap("run").args(["--space", "replace"]).run().success().expect_changed(false);
}

/// A copy on its way, the old data gone.
fn under_way(pair: &Pair<'_>) -> Running {
    let running = replace(pair).args(["--max-rate", "4M"]).start();
    // What only asks for the copy's size brings files too, before.
    let is_gone = || !pair.standby.data.join("global/pg_control").exists();
    wait_for("files to arrive", Duration::from_secs(30), || {
        is_gone() && pair.beside("partial").iter().any(|folder| folder.join("base").exists())
    });
    running
}

fn a_copy_that_is_cut_off_leaves_what_the_next_run_ends(sandbox: &Sandbox) {
    let pair = alone(sandbox);
    for killed in [true, false] {
        let running = under_way(&pair);
        assert_eq!(pair.standby.try_sql("SELECT 1"), None);
        if killed {
            running.kill();
        } else {
            running.signal(Signal::SIGTERM);
            let told = running.end().expect_code(1).expect_error("its old data is given up, and the copy has not come");
            told.expect_hint("pg-basebackup-swap run");
        }
        // What is left is no cluster that anybody could start, least of all as a primary.
        let start = pair.standby.tool("start").run().expect_code(3).expect_error("has no data to start on");
        start.expect_hint("pg-basebackup-swap run");
        let mut by_hand = sandbox.account.command(&sandbox.server.bin.join("pg_ctl"));
        by_hand.arg("-D").arg(&pair.standby.data).args(["start", "-w", "-s", "-t", "5", "-l"]);
        assert!(!by_hand.arg(sandbox.path().join("by_hand.log")).status().expect("run pg_ctl").success());
        pair.swap("status").run().success().expect_warning("its data was given up at");
        // However it is typed, it ends what was begun, and the server that ran runs again.
        let again = if killed { pair.swap("run") } else { replace(&pair) };
        again.run().success().expect_changed(true);
        pair.streams();
        assert_eq!(beside(&pair), [] as [PathBuf; 0]);
    }
}

/// The number of the first call of a name after the announcement, of those with these words.
fn after_the_announcement(lines: &[String], name: &str, words: &str) -> Call {
    let announced = |line: &String| line.starts_with("rename") && line.contains("given-up.json");
    let announced = lines.iter().position(announced).expect("an announcement");
    let is_call = |line: &&String| line.split('(').next() == Some(name);
    let first = lines.iter().skip(announced).filter(is_call).find(|line| line.contains(words)).expect("the call");
    let number = lines.iter().take_while(|line| !std::ptr::eq(*line, first)).filter(is_call).count() + 1;
    Call { name: name.into(), number }
}

fn what_is_only_announced_is_taken_back(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = alone(sandbox);
    let lines = replace(&pair).traced_lines(sandbox);
    for (name, words) in [("kill", ""), ("unlink", "global/pg_control")] {
        let started = pair.standby.started();
        let call = after_the_announcement(&lines, name, words);
        replace(&pair).hindered(&call, "signal=KILL").start().ended();
        let told = pair.swap("run").run().success().expect_stderr("nothing is lost");
        pair.streams();
        assert!(!pair.standby.data.join("pg-runbook.given-up.json").exists(), "{told}");
        assert_eq!(beside(&pair), [] as [PathBuf; 0], "{told}");
        assert_eq!(pair.standby.started() == started, name == "kill", "{told}");
    }
}

fn killed_at_any_call_it_ends_with_the_old_data_or_with_a_copy(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = alone(sandbox);
    let calls = thinned(replace(&pair).args(["--progress", "none"]).calls(sandbox));
    let is_no_primary = |told: &str| {
        let in_recovery = pair.standby.try_sql("SELECT pg_is_in_recovery()");
        assert_ne!(in_recovery.as_deref(), Some("f"), "{told}");
    };
    for call in &some(&calls, 6) {
        let run = replace(&pair).args(["--progress", "none"]).hindered(call, "signal=KILL").start();
        let told = format!("killed at {call:?}: {}", run.ended());
        is_no_primary(&told);
        // Somebody starts what is there: it is whole and a standby, or it does not start.
        let start = pair.standby.tool("start").run();
        let told = format!("{told}\n{start}");
        assert!(start.code() == 0 || start.code() == 3 && start.error().contains("has no data to start on"), "{told}");
        is_no_primary(&told);
        let again = pair.swap("run").run();
        let told = format!("{told}\n{again}");
        assert_eq!(again.code(), 0, "{told}");
        pair.streams();
        assert!(!pair.standby.data.join("pg-runbook.given-up.json").exists(), "{told}");
        pair.swap("commit").run().success();
        assert_eq!(beside(&pair), [] as [PathBuf; 0], "{told}");
    }
}

fn a_copy_that_does_not_stream_stays_for_there_is_no_way_back(sandbox: &Sandbox) {
    let pair = alone(sandbox);
    let running = replace(&pair).args(["--max-rate", "6M", "--timeout", "3"]).start();
    wait_for("files to arrive", Duration::from_secs(30), || {
        pair.beside("partial").iter().any(|folder| folder.join("base").exists())
    });
    // Sessions that are there stay.
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    let failed = running.end().expect_code(1).expect_error("runs on its new copy; its old data was given up");
    failed.expect_error("password authentication failed");
    assert_eq!(pair.standby.sql("SELECT pg_is_in_recovery()"), "t");
    assert!(pair.beside("pg-runbook-journal").is_empty());
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'swordfish'");
    pair.streams();
    pair.swap("commit").run().success();
    assert_eq!(beside(&pair), [] as [PathBuf; 0]);
}

fn what_lies_elsewhere_keeps_its_place_also_where_it_is_emptied(sandbox: &Sandbox) {
    let pair = alone(sandbox);
    pair.standby.tool("stop").run().success();
    let (there, here) = (sandbox.folder("there"), sandbox.path().join("here"));
    let wal = sandbox.folder("logs").join("wal");
    pair.primary.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", there.display()));
    pair.primary.sql("CREATE TABLE proof TABLESPACE fast AS SELECT n FROM generate_series(1, 1000) AS n");
    let mapping = format!("{}={}", there.display(), here.display());
    pair.swap("run").args(["--force", "-T", &mapping, "--waldir"]).arg(&wal).run().success();
    pair.standby.tool("start").run().success();
    pair.swap("commit").run().success();
    // Cut off once, so that what was filled has to be emptied again.
    under_way(&pair).kill();
    replace(&pair).run().success().expect_changed(true);
    pair.streams();
    assert_eq!(pair.standby.sql("SELECT count(*) FROM proof"), "1000");
    let location = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'";
    assert_eq!(pair.standby.sql(location), here.display().to_string());
    assert_eq!(std::fs::read_link(pair.standby.data.join("pg_wal")).expect("a link"), wal);
    let entries = |folder: &std::path::Path| std::fs::read_dir(folder).expect("read").count();
    assert_eq!((entries(&here), entries(wal.parent().expect("a parent"))), (1, 1));
    assert_eq!(beside(&pair), [] as [PathBuf; 0]);
}

fn a_check_tells_the_outage_and_touches_nothing(sandbox: &Sandbox) {
    let pair = alone(sandbox);
    let (started, names) = (pair.standby.started(), tests::names_below(&pair.standby.data).len());
    let told = |command: tests::ToolCommand<'_>| command.arg("--check").run().success().expect_changed(true);
    let keep = told(pair.swap("run").arg("--force"));
    assert_eq!(keep.document["outage"]["expected"], "restart", "{keep}");
    let replaced = told(replace(&pair)).expect_stderr("would give up the old data of");
    assert_eq!(replaced.document["outage"]["expected"], "copy", "{replaced}");
    assert_eq!((pair.standby.started(), tests::names_below(&pair.standby.data).len()), (started, names));
    pair.swap("run").arg("--force").run().success();
    let keep = told(pair.swap("run").arg("--force"));
    assert!(keep.document["outage"]["last_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{keep}");
}

fn a_disk_for_one_copy_is_refused_with_both_numbers_and_the_way_out(sandbox: &Sandbox) {
    let Some(_disk) = SmallDisk::mount(sandbox, 150) else { return };
    let pair = pair_in(sandbox, "disk/standby");
    pair.swap("commit").run().success();
    pair.primary.sql("CREATE TABLE large AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 20000) AS n");
    pair.streams();
    let refused = pair.swap("run").arg("--force").run().expect_code(3).expect_error("the copy needs ");
    refused.expect_error("are free beside").expect_hint("--space replace");
    assert_eq!(pair.standby.sql("SELECT pg_is_in_recovery()"), "t");
    replace(&pair).run().success().expect_changed(true);
    pair.streams();
    assert_eq!(pair.standby.sql("SELECT count(*) FROM large"), "20000");
}

fn what_would_not_fit_either_way_is_known_before_anything_is_given_up(sandbox: &Sandbox) {
    let Some(_disk) = SmallDisk::mount(sandbox, 150) else { return };
    let pair = pair_in(sandbox, "disk/standby");
    pair.swap("commit").run().success();
    pair.standby.tool("stop").run().success();
    // The role can't ask for its size: the primary tells it as a copy begins.
    pair.primary.sql("CREATE TABLE large AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 200000) AS n");
    let refused = replace(&pair).run().expect_code(3).expect_error("the old data is counted as free already");
    assert_eq!(beside(&pair), [] as [PathBuf; 0], "{refused}");
    assert!(pair.standby.data.join("global/pg_control").exists() && pair.standby.data.join("base/1").exists());
}

/// A pair whose standby has its data directory alone on a small disk, and a tablespace with so many rows elsewhere.
fn on_two_disks(sandbox: &Sandbox, rows: u32) -> (Pair<'_>, PathBuf) {
    let pair = pair_in(sandbox, "disk/standby");
    let (there, here) = (sandbox.folder("there"), sandbox.path().join("here"));
    // A standby on the primary's host would make it in the very folder.
    pair.standby.tool("stop").run().success();
    pair.primary.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", there.display()));
    pair.primary.sql(&format!(
        "CREATE TABLE apart TABLESPACE fast AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, {rows}) AS n"
    ));
    let mapping = format!("{}={}", there.display(), here.display());
    pair.swap("run").args(["--force", "-T", &mapping]).run().success();
    pair.standby.tool("start").run().success();
    pair.swap("commit").run().success();
    (pair, here)
}

fn has_its_data(pair: &Pair<'_>) -> bool {
    pair.standby.data.join("global/pg_control").exists() && pair.standby.data.join("base/1").exists()
}

fn what_is_free_elsewhere_is_no_room_for_the_data_directory(sandbox: &Sandbox) {
    let Some(disk) = SmallDisk::mount(sandbox, 200) else { return };
    let (pair, _) = on_two_disks(sandbox, 10);
    pair.standby.tool("stop").run().success();
    pair.primary.sql("CREATE TABLE large AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 250000) AS n");
    for policy in ["keep", "replace"] {
        let refused = pair.swap("run").args(["--force", "--space", policy]).run().expect_code(3);
        let refused = refused.expect_error("MB for the data directory and the WAL that is written meanwhile");
        let refused = refused.expect_error(&format!("MB are free beside {}", disk.folder.display()));
        // It would not help.
        assert!(!refused.hint().contains("--space replace"), "{refused}");
        assert!(refused.hint().contains("pg-role ensure replicator --member-of pg_monitor"), "{refused}");
        assert_eq!(beside(&pair), [] as [PathBuf; 0], "{refused}");
        assert!(has_its_data(&pair), "{refused}");
    }
}

fn old_data_is_not_given_up_where_a_tablespaces_size_is_not_known(sandbox: &Sandbox) {
    let Some(_disk) = SmallDisk::mount(sandbox, 150) else { return };
    let (pair, here) = on_two_disks(sandbox, 150_000);
    let started = pair.standby.started();
    let refused = replace(&pair).run().expect_code(3).expect_error("it is not known whether the copy will fit");
    let refused = refused.expect_error("may come for the data directory").expect_error("disk");
    assert!(has_its_data(&pair) && pair.standby.started() == started, "{refused}");
    assert_eq!(beside(&pair), [] as [PathBuf; 0], "{refused}");
    // What the hint says.
    let hint =
        ["pg-role ensure replicator --member-of pg_monitor", "--database postgres", "pg-pass set --dbname postgres"];
    hint.into_iter().fold(refused, |refused, words| refused.expect_hint(words));
    pair.primary.other_tool("pg-role", "ensure").args(["replicator", "--member-of", "pg_monitor"]).run().success();
    std::fs::write(&pair.passfile, "*:*:*:replicator:swordfish\n").expect("write");
    let checked = replace(&pair).arg("--check").run().success();
    let disks = checked.document["copy"]["disks"].as_array().unwrap_or_else(|| panic!("no disks\n{checked}"));
    assert!(disks.len() == 2 && disks[0]["bytes"].as_u64() < disks[1]["bytes"].as_u64(), "{checked}");
    replace(&pair).run().success().expect_changed(true);
    pair.streams();
    assert_eq!(pair.standby.sql("SELECT count(*) FROM apart"), "150000");
    let location = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'";
    assert_eq!(pair.standby.sql(location), here.display().to_string());
}

fn the_configuration_is_the_standbys_or_by_word_the_primarys(sandbox: &Sandbox) {
    let pair = alone(sandbox);
    let port = pair.standby.port;
    pair.standby.append("postgresql.conf", "work_mem = '7MB'\n");
    // On one host, the primary's own port is taken.
    pair.primary.append("postgresql.conf", &format!("work_mem = '9MB'\nport = {port}\n"));
    pair.primary.sql("ALTER SYSTEM SET maintenance_work_mem = '33MB'");
    pair.swap("run").args(["--force", "--config", "primary"]).run().success().expect_changed(true);
    pair.streams();
    assert_eq!(pair.standby.sql("SHOW work_mem"), "9MB");
    assert_eq!(pair.standby.sql("SHOW maintenance_work_mem"), "33MB");
    pair.swap("rollback").run().success();
    pair.streams();
    assert_eq!(pair.standby.sql("SHOW work_mem"), "7MB");
    // What was changed between fetch and swap is the standby's own too.
    pair.swap("fetch").arg("--force").run().success();
    pair.standby.append("postgresql.conf", "work_mem = '11MB'\n");
    pair.standby.sql("ALTER SYSTEM SET maintenance_work_mem = '44MB'");
    pair.swap("swap").run().success();
    pair.streams();
    assert_eq!(pair.standby.sql("SHOW work_mem"), "11MB");
    assert_eq!(pair.standby.sql("SHOW maintenance_work_mem"), "44MB");
}
