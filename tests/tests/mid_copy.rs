//! What can happen while a copy is on its way: the tool, the network, the primary, the disk or the old standby's own
//! server fails. The old standby serves all the while, nothing is left behind, and the next run goes through.
//!
//! `PG_RUNBOOK_TEST_EVERY_CALL=1` leaves no call of a fetch out.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

#[path = "mid_copy/scene.rs"]
mod scene;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scene::{PATIENCE, Scene, look, scene};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::{
    Call, Outcome, Running, Sandbox, SmallDisk, has_strace, on_the_machines_own, pair, pair_in, some, thinned, wait_for,
};

on_the_machines_own!(
    a_fetch_killed_at_any_call_leaves_nothing_to_the_next_one,
    a_disk_that_fails_at_a_sync_or_a_rename_leaves_nothing,
    a_disk_that_is_full_at_a_write_leaves_nothing,
    a_disk_that_fills_up_meanwhile_leaves_nothing_and_tells_both_numbers,
    a_disk_for_the_write_ahead_log_that_fills_up_meanwhile_is_named,
    what_a_killed_fetch_left_is_told_by_status_and_removed_by_commit,
    a_network_that_stalls_and_heals_loses_nothing,
    a_network_that_breaks_fails_the_copy_and_leaves_nothing,
    a_network_that_is_gone_after_the_exchange_brings_the_old_directory_back,
    a_primary_that_restarts_fails_the_copy_and_leaves_nothing,
    a_primary_that_is_killed_fails_the_copy_and_leaves_nothing,
    a_password_that_is_changed_meanwhile_does_not_touch_the_copy_under_way,
    a_standby_that_dies_meanwhile_gets_its_copy_all_the_same,
    two_runs_at_once_are_one_after_the_other,
);

fn calls_of_a_fetch(scene: &Scene<'_>) -> Vec<Call> {
    let fetch = || scene.pair.swap("fetch").args(["--force", "--progress", "none"]);
    // An earlier copy goes first, as it does in those that follow.
    fetch().run().success();
    let calls = thinned(fetch().calls(scene.pair.standby.sandbox));
    eprintln!("{} calls: {}", calls.len(), calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(" "));
    assert!(calls.iter().any(|call| call.name.starts_with("rename")) && calls.len() > 30, "too few to be true");
    calls
}

/// Runs a fetch hindered at each of these calls; what it says is told.
fn hindered(scene: &Scene<'_>, calls: &[Call], what: &str, expect: &dyn Fn(&str)) {
    for call in calls {
        let fetch = scene.pair.swap("fetch").args(["--force", "--progress", "none"]).hindered(call, what).start();
        let told = format!("{what} at {call:?}: {}", fetch.ended());
        expect(&told);
        scene.no_half_is_a_primary(&told);
        scene.a_copy_comes(&told);
    }
}

fn a_fetch_killed_at_any_call_leaves_nothing_to_the_next_one(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(pair(sandbox));
    let (files, others): (Vec<_>, Vec<_>) =
        calls_of_a_fetch(&scene).into_iter().partition(|call| call.name == "unlinkat");
    let calls = [some(&others, 10), some(&files, 1)].concat();
    hindered(&scene, &calls, "signal=KILL", &|told| {
        assert!(scene.served.still(), "somebody was not served\n{told}");
    });
    assert!(scene.halves.get() > 0, "none was killed between the copy and its end");
}

fn a_disk_that_fails_at_a_sync_or_a_rename_leaves_nothing(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(pair(sandbox));
    let mut calls = calls_of_a_fetch(&scene);
    calls.retain(|call| matches!(call.name.as_str(), "fsync" | "syncfs") || call.name.starts_with("rename"));
    // The one by which the copy itself is synced is among them, whichever the others are.
    let (whole, others): (Vec<_>, Vec<_>) = calls.into_iter().partition(|call| call.name == "syncfs");
    assert!(others.len() > 5 && !whole.is_empty(), "{whole:?} {others:?}");
    let calls = [whole, some(&others, 8)].concat();
    hindered(&scene, &calls, "error=EIO", &|told| {
        scene.nothing_is_left(&told);
        assert!(
            !told.contains("syncfs") || scene.pair.beside("incoming").is_empty(),
            "it is taken for complete\n{told}"
        );
    });
}

