//! What can be typed.

use crate::{completion, examples};
use clap::{Args, Parser, Subcommand};
use pg_runbook::cli::{CommonArguments, PasswordArguments, help};
use pg_runbook::completion::of;
use pg_runbook::server::ConnectionArguments;

/// Make, show and drop the replication role
#[derive(Parser, Debug)]
#[command(name = "pg-role", version, disable_help_flag = true, disable_help_subcommand = true)]
#[command(after_help = help::SHORT, after_long_help = help::tool("pg-role", examples::TOOL))]
pub struct Arguments {
    /// The options that every tool has.
    #[command(flatten)]
    pub common: CommonArguments,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// See that the role is there, with LOGIN and REPLICATION, and with this password
    ///
    /// What no option names is left as it is. The password is stored as a SCRAM verifier that is made here; one that
    /// is stored already, as SCRAM or as md5, stays.
    ///
    /// Without one of the password options, $PGPASSWORD is the role's password, unless a server is named (-h,
    /// --conninfo, a service, PGHOST): there it is the password of the connection. Where there is no password at all, a
    /// new role's is asked for on the terminal, and an old role keeps its own.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-role", "ensure", examples::ENSURE))]
    Ensure(EnsureArguments),
    /// Show the role
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-role", "show", examples::SHOW))]
    Show(ShowArguments),
    /// Remove the role
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-role", "drop", examples::DROP))]
    Drop(DropArguments),
}

/// The role as it should be.
#[derive(Args, Clone, Debug)]
pub struct EnsureArguments {
    /// The role
    #[arg(value_name = "NAME", add = of(completion::roles))]
    pub name: String,
    /// Make it a member of this role too
    ///
    /// May be repeated; other memberships stay.
    #[arg(long, value_name = "ROLE", add = of(completion::groups))]
    pub member_of: Vec<String>,
    /// How many connections at once; -1 for any
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1..))]
    pub connection_limit: Option<i32>,
    /// When its password ends; infinity for never
    ///
    /// In any form that the server reads.
    #[arg(long, value_name = "TIMESTAMP")]
    pub valid_until: Option<String>,
    /// Its password.
    #[command(flatten)]
    pub password: PasswordArguments,
    /// How to connect.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// Which role to show.
#[derive(Args, Clone, Debug)]
pub struct ShowArguments {
    /// The role
    #[arg(value_name = "NAME", add = of(completion::roles))]
    pub name: String,
    /// How to connect.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// Which role to drop.
#[derive(Args, Clone, Debug)]
pub struct DropArguments {
    /// The role
    #[arg(value_name = "NAME", add = of(completion::roles))]
    pub name: String,
    /// Drop it although standbys replicate by it
    #[arg(long)]
    pub force: bool,
    /// How to connect.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}
