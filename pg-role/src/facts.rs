//! What the verbs report beyond the document's own fields, each under its key; the JSON Schema is made of it.
//!
//! What must always hold: whatever `run.fact` is given stands here.

use crate::role::Role;
use schemars::JsonSchema;

/// The facts of `pg-role`.
#[derive(JsonSchema)]
pub struct Facts {
    /// `pg-role show` and `ensure`: the role as it is.
    pub role: Role,
}
