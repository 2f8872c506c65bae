//! What a password is looked up by: server, role and database, from the command line, the document and the environment.
//!
//! What must always hold: it is the same lookup that the standby's walreceiver will make.

use crate::args::{LineArguments, ServerArguments};
use crate::location::Place;
use pg_runbook::invocation::shell_word;
use pg_runbook::passfile::{Entry, Key};
use pg_runbook::replication;
use pg_runbook::server::{ConnectionArguments, Defaults, Target};
use pg_runbook::{Failure, Run};

/// The database that a replication connection is looked up with.
pub const REPLICATION: &str = "replication";

/// The line that is meant; a field may be `*`.
pub fn of_line(run: &Run, arguments: &LineArguments, place: &Place) -> Result<Key, Failure> {
    let server = &arguments.server;
    let target = target(run, server, place)?;
    let port = server.port.clone().unwrap_or_else(|| target.port.to_string());
    Ok(Key::new(target.host, port, &arguments.dbname, target.user))
}

/// One server and role, to log in there.
pub fn of_server(run: &Run, arguments: &ServerArguments, place: &Place) -> Result<(Key, Target), Failure> {
    let target = target(run, arguments, place)?;
    let wild = arguments.port.as_deref() == Some("*") || [&target.host, &target.user].iter().any(|text| *text == "*");
    if wild {
        return Err(Failure::usage("a login needs one host, one port and one role; * stands for many"));
    }
    Ok((Key::new(&target.host, target.port, REPLICATION, &target.user), target))
}

fn target(run: &Run, arguments: &ServerArguments, place: &Place) -> Result<Target, Failure> {
    let typed = ConnectionArguments {
        host: arguments.host.clone(),
        port: arguments.port.as_ref().and_then(|port| port.parse().ok()),
        username: arguments.username.clone(),
        dbname: None,
        conninfo: arguments.conninfo.clone(),
    };
    let defaults = Defaults {
        // libpq would take the name of the user that runs this: a line for the wrong role, and nobody would know.
        user: Some(String::new()),
        home: Some(place.owner.home.clone()),
        application_name: Some("pg-pass".into()),
        ..Defaults::default()
    };
    let mut target = replication::target(&typed, run.document.primary.as_ref(), &defaults)?;
    if target.user.is_empty() {
        return Err(Failure::usage("which role replicates?")
            .because("neither the command line nor a document says it")
            .hint("-U ROLE"));
    }
    target.passfile = Some(place.path.clone());
    Ok(target)
}

/// The key as it stands in a password file.
pub fn shown(key: &Key) -> String {
    joined([&key.host, &key.port, &key.database, &key.username])
}

/// The same of a line.
pub fn shown_entry(entry: &Entry) -> String {
    let fields = [&entry.host, &entry.port, &entry.database, &entry.username].map(ToString::to_string);
    joined(fields.each_ref())
}

fn joined(fields: [&String; 4]) -> String {
    fields.map(|field| field.replace('\\', "\\\\").replace(':', "\\:")).join(":")
}

/// The command that sets this key's password in this file.
pub fn command_to_set(key: &Key, place: &Place) -> String {
    let words = [
        ("-h", key.host.as_str()),
        ("-p", key.port.as_str()),
        ("-U", key.username.as_str()),
        ("--passfile", &place.path.display().to_string()),
    ]
    .map(|(option, value)| format!(" {option} {}", shell_word(value.as_ref())));
    format!("pg-pass set{}", words.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_key_as_the_file_has_it() {
        assert_eq!(shown(&Key::new("::1", 5432, "replication", "a\\b")), "\\:\\:1:5432:replication:a\\\\b");
    }
}
