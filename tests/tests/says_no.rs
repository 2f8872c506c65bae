//! docs/when-it-says-no.md, row by row: each has its scenario, here or in the file that its tool's scenarios are in.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

#[path = "says_no/shown_by.rs"]
mod shown_by;

use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};
use shown_by::SHOWN_BY;
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
    a_mount_inside_the_data_directory_is_refused_before_anything_is_copied,
    too_little_room_is_refused_with_both_numbers,
);

const TABLE: &str = include_str!("../../docs/when-it-says-no.md");

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

fn a_mount_inside_the_data_directory_is_refused_before_anything_is_copied(sandbox: &Sandbox) {
    let (primary, standby) = two_clusters(sandbox);
    remember_password(&primary);
    let data = standby.data.display();
    let way = way(&primary).join(" ");
    let passwords = sandbox.path().join("passwords").display().to_string();
    let script = format!(
        "mount --bind {data}/pg_wal {data}/pg_wal\nexec pg-basebackup-swap run -D {data} {way} --passfile {passwords} </dev/null\n"
    );
    let before = names_below(&standby.data);
    let Some(refused) = with_mounts(sandbox, &script) else { return };
    let refused = refused.expect_code(3).expect_error("pg_wal").expect_error("mount");
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
