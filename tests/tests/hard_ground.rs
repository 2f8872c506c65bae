//! Re-cloning where the ground is hard: servers that can't be asked, files that mislead, disks and folders that refuse.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Sandbox, on_the_machines_own, pair};

on_the_machines_own!(
    a_standby_that_takes_no_connections_is_known_by_its_processes,
    a_standby_whose_superuser_has_another_name_is_known_by_its_processes,
    a_running_primary_with_a_leftover_signal_is_refused,
    a_running_standby_without_its_signal_is_told_to_put_it_back,
    a_recovery_to_a_point_in_time_is_no_standby,
    a_cluster_is_not_made_a_copy_of_itself,
);

fn a_standby_that_takes_no_connections_is_known_by_its_processes(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.standby.append("postgresql.conf", "hot_standby = off\nupdate_process_title = off\n");
    pair.standby.tool("restart").run();
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
