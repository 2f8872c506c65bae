//! postgresql.conf on real servers: what `pg-conf` writes is what the server then has in force, and nothing else moves.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_each_major, on_the_machines_own};

on_each_major!(
    a_setting_that_needs_a_restart_gets_one_restart,
    a_setting_that_needs_a_reload_gets_no_restart,
    what_waits_for_a_restart_says_so_again,
    what_the_server_would_not_take_is_not_written,
    what_has_no_line_yet_goes_where_a_reader_would_look,
    get_says_what_the_server_says,
    get_tells_what_a_bare_number_counts,
);
on_the_machines_own!(
    an_included_file_is_edited_in_its_own_place,
    comments_and_line_endings_are_kept,
    a_linked_file_stays_a_link_and_keeps_its_owner_and_mode,
    unset_goes_back_to_the_default,
    check_mode_and_a_second_run_leave_the_file_alone,
    a_cluster_that_is_down_is_set_up_for_its_start,
    concurrent_sets_lose_nothing,
);

fn set<'a>(cluster: &'a TestCluster, settings: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "set").args(settings)
}

fn restart(sandbox: &Sandbox, after: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("restart").after(after).run()
}

fn a_setting_that_needs_a_restart_gets_one_restart(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let first = set(&cluster, &["wal_level=logical"]).run().success().expect_changed(true);
    assert_eq!(first.typed().needs.restart, ["wal_level"]);
    assert_eq!(first.typed().changes[0].context.as_deref(), Some("postmaster"), "{first}");
    assert_eq!(cluster.sql("SHOW wal_level"), "replica");
    let restarted = restart(sandbox, &first).success().expect_changed(true);
    assert_eq!((cluster.sql("SHOW wal_level").as_str(), restarted.typed().needs.level.as_str()), ("logical", "none"));

    let before = (cluster.pid(), cluster.started(), cluster.loaded(), cluster.fingerprint());
    let second = set(&cluster, &["wal_level=logical"]).run().success().expect_changed(false);
    assert_eq!(second.typed().needs.level, "none");
    restart(sandbox, &second).success().expect_changed(false);
    assert_eq!((cluster.pid(), cluster.started(), cluster.loaded(), cluster.fingerprint()), before);
}

fn a_setting_that_needs_a_reload_gets_no_restart(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = (cluster.pid(), cluster.started());
    let first = set(&cluster, &["wal_compression=on", "work_mem=7MB"]).run().success().expect_changed(true);
    assert_eq!(first.typed().needs.level, "reload", "{first}");
    restart(sandbox, &first).success().expect_changed(true);
    assert_eq!((cluster.pid(), cluster.started()), before, "the same server");
    assert_eq!(cluster.sql("SHOW work_mem"), "7MB");
    assert_ne!(cluster.sql("SHOW wal_compression"), "off");
    let second = set(&cluster, &["wal_compression=on", "work_mem=7MB"]).run().success().expect_changed(false);
    assert_eq!(second.typed().needs.level, "none", "{second}");
}

fn what_waits_for_a_restart_says_so_again(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    set(&cluster, &["max_connections=37"]).run().success().expect_changed(true);
    for _ in 0..2 {
        // Also after a reload, which notes that the restart is pending.
        let again = set(&cluster, &["max_connections=37"]).run().success().expect_changed(false);
        assert_eq!(again.typed().needs.restart, ["max_connections"], "{again}");
        cluster.sql("SELECT pg_reload_conf()");
    }
    let again = set(&cluster, &["max_connections=37"]).run().success().expect_changed(false);
    restart(sandbox, &again).success().expect_changed(true);
    assert_eq!(cluster.sql("SHOW max_connections"), "37");

    set(&cluster, &["work_mem=9MB"]).run().success().expect_changed(true);
    let again = set(&cluster, &["work_mem=9MB"]).run().success().expect_changed(false);
    assert_eq!(again.typed().needs.reload, ["work_mem"], "{again}");
    let pid = cluster.pid();
    restart(sandbox, &again).success().expect_changed(true);
    assert_eq!((cluster.pid(), cluster.sql("SHOW work_mem").as_str()), (pid, "9MB"));
}

