//! A tool that dies before any of its calls that change something: strace kills it there, call by call. Whatever stands
//! then is whole, the next run ends what was begun, and nothing comes up as a primary.
//!
//! `PG_RUNBOOK_TEST_EVERY_CALL=1` leaves no call out; otherwise a swap dies at each of its calls, the others at some.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::{Call, Pair, Sandbox, has_strace, on_the_machines_own, pair, some, wait_for};

on_the_machines_own!(
    a_swap_killed_at_any_call_ends_in_the_old_state_or_the_new_one,
    a_swap_by_renames_killed_at_any_call_loses_nothing,
    a_rollback_killed_at_any_call_ends_in_the_old_state_or_the_new_one,
    a_commit_killed_at_any_call_goes_on,
    a_disk_that_fails_at_a_sync_or_a_rename_leaves_one_state_whole,
    a_disk_that_is_full_at_a_write_leaves_one_state_whole,
    a_signal_during_the_exchange_waits_until_it_is_done,
    a_server_that_dies_before_the_swap_is_no_hindrance,
    two_swaps_at_once_are_one_after_the_other,
);

/// A pair, and a copy that can be brought in again and again.
struct Scene<'a> {
    pair: Pair<'a>,
    saved: PathBuf,
}

/// The inode numbers of the directory that is in place, and of the one that is to come.
type Folders = [u64; 2];

fn scene(sandbox: &Sandbox) -> Scene<'_> {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    let saved = sandbox.path().join("saved");
    std::fs::rename(pair.beside("incoming").remove(0), &saved).expect("rename");
    Scene { pair, saved }
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("look at {path:?}: {error}")).ino()
}

impl Scene<'_> {
    /// A copy to be installed, and nothing kept.
    fn copy_is_there(&self) -> Folders {
        for folder in self.pair.beside("previous").iter().chain(&self.pair.beside("rolled-back")) {
            std::fs::remove_dir_all(folder).expect("remove");
        }
        let incoming = self.pair.standby.data.with_file_name("standby.incoming");
        if !incoming.exists() {
            let copied = Command::new("cp").arg("-a").args([&self.saved, &incoming]).status();
            assert!(copied.expect("run cp").success());
        }
        [inode(&self.pair.standby.data), inode(&incoming)]
    }

    /// What has to hold at every moment: one of the two is in place, whole, and nothing serves as a primary.
    fn one_is_whole(&self, folders: Folders, told: &dyn Display) {
        let data = &self.pair.standby.data;
        let there = [data.clone(), data.with_file_name("standby.aside")].into_iter().find(|path| path.exists());
        let there = there.unwrap_or_else(|| panic!("nothing is in place\n{told}"));
        assert!(folders.contains(&inode(&there)), "something else is in place\n{told}");
        assert!(there.join("standby.signal").exists() && there.join("global/pg_control").exists(), "{told}");
        assert_ne!(self.pair.standby.try_sql("SELECT pg_is_in_recovery()").as_deref(), Some("f"), "{told}");
    }

    /// What has to hold in the end: this one is in place and streams, that one is kept, and nothing else lies there.
    fn ended(&self, in_place: u64, kept: u64, name: &str, told: &dyn Display) {
        let data = &self.pair.standby.data;
        assert_eq!(inode(data), in_place, "{told}");
        self.pair.streams();
        let beside =
            names(data.parent().expect("a parent"), |name| name.trim_start_matches('.').starts_with("standby."));
        let beside: Vec<&String> = beside.iter().filter(|name| *name != "standby.log").collect();
        assert!(beside.len() == 1 && beside[0].starts_with(&format!("standby.{name}-")), "{beside:?}\n{told}");
        let out = data.with_file_name(beside[0]);
        assert_eq!(inode(&out), kept, "{told}");
        for folder in [data, &out] {
            let left = names(folder, |name| name.starts_with(".pg-runbook") || name == "pg-runbook.staged.json");
            assert!(left.is_empty(), "{left:?} in {folder:?}\n{told}");
        }
    }

    /// Runs a swap hindered at each of these calls, and then one that is not.
    fn swap_hindered(&self, calls: &[Call], what: &str, prepared: &[(&Call, &str)]) {
        for (turn, call) in calls.iter().enumerate() {
            let folders = self.copy_is_there();
            let swap = prepared.iter().fold(self.pair.swap("swap"), |swap, (call, what)| swap.hindered(call, what));
            let ended = swap.hindered(call, what).start().ended();
            let told = format!("{what} at {call:?}: {ended}");
            self.one_is_whole(folders, &told);
            if turn % 4 == 3 {
                // Somebody finds the server down, and starts it before anything else; where nothing is in place, it is
                // refused.
                let start = self.pair.standby.tool("start").run();
                assert!(start.code() == 0 || start.error().contains("lies aside"), "{told}\n{start}");
                self.one_is_whole(folders, &told);
            }
            let again = self.pair.swap("swap").run();
            // Where only the end of the first run is missing, there is nothing left to install.
            let done = again.code() == 3 && again.error().contains("there is no copy to install");
            assert!(again.code() == 0 || done, "{told}\n{again}");
            self.ended(folders[1], folders[0], "previous", &format!("{told}\n{again}"));
        }
    }
}

