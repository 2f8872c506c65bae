//! What a shell is told of settings and their values, and of who is in `pg_hba.conf`.
//!
//! What must always hold: names and values are the server program's own, of the cluster's version; a value that holds a
//! password is not shown.

use crate::rules::access;
use crate::rules::hba_file::{Kind, METHODS, Record, Rule, Word};
use crate::rules::hba_tree;
use crate::settings::Catalogue;
use pg_runbook::cluster::Cluster;
use pg_runbook::completion::{self, Candidate, Line, candidate};
use pg_runbook::configuration::judge::{Judge, Rejection};
use pg_runbook::{Failure, secret};
use std::collections::BTreeSet;

/// `NAME=`, and behind that what an enum or a boolean can be.
pub fn assignments(line: &Line, current: &str) -> Vec<Candidate> {
    let Ok(cluster) = line.cluster() else { return Vec::new() };
    let Some((name, _)) = current.split_once('=') else {
        return names(&cluster).into_iter().map(|(name, about)| candidate(format!("{name}="), about)).collect();
    };
    let values = values(&cluster, name).unwrap_or_default();
    values.into_iter().map(|value| Candidate::new(format!("{name}={value}"))).collect()
}

/// Settings by name, those that the files set first.
pub fn settings(line: &Line, _: &str) -> Vec<Candidate> {
    let Ok(cluster) = line.cluster() else { return Vec::new() };
    let in_files = in_files(&cluster);
    let others = names(&cluster).into_iter().filter(|(name, _)| !in_files.iter().any(|(known, _)| known == name));
    in_files.iter().cloned().chain(others).map(|(name, about)| candidate(name, about)).collect()
}

/// Every setting that the server program tells of or the files name, in order, and what it is for.
fn names(cluster: &Cluster) -> Vec<(String, String)> {
    let catalogue = Catalogue::of(cluster.major).unwrap_or_default();
    let known = catalogue.all().iter().map(|known| (known.name.clone(), known.about.clone()));
    let of_extensions = in_files(cluster).into_iter().filter(|(name, _)| catalogue.find(name).is_none());
    let mut all: Vec<(String, String)> = known.chain(of_extensions).collect();
    all.sort();
    all
}

/// What the files set, in order, with the value and where it stands.
fn in_files(cluster: &Cluster) -> Vec<(String, String)> {
    let Ok(configuration) = cluster.configuration() else { return Vec::new() };
    let names: BTreeSet<&String> = configuration.assignments().iter().map(|located| &located.name).collect();
    let winners = names.into_iter().filter_map(|name| configuration.in_force(name));
    let about = |value: &str, file: &std::path::Path, line: usize| {
        format!("{} ({}:{line})", secret::shown(value), file.display())
    };
    winners.map(|found| (found.name.clone(), about(&found.value, &found.file, found.line))).collect()
}

/// The server program names the values of an enum when it refuses another.
fn values(cluster: &Cluster, name: &str) -> Result<Vec<String>, Failure> {
    let catalogue = Catalogue::of(cluster.major)?;
    match catalogue.find(name).map(|known| known.kind.as_str()) {
        Some("BOOLEAN") => Ok(vec!["on".into(), "off".into()]),
        Some("ENUM") => {
            let refused = Judge::of(cluster)?.value_of(name, "?")?.err();
            Ok(refused.and_then(|rejection| available(&rejection)).unwrap_or_default())
        }
        _ => Ok(Vec::new()),
    }
}

/// `… (Available values: minimal, replica, logical.)`
fn available(rejection: &Rejection) -> Option<Vec<String>> {
    let list = rejection.lines.iter().find_map(|line| line.split_once("(Available values: "))?.1;
    let list = list.split_once(".)").map_or(list, |(list, _)| list);
    Some(list.split(", ").map(str::to_owned).collect())
}

/// The roles that rules name, then the server's others.
pub fn roles(line: &Line, current: &str) -> Vec<Candidate> {
    let is_name = |word: &Word| {
        !word.is_keyword("all") && word.members_of().is_none() && word.file().is_none() && !word.text.starts_with('/')
    };
    let in_rules: BTreeSet<String> =
        rules(line).iter().flat_map(|rule| rule.users.clone()).filter(is_name).map(|word| word.text).collect();
    let others = completion::roles(line, current).into_iter();
    let others = others.filter(|role| !in_rules.contains(role.get_value().to_string_lossy().as_ref()));
    in_rules.iter().map(|name| candidate(name, "in pg_hba.conf")).chain(others).collect()
}

/// The addresses that rules name (those of the role's rules first), and the words for several.
pub fn origins(line: &Line, _: &str) -> Vec<Candidate> {
    let mut found = addresses(line);
    for word in ["samehost", "samenet", "all"] {
        if !found.iter().any(|known| known == word) {
            found.push(word.into());
        }
    }
    found.into_iter().map(Candidate::new).collect()
}

/// Where one login may come from.
pub fn login_origins(line: &Line, _: &str) -> Vec<Candidate> {
    let of_several = ["samehost", "samenet", "all"];
    let found = addresses(line).into_iter().filter(|address| !of_several.contains(&address.as_str()));
    std::iter::once(candidate("local", "the Unix socket")).chain(found.map(Candidate::new)).collect()
}

fn addresses(line: &Line) -> Vec<String> {
    let typed = line.words("role");
    let (mut its, others): (Vec<Rule>, Vec<Rule>) =
        rules(line).into_iter().partition(|rule| rule.users.iter().any(|user| typed.contains(&user.text)));
    its.extend(others);
    let mut found: Vec<String> = Vec::new();
    for address in its.iter().filter_map(|rule| rule.address.as_ref()).map(ToString::to_string) {
        if !found.contains(&address) && !address.contains(' ') {
            found.push(address);
        }
    }
    found
}

fn rules(line: &Line) -> Vec<Rule> {
    let read = |cluster: &Cluster| hba_tree::records(&cluster.hba_file, &access::read(cluster)?, cluster.major);
    let found = line.cluster().and_then(|cluster| read(&cluster)).unwrap_or_default();
    let rules = found.into_iter().filter_map(|found| match found.record {
        Record::Rule(rule) => Some(rule),
        Record::Include { .. } | Record::Invalid { .. } => None,
    });
    rules.collect()
}

/// What a rule can be for.
pub fn databases(line: &Line, current: &str) -> Vec<Candidate> {
    let words = [candidate("replication", "connections of standbys"), candidate("all", "but not replication")];
    words.into_iter().chain(completion::databases(line, current)).collect()
}

/// Authentication methods.
pub fn methods(_: &Line, _: &str) -> Vec<Candidate> {
    METHODS.iter().map(Candidate::new).collect()
}

/// Kinds of connections.
pub fn kinds(_: &Line, _: &str) -> Vec<Candidate> {
    Kind::names().iter().map(Candidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_values_of_an_enum_in_the_words_of_a_refusal() {
        let refusal = |line: &str| available(&Rejection { lines: vec![line.to_owned()] });
        let said = "invalid value for parameter \"wal_level\": \"?\" (Available values: minimal, replica, logical.)";
        assert_eq!(refusal(said).unwrap(), ["minimal", "replica", "logical"]);
        assert_eq!(refusal("parameter \"port\" requires a numeric value"), None);
    }
}
