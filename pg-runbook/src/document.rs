//! The JSON document that travels down a pipeline: these types are its specification.
//!
//! What must always hold: fields that this version does not know are kept and passed on; `steps` and `changes` are
//! appended to, never rewritten; no field can hold a password.

use crate::cli::colour::{Mark, Palette};
use crate::cluster::Cluster;
use crate::failure::{Code, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// The schema's name and major version; a minor may follow a dot.
pub const SCHEMA: &str = "pg-runbook/1";

/// The JSON Schema of all documents, with every verb's facts, as it is published: `cargo xtask docs` makes it of these
/// types and of each tool's `Facts`.
pub const JSON_SCHEMA: &str = include_str!("../../docs/pg-runbook-1.schema.json");
/// A system identifier, as a regular expression: it can be larger than what a JSON number is sure to hold.
pub const SYSTEM_IDENTIFIER: &str = "^[0-9]+$";
/// A location in the write-ahead log, as a regular expression.
pub const LOCATION: &str = "^[0-9A-F]+/[0-9A-F]+$";

/// What a tool says on stdout, and reads on stdin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// `pg-runbook/1`; a minor may follow a dot.
    #[schemars(regex(pattern = r"^pg-runbook/1(\.[0-9]+)?$"))]
    pub schema: String,
    /// The tool that wrote it, such as `pg-conf`.
    #[serde(default)]
    pub tool: String,
    /// The verb, such as `set`; empty where none was understood.
    #[serde(default)]
    pub action: String,
    /// Whether any step of the pipeline changed something (with `check`: would change something).
    #[serde(default)]
    pub changed: bool,
    /// Whether this is a report only; contagious.
    #[serde(default)]
    pub check: bool,
    /// Whether the pipeline failed; whoever reads it does nothing.
    #[serde(default)]
    pub failed: bool,
    /// One sentence for people.
    #[serde(default)]
    pub msg: String,
    /// The cluster that was worked on, and that the next tool works on; null where none is known.
    #[serde(default)]
    pub cluster: Option<Cluster>,
    /// What the server must do before the changes are in force.
    #[serde(default)]
    pub needs: Needs,
    /// What was changed, by all steps so far.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// The server that standbys replicate from; null where none is known.
    #[serde(default)]
    pub primary: Option<Primary>,
    /// Before and after, with `--diff`; absent where nothing differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<Diff>,
    /// What deserves a look although nothing failed.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The tools that ran, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Why it failed; null where it did not.
    #[serde(default)]
    pub error: Option<Report>,
    /// What a verb reports beyond these, under the verb's own key; and fields of a newer minor.
    #[serde(flatten)]
    pub facts: Map<String, Value>,
}

impl Document {
    /// A document with nothing in it yet.
    #[must_use]
    pub fn new(tool: &str, action: &str) -> Self {
        Self {
            schema: SCHEMA.into(),
            tool: tool.into(),
            action: action.into(),
            changed: false,
            check: false,
            failed: false,
            msg: String::new(),
            cluster: None,
            needs: Needs::default(),
            changes: Vec::new(),
            primary: None,
            diff: Vec::new(),
            warnings: Vec::new(),
            steps: Vec::new(),
            error: None,
            facts: Map::new(),
        }
    }

    /// Reads one document; `origin` names where the text came from.
    pub fn read(text: &str, origin: &str) -> Result<Self, Failure> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let unreadable = |error: &dyn std::fmt::Display| {
            Failure::usage(format!("{origin} is not a {SCHEMA} document"))
                .because(error)
                .hint("give each tool the output of one tool: a | b | c")
        };
        let value = match values.next() {
            Some(value) => value.map_err(|error| unreadable(&error))?,
            None => return Err(unreadable(&"it is empty")),
        };
        if values.next().is_some() {
            return Err(unreadable(&"more than one JSON value; a pipeline carries one document"));
        }
        let schema = value.get("schema").and_then(Value::as_str).unwrap_or_default();
        if schema.split('.').next() != Some(SCHEMA) {
            return Err(unreadable(&format!("its schema is {schema:?}")));
        }
        serde_json::from_value(value).map_err(|error| unreadable(&error))
    }

    /// The document as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| {
            // Only a path that is not UTF-8 can do this; say so in a document that can be written.
            let mut plain = Self::new(&self.tool, &self.action);
            plain.fail(&Failure::failed("write the document").because(error));
            serde_json::to_string(&plain).unwrap_or_default()
        })
    }

    /// Turns it into the account of a failure.
    pub fn fail(&mut self, failure: &Failure) {
        self.failed = true;
        self.msg.clone_from(&failure.message);
        self.error = Some(Report {
            tool: self.tool.clone(),
            code: failure.code as u8,
            message: failure.message.clone(),
            causes: failure.causes.clone(),
            hint: failure.hint.clone(),
            rest: Map::new(),
        });
    }

    /// Whether steps so far would change something, and have not (`--check`).
    #[must_use]
    pub fn plans_changes(&self) -> bool {
        self.check && (self.changed || self.steps.iter().any(|step| step.changed))
    }

    /// What the document says about the primary, to be completed.
    pub fn primary_mut(&mut self) -> &mut Primary {
        self.primary.get_or_insert_default()
    }
}

/// What the server must do before changes are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Needs {
    /// The strongest of what is needed.
    #[serde(default)]
    pub level: Level,
    /// What waits for a restart: settings, and other names of what was changed.
    #[serde(default)]
    pub restart: Vec<String>,
    /// What waits for a reload: settings, and files.
    #[serde(default)]
    pub reload: Vec<String>,
    /// Fields of a newer minor.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Needs {
    /// Asks for at least `level` on account of `name`.
    pub fn raise(&mut self, level: Level, name: &str) {
        self.level = self.level.max(level);
        let list = match level {
            Level::Restart => &mut self.restart,
            Level::Reload => &mut self.reload,
            Level::None | Level::Start => return,
        };
        if !list.iter().any(|known| known == name) {
            list.push(name.into());
        }
    }
}

