//! `pg-conf rules`: the rules in the order in which the server tries them. Changes nothing.

use crate::rules::access;
use crate::rules::hba_file::{Address, Record, Word};
use crate::rules::hba_tree;
use pg_runbook::cli::colour::Mark;
use pg_runbook::cli::table::{Cell, Column, Table};
use pg_runbook::{Failure, Run};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// One line of `pg_hba.conf`, as the document has it under `rules`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Rule")]
pub struct Shown {
    /// Its file.
    file: PathBuf,
    /// Its line there, counted from 1.
    line: usize,
    /// `local`, `host`, `hostssl`, `hostnossl`, `hostgssenc` or `hostnogssenc`; empty where the line is wrong.
    #[serde(rename = "type")]
    kind: String,
    /// The databases that it is for; names from `@files` stand in their places.
    databases: Vec<String>,
    /// The roles that it is for, in the same way.
    users: Vec<String>,
    /// The addresses that it is for, as the line says it; null for `local`.
    address: Option<String>,
    /// The authentication method, such as `scram-sha-256`.
    method: String,
    /// The method's options, each `name=value`.
    options: Vec<String>,
    /// The line as it stands there.
    raw: String,
    /// Why the server would not load it; absent where it would.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `pg-conf rules`
pub fn rules(run: &mut Run) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let found = hba_tree::records(&cluster.hba_file, &access::read(&cluster)?, cluster.major)?;
    let shown: Vec<Shown> = found.iter().filter_map(Shown::of).collect();
    let errors = shown.iter().filter(|shown| shown.error.is_some()).count();
    run.message(match shown.len() - errors {
        1 => "1 rule; the first that matches wins".to_owned(),
        count => format!("{count} rules; the first that matches wins"),
    });
    if errors > 0 {
        let lines = if errors == 1 { "a line is".to_owned() } else { format!("{errors} lines are") };
        run.warn(format!("{lines} wrong, so the server would not load the rules: pg-conf check {}", cluster.option()));
    }
    let columns = [
        Column::text("TYPE"),
        Column::text("DATABASE"),
        Column::text("USER"),
        Column::text("ADDRESS"),
        Column::words("METHOD"),
        Column::path("WHERE"),
    ];
    run.show_table(&Table::new(columns, shown.iter().map(Shown::row)));
    run.fact("rules", &shown);
    Ok(())
}

impl Shown {
    /// A rule or a wrong line.
    pub fn of(found: &hba_tree::Found) -> Option<Self> {
        let words = |words: &[Word]| words.iter().map(Word::to_string).collect();
        let file = found.file.clone();
        match &found.record {
            Record::Rule(rule) => Some(Self {
                file,
                line: rule.line,
                kind: rule.kind.to_string(),
                databases: words(&rule.databases),
                users: words(&rule.users),
                address: rule.address.as_ref().map(Address::to_string),
                method: rule.method.clone(),
                options: rule.options.clone(),
                raw: rule.raw.trim().to_owned(),
                error: None,
            }),
            Record::Invalid { line, reason, raw } => Some(Self {
                file,
                line: *line,
                raw: raw.trim().to_owned(),
                error: Some(reason.clone()),
                ..Self::default()
            }),
            Record::Include { .. } => None,
        }
    }

    fn row(&self) -> [Cell; 6] {
        let method = self.error.as_ref().map_or_else(
            || Cell::from(std::iter::once(&self.method).chain(&self.options).cloned().collect::<Vec<_>>().join(" ")),
            |error| Cell::from(format!("error: {error}")).marked(Mark::Error),
        );
        let address = self.address.clone().unwrap_or_default();
        let [databases, users] = [&self.databases, &self.users].map(|names| Cell::from(names.join(",")));
        [self.kind.clone().into(), databases, users, address.into(), method, self.place().into()]
    }

    /// `FILE:LINE`
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    /// The authentication method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The line, as the server reads it.
    pub fn raw(&self) -> &str {
        &self.raw
    }
}
