//! Settings on the running server's command line, which beat every file (`postmaster.opts`).
//!
//! What must always hold: what is read here is what the postmaster itself wrote down when it started.

use pg_runbook::cluster::{Cluster, Layout};
use pg_runbook::configuration::{ConfFile, Entry, EntryKind};
use std::path::PathBuf;

/// Names, in lower case, and values; the last of a name wins.
pub fn settings(cluster: &Cluster) -> Vec<(String, String)> {
    if !cluster.has_process() {
        // The next start has a command line of its own.
        return Vec::new();
    }
    let text = std::fs::read_to_string(cluster.data_directory.join("postmaster.opts")).unwrap_or_default();
    parse(&text)
}

/// The value of one name.
pub fn value<'a>(settings: &'a [(String, String)], name: &str) -> Option<&'a str> {
    settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Debian's `pg_ctl.conf`, where it gives the server options.
pub fn pg_ctl_options(cluster: &Cluster) -> Option<PathBuf> {
    let file = cluster.config_file.parent()?.join("pg_ctl.conf");
    let text = std::fs::read_to_string(&file).ok().filter(|_| cluster.layout == Layout::Debian)?;
    ConfFile::parse(text.as_bytes()).entries().iter().any(gives_options).then_some(file)
}

fn gives_options(entry: &Entry) -> bool {
    matches!(&entry.kind, EntryKind::Assignment { name, value } if name == "pg_ctl_options" && value.contains("-o"))
}

fn parse(text: &str) -> Vec<(String, String)> {
    let mut words = text.trim_end().split('"').skip(1).step_by(2);
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let (letter, attached) = match word.strip_prefix("--") {
            Some(assignment) => ("c", Some(assignment)),
            None => match word.strip_prefix('-').and_then(|rest| rest.split_at_checked(1)) {
                Some((letter, "")) => (letter, None),
                Some((letter, attached)) => (letter, Some(attached)),
                None => continue,
            },
        };
        if let Some((name, value)) = switch(letter) {
            found.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let Some(value) = attached.or_else(|| words.next()) else { break };
        if letter == "c" {
            found.extend(value.split_once('=').map(|(name, value)| (spelled(name), value.to_owned())));
        } else if let Some(name) = option(letter) {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

/// `--max-connections` is `max_connections`.
fn spelled(name: &str) -> String {
    name.trim().replace('-', "_").to_ascii_lowercase()
}

/// The letters that take a value (postgres(1)).
fn option(letter: &str) -> Option<&'static str> {
    let names = [
        ("p", "port"),
        ("h", "listen_addresses"),
        ("k", "unix_socket_directories"),
        ("N", "max_connections"),
        ("B", "shared_buffers"),
        ("S", "work_mem"),
    ];
    names.iter().find(|(known, _)| *known == letter).map(|(_, name)| *name)
}

/// The letters that stand for a value.
fn switch(letter: &str) -> Option<(&'static str, &'static str)> {
    match letter {
        "F" => Some(("fsync", "off")),
        "i" => Some(("listen_addresses", "*")),
        "l" => Some(("ssl", "on")),
        "e" => Some(("datestyle", "euro")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_the_command_line() {
        let text = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/srv/a b\" \"-p\" \"5433\" \"-c\" \"work_mem=8MB\" \
            \"-cfsync=on\" \"--max-connections=50\" \"-F\" \"-N10\"\n";
        let found = parse(text);
        assert_eq!(value(&found, "port"), Some("5433"));
        assert_eq!(value(&found, "work_mem"), Some("8MB"));
        assert_eq!(value(&found, "fsync"), Some("off"));
        assert_eq!(value(&found, "max_connections"), Some("10"));
        assert_eq!(value(&found, "data_directory"), None);
    }
}
