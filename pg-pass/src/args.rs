//! What can be typed.

use crate::examples;
use clap::{Args, Parser, Subcommand, ValueHint};
use pg_runbook::cli::{CommonArguments, PasswordArguments, help};
use std::path::PathBuf;

/// Keep the replication role's password in the password file, and see that the login works with it
#[derive(Parser, Debug)]
#[command(name = "pg-pass", version, disable_help_flag = true, disable_help_subcommand = true)]
#[command(after_help = help::SHORT, after_long_help = help::tool("pg-pass", examples::TOOL))]
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
    /// See that the password file gives this password for this server and role
    ///
    /// The line is found, changed or added so that libpq takes it; other bytes stay. A file that others can read is
    /// made private, because libpq ignores it otherwise.
    ///
    /// Without one of the password options, the password is $PGPASSWORD, or is asked for on the terminal.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-pass", "set", examples::SET))]
    Set(SetArguments),
    /// Remove the line for this server and role
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-pass", "remove", examples::REMOVE))]
    Remove(RemoveArguments),
    /// List the lines, without passwords
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-pass", "list", examples::LIST))]
    List(ListArguments),
    /// See that the file is one that libpq reads, which line wins, and that a replication login works with it
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-pass", "check", examples::CHECK))]
    Check(CheckArguments),
}

/// Which file.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Which file")]
pub struct FileArguments {
    /// The password file
    ///
    /// [default: the document's, $PGPASSFILE, or ~/.pgpass of its owner]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passfile: Option<PathBuf>,
    /// The user whose file it is
    ///
    /// [default: the cluster's owner where one is named; postgres where root runs this]
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
}

/// Which server and role.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection options")]
pub struct ServerArguments {
    /// The server's host, or socket directory
    ///
    /// [default: the document's primary]
    #[arg(short = 'h', long, value_name = "HOST")]
    pub host: Option<String>,
    /// The server's port
    #[arg(short = 'p', long, value_name = "PORT", value_parser = port)]
    pub port: Option<String>,
    /// The replication role
    #[arg(short = 'U', long, value_name = "NAME")]
    pub username: Option<String>,
    /// Connection string or URI
    ///
    /// It overrides the options above where they conflict.
    #[arg(hide_short_help = true, long, value_name = "CONNSTR")]
    pub conninfo: Option<String>,
}

/// Which line. In host, port, name and database * stands for any.
#[derive(Args, Clone, Debug)]
pub struct LineArguments {
    /// Which server and role.
    #[command(flatten)]
    pub server: ServerArguments,
    /// The database
    ///
    /// Replication connections look for the name replication.
    #[arg(
        short = 'd',
        long,
        value_name = "DBNAME",
        default_value = "replication",
        help_heading = "Connection options"
    )]
    pub dbname: String,
}

/// The line as it should be.
#[derive(Args, Clone, Debug)]
pub struct SetArguments {
    /// Which line.
    #[command(flatten)]
    pub line: LineArguments,
    /// Its password.
    #[command(flatten)]
    pub password: PasswordArguments,
    /// Which file.
    #[command(flatten)]
    pub file: FileArguments,
}

/// The line to remove.
#[derive(Args, Clone, Debug)]
pub struct RemoveArguments {
    /// Which line.
    #[command(flatten)]
    pub line: LineArguments,
    /// Which file.
    #[command(flatten)]
    pub file: FileArguments,
}

/// The file to list.
#[derive(Args, Clone, Debug)]
pub struct ListArguments {
    /// Which file.
    #[command(flatten)]
    pub file: FileArguments,
}

/// The login to try.
#[derive(Args, Clone, Debug)]
pub struct CheckArguments {
    /// Which server and role.
    #[command(flatten)]
    pub server: ServerArguments,
    /// Which file.
    #[command(flatten)]
    pub file: FileArguments,
}

fn port(text: &str) -> Result<String, String> {
    let number = text.parse::<u16>().is_ok_and(|number| number > 0);
    if number || text == "*" {
        return Ok(text.to_owned());
    }
    Err("it is a number from 1 to 65535, or *".into())
}
