//! The documentation files beside the Ansible modules: `ansible-doc` shows them.
//!
//! What must always hold: every option of every verb is there, as the command line has it; examples are what the tests'
//! playbooks say.

use clap::{Arg, ArgAction, Command};
use pg_runbook::cli::ANSIBLE_NAMES;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One module: a tool, or some of its verbs.
pub struct Module {
    /// Its name; Ansible wants an identifier.
    pub name: &'static str,
    tool: &'static str,
    verbs: &'static [&'static str],
    states: &'static [&'static str],
    /// What it takes besides its tool's options and what every module has.
    besides: &'static [(&'static str, &'static str, &'static str)],
    summary: &'static str,
    example: &'static str,
}

/// All of them.
pub const MODULES: [Module; 6] = [
    Module {
        name: "pg_role",
        tool: "pg-role",
        verbs: &["ensure", "show", "drop"],
        states: &["present", "absent"],
        besides: &[],
        summary: "A replication role with a password, kept as a SCRAM verifier that is compared",
        example: "- name: The role that standbys log in with\n  pg_runbook.tools.pg_role:\n    name: replicator\n    \
            password: \"{{ replication_password }}\"\n  become: true\n  register: role\n",
    },
    Module {
        name: "pg_conf",
        tool: "pg-conf",
        verbs: &["set", "unset", "get", "check", "undo", "match"],
        states: &["present", "absent"],
        besides: ONE_SETTING,
        summary: "Settings in postgresql.conf, changed where they are in force and judged by the server's own parser",
        example: "- name: What a primary needs\n  pg_runbook.tools.pg_conf:\n    settings:\n      wal_level: replica\n      \
            wal_keep_size: 8GB\n      wal_compression: true\n    document: \"{{ role }}\"\n  become: true\n  register: conf\n\
            - name: One setting, as postgresql_set has it\n  pg_runbook.tools.pg_conf:\n    name: work_mem\n    \
            value: 12MB\n  become: true\n\
            - name: Back to its default\n  pg_runbook.tools.pg_conf:\n    name: work_mem\n    reset: true\n  \
            become: true\n",
    },
    Module {
        name: "pg_hba",
        tool: "pg-conf",
        verbs: &["allow", "disallow", "rules", "explain"],
        states: &["present", "absent"],
        besides: &[],
        summary: "Rules of pg_hba.conf, placed so that they work, without touching any other byte",
        example: "- name: The standbys may log in\n  pg_runbook.tools.pg_hba:\n    role: replicator\n    \
            from: [192.0.2.7, 192.0.2.8]\n    document: \"{{ conf }}\"\n  become: true\n  register: rules\n",
    },
    Module {
        name: "pg_cluster",
        tool: "pg-cluster",
        verbs: &[
            "list",
            "status",
            "require",
            "create",
            "drop",
            "start",
            "stop",
            "restart",
            "reload",
            "promote",
            "wait",
            "advertise",
        ],
        states: &["present", "absent", "started", "stopped", "restarted", "reloaded", "promoted"],
        besides: &[],
        summary: "PostgreSQL clusters: made, started, restarted as far as a change needs it, promoted, waited for",
        example: "- name: As much of a restart as the changes need\n  pg_runbook.tools.pg_cluster:\n    \
            state: restarted\n    document: \"{{ rules }}\"\n  become: true\n",
    },
    Module {
        name: "pg_basebackup_swap",
        tool: "pg-basebackup-swap",
        verbs: &["run", "fetch", "swap", "rollback", "commit", "status"],
        states: &[],
        besides: &[],
        summary: "A copy of the primary, fetched beside a standby's data directory and exchanged with it in one step",
        example: "- name: A standby of this primary; one that streams already is left alone\n  \
            pg_runbook.tools.pg_basebackup_swap:\n    action: run\n    cluster: 17/replica\n    \
            document: \"{{ hostvars['db1'].primary }}\"\n  become: true\n",
    },
    Module {
        name: "pg_pass",
        tool: "pg-pass",
        verbs: &["set", "remove", "list", "check"],
        states: &["present", "absent"],
        besides: &[],
        summary: "Lines of a password file, and the proof that a replication login works with them",
        example: "- name: The password for the primary\n  pg_runbook.tools.pg_pass:\n    \
            password: \"{{ replication_password }}\"\n    document: \"{{ hostvars['db1'].primary }}\"\n  become: true\n",
    },
];

/// What every module has besides its tool's options.
const OWN: [(&str, &str, &str); 3] = [
    ("document", "raw", "What another task of this collection registered; it names the cluster and the primary."),
    (
        "login_password",
        "str",
        "The password of the login by which a server is asked. Where conninfo is an option, ssl_mode, ca_cert, ssl_cert \
        and ssl_key are too.",
    ),
    ("password", "str", "A password; it goes to the server as a verifier, and is shown nowhere."),
];

/// One setting a task, as community.postgresql has it.
const ONE_SETTING: &[(&str, &str, &str)] = &[
    ("name", "str", "One setting. Its I(value) says what it is to be, I(reset) that it goes back to its default."),
    (
        "value",
        "raw",
        "What the setting I(name) is to be: a text, a number, a boolean or a list. For several, there is I(settings).",
    ),
    ("reset", "bool", "Take the setting I(name) out of the files, as I(state=absent) takes I(names) out."),
];

impl Module {
    /// The wrapper: the tool does all of it.
    pub fn script(&self) -> String {
        format!("#!/bin/sh\n# WANT_JSON\nexec {} --ansible \"$1\"\n", self.tool)
    }

