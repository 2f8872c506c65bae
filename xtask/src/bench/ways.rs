//! The ways by which a standby gets a new copy, as they are typed.
//!
//! What must always hold: each copy is synced by the program that makes it, the primary makes its checkpoint at once,
//! and what a way can do before it stops the server, it does before.

use super::repmgr::Repmgr;
use super::servers::Pair;
use crate::ground::Outcome;
use std::time::Duration;

/// One of them.
#[derive(Clone, Debug)]
pub enum Way {
    /// No copy at all: the yardstick.
    Restart,
    /// Ours.
    Swap,
    /// `pg_basebackup` beside the standby, and then what wikis say.
    Wiki,
    /// `repmgr standby clone`.
    Repmgr(Repmgr),
}

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// All of it.
    pub whole: Duration,
    /// Of that, `pg_basebackup` as the user typed it.
    pub plain_copy: Option<Duration>,
}

impl Way {
    /// For tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Restart => "pg-cluster restart",
            Self::Swap => "pg-basebackup-swap run --force",
            Self::Wiki => "pg_basebackup, stop, rm, mv, start",
            Self::Repmgr(_) => "repmgr standby clone -F",
        }
    }

    /// Goes it; the standby runs afterwards.
    pub fn go(&self, pair: &Pair) -> Outcome<Took> {
        let ours = |script| pair.timed_tools(script).map(|whole| Took { whole, plain_copy: None });
        match self {
            Self::Restart => ours("pg-cluster restart -D standby --no-input"),
            Self::Swap => {
                ours("pg-basebackup-swap run --force -D standby --input primary.json --passfile pgpass --progress none")
            }
            Self::Wiki => {
                let copy = pair.timed_owner(&format!(
                    "pg_basebackup -D backup -R -X stream -c fast -d '{}' && cp -p standby/postgresql.conf backup/",
                    pair.way(pair.ground.primary_port)
                ))?;
                let rest = pair.timed_owner(&format!(
                    "pg_ctl stop -D standby -m fast && rm -rf standby && mv backup standby && {PG_CTL_START}"
                ))?;
                Ok(Took { whole: copy + rest, plain_copy: Some(copy) })
            }
            Self::Repmgr(repmgr) => pair
                .timed_owner(&format!(
                    "cp -p standby/postgresql.conf standby.conf && pg_ctl stop -D standby -m fast && {} \
                     && cp -p standby.conf standby/postgresql.conf && {PG_CTL_START}",
                    repmgr.clone_standby(pair)
                ))
                .map(|whole| Took { whole, plain_copy: None }),
        }
    }

    /// Removes what the way leaves behind on purpose, so that the disk doesn't fill up.
    pub fn clear_up(&self, pair: &Pair) -> Outcome<()> {
        match self {
            Self::Swap => pair.tools("pg-basebackup-swap commit -D standby --no-input"),
            _ => Ok(()),
        }
    }
}

const PG_CTL_START: &str = "pg_ctl start -D standby -l standby.log";
