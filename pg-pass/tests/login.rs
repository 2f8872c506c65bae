//! `pg-pass check` with a psql that says what real ones said.
#![allow(clippy::disallowed_methods)] // the tests set their own scenery

mod scenery;

use scenery::Scene;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const SERVER: [&str; 6] = ["-h", "db1", "-p", "5434", "-U", "replicator"];
const LINE: &str = "db1:5434:replication:replicator:swordfish\n";
const ANSWERS: &str = "for word; do case \"$word\" in
    IDENTIFY_SYSTEM) echo '7301234567890123456|3|0/3000148|' ;;
    'SHOW server_version_num') echo 170006 ;;
    'SHOW max_connections') echo 128 ;;
    'SHOW max_prepared_transactions') echo 0 ;;
    'SHOW max_locks_per_transaction') echo 64 ;;
    'SHOW '*) echo 10 ;;
esac; done";
const WANTS_PASSWORD: &str = "case \"$*\" in
    *passfile=/dev/null*) echo 'psql: error: fe_sendauth: no password supplied' >&2; exit 2 ;;
esac";

/// Runs `check` with a psql that is this script.
fn check(scene: &Scene, script: &str, arguments: &[&str], input: Option<&str>, code: i32) -> Value {
    let psql = scene.folder().join("psql");
    let version = "[ \"$1\" = -V ] && echo 'psql (PostgreSQL) 99.0' && exit";
    fs::write(&psql, format!("#!/bin/sh\n{version}\n{script}\n")).unwrap();
    fs::set_permissions(&psql, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = scene.command();
    command.env("PG_RUNBOOK_BINDIRS", scene.folder()).args(scene.arguments("check", arguments));
    match input {
        Some(text) => command.write_stdin(text),
        None => command.arg("--no-input"),
    };
    let document = Scene::document(&command.output().unwrap(), code);
    assert!(!document.to_string().contains(scenery::PASSWORD), "{document}");
    document
}

#[test]
fn a_login_that_works_completes_the_primary_and_keeps_the_slot() {
    let scene = Scene::with(LINE);
    let upstream = r#"{"schema":"pg-runbook/1.7","primary":{"host":"db1","port":5434,"username":"replicator","slot":"s1",
        "system_identifier":"7301234567890123456","region":"eu"}}"#;
    let document = check(&scene, &format!("{WANTS_PASSWORD}\n{ANSWERS}"), &[], Some(upstream), 0);
    assert_eq!(document["login"]["system_identifier"], "7301234567890123456");
    assert_eq!(document["login"]["timeline"], 3);
    assert_eq!(document["passfile"]["line"], 1);
    let primary = &document["primary"];
    assert_eq!((&primary["slot"], &primary["region"], &primary["major"]), (&"s1".into(), &"eu".into(), &17.into()));
    assert_eq!(primary["settings"]["max_connections"], 128);
    assert_eq!(primary["passfile"], scene.passfile().to_str().unwrap());
    assert_eq!(document["warnings"], Value::Array(Vec::new()));
}

#[test]
fn another_system_that_answers_is_a_failure() {
    let scene = Scene::with(LINE);
    let upstream = r#"{"schema":"pg-runbook/1","primary":{"host":"db1","port":5434,"username":"replicator",
        "system_identifier":"7777777777777777777"}}"#;
    let document = check(&scene, ANSWERS, &[], Some(upstream), 1);
    assert_eq!(document["error"]["message"], "another system answers at db1:5434");
}

#[test]
fn a_password_that_nobody_asked_for_is_not_called_right() {
    let scene = Scene::with(LINE);
    let document = check(&scene, ANSWERS, &SERVER, None, 0);
    assert!(document["warnings"][0].as_str().unwrap().contains("was not tried"), "{document}");
    assert!(!document["msg"].as_str().unwrap().contains("line 1"), "{document}");
}

#[test]
fn a_server_that_asks_for_no_password_needs_no_file() {
    let document = check(&Scene::new(), ANSWERS, &SERVER, None, 0);
    assert!(document["warnings"][0].as_str().unwrap().contains("there is no password file"), "{document}");
    assert!(document["primary"]["passfile"].is_null());
}

#[test]
fn a_wrong_password_names_its_line_and_the_command_that_mends_it() {
    let scene = Scene::with(LINE);
    let script = "echo 'FATAL:  password authentication failed for user \"replicator\"' >&2; exit 2";
    let document = check(&scene, script, &SERVER, None, 1);
    assert!(document["error"]["causes"].to_string().contains("line 1 of"), "{document}");
    assert!(document["error"]["hint"].as_str().unwrap().starts_with("pg-pass set -h db1 -p 5434 -U replicator"));
}

#[test]
fn no_file_no_line_and_a_loose_mode_are_told_as_what_they_are() {
    let script = "echo 'psql: error: fe_sendauth: no password supplied' >&2; exit 2";
    let missing = check(&Scene::new(), script, &SERVER, None, 1);
    assert!(missing["error"]["message"].as_str().unwrap().starts_with("there is no password file"), "{missing}");
    let other = check(&Scene::with("db2:*:*:*:x\n"), script, &SERVER, None, 1);
    assert!(other["error"]["message"].as_str().unwrap().starts_with("no line of"), "{other}");
    assert!(other["error"]["hint"].as_str().unwrap().starts_with("pg-pass set"), "{other}");
    let scene = Scene::with(LINE);
    fs::set_permissions(scene.passfile(), fs::Permissions::from_mode(0o640)).unwrap();
    let loose = check(&scene, script, &SERVER, None, 1);
    assert!(loose["error"]["hint"].as_str().unwrap().starts_with("chmod 0600"), "{loose}");
}

#[test]
fn a_server_that_is_not_reached_is_worth_a_retry() {
    let script = "echo 'psql: error: connection to server failed: Connection refused' >&2; exit 2";
    check(&Scene::with(LINE), script, &SERVER, None, 5);
}

#[test]
fn tries_no_login_that_depends_on_steps_not_taken() {
    let scene = Scene::new();
    let upstream = r#"{"schema":"pg-runbook/1","check":true,"changed":true,
        "primary":{"host":"db1","port":5434,"username":"replicator"}}"#;
    let document = check(&scene, "exit 2", &[], Some(upstream), 0);
    assert!(document["msg"].as_str().unwrap().contains("was not tried"), "{document}");
}
