//! The real binary, where it needs no server: what it refuses before it looks at a cluster.
#![allow(clippy::disallowed_methods)] // the tests set their own scenery

#[path = "../../tests/src/schema.rs"]
mod schema;

use assert_cmd::Command;
use serde_json::Value;
use std::io::Write;

fn pg_conf(words: &[&str]) -> Command {
    let mut command = Command::cargo_bin("pg-conf").unwrap();
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("PG_CLUSTER_CONF_ROOT", "/nonexistent");
    command
}

/// The exit code, the document and stderr.
fn run(command: &mut Command) -> (i32, Value, String) {
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let document = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout:?}"));
    schema::expect_described(&document, &format!("{command:?}"));
    (output.status.code().unwrap(), document, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn bad_arguments_are_usage_errors_with_a_document() {
    for words in [
        &["set"][..],
        &["set", "wal_level"],
        &["set", "config_file=/x"],
        &["unset", "wal_level=replica"],
        &["allow"],
        &["frobnicate"],
        &["get", "--no-such-option"],
    ] {
        let (code, document, stderr) = run(pg_conf(words).arg("--no-input"));
        assert_eq!(code, 2, "{words:?}: {stderr}");
        assert_eq!(document["failed"], true, "{words:?}");
        assert_eq!(document["changed"], false, "{words:?}");
        assert_eq!(document["error"]["code"], 2, "{words:?}");
        assert!(stderr.starts_with("pg-conf: error: "), "{stderr}");
    }
}

#[test]
fn a_setting_without_a_value_is_shown_how_to_be_one() {
    let (_, document, _) = run(&mut pg_conf(&["set", "wal_level", "--no-input"]));
    assert_eq!(document["error"]["message"], "\"wal_level\" is not NAME=VALUE");
    assert_eq!(document["error"]["hint"], "pg-conf set wal_level=VALUE");
}

#[test]
fn a_directory_that_is_no_data_directory_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["get", "check", "rules", "match"] {
        let (code, document, _) = run(pg_conf(&[verb, "--no-input", "-D"]).arg(folder.path()));
        assert_eq!(code, 2, "{verb}");
        assert!(document["msg"].as_str().unwrap().ends_with("is not a data directory"), "{document}");
        let (code, ..) = run(&mut pg_conf(&[verb, "--no-input", "-D", "/nonexistent/data"]));
        assert_eq!(code, 2, "{verb}");
    }
}

#[test]
fn truncated_foreign_and_double_documents_are_usage_errors() {
    for text in [r#"{"schema":"pg-runbook/1""#, r#"{"schema":"other/1"}"#, "{}", r#"{"schema":"pg-runbook/1"} {}"#, "x"]
    {
        let (code, document, _) = run(pg_conf(&["set", "wal_level=replica", "--input", "-"]).write_stdin(text));
        assert_eq!(code, 2, "{text}");
        assert!(document["msg"].as_str().unwrap().starts_with("standard input is not"), "{document}");
    }
}

#[test]
fn a_document_from_another_host_is_refused() {
    let text = r#"{"schema":"pg-runbook/1","cluster":{"host_id":"elsewhere","major":17,"layout":"plain",
        "data_directory":"/d","config_file":"/d/postgresql.conf","hba_file":"/d/pg_hba.conf","port":5432,
        "owner":"postgres","state":"running"}}"#;
    for verb in [&["set", "wal_level=replica"][..], &["rules"], &["allow", "replicator", "--from", "192.0.2.7"]] {
        let (code, document, _) = run(pg_conf(verb).args(["--input", "-"]).write_stdin(text));
        assert_eq!(code, 3, "{verb:?}");
        assert!(document["error"]["hint"].as_str().unwrap().contains("pg-cluster advertise"), "{document}");
    }
}

#[test]
fn an_upstream_failure_is_passed_on_and_nothing_is_done() {
    let text = r#"{"schema":"pg-runbook/1","tool":"pg-role","failed":true,"msg":"no"}"#;
    let set = ["set", "wal_level=replica", "--input"];
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let by_pipe = run(pg_conf(&set).arg("-").write_stdin(text));
    let by_file = run(pg_conf(&set).arg(file.path()));
    for (code, document, _) in [&by_pipe, &by_file] {
        assert_eq!(*code, 4);
        assert_eq!((&document["tool"], &document["msg"]), (&"pg-role".into(), &"no".into()));
    }
    // Amid a pipeline the one that failed has said all that there is to say.
    assert_eq!(by_pipe.2, "");
    assert_eq!(by_file.2, "pg-conf: error: pg-role failed before; nothing was done here\n");
}

#[test]
fn an_empty_pipe_is_no_document() {
    let folder = tempfile::tempdir().unwrap();
    let (code, document, _) = run(pg_conf(&["rules", "-D"]).arg(folder.path()).write_stdin(""));
    assert_eq!(code, 2);
    assert!(document["msg"].as_str().unwrap().ends_with("is not a data directory"), "{document}");
}

#[test]
fn help_is_a_text_and_no_failure() {
    for words in [&["--help"][..], &["-?"], &["set", "--help"], &["--version"]] {
        let output = pg_conf(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        assert!(String::from_utf8(output.stdout).unwrap().len() > 10, "{words:?}");
    }
}
