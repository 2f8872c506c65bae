//! Before the stop, the copy replays what came since it began, on a server that nobody else can reach.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::sys::signal::Signal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{Pair, Running, Sandbox, on_each_major, on_the_machines_own, pair, wait_for};

on_each_major!(
    what_came_since_the_copy_is_replayed_before_the_stop,
    a_copy_that_does_not_stream_is_found_out_while_the_old_one_serves,
    the_old_standbys_slot_stays_with_it_until_the_exchange,
);
on_the_machines_own!(
    a_copy_whose_log_is_gone_is_found_out_while_the_old_one_serves,
    the_private_server_is_reached_by_nobody_and_leaves_nothing,
    a_tool_that_is_killed_takes_its_private_server_along,
    a_signal_ends_it_and_the_next_swap_goes_on,
    where_nobody_waits_nothing_is_caught_up,
    a_server_that_takes_no_session_is_not_waited_for,
    a_server_that_somebody_starts_meanwhile_is_stopped_before_the_exchange,
    the_new_directory_has_to_come_past_where_the_old_one_stood,
);

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("look at {path:?}: {error}")).ino()
}

/// So much write-ahead log that it can be told apart.
fn write_on(pair: &Pair<'_>, name: &str) {
    let rows = "SELECT n, repeat('x', 500) FROM generate_series(1, 40000) AS n";
    pair.primary.sql(&format!("CREATE TABLE {name} AS {rows}"));
}

fn lsn(text: &str) -> u64 {
    let (high, low) = text.split_once('/').unwrap_or_else(|| panic!("{text:?} is no location"));
    let number = |half| u64::from_str_radix(half, 16).expect("a number");
    number(high) << 32 | number(low)
}