    /// The file beside it.
    pub fn documentation(&self, tools: &[Command]) -> String {
        let mut text = format!(
            "# Made from the command line by cargo xtask docs.\nDOCUMENTATION:\n  module: {}\n  short_description: {}\n  \
             description:\n    - {}\n    - {}\n",
            self.name,
            quoted(self.summary),
            quoted(&format!("A wrapper around C({}), which has to be installed on the host.", self.tool)),
            quoted("Check mode and diff are honoured; a second run changes nothing."),
        );
        text += "  author:\n    - The pg-runbook maintainers (@pg-runbook)\n  options:\n";
        self.which_verb(&mut text);
        for (name, kind, about) in OWN.iter().chain(self.besides) {
            let _ = write!(text, "    {name}:\n      description:\n        - {}\n      type: {kind}\n", quoted(about));
        }
        let options = self.options(tools);
        let known: Vec<String> = options.keys().cloned().collect();
        for (name, option) in options {
            option.write(&name, &known, &mut text);
        }
        text += "EXAMPLES: |\n";
        for line in self.example.lines() {
            let _ = writeln!(text, "  {line}");
        }
        text += "RETURN:\n  cluster:\n    description: The cluster, as it is now.\n    returned: where one is meant\n    \
                 type: dict\n  needs:\n    description: What has to be done before the changes are in force.\n    \
                 returned: always\n    type: dict\n  steps:\n    description: What the tasks before this one and it did.\n    \
                 returned: always\n    type: list\n    elements: dict\n";
        text
    }

    fn which_verb(&self, text: &mut String) {
        let _ = write!(
            text,
            "    action:\n      description:\n        - {}\n      type: str\n      choices: [{}]\n",
            quoted("What to do. Without it, I(state) says it."),
            self.verbs.join(", ")
        );
        if !self.states.is_empty() {
            let _ = write!(
                text,
                "    state:\n      description:\n        - {}\n      type: str\n      choices: [{}]\n",
                quoted("What is to be; present unless I(action) is given."),
                self.states.join(", ")
            );
        }
    }

    /// Each option once, whichever of the verbs has it.
    fn options(&self, tools: &[Command]) -> BTreeMap<String, Option_> {
        let mut found: BTreeMap<String, Option_> = BTreeMap::new();
        let Some(tool) = tools.iter().find(|tool| tool.get_name() == self.tool) else { return found };
        let mut tool = tool.clone();
        tool.build();
        for verb in tool.get_subcommands().filter(|verb| self.verbs.contains(&verb.get_name())) {
            for argument in verb.get_arguments().filter(|argument| !is_the_runners(argument)) {
                let name =
                    argument.get_long().map_or_else(|| argument.get_id().to_string(), |long| long.replace('-', "_"));
                found.entry(name).or_insert_with(|| Option_::of(argument)).verbs.push(verb.get_name().to_owned());
            }
        }
        found
    }
}

/// What is about standard streams, and what Ansible says by words of its own.
fn is_the_runners(argument: &Arg) -> bool {
    let its = [
        "help",
        "version",
        "input",
        "no-input",
        "require-input",
        "output",
        "check",
        "diff",
        "quiet",
        "verbose",
        "ansible",
        "schema",
        "detailed-exitcode",
        "password-stdin",
        "progress",
        "watch",
    ];
    argument.get_long().is_some_and(|long| its.contains(&long))
}

struct Option_ {
    about: String,
    kind: &'static str,
    choices: Vec<String>,
    default: Option<String>,
    verbs: Vec<String>,
}

impl Option_ {
    fn of(argument: &Arg) -> Self {
        let several = matches!(argument.get_action(), ArgAction::Append)
            || argument.get_num_args().is_some_and(|range| range.max_values() > 1);
        let is_flag = matches!(argument.get_action(), ArgAction::SetTrue);
        let about = argument.get_long_help().or(argument.get_help()).map(|help| in_one(&help.to_string()));
        let values = argument.get_possible_values();
        let default = argument.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        Self {
            about: about.unwrap_or_else(|| argument.get_id().to_string()),
            // A dictionary of settings is as good as a list of NAME=VALUE.
            kind: if is_flag {
                "bool"
            } else if several {
                "raw"
            } else {
                "str"
            },
            choices: if is_flag {
                Vec::new()
            } else {
                values.iter().map(|value| value.get_name().to_owned()).collect()
            },
            default: default.filter(|_| !is_flag),
            verbs: Vec::new(),
        }
    }

    /// Its description; `known` are all of the module's names, which are nobody's other names.
    fn write(&self, name: &str, known: &[String], text: &mut String) {
        let about = format!("{} ({})", self.about.trim_end_matches('.'), self.verbs.join(", "));
        let _ =
            write!(text, "    {name}:\n      description:\n        - {}\n      type: {}\n", quoted(&about), self.kind);
        if !self.choices.is_empty() {
            let _ = writeln!(
                text,
                "      choices: [{}]",
                self.choices.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ")
            );
        }
        let others =
            ANSIBLE_NAMES.iter().filter(|(other, ours)| *ours == name && !known.iter().any(|name| name == other));
        let others: Vec<&str> = others.map(|(other, _)| *other).collect();
        if !others.is_empty() {
            let _ = writeln!(text, "      aliases: [{}]", others.join(", "));
        }
        if let Some(default) = &self.default {
            let _ = writeln!(text, "      default: {}", quoted(default));
        }
    }
}

/// The paragraphs of an option's help as one.
fn in_one(help: &str) -> String {
    let paragraphs = help.split("\n\n").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    let sentence = |text: String, next: String| {
        let end = if next.starts_with('[') || text.ends_with('.') { " " } else { ". " };
        text + end + &next
    };
    paragraphs.reduce(sentence).unwrap_or_default()
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
