//! After a swap: the way back, what is kept, and how it goes.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use tests::{Pair, Sandbox, on_every_major, on_the_machines_own, pair};

on_every_major!(a_rollback_puts_the_old_directory_back_a_second_changes_nothing_and_a_commit_ends_it);
on_the_machines_own!(
    what_a_rollback_must_not_put_back_is_refused,
    a_rollback_that_does_not_start_leaves_the_present_directory_serving,
    an_old_directory_that_can_no_longer_stream_is_put_back_with_a_warning,
    commit_lets_go_of_what_is_kept_and_of_nothing_else,
    commit_removes_what_an_old_directory_has_elsewhere_unless_it_is_shared,
    what_was_kept_for_a_time_goes_with_the_next_run,
    nothing_is_let_go_while_nobody_is_served,
    status_tells_what_each_directory_is,
);

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("look at {path:?}: {error}")).ino()
}

/// A standby on a new copy, its old directory kept; returns that one's inode number.
fn swapped(pair: &Pair<'_>) -> u64 {
    pair.swap("commit").run().success();
    let old = inode(&pair.standby.data);
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    old
}

fn a_rollback_puts_the_old_directory_back_a_second_changes_nothing_and_a_commit_ends_it(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let old = swapped(&pair);
    let new = inode(&pair.standby.data);
    pair.primary.sql("CREATE TABLE since AS SELECT 1 AS one");
    let planned = pair.swap("rollback").arg("--check").run().success().expect_changed(true);
    assert_eq!((inode(&pair.standby.data), pair.beside("previous").len()), (new, 1), "{planned}");
    let back = pair.swap("rollback").run().success().expect_changed(true);
    assert_eq!(inode(&pair.standby.data), old, "{back}");
    let out = pair.beside("rolled-back");
    assert_eq!((out.len(), inode(&out[0]), pair.beside("previous").len()), (1, new, 0), "{back}");
    pair.streams();
    tests::wait_for("what was written since to arrive", std::time::Duration::from_secs(20), || {
        pair.standby.try_sql("SELECT one FROM since").as_deref() == Some("1")
    });
    let (started, beside) = (pair.standby.started(), pair.beside(""));
    let again = pair.swap("rollback").run().success().expect_changed(false);
    assert!(
        again.document["msg"].as_str().is_some_and(|text| text.contains("is back on its old directory")),
        "{again}"
    );
    assert_eq!((started, beside), (pair.standby.started(), pair.beside("")));
    // And a swap after it is a swap like any other.
    pair.swap("run").arg("--force").run().success();
    pair.swap("rollback").run().success().expect_changed(true);
    assert_eq!(inode(&pair.standby.data), old);
    pair.streams();
    pair.swap("commit").run().success().expect_changed(true);
    assert!(pair.beside("previous").is_empty() && pair.beside("rolled-back").is_empty());
    pair.swap("commit").run().success().expect_changed(false);
}

fn what_a_rollback_must_not_put_back_is_refused(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    // The first set-up took out an empty cluster that was nobody's standby.
    pair.swap("rollback").run().expect_code(3).expect_error("would come up as a primary").expect_hint("commit");
    pair.primary.other_tool("pg-basebackup-swap", "rollback").run().expect_code(3).expect_error("is not what a swap");
    swapped(&pair);
    let (started, kept) = (pair.standby.started(), pair.beside("previous").remove(0));
    let hidden = sandbox.path().join("hidden");
    let refuses = |words: &str| {
        let refused = pair.swap("rollback").run().expect_code(3).expect_error(words);
        assert!(!refused.hint().is_empty());
    };
    std::fs::rename(&kept, &hidden).expect("rename");
    refuses("there is no old directory");
    std::fs::rename(&hidden, &kept).expect("rename");
    std::fs::rename(kept.join("global/pg_control"), &hidden).expect("rename");
    refuses("it is of the system");
    std::fs::rename(&hidden, kept.join("global/pg_control")).expect("rename");
    let own = std::fs::read_to_string(kept.join("postgresql.conf")).expect("read");
    std::fs::write(kept.join("postgresql.conf"), format!("{own}recovery_target = 'immediate'\n")).expect("write");
    refuses("would end its recovery by itself");
    std::fs::write(kept.join("postgresql.conf"), own).expect("write");
    assert_eq!(started, pair.standby.started());
    pair.standby.tool("promote").run().success();
    refuses("was promoted since");
    assert_eq!(pair.standby.sql("SELECT pg_is_in_recovery()"), "f");
}

