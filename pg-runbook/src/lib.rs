//! What every stage of the runbook needs, and nothing about any one stage.

pub mod cli;
pub mod cluster;
pub mod completion;
pub mod configuration;
pub mod document;
pub mod durable_file;
pub mod failure;
pub mod given_up;
pub mod invocation;
pub mod journal;
pub mod lock;
pub mod lsn;
pub mod owner;
pub mod passfile;
pub mod process;
pub mod replication;
pub mod secret;
pub mod server;
pub mod service;
pub mod signals;
pub mod standby;
mod stderr;

pub use cli::Run;
pub use cluster::Cluster;
pub use document::{Change, Document, Level};
pub use failure::{Attempt, Code, Failure};
pub use given_up::GivenUp;
pub use journal::Journal;
pub use secret::Secret;