fn a_disk_that_is_full_at_a_write_leaves_nothing(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(pair(sandbox));
    let mut calls = calls_of_a_fetch(&scene);
    calls.retain(|call| call.name == "write");
    hindered(&scene, &some(&calls, 8), "error=ENOSPC", &|told| scene.nothing_is_left(&told));
}

/// What a copy takes, as the run before said.
fn size(fetched: &Outcome) -> u64 {
    fetched.document["fetch"]["bytes"].as_u64().unwrap_or_else(|| panic!("no size\n{fetched}"))
}

fn a_disk_that_fills_up_meanwhile_leaves_nothing_and_tells_both_numbers(sandbox: &Sandbox) {
    let Some(disk) = SmallDisk::mount(sandbox, 400) else { return };
    let scene = scene(pair_in(sandbox, "disk/standby"));
    let size = size(&scene.pair.swap("fetch").arg("--force").run().success());
    std::fs::remove_dir_all(scene.pair.beside("incoming").remove(0)).expect("remove");
    for percent in [2, 30, 60, 95] {
        let room = size * percent / 100;
        // What the standby could not write while the disk was full takes its room first.
        let caught_up = scene.pair.standby.tool("wait").args(["--for", "caught-up", "--timeout", "60"]);
        caught_up.run().success();
        disk.fill(room);
        let before = scene.pair.swap("fetch").arg("--force").run().expect_code(3);
        expect_numbers(&before, size, room);
        disk.empty();
        scene.nothing_is_left(&before);
        scene.no_copy_is_there();
        // And now it was large enough when it was looked at.
        let running = scene.under_way("fetch", &[]);
        let here = scene.pair.beside("partial").iter().map(|folder| bytes_below(folder)).sum();
        disk.fill(room.saturating_sub(here));
        scene.proxy.heal();
        let meanwhile = running.end().expect_code(3);
        disk.empty();
        expect_numbers(&meanwhile, size, room.max(here));
        scene.nothing_is_left(&meanwhile);
        scene.no_copy_is_there();
    }
    scene.a_copy_comes_in();
}

fn a_disk_for_the_write_ahead_log_that_fills_up_meanwhile_is_named(sandbox: &Sandbox) {
    let Some(disk) = SmallDisk::named(sandbox, "logs", 50) else { return };
    let scene = scene(pair(sandbox));
    let wal = disk.folder.join("wal");
    let running = scene.under_way("fetch", &["--waldir", &wal.display().to_string()]);
    disk.fill(0);
    for _ in 0..2 {
        scene.pair.primary.sql("CREATE TABLE IF NOT EXISTS written AS SELECT 1; SELECT pg_switch_wal()");
    }
    scene.proxy.heal();
    let failed =
        running.end().expect_code(3).expect_error("the copy needs 33 MB for the write-ahead log, and 16 MB are free");
    let failed = failed.expect_hint(&format!("df -h {}; ", disk.folder.display()));
    assert!(failed.hint().ends_with("; or name another place: --waldir DIRECTORY"), "{failed}");
    disk.empty();
    scene.nothing_is_left(&failed);
    scene.no_copy_is_there();
    assert!(!wal.exists(), "{failed}");
}

/// Both numbers, to a few megabytes: the write-ahead log is told in words.
#[track_caller]
fn expect_numbers(failed: &Outcome, size: u64, room: u64) {
    let error = failed.error();
    let words: Vec<&str> = error.split_whitespace().collect();
    let told: Vec<u64> =
        words.windows(2).filter(|pair| pair[1] == "MB").filter_map(|pair| pair[0].parse().ok()).collect();
    let &[needed, free] = &told[..] else { panic!("not two numbers: {told:?}\n{failed}") };
    let near = |told: u64, bytes: u64| told.abs_diff(bytes / 1_000_000) <= 20;
    assert!(near(needed, size) && near(free, room) && free < needed + 17, "{size} and {room}\n{failed}");
}

fn bytes_below(folder: &Path) -> u64 {
    let files = tests::names_below(folder).into_iter().filter_map(|path| path.metadata().ok());
    files.map(|file| file.blocks() * 512).sum()
}