fn what_the_server_would_not_take_is_not_written(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = (cluster.fingerprint(), cluster.pid());
    let unknown = set(&cluster, &["max_conections=50"]).run().expect_code(2).expect_error("max_conections");
    unknown.expect_error("the nearest name that it has is max_connections").expect_hint("max_connections");
    let range = set(&cluster, &["max_connections=99999999"]).run().expect_code(2);
    range.expect_error("outside the valid range");
    set(&cluster, &["wal_level=much"]).run().expect_code(2).expect_error("replica, logical");
    set(&cluster, &["work_mem=1 parsec"]).run().expect_code(2).expect_error("work_mem");
    set(&cluster, &["wal_level"]).run().expect_code(2).expect_hint("wal_level=VALUE");
    set(&cluster, &["wal level=replica"]).run().expect_code(2);
    // One that is wrong holds up the others.
    set(&cluster, &["work_mem=5MB", "wal_level=much"]).run().expect_code(2);
    set(&cluster, &["work_mem=5MB\nfsync=on"]).run().expect_code(2);
    assert_eq!((cluster.fingerprint(), cluster.pid()), before, "byte-identical, times included");
}

fn what_has_no_line_yet_goes_where_a_reader_would_look(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let folder = cluster.data.join("conf.d");
    std::fs::create_dir(&folder).expect("a folder");
    sandbox.account.give(&folder);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o750)).expect("chmod");
    cluster.append("conf.d/10-first.conf", "#trace_notify = off\n");
    cluster.append("postgresql.conf", "include_dir 'conf.d'\nlog_min_messages = notice\n");
    cluster.tool("start").run().success();
    // Two that no sample file shows, one of them shown by ours, and one that postgresql.conf shows.
    let settings = ["trace_sort=on", "trace_notify=on", "work_mem=7MB", "ours.thing=a b"];
    let done = set(&cluster, &settings).run().success().expect_changed(true);
    restart(sandbox, &done).success();
    let place = |name: &str| {
        let query =
            format!("SELECT sourcefile || ':' || sourceline FROM pg_file_settings WHERE name = '{name}' AND applied");
        cluster.sql(&query)
    };
    let below = |file: &str| cluster.data.join(file).display().to_string();
    for (name, file) in [
        ("trace_sort", "conf.d/90-pg-conf.conf"),
        ("ours.thing", "conf.d/90-pg-conf.conf"),
        ("trace_notify", "conf.d/10-first.conf"),
        ("work_mem", "postgresql.conf"),
    ] {
        let change = done.typed().changes.into_iter().find(|change| change.name == name).expect("a change");
        assert_eq!(change.file.as_deref(), Some(below(file).as_str()), "{done}");
        let line = change.line.map(|line| line.to_string()).unwrap_or_default();
        assert_eq!(place(name), format!("{}:{line}", below(file)));
    }
    assert_eq!((cluster.sql("SHOW trace_sort"), cluster.sql("SHOW ours.thing")), ("on".into(), "a b".into()));
    let new = folder.join("90-pg-conf.conf").metadata().expect("the new file");
    assert_eq!((new.mode() & 0o777, new.uid()), (0o640, folder.metadata().expect("it").uid()));
    let before = (cluster.fingerprint(), cluster.read("conf.d/90-pg-conf.conf"));
    set(&cluster, &settings).run().success().expect_changed(false);
    let after = set(&cluster, &["trace_sort=off"]).args(["--check"]).run().success().expect_changed(true);
    assert_eq!((cluster.fingerprint(), cluster.read("conf.d/90-pg-conf.conf")), before, "{after}");
    our_file_goes_with_its_last_setting(&cluster, &folder);
}

fn our_file_goes_with_its_last_setting(cluster: &TestCluster, folder: &Path) {
    let unset = |name: &str| cluster.other_tool("pg-conf", "unset").arg(name).run().success();
    unset("trace_sort").expect_changed(true);
    assert!(folder.join("90-pg-conf.conf").exists());
    unset("ours.thing").expect_changed(true);
    assert!(!folder.join("90-pg-conf.conf").exists());
    unset("ours.thing").expect_changed(false);
}