fn a_rollback_that_does_not_start_leaves_the_present_directory_serving(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    swapped(&pair);
    let (new, kept) = (inode(&pair.standby.data), pair.beside("previous"));
    let file = kept[0].join("postgresql.conf");
    let own = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, format!("{own}shared_preload_libraries = 'nowhere'\n")).expect("write");
    let failed = pair.swap("rollback").args(["--timeout", "20"]).run().expect_code(1).expect_error("nowhere");
    failed.expect_error("is back on the directory that it had before the rollback");
    assert_eq!((inode(&pair.standby.data), pair.beside("previous")), (new, kept));
    assert!(pair.beside("pg-runbook-journal").is_empty() && pair.beside("rolled-back").is_empty());
    pair.streams();
    std::fs::write(&file, own).expect("write");
    pair.swap("rollback").run().success().expect_changed(true);
}

fn an_old_directory_that_can_no_longer_stream_is_put_back_with_a_warning(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let old = swapped(&pair);
    // Two switches and a checkpoint, and the primary keeps nothing of what the old directory would need next.
    pair.primary.sql("ALTER SYSTEM SET wal_keep_size = 0");
    pair.primary.tool("reload").run().success();
    for _ in 0..3 {
        pair.primary.sql("CREATE TABLE IF NOT EXISTS filler AS SELECT 1; SELECT pg_switch_wal()");
        pair.primary.sql("CHECKPOINT");
    }
    let back = pair.swap("rollback").run().success().expect_changed(true);
    back.expect_warning("runs as the standby that it was");
    assert_eq!(inode(&pair.standby.data), old);
    assert_eq!(pair.standby.sql("SELECT pg_is_in_recovery()"), "t");
}

fn commit_lets_go_of_what_is_kept_and_of_nothing_else(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    swapped(&pair);
    pair.swap("rollback").run().success();
    pair.swap("run").arg("--force").run().success();
    let strange = pair.standby.data.with_file_name("standby.previous-photos");
    std::fs::create_dir(&strange).expect("make a folder");
    std::fs::write(strange.join("holiday.jpg"), "x").expect("write");
    let young = pair.swap("commit").args(["--keep-for", "24h"]).run().success().expect_changed(false);
    assert_eq!(pair.beside("previous").len(), 2, "{young}");
    let planned = pair.swap("commit").arg("--check").run().success().expect_changed(true);
    assert_eq!((pair.beside("previous").len(), pair.beside("rolled-back").len()), (2, 1), "{planned}");
    let gone = pair.swap("commit").run().success().expect_changed(true).expect_warning("standby.previous-photos stays");
    assert!(gone.document["freed_bytes"].as_u64().is_some_and(|bytes| bytes > 20_000_000), "{gone}");
    assert_eq!((pair.beside("previous"), pair.beside("rolled-back").len()), (vec![strange.clone()], 0), "{gone}");
    assert!(pair.beside("going").is_empty() && strange.join("holiday.jpg").exists());
    pair.swap("commit").run().success().expect_changed(false).expect_warning("rm -r");
    pair.streams();
    pair.swap("rollback").run().expect_code(3).expect_error("there is no old directory");
}

