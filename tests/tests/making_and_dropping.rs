//! New clusters, and unused ones dropped: nothing that exists is written over, nothing that is used goes.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};
use tests::{Sandbox, Stdin, is_root, names_below, on_each_major, on_the_machines_own};

on_each_major!(
    create_makes_a_cluster_once_and_drop_removes_it_once,
    drop_refuses_what_runs_or_holds_user_data_unless_its_identifier_is_given,
    a_locale_of_the_caller_makes_no_sql_ascii_cluster,
);
on_the_machines_own!(
    two_creates_at_the_same_time_make_one_cluster,
    create_refuses_a_folder_that_holds_something_else,
    create_refuses_a_port_that_is_taken,
    create_takes_waldir_checksums_and_encoding,
    create_of_a_version_without_programs_says_how_to_get_them,
    create_again_with_another_port_is_refused,
    drop_of_a_linked_data_directory_leaves_no_orphan,
    drop_by_root_removes_only_what_the_owner_could,
    drop_of_a_cluster_beside_a_planned_one_reports,
    what_root_makes_belongs_to_the_owner,
    the_owner_needs_no_root,
    require_tells_what_is_there_and_what_is_missing,
);

fn create_makes_a_cluster_once_and_drop_removes_it_once(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("fresh").planned();
    cluster.create_command().run().success().expect_changed(true);
    let before = (cluster.fingerprint(), names_below(&cluster.data));
    let again = cluster.create_command().run().success().expect_changed(false);
    assert_eq!(again.typed().needs.level, "none");
    assert_eq!((cluster.fingerprint(), names_below(&cluster.data)), before, "byte-identical, times included");

    let planned = cluster.tool("drop").arg("--check").run().success().expect_changed(true);
    assert!(planned.stderr.contains("would drop"), "{planned}");
    assert_eq!(names_below(&cluster.data), before.1, "--check drops nothing");
    cluster.tool("drop").run().success().expect_changed(true);
    assert!(!cluster.data.exists());
    assert!(!cluster.data.with_extension("log").exists());
    cluster.tool("drop").run().success().expect_changed(false);
}

fn drop_refuses_what_runs_or_holds_user_data_unless_its_identifier_is_given(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("used").start();
    cluster.tool("drop").run().expect_code(3).expect_error("it runs").expect_hint("pg-cluster stop");
    cluster.sql("CREATE TABLE kept (id int)");
    cluster.tool("stop").run().success();
    let refused = cluster.tool("drop").run().expect_code(3).expect_error("user table");
    let identifier = refused.typed().cluster.and_then(|known| known.system_identifier);
    let identifier = identifier.unwrap_or_else(|| {
        cluster.tool("status").run().typed().cluster.and_then(|known| known.system_identifier).expect("an identifier")
    });
    assert!(refused.hint().contains(&identifier), "{refused}");
    cluster.tool("drop").args(["--force", "12345"]).run().expect_code(3).expect_error(&identifier);
    assert!(cluster.data.exists());

    cluster.tool("start").run().success();
    cluster.tool("drop").args(["--force", &identifier]).run().success().expect_changed(true);
    assert!(!cluster.data.exists());
    assert!(cluster.pid().is_none());
}

fn a_locale_of_the_caller_makes_no_sql_ascii_cluster(sandbox: &Sandbox) {
    let data = sandbox.path().join("c");
    let port = sandbox.port().to_string();
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p", &port, "-D"]).arg(&data);
    let create = create.args(["--pg-version", &sandbox.server.major.to_string(), "--socket-directory"]);
    create.arg(sandbox.path().join("sockets")).env("LC_ALL", "C").run().success();
    sandbox.tool("pg-cluster").args(["start", "-D"]).arg(&data).env("LC_ALL", "C").run().success();
    let number = port.parse().expect("a port");
    let cluster = tests::TestCluster { sandbox, data, port: number, major: sandbox.server.major };
    assert_eq!(cluster.sql("SHOW server_encoding"), "UTF8");
}

