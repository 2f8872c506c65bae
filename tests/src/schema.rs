//! Each document that a test sees is held against the JSON Schema: one that says it is a newer minor's as it is published,
//! any other in a copy that leaves nothing open.
//!
//! What must always hold: what only a newer minor may add (a field, a word in a list that may grow) is, where there is no
//! such minor, what somebody forgot to describe.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use pg_runbook::document::{JSON_SCHEMA, SCHEMA};
use serde_json::Value;
use std::sync::LazyLock;

static OPEN: LazyLock<Validator> = LazyLock::new(|| validator(&published()));
static CLOSED: LazyLock<Validator> = LazyLock::new(|| {
    let mut schema = published();
    close(&mut schema);
    validator(&schema)
});

fn published() -> Value {
    serde_json::from_str(JSON_SCHEMA).expect("the schema is JSON")
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).expect("it is a JSON Schema")
}

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
    let schema = if document["schema"] == SCHEMA { &CLOSED } else { &OPEN };
    let violations: Vec<String> = schema.iter_errors(document).flat_map(|error| shown(&error)).collect();
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
        _ => vec![format!("at {:?}: {error}", error.instance_path().as_str())],
    }
}
