//! Running as an Ansible module: the options come in one JSON object.
//!
//! What must always hold: the object becomes the same command line that a person would type, so there is one way
//! through the tool; a password in it goes straight into a [`Secret`].

use crate::failure::{Attempt, Failure};
use crate::secret::Secret;
use clap::{ArgAction, Command};
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::path::Path;

/// A command line, and the password that must not be on it.
pub(super) struct Request {
    pub arguments: Vec<OsString>,
    pub password: Option<Secret>,
}

/// Reads the options' file. `action` names the verb; each other name is an option's long name with `_` for `-`, or the
/// name of a positional argument; names that begin with `_ansible_` are Ansible's own.
pub(super) fn read(file: &Path, command: &Command) -> Result<Request, Failure> {
    let text = std::fs::read_to_string(file).attempt(|| format!("read {file:?}"))?;
    let options: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{file:?} is not a JSON object of options")).because(error))?;
    request(&options, command)
}

fn request(options: &Map<String, Value>, command: &Command) -> Result<Request, Failure> {
    let verbs: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let verb = options.get("action").and_then(Value::as_str).unwrap_or_default();
    let subcommand = command.find_subcommand(verb).ok_or_else(|| {
        Failure::usage(format!("{verb:?} is not an action")).because(format!("there are: {}", verbs.join(", ")))
    })?;
    let mut words: Vec<OsString> = vec![command.get_name().into(), verb.into()];
    let mut positional: Vec<OsString> = Vec::new();
    let mut password = None;
    for (name, value) in options {
        match name.as_str() {
            "action" => {}
            "_ansible_check_mode" if truth(value) == Some(true) => words.push("--check".into()),
            "_ansible_diff" if truth(value) == Some(true) => words.push("--diff".into()),
            _ if name.starts_with("_ansible_") || value.is_null() => {}
            "password" => password = Some(Secret::new(text(value))),
            _ => option(subcommand, command, name, value, &mut words, &mut positional)?,
        }
    }
    // Over ssh a module's stdout may be a terminal.
    words.extend(["--no-input".into(), "--output=json".into()]);
    words.push("--".into());
    words.extend(positional);
    Ok(Request { arguments: words, password })
}

fn option(
    subcommand: &Command,
    command: &Command,
    name: &str,
    value: &Value,
    words: &mut Vec<OsString>,
    positional: &mut Vec<OsString>,
) -> Result<(), Failure> {
    let long = name.replace('_', "-");
    let known = subcommand.get_arguments().chain(command.get_arguments());
    let argument = known
        .into_iter()
        .find(|argument| argument.get_long() == Some(&long) || argument.is_positional() && argument.get_id() == name)
        .ok_or_else(|| Failure::usage(format!("{name:?} is not an option of {}", subcommand.get_name())))?;
    if argument.is_positional() {
        positional.extend(values(value).into_iter().map(OsString::from));
    } else if matches!(argument.get_action(), ArgAction::SetTrue) {
        match truth(value) {
            Some(true) => words.push(format!("--{long}").into()),
            Some(false) => {}
            None => return Err(Failure::usage(format!("{name} is {value}, which is neither yes nor no"))),
        }
    } else {
        words.extend(values(value).into_iter().map(|value| OsString::from(format!("--{long}={value}"))));
    }
    Ok(())
}

/// YAML's words for truth, as they arrive after Ansible's conversions.
fn truth(value: &Value) -> Option<bool> {
    match text(value).to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
        "false" | "no" | "off" | "0" | "n" | "f" | "" => Some(false),
        _ => None,
    }
}

/// A list gives several values, an object NAME=VALUE each; YAML's `on` arrives as true.
fn values(value: &Value) -> Vec<String> {
    let setting = |value: &Value| match value {
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        other => text(other),
    };
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        Value::Object(pairs) => pairs.iter().map(|(name, value)| format!("{name}={}", setting(value))).collect(),
        single => vec![text(single)],
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;
    use serde_json::json;

    fn command() -> Command {
        Command::new("pg-conf")
            .arg(Arg::new("pgdata").long("pgdata").global(true))
            .arg(Arg::new("check").long("check").action(ArgAction::SetTrue).global(true))
            .subcommand(
                Command::new("set")
                    .arg(Arg::new("settings").num_args(1..))
                    .arg(Arg::new("dry").long("dry-run").action(ArgAction::SetTrue)),
            )
    }

    fn words(options: &Value) -> Result<Vec<String>, Failure> {
        let request = request(options.as_object().unwrap(), &command())?;
        Ok(request.arguments.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    #[test]
    fn turns_options_into_the_command_line_a_person_would_type() {
        let options = json!({"action": "set", "pgdata": "/srv/x", "settings": {"wal_compression": true, "wal_keep_size": "8GB"},
            "dry_run": "no", "_ansible_check_mode": true, "_ansible_no_log": false});
        assert_eq!(
            words(&options).unwrap(),
            [
                "pg-conf",
                "set",
                "--pgdata=/srv/x",
                "--check",
                "--no-input",
                "--output=json",
                "--",
                "wal_compression=on",
                "wal_keep_size=8GB"
            ]
        );
    }

    #[test]
    fn refuses_an_option_or_an_action_that_does_not_exist() {
        assert!(words(&json!({"action": "set", "nonsense": 1})).unwrap_err().message.contains("nonsense"));
        assert!(words(&json!({"action": "fly"})).unwrap_err().causes[0].contains("set"));
    }

    #[test]
    fn keeps_the_password_off_the_command_line() {
        let options = json!({"action": "set", "password": "swordfish"});
        assert!(!words(&options).unwrap().join(" ").contains("swordfish"));
        assert!(request(options.as_object().unwrap(), &command()).unwrap().password.is_some());
    }
}