fn what_a_killed_fetch_left_is_told_by_status_and_removed_by_commit(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let pair = &scene.pair;
    pair.swap("commit").run().success();
    scene.under_way("fetch", &[]).kill();
    scene.proxy.heal();
    let keep = pair.standby.data.with_file_name("standby.partial-keep");
    std::fs::create_dir(&keep).expect("make a folder");
    let told = pair.swap("status").run().success();
    assert_eq!(told.document["directories"][1]["what"], "copy being fetched, or cut off: commit removes it", "{told}");
    let planned = pair.swap("commit").arg("--check").run().success().expect_changed(true);
    assert!(pair.beside("partial").len() == 2, "{planned}");
    let removed = pair.swap("commit").run().success().expect_changed(true);
    assert_eq!(removed.document["changes"], planned.document["changes"], "{removed}");
    assert_eq!(removed.document["changes"][2]["kind"], "incomplete_copy", "{removed}");
    assert_eq!(pair.beside("partial"), [keep], "what is somebody else's stays\n{removed}");
    pair.swap("commit").run().success().expect_changed(false);
    assert!(scene.served.still(), "{removed}");
}

fn a_network_that_stalls_and_heals_loses_nothing(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let running = scene.under_way("fetch", &[]);
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event = 'ClientWrite'";
    wait_for("the primary can't send any more", PATIENCE, || scene.pair.primary.sql(waits) != "0");
    scene.proxy.heal();
    let fetched = running.end().success().expect_changed(true);
    assert_eq!(fetched.document["fetch"]["verified"]["how"], "full", "{fetched}");
    scene.nothing_is_left(&fetched);
    drop(scene.served);
    scene.pair.swap("swap").run().success();
    scene.pair.streams();
}

fn a_network_that_breaks_fails_the_copy_and_leaves_nothing(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let running = scene.under_way("fetch", &[]);
    scene.proxy.reset();
    let failed = running.end().expect_code(5).expect_error("the copy from 127.0.0.1:").expect_error("is untouched");
    scene.nothing_is_left(&failed);
    scene.no_copy_is_there();
    let running = scene.under_way("fetch", &[]);
    scene.proxy.refuse();
    scene.proxy.reset();
    let failed = running.end().expect_code(5).expect_error("is untouched");
    scene.nothing_is_left(&failed);
    let again = || scene.pair.swap("fetch").args(["--force", "-p", &scene.proxy.port.to_string()]).run();
    scene.nothing_is_left(&again().expect_code(5).expect_hint("pg_isready"));
    scene.proxy.heal();
    scene.proxy.accept();
    scene.nothing_is_left(&again().success().expect_changed(true));
    scene.a_copy_comes_in();
}

fn a_network_that_is_gone_after_the_exchange_brings_the_old_directory_back(sandbox: &Sandbox) {
    let Scene { pair, served, before, proxy, .. } = scene(pair(sandbox));
    pair.swap("fetch").args(["--force", "-p", &proxy.port.to_string()]).run().success();
    assert!(served.still());
    drop(served);
    for silent in [false, true] {
        if silent {
            proxy.accept();
            proxy.stall();
        } else {
            proxy.refuse();
        }
        let begun = Instant::now();
        let failed = pair.swap("swap").args(["--timeout", "3", "--no-catch-up"]).run().expect_code(1);
        let failed = failed.expect_error("went back to its old directory, which serves again");
        // Three for the first streaming; the stops and starts are quick.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}\n{failed}", begun.elapsed());
        let after = look(&pair);
        assert_eq!((after.folder, &after.beside), (before.folder, &before.beside), "{failed}");
        assert_eq!(pair.beside("incoming").len(), 1, "the copy is kept: {failed}");
        pair.streams();
    }
    proxy.heal();
    pair.swap("swap").run().success().expect_changed(true);
    pair.streams();
}

/// Not stalled: the primary is to have the chance to say why it goes.
fn slowly(scene: &Scene<'_>) -> Running {
    let running = scene.pair.swap("fetch").args(["--force", "--max-rate", "1M"]).start();
    wait_for("files to arrive", PATIENCE, || {
        scene.pair.beside("partial").iter().any(|folder| folder.join("base").exists())
    });
    running
}

