//! The binary where no server is reached: the exit code, one document, one way out, and no password in either.
#![allow(clippy::disallowed_methods)] // the tests set their own scenery

#[path = "../../tests/src/schema.rs"]
mod schema;

use assert_cmd::Command;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

fn command() -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("pg-role");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command
}

/// The document of a run with this standard input, which must end with this code.
fn run(arguments: &[&str], input: Option<&str>, code: i32) -> Value {
    let mut command = command();
    command.args(arguments);
    match input {
        Some(text) => command.write_stdin(text),
        None => command.arg("--no-input"),
    };
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(!said.contains("swordfish"), "{said}");
    document_of(&output, &format!("{arguments:?}"))
}

fn document_of(output: &Output, arguments: &str) -> Value {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!document.to_string().contains("swordfish"), "{document}");
    schema::expect_described(&document, &format!("pg-role {arguments}"));
    document
}

/// A cluster that a step before this one would make.
fn planned(host_id: &str) -> String {
    json!({"schema": "pg-runbook/1", "check": true, "changed": true, "cluster": {
        "host_id": host_id, "major": 17, "layout": "plain", "data_directory": "/nowhere/replica",
        "config_file": "/nowhere/replica/postgresql.conf", "hba_file": "/nowhere/replica/pg_hba.conf",
        "port": 5434, "owner": "root", "state": "absent"}})
    .to_string()
}

const ELSEWHERE: [&str; 4] = ["-h", "127.0.0.1", "-p", "1"];

#[test]
fn refuses_names_and_numbers_that_no_role_can_have() {
    let long = "x".repeat(64);
    for arguments in [
        &["ensure", ""][..],
        &["ensure", &long],
        &["ensure", "pg_monitor"],
        &["ensure", "public"],
        &["drop", "pg_monitor"],
        &["show", &long],
        &["ensure", "replicator", "--member-of", ""],
        &["ensure", "replicator", "--connection-limit", "-2"],
        &["ensure", "replicator", "--connection-limit", "many"],
        &["ensure", "replicator", "--password", "swordf1sh"],
        &["ensure"],
        &["nonsense"],
    ] {
        let document = run(arguments, None, 2);
        assert_eq!((&document["failed"], &document["changed"]), (&true.into(), &false.into()), "{arguments:?}");
    }
}

#[test]
fn a_password_file_that_is_missing_ends_it_before_any_server_is_asked() {
    let arguments = [&["ensure", "replicator", "--password-file", "/nowhere/swordfi5h"], &ELSEWHERE[..]].concat();
    let document = run(&arguments, None, 1);
    assert!(document["error"]["message"].as_str().unwrap().contains("/nowhere/swordfi5h"), "{document}");
}

#[test]
fn a_server_that_is_not_reached_is_worth_a_retry() {
    for verb in ["ensure", "show", "drop"] {
        let document = run(&[&[verb, "replicator"], &ELSEWHERE[..]].concat(), None, 5);
        assert_eq!(document["error"]["code"], 5);
        assert!(document["error"]["hint"].as_str().unwrap().contains("pg_isready"), "{document}");
    }
}

#[test]
fn a_named_server_leaves_the_documents_cluster_alone() {
    let host_id = pg_runbook::cluster::host::id();
    let document = run(&[&["ensure", "replicator"], &ELSEWHERE[..]].concat(), Some(&planned(&host_id)), 5);
    assert_eq!(document["cluster"]["data_directory"], "/nowhere/replica");
}

#[test]
fn the_environment_names_a_server_too() {
    let mut command = command();
    command.args(["show", "replicator", "--no-input"]).env("PGHOST", "127.0.0.1").env("PGPORT", "1");
    assert_eq!(command.output().unwrap().status.code(), Some(5));
}

#[test]
fn refuses_a_truncated_document_and_one_from_another_host() {
    run(&["ensure", "replicator"], Some(r#"{"schema":"pg-runbook/1","cha"#), 2);
    let document = run(&["ensure", "replicator"], Some(&planned("elsewhere")), 3);
    assert!(document["error"]["hint"].as_str().unwrap().contains("advertise"), "{document}");
}

#[test]
fn passes_a_failed_upstream_document_on() {
    let upstream = r#"{"schema":"pg-runbook/1.7","tool":"pg-cluster","failed":true,"extra":7}"#;
    let document = run(&["ensure", "replicator"], Some(upstream), 4);
    assert_eq!((&document["tool"], &document["extra"]), (&"pg-cluster".into(), &7.into()));
}

#[test]
fn an_empty_pipe_is_refused_where_a_role_would_go() {
    let document = run(&["drop", "replicator"], Some(""), 3);
    assert!(document["error"]["hint"].as_str().unwrap().contains("--no-input"), "{document}");
}

#[test]
fn has_nothing_to_say_of_a_cluster_that_is_only_planned() {
    let document = run(&["ensure", "replicator"], Some(&planned(&pg_runbook::cluster::host::id())), 0);
    assert!(document["msg"].as_str().unwrap().contains("does not exist yet"), "{document}");
    assert_eq!(document["check"], true);
}

#[test]
fn a_lost_standard_output_is_a_failure_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("document.json");
    fs::write(&input, planned(&pg_runbook::cluster::host::id())).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    for stdout in [Stdio::from(writer), Stdio::from(full)] {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("pg-role"));
        command.args(["ensure", "replicator", "--input"]).arg(&input).stdout(stdout).stderr(Stdio::piped());
        for name in ["PGCLUSTER", "PGDATA", "PGHOST", "PGHOSTADDR", "PGSERVICE"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("standard output") && !said.contains("panicked"), "{said}");
    }
}

fn as_module(folder: &Path, options: &Value, code: i32) -> Value {
    let file = folder.join("options.json");
    fs::write(&file, options.to_string()).unwrap();
    run_module(&file, code)
}

fn run_module(file: &Path, code: i32) -> Value {
    let output = command().arg("--ansible").arg(file).write_stdin("never read").output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    document_of(&output, "--ansible")
}

#[test]
fn gives_ansible_one_object_whatever_happens() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = json!({"action": "ensure", "name": "replicator", "password": "swordfish", "host": "127.0.0.1",
        "port": 1, "connection_limit": "5", "member_of": ["pg_monitor"], "_ansible_check_mode": true});
    assert_eq!(as_module(folder.path(), &options, 5)["failed"], true);
    options["nonsense"] = json!(1);
    assert_eq!(as_module(folder.path(), &options, 2)["failed"], true);
    let document = run_module(&folder.path().join("missing"), 1);
    assert_eq!(document["failed"], true);
}
