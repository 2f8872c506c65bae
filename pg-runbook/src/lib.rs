//! What every stage of the runbook needs, and nothing about any one stage.

pub mod failure;
pub mod secret;

pub use failure::{Attempt, Code, Failure};
pub use secret::Secret;
