//! Tablespaces and a write-ahead log elsewhere keep their places through swaps, ways back and kills.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{
    Call, KilledSwaps, Pair, Sandbox, SmallDisk, has_strace, is_root, names_below, on_each_major, on_the_machines_own,
    pair, skip, some, thinned,
};

on_each_major!(what_lies_elsewhere_keeps_its_place_through_a_swap_and_a_rollback);
on_the_machines_own!(
    a_copy_that_does_not_stream_gives_the_places_back,
    a_swap_killed_at_any_call_leaves_each_directory_its_own,
    a_rollback_killed_at_any_call_leaves_each_directory_its_own,
    a_fetch_killed_at_any_call_leaves_nothing_in_the_places,
    a_fetch_that_is_broken_off_leaves_nothing_in_the_places,
    a_write_ahead_log_in_a_folder_of_roots_keeps_its_place,
    a_write_ahead_log_that_can_not_move_is_refused_with_the_way_out,
    links_that_are_relative_or_lead_over_others_end_where_they_end,
    another_versions_tablespace_in_the_same_location_is_not_touched,
    a_tablespace_that_was_dropped_since_is_no_hindrance_on_the_way_back,
    a_copy_from_before_a_tablespace_is_not_installed,
    an_old_directory_that_leads_to_the_present_ones_folder_is_not_put_back,
    root_is_not_led_by_a_journal_to_what_is_not_the_owners,
);

/// A standby whose tablespace and write-ahead log lie elsewhere, under names with a blank and a quote.
struct Scene<'a> {
    pair: Pair<'a>,
    tablespace: PathBuf,
    wal: PathBuf,
}

fn scene(sandbox: &Sandbox) -> Scene<'_> {
    let pair = pair(sandbox);
    // A standby on the same host would make it in the primary's own place.
    pair.standby.tool("stop").run().success();
    let there = sandbox.folder("a \"fast\" disk");
    let (tablespace, wal) = (sandbox.path().join("it's here"), sandbox.folder("logs").join("wal of it"));
    pair.primary.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", there.display()));
    pair.primary.sql("CREATE TABLE proof TABLESPACE fast AS SELECT n FROM generate_series(1, 1000) AS n");
    let mapping = format!("{}={}", there.display(), tablespace.display());
    let first = pair.swap("run").args(["--force", "--tablespace-mapping", &mapping, "--waldir"]).arg(&wal);
    first.run().success().expect_changed(true);
    pair.standby.tool("start").run().success();
    pair.swap("commit").run().success();
    Scene { pair, tablespace, wal }
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("look at {path:?}: {error}")).ino()
}

impl Scene<'_> {
    /// Expects that the standby has its places, streams, and has what the primary has.
    #[track_caller]
    fn has_its_places(&self) {
        let (standby, primary) = (&self.pair.standby, &self.pair.primary);
        self.pair.streams();
        let location = "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'";
        assert_eq!(standby.sql(location), self.tablespace.display().to_string());
        assert_eq!(std::fs::read_link(standby.data.join("pg_wal")).expect("a link"), self.wal);
        primary.sql("INSERT INTO proof SELECT max(n) + 1 FROM proof");
        let sum = "SELECT count(*) || ' ' || sum(n) FROM proof";
        let wanted = primary.sql(sum);
        tests::wait_for("the new row to arrive", Duration::from_secs(20), || standby.sql(sum) == wanted);
    }

    /// What lies in the two places and beside the write-ahead log, besides what is in use.
    fn others(&self) -> usize {
        let entries = |folder: &Path| std::fs::read_dir(folder).map_or(0, Iterator::count);
        entries(&self.tablespace) + entries(self.wal.parent().expect("a parent")) - 2
    }
}

fn what_lies_elsewhere_keeps_its_place_through_a_swap_and_a_rollback(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    let pair = &scene.pair;
    scene.has_its_places();
    let version = std::fs::read_dir(&scene.tablespace).expect("read").flatten().next().expect("a folder").path();
    let (old, old_wal) = (inode(&version), inode(&scene.wal));
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    scene.has_its_places();
    assert!(inode(&version) != old && inode(&scene.wal) != old_wal);
    assert_eq!(scene.others(), 2, "the old ones are kept beside");
    pair.swap("rollback").run().success().expect_changed(true);
    scene.has_its_places();
    assert_eq!((inode(&version), inode(&scene.wal)), (old, old_wal));
    // What was taken out goes, and nothing of it stays in the places.
    pair.swap("commit").run().success().expect_changed(true);
    assert_eq!(scene.others(), 0);
    // The first command again, with its mapping, means the same places.
    let mapping = format!("{}={}", sandbox.path().join("a \"fast\" disk").display(), scene.tablespace.display());
    let again = pair.swap("run").args(["--force", "--tablespace-mapping", &mapping, "--waldir"]).arg(&scene.wal);
    again.run().success().expect_changed(true);
    scene.has_its_places();
    pair.swap("commit").run().success().expect_changed(true);
    assert_eq!(scene.others(), 0);
    scene.has_its_places();
}

