//! An exchange that was cut off, as whoever comes next finds it: told by some, ended by others, obeyed by none blindly.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tests::{Call, Pair, Sandbox, ToolCommand, has_strace, on_the_machines_own, pair};

on_the_machines_own!(
    a_server_that_ran_runs_again_whatever_verb_comes_next,
    a_start_by_hand_has_the_command_line_that_the_server_had,
    who_only_looks_tells_and_changes_nothing,
    a_journal_of_directories_that_were_moved_is_refused_and_named,
    a_journal_that_leads_elsewhere_is_not_obeyed,
    a_start_never_makes_a_primary_of_what_was_to_be_a_standby,
    a_dropped_cluster_takes_its_journal_along,
);

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("look at {path:?}: {error}")).ino()
}

fn journal(data: &Path) -> PathBuf {
    data.with_file_name(format!("{}.pg-runbook-journal.json", data.file_name().expect("a name").to_string_lossy()))
}

/// Kills a swap after its stop and before its exchange.
fn cut_off(swap: ToolCommand<'_>, data: &Path) {
    let exchange = Call { name: "renameat2".into(), number: 1 };
    swap.hindered(&exchange, "signal=KILL").start().ended();
    assert!(journal(data).exists(), "nothing was written down");
}

fn cut_off_swap(pair: &Pair<'_>) {
    pair.swap("fetch").arg("--force").run().success();
    cut_off(pair.swap("swap"), &pair.standby.data);
    assert_eq!(pair.standby.pid(), None);
}

fn a_server_that_ran_runs_again_whatever_verb_comes_next(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    pair.swap("commit").run().success();
    let old = inode(&pair.standby.data);
    for verb in ["fetch", "commit", "run", "rollback"] {
        cut_off_swap(&pair);
        let next = pair.swap(verb).run().expect_stderr("was cut off; it is taken back");
        assert_eq!(next.code(), if verb == "rollback" { 3 } else { 0 }, "{next}");
        assert_eq!(inode(&pair.standby.data), old, "{next}");
        assert!(!journal(&pair.standby.data).exists() && pair.beside("incoming").len() == 1, "{next}");
        pair.streams();
    }
}

fn a_start_by_hand_has_the_command_line_that_the_server_had(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    pair.standby.tool("stop").run().success();
    let mut by_hand = sandbox.account.command(&sandbox.server.bin.join("pg_ctl"));
    by_hand.arg("-D").arg(&pair.standby.data).args(["start", "-w", "-s", "-o", "-c work_mem=17MB", "-l"]);
    assert!(by_hand.arg(sandbox.path().join("standby.log")).status().expect("run pg_ctl").success());
    cut_off_swap(&pair);
    pair.standby
        .tool("start")
        .run()
        .success()
        .expect_warning("was cut off")
        .expect_stderr("pg-basebackup-swap swap -D");
    assert_eq!(pair.standby.sql("SHOW work_mem"), "17MB");
    // Somebody has started it since: that server isn't stopped to end what was begun.
    let started = pair.standby.started();
    pair.swap("commit").run().success();
    assert_eq!((started, journal(&pair.standby.data).exists()), (pair.standby.started(), false));
    pair.swap("swap").run().success().expect_changed(true);
    assert_eq!(pair.standby.sql("SHOW work_mem"), "17MB");
}

fn who_only_looks_tells_and_changes_nothing(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    cut_off_swap(&pair);
    let (text, beside) = (std::fs::read_to_string(journal(&pair.standby.data)).expect("read"), pair.beside(""));
    let told = pair.swap("status").run().success().expect_changed(false).expect_warning("was cut off");
    assert_eq!(told.document["journal"]["verb"], "swap", "{told}");
    for verb in ["commit", "rollback", "run"] {
        let told = pair.swap(verb).arg("--check").run();
        assert!(told.stderr.contains("without --check, that is ended first"), "{told}");
    }
    assert!(!text.contains("swordfish"), "{text}");
    assert_eq!(std::fs::read_to_string(journal(&pair.standby.data)).expect("read"), text);
    assert_eq!((pair.beside(""), pair.standby.pid()), (beside, None));
}

fn a_journal_of_directories_that_were_moved_is_refused_and_named(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    pair.swap("commit").run().success();
    cut_off_swap(&pair);
    let copy = pair.beside("previous").remove(0);
    std::fs::rename(&copy, sandbox.path().join("moved")).expect("rename");
    pair.standby.tool("start").run().success();
    let started = pair.standby.started();
    for verb in ["run", "fetch", "swap", "rollback", "commit"] {
        let refused = pair.swap(verb).run().expect_code(3).expect_error("somebody moved or replaced one of them");
        assert!(refused.hint().contains(&format!("rm {}", journal(&pair.standby.data).display())), "{refused}");
    }
    assert_eq!(started, pair.standby.started());
    std::fs::remove_file(journal(&pair.standby.data)).expect("as the hint says");
    pair.swap("run").run().success().expect_changed(false);
}

fn a_journal_that_leads_elsewhere_is_not_obeyed(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    cut_off_swap(&pair);
    let text = std::fs::read_to_string(journal(&pair.standby.data)).expect("read");
    let moved = text.replace("standby.incoming", "../../etc/standby.incoming");
    assert_ne!(text, moved);
    std::fs::write(journal(&pair.standby.data), moved).expect("write");
    for verb in ["commit", "status"] {
        pair.swap(verb).run().expect_code(3).expect_error("that is no directory kept beside standby");
    }
    std::fs::write(journal(&pair.standby.data), text).expect("write");
    pair.swap("swap").run().success();
    pair.streams();
}

fn a_start_never_makes_a_primary_of_what_was_to_be_a_standby(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    let second = sandbox.cluster("second").create();
    let command =
        |verb: &str| second.other_tool("pg-basebackup-swap", verb).args(["--input", "-"]).after(&pair.advertised);
    command("fetch").arg("--passfile").arg(&pair.passfile).run().success();
    cut_off(command("swap"), &second.data);
    let refused = second.tool("start").run().expect_code(3).expect_error("would come up as a primary");
    assert!(refused.hint().starts_with("pg-basebackup-swap swap -D"), "{refused}");
    assert_eq!(second.pid(), None);
    command("swap").run().success().expect_changed(true);
    second.tool("start").run().success();
    second.tool("wait").args(["--for", "streaming", "--timeout", "30"]).run().success();
}

fn a_dropped_cluster_takes_its_journal_along(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    let system = pair.primary.sql("SELECT system_identifier FROM pg_control_system()");
    cut_off_swap(&pair);
    let dropped = pair.standby.tool("drop").args(["--force", &system]).run().success();
    assert!(!journal(&pair.standby.data).exists(), "{dropped}");
    dropped.expect_warning("standby.previous-");
}