/// How much a server must be disturbed; each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not at all.
    #[default]
    None,
    /// SIGHUP.
    Reload,
    /// Stop and start.
    Restart,
    /// It is down: start it.
    Start,
}

/// One change that was made, or with `check` would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// What sort of thing. The list may grow.
    #[schemars(extend("examples" = [
        "setting", "rule", "file", "role", "password_line", "password_file", "service", "cluster", "package",
        "base_backup", "replication_slot", "data_directory", "old_data", "kept_directory", "incomplete_copy",
    ]))]
    pub kind: String,
    /// Which one.
    pub name: String,
    /// How it was; absent where it is new or was not a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How it is now (with `check`: would be), or what was done to it; absent where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line there, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// For a setting, the server's word for when it takes effect: `internal`, `postmaster`, `sighup`,
    /// `superuser-backend`, `backend`, `superuser` or `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Fields of a newer minor.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
    /// The words for a change that is an act; not part of the document.
    #[serde(skip)]
    pub act: Option<Act>,
    /// What follows in parentheses; not part of the document.
    #[serde(skip)]
    pub remark: Option<String>,
}

/// A verb in the two forms that a plan and a report need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    /// As in `would restart`.
    pub plain: &'static str,
    /// As in `restarted`.
    pub past: &'static str,
}

impl Change {
    /// A thing whose value changes.
    #[must_use]
    pub fn value(kind: &str, name: impl Into<String>, before: Option<String>, after: Option<String>) -> Self {
        Self { kind: kind.into(), name: name.into(), before, after, ..Self::default() }
    }

    /// Something done to a thing: `Act { plain: "restart", past: "restarted" }`.
    #[must_use]
    pub fn act(kind: &str, name: impl Into<String>, act: Act) -> Self {
        Self { kind: kind.into(), name: name.into(), act: Some(act), after: Some(act.past.into()), ..Self::default() }
    }

    /// As it may be shown: without a password in its values.
    #[must_use]
    pub fn without_passwords(mut self) -> Self {
        self.before = self.before.as_deref().map(crate::secret::shown);
        self.after = self.after.as_deref().map(crate::secret::shown);
        self
    }

    /// Where it stands.
    #[must_use]
    pub fn at(mut self, file: impl Into<PathBuf>, line: Option<usize>) -> Self {
        self.file = Some(file.into());
        self.line = line;
        self
    }

    /// A word in parentheses behind the line that people read.
    #[must_use]
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// The line that people read, of a plan (`check`) or of what was done.
    #[must_use]
    pub fn line(&self, check: bool) -> String {
        self.coloured_line(check, &Palette::default())
    }

    /// The same, in colours.
    #[must_use]
    pub fn coloured_line(&self, check: bool, colours: &Palette) -> String {
        let text = match self.act {
            Some(act) if check => format!("would {} {}", act.plain, self.name),
            Some(act) => format!("{} {}", act.past, self.name),
            None => {
                let would = if check { "would change " } else { "" };
                let [before, after] = [&self.before, &self.after].map(|value| value.as_deref().unwrap_or("(not set)"));
                format!("{would}{}: {before} → {}", self.name, colours.paint(Mark::Locus, after))
            }
        };
        self.remark.iter().fold(text, |text, remark| format!("{text} ({remark})"))
    }
}

/// The server that standbys replicate from, as they are told of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Primary {
    /// A name or address that standbys can reach.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The replication role.
    pub username: Option<String>,
    /// The replication slot, where one is to be used.
    pub slot: Option<String>,
    /// The password file on the standby's host.
    pub passfile: Option<PathBuf>,
    /// libpq's sslmode: `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub sslmode: Option<String>,
    /// The major version, such as 17.
    pub major: Option<u32>,
    /// The system identifier, in decimal digits.
    #[schemars(regex(pattern = SYSTEM_IDENTIFIER))]
    pub system_identifier: Option<String>,
    /// The timeline it writes.
    pub timeline: Option<u32>,
    /// The settings that a standby must not be below, by their names.
    #[schemars(with = "std::collections::BTreeMap<String, u64>")]
    pub settings: Map<String, Value>,
    /// Fields of a newer minor.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Before and after, as Ansible's `--diff` shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// The text before.
    pub before: String,
    /// The text after.
    pub after: String,
    /// What the text before is.
    pub before_header: String,
    /// What the text after is.
    pub after_header: String,
}

/// One tool's turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The tool.
    pub tool: String,
    /// Its verb.
    pub action: String,
    /// Whether this step changed something.
    pub changed: bool,
    /// How long it took, in seconds, without the waiting for its input.
    pub seconds: f64,
    /// Fields of a newer minor.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Why a pipeline failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The tool that failed.
    pub tool: String,
    /// Its exit code: 1 failed, 2 usage or an unreadable document, 3 refused as unsafe, 5 gave up waiting. (4, for a
    /// document that had failed before, stands in none: that one is passed on as it is.)
    pub code: u8,
    /// What failed.
    pub message: String,
    /// Why, outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What to type next; null where there is nothing.
    #[serde(default)]
    pub hint: Option<String>,
    /// Fields of a newer minor.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

const _: () = assert!(Code::GaveUp as u8 == 5, "CONTRACT: the exit codes are 0 to 5 and 10");

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
