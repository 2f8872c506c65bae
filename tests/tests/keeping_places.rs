//! Tablespaces and a write-ahead log elsewhere keep their places through swaps, ways back and kills.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::{Call, Pair, Sandbox, has_strace, is_root, names_below, on_each_major, on_the_machines_own, pair, skip};

on_each_major!(what_lies_elsewhere_keeps_its_place_through_a_swap_and_a_rollback);
on_the_machines_own!(
    a_copy_that_does_not_stream_gives_the_places_back,
    a_swap_killed_at_any_call_leaves_each_directory_its_own,
    a_fetch_that_is_broken_off_leaves_nothing_in_the_places,
    a_write_ahead_log_in_a_folder_of_roots_keeps_its_place,
    a_write_ahead_log_that_can_not_move_is_refused_with_the_way_out,
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
    let fetch = || pair.swap("fetch").arg("--force").run().success();
    let swap = || pair.swap("swap").arg("--no-catch-up");
    fetch();
    let calls = swap().calls(sandbox);
    pair.swap("commit").run().success();
    // What comes before the stop is no different from any other swap.
    let stop = calls.iter().position(|call| call.name == "kill").expect("a stop");
    let every = if std::env::var_os("PG_RUNBOOK_TEST_EVERY_CALL").is_some() { 1 } else { 4 };
    let chosen: Vec<&Call> = calls[stop..].iter().step_by(every).collect();
    assert!(chosen.len() > 5, "too few calls to be true: {calls:?}");
    for (turn, call) in chosen.into_iter().enumerate() {
        fetch();
        let ended = swap().hindered(call, "signal=KILL").start().ended();
        let told = format!("killed at {call:?}: {ended}");
        if turn % 3 == 2 {
            // Somebody starts what is there: it is whole and a standby, or it does not start.
            let start = pair.standby.tool("start").run();
            let refused = start.code() == 3 && start.error().contains("are changing places");
            assert!(start.code() == 0 || refused, "{told}\n{start}");
            assert_ne!(pair.standby.try_sql("SELECT pg_is_in_recovery()").as_deref(), Some("f"), "{told}");
        }
        let again = pair.swap("swap").run();
        let done = again.code() == 3 && again.error().contains("there is no copy to install");
        assert!(again.code() == 0 || done, "{told}\n{again}");
        scene.has_its_places();
        pair.swap("commit").run().success();
        assert_eq!(scene.others(), 0, "{told}\n{again}");
        let mut left = names_below(&pair.standby.data);
        left.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("pg-runbook")));
        left.retain(|path| !path.ends_with("pg-runbook.installed.json"));
        assert!(left.is_empty(), "{left:?}\n{told}");
    }
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
    if !is_root() {
        return skip("only root can mount a file system");
    }
    let disk = sandbox.folder("disk");
    let mount =
        |words: &[&str]| Command::new(words[0]).args(&words[1..]).arg(&disk).status().is_ok_and(|end| end.success());
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs"]) {
        return skip("a file system can't be mounted here");
    }
    sandbox.give_to_owner(&disk);
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let pair = pair(sandbox);
        pair.swap("run").args(["--force", "--waldir"]).arg(&disk).run().success();
        let started = pair.standby.started();
        let refused = pair.swap("run").arg("--force").run().expect_code(3).expect_error("it is a mount point");
        refused.expect_hint("--waldir DIRECTORY");
        assert_eq!(pair.standby.started(), started);
        pair.swap("run").args(["--force", "--waldir", "elsewhere"]).run().success().expect_changed(true);
        pair.streams();
        pair.standby.tool("stop").run().success();
    }));
    mount(&["umount", "--lazy"]);
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
