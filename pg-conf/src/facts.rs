//! What the verbs report beyond the document's own fields, each under its key; the JSON Schema is made of it.
//!
//! What must always hold: whatever `run.fact` is given stands here.

use crate::check::Problem;
use crate::rules::explain::Answer;
use crate::rules::show::Shown as Rule;
use crate::settings::bounds::Bound;
use crate::settings::get::Shown as Setting;
use pg_runbook::configuration::history::Step;
use schemars::JsonSchema;

/// The facts of `pg-conf`.
#[derive(JsonSchema)]
pub struct Facts {
    /// `pg-conf get`: settings as the files have them, and as the server runs with them.
    pub settings: Vec<Setting>,
    /// `pg-conf match`: the settings that a standby must not be below its primary in.
    pub bounds: Vec<Bound>,
    /// `pg-conf check`: what is wrong; empty where nothing is.
    pub problems: Vec<Problem>,
    /// `pg-conf rules`: the lines of `pg_hba.conf` in the order in which the server tries them.
    pub rules: Vec<Rule>,
    /// `pg-conf explain`: what becomes of a login, one answer for each address that was asked about.
    pub explain: Vec<Answer>,
    /// `pg-conf undo --list`: the changes that are kept, the oldest first.
    pub history: Vec<Step>,
}
