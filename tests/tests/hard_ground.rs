//! Re-cloning where the ground is hard: servers that can't be asked, files that mislead, disks and folders that refuse.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::symlink;
use std::process::Command;
use tests::{Pair, Sandbox, SmallDisk, is_root, on_the_machines_own, pair, pair_in, skip};

on_the_machines_own!(
    a_standby_that_takes_no_connections_is_known_by_its_processes,
    a_standby_whose_superuser_has_another_name_is_known_by_its_processes,
    a_running_primary_with_a_leftover_signal_is_refused,
    a_running_standby_without_its_signal_is_told_to_put_it_back,
    a_recovery_to_a_point_in_time_is_no_standby,
    a_cluster_is_not_made_a_copy_of_itself,
    settings_that_end_recovery_are_refused_before_anything_is_touched,
    a_folder_that_root_owns_is_good_enough_for_root_and_refused_to_the_owner,
    root_does_not_follow_an_owners_link,
    the_standbys_slot_stays_and_serves_the_old_standby_meanwhile,
    a_write_ahead_log_elsewhere_goes_where_it_is_told,
    an_exchange_by_renames_that_was_cut_off_loses_nothing,
    a_server_comes_back_with_the_command_line_that_it_had,
    a_configuration_outside_the_data_directory_stays_the_standbys_own,
    a_server_that_does_not_stop_in_time_is_told_with_the_way_out,
    a_full_disk_leaves_nothing_and_tells_both_numbers,
    paths_with_blanks_and_quotes_work_or_are_refused,
);

fn a_standby_that_takes_no_connections_is_known_by_its_processes(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.append("postgresql.conf", "hot_standby = off\nupdate_process_title = off\n");
    pair.standby.tool("restart").run().success().expect_warning("hot_standby = off");
    pair.swap("run").run().success().expect_changed(false);
    let cloned = pair.swap("run").args(["--force", "--timeout", "20"]).run().success().expect_changed(true);
    cloned.expect_warning("its walreceiver process shows that it streams");
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    pair.swap("run").args(["--force", "--timeout", "3"]).run().expect_code(1).expect_hint("pg-pass set");
}

fn a_standby_whose_superuser_has_another_name_is_known_by_its_processes(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let rules = pair.standby.read("pg_hba.conf");
    let refused = format!("local all {} reject\n{rules}", sandbox.account.name);
    std::fs::write(pair.standby.data.join("pg_hba.conf"), refused).expect("write");
    pair.standby.tool("restart").run();
    pair.swap("run").run().success().expect_changed(false);
    pair.swap("fetch").arg("--force").run().success();
    pair.swap("swap").run().success().expect_changed(true).expect_warning("refuses");
    assert!(pair.beside("incoming").is_empty());
}

fn a_running_primary_with_a_leftover_signal_is_refused(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.tool("promote").run().success();
    pair.standby.sql("CREATE TABLE only_here AS SELECT 1");
    pair.standby.append("standby.signal", "");
    let started = pair.standby.started();
    let refused = pair.swap("run").arg("--force").run().expect_code(3);
    assert!(refused.error().contains("runs as a primary of this very system"), "{refused}");
    assert_eq!(started, pair.standby.started());
}

fn a_running_standby_without_its_signal_is_told_to_put_it_back(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    std::fs::remove_file(pair.standby.data.join("standby.signal")).expect("remove");
    let refused = pair.swap("run").arg("--force").run().expect_code(3);
    assert!(refused.error().contains("has no standby.signal"), "{refused}");
    assert!(refused.hint().contains("touch"), "{refused}");
}

fn a_recovery_to_a_point_in_time_is_no_standby(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.tool("stop").run().success();
    let data = &pair.standby.data;
    std::fs::rename(data.join("standby.signal"), data.join("recovery.signal")).expect("rename");
    for options in [&[][..], &["--force"]] {
        let refused = pair.swap("run").args(options).run().expect_code(3);
        assert!(refused.error().contains("recovery.signal"), "{refused}");
        assert!(refused.hint().contains("--replace"), "{refused}");
    }
}

