//! A data directory that is a mount point can't be renamed: the copy comes into it, and what is in it changes places.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{Call, KilledSwaps, Pair, Sandbox, has_strace, is_root, on_the_machines_own, pair_in, skip};

on_the_machines_own!(
    a_mount_point_is_cloned_rolled_back_and_committed,
    a_swap_in_a_mount_point_killed_at_any_call_is_the_old_state_or_the_new_one,
    a_link_to_a_mount_point_that_was_cut_off_is_ended_by_its_name,
    a_cluster_that_keeps_something_inside_is_not_dropped,
    what_is_mounted_inside_is_refused,
);

/// Runs a scenario with a standby whose data directory is a mount point.
fn mounted(sandbox: &Sandbox, scenario: impl FnOnce(&Pair<'_>)) {
    if !is_root() {
        return skip("only root can mount a file system");
    }
    let disk = sandbox.folder("standby");
    if !mount(&disk, "500m") {
        return skip("a file system can't be mounted here");
    }
    sandbox.give_to_owner(&disk);
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let pair = pair_in(sandbox, "standby");
        scenario(&pair);
        pair.standby.tool("stop").run().success();
    }));
    let _ = Command::new("umount").arg("--lazy").arg(&disk).status();
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn mount(place: &Path, size: &str) -> bool {
    let words = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"];
    Command::new("mount").args(words).arg(place).status().is_ok_and(|end| end.success())
}

/// Our own directories and notes in the mount.
fn ours(pair: &Pair<'_>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&pair.standby.data).expect("read").flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains("pg-runbook.")).collect();
    found.retain(|path| !path.ends_with("pg-runbook.installed.json"));
    found.sort();
    found
}

fn a_mount_point_is_cloned_rolled_back_and_committed(sandbox: &Sandbox) {
    mounted(sandbox, |pair| {
        pair.swap("commit").run().success();
        let checked = pair.swap("run").args(["--force", "--check"]).run().success();
        assert!(checked.stdout.contains("what is in it changes places"), "{checked}");
        pair.primary.sql("CREATE TABLE proof AS SELECT 42 AS answer");
        let swapped = pair.swap("run").arg("--force").run().success().expect_changed(true);
        pair.streams();
        assert_eq!(ours(pair).len(), 1, "the old one is kept inside: {:?}\n{swapped}", ours(pair));
        let kept = PathBuf::from(swapped.document["kept"].as_str().expect("a kept directory"));
        assert!(kept.starts_with(&pair.standby.data) && kept.join("PG_VERSION").exists());
        pair.swap("rollback").run().success().expect_changed(true);
        pair.streams();
        pair.swap("rollback").run().success().expect_changed(false);
        pair.swap("commit").run().success().expect_changed(true);
        assert_eq!(ours(pair), [] as [PathBuf; 0]);
        pair.streams();
        assert_eq!(pair.standby.sql("SELECT answer FROM proof"), "42");
        pair.swap("run").run().success().expect_changed(false);
    });
}

fn a_swap_in_a_mount_point_killed_at_any_call_is_the_old_state_or_the_new_one(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    mounted(sandbox, |pair| {
        pair.swap("commit").run().success();
        let fetch = || drop(pair.swap("fetch").arg("--force").run().success());
        let swap = || pair.swap("swap");
        let killed = |turn: usize, told: &str| {
            if turn % 3 == 2 {
                // Whole, and a standby; or told what it is.
                let start = pair.standby.tool("start").run();
                assert!([0, 3].contains(&start.code()), "{told}\n{start}");
                assert_ne!(pair.standby.try_sql("SELECT pg_is_in_recovery()").as_deref(), Some("f"), "{told}");
            }
        };
        let ended = |told: &str| {
            pair.streams();
            pair.swap("commit").run().success();
            assert_eq!(ours(pair), [] as [PathBuf; 0], "{told}");
        };
        KilledSwaps { sandbox, fetch: &fetch, swap: &swap, every: 7 }.run(&killed, &ended);
    });
}

fn a_link_to_a_mount_point_that_was_cut_off_is_ended_by_its_name(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    mounted(sandbox, |pair| {
        pair.standby.tool("stop").run().success();
        let link = sandbox.path().join("link");
        std::os::unix::fs::symlink(&pair.standby.data, &link).expect("a link");
        let linked = |tool: &str, verb: &str| {
            let command = sandbox.tool(tool).args([verb, "--input", "-"]).after(&pair.advertised).arg("-D").arg(&link);
            if verb == "run" { command.args(["--force", "--passfile"]).arg(&pair.passfile) } else { command }
        };
        pair.swap("fetch").arg("--force").run().success();
        let in_between = Call { name: "rename".into(), number: 9 };
        linked("pg-basebackup-swap", "swap").hindered(&in_between, "signal=KILL").start().ended();
        sandbox.tool("pg-cluster").args(["start", "-D"]).arg(&link).run().expect_code(3).expect_hint("swap -D");
        linked("pg-basebackup-swap", "swap").run().success().expect_changed(true);
        pair.standby.tool("start").run().success();
        pair.streams();
    });
}

fn a_cluster_that_keeps_something_inside_is_not_dropped(sandbox: &Sandbox) {
    mounted(sandbox, |pair| {
        let system = pair.primary.sql("SELECT system_identifier FROM pg_control_system()");
        pair.swap("run").arg("--force").run().success();
        let refused = pair.standby.tool("drop").args(["--force", &system]).run().expect_code(3);
        refused.expect_error("is kept inside").expect_hint("pg-basebackup-swap commit");
        pair.streams();
    });
}

fn what_is_mounted_inside_is_refused(sandbox: &Sandbox) {
    mounted(sandbox, |pair| {
        let inside = pair.standby.data.join("base");
        assert!(
            Command::new("mount").args(["--bind"]).arg(&inside).arg(&inside).status().is_ok_and(|end| end.success())
        );
        let refused = pair.swap("run").arg("--force").run();
        let _ = Command::new("umount").arg(&inside).status();
        refused.expect_code(3).expect_error("is a mount point inside the data directory").expect_hint("symbolic link");
    });
}
