//! docs/when-it-says-no.md, row by row: each has its scenario, here or in the file that its tool's scenarios are in.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use tests::{Outcome, Sandbox, Stdin, TestCluster, ToolCommand, is_root, names_below, on_the_machines_own, skip};

on_the_machines_own!(
    a_folder_that_is_no_data_directory_is_told_so_by_every_tool,
    a_cluster_that_does_not_exist_is_told_by_every_tool,
    several_clusters_and_none_named_lists_them_whatever_the_tool,
    a_document_of_another_host_is_refused_by_every_tool,
    what_is_no_document_is_refused_by_every_tool,
    a_failed_upstream_stops_every_tool,
    an_empty_pipe_replaces_and_drops_nothing,
    whoever_changes_something_waits_for_the_lock_no_longer_than_told,
    what_was_done_is_said_where_stdout_is_closed,
    a_copy_that_no_rule_lets_in_says_which_rule_to_add,
    a_mount_point_is_refused_before_anything_is_copied,
    a_mount_inside_the_data_directory_is_refused_before_anything_is_copied,
    too_little_room_is_refused_with_both_numbers,
);

const TABLE: &str = include_str!("../../docs/when-it-says-no.md");

/// The table's rows, and the scenarios that show them.
const SHOWN_BY: &[(&str, &[&str])] = &[
    ("a setting that PostgreSQL doesn't know", &["settings::what_the_server_would_not_take_is_not_written"]),
    ("a value that the server's own parser refuses", &["settings::what_the_server_would_not_take_is_not_written"]),
    (
        "a setting that `ALTER SYSTEM` or the command line overrides",
        &["overrides::alter_system_is_not_written_over", "overrides::a_value_on_the_command_line_is_not_written_under"],
    ),
    (
        "a bound that a standby would not start with",
        &["bounds::bounds_are_changed_in_the_order_that_primary_and_standbys_need"],
    ),
    ("an address that is none, such as `192.0.2.0/40`", &["access::addresses_that_are_none_are_refused"]),
    (
        "an earlier `reject` rule that would win",
        &[
            "access::an_earlier_reject_is_respected_and_named",
            "letting_in::the_hint_of_a_reject_puts_the_rule_before_it_and_disallow_takes_it_out",
        ],
    ),
    (
        "a line before which the rule would not win either",
        &["letting_in::a_place_where_the_rule_would_not_win_is_refused"],
    ),
    ("a rule that the server would not load", &["letting_in::what_the_server_would_not_load_is_never_installed"]),
    ("a host name without an address", &["explain::host_names_and_networks_are_explained_address_by_address"]),
    ("a change that somebody else edited since", &["undo::a_file_that_somebody_else_edited_is_not_overwritten"]),
    (
        "a configuration file that the server can't load",
        &["serving::reload_of_a_broken_file_fails_and_names_file_and_line"],
    ),
    (
        "a configuration that would not start",
        &["restart_safety::what_would_surely_not_start_is_refused_while_the_server_runs"],
    ),
    (
        "a server that does not come back",
        &[
            "restart_safety::a_library_that_is_not_there_is_taken_back",
            "debian_layout::a_debian_cluster_goes_through_its_life",
        ],
    ),
    ("a `.pgpass` that others can read", &["passwords::a_file_that_others_can_read_is_told_and_mended"]),
    (
        "a wrong password",
        &[
            "passwords::a_wrong_password_says_how_to_set_it",
            "reclone::wrong_password_slot_and_address_leave_everything_as_it_was",
        ],
    ),
    (
        "no rule lets the login in",
        &[
            "passwords::a_login_without_a_rule_says_which_rule_to_add",
            "says_no::a_copy_that_no_rule_lets_in_says_which_rule_to_add",
        ],
    ),
    (
        "nobody answers at the primary's address",
        &[
            "passwords::an_address_without_an_answer_is_worth_a_retry",
            "reclone::wrong_password_slot_and_address_leave_everything_as_it_was",
        ],
    ),
    ("a port that is in use", &["making_and_dropping::create_refuses_a_port_that_is_taken"]),
    (
        "a folder that is not empty and no data directory",
        &["making_and_dropping::create_refuses_a_folder_that_holds_something_else"],
    ),
    (
        "a folder that is no data directory",
        &[
            "documents::a_folder_that_is_no_data_directory_is_told_so",
            "says_no::a_folder_that_is_no_data_directory_is_told_so_by_every_tool",
        ],
    ),
    ("a cluster that does not exist", &["says_no::a_cluster_that_does_not_exist_is_told_by_every_tool"]),
    ("several clusters, and none named", &["says_no::several_clusters_and_none_named_lists_them_whatever_the_tool"]),
    (
        "a version whose programs are missing",
        &["making_and_dropping::create_of_a_version_without_programs_says_how_to_get_them"],
    ),
    ("a standby below its primary's bounds", &["runbook::the_wikis_standby_starts_only_with_the_primarys_bounds"]),
    ("the same, while the standby runs", &["reclone::a_running_standby_below_the_bounds_is_refused"]),
    (
        "a cluster that runs, or holds user data",
        &["making_and_dropping::drop_refuses_what_runs_or_holds_user_data_unless_its_identifier_is_given"],
    ),
    ("a cluster of another system, with data", &["reclone::another_systems_data_is_refused_unless_it_is_named"]),
    ("a primary of the very same system that runs", &["reclone::a_running_primary_of_the_same_system_is_refused"]),
    ("a data directory that is a mount point", &["says_no::a_mount_point_is_refused_before_anything_is_copied"]),
    (
        "a mount point inside the data directory",
        &["says_no::a_mount_inside_the_data_directory_is_refused_before_anything_is_copied"],
    ),
    (
        "a recovery target, or a trigger file that exists",
        &["hard_ground::settings_that_end_recovery_are_refused_before_anything_is_touched"],
    ),
    (
        "a recovery to a point in time (`recovery.signal`)",
        &["hard_ground::a_recovery_to_a_point_in_time_is_no_standby"],
    ),
    (
        "a running standby without its signal file",
        &["hard_ground::a_running_standby_without_its_signal_is_told_to_put_it_back"],
    ),
    ("a standby that is to copy itself", &["hard_ground::a_cluster_is_not_made_a_copy_of_itself"]),
    (
        "a folder above that the owner can't write to",
        &["hard_ground::a_folder_that_root_owns_is_good_enough_for_root_and_refused_to_the_owner"],
    ),
    (
        "a stop that takes longer than `--timeout`",
        &["hard_ground::a_server_that_does_not_stop_in_time_is_told_with_the_way_out"],
    ),
    (
        "an exchange by renames that was cut off",
        &["hard_ground::an_exchange_by_renames_that_was_cut_off_loses_nothing"],
    ),
    (
        "an exchange that was cut off, its directories moved since",
        &["cut_off::a_journal_of_directories_that_were_moved_is_refused_and_named"],
    ),
    (
        "an exchange that was cut off, with what is no standby in place",
        &["cut_off::a_start_never_makes_a_primary_of_what_was_to_be_a_standby"],
    ),
    ("a rollback without an old directory", &["rollback::what_a_rollback_must_not_put_back_is_refused"]),
    (
        "a rollback to what would be a primary, or of another system",
        &["rollback::what_a_rollback_must_not_put_back_is_refused"],
    ),
    ("a rollback of a standby that was promoted", &["rollback::what_a_rollback_must_not_put_back_is_refused"]),
    (
        "an old directory that doesn't start any more",
        &["rollback::a_rollback_that_does_not_start_leaves_the_present_directory_serving"],
    ),
    ("letting old directories go while the server is down", &["rollback::nothing_is_let_go_while_nobody_is_served"]),
    (
        "too little room for two copies",
        &[
            "says_no::too_little_room_is_refused_with_both_numbers",
            "preflight::a_disk_that_is_too_small_is_known_beforehand_where_the_role_may_ask",
        ],
    ),
    (
        "a replication slot that doesn't exist (15 and later can tell)",
        &["reclone::wrong_password_slot_and_address_leave_everything_as_it_was"],
    ),
    (
        "too few free walsenders or replication slots",
        &[
            "preflight::too_few_walsenders_are_found_before_anything_is_copied",
            "preflight::no_free_replication_slot_is_found_before_anything_is_copied",
        ],
    ),
    (
        "a standby that is ahead of the primary named",
        &["preflight::a_standby_that_is_ahead_of_the_primary_is_not_replaced"],
    ),
    (
        "a folder for the copy's WAL or tablespace that is not empty",
        &[
            "preflight::an_old_copys_folders_do_not_stand_in_the_way_and_the_old_servers_do",
            "fetching::a_tablespace_goes_where_it_is_mapped_and_a_copy_cut_off_leaves_nothing_there",
        ],
    ),
    ("compression that the primary is too old for", &["fetching::compression_is_the_primarys_or_refused"]),
    (
        "several of these at once",
        &[
            "preflight::everything_that_stands_in_the_way_is_told_at_once",
            "preflight::a_primary_that_does_not_answer_hides_nothing_that_is_wrong_here",
        ],
    ),
    ("a rate, method, mapping or slot name that can't be", &["fetching::what_cannot_be_right_is_a_usage_error"]),
    (
        "a copy that is not what the primary's manifest says",
        &["fetching::a_copy_that_is_not_what_the_manifest_says_is_not_kept"],
    ),
    (
        "a copy that doesn't stream once installed",
        &["reclone::a_copy_that_does_not_stream_gives_way_to_the_old_directory"],
    ),
    ("a document from another host", &["says_no::a_document_of_another_host_is_refused_by_every_tool"]),
    ("truncated JSON, a second document, another schema", &["says_no::what_is_no_document_is_refused_by_every_tool"]),
    (
        "an empty pipe",
        &[
            "documents::an_empty_pipe_is_refused_where_a_server_would_be_disturbed",
            "says_no::an_empty_pipe_replaces_and_drops_nothing",
        ],
    ),
    ("a document that says `failed`", &["says_no::a_failed_upstream_stops_every_tool"]),
    (
        "another tool works on the cluster for longer than `--lock-timeout`",
        &["says_no::whoever_changes_something_waits_for_the_lock_no_longer_than_told"],
    ),
    (
        "standard output is closed, or its disk is full",
        &[
            "documents::a_document_that_can_not_be_written_is_a_failure",
            "says_no::what_was_done_is_said_where_stdout_is_closed",
        ],
    ),
];

