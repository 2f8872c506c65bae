//! Running as an Ansible module: the options come in one JSON object.
//!
//! What must always hold: the object becomes the same command line that a person would type, so there is one way
//! through the tool; a password in it goes straight into a [`Secret`].

use crate::document::Document;
use crate::failure::{Attempt, Failure};
use crate::secret::Secret;
use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::path::Path;

/// A command line, the secrets that must not be on it, and the document that another task registered.
#[derive(Debug)]
pub(super) struct Request {
    pub arguments: Vec<OsString>,
    pub secrets: Secrets,
    pub document: Option<Document>,
}

/// Passwords that came as options.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Of the role or the password file's line.
    pub password: Option<Secret>,
    /// Of the login by which a server is asked.
    pub login_password: Option<Secret>,
}

/// community.postgresql's names of ours. What a verb has an option for by that very name stays that option.
pub const OTHER_NAMES: [(&str, &str); 16] = [
    ("login_host", "host"),
    ("login_unix_socket", "host"),
    ("unix_socket", "host"),
    ("login_port", "port"),
    ("login_user", "username"),
    ("login_db", "dbname"),
    ("db", "dbname"),
    ("name", "new_cluster"),
    ("data_directory", "pgdata"),
    ("users", "role"),
    ("source", "from"),
    ("address", "from"),
    ("contype", "type"),
    ("databases", "database"),
    ("conn_limit", "connection_limit"),
    ("expires", "valid_until"),
];

/// What is only said in a connection string.
const IN_CONNINFO: [(&str, &str); 6] = [
    ("ssl_mode", "sslmode"),
    ("login_ssl_mode", "sslmode"),
    ("sslmode", "sslmode"),
    ("ca_cert", "sslrootcert"),
    ("ssl_cert", "sslcert"),
    ("ssl_key", "sslkey"),
];

/// Options that make the tool do something else than a verb, or read a standard input that may never end.
const NO_TASKS: [&str; 5] = ["ansible", "help", "password-stdin", "schema", "version"];

/// The state that a task asks for, as the verbs that bring it about; the first that knows all of its options is meant.
const STATES: [(&str, &[&str]); 7] = [
    ("present", &["ensure", "set", "allow", "create"]),
    ("absent", &["drop", "unset", "disallow", "remove"]),
    ("started", &["start"]),
    ("stopped", &["stop"]),
    ("restarted", &["restart"]),
    ("reloaded", &["reload"]),
    ("promoted", &["promote"]),
];

/// Reads the options' file. `action` names the verb, or `state` what is to be; each other name is an option's long name
/// with `_` for `-`, the name of a positional argument, or community.postgresql's; `document` is what another task
/// registered; names that begin with `_ansible_` are Ansible's own. One setting can be told as `postgresql_set` has it.
pub(super) fn read(file: &Path, command: &Command) -> Result<Request, Failure> {
    let text = std::fs::read_to_string(file).attempt(|| format!("read {file:?}"))?;
    let options: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{file:?} is not a JSON object of options")).because(error))?;
    request(&options, command)
}

fn request(options: &Map<String, Value>, command: &Command) -> Result<Request, Failure> {
    let options = &one_setting(options, command)?;
    let subcommand = verb(options, command)?;
    let mut words: Vec<OsString> = vec![command.get_name().into(), subcommand.get_name().into()];
    let mut positional: Vec<OsString> = Vec::new();
    let mut conninfo: Vec<String> = Vec::new();
    let mut secrets = Secrets::default();
    let mut document = None;
    for (name, value) in options {
        match name.as_str() {
            "action" | "state" => {}
            "_ansible_check_mode" if truth(value) == Some(true) => words.push("--check".into()),
            "_ansible_diff" if truth(value) == Some(true) => words.push("--diff".into()),
            _ if name.starts_with("_ansible_") || is_left_out(value) => {}
            "password" => secrets.password = Some(Secret::new(text(value))),
            "login_password" => secrets.login_password = Some(Secret::new(text(value))),
            "document" => document = Some(Document::read(&text(value), "the option document")?),
            _ => match in_conninfo(subcommand, command, name) {
                Some(word) => conninfo.push(format!("{word}='{}'", escaped(&text(value)))),
                None => option(subcommand, command, name, value, &mut words, &mut positional)?,
            },
        }
    }
    if !conninfo.is_empty() {
        words.push(format!("--conninfo={}", conninfo.join(" ")).into());
    }
    // Over ssh a module's stdout may be a terminal.
    words.extend(["--no-input".into(), "--output=json".into()]);
    words.push("--".into());
    words.extend(positional);
    Ok(Request { arguments: words, secrets, document })
}

