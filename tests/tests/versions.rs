//! Settings that follow the server's version, translated or explained; the servers say whether that is right.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_every_major};

on_every_major!(
    segments_are_as_large_as_the_clusters_own,
    wal_kept_for_standbys_follows_the_version,
    settings_that_came_or_went_are_explained_as_the_server_has_them,
    a_cluster_of_any_major_is_listed_and_asked_and_its_configuration_checked,
);

fn set<'a>(cluster: &'a TestCluster, settings: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "set").args(settings)
}

fn restart(sandbox: &Sandbox, after: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("restart").after(after).run()
}

fn segments_are_as_large_as_the_clusters_own(sandbox: &Sandbox) {
    let data = sandbox.path().join("large");
    let mut initdb = sandbox.account.command(&sandbox.server.bin.join("initdb"));
    // In 10 their size is compiled in.
    let (options, megabytes): (&[&str], _) =
        if sandbox.server.major < 11 { (&[], 16) } else { (&["--wal-segsize=64"], 64) };
    let made = initdb.args(options).args(["--no-sync", "-D"]).arg(&data).output().expect("run initdb");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let count = 1024 / megabytes;
    let (typed, here, expected) = if sandbox.server.major < 13 {
        ("wal_keep_size=1GB".to_owned(), "wal_keep_segments", count.to_string())
    } else {
        (format!("wal_keep_segments={count}"), "wal_keep_size", "1024MB".to_owned())
    };
    let done = sandbox.tool("pg-conf").arg("set").arg("-D").arg(&data).arg(typed).run().success();
    let change = &done.expect_warning(&format!("{count} segments of {megabytes} MB")).typed().changes[0];
    assert_eq!((change.name.as_str(), change.after.as_ref()), (here, Some(&expected)));
}

fn wal_kept_for_standbys_follows_the_version(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let by_segments = sandbox.server.major < 13;
    let (here, there) =
        if by_segments { ("wal_keep_segments", "wal_keep_size") } else { ("wal_keep_size", "wal_keep_segments") };
    let typed = if by_segments { "wal_keep_size=160MB" } else { "wal_keep_segments=10" };
    let done = set(&cluster, &[typed]).run().success().expect_changed(true).expect_warning(here);
    restart(sandbox, &done).success();
    assert_eq!(cluster.sql(&format!("SHOW {here}")), if by_segments { "10" } else { "160MB" });
    set(&cluster, &[typed]).run().success().expect_changed(false);
    let unset = cluster.other_tool("pg-conf", "unset").arg(there).run().success().expect_changed(true);
    restart(sandbox, &unset).success();
    assert_eq!(cluster.sql(&format!("SHOW {here}")), "0");
}

fn settings_that_came_or_went_are_explained_as_the_server_has_them(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let major = sandbox.server.major;
    let (here, gone): (Vec<_>, Vec<_>) = pg_conf::versions::SETTINGS.iter().partition(|setting| setting.is_in(major));
    let names = |settings: &[&pg_conf::versions::Setting]| settings.iter().map(|it| it.name).collect::<Vec<_>>();
    let got = cluster.other_tool("pg-conf", "get").args(names(&here)).run().success();
    assert_eq!(got.document["settings"].as_array().map(Vec::len), Some(here.len()), "{got}");
    for name in names(&gone) {
        let mut ask = sandbox.account.command(&sandbox.server.bin.join("postgres"));
        let said = ask.args(["-C", name, "-D"]).arg(&cluster.data).output().expect("run postgres");
        assert!(String::from_utf8_lossy(&said.stderr).contains("unrecognized configuration parameter"), "{name}");
    }
    let told = set(&cluster, &["checkpoint_segments=64"]).run().expect_code(2).expect_error("went with PostgreSQL 9.5");
    told.expect_hint("pg-conf get max_wal_size");
    let newest = set(&cluster, &["idle_replication_slot_timeout=1d"]).run();
    if major < 18 {
        newest.expect_code(2).expect_error("came with PostgreSQL 18");
    } else {
        newest.success().expect_changed(true);
    }
    cluster.append("postgresql.conf", "checkpoint_segments = 64\n");
    cluster.other_tool("pg-conf", "check").run().expect_code(1).expect_error("went with PostgreSQL 9.5");
}

fn a_cluster_of_any_major_is_listed_and_asked_and_its_configuration_checked(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let (major, version) = (sandbox.server.major, cluster.sql("SHOW server_version"));
    let told = cluster.tool("status").run().success();
    let told = told.typed().cluster.expect("a cluster");
    assert_eq!((told.major, told.role.as_deref()), (major, Some("primary")));
    assert_eq!(told.version.as_deref(), version.split(' ').next());
    let listed = sandbox.tool("pg-cluster").arg("list").run().success();
    let clusters = listed.document["clusters"].as_array().unwrap_or_else(|| panic!("no list\n{listed}"));
    let data = cluster.data.display().to_string();
    let found = clusters.iter().find(|one| one["data_directory"] == data.as_str());
    assert_eq!(found.map(|one| &one["major"]), Some(&serde_json::json!(major)), "{listed}");
    cluster.other_tool("pg-conf", "check").run().success();
    let got = cluster.other_tool("pg-conf", "get").arg("work_mem").run().success();
    assert_eq!(got.document["settings"][0]["running"].as_str(), Some(cluster.sql("SHOW work_mem").as_str()), "{got}");
}
