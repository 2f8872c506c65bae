//! What the verbs report beyond the document's own fields, each under its key; the JSON Schema is made of it.
//!
//! What must always hold: whatever `run.fact` is given stands here.

use crate::check::{Examined, Login};
use crate::list::Line;
use schemars::JsonSchema;

/// The facts of `pg-pass`.
#[derive(JsonSchema)]
pub struct Facts {
    /// `pg-pass list`: the file's password lines, without the passwords.
    pub lines: Vec<Line>,
    /// `pg-pass check`: what the password file has to say of the login.
    pub passfile: Examined,
    /// `pg-pass check`: what the server said that the replication login came to.
    pub login: Login,
}
