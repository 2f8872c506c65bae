//! The JSON Schema: the document's own fields, and beside them what the verbs of each tool report.
//!
//! What must always hold: it says what the tools write, so a field that is always there is required; what a newer minor
//! may add stays allowed.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// What each of the tools writes on stdout as one JSON object, and reads on stdin. Beside the fields that are always there,
/// a document has the facts that the verbs of its pipeline reported; fields that are not described here are a newer
/// minor's, and are kept and passed on.
#[derive(JsonSchema)]
#[schemars(title = "A document of pg-runbook", extend("$id" = "urn:pg-runbook:document:1"))]
#[expect(dead_code, reason = "it is only described")]
struct Described {
    #[schemars(flatten)]
    document: pg_runbook::Document,
    #[schemars(flatten)]
    role: Option<pg_role::Facts>,
    #[schemars(flatten)]
    conf: Option<pg_conf::Facts>,
    #[schemars(flatten)]
    cluster: Option<pg_cluster::Facts>,
    #[schemars(flatten)]
    pass: Option<pg_pass::Facts>,
    #[schemars(flatten)]
    swap: Option<pg_basebackup_swap::Facts>,
}

/// As it is published.
pub fn text() -> Result<String, String> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Described>();
    RecursiveTransform(plain).transform(&mut schema);
    serde_json::to_string_pretty(&schema).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// Leaves out what means something to Rust only: the names of its integers, which strict validators take for unknown
/// formats, and the defaults of fields that are always there. A description's lines end
/// where its reader's do.
fn plain(schema: &mut Schema) {
    schema.remove("format");
    schema.remove("default");
    if let Some(Value::String(text)) = schema.get("description") {
        let text = text.replace('\n', " ");
        schema.insert("description".into(), json!(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::schema_for;
    use std::collections::BTreeMap;

    #[test]
    fn a_key_is_one_thing_whichever_tool_reports_it() {
        let described = [
            schema_for!(pg_runbook::Document),
            schema_for!(pg_role::Facts),
            schema_for!(pg_conf::Facts),
            schema_for!(pg_cluster::Facts),
            schema_for!(pg_pass::Facts),
            schema_for!(pg_basebackup_swap::Facts),
        ];
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        for schema in &described {
            for (key, description) in schema.get("properties").and_then(Value::as_object).expect("fields") {
                let before = known.insert(key.clone(), description.clone());
                assert!(before.is_none_or(|before| before == *description), "{key} is two things");
            }
        }
        assert!(known.len() > 30, "{known:#?}");
    }

    #[test]
    fn what_a_json_number_may_not_hold_is_a_string() {
        fn look(name: &str, schema: &Value, seen: &mut Vec<String>) {
            if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
                fields.iter().for_each(|(name, schema)| look(name, schema, seen));
            }
            if let Some(types) = schema.get("$defs").and_then(Value::as_object) {
                types.iter().for_each(|(name, schema)| look(name, schema, seen));
            }
            if ["system_identifier", "received", "replayed"].contains(&name) {
                let kind = &schema["type"];
                assert!(*kind == "string" || *kind == json!(["string", "null"]), "{name}: {schema}");
                assert!(schema["pattern"].is_string(), "{name}: {schema}");
                seen.push(name.into());
            }
        }
        let mut seen = Vec::new();
        look("", &serde_json::from_str(&text().unwrap()).unwrap(), &mut seen);
        assert!(seen.len() >= 10, "{seen:?}");
    }
}