/// What a task with one setting may ask for.
const ABOUT_SETTINGS: [&str; 5] = ["present", "absent", "set", "unset", "get"];

/// `postgresql_set` has one setting a task: `name` with `value`, or with `reset`. For a tool that has settings, that becomes
/// `settings`, or `names` to be absent.
fn one_setting(options: &Map<String, Value>, command: &Command) -> Result<Map<String, Value>, Failure> {
    let mut ours = options.clone();
    let has = |word: &str| command.get_subcommands().any(|verb| argument(verb, command, word).is_some());
    let wanted = said(&ours, "action").or_else(|| said(&ours, "state"));
    let is_about_settings = wanted.as_deref().is_none_or(|word| ABOUT_SETTINGS.contains(&word));
    if !(has("settings") && has("names") && is_about_settings) {
        return Ok(ours);
    }
    let mut take = |word: &str| ours.remove(word).filter(|value| !is_left_out(value));
    let (name, value, reset) = (take("name"), take("value"), take("reset"));
    let reset = reset.map_or(Ok(false), |reset| yes_or_no("reset", &reset))?;
    let Some(name) = name.map(|name| text(&name)) else {
        if value.is_some() || reset {
            return Err(Failure::usage("value and reset are about one setting, and name doesn't say which"));
        }
        return Ok(ours);
    };
    let (word, told) = match (value, reset, wanted.as_deref()) {
        (Some(_), true, _) => return Err(Failure::usage(format!("{name} can't have a value and be reset"))),
        (Some(value), false, _) => ("settings", Value::Object(Map::from_iter([(name, value)]))),
        (None, true, Some(other)) if !["absent", "unset"].contains(&other) => {
            return Err(Failure::usage(format!("{name} is to be reset, and the task says {other:?} too")));
        }
        (None, false, None | Some("present" | "set")) => {
            return Err(Failure::usage(format!("{name} has no value, and is not to be reset"))
                .because("value says what it is to be; with action get, the task shows it"));
        }
        (None, ..) => ("names", Value::String(name)),
    };
    if reset && wanted.is_none() {
        ours.insert("state".into(), "absent".into());
    }
    match ours.insert(word.into(), told) {
        Some(_) => Err(Failure::usage(format!("{word} and name are given, and one of them is enough"))),
        None => Ok(ours),
    }
}

/// What Ansible gives where a variable is to be as if it weren't there.
fn is_left_out(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.starts_with("__omit_place_holder__"))
}

fn verb<'a>(options: &Map<String, Value>, command: &'a Command) -> Result<&'a Command, Failure> {
    let verbs: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let state = match (said(options, "action"), said(options, "state")) {
        (Some(action), _) => {
            return command.find_subcommand(&action).ok_or_else(|| {
                Failure::usage(format!("{action:?} is not an action"))
                    .because(format!("there are: {}", verbs.join(", ")))
            });
        }
        (None, state) => state.unwrap_or_else(|| "present".into()),
    };
    let named = STATES.iter().find(|(name, _)| *name == state).map_or(&[][..], |(_, verbs)| verbs);
    let candidates: Vec<&Command> = named.iter().filter_map(|verb| command.find_subcommand(verb)).collect();
    let strangers = |candidate: &Command| options.keys().filter(|name| !knows(candidate, command, name)).count();
    candidates.into_iter().min_by_key(|candidate| strangers(candidate)).ok_or_else(|| {
        Failure::usage(format!("{state:?} is not a state of {}", command.get_name()))
            .because(format!("action can be: {}", verbs.join(", ")))
    })
}

fn said(options: &Map<String, Value>, name: &str) -> Option<String> {
    options.get(name).filter(|value| !is_left_out(value)).map(text)
}

fn knows(verb: &Command, command: &Command, name: &str) -> bool {
    let own = ["action", "state", "password", "login_password", "document"];
    own.contains(&name)
        || name.starts_with("_ansible_")
        || argument(verb, command, name).is_some()
        || in_conninfo(verb, command, name).is_some()
}

