//! The document as the contract describes it: types written a second time, so that a change of the tools' own is
//! noticed.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// What every tool writes on stdout. No field has a default: each must be there.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs, reason = "the contract says what they are")]
pub struct Document {
    pub schema: String,
    pub tool: String,
    pub action: String,
    pub changed: bool,
    pub check: bool,
    pub failed: bool,
    pub msg: String,
    #[serde(deserialize_with = "present")]
    pub cluster: Option<Cluster>,
    pub needs: Needs,
    pub changes: Vec<Change>,
    #[serde(deserialize_with = "present")]
    pub primary: Option<Primary>,
    pub warnings: Vec<String>,
    pub steps: Vec<Step>,
    #[serde(deserialize_with = "present")]
    pub error: Option<Error>,
    #[serde(flatten)]
    pub facts: Map<String, Value>,
}

/// One cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what they are")]
pub struct Cluster {
    pub host_id: String,
    #[serde(deserialize_with = "present")]
    pub version: Option<String>,
    pub major: u32,
    #[serde(deserialize_with = "present")]
    pub name: Option<String>,
    pub layout: String,
    pub data_directory: String,
    pub config_file: String,
    pub hba_file: String,
    pub port: u16,
    #[serde(deserialize_with = "present")]
    pub socket_directory: Option<String>,
    pub owner: String,
    #[serde(deserialize_with = "present")]
    pub service: Option<String>,
    #[serde(deserialize_with = "present")]
    pub system_identifier: Option<String>,
    pub state: String,
    #[serde(deserialize_with = "present")]
    pub role: Option<String>,
}

/// What the server must do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what they are")]
pub struct Needs {
    pub level: String,
    pub restart: Vec<String>,
    pub reload: Vec<String>,
}

/// One change.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what they are")]
pub struct Change {
    pub kind: String,
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub file: Option<String>,
    pub line: Option<u64>,
    pub context: Option<String>,
}

/// What standbys are told of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what they are")]
pub struct Primary {
    #[serde(deserialize_with = "present")]
    pub host: Option<String>,
    #[serde(deserialize_with = "present")]
    pub port: Option<u16>,
    #[serde(deserialize_with = "present")]
    pub username: Option<String>,
    #[serde(deserialize_with = "present")]
    pub slot: Option<String>,
    #[serde(deserialize_with = "present")]
    pub passfile: Option<String>,
    #[serde(deserialize_with = "present")]
    pub sslmode: Option<String>,
    #[serde(deserialize_with = "present")]
    pub major: Option<u32>,
    #[serde(deserialize_with = "present")]
    pub system_identifier: Option<String>,
    #[serde(deserialize_with = "present")]
    pub timeline: Option<u32>,
    pub settings: Map<String, Value>,
}

/// One tool's turn.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what they are")]
pub struct Step {
    pub tool: String,
    pub action: String,
    pub changed: bool,
    pub seconds: f64,
}

/// Why it failed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the contract says what they are")]
pub struct Error {
    pub tool: String,
    pub code: u8,
    pub message: String,
    pub causes: Vec<String>,
    #[serde(deserialize_with = "present")]
    pub hint: Option<String>,
}

/// May be null, must be there.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

impl Document {
    /// Reads one, and sees that its parts agree.
    pub fn read(value: &Value) -> Self {
        let document: Self =
            serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}, in the document {value:#}"));
        assert_eq!(document.schema, "pg-runbook/1");
        assert_eq!(document.failed, document.error.is_some(), "failed and error disagree: {value:#}");
        assert!(["none", "reload", "restart", "start"].contains(&document.needs.level.as_str()), "{value:#}");
        assert!(!document.msg.is_empty(), "no message: {value:#}");
        assert!(!document.msg.contains('\n'), "the message has several lines: {value:#}");
        for taken in ["rc", "results", "stdout", "skipped", "ansible_facts", "invocation", "exception"] {
            assert!(!document.facts.contains_key(taken), "{taken} means something else to Ansible");
        }
        document
    }
}