fn get_says_what_the_server_says(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("postgresql.conf", "work_mem = 3MB\nwork_mem = '5MB' # twice\nmax_connections = 37\n");
    cluster.sql("ALTER SYSTEM SET checkpoint_timeout = '7min'");
    cluster.sql("SELECT pg_reload_conf()");
    let got = cluster.other_tool("pg-conf", "get").run().success().expect_changed(false);
    let settings = got.document["settings"].as_array().expect("settings").clone();
    // Of several assignments the last is applied; what waits for a restart is not applied, and right all the same.
    let lines = cluster.sql(
        "SELECT DISTINCT ON (lower(name)) lower(name), setting, sourcefile, sourceline FROM pg_file_settings
         ORDER BY lower(name), seqno DESC",
    );
    assert_eq!(settings.len(), lines.lines().count(), "{got}");
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let found =
            settings.iter().find(|one| one["name"].as_str().is_some_and(|name| name.to_lowercase() == fields[0]));
        let found = found.unwrap_or_else(|| panic!("{line} is missing in {got}"));
        assert_eq!(found["file"], fields[2], "{found}");
        assert_eq!(found["line"].to_string(), fields[3], "{found}");
        let running = cluster.sql(&format!("SHOW {}", fields[0]));
        assert_eq!(found["running"], running.as_str(), "{found}");
    }
    let waits = settings.iter().find(|one| one["name"] == "max_connections").expect("it");
    assert_eq!((&waits["pending_restart"], &waits["value"]), (&true.into(), &"37".into()), "{waits}");
    let overridden = settings.iter().find(|one| one["name"] == "checkpoint_timeout").expect("it");
    assert_eq!(overridden["from_alter_system"], true, "{overridden}");
    let unknown = cluster.other_tool("pg-conf", "get").arg("max_conections").run().expect_code(2);
    unknown.expect_error("max_connections");
}

