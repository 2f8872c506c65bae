//! A reload, and what the server itself finds wrong in its configuration files.
//!
//! What must always hold: a file that the server could not load is a failure, also where all others were loaded.

use super::{await_condition, signal};
use crate::cluster::Cluster;
use crate::cluster::postmaster;
use crate::failure::Failure;
use crate::server::Server;
use nix::sys::signal::Signal;
use std::time::Duration;

/// Sends SIGHUP, and waits until the server has loaded its files; a file that it could not load is a failure. One that
/// can't be asked is only sent the signal.
pub fn reload(cluster: &Cluster, server: Option<&mut Server>) -> Result<(), Failure> {
    let Some(process) = postmaster::look(&cluster.data_directory).process() else {
        return Err(Failure::failed(format!("{} does not run, so there is nothing to reload", cluster.title()))
            .hint(format!("pg-cluster start {}", cluster.option())));
    };
    let Some(server) = server else {
        signal(&process, Signal::SIGHUP)?;
        return Ok(());
    };
    let before = server.text("SELECT pg_conf_load_time()::text")?;
    signal(&process, Signal::SIGHUP)?;
    // A file that can't be read leaves the time as it was: waiting longer would change nothing.
    let mut over = || -> Result<bool, Failure> {
        let loaded = server.text("SELECT pg_conf_load_time()::text")? != before;
        Ok(loaded || !configuration_errors(server)?.is_empty())
    };
    let mut trouble = Ok(());
    let loaded = await_condition(Duration::from_secs(5), "while the configuration is loaded", || {
        over().unwrap_or_else(|failure| {
            trouble = Err(failure);
            true
        })
    })?;
    trouble?;
    let errors = configuration_errors(server)?;
    if loaded && errors.is_empty() {
        return Ok(());
    }
    let failure =
        Failure::failed(format!("{} could not load its configuration, and goes on with the old one", cluster.title()));
    Err(errors.into_iter().fold(failure, Failure::because).hint(format!("pg-conf check {}", cluster.option())))
}

/// What the server itself finds wrong in its configuration files as they are now. What only waits for a restart is not
/// wrong.
pub fn configuration_errors(server: &mut Server) -> Result<Vec<String>, Failure> {
    let mut errors = setting_errors(server)?;
    errors.extend(rule_errors(server)?);
    Ok(errors)
}

/// The same for postgresql.conf and what it includes alone. The server has one text for a value that it refuses and for
/// one that waits for a restart: which it is, the setting's context tells.
pub fn setting_errors(server: &mut Server) -> Result<Vec<String>, Failure> {
    server.batch("SET lc_messages = 'C'")?;
    let settings = "SELECT coalesce(f.sourcefile, '?') || ':' || coalesce(f.sourceline, 0) || ': '
            || coalesce(f.name || ': ', '') || f.error
        FROM pg_file_settings f LEFT JOIN pg_settings s ON lower(s.name) = lower(f.name)
        WHERE f.error IS NOT NULL AND NOT (s.context IS NOT DISTINCT FROM 'postmaster'
            AND (f.error = 'setting could not be applied'
                OR f.error LIKE 'parameter \"%\" cannot be changed without restarting the server'))
        ORDER BY f.seqno";
    Ok(server.query(settings, &[])?.iter().map(|row| row.get(0)).collect())
}

/// What the server finds wrong in `pg_hba.conf`. A rule that it read and that can't match as things are (`hostssl`
/// without TLS) is not wrong: the file is loaded with it.
pub fn rule_errors(server: &mut Server) -> Result<Vec<String>, Failure> {
    server.batch("SET lc_messages = 'C'")?;
    // file_name came with 16.
    let rules = "SELECT coalesce(to_jsonb(r) ->> 'file_name', current_setting('hba_file')) || ':'
            || coalesce(line_number, 0) || ': ' || error
        FROM pg_hba_file_rules r WHERE error IS NOT NULL AND type IS NULL";
    Ok(server.query(rules, &[])?.iter().map(|row| row.get(0)).collect())
}
