//! What the verbs report beyond the document's own fields, each under its key; the JSON Schema is made of it.
//!
//! What must always hold: whatever `run.fact` is given stands here.

use crate::catch_up::CatchUp;
use crate::fetch::Fetched;
use crate::findings::Finding;
use crate::preflight::{Outage, Sizes};
use crate::status::{Folder, GivenUpData, UnfinishedChange};
use pg_runbook::standby::Replication;
use schemars::JsonSchema;
use std::path::PathBuf;

/// The facts of `pg-basebackup-swap`.
#[derive(JsonSchema)]
pub struct Facts {
    /// `pg-basebackup-swap run` and `fetch`: all that a copy needs, as it was found before anything was touched.
    pub preflight: Vec<Finding>,
    /// `pg-basebackup-swap run` and `fetch`: for how long nobody will be served.
    pub outage: Outage,
    /// `pg-basebackup-swap run` and `fetch`: how large the copy will be, and how much room there is.
    pub copy: Sizes,
    /// `pg-basebackup-swap run` and `fetch`: the copy that was made.
    pub fetch: Fetched,
    /// `pg-basebackup-swap run` and `swap`: how the copy caught up before it was installed.
    pub catch_up: CatchUp,
    /// `pg-cluster status` and `wait`, `pg-basebackup-swap run`, `swap` and `rollback`: how a running standby's
    /// replication goes.
    pub replication: Replication,
    /// `pg-basebackup-swap run`, `swap` and `rollback`: the directory that went out, and is kept.
    pub kept: PathBuf,
    /// `pg-basebackup-swap commit`: the size of what was let go (with `check`: would be), in bytes.
    pub freed_bytes: u64,
    /// `pg-basebackup-swap status`: the data directory, and what lies beside it.
    pub directories: Vec<Folder>,
    /// `pg-basebackup-swap status`: a change that was begun and cut off; the next run ends it. Absent where there is none.
    pub journal: UnfinishedChange,
    /// `pg-basebackup-swap status`: data that was given up for a copy that has not come yet. Absent where there is none.
    pub given_up: GivenUpData,
}
