//! Each document that a test sees is held against the JSON Schema, in a copy that leaves nothing open.
//!
//! What must always hold: what a newer minor may add (a field, a word in a list that may grow) is here what somebody forgot
//! to describe.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use pg_runbook::document::JSON_SCHEMA;
use serde_json::Value;
use std::sync::LazyLock;

static CLOSED: LazyLock<Validator> = LazyLock::new(|| {
    let mut schema = serde_json::from_str(JSON_SCHEMA).expect("the schema is JSON");
    close(&mut schema);
    jsonschema::validator_for(&schema).expect("it is a JSON Schema")
});

/// No object has other fields than those that are described, and no list that may grow has other words than it has now.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(parts) => {
            if parts.contains_key("properties") {
                parts.insert("additionalProperties".into(), false.into());
            }
            if let Some(words) = parts.get("examples").cloned() {
                parts.insert("enum".into(), words);
            }
            parts.values_mut().for_each(close);
        }
        Value::Array(parts) => parts.iter_mut().for_each(close),
        _ => {}
    }
}

/// Expects that the schema describes a document, all of it; `command` is what wrote it.
#[track_caller]
pub fn expect_described(document: &Value, command: &str) {
    let violations: Vec<String> = CLOSED.iter_errors(document).flat_map(|error| shown(&error)).collect();
    assert!(
        violations.is_empty(),
        "docs/pg-runbook-1.schema.json (cargo xtask docs) does not describe what was written by\n{command}\n{}",
        violations.join("\n")
    );
}

/// What is wrong with a thing that may be null besides is told of the thing.
fn shown(error: &ValidationError<'_>) -> Vec<String> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } => context.iter().take(1).flatten().flat_map(shown).collect(),
        _ => vec![format!("{}: {error}", error.instance_path())],
    }
}
