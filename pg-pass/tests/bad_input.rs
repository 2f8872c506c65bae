//! The binary on what can't be understood or written: the exit code, one document, one way out, nothing changed.
#![allow(clippy::disallowed_methods)] // the tests set their own scenery

mod scenery;

use scenery::Scene;
use std::fs;
use std::process::{Command, Stdio};

const SERVER: [&str; 6] = ["-h", "db1", "-p", "5434", "-U", "replicator"];

#[test]
fn refuses_arguments_that_make_no_sense() {
    let scene = Scene::new();
    for arguments in [
        &["-h", "db1", "-U", "replicator", "-p", "0"][..],
        &["-h", "db1", "-U", "replicator", "-p", "x"],
        &["-h", "db1"],
        &["-U", "replicator"],
        &["-h", "db1,db2", "-U", "replicator"],
        &["-h", "db1", "-U", "repli\ncator"],
        &["--nonsense"],
    ] {
        let document = scene.fails(2, "set", arguments);
        assert_eq!(document["changed"], false, "{arguments:?}");
        assert!(!scene.passfile().exists());
    }
    scene.fails(2, "check", &["-h", "*", "-U", "replicator"]);
    scene.fails(2, "list", &["--owner", "no-such-user"]);
}

#[test]
fn wants_a_password_from_somewhere() {
    let scene = Scene::new();
    let mut words = scene.arguments("list", &SERVER);
    "set".clone_into(&mut words[0]);
    let output = scene.command().args(&words).arg("--no-input").output().unwrap();
    let document = Scene::document(&output, 2);
    assert!(document["error"]["hint"].as_str().unwrap().contains("--password-file"), "{document}");
    let output = scene.command().args(&words).arg("--no-input").env("PGPASSWORD", "swordfish").output().unwrap();
    assert!(output.status.success());
    assert!(scene.text().ends_with(":swordfish\n"));
}

#[test]
fn a_password_file_that_is_missing_or_empty_changes_nothing() {
    let scene = Scene::new();
    let mut words = scene.arguments("set", &SERVER);
    words.push("--no-input".into());
    fs::remove_file(scene.folder().join("password")).unwrap();
    let document = Scene::document(&scene.command().args(&words).output().unwrap(), 1);
    assert!(document["error"]["message"].as_str().unwrap().contains("password"), "{document}");
    fs::write(scene.folder().join("password"), "\nsecond line\n").unwrap();
    Scene::document(&scene.command().args(&words).output().unwrap(), 2);
    assert!(!scene.passfile().exists());
}

#[test]
fn takes_the_password_from_standard_input() {
    let scene = Scene::new();
    let mut words = scene.arguments("list", &SERVER);
    "set".clone_into(&mut words[0]);
    let output = scene.command().args(&words).arg("--password-stdin").write_stdin("pw:1\n").output().unwrap();
    assert!(output.status.success());
    assert!(scene.text().ends_with(":pw\\:1\n"));
}

#[test]
fn refuses_a_truncated_document_and_one_from_another_host() {
    let scene = Scene::new();
    let truncated = scene.run_with_input("set", &SERVER, r#"{"schema":"pg-runbook/1","cha"#);
    assert_eq!(Scene::document(&truncated, 2)["failed"], true);
    let foreign = r#"{"schema":"pg-runbook/1","cluster":{"host_id":"elsewhere","major":17,"layout":"plain",
        "data_directory":"/d","config_file":"/d/c","hba_file":"/d/h","port":1,"owner":"root","state":"down"}}"#;
    let refused = Scene::document(&scene.run_with_input("set", &SERVER, foreign), 3);
    assert!(refused["error"]["hint"].as_str().unwrap().contains("advertise"), "{refused}");
    assert!(!scene.passfile().exists());
}

#[test]
fn passes_a_failed_upstream_document_on() {
    let scene = Scene::new();
    let upstream = r#"{"schema":"pg-runbook/1.7","tool":"pg-role","failed":true,"msg":"no","extra":7}"#;
    let document = Scene::document(&scene.run_with_input("set", &SERVER, upstream), 4);
    assert_eq!((&document["tool"], &document["extra"]), (&"pg-role".into(), &7.into()));
    assert!(!scene.passfile().exists());
}

#[test]
fn a_lost_standard_output_is_a_failure_and_no_panic() {
    let scene = Scene::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    for stdout in [Stdio::from(writer), Stdio::from(full)] {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pg-pass"));
        command.args(scene.arguments("set", &SERVER)).arg("--no-input").env("HOME", scene.folder());
        let output = command.env_remove("PGPASSFILE").stdout(stdout).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("standard output") && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn works_as_an_ansible_module() {
    let scene = Scene::new();
    let owner = pg_runbook::owner::Owner::starter().unwrap().name;
    let options = format!(
        r#"{{"action":"set","host":"db1","port":5434,"username":"replicator","password":"swordfish","owner":"{owner}",
            "_ansible_check_mode":false,"_ansible_diff":true,"_ansible_verbosity":0}}"#
    );
    let file = scene.folder().join("options.json");
    fs::write(&file, options).unwrap();
    for changed in [true, false] {
        let output = scene.command().arg("--ansible").arg(&file).output().unwrap();
        let document = Scene::document(&output, 0);
        assert_eq!(document["changed"], changed);
        assert!(!document.to_string().contains("swordfish"), "{document}");
    }
    fs::write(&file, r#"{"action":"set","nonsense":1}"#).unwrap();
    Scene::document(&scene.command().arg("--ansible").arg(&file).output().unwrap(), 2);
}