fn commit_removes_what_an_old_directory_has_elsewhere_unless_it_is_shared(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let wal = sandbox.folder("wal");
    for name in ["wal/1", "wal/2"] {
        pair.swap("run").args(["--force", "--waldir", name]).run().success();
    }
    // A tablespace that only the old directory has, and one that both lead to.
    let kept = pair.beside("previous").pop().expect("a kept directory");
    for (number, name) in [(16500, "own"), (16501, "shared")] {
        let inside = sandbox.folder(name).join(format!("PG_{}_1", pair.standby.major));
        std::fs::create_dir(&inside).expect("make a folder");
        std::fs::write(inside.join("1"), "x").expect("write");
        symlink(sandbox.path().join(name), kept.join(format!("pg_tblspc/{number}"))).expect("a link");
        std::process::Command::new("chown")
            .arg("-R")
            .arg(&sandbox.account.name)
            .arg(sandbox.path().join(name))
            .status()
            .expect("run chown");
    }
    symlink(sandbox.path().join("shared"), pair.standby.data.join("pg_tblspc/16501")).expect("a link");
    pair.swap("commit").run().success().expect_changed(true);
    let inside = |name: &str| sandbox.path().join(name).join(format!("PG_{}_1/1", pair.standby.major));
    assert!(!wal.join("1").exists() && wal.join("2").exists());
    assert!(!inside("own").exists() && inside("shared").exists());
    std::fs::remove_file(pair.standby.data.join("pg_tblspc/16501")).expect("remove");
    pair.streams();
}

fn what_was_kept_for_a_time_goes_with_the_next_run(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("commit").run().success();
    pair.swap("run").args(["--force", "--keep-for", "24h"]).run().success();
    let day = pair.beside("previous");
    pair.swap("run").run().success().expect_changed(false);
    assert_eq!(pair.beside("previous"), day);
    pair.swap("run").args(["--force", "--keep-for", "0s"]).run().success();
    let planned = pair.swap("run").arg("--check").run().success().expect_changed(true);
    assert_eq!(pair.beside("previous").len(), 2, "{planned}");
    pair.swap("run").run().success().expect_changed(true).expect_stderr("let go of");
    assert_eq!(pair.beside("previous"), day);
    pair.swap("run").run().success().expect_changed(false);
    pair.streams();
}

fn nothing_is_let_go_while_nobody_is_served(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    swapped(&pair);
    pair.standby.tool("stop").run().success();
    pair.swap("commit").run().expect_code(3).expect_error("does not run").expect_hint("pg-cluster start");
    assert_eq!(pair.beside("previous").len(), 1);
    // A rollback of a server that is down leaves it down, and says so.
    let back = pair.swap("rollback").run().success().expect_changed(true);
    assert_eq!(back.document["needs"]["level"], "start", "{back}");
    pair.standby.tool("start").run().success();
    pair.streams();
    pair.swap("commit").run().success().expect_changed(true);
    assert!(pair.beside("rolled-back").is_empty());
}

fn status_tells_what_each_directory_is(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    swapped(&pair);
    pair.swap("rollback").run().success();
    pair.swap("run").args(["--force", "--keep-for", "1h"]).run().success();
    pair.swap("fetch").arg("--force").run().success();
    let told = pair.swap("status").run().success().expect_changed(false);
    let folders = told.document["directories"].as_array().expect("a list").clone();
    let what: Vec<&str> = folders.iter().filter_map(|folder| folder["what"].as_str()).collect();
    assert_eq!(what, ["data directory", "copy to be installed", "kept old directory", "taken out by a rollback"]);
    for folder in &folders {
        assert!(folder["bytes"].as_u64().is_some_and(|bytes| bytes > 20_000_000), "{told}");
        assert_eq!(folder["timeline"], 1, "{told}");
        assert_eq!(folder["system_identifier"], folders[0]["system_identifier"], "{told}");
    }
    assert_eq!(folders[0]["installed"]["by"], "swap");
    assert_eq!(folders[2]["kept"]["keep_for_seconds"], 3600);
    assert_eq!(folders[3]["kept"]["by"], "rollback");
}