fn a_cluster_is_not_made_a_copy_of_itself(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let port = pair.standby.port.to_string();
    let password = format!("127.0.0.1:{port}:*:replicator:swordfish\n");
    let mut lines = std::fs::read_to_string(&pair.passfile).expect("read");
    lines.push_str(&password);
    std::fs::write(&pair.passfile, lines).expect("write");
    let refused = pair.swap("run").args(["--force", "-p", &port]).run().expect_code(3);
    assert!(refused.error().contains("a copy of itself"), "{refused}");
}

fn settings_that_end_recovery_are_refused_before_anything_is_touched(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.swap("fetch").arg("--force").run().success();
    let (started, own) = (pair.standby.started(), pair.standby.read("postgresql.conf"));
    pair.standby.append("postgresql.conf", "recovery_target = 'immediate'\nrecovery_target_action = 'promote'\n");
    for verb in ["run", "swap"] {
        let command = pair.swap(verb);
        let command = if verb == "run" { command.arg("--force") } else { command };
        let refused = command.run().expect_code(3).expect_error("recovery_target = immediate");
        assert!(refused.hint().starts_with("pg-conf unset -D"), "{refused}");
        let command = pair.swap(verb).arg("--check");
        let command = if verb == "run" { command.arg("--force") } else { command };
        command.run().expect_code(3).expect_error("recovery_target = immediate");
    }
    if pair.standby.major < 16 {
        std::fs::write(pair.standby.data.join("postgresql.conf"), own).expect("write");
        pair.standby.append("postgresql.conf", "promote_trigger_file = 'now'\n");
        pair.standby.append("now", "");
        pair.swap("swap").run().expect_code(3).expect_error("promote_trigger_file");
    }
    assert_eq!(started, pair.standby.started());
}

fn a_folder_that_root_owns_is_good_enough_for_root_and_refused_to_the_owner(sandbox: &Sandbox) {
    if !is_root() {
        return skip("only root can own a folder");
    }
    let folder = tempfile::Builder::new().prefix("pg-runbook-roots-").tempdir_in("/tmp").expect("a folder");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("set the mode");
    let pair = pair_in(sandbox, &folder.path().join("standby").display().to_string());
    pair.swap("run").arg("--force").run().success().expect_changed(true);
    pair.streams();
    let command = pair.swap("run").args(["--force", "--output", "json"]).as_owner();
    let refused = command.run().expect_code(3).expect_error("may not write into");
    assert!(pair.beside("partial").is_empty(), "{refused}");
    pair.standby.tool("stop").run().success();
}

fn root_does_not_follow_an_owners_link(sandbox: &Sandbox) {
    if !is_root() {
        return skip("only root has rights to lend");
    }
    let primary = sandbox.cluster("primary").start();
    let roots = tempfile::tempdir_in("/var/tmp").expect("a folder of root's");
    let (secret, link) = (sandbox.file("secret", "swordfish\n"), sandbox.path().join("pgpass"));
    symlink(roots.path().join("new"), &link).expect("a link");
    std::os::unix::fs::lchown(&link, Some(sandbox.account.uid), None).expect("the owner's link");
    let set = primary.other_tool("pg-pass", "set").args(["-h", "db1", "-U", "replicator", "--passfile"]).arg(&link);
    set.arg("--password-file").arg(&secret).run().expect_code(1).expect_error("root does not do it");
    let below = sandbox.path().join("below");
    symlink(roots.path(), &below).expect("a link");
    std::os::unix::fs::lchown(&below, Some(sandbox.account.uid), None).expect("the owner's link");
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p"]).arg(sandbox.port().to_string());
    create.arg("-D").arg(&below).run().expect_code(3).expect_hint("chown");
    let owner = std::os::unix::fs::MetadataExt::uid(&roots.path().metadata().expect("look"));
    assert_eq!((owner, std::fs::read_dir(roots.path()).expect("read").count()), (0, 0));
}