fn a_copy_that_does_not_stream_gives_the_places_back(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    let pair = &scene.pair;
    pair.swap("fetch").arg("--force").run().success();
    let old = inode(&scene.wal);
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    let failed = pair.swap("swap").args(["--timeout", "2", "--no-catch-up"]).run().expect_code(1);
    failed.expect_error("went back to its old directory");
    assert_eq!((pair.standby.sql("SELECT pg_is_in_recovery()").as_str(), inode(&scene.wal)), ("t", old));
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'swordfish'");
    scene.has_its_places();
    pair.swap("swap").run().success().expect_changed(true);
    scene.has_its_places();
    assert_ne!(inode(&scene.wal), old);
}

fn a_swap_killed_at_any_call_leaves_each_directory_its_own(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    let pair = &scene.pair;
    let fetch = || drop(pair.swap("fetch").arg("--force").run().success());
    let swap = || pair.swap("swap");
    let killed = |turn: usize, told: &str| {
        if turn % 3 == 2 {
            // Somebody starts what is there: it is whole and a standby, or it does not start.
            let start = pair.standby.tool("start").run();
            let refused = start.code() == 3 && start.error().contains("are changing places");
            assert!(start.code() == 0 || refused, "{told}\n{start}");
            assert_ne!(pair.standby.try_sql("SELECT pg_is_in_recovery()").as_deref(), Some("f"), "{told}");
        }
    };
    let ended = |told: &str| {
        scene.has_its_places();
        pair.swap("commit").run().success();
        assert_eq!(scene.others(), 0, "{told}");
        let mut left = names_below(&pair.standby.data);
        left.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("pg-runbook")));
        left.retain(|path| !path.ends_with("pg-runbook.installed.json"));
        assert!(left.is_empty(), "{left:?}\n{told}");
    };
    KilledSwaps { sandbox, fetch: &fetch, swap: &swap, every: 4 }.run(&killed, &ended);
}

fn a_rollback_killed_at_any_call_leaves_each_directory_its_own(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    let pair = &scene.pair;
    let ready = || {
        pair.swap("commit").run().success();
        pair.swap("run").arg("--force").run().success().expect_changed(true);
        [inode(&pair.standby.data), inode(&scene.wal)]
    };
    ready();
    let calls = pair.swap("rollback").calls(sandbox);
    for call in &some(&calls, 4) {
        let taken_out = ready();
        let ended = pair.swap("rollback").hindered(call, "signal=KILL").start().ended();
        let told = format!("killed at {call:?}: {ended}");
        assert_ne!(pair.standby.try_sql("SELECT pg_is_in_recovery()").as_deref(), Some("f"), "{told}");
        let again = pair.swap("rollback").run().success();
        scene.has_its_places();
        let in_place = [inode(&pair.standby.data), inode(&scene.wal)];
        assert!(taken_out.iter().zip(&in_place).all(|(old, new)| old != new), "{told}\n{again}");
        assert_eq!(scene.others(), 2, "what was taken out is kept\n{told}\n{again}");
    }
}

fn a_fetch_killed_at_any_call_leaves_nothing_in_the_places(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let scene = scene(sandbox);
    let pair = &scene.pair;
    let fetch = || pair.swap("fetch").args(["--force", "--progress", "none"]);
    fetch().run().success();
    let (served, calls) = (pair.standby.served(), thinned(fetch().calls(sandbox)));
    for call in &some(&calls, 4) {
        let told = format!("killed at {call:?}: {}", fetch().hindered(call, "signal=KILL").start().ended());
        assert!(served.still(), "somebody was not served\n{told}");
        let again = fetch().run().success();
        // The copy's own places, and the standby's.
        assert_eq!(scene.others(), 2, "{told}\n{again}");
        scene.has_its_places();
    }
    pair.swap("swap").run().success().expect_changed(true);
    scene.has_its_places();
    pair.swap("commit").run().success();
    assert_eq!(scene.others(), 0);
}

