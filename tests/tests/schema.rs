//! The JSON Schema: where it is to be had, that it leaves nothing undescribed, and what it is good for.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use serde_json::{Value, json};
use std::panic::catch_unwind;
use tests::{Sandbox, Stdin, expect_described, has_program, on_the_machines_own};

on_the_machines_own!(
    every_tool_shows_the_schema_and_needs_nothing_for_it,
    a_document_with_anything_that_is_not_described_is_told,
    what_the_page_does_with_jq_works,
);

const TOOLS: [&str; 5] = ["pg-role", "pg-conf", "pg-cluster", "pg-pass", "pg-basebackup-swap"];
const PUBLISHED: &str = include_str!("../../docs/pg-runbook-1.schema.json");
const PAGE: &str = include_str!("../../docs/document.md");

fn every_tool_shows_the_schema_and_needs_nothing_for_it(sandbox: &Sandbox) {
    let file = sandbox.path().join("schema.json");
    let shown = |words: &str, data: &str| {
        let script = format!("{words} > '{}'", file.display());
        // Somebody who waits for standard input would wait for ever.
        let ran = sandbox.pipeline(&script).env("PGDATA", data).stdin(Stdin::SilentPipe).run();
        assert_eq!((ran.code(), ran.stderr.as_str()), (0, ""), "{ran}");
        std::fs::read_to_string(&file).expect("what was shown")
    };
    for tool in TOOLS {
        assert_eq!(shown(&format!("{tool} --schema"), "/nonexistent"), PUBLISHED, "{tool}");
    }
    assert_eq!(shown("pg-cluster stop --schema", "/nonexistent"), PUBLISHED);
    let schema: Value = serde_json::from_str(PUBLISHED).expect("the schema is JSON");
    jsonschema::meta::validate(&schema).expect("it is a JSON Schema");
    assert_eq!(schema["additionalProperties"], true, "a newer minor may add fields");
}

fn a_document_with_anything_that_is_not_described_is_told(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let good = cluster.tool("advertise").args(["--host", "db1", "--role", "replicator"]).run().success().document;
    let told = |at: &str, value: Value| {
        let mut bad = good.clone();
        let (above, name) = at.rsplit_once('/').expect("a path");
        bad.pointer_mut(above).expect("what is described")[name] = value;
        let violation = catch_unwind(|| expect_described(&bad, "pg-cluster advertise")).expect_err(at);
        violation.downcast_ref::<String>().expect("a message").clone()
    };
    let forgotten = told("/weather", json!("grey"));
    assert!(forgotten.contains("'weather'") && forgotten.contains("pg-cluster advertise"), "{forgotten}");
    assert!(told("/primary/region", json!("eu")).contains("at \"/primary\": "), "a field of an object");
    assert!(told("/primary/system_identifier", json!(7)).contains("at \"/primary/system_identifier\": "), "a number");
    assert!(
        told("/cluster/system_identifier", json!("0x7")).contains("at \"/cluster/system_identifier\": "),
        "no digits"
    );
    assert!(told("/cluster/state", json!("tired")).contains("at \"/cluster/state\": "), "a word that isn't in a list");
    assert!(
        told("/changes", json!([{"kind": "mood", "name": "x"}])).contains("at \"/changes/0/kind\": "),
        "nor in one that grows"
    );
    assert!(told("/standbys", json!([{"lag_bytes": "1"}])).contains("at \"/standbys/0"), "a fact");
    let mut newer = good.clone();
    (newer["schema"], newer["weather"]) = (json!("pg-runbook/1.7"), json!("grey"));
    expect_described(&newer, "a tool to come");
    assert!(told("/warnings", Value::Null).contains("at \"/warnings\": "), "nothing");
}

/// Each of the page's lines, with what it prints here.
fn what_the_page_does_with_jq_works(sandbox: &Sandbox) {
    if !has_program("/usr/bin/jq") {
        return;
    }
    let cluster = sandbox.cluster("primary").start();
    let data = cluster.data.display().to_string();
    let lines: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("pg-") && line.contains("| jq ")).collect();
    let prints = |line: &str| {
        let ran = sandbox.pipeline(&format!("set -o pipefail; {line}")).env("PGDATA", &data).run();
        assert_eq!(ran.code(), 0, "{ran}");
        ran.stdout
    };
    let [running, change, waiting] = lines[..] else { panic!("three lines: {lines:?}") };
    assert!(prints(running).lines().any(|line| line == data), "{}", prints(running));
    assert_eq!(prints(change), "max_connections: 100 -> 200\n");
    assert_eq!(prints(waiting), "");
    cluster.other_tool("pg-conf", "set").arg("max_connections=123").run().success();
    cluster.tool("reload").run().success();
    assert_eq!(prints(waiting), "max_connections\n");
}