fn get_tells_what_a_bare_number_counts(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let units = |names: &[&str]| {
        let got = cluster.other_tool("pg-conf", "get").args(names).run().success();
        let settings = got.document["settings"].as_array().expect("settings").clone();
        settings.iter().map(|one| one["unit"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    let names = ["shared_buffers", "work_mem", "checkpoint_timeout", "wal_level"];
    assert_eq!(units(&names), ["8kB", "kB", "s", "-"]);
    cluster.tool("stop").run().success();
    let told_by_the_program = if sandbox.server.major < 12 { ["-"; 4] } else { ["8kB", "kB", "s", "-"] };
    assert_eq!(units(&names), told_by_the_program);
    let shown = cluster.other_tool("pg-conf", "get").args(["temp_buffers", "--output", "text"]).run();
    let expected = if sandbox.server.major < 12 { " 1024 " } else { " 1024 × 8kB " };
    assert!(shown.stdout.contains(expected), "{shown}");
}

fn an_included_file_is_edited_in_its_own_place(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let folder = cluster.data.join("conf.d");
    std::fs::create_dir(&folder).expect("a folder");
    sandbox.account.give(&folder);
    cluster.append("conf.d/50-ours.conf", "work_mem = 3MB\t# ours\n");
    cluster.append("conf.d/60-other.conf", "maintenance_work_mem = 30MB\n");
    cluster.append("postgresql.conf", "work_mem = 2MB\ninclude_dir 'conf.d'\n");
    cluster.tool("start").run().success();
    let before = (cluster.fingerprint(), cluster.read("conf.d/60-other.conf"));
    let done = set(&cluster, &["work_mem=8MB"]).run().success().expect_changed(true);
    let change = &done.typed().changes[0];
    let place = cluster.data.join("conf.d/50-ours.conf").display().to_string();
    assert_eq!((change.file.as_deref(), change.line), (Some(place.as_str()), Some(1)), "{done}");
    assert_eq!(cluster.read("conf.d/50-ours.conf"), "work_mem = 8MB\t# ours\n");
    assert_eq!((cluster.fingerprint(), cluster.read("conf.d/60-other.conf")), before, "no other file was touched");
    restart(sandbox, &done).success();
    assert_eq!(cluster.sql("SHOW work_mem"), "8MB");
    let source = cluster.sql("SELECT sourcefile || ':' || sourceline FROM pg_settings WHERE name = 'work_mem'");
    assert_eq!(source, format!("{place}:1"));
}

fn comments_and_line_endings_are_kept(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let text =
        format!("{}# mine\r\nWork_Mem  =  3MB   # as measured\r\n\t# the end\r\n", cluster.read("postgresql.conf"));
    cluster.write("postgresql.conf", &text);
    set(&cluster, &["work_mem=8MB"]).run().success().expect_changed(true);
    assert_eq!(cluster.read("postgresql.conf"), text.replace("=  3MB ", "=  8MB "));
    cluster.tool("start").run().success();
    assert_eq!(cluster.sql("SHOW work_mem"), "8MB");
}

fn a_linked_file_stays_a_link_and_keeps_its_owner_and_mode(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let (link, real) = (cluster.data.join("postgresql.conf"), sandbox.folder("etc").join("postgresql.conf"));
    std::fs::copy(&link, &real).expect("copy it");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    sandbox.account.give(&real);
    std::fs::remove_file(&link).expect("remove it");
    symlink(&real, &link).expect("a link");
    let look = |path: &Path| path.metadata().map(|found| (found.mode(), found.uid(), found.gid())).expect("it");
    let before = look(&real);
    set(&cluster, &["work_mem=8MB"]).run().success().expect_changed(true);
    assert_eq!(std::fs::read_link(&link).expect("still a link"), real);
    assert_eq!(look(&real), before);
    assert!(std::fs::read_to_string(&real).expect("it").contains("work_mem = 8MB"));
    cluster.tool("start").run().success();
    assert_eq!(cluster.sql("SHOW work_mem"), "8MB");
}

fn unset_goes_back_to_the_default(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let done = set(&cluster, &["work_mem=8MB"]).run().success();
    restart(sandbox, &done).success();
    let unset = |name: &str| cluster.other_tool("pg-conf", "unset").arg(name).run();
    let first = unset("work_mem").success().expect_changed(true);
    assert_eq!(first.typed().needs.level, "reload");
    restart(sandbox, &first).success();
    assert_eq!(cluster.sql("SHOW work_mem"), "4MB");
    assert_eq!(unset("work_mem").success().expect_changed(false).typed().needs.level, "none");
    unset("no_such_setting").expect_code(2);
    unset("work_mem=1").expect_code(2).expect_hint("pg-conf unset work_mem");
}

fn check_mode_and_a_second_run_leave_the_file_alone(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = cluster.fingerprint();
    let planned = set(&cluster, &["wal_level=logical", "work_mem=8MB"]).args(["--check", "--diff"]).run().success();
    let planned = planned.expect_changed(true);
    assert_eq!(cluster.fingerprint(), before);
    assert!(planned.document["diff"].to_string().contains("work_mem = 8MB"), "{planned}");
    let next = restart(sandbox, &planned).success();
    assert!(next.typed().check && next.stderr.contains("would restart"), "{next}");
    set(&cluster, &["wal_level=logical", "work_mem=8MB"]).run().success().expect_changed(true);
    let after = cluster.fingerprint();
    set(&cluster, &["work_mem=8MB", "wal_level=logical"]).run().success().expect_changed(false);
    assert_eq!(cluster.fingerprint(), after);
}

fn a_cluster_that_is_down_is_set_up_for_its_start(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let done = set(&cluster, &["wal_level=logical", "work_mem=8MB"]).run().success().expect_changed(true);
    assert_eq!(done.typed().needs.level, "start", "{done}");
    restart(sandbox, &done).success().expect_changed(true);
    assert_eq!((cluster.sql("SHOW wal_level"), cluster.sql("SHOW work_mem")), ("logical".into(), "8MB".into()));
}

fn concurrent_sets_lose_nothing(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let settings = ["work_mem=8MB", "max_connections=37", "wal_compression=on", "log_connections=on"];
    let runs: Vec<_> = settings.iter().map(|setting| set(&cluster, &[setting]).start()).collect();
    for run in runs {
        run.end().success().expect_changed(true);
    }
    cluster.tool("restart").run().success();
    assert_eq!((cluster.sql("SHOW work_mem"), cluster.sql("SHOW max_connections")), ("8MB".into(), "37".into()));
    assert_eq!(cluster.sql("SHOW log_connections"), "on");
}