fn two_creates_at_the_same_time_make_one_cluster(sandbox: &Sandbox) {
    let data = sandbox.path().join("contested");
    let port = sandbox.port().to_string();
    let create = || sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p", &port, "-D"]).arg(&data);
    let (first, second) = (create().start(), create().start());
    let changed = [first.end().success().changed(), second.end().success().changed()];
    assert!(changed[0] != changed[1], "exactly one of the two made it: {changed:?}");
}

fn create_refuses_a_folder_that_holds_something_else(sandbox: &Sandbox) {
    let folder = sandbox.folder("photos");
    std::fs::write(folder.join("holiday.jpg"), "x").expect("write a file");
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-D"]).arg(&folder);
    create.run().expect_code(3).expect_error("not empty");
    assert_eq!(names_below(&folder), [folder.join("holiday.jpg")]);
    let file = sandbox.file("a-file", "x");
    let outcome = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-D"]).arg(&file).run();
    assert_ne!(outcome.code(), 0, "{outcome}");
    assert_eq!(std::fs::read_to_string(file).expect("the file"), "x");
}

fn create_refuses_a_port_that_is_taken(sandbox: &Sandbox) {
    let port = sandbox.port();
    let _listener = TcpListener::bind(("127.0.0.1", port)).expect("listen");
    let data = sandbox.path().join("late");
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p", &port.to_string(), "-D"]);
    create.arg(&data).run().expect_code(3).expect_error(&port.to_string()).expect_hint("-p PORT");
    assert!(!data.exists());

    let neighbour = sandbox.cluster("neighbour").start();
    let port = neighbour.port.to_string();
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p", &port, "-D"]).arg(&data);
    create.run().expect_code(3).expect_error(&neighbour.data.display().to_string());
}

fn create_takes_waldir_checksums_and_encoding(sandbox: &Sandbox) {
    let (data, wal) = (sandbox.path().join("data"), sandbox.path().join("wal"));
    let port = sandbox.port();
    let create =
        sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-k", "--locale", "C", "--encoding", "LATIN1"]);
    let create = create.args(["-p", &port.to_string(), "--socket-directory"]).arg(sandbox.path().join("sockets"));
    create.arg("--waldir").arg(&wal).arg("-D").arg(&data).run().success();
    let cluster = tests::TestCluster { sandbox, data, port, major: sandbox.server.major };
    cluster.tool("start").run().success();
    assert_eq!(cluster.sql("SHOW data_checksums"), "on");
    assert_eq!(cluster.sql("SHOW server_encoding"), "LATIN1");
    assert_eq!(std::fs::read_link(cluster.data.join("pg_wal")).expect("a link"), wal);
    cluster.tool("stop").run().success();
    cluster.tool("drop").run().success();
    assert!(!wal.exists(), "the log's folder went with it");
}

fn create_of_a_version_without_programs_says_how_to_get_them(sandbox: &Sandbox) {
    let data = sandbox.path().join("future");
    let create = sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "--pg-version", "97", "-D"]);
    let failed = create.arg(&data).run().expect_code(1).expect_error("97");
    assert_eq!(failed.hint(), "pg-cluster require --pg-version 97 --install");
    assert!(!data.exists());
    let required = sandbox.tool("pg-cluster").args(["require", "--pg-version", "97"]).run().expect_code(1);
    assert!(required.hint().contains("require --pg-version 97 --install"), "{required}");
}

fn create_again_with_another_port_is_refused(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("fixed").create();
    let before = cluster.fingerprint();
    let other = sandbox.port().to_string();
    let create =
        sandbox.tool("pg-cluster").args(["create", "--layout", "plain", "-p", &other, "-D"]).arg(&cluster.data);
    create.run().expect_code(3).expect_hint("pg-conf set");
    assert_eq!(cluster.fingerprint(), before);
}