#[test]
fn every_row_has_its_scenario() {
    let rows: Vec<&str> = TABLE.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    let named: Vec<&str> =
        rows.iter().map(|row| row.trim_matches(['|', ' ']).split(" | ").next().unwrap_or("")).collect();
    let expected: Vec<&str> = SHOWN_BY.iter().map(|(row, _)| *row).collect();
    assert_eq!(named, expected, "a row that changes needs a scenario that changes");
    for scenario in SHOWN_BY.iter().flat_map(|(_, scenarios)| *scenarios) {
        let (file, name) = scenario.split_once("::").expect("file::scenario");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(format!("{file}.rs"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(text.contains(&format!("fn {name}(")), "{scenario} is gone");
    }
}

/// Every verb that works on a cluster, as it would be typed.
fn verbs() -> Vec<(&'static str, Vec<&'static str>)> {
    let of = |tool: &'static str, lines: &[&'static str]| {
        lines.iter().map(|line| (tool, line.split(' ').collect::<Vec<_>>())).collect::<Vec<_>>()
    };
    [
        of("pg-role", &["ensure replicator", "show replicator", "drop replicator"]),
        of("pg-conf", &["set work_mem=8MB", "unset work_mem", "get work_mem", "check", "rules", "undo"]),
        of("pg-conf", &["match -h 127.0.0.1 -p 1 -U replicator"]),
        of("pg-conf", &["allow replicator --from 192.0.2.7", "disallow replicator --from 192.0.2.7"]),
        of("pg-conf", &["explain replicator 192.0.2.7"]),
        of("pg-cluster", &["status", "start", "stop", "restart", "reload", "promote", "wait", "advertise --host db1"]),
        of("pg-basebackup-swap", &["run -h 127.0.0.1 -p 1 -U replicator", "fetch -h 127.0.0.1 -p 1 -U replicator"]),
        of("pg-basebackup-swap", &["swap", "status", "rollback", "commit"]),
    ]
    .concat()
}

/// Those of the password file, which need no cluster.
fn password_verbs() -> Vec<(&'static str, Vec<&'static str>)> {
    let lines = ["check", "set", "remove"].map(|verb| vec![verb, "-h", "127.0.0.1", "-p", "1", "-U", "replicator"]);
    lines.into_iter().chain([vec!["list"]]).map(|words| ("pg-pass", words)).collect()
}

fn command<'a>(sandbox: &'a Sandbox, (tool, words): &(&str, Vec<&str>)) -> ToolCommand<'a> {
    let file = sandbox.path().join("passwords");
    sandbox.tool(tool).args(words).env("PGPASSWORD", "x").env("PGPASSFILE", file)
}