fn names(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("read a folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| wanted(name)).collect()
}

fn calls_of_a_swap(scene: &Scene<'_>) -> Vec<Call> {
    scene.copy_is_there();
    let calls = scene.pair.swap("swap").calls(scene.pair.standby.sandbox);
    eprintln!("{} calls: {}", calls.len(), calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(" "));
    assert!(calls.iter().any(|call| call.name == "renameat2") && calls.iter().any(|call| call.name == "kill"));
    calls
}

fn a_swap_killed_at_any_call_ends_in_the_old_state_or_the_new_one(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    let calls = calls_of_a_swap(&scene);
    // Until the journal is written nothing is begun but the copy's own catching up.
    let begun = calls.iter().rposition(|call| call.name == "kill").expect("a stop") - 5;
    let (before, after) = calls.split_at(begun);
    scene.swap_hindered(&some(before, before.len() / 6), "signal=KILL", &[]);
    scene.swap_hindered(after, "signal=KILL", &[]);
}

fn a_swap_by_renames_killed_at_any_call_loses_nothing(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    scene.copy_is_there();
    // As on a file system that can't exchange.
    let exchange = Call { name: "renameat2".into(), number: 1 };
    let calls = scene.pair.swap("swap").hindered(&exchange, "error=EINVAL").calls(sandbox);
    let renames: Vec<Call> = calls.into_iter().filter(|call| call.name == "rename").collect();
    assert_eq!(renames.len(), 4, "the copy gets its name, and three renames are the exchange: {renames:?}");
    scene.swap_hindered(&renames, "signal=KILL", &[(&exchange, "error=EINVAL")]);
}

fn a_rollback_killed_at_any_call_ends_in_the_old_state_or_the_new_one(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    let ready = || {
        let [old, new] = scene.copy_is_there();
        scene.pair.swap("swap").run().success();
        [new, old]
    };
    ready();
    let calls = scene.pair.swap("rollback").calls(sandbox);
    let calls = some(&calls, calls.len() / 4);
    assert!(calls.len() > 5, "too few calls to be true: {calls:?}");
    for call in &calls {
        let folders = ready();
        let ended = scene.pair.swap("rollback").hindered(call, "signal=KILL").start().ended();
        let told = format!("killed at {call:?}: {ended}");
        scene.one_is_whole(folders, &told);
        let again = scene.pair.swap("rollback").run().success();
        scene.ended(folders[1], folders[0], "rolled-back", &format!("{told}\n{again}"));
    }
}

fn a_commit_killed_at_any_call_goes_on(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    pair.swap("commit").run().success();
    let ready = || {
        let kept = pair.standby.data.with_file_name("standby.previous-20260101T000000Z");
        for folder in ["", "base", "base/1", "pg_tblspc", "pg_wal"] {
            std::fs::create_dir(kept.join(folder)).expect("make a folder");
        }
        for file in ["PG_VERSION", "base/1/1259", "base/1/1249", "pg_wal/000000010000000000000001"] {
            std::fs::write(kept.join(file), format!("{}\n", pair.standby.major)).expect("write");
        }
        let note = r#"{"by":"swap","at":"2026-01-01T00:00:00Z","keep_for_seconds":null}"#;
        std::fs::write(kept.join("pg-runbook.kept.json"), note).expect("write");
        let given = Command::new("chown").arg("-R").arg(&sandbox.account.name).arg(&kept).status();
        assert!(given.expect("run chown").success());
    };
    ready();
    let calls = pair.swap("commit").calls(sandbox);
    assert!(calls.len() > 10, "too few calls to be true: {calls:?}");
    for call in &calls {
        ready();
        pair.swap("commit").hindered(call, "signal=KILL").start().ended();
        let again = pair.swap("commit").run().success();
        let left = names(sandbox.path(), |name| name.starts_with("standby.") && name != "standby.log");
        assert!(left.is_empty(), "{left:?}, killed at {call:?}\n{again}");
    }
    pair.streams();
}

fn a_disk_that_fails_at_a_sync_or_a_rename_leaves_one_state_whole(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    let calls = calls_of_a_swap(&scene);
    let wanted = |call: &Call| matches!(call.name.as_str(), "fsync" | "syncfs") || call.name.starts_with("rename");
    let failing: Vec<Call> = calls.into_iter().filter(wanted).collect();
    scene.swap_hindered(&failing, "error=EIO", &[]);
}

fn a_disk_that_is_full_at_a_write_leaves_one_state_whole(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    let calls = calls_of_a_swap(&scene);
    let writes: Vec<Call> = calls.into_iter().filter(|call| call.name == "write").collect();
    scene.swap_hindered(&some(&writes, writes.len() / 2), "error=ENOSPC", &[]);
}

fn a_signal_during_the_exchange_waits_until_it_is_done(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    // The first signal ends the private server on the copy, the second one the old server.
    for call in [("kill", 2), ("renameat2", 1)].map(|(name, number)| Call { name: name.into(), number }) {
        let folders = scene.copy_is_there();
        let swapped = scene.pair.swap("swap").hindered(&call, "signal=TERM").run().success().expect_changed(true);
        scene.ended(folders[1], folders[0], "previous", &swapped);
    }
}

fn a_server_that_dies_before_the_swap_is_no_hindrance(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    let folders = scene.copy_is_there();
    let pid = scene.pair.standby.pid().expect("a server");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill the server");
    // Its socket's lock names the number for as long as the kernel does.
    wait_for("the server to be gone", Duration::from_secs(60), || !Path::new("/proc").join(pid.to_string()).exists());
    let swapped = scene.pair.swap("swap").run().success();
    assert_eq!(swapped.document["needs"]["level"], "start", "{swapped}");
    scene.pair.standby.tool("start").run().success();
    scene.ended(folders[1], folders[0], "previous", &swapped);
    // The old directory was never shut down cleanly; it recovers.
    let back = scene.pair.swap("rollback").run().success();
    scene.ended(folders[0], folders[1], "rolled-back", &back);
}

fn two_swaps_at_once_are_one_after_the_other(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    let folders = scene.copy_is_there();
    let both = [scene.pair.swap("swap").start(), scene.pair.swap("swap").start()].map(|run| run.end());
    let both = both.map(tests::Outcome::success);
    assert!(both[0].changed() != both[1].changed(), "{}\n{}", both[0], both[1]);
    scene.ended(folders[1], folders[0], "previous", &both[0]);
}