fn what_came_since_the_copy_is_replayed_before_the_stop(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    write_on(&pair, "since");
    let written = lsn(&pair.primary.sql("SELECT pg_current_wal_lsn()"));
    let swapped = pair.swap("swap").run().success().expect_changed(true);
    let told = &swapped.document["catch_up"];
    let replayed = lsn(told["replayed"].as_str().unwrap_or_else(|| panic!("not caught up\n{swapped}")));
    assert!(replayed >= written - (1 << 20), "{replayed} < {written}\n{swapped}");
    assert!(told["behind_bytes"].as_u64().is_some_and(|behind| behind <= 1 << 20), "{swapped}");
    assert!(told["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0) && told["left_out"].is_null());
    pair.streams();
    assert_eq!(pair.standby.sql("SELECT count(*) FROM since"), "40000");
    // What it was told on its private server is not what it is told now.
    let own = pair.standby.data.join("pg_hba.conf").display().to_string();
    assert_eq!((pair.standby.sql("SHOW hba_file"), pair.standby.sql("SHOW cluster_name")), (own, String::new()));
    let name = "SELECT application_name FROM pg_stat_replication";
    wait_for("the standby under its own name", Duration::from_secs(20), || pair.primary.sql(name) == "walreceiver");
}

fn a_copy_that_does_not_stream_is_found_out_while_the_old_one_serves(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    let before = (pair.standby.started(), inode(&pair.standby.data));
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    let failed = pair.swap("swap").args(["--timeout", "2"]).run().expect_code(1).expect_error("serves on");
    let failed = failed.expect_error("password authentication failed").expect_hint("pg-pass set");
    assert_eq!((pair.standby.started(), inode(&pair.standby.data)), before, "{failed}");
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'swordfish'");
    pair.swap("swap").run().success().expect_changed(true);
    pair.streams();
}

fn the_old_standbys_slot_stays_with_it_until_the_exchange(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("run").args(["--force", "--slot", "its_own", "--create-slot"]).run().success();
    let slot = "SELECT active FROM pg_replication_slots WHERE slot_name = 'its_own'";
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    wait_for("the slot to be used", Duration::from_secs(20), || pair.primary.sql(slot) == "t");
    if pair.standby.major < 12 {
        let file = pair.standby.read("recovery.conf");
        assert!(file.contains("its_own") && !file.contains("pg-basebackup-swap"), "{file}");
    } else {
        assert_eq!(pair.standby.sql("SHOW primary_slot_name"), "its_own");
    }
}

fn a_copy_whose_log_is_gone_is_found_out_while_the_old_one_serves(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    let before = (pair.standby.started(), inode(&pair.standby.data));
    pair.primary.sql("ALTER SYSTEM SET wal_keep_size = 0");
    pair.primary.tool("reload").run().success();
    for number in 0..3 {
        write_on(&pair, &format!("since_{number}"));
        pair.primary.sql("SELECT pg_switch_wal()");
        pair.primary.sql("CHECKPOINT");
    }
    let failed = pair.swap("swap").args(["--timeout", "3"]).run().expect_code(1);
    let failed = failed.expect_error("has already been removed").expect_error("serves on");
    assert_eq!((pair.standby.started(), inode(&pair.standby.data)), before, "{failed}");
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    pair.streams();
}

/// A swap whose catching up lasts, for the private server can't reach the primary; and that server's process.
fn held_up(pair: &Pair<'_>) -> (Running, i32) {
    pair.swap("fetch").arg("--force").run().success();
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    let swap = pair.swap("swap").args(["--timeout", "60"]).start();
    let copy = pair.standby.data.with_file_name("standby.incoming");
    let pid = || -> Option<i32> {
        let text = std::fs::read_to_string(copy.join("postmaster.pid")).ok()?;
        (text.lines().nth(7)?.trim() == "ready").then(|| text.lines().next()?.parse().ok())?
    };
    wait_for("the private server", Duration::from_secs(30), || pid().is_some());
    (swap, pid().expect("a server"))
}

fn is_gone(pid: i32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

/// What a private server has in a copy, besides what every server has.
fn left_in(folder: &Path) -> Vec<PathBuf> {
    let mut names = tests::names_below(folder);
    names.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.contains("private") || name.starts_with(".s.PGSQL")
    });
    names
}

fn the_private_server_is_reached_by_nobody_and_leaves_nothing(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.append("postgresql.conf", "archive_mode = always\narchive_command = 'touch archived'\n");
    pair.standby.tool("restart").run().success();
    let (swap, pid) = held_up(&pair);
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).expect("its command line");
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    for words in ["listen_addresses= ", "archive_mode=off", "external_pid_file= ", "hot_standby_feedback=off"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(!line.contains("swordfish"), "{line}");
    let copy = pair.standby.data.with_file_name("standby.incoming");
    let socket = std::fs::metadata(copy.join(format!(".s.PGSQL.{}", pair.standby.port))).expect("its socket");
    assert_eq!((socket.mode() & 0o777, std::fs::metadata(&copy).expect("the copy").mode() & 0o077), (0o700, 0));
    // Nobody takes it for a cluster of this host.
    let listed = sandbox.tool("pg-cluster").arg("list").run().success();
    assert!(!listed.stdout.contains("standby.incoming"), "{listed}");
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'swordfish'");
    swap.end().success().expect_changed(true);
    assert!(is_gone(pid) && left_in(&pair.standby.data).is_empty());
    pair.streams();
}

fn a_tool_that_is_killed_takes_its_private_server_along(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let before = (pair.standby.started(), inode(&pair.standby.data));
    let (swap, pid) = held_up(&pair);
    swap.kill();
    wait_for("the private server to end", Duration::from_secs(30), || is_gone(pid));
    assert_eq!((pair.standby.started(), inode(&pair.standby.data)), before);
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'swordfish'");
    pair.swap("swap").run().success().expect_changed(true);
    assert!(left_in(&pair.standby.data).is_empty());
    pair.streams();
}

fn a_signal_ends_it_and_the_next_swap_goes_on(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let before = (pair.standby.started(), inode(&pair.standby.data));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (swap, pid) = held_up(&pair);
        swap.signal(signal);
        swap.end().expect_code(1).expect_error(signal.as_str());
        assert!(is_gone(pid), "it ends before the tool does");
        assert_eq!((pair.standby.started(), inode(&pair.standby.data)), before);
        pair.primary.sql("ALTER ROLE replicator PASSWORD 'swordfish'");
    }
    pair.swap("swap").run().success().expect_changed(true);
    pair.streams();
}