/// Everything that must stay.
fn watched(cluster: &TestCluster) -> impl PartialEq + std::fmt::Debug + use<> {
    let running = cluster
        .pid()
        .map(|pid| (pid, cluster.started(), cluster.loaded(), cluster.sql("SELECT count(*) FROM pg_roles")));
    let entries = std::fs::read_dir(cluster.sandbox.path()).expect("the sandbox").flatten();
    let beside: BTreeSet<_> = entries.map(|entry| entry.file_name()).collect();
    (running, cluster.fingerprint(), beside)
}

fn a_folder_that_is_no_data_directory_is_told_so_by_every_tool(sandbox: &Sandbox) {
    let folder = sandbox.folder("photos");
    std::fs::write(folder.join("holiday.jpg"), "x").expect("write a file");
    for verb in verbs().iter().chain(&password_verbs()) {
        let told = command(sandbox, verb).arg("-D").arg(&folder).run().expect_code(2);
        told.expect_error("is not a data directory").expect_hint("pg-cluster");
    }
    assert_eq!(names_below(&folder), [folder.join("holiday.jpg")]);
    assert!(!sandbox.path().join("passwords").exists());
}

fn a_cluster_that_does_not_exist_is_told_by_every_tool(sandbox: &Sandbox) {
    for verb in verbs().iter().chain(&password_verbs()) {
        let told = command(sandbox, verb).args(["--cluster", "9/nothing"]).run().expect_code(2);
        told.expect_error("there is no cluster 9/nothing").expect_hint("pg-cluster");
    }
    assert!(!sandbox.path().join("passwords").exists());
}

