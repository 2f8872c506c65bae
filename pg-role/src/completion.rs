//! What a shell is told of the roles that are there.

use crate::session;
use pg_runbook::completion::{Candidate, Line, ROLES, of_rows};

/// What a role can be a member of: the predefined ones last.
const GROUPS: &str = "SELECT rolname, CASE WHEN rolcanlogin THEN '' ELSE 'no login' END FROM pg_catalog.pg_roles \
    WHERE NOT rolsuper ORDER BY rolname ~ '^pg_', rolcanlogin, rolname";

/// The roles of the server that the tool would work on.
pub fn roles(line: &Line, _: &str) -> Vec<Candidate> {
    of_rows(ask(line, ROLES))
}

/// The roles that have members, or could have.
pub fn groups(line: &Line, _: &str) -> Vec<Candidate> {
    of_rows(ask(line, GROUPS))
}

fn ask(line: &Line, sql: &'static str) -> Vec<Vec<String>> {
    if session::means_another_server(&line.common(), &line.connection(), false) {
        line.ask_named_server(sql)
    } else {
        line.ask(sql)
    }
}
