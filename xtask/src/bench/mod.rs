//! `cargo xtask bench`: what the tools cost, and what a new copy of a standby costs its clients.
//!
//! What must always hold: each figure is printed as a ratio to a yardstick measured in the same run, taken in turns, so
//! that a machine's moods fall on both.

mod fetch;
mod figures;
mod outage;
mod repmgr;
mod servers;
mod slow_link;
mod tools;
mod ways;

use clap::{Args, Subcommand};

/// What can be asked.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    subject: Option<Subject>,
    #[command(flatten)]
    tools: tools::Arguments,
}

#[derive(Subcommand, Debug)]
enum Subject {
    /// What each tool costs beside a program that does nothing (this is what runs where nothing is named)
    Tools(tools::Arguments),
    /// For how long a standby's clients get no answers while it gets a new copy, by four ways
    Outage(outage::Arguments),
    /// How long a copy takes beside `pg_basebackup`, also over a slow link
    Fetch(fetch::Arguments),
}

/// Prints the figures.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    match &arguments.subject {
        None => tools::run(&arguments.tools),
        Some(Subject::Tools(arguments)) => tools::run(arguments),
        Some(Subject::Outage(arguments)) => outage::run(arguments),
        Some(Subject::Fetch(arguments)) => fetch::run(arguments),
    }
}