fn several_clusters_and_none_named_lists_them_whatever_the_tool(sandbox: &Sandbox) {
    let (one, two) = (sandbox.cluster("one").start(), sandbox.cluster("two").start());
    let before = (watched(&one), watched(&two));
    for verb in &verbs() {
        let mut told = command(sandbox, verb).run().expect_code(2).expect_error("none was named");
        for cluster in [&one, &two] {
            told = told.expect_error(&cluster.data.display().to_string());
        }
        told.expect_hint("name one: ");
    }
    let dropped = sandbox.tool("pg-cluster").arg("drop").run().expect_code(2);
    assert!(!dropped.hint().is_empty());
    assert_eq!((watched(&one), watched(&two)), before);
}

fn a_document_of_another_host_is_refused_by_every_tool(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let mut document = cluster.tool("status").run().success().document;
    document["cluster"]["host_id"] = json!("0123456789abcdef0123456789abcdef");
    let before = watched(&cluster);
    for verb in verbs().iter().chain(&password_verbs()) {
        let refused = command(sandbox, verb).document(&document).run().expect_code(3);
        refused.expect_error("another host").expect_hint("pg-cluster advertise --host");
    }
    assert_eq!(watched(&cluster), before);
}

fn what_is_no_document_is_refused_by_every_tool(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let good = cluster.tool("status").run().success().stdout;
    let before = watched(&cluster);
    let texts = [
        good[..good.len() / 2].to_owned(),
        format!("{good}{good}"),
        good.replace("pg-runbook/1", "pg-runbook/2"),
        "hello".to_owned(),
    ];
    for verb in verbs().iter().chain(&password_verbs()) {
        for text in &texts {
            let refused = command(sandbox, verb).stdin(Stdin::Text(text.clone())).run().expect_code(2);
            let refused = refused.expect_error("standard input is not a pg-runbook/1 document");
            assert!(!refused.hint().is_empty());
        }
    }
    assert_eq!(watched(&cluster), before);
}

fn failed() -> Value {
    json!({"schema": "pg-runbook/1", "tool": "pg-conf", "action": "set", "failed": true, "msg": "it broke",
        "error": {"tool": "pg-conf", "code": 1, "message": "it broke", "causes": ["disk full"], "hint": "df -h"}})
}

fn a_failed_upstream_stops_every_tool(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = watched(&cluster);
    for verb in verbs().iter().chain(&password_verbs()) {
        let passed = command(sandbox, verb).arg("-D").arg(&cluster.data).document(&failed()).run().expect_code(4);
        let passed = passed.expect_stderr("pg-conf failed");
        assert_eq!((passed.error(), passed.hint()), ("it broke\ndisk full".into(), "df -h".into()));
    }
    for words in [&["list"][..], &["create", "--layout", "plain"], &["drop"], &["require", "--pg-version", "15"]] {
        let passed = sandbox.tool("pg-cluster").args(words).arg("-D").arg(sandbox.path().join("new"));
        passed.document(&failed()).run().expect_code(4);
    }
    assert_eq!(watched(&cluster), before);
}