fn where_nobody_waits_nothing_is_caught_up(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let left_out = |command: tests::ToolCommand<'_>, words: &str| {
        let swapped = command.run().success().expect_changed(true);
        let told = swapped.document["catch_up"]["left_out"].as_str().unwrap_or_default();
        assert!(told.contains(words), "{swapped}");
    };
    left_out(pair.swap("run").args(["--force", "--no-catch-up"]), "--no-catch-up");
    pair.standby.append("postgresql.conf", "recovery_min_apply_delay = '1h'\n");
    pair.standby.tool("reload").run().success();
    left_out(pair.swap("run").arg("--force"), "it is meant to lag");
    pair.standby.tool("stop").run().success();
    left_out(pair.swap("run").arg("--force"), "no server runs");
}

fn a_server_that_takes_no_session_is_not_waited_for(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    // As where initdb was told of another superuser; the servers' owner has no role of its own then.
    let name = &sandbox.account.name;
    pair.primary.sql("CREATE ROLE admin SUPERUSER LOGIN");
    let rules = format!("local all admin trust\n{}", pair.primary.read("pg_hba.conf"));
    pair.primary.write("pg_hba.conf", &rules);
    pair.primary.tool("reload").run().success();
    let as_admin = |statement: &str| {
        let mut psql = sandbox.account.command(&tests::psql().expect("psql"));
        psql.args(["-X", "-q", "-d", "postgres", "-U", "admin", "-c", statement, "-p", &pair.primary.port.to_string()]);
        assert!(psql.arg("-h").arg(pair.primary.socket_directory()).status().expect("run psql").success());
    };
    as_admin(&format!("ALTER ROLE {name} RENAME TO somebody_else"));
    let swapped = pair.swap("run").args(["--force", "--timeout", "10"]).run().success().expect_changed(true);
    let told = swapped.document["catch_up"]["left_out"].as_str().unwrap_or_default();
    assert!(told.contains("it can't be asked"), "{swapped}");
    as_admin(&format!("ALTER ROLE somebody_else RENAME TO {name}"));
    wait_for("the role's name to arrive", Duration::from_secs(20), || pair.standby.try_sql("SELECT 1").is_some());
    pair.streams();
}

fn a_server_that_somebody_starts_meanwhile_is_stopped_before_the_exchange(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.tool("stop").run().success();
    let old = inode(&pair.standby.data);
    let running = pair.swap("run").args(["--force", "--max-rate", "4M"]).start();
    wait_for("the copy to begin", Duration::from_secs(30), || {
        pair.beside("partial").iter().any(|folder| folder.join("base").exists())
    });
    let mut by_hand = sandbox.account.command(&sandbox.server.bin.join("pg_ctl"));
    by_hand.arg("-D").arg(&pair.standby.data).args(["start", "-w", "-s", "-l"]);
    assert!(by_hand.arg(sandbox.path().join("by_hand.log")).status().expect("run pg_ctl").success());
    running.end().success().expect_changed(true).expect_stderr("stopped ");
    assert_ne!(inode(&pair.standby.data), old);
    pair.streams();
}

fn the_new_directory_has_to_come_past_where_the_old_one_stood(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    write_on(&pair, "since");
    let end = lsn(&pair.primary.sql("SELECT pg_current_wal_lsn()"));
    let behind = "SELECT pg_last_wal_replay_lsn()";
    wait_for("the standby to have it", Duration::from_secs(20), || lsn(&pair.standby.sql(behind)) >= end);
    // It streams, and replays nothing for now.
    pair.standby.append("postgresql.conf", "recovery_min_apply_delay = '1h'\n");
    let before = inode(&pair.standby.data);
    let failed = pair.swap("swap").args(["--timeout", "3"]).run().expect_code(1);
    failed.expect_error("the old directory stood at").expect_error("went back to its old directory");
    assert_eq!(inode(&pair.standby.data), before);
    pair.streams();
}
