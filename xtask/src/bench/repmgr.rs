//! repmgr on the throwaway primary: what it wants before it clones.
//!
//! What must always hold: a repmgr that can't be had is said so with the package that brings it, and never passes for
//! measured.

use super::servers::Pair;
use crate::ground::Outcome;
use pg_runbook::cluster::programs;
use pg_runbook::invocation::system_program;
use std::path::{Path, PathBuf};

/// repmgr, ready to clone.
#[derive(Clone, Debug)]
pub struct Repmgr {
    program: PathBuf,
}

impl Repmgr {
    /// Registers the primary; why not, where repmgr is missing.
    pub fn prepare(pair: &Pair) -> Outcome<Result<Self, String>> {
        let major = pair.ground.major;
        let missing = || {
            format!(
                "repmgr was not measured: it is not here for PostgreSQL {major} (Debian: apt-get install postgresql-{major}-repmgr)"
            )
        };
        let Some(program) = programs::find_server(major, "repmgr").or_else(|| system_program("repmgr").ok()) else {
            return Ok(Err(missing()));
        };
        let port = pair.ground.primary_port;
        let extension = pair.psql(port, "SELECT count(*) FROM pg_available_extensions WHERE name = $$repmgr$$")?;
        if extension == "0" {
            return Ok(Err(missing()));
        }
        let repmgr = Self { program };
        repmgr.configure(pair, 1, "primary", port)?;
        repmgr.configure(pair, 2, "standby", pair.ground.standby_port)?;
        pair.owner(&format!("{} -f primary.repmgr.conf primary register", repmgr.program.display()))?;
        Ok(Ok(repmgr))
    }

    /// One node's file. By the Unix socket, where the servers' owner needs no password.
    fn configure(&self, pair: &Pair, number: u32, name: &str, port: u16) -> Outcome<()> {
        let folder = &pair.ground.folder;
        let programs = self.program.parent().unwrap_or(Path::new("/usr/bin"));
        let programs = programs::find_server(pair.ground.major, "pg_ctl")
            .and_then(|program| program.parent().map(Path::to_owned))
            .unwrap_or_else(|| programs.to_owned());
        let lines = format!(
            "node_id={number}\nnode_name='{name}'\nconninfo='host={} port={port} dbname=postgres'\n\
             data_directory='{}'\npg_bindir='{}'\n",
            pair.ground.sockets().display(),
            folder.join(name).display(),
            programs.display()
        );
        let file = folder.join(format!("{name}.repmgr.conf"));
        std::fs::write(&file, lines).map_err(|error| format!("write {}: {error}", file.display()))
    }

    /// The command that clones, for a standby that is down.
    pub fn clone_standby(&self, pair: &Pair) -> String {
        let primary = format!("-h {} -p {} -d postgres", pair.ground.sockets().display(), pair.ground.primary_port);
        format!("{} {primary} -f standby.repmgr.conf standby clone -F --fast-checkpoint", self.program.display())
    }
}
