//! The binary on password files: what `set`, `remove` and `list` do, and what they never show.
#![allow(clippy::disallowed_methods)] // the tests set their own scenery

mod scenery;

use scenery::Scene;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const SERVER: [&str; 6] = ["-h", "db1", "-p", "5434", "-U", "replicator"];

#[test]
fn makes_a_private_file_and_tells_the_next_tool_of_it() {
    let scene = Scene::new();
    let document = scene.ok("set", &SERVER);
    assert_eq!(scene.text(), "db1:5434:replication:replicator:swordfish\n");
    assert_eq!(scene.mode(), 0o600);
    assert_eq!(document["changed"], true);
    assert_eq!(document["changes"][0]["kind"], "password_line");
    assert_eq!(document["changes"][0]["name"], "db1:5434:replication:replicator");
    assert_eq!(document["changes"][0]["line"], 1);
    assert_eq!(document["primary"]["passfile"], scene.passfile().to_str().unwrap());
    assert_eq!(document["primary"]["host"], "db1");
    assert_eq!(document["primary"]["port"], 5434);
    assert_eq!(document["primary"]["username"], "replicator");
}

#[test]
fn a_second_run_changes_nothing_not_even_the_time() {
    let scene = Scene::new();
    scene.ok("set", &SERVER);
    let before = fs::metadata(scene.passfile()).unwrap();
    let document = scene.ok("set", &SERVER);
    let after = fs::metadata(scene.passfile()).unwrap();
    assert_eq!(document["changed"], false);
    assert_eq!((before.ino(), before.mtime(), before.mtime_nsec()), (after.ino(), after.mtime(), after.mtime_nsec()));
}

#[test]
fn check_reports_and_writes_nothing() {
    let scene = Scene::new();
    let document = scene.ok("set", &[&SERVER[..], &["--check", "--diff"]].concat());
    assert_eq!(document["changed"], true);
    assert_eq!(document["diff"][0]["after"], "db1:5434:replication:replicator:(new)\n");
    assert!(!scene.passfile().exists());
}

#[test]
fn detailed_exitcode_tells_a_change_from_none() {
    let scene = Scene::new();
    let arguments = [&SERVER[..], &["--detailed-exitcode"]].concat();
    assert_eq!(scene.run("set", &arguments).status.code(), Some(10));
    assert_eq!(scene.run("set", &arguments).status.code(), Some(0));
}

#[test]
fn makes_a_file_private_that_others_can_read() {
    let scene = Scene::new();
    scene.ok("set", &SERVER);
    fs::set_permissions(scene.passfile(), fs::Permissions::from_mode(0o644)).unwrap();
    let listed = scene.ok("list", &[]);
    assert!(listed["warnings"][0].as_str().unwrap().contains("libpq ignores"), "{listed}");
    let checked = scene.ok("set", &[&SERVER[..], &["--check"]].concat());
    assert_eq!((checked["changed"].as_bool(), scene.mode()), (Some(true), 0o644));
    let document = scene.ok("set", &SERVER);
    assert_eq!(scene.mode(), 0o600);
    assert_eq!(document["changes"][0]["kind"], "password_file");
    assert_eq!(document["changes"][0]["before"], "0644");
    assert_eq!(scene.ok("set", &SERVER)["changed"], false);
}

#[test]
fn keeps_a_symbolic_link_and_writes_where_it_points() {
    let scene = Scene::new();
    let real = scene.folder().join("real");
    fs::write(&real, "# mine\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&real, scene.passfile()).unwrap();
    scene.ok("set", &SERVER);
    assert_eq!(fs::read_link(scene.passfile()).unwrap(), real);
    assert_eq!(fs::read_to_string(real).unwrap(), "# mine\ndb1:5434:replication:replicator:swordfish\n");
}

#[test]
fn says_which_wildcard_would_win_and_goes_before_it() {
    let scene = Scene::with("# ours\n*:*:*:*:old-secret\n");
    let output = scene.run("set", &SERVER);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("placed before *:*:*:*, which would win"), "{said}");
    assert_eq!(scene.text(), "# ours\ndb1:5434:replication:replicator:swordfish\n*:*:*:*:old-secret\n");
}

#[test]
fn a_star_makes_a_line_for_any_server_and_is_not_told_as_a_host() {
    let scene = Scene::new();
    let document = scene.ok("set", &["-h", "*", "-p", "*", "-U", "replicator"]);
    assert_eq!(scene.text(), "*:*:replication:replicator:swordfish\n");
    assert!(document["primary"]["host"].is_null() && document["primary"]["port"].is_null());
}

#[test]
fn removes_its_line_and_says_which_other_still_matches() {
    let scene = Scene::with("db1:5434:replication:replicator:swordfish\n*:*:*:*:old-secret\n");
    let document = scene.ok("remove", &SERVER);
    assert_eq!(scene.text(), "*:*:*:*:old-secret\n");
    assert!(document["warnings"][0].as_str().unwrap().contains("line 1"), "{document}");
    assert_eq!(scene.ok("remove", &SERVER)["changed"], false);
}

#[test]
fn removing_from_a_file_that_is_not_there_makes_none() {
    let scene = Scene::new();
    assert_eq!(scene.ok("remove", &SERVER)["changed"], false);
    assert!(!scene.passfile().exists());
}

#[test]
fn lists_lines_without_passwords_and_names_malformed_ones() {
    let scene = Scene::with("#db0:1:2:3:old-secret\ndb1:5434:replication:replicator:swordfish\nold-secret\n");
    let document = scene.ok("list", &[]);
    let lines = document["lines"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[0]["line"], &lines[0]["host"]), (1, &2.into(), &"db1".into()));
    assert!(document["warnings"][0].as_str().unwrap().contains("line 3"), "{document}");
    let text = scene.run("list", &["--output", "text"]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("   2  db1 "));
}

#[test]
fn never_shows_a_password() {
    let scene = Scene::with("db1:5434:replication:replicator:old-secret\nold-secret\n#old-secret\n");
    let diff = [&SERVER[..], &["--diff", "-v", "--output", "json"]].concat();
    for (verb, arguments) in [("list", &["-v"][..]), ("set", &diff), ("remove", &diff)] {
        // `run` looks for both passwords in everything that is written.
        assert!(scene.run(verb, arguments).status.success());
    }
}

#[test]
fn takes_the_server_from_the_document_and_the_file_from_where_it_was_set() {
    let scene = Scene::new();
    let upstream = r#"{"schema":"pg-runbook/1","primary":{"host":"db7","port":5440,"username":"standby","slot":"s1"}}"#;
    let document = scene.ok_with_input("set", &[], upstream);
    assert_eq!(scene.text(), "db7:5440:replication:standby:swordfish\n");
    assert_eq!(document["primary"]["slot"], "s1");
    assert_eq!(document["steps"].as_array().unwrap().len(), 1);
}

#[test]
fn escapes_what_the_file_gives_a_meaning() {
    let scene = Scene::new();
    scene.ok("set", &["-h", "::1", "-p", "5434", "-U", "a\\b"]);
    assert_eq!(scene.text(), "\\:\\:1:5434:replication:a\\\\b:swordfish\n");
}