fn a_fetch_that_is_broken_off_leaves_nothing_in_the_places(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    let pair = &scene.pair;
    pair.primary
        .sql("CREATE TABLE large TABLESPACE fast AS SELECT n, repeat('x', 1000) FROM generate_series(1, 9000) n");
    let slow = || pair.swap("fetch").args(["--force", "--max-rate", "4M"]).start();
    let arrives = || tests::wait_for("the tablespace", Duration::from_secs(30), || scene.others() == 2);
    let stopped = slow();
    arrives();
    stopped.signal(nix::sys::signal::Signal::SIGTERM);
    stopped.end().expect_code(1);
    assert_eq!(scene.others(), 0);
    let killed = slow();
    arrives();
    killed.kill();
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    scene.has_its_places();
    pair.swap("commit").run().success();
    assert_eq!(scene.others(), 0);
}

fn a_write_ahead_log_in_a_folder_of_roots_keeps_its_place(sandbox: &Sandbox) {
    if !is_root() {
        return skip("only root can own a folder");
    }
    let roots = tempfile::Builder::new().prefix("pg-runbook-roots-").tempdir_in("/tmp").expect("a folder");
    std::fs::set_permissions(roots.path(), std::fs::Permissions::from_mode(0o755)).expect("set the mode");
    let wal = roots.path().join("17-main");
    std::fs::create_dir(&wal).expect("make a folder");
    sandbox.give_to_owner(&wal);
    let pair = pair(sandbox);
    pair.swap("run").args(["--force", "--waldir"]).arg(&wal).run().success();
    let names = || std::fs::read_dir(roots.path()).expect("read").count();
    let old = inode(&wal);
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    pair.streams();
    assert_eq!(std::fs::read_link(pair.standby.data.join("pg_wal")).expect("a link"), wal);
    assert_eq!((inode(&wal) == old, names()), (false, 2));
    pair.swap("commit").run().success();
    assert_eq!(names(), 1);
    // The owner alone may not put anything beside it.
    let refused = pair.swap("run").args(["--force", "--output", "json"]).as_owner().run().expect_code(3);
    refused.expect_error("can't keep its place").expect_hint("--waldir");
    pair.standby.tool("stop").run().success();
}

fn a_write_ahead_log_that_can_not_move_is_refused_with_the_way_out(sandbox: &Sandbox) {
    let Some(disk) = SmallDisk::mount(sandbox, 200) else { return };
    let pair = pair(sandbox);
    pair.swap("run").args(["--force", "--waldir"]).arg(&disk.folder).run().success();
    let started = pair.standby.started();
    let refused = pair.swap("run").arg("--force").run().expect_code(3).expect_error("it is a mount point");
    refused.expect_hint("--waldir DIRECTORY");
    assert_eq!(pair.standby.started(), started);
    pair.swap("run").args(["--force", "--waldir", "elsewhere"]).run().success().expect_changed(true);
    pair.streams();
}

fn links_that_are_relative_or_lead_over_others_end_where_they_end(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let (data, real) = (&pair.standby.data, sandbox.folder("real").join("wal"));
    pair.standby.tool("stop").run().success();
    std::fs::rename(data.join("pg_wal"), &real).expect("rename");
    std::os::unix::fs::symlink(&real, sandbox.path().join("wal")).expect("a link");
    std::os::unix::fs::symlink("../wal", data.join("pg_wal")).expect("a link");
    pair.standby.tool("start").run().success();
    let old = inode(&real);
    for _ in 0..2 {
        pair.swap("run").arg("--force").run().success().expect_changed(true);
        pair.streams();
        assert_eq!(std::fs::read_link(data.join("pg_wal")).expect("a link"), Path::new("../wal"));
        assert_eq!(std::fs::canonicalize(data.join("pg_wal")).expect("where it ends"), real);
        pair.swap("commit").run().success();
    }
    assert_ne!(inode(&real), old);
    let replaced = pair.swap("run").args(["--force", "--space", "replace"]).run().success();
    pair.streams();
    assert_eq!(std::fs::canonicalize(data.join("pg_wal")).expect("where it ends"), real, "{replaced}");
}