fn a_primary_that_is_killed_fails_the_copy_and_leaves_nothing(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let running = slowly(&scene);
    let pid = scene.pair.primary.pid().expect("a server");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill the server");
    let failed = running.end().expect_code(5).expect_error("the copy from 127.0.0.1:").expect_error("is untouched");
    let failed = failed.expect_hint("pg_isready");
    // Its socket's lock names the number for as long as the kernel does; its children end by themselves.
    wait_for("the server to be gone", PATIENCE, || !Path::new("/proc").join(pid.to_string()).exists());
    scene.pair.primary.tool("start").run().success();
    scene.nothing_is_left(&failed);
    scene.no_copy_is_there();
    scene.a_copy_comes(&failed);
    scene.a_copy_comes_in();
}

fn a_primary_that_restarts_fails_the_copy_and_leaves_nothing(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let running = slowly(&scene);
    scene.pair.primary.tool("restart").run().success();
    let failed = running.end().expect_code(5).expect_error("the copy from 127.0.0.1:").expect_error("is untouched");
    scene.nothing_is_left(&failed);
    scene.no_copy_is_there();
    scene.a_copy_comes(&failed);
    scene.a_copy_comes_in();
}

fn a_password_that_is_changed_meanwhile_does_not_touch_the_copy_under_way(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let running = scene.under_way("run", &["--timeout", "3"]);
    scene.pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    assert!(scene.served.still());
    scene.proxy.heal();
    let failed = running.end().expect_code(1).expect_error("is untouched and serves on");
    let failed = failed.expect_error("password authentication failed").expect_hint("pg-pass set");
    let Scene { pair, before, proxy, .. } = scene;
    let after = look(&pair);
    assert_eq!((after.folder, after.beside), (before.folder, before.beside), "{failed}");
    assert_eq!(pair.standby.sql("SELECT pg_is_in_recovery()"), "t");
    std::fs::write(&pair.passfile, "*:*:*:replicator:another\n").expect("write");
    pair.streams();
    pair.swap("swap").run().success().expect_changed(true);
    pair.streams();
    drop(proxy);
}

fn a_standby_that_dies_meanwhile_gets_its_copy_all_the_same(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let running = scene.under_way("run", &[]);
    assert!(scene.served.still());
    let pid = scene.pair.standby.pid().expect("a server");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill the server");
    // Its socket's lock names the number for as long as the kernel does.
    wait_for("the server to be gone", PATIENCE, || !Path::new("/proc").join(pid.to_string()).exists());
    scene.proxy.heal();
    let swapped = running.end().success().expect_changed(true);
    assert_eq!(swapped.document["needs"]["level"], "start", "{swapped}");
    let Scene { pair, served, proxy, .. } = scene;
    drop(served);
    assert!(pair.beside("partial").is_empty() && pair.beside("incoming").is_empty(), "{swapped}");
    assert_eq!(pair.swap("run").run().success().expect_changed(false).document["needs"]["level"], "start");
    pair.standby.tool("start").run().success();
    pair.streams();
    pair.swap("run").run().success().expect_changed(false);
    drop(proxy);
}

fn two_runs_at_once_are_one_after_the_other(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    let first = scene.under_way("run", &[]);
    let checked = scene.pair.swap("run").args(["--force", "--check"]).run().success();
    let preflight = checked.document["preflight"].as_array().expect("findings");
    let told = preflight.iter().find(|finding| finding["what"] == "another run").expect("a finding");
    assert!(told["detail"].as_str().is_some_and(|detail| detail.contains(&format!("(pid {})", first.pid()))), "{told}");
    let second = scene.pair.swap("run").arg("--force").start();
    second.wait_until_it_says(&format!("(pid {}), which works on", first.pid()));
    assert!(scene.served.still() && scene.pair.beside("partial").len() == 1);
    scene.proxy.heal();
    let [first, second] = [first, second].map(|run| run.end().success().expect_changed(true));
    // Each has kept the directory that it found.
    let kept = |run: &Outcome| PathBuf::from(run.document["kept"].as_str().unwrap_or_default());
    assert!(kept(&first) != kept(&second) && kept(&first).exists() && kept(&second).exists(), "{first}\n{second}");
    assert_eq!(std::fs::metadata(kept(&first)).expect("look").ino(), scene.before.folder);
    scene.nobody_is_left();
    assert!(scene.pair.beside("partial").is_empty() && scene.pair.beside("incoming").is_empty());
    scene.pair.streams();
}