fn an_empty_pipe_replaces_and_drops_nothing(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("CREATE ROLE replicator LOGIN REPLICATION");
    let before = watched(&cluster);
    let refusing = [
        ("pg-basebackup-swap", vec!["run", "-h", "127.0.0.1", "-p", "1", "-U", "replicator"]),
        ("pg-basebackup-swap", vec!["swap"]),
        ("pg-role", vec!["drop", "replicator"]),
    ];
    for verb in &refusing {
        let refused = command(sandbox, verb).arg("-D").arg(&cluster.data).stdin(Stdin::EmptyPipe).run();
        refused.expect_code(3).expect_hint("--no-input");
    }
    assert_eq!(watched(&cluster), before);
    let dropped = command(sandbox, &refusing[2]).arg("-D").arg(&cluster.data).arg("--no-input");
    dropped.stdin(Stdin::EmptyPipe).run().success().expect_changed(true);
}

fn whoever_changes_something_waits_for_the_lock_no_longer_than_told(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = watched(&cluster);
    let lock = |folder: &Path| {
        let folder = File::open(folder).expect("open a folder");
        Flock::lock(folder, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error).expect("lock it")
    };
    let held = lock(&cluster.data);
    let only_look = ["get", "check", "rules", "explain", "status", "wait", "advertise"];
    for verb in verbs().iter().filter(|(_, words)| !only_look.contains(&words[0])) {
        let gave_up = command(sandbox, verb).arg("-D").arg(&cluster.data).args(["--lock-timeout", "0.1"]).run();
        let gave_up = gave_up.expect_code(5).expect_error("still works on it").expect_hint("run this again");
        assert!(gave_up.stderr.contains("waiting for "), "{gave_up}");
    }
    drop(held);
    let held = lock(sandbox.path());
    let set = command(sandbox, &password_verbs()[1]).args(["--lock-timeout", "0.1"]).run();
    set.expect_code(5).expect_error("still works on it");
    drop(held);
    assert_eq!(watched(&cluster), before);
}

fn what_was_done_is_said_where_stdout_is_closed(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let closed = || std::io::pipe().expect("a pipe").1;
    let full = || File::options().write(true).open("/dev/full").expect("/dev/full");
    let changing = [
        ("pg-role", vec!["ensure", "replicator"]),
        ("pg-conf", vec!["set", "work_mem=8MB"]),
        ("pg-conf", vec!["allow", "replicator", "--from", "192.0.2.7"]),
        ("pg-pass", vec!["set", "-h", "db1", "-U", "replicator"]),
    ];
    for verb in &changing {
        let on_cluster = || command(sandbox, verb).arg("-D").arg(&cluster.data);
        let told = on_cluster().stdout(closed()).run();
        assert_eq!(told.code(), 1, "{told}");
        assert!(told.stderr.contains("what was asked for was done"), "{told}");
        on_cluster().run().success().expect_changed(false);
        let told = on_cluster().stdout(full()).run();
        assert!(told.code() == 1 && told.stderr.contains("nothing was changed"), "{told}");
    }
}

/// A primary with a role, and an empty cluster that is to be its standby.
fn two_clusters(sandbox: &Sandbox) -> (TestCluster<'_>, TestCluster<'_>) {
    let primary = sandbox.cluster("primary").start();
    primary.other_tool("pg-role", "ensure").arg("replicator").env("PGPASSWORD", "x").run().success();
    (primary, sandbox.cluster("standby").create())
}

fn way(primary: &TestCluster) -> Vec<String> {
    ["-h", "127.0.0.1", "-p", &primary.port.to_string(), "-U", "replicator"].map(str::to_owned).to_vec()
}

fn remember_password(primary: &TestCluster) {
    let set = primary.sandbox.tool("pg-pass").arg("set").args(way(primary)).env("PGPASSWORD", "x");
    set.arg("--passfile").arg(primary.sandbox.path().join("passwords")).run().success();
}