fn another_versions_tablespace_in_the_same_location_is_not_touched(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    let other = scene.tablespace.join("PG_9.6_201608131");
    std::fs::create_dir(&other).expect("make a folder");
    std::fs::write(other.join("precious"), "x").expect("write");
    scene.pair.swap("run").arg("--force").run().success().expect_changed(true);
    scene.has_its_places();
    scene.pair.swap("commit").run().success();
    let replaced = scene.pair.swap("run").args(["--force", "--space", "replace"]).run().success();
    scene.has_its_places();
    assert!(other.join("precious").exists(), "{replaced}");
    assert_eq!(scene.others(), 1, "and nothing else is left: {replaced}");
}

fn a_tablespace_that_was_dropped_since_is_no_hindrance_on_the_way_back(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    let pair = &scene.pair;
    pair.swap("run").arg("--force").run().success();
    pair.primary.sql("DROP TABLE proof");
    pair.primary.sql("DROP TABLESPACE fast");
    let gone = || pair.standby.sql("SELECT count(*) FROM pg_tablespace WHERE spcname = 'fast'") == "0";
    tests::wait_for("the standby to have dropped it", Duration::from_secs(20), gone);
    pair.swap("rollback").run().success().expect_changed(true);
    pair.streams();
    // It replays the same.
    tests::wait_for("the old directory to have dropped it", Duration::from_secs(20), gone);
    pair.swap("commit").run().success();
    pair.streams();
}

fn a_copy_from_before_a_tablespace_is_not_installed(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    let before = (pair.standby.started(), inode(&pair.standby.data));
    // What the standby replays where it shares no disk with its primary; here it is made by hand.
    let place = sandbox.folder("later");
    std::os::unix::fs::symlink(&place, pair.standby.data.join("pg_tblspc/99999")).expect("a link");
    let refused = pair.swap("swap").run().expect_code(3).expect_error("is from before a tablespace was made");
    let refused = refused.expect_hint("pg-basebackup-swap run");
    assert_eq!((pair.standby.started(), inode(&pair.standby.data)), before, "{refused}");
    std::fs::remove_file(pair.standby.data.join("pg_tblspc/99999")).expect("remove");
    pair.swap("swap").run().success().expect_changed(true);
}

fn an_old_directory_that_leads_to_the_present_ones_folder_is_not_put_back(sandbox: &Sandbox) {
    let scene = scene(sandbox);
    scene.pair.swap("run").arg("--force").run().success();
    let kept = scene.pair.beside("previous").remove(0);
    std::os::unix::fs::symlink(&scene.tablespace, kept.join("pg_tblspc/99999")).expect("a link");
    let refused = scene.pair.swap("rollback").run().expect_code(3).expect_error("lead to one folder");
    refused.expect_hint("pg-basebackup-swap run");
    scene.has_its_places();
    // What both lead to stays with the one that is in place.
    scene.pair.swap("commit").run().success();
    scene.has_its_places();
}

fn root_is_not_led_by_a_journal_to_what_is_not_the_owners(sandbox: &Sandbox) {
    if !has_strace() || !is_root() {
        return;
    }
    let scene = scene(sandbox);
    let roots = tempfile::Builder::new().prefix("pg-runbook-roots-").tempdir_in("/tmp").expect("a folder");
    let victim = roots.path().join("victim");
    std::fs::create_dir(&victim).expect("make a folder");
    scene.pair.swap("fetch").arg("--force").run().success();
    let exchange = Call { name: "renameat2".into(), number: 1 };
    scene.pair.swap("swap").arg("--no-catch-up").hindered(&exchange, "signal=KILL").start().ended();
    let journal = scene.pair.beside("pg-runbook-journal").remove(0);
    let text = std::fs::read_to_string(&journal).expect("read");
    let mut edited: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let wal = edited["outside"].as_array_mut().expect("a list").iter_mut().find(|part| part["new_link"] == "pg_wal");
    let wal = wal.expect("the write-ahead log");
    wal["beside"] = victim.display().to_string().into();
    wal["new"] = inode(&victim).into();
    std::fs::write(&journal, edited.to_string()).expect("write");
    let refused = scene.pair.swap("commit").run().expect_code(3).expect_error("that is no place beside");
    assert_eq!(std::fs::metadata(&victim).expect("look").uid(), 0, "{refused}");
    std::fs::write(&journal, text).expect("write");
    scene.pair.swap("swap").run().success();
    scene.has_its_places();
}