fn the_standbys_slot_stays_and_serves_the_old_standby_meanwhile(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.primary.sql("SELECT pg_create_physical_replication_slot('mine')");
    for slot in [&["--slot", "mine"][..], &["--slot", "mine"], &[]] {
        pair.swap("run").arg("--force").args(slot).run().success().expect_changed(true);
        assert_eq!(pair.standby.sql("SHOW primary_slot_name"), "mine");
        assert_eq!(pair.primary.sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'mine'"), "t");
    }
    pair.swap("run").args(["--force", "--slot", ""]).run().success();
    assert_eq!(pair.standby.sql("SHOW primary_slot_name"), "");
    pair.swap("run").args(["--force", "--slot", "No Name"]).run().expect_code(2);
}

fn a_write_ahead_log_elsewhere_goes_where_it_is_told(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let wal = sandbox.folder("wal");
    let run = |more: &[&str]| pair.swap("run").arg("--force").args(more).run();
    run(&["--waldir", "wal/1"]).success();
    assert_eq!(std::fs::read_link(pair.standby.data.join("pg_wal")).expect("a link"), wal.join("1"));
    pair.swap("fetch").args(["--force", "--waldir", "wal/2"]).run().success();
    run(&["--waldir", "wal/3"]).success();
    assert_eq!(std::fs::read_link(pair.standby.data.join("pg_wal")).expect("a link"), wal.join("3"));
    assert!(!wal.join("2").exists(), "the write-ahead log of a copy that was never installed is gone");
    pair.streams();
    // It is the kept directory's.
    run(&["--waldir", "wal/1"]).expect_code(3).expect_error("not empty").expect_hint("--waldir");
}

fn an_exchange_by_renames_that_was_cut_off_loses_nothing(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.tool("stop").run().success();
    let aside = pair.standby.data.with_file_name("standby.aside");
    // After the first rename: nothing is under the name, and nothing may take it.
    std::fs::rename(&pair.standby.data, &aside).expect("rename");
    let refused = pair.swap("run").run().expect_code(3).expect_error("lies aside");
    assert!(refused.hint().starts_with("mv "), "{refused}");
    pair.standby.create_command().run().expect_code(3).expect_error("lies aside");
    // After the second: the copy is in place, and the old directory still lies aside.
    std::fs::rename(&aside, &pair.standby.data).expect("rename");
    let copied = Command::new("cp").arg("-a").arg(&pair.standby.data).arg(&aside).status();
    assert!(copied.expect("run cp").success());
    let kept = pair.beside("previous").len();
    pair.swap("run").run().success();
    assert_eq!((pair.beside("previous").len(), aside.exists()), (kept + 1, false));
}

/// Starts the standby as its owner would by hand.
fn start_by_hand(pair: &Pair<'_>, options: &str) {
    let bin = &pair.standby.sandbox.server.bin;
    let mut command = pair.standby.sandbox.account.command(&bin.join("pg_ctl"));
    command.arg("-D").arg(&pair.standby.data).args(["start", "-w", "-s", "-l"]);
    command.arg(pair.standby.data.with_extension("log")).args(["-o", options]);
    assert!(command.status().expect("run pg_ctl").success());
}

fn a_server_comes_back_with_the_command_line_that_it_had(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.tool("stop").run().success();
    start_by_hand(&pair, "-c work_mem=17MB -c \"cluster_name=with blank\"");
    pair.swap("run").arg("--force").run().success();
    assert_eq!(pair.standby.sql("SHOW work_mem"), "17MB");
    assert_eq!(pair.standby.sql("SHOW cluster_name"), "with blank");
    pair.swap("fetch").arg("--force").run().success();
    pair.primary.sql("ALTER ROLE replicator PASSWORD 'another'");
    pair.swap("swap").args(["--timeout", "2"]).run().expect_code(1);
    assert_eq!(pair.standby.sql("SHOW work_mem"), "17MB");
}

fn a_configuration_outside_the_data_directory_stays_the_standbys_own(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.tool("stop").run().success();
    let outside = sandbox.folder("etc");
    let file = outside.join("postgresql.conf");
    std::fs::rename(pair.standby.data.join("postgresql.conf"), &file).expect("rename");
    std::fs::rename(pair.standby.data.join("pg_hba.conf"), outside.join("pg_hba.conf")).expect("rename");
    let text = std::fs::read_to_string(&file).expect("read");
    let rules = format!("{text}hba_file = '{}'\n", outside.join("pg_hba.conf").display());
    std::fs::write(&file, rules).expect("write");
    start_by_hand(&pair, &format!("-c config_file={}", file.display()));
    let refused = pair.swap("run").args(["--force", "--config", "primary"]).run().expect_code(3);
    refused.expect_error("can't have the primary's configuration").expect_hint("leave --config out");
    for _ in 0..2 {
        pair.swap("run").arg("--force").run().success();
        assert!(!pair.standby.data.join("postgresql.conf").exists(), "the primary's would be taken for its own");
        pair.standby.tool("stop").run().success();
        pair.swap("run").arg("--force").run().success();
        pair.standby.tool("start").run().success();
        assert_eq!(pair.standby.sql("SHOW config_file"), file.display().to_string());
    }
}

fn a_server_that_does_not_stop_in_time_is_told_with_the_way_out(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    let pid = nix::unistd::Pid::from_raw(pair.standby.sql(query).parse().expect("a number"));
    let send = |signal| nix::sys::signal::kill(pid, signal).expect("signal the checkpointer");
    pair.swap("fetch").arg("--force").run().success();
    send(nix::sys::signal::Signal::SIGSTOP);
    let told = pair.swap("swap").args(["--timeout", "1"]).run();
    send(nix::sys::signal::Signal::SIGCONT);
    let told = told.expect_code(5).expect_error("was not exchanged").expect_error("then it has to be started");
    assert!(told.hint().contains("&& pg-cluster start -D"), "{told}");
    tests::wait_for("the server to stop", std::time::Duration::from_secs(20), || pair.standby.pid().is_none());
    pair.standby.tool("start").run().success();
    pair.swap("swap").run().success().expect_changed(true);
}

fn a_full_disk_leaves_nothing_and_tells_both_numbers(sandbox: &Sandbox) {
    let Some(disk) = SmallDisk::mount(sandbox, 160) else { return };
    let pair = pair_in(sandbox, "disk/standby");
    disk.fill(3_000_000);
    let refused = pair.swap("run").arg("--force").run().expect_code(3).expect_error("MB are free");
    assert!(refused.hint().contains("pg-basebackup-swap status -D"), "{refused}");
    assert!(pair.beside("partial").is_empty() && pair.beside("incoming").is_empty());
    assert_eq!(pair.standby.sql("SELECT pg_is_in_recovery()"), "t");
    disk.empty();
    // A copy that can't catch up is not begun with. (A journal that can't be written: tests/tests/killed.rs, where no server
    // of the disk gives room back meanwhile.)
    pair.swap("fetch").arg("--force").run().success();
    let started = pair.standby.started();
    disk.fill(0);
    let failed = pair.swap("swap").run().expect_code(1).expect_error("serves on");
    assert_eq!(started, pair.standby.started(), "{failed}");
    disk.empty();
    pair.swap("swap").run().success().expect_changed(true);
    pair.standby.tool("stop").run().success();
}

fn paths_with_blanks_and_quotes_work_or_are_refused(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let odd = sandbox.path().join("it's a \"pass\" file");
    std::fs::rename(&pair.passfile, &odd).expect("rename");
    let run = pair.standby.other_tool("pg-basebackup-swap", "run").args(["--force", "--input", "-", "--passfile"]);
    run.arg(&odd).after(&pair.advertised).run().success().expect_changed(true);
    pair.streams();
    let blank = sandbox.cluster("its a cluster").start();
    assert_eq!(blank.sql("SELECT 1"), "1");
    let quote = sandbox.cluster("qu\"ote").create();
    quote.tool("start").run().expect_code(1).expect_error("can't start a server in");
}