fn a_copy_that_no_rule_lets_in_says_which_rule_to_add(sandbox: &Sandbox) {
    let (primary, standby) = two_clusters(sandbox);
    remember_password(&primary);
    primary.write("pg_hba.conf", "local all all peer\n");
    primary.tool("reload").run().success();
    let before = (watched(&standby), names_below(&standby.data));
    for verb in ["run", "fetch"] {
        let fetch = standby.other_tool("pg-basebackup-swap", verb).args(way(&primary));
        let failed = fetch.env("PGPASSFILE", sandbox.path().join("passwords")).run().expect_code(1);
        let failed = failed.expect_error("no pg_hba.conf entry");
        failed.expect_hint("pg-conf allow replicator --from 127.0.0.1 | pg-cluster reload");
    }
    assert_eq!((watched(&standby), names_below(&standby.data)), before);
}

/// In mounts of its own, which end with it.
fn with_mounts(sandbox: &Sandbox, script: &str) -> Option<Outcome> {
    if !is_root() {
        skip("only root can mount");
        return None;
    }
    let script = sandbox.file("mounts.sh", script);
    Some(sandbox.pipeline(&format!("exec unshare --mount bash -e {}", script.display())).run())
}

fn a_mount_point_is_refused_before_anything_is_copied(sandbox: &Sandbox) {
    refuses_a_mount(sandbox, "", "is a mount point");
}

fn a_mount_inside_the_data_directory_is_refused_before_anything_is_copied(sandbox: &Sandbox) {
    refuses_a_mount(sandbox, "/pg_wal", "pg_wal");
}

fn refuses_a_mount(sandbox: &Sandbox, inside: &str, words: &str) {
    let (primary, standby) = two_clusters(sandbox);
    remember_password(&primary);
    let data = standby.data.display();
    let way = way(&primary).join(" ");
    let passwords = sandbox.path().join("passwords").display().to_string();
    let script = format!(
        "mount --bind {data}{inside} {data}{inside}\nexec pg-basebackup-swap run -D {data} {way} --passfile {passwords} </dev/null\n"
    );
    let before = names_below(&standby.data);
    let Some(refused) = with_mounts(sandbox, &script) else { return };
    let refused = refused.expect_code(3).expect_error(words).expect_error("mount");
    assert!(!refused.hint().is_empty(), "{refused}");
    assert_eq!(names_below(&standby.data), before);
    assert!(!sandbox.path().join("standby.incoming").exists());
}

fn too_little_room_is_refused_with_both_numbers(sandbox: &Sandbox) {
    let primary = sandbox.cluster("primary").start();
    primary.other_tool("pg-role", "ensure").arg("replicator").env("PGPASSWORD", "x").run().success();
    primary.sql("CREATE TABLE large AS SELECT n, repeat('x', 1000) AS x FROM generate_series(1, 40000) AS n");
    remember_password(&primary);
    // Slow enough for the primary to tell the size; and so fast that the disk is full before.
    for (rate, words) in [("--max-rate 4M", "the copy needs "), ("", "are free beside")] {
        let Some(refused) = fetch_into_little_room(sandbox, &primary, rate) else { return };
        let refused = refused.expect_code(3).expect_error(words).expect_error("are free beside").expect_hint("df -h");
        let error = refused.error();
        let numbers: Vec<u64> = error.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert!(rate.is_empty() || numbers.len() == 2 && numbers[0] > numbers[1], "both numbers: {refused}");
    }
}

/// 64 MB, of which a new cluster takes more than half.
fn fetch_into_little_room(sandbox: &Sandbox, primary: &TestCluster, options: &str) -> Option<Outcome> {
    let small = sandbox.path().join("small").display().to_string();
    let (way, port) = (way(primary).join(" "), sandbox.port());
    let (passwords, uid) = (sandbox.path().join("passwords").display().to_string(), sandbox.account.uid);
    let look = format!("(ls -A {small}; cd {small}/standby; find . -type f -exec md5sum {{}} +)");
    let script = format!(
        "mkdir -p {small}\n\
         mount -t tmpfs -o size=64m,uid={uid} none {small}\n\
         pg-cluster create --layout plain -D {small}/standby -p {port} --no-input >/dev/null\n\
         before=$({look})\n\
         code=0\n\
         pg-basebackup-swap run -D {small}/standby {way} {options} --passfile {passwords} </dev/null || code=$?\n\
         test \"$before\" = \"$({look})\" || exit 99\n\
         exit $code\n"
    );
    with_mounts(sandbox, &script)
}
