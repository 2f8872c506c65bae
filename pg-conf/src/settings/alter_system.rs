//! What ALTER SYSTEM set, taken back by the server, which owns postgresql.auto.conf while it runs.
//!
//! What must always hold: this comes after the files have been written, so that a failure in between leaves in force
//! what was in force, and a second run ends what the first began.

use super::plan::TakenBack;
use crate::install;
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::Edit;
use pg_runbook::server::ConnectionArguments;
use pg_runbook::{Failure, Run, durable_file};

/// Takes the entries back, or with `--check` only tells of them. What the server made of its file comes back.
pub fn take_back(
    run: &mut Run,
    cluster: &Cluster,
    taken_back: TakenBack,
    connection: &ConnectionArguments,
) -> Result<Option<Edit>, Failure> {
    let Some(edit) = taken_back.edit else { return Ok(None) };
    install::show(run, &edit);
    let mut server = if run.check() { None } else { Some(run.connect(cluster, connection)?) };
    for change in taken_back.changes {
        if let Some(server) = &mut server {
            server.batch(&statement(&change.name)).map_err(|failure| {
                failure
                    .while_doing(format!("take back what ALTER SYSTEM set {} to", change.name))
                    .because("it still beats the file")
                    .hint("run this again; only a superuser may (-U SUPERUSER)")
            })?;
        }
        run.change(change);
    }
    if run.check() {
        return Ok(None);
    }
    let after = durable_file::read(&edit.path)?;
    Ok(Some(Edit { after, ..edit }))
}

fn statement(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(|part| format!("\"{part}\"")).collect();
    format!("ALTER SYSTEM RESET {}", parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_part_by_part() {
        assert_eq!(
            statement("auto_explain.log_min_duration"),
            r#"ALTER SYSTEM RESET "auto_explain"."log_min_duration""#
        );
    }
}
