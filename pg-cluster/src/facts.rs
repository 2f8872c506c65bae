//! What the verbs report beyond the document's own fields, each under its key; the JSON Schema is made of it.
//!
//! What must always hold: whatever `run.fact` is given stands here.

use crate::running::AttachedStandby;
use crate::status::UnreadableCluster;
use pg_runbook::Cluster;
use pg_runbook::standby::Replication;
use schemars::JsonSchema;

/// The facts of `pg-cluster`.
#[derive(JsonSchema)]
pub struct Facts {
    /// `pg-cluster list`: the clusters of this host.
    pub clusters: Vec<Cluster>,
    /// `pg-cluster list`: clusters of Debian's layout whose configuration can't be read.
    pub unreadable: Vec<UnreadableCluster>,
    /// `pg-cluster status`: what starts and stops its server: a systemd unit, `pg_ctlcluster` or `pg_ctl`; `outside UNIT`
    /// where its server was started without the unit that it belongs to.
    pub managed_by: String,
    /// `pg-cluster status`, in Debian's layout: what start.conf says, `auto`, `manual` or `disabled`.
    pub start_policy: String,
    /// `pg-cluster status` and `wait`, `pg-basebackup-swap run`, `swap` and `rollback`: how a running standby's
    /// replication goes.
    pub replication: Replication,
    /// `pg-cluster status` and `restart`: the standbys that a running server sends to.
    pub standbys: Vec<AttachedStandby>,
    /// `pg-cluster status`: the settings that a running server has read, and only takes with a restart.
    pub pending_restart: Vec<String>,
    /// `pg-cluster require`: the version of the server's programs, such as `17.6`.
    pub version: String,
}
