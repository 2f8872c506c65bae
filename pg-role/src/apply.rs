//! Statements run in one transaction, and out of sight of the server's log.
//!
//! What must always hold: a statement that carries a verifier is sent on its own, after the settings that keep it out
//! of the log are in force; whatever fails, nothing of the transaction stays.

use pg_runbook::server::Server;
use pg_runbook::{Failure, Secret, signals};

/// Runs them all or none. `hidden`: they carry a verifier, and the connecting role is a superuser.
pub fn apply(server: &mut Server, statements: &[Secret], hidden: bool) -> Result<(), Failure> {
    signals::safe_point("before anything was changed")?;
    if hidden && server.server_version_num() >= 120_000 {
        // Drawn by lot when a transaction begins, so it has to be settled before.
        server.batch("SET log_transaction_sample_rate = 0")?;
    }
    let settings = if hidden { hiding(server)? } else { Vec::new() };
    // With the simple protocol the log gets a whole message or nothing of it: these must not share one.
    server.batch("BEGIN")?;
    let work = |server: &mut Server| {
        settings.iter().try_for_each(|(name, value)| server.batch(&format!("SET LOCAL {name} = {value}")))?;
        statements.iter().try_for_each(|statement| server.batch(statement.expose()))?;
        server.batch("COMMIT")
    };
    work(server).inspect_err(|_| {
        let _ = server.batch("ROLLBACK");
    })
}

/// What could write a statement down, by this server's version and extensions.
fn hiding(server: &mut Server) -> Result<Vec<(&'static str, &'static str)>, Failure> {
    let mut settings = vec![
        ("log_statement", "'none'"),
        ("log_min_duration_statement", "-1"),
        ("log_min_error_statement", "'panic'"),
        ("debug_print_parse", "off"),
        ("debug_print_rewritten", "off"),
        ("debug_print_plan", "off"),
    ];
    if server.server_version_num() >= 130_000 {
        settings.push(("log_min_duration_sample", "-1"));
    }
    let utility = "pg_stat_statements.track_utility";
    if server.text(&format!("SELECT current_setting('{utility}', true)"))?.is_some() {
        settings.push((utility, "off"));
    }
    Ok(settings)
}
