//! postgresql.conf on real servers: what `pg-conf` writes is what the server then has in force, and nothing else moves.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_each_major, on_the_machines_own};

on_each_major!(
    a_setting_that_needs_a_restart_gets_one_restart,
    a_setting_that_needs_a_reload_gets_no_restart,
    what_waits_for_a_restart_says_so_again,
    two_spellings_of_one_value_are_one_value,
    what_the_server_would_not_take_is_not_written,
    settings_that_do_not_go_together_are_not_written,
    alter_system_is_not_written_over,
    wal_kept_for_standbys_follows_the_version,
    get_says_what_the_server_says,
    check_finds_what_is_broken_and_where,
    match_raises_what_a_standby_must_not_be_below,
);
on_the_machines_own!(
    an_included_file_is_edited_in_its_own_place,
    comments_and_line_endings_are_kept,
    a_linked_file_stays_a_link_and_keeps_its_owner_and_mode,
    unset_goes_back_to_the_default,
    a_value_on_the_command_line_is_not_written_under,
    check_mode_and_a_second_run_leave_the_file_alone,
    a_cluster_that_is_down_is_set_up_for_its_start,
    values_of_any_characters_come_back_as_they_were,
    two_values_for_one_name_are_refused,
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

fn two_spellings_of_one_value_are_one_value(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let first = set(&cluster, &["effective_cache_size=8GB", "log_connections=on", "checkpoint_timeout=10min"]);
    restart(sandbox, &first.run().success().expect_changed(true)).success();
    let before = cluster.fingerprint();
    let spelled = ["effective_cache_size=8192MB", "log_connections=on", "checkpoint_timeout=600s"];
    let again = set(&cluster, &spelled).run().success().expect_changed(false);
    assert_eq!(again.typed().needs.level, "none", "{again}");
    let again = set(&cluster, &["Effective_Cache_Size = 8GB", "checkpoint_timeout='600'"]).run();
    assert_eq!(cluster.fingerprint(), before, "{again}");
    assert_eq!(cluster.sql("SHOW effective_cache_size"), "8GB");
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

fn settings_that_do_not_go_together_are_not_written(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = cluster.fingerprint();
    let refused = set(&cluster, &["wal_level=minimal"]).run().expect_code(2).expect_error("max_wal_senders");
    refused.expect_hint("pg-conf get");
    assert_eq!(cluster.fingerprint(), before);
    let both = set(&cluster, &["wal_level=minimal", "max_wal_senders=0"]).run().success().expect_changed(true);
    restart(sandbox, &both).success();
    assert_eq!(cluster.sql("SHOW wal_level"), "minimal", "the server agrees that these two go together");
}

fn alter_system_is_not_written_over(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("ALTER SYSTEM SET work_mem = '6MB'");
    let before = cluster.fingerprint();
    let refused = set(&cluster, &["work_mem=7MB"]).run().expect_code(3).expect_error("ALTER SYSTEM set it to 6MB");
    assert!(refused.error().contains("postgresql.auto.conf:"), "{refused}");
    let refused = refused.expect_hint("ALTER SYSTEM RESET work_mem");
    assert!(!refused.changed());
    set(&cluster, &["work_mem=6MB"]).run().success().expect_changed(false);
    assert_eq!(cluster.fingerprint(), before);
    cluster.sql("ALTER SYSTEM RESET work_mem");
    let done = set(&cluster, &["work_mem=7MB"]).run().success().expect_changed(true);
    restart(sandbox, &done).success();
    assert_eq!(cluster.sql("SHOW work_mem"), "7MB");
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

fn check_finds_what_is_broken_and_where(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let check = || cluster.other_tool("pg-conf", "check").run();
    check().success().expect_changed(false);
    let good = cluster.read("postgresql.conf");
    let last = |text: &str| format!("postgresql.conf:{}", text.lines().count());
    for line in ["this is not a setting", "work_mem = many", "no_such_setting = 1", "max_connections = 99999999"] {
        let broken = format!("{good}{line}\n");
        cluster.write("postgresql.conf", &broken);
        let told = check().expect_code(1).expect_error(&last(&broken));
        assert!(told.hint().contains("postgresql.conf"), "{told}");
        let server = cluster.sql("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL");
        assert_ne!(server, "0", "{line}: the server says so too");
    }
    cluster.write("postgresql.conf", &format!("{good}wal_level = minimal\n"));
    check().expect_code(1).expect_error("max_wal_senders");
    cluster.write("postgresql.conf", &good);
    cluster.append("pg_hba.conf", "host all all 192.0.2.0/99 md5\n");
    let line = cluster.read("pg_hba.conf").lines().count();
    check().expect_code(1).expect_error(&format!("pg_hba.conf:{line}"));
}

fn match_raises_what_a_standby_must_not_be_below(sandbox: &Sandbox) {
    let primary = sandbox.cluster("primary").setting("max_connections = 128\nmax_worker_processes = 10").start();
    let standby = sandbox.cluster("standby").setting("max_locks_per_transaction = 100").start();
    let advertised = primary.tool("advertise").args(["--host", "127.0.0.1", "--role", "replicator"]).run().success();
    let matched = || standby.other_tool("pg-conf", "match").after(&advertised).run().success();
    let first = matched().expect_changed(true);
    assert_eq!(first.typed().needs.level, "restart", "{first}");
    let again = matched().expect_changed(false);
    let restarted = restart(sandbox, &again).success().expect_changed(true);
    assert_eq!(restarted.typed().needs.level, "none");
    assert_eq!(
        (standby.sql("SHOW max_connections"), standby.sql("SHOW max_worker_processes")),
        ("128".into(), "10".into())
    );
    assert_eq!(standby.sql("SHOW max_locks_per_transaction"), "100", "never lowered");
    assert_eq!(matched().expect_changed(false).typed().needs.level, "none");
    standby.other_tool("pg-conf", "match").run().expect_code(2).expect_hint("pg-cluster advertise");
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

fn a_value_on_the_command_line_is_not_written_under(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let pg_ctl = sandbox.server.bin.join("pg_ctl");
    let mut start = sandbox.account.command(&pg_ctl);
    start.args(["start", "-w", "-s", "-o", "-c work_mem=6MB", "-D"]).arg(&cluster.data);
    assert!(start.arg("-l").arg(cluster.data.with_extension("log")).status().expect("run pg_ctl").success());
    let before = cluster.fingerprint();
    let refused = set(&cluster, &["work_mem=7MB"]).run().expect_code(3).expect_error("command line");
    refused.expect_error("6MB").expect_hint("pg-cluster restart");
    assert_eq!(cluster.fingerprint(), before);
    assert_eq!(cluster.sql("SHOW work_mem"), "6MB");
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

fn values_of_any_characters_come_back_as_they_were(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    for value in ["cp '%p' /a b/%f", "it''s # no comment", "Grüße \\ \"x\"", " blanks "] {
        let done = set(&cluster, &[&format!("archive_cleanup_command={value}")]).run().success().expect_changed(true);
        restart(sandbox, &done).success();
        assert_eq!(
            cluster.sql("SELECT '>' || current_setting('archive_cleanup_command') || '<'"),
            format!(">{value}<")
        );
        set(&cluster, &[&format!("archive_cleanup_command={value}")]).run().success().expect_changed(false);
    }
    let done = set(&cluster, &["listen_addresses=*", "unix_socket_permissions=0700"]).run().success();
    restart(sandbox, &done).success().expect_changed(true);
    assert_eq!(cluster.sql("SHOW unix_socket_permissions"), "0700");
}

fn two_values_for_one_name_are_refused(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let before = cluster.fingerprint();
    set(&cluster, &["work_mem=1MB", "WORK_MEM=2MB"]).run().expect_code(2).expect_error("1MB and 2MB");
    set(&cluster, &["config_file=/etc/x"]).run().expect_code(2);
    assert_eq!(cluster.fingerprint(), before);
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
