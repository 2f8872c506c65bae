//! `pg-pass list`: the lines, without passwords. Changes nothing.

use crate::args::ListArguments;
use crate::{file, location};
use pg_runbook::cli::table::{Cell, Column, Table};
use pg_runbook::passfile::Entry;
use pg_runbook::{Failure, Run};
use schemars::JsonSchema;
use serde::Serialize;

/// A line of a password file, without the password. A field that matches everything is `*`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PasswordLine")]
pub struct Line {
    /// Its line, counted from 1.
    #[serde(rename = "line")]
    number: usize,
    /// The host that it is for.
    host: String,
    /// The port, as the line has it.
    port: String,
    /// The database; `replication` for replication logins.
    database: String,
    /// The role.
    username: String,
}

impl From<&Entry> for Line {
    fn from(entry: &Entry) -> Self {
        Self {
            number: entry.line,
            host: entry.host.to_string(),
            port: entry.port.to_string(),
            database: entry.database.to_string(),
            username: entry.username.to_string(),
        }
    }
}

/// `pg-pass list`
pub fn list(run: &mut Run, arguments: &ListArguments) -> Result<(), Failure> {
    let place = location::find(run, &arguments.file)?;
    let found = file::read(&place)?;
    let file = place.path.display();
    if let Some(problem) = found.disk.and_then(file::Disk::problem) {
        run.warn(format!("libpq ignores {file}: {problem}; mend it with: chmod 0600 {file}"));
    }
    for number in found.lines.malformed() {
        run.warn(format!("line {number} of {file} gives no password: it has not the five fields of a password line"));
    }
    let lines: Vec<Line> = found.lines.entries().iter().map(Line::from).collect();
    run.message(match (&found.disk, lines.len()) {
        (None, _) => format!("there is no {file}"),
        (Some(_), 1) => format!("{file}: 1 line"),
        (Some(_), count) => format!("{file}: {count} lines"),
    });
    let columns = [
        Column::number("LINE"),
        Column::text("HOST"),
        Column::number("PORT"),
        Column::text("DATABASE"),
        Column::text("ROLE"),
    ];
    let cells = |line: &Line| {
        [line.number.to_string(), line.host.clone(), line.port.clone(), line.database.clone(), line.username.clone()]
            .map(Cell::from)
    };
    run.show_table(&Table::new(columns, lines.iter().map(cells)));
    run.fact("lines", &lines);
    Ok(())
}
