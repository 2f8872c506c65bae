//! What is written, as the running server reads it (`pg_file_settings`), before anybody tells it to load it.
//!
//! What must always hold: where the server reads anything else than what we said, the old files are back.

use crate::install::Installed;
use crate::running::{self, Running};
use pg_runbook::cluster::Cluster;
use pg_runbook::document::Change;
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::{Code, Failure, Run, service};
use std::collections::BTreeMap;

/// Asks the server, where it answered before.
pub fn verify(
    run: &mut Run,
    cluster: &Cluster,
    running: &Running,
    changes: &[Change],
    connection: &ConnectionArguments,
    installed: &Installed,
) -> Result<(), Failure> {
    if !matches!(running, Running::Answers(_)) {
        return Ok(());
    }
    let Some(mut server) = running::connect(run, cluster, connection) else { return Ok(()) };
    let is_superuser = server.text("SHOW is_superuser").map_err(|failure| installed.take_back_unjudged(failure))?;
    if is_superuser.as_deref() != Some("on") {
        run.warn("the running server tells only a superuser what it reads in its files: -U SUPERUSER");
        return Ok(());
    }
    let wrong = match disagreements(&mut server, changes) {
        Err(failure) if failure.code == Code::GaveUp => return Err(installed.take_back_unjudged(failure)),
        // 10 and 12 fail over some values instead of saying which they are.
        Err(failure) => vec![failure.to_string()],
        Ok(wrong) => wrong,
    };
    if wrong.is_empty() {
        return Ok(());
    }
    let failure = match installed.take_back() {
        Ok(()) => Failure::failed("the running server does not read what was written; the old files are back"),
        Err(second) => Failure::failed("the running server does not read what was written, and it could not be undone")
            .because(second),
    };
    Err(wrong.into_iter().fold(failure, Failure::because).hint(format!("pg-conf check {}", cluster.option())))
}

/// Errors anywhere in the files, and changed settings that the server finds with another value or in another place.
fn disagreements(server: &mut Server, changes: &[Change]) -> Result<Vec<String>, Failure> {
    let mut wrong = service::setting_errors(server)?;
    // The last assignment of a name is the one that counts.
    let query = "SELECT DISTINCT ON (lower(name)) lower(name), setting, sourcefile FROM pg_file_settings
        WHERE name IS NOT NULL ORDER BY lower(name), seqno DESC";
    let rows = server.query(query, &[])?;
    let read: BTreeMap<String, (String, String)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    for change in changes.iter().filter(|change| change.kind == "setting") {
        match (&change.after, read.get(&change.name)) {
            (Some(asked), Some((found, _))) if asked == found => {}
            (Some(asked), Some((found, file))) => {
                wrong.push(format!("{} is to be {asked}, and the server reads {found} in {file}", change.name));
            }
            (Some(asked), None) => {
                wrong.push(format!("{} is to be {asked}, and the server reads nothing", change.name));
            }
            // What is left of a name that was taken out is ALTER SYSTEM's, and was told.
            (None, _) => {}
        }
    }
    Ok(wrong)
}