fn drop_of_a_linked_data_directory_leaves_no_orphan(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("real").create();
    let link = sandbox.path().join("link");
    symlink(&cluster.data, &link).expect("a link");
    sandbox.tool("pg-cluster").args(["drop", "-D"]).arg(&link).run().success().expect_changed(true);
    assert!(!cluster.data.exists(), "the data is gone");
    assert!(!link.is_symlink(), "and so is the link");
}

fn drop_by_root_removes_only_what_the_owner_could(sandbox: &Sandbox) {
    if !is_root() {
        return tests::skip("only root could remove more");
    }
    let cluster = sandbox.cluster("trap").create();
    let roots = tempfile::Builder::new().prefix("pg-runbook-roots-").tempdir().expect("a folder of root's");
    std::fs::write(roots.path().join("kept"), "x").expect("write a file");
    std::fs::rename(cluster.data.join("pg_wal"), sandbox.path().join("old_wal")).expect("move the log");
    symlink(roots.path(), cluster.data.join("pg_wal")).expect("a link");
    cluster.tool("drop").run().expect_code(1).expect_error("permission denied");
    assert!(roots.path().join("kept").exists(), "where the owner's link points is root's own");
}

fn drop_of_a_cluster_beside_a_planned_one_reports(sandbox: &Sandbox) {
    let unused = sandbox.cluster("unused").create();
    let planned = sandbox.path().join("planned");
    let port = sandbox.port().to_string();
    let create = sandbox.tool("pg-cluster").args(["create", "--check", "--layout", "plain", "-p", &port, "-D"]);
    let created = create.arg(&planned).run().success().expect_changed(true);
    let dropped = unused.tool("drop").after(&created).run().success().expect_changed(true);
    assert!(dropped.typed().check, "--check travels");
    assert!(unused.data.exists() && !planned.exists());
}

fn what_root_makes_belongs_to_the_owner(sandbox: &Sandbox) {
    if !is_root() {
        return tests::skip("only root can act as another user");
    }
    let cluster = sandbox.cluster("deep/below/here").start();
    for path in names_below(&sandbox.path().join("deep")) {
        let owner = path.symlink_metadata().map(|metadata| metadata.uid());
        // A running server makes and removes files all the time.
        assert!(owner.is_err() || owner.as_ref().ok() == Some(&sandbox.account.uid), "{path:?} belongs to {owner:?}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.pid().expect("a server")));
    let line = format!("Uid:\t{0}\t{0}\t{0}\t{0}", sandbox.account.uid);
    assert!(status.expect("the server's status").contains(&line), "the server runs with none of root's ids");
}

fn the_owner_needs_no_root(sandbox: &Sandbox) {
    let data = sandbox.path().join("own");
    let port = sandbox.port().to_string();
    let sockets = sandbox.path().join("sockets");
    let tool = |words: &[&str]| sandbox.tool("pg-cluster").args(words).arg("-D").arg(&data).as_owner();
    let create = tool(&["create", "--layout", "plain", "-p", &port]).arg("--socket-directory").arg(sockets);
    create.run().success().expect_changed(true);
    tool(&["start"]).run().success().expect_changed(true);
    tool(&["restart"]).stdin(Stdin::Null).run().success().expect_changed(true);
    tool(&["reload"]).run().success().expect_changed(true);
    let status = tool(&["status"]).run().success();
    assert_eq!(status.typed().cluster.expect("a cluster").state, "running");
    tool(&["stop"]).run().success().expect_changed(true);
    tool(&["drop"]).run().success().expect_changed(true);
    assert!(!data.exists());
}

fn require_tells_what_is_there_and_what_is_missing(sandbox: &Sandbox) {
    let major = sandbox.server.major.to_string();
    let there = sandbox.tool("pg-cluster").args(["require", "--pg-version", &major]).run().success();
    let there = there.expect_changed(false);
    assert!(there.document["version"].as_str().is_some_and(|text| text.starts_with(&format!("{major}."))), "{there}");
    sandbox.tool("pg-cluster").arg("require").run().expect_code(2).expect_hint("--pg-version");
}