fn in_conninfo(verb: &Command, command: &Command, name: &str) -> Option<&'static str> {
    let word = IN_CONNINFO.iter().find(|(other, _)| *other == name)?.1;
    (argument(verb, command, name).is_none() && argument(verb, command, "conninfo").is_some()).then_some(word)
}

/// In a value of a connection string (libpq's manual, "Keyword/Value Connection Strings").
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('\'', r"\'")
}

/// The option or positional argument of that name, or of the name that it stands for.
fn argument<'a>(verb: &'a Command, command: &'a Command, name: &str) -> Option<&'a Arg> {
    let find = |name: &str| {
        let long = name.replace('_', "-");
        let known = verb.get_arguments().chain(command.get_arguments());
        known.filter(|argument| !NO_TASKS.contains(&argument.get_long().unwrap_or_default())).find(|argument| {
            argument.get_long() == Some(&long) || argument.is_positional() && argument.get_id() == name
        })
    };
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours);
    find(name).or_else(|| find(other?))
}

fn option(
    subcommand: &Command,
    command: &Command,
    name: &str,
    value: &Value,
    words: &mut Vec<OsString>,
    positional: &mut Vec<OsString>,
) -> Result<(), Failure> {
    let argument = argument(subcommand, command, name)
        .ok_or_else(|| Failure::usage(format!("{name:?} is not an option of {}", subcommand.get_name())))?;
    let long = argument.get_long().unwrap_or_default();
    let values = || values(value, takes_several(argument));
    if argument.is_positional() {
        positional.extend(values()?.into_iter().map(OsString::from));
    } else if matches!(argument.get_action(), ArgAction::SetTrue) {
        if yes_or_no(name, value)? {
            words.push(format!("--{long}").into());
        }
    } else {
        words.extend(values()?.into_iter().map(|value| OsString::from(format!("--{long}={value}"))));
    }
    Ok(())
}

fn yes_or_no(name: &str, value: &Value) -> Result<bool, Failure> {
    truth(value).ok_or_else(|| Failure::usage(format!("{name} is {value}, which is neither yes nor no")))
}

/// YAML's words for truth, as they arrive after Ansible's conversions.
fn truth(value: &Value) -> Option<bool> {
    match text(value).to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
        "false" | "no" | "off" | "0" | "n" | "f" | "" => Some(false),
        _ => None,
    }
}

fn takes_several(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
        || argument.get_num_args().is_some_and(|range| range.max_values() > 1)
}

/// A list gives several values, an object NAME=VALUE each. Where several are taken, a text is a list too; but not where
/// it holds a `=`: a setting's value may hold commas.
fn values(value: &Value, several: bool) -> Result<Vec<String>, Failure> {
    match value {
        Value::Array(items) => Ok(items.iter().map(text).collect()),
        Value::Object(pairs) => {
            pairs.iter().map(|(name, value)| Ok(format!("{name}={}", setting(name, value)?))).collect()
        }
        Value::String(list) if several && !list.contains('=') => {
            Ok(list.split(',').map(|item| item.trim().to_owned()).collect())
        }
        single => Ok(vec![text(single)]),
    }
}

/// YAML's `on` arrives as true, and a list is written with commas. What YAML has nothing for is no value: written down as
/// its word `null`, it would be a command that fails or the name of a library.
fn setting(name: &str, value: &Value) -> Result<String, Failure> {
    match value {
        Value::Bool(true) => Ok("on".to_owned()),
        Value::Bool(false) => Ok("off".to_owned()),
        Value::Array(items) if items.iter().all(is_single) => Ok(items.iter().map(text).collect::<Vec<_>>().join(", ")),
        single if is_single(single) => Ok(text(single)),
        _ => Err(Failure::usage(format!("the setting {name} is {value}, which is no value"))
            .hint(format!("\"\" is an empty one; without a value: action: unset, names: {name}"))),
    }
}

fn is_single(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

/// The one text of a failure that Ansible shows in every form of its output.
pub(super) fn message(failure: &Failure) -> String {
    let said = std::iter::once(&failure.message).chain(failure.causes.iter().filter(|cause| !cause.is_empty()));
    let said = said.map(String::as_str).collect::<Vec<_>>().join(": ");
    failure.hint.iter().fold(said, |said, hint| format!("{said} (hint: {hint})"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
#[path = "ansible_tests.rs"]
mod tests;
