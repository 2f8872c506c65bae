//! What can be typed.

use crate::{completion, examples};
use clap::{Args, Parser, Subcommand, ValueHint};
use pg_runbook::cli::{CommonArguments, help};
use pg_runbook::completion::of;
use pg_runbook::server::ConnectionArguments;
use std::path::PathBuf;

/// Edit postgresql.conf and `pg_hba.conf`: where they are in force, and judged by the server first
#[derive(Parser, Debug)]
#[command(name = "pg-conf", version, disable_help_flag = true, disable_help_subcommand = true)]
#[command(after_help = help::SHORT, after_long_help = help::tool("pg-conf", examples::TOOL))]
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
    /// Give settings a value
    ///
    /// A setting is changed where it is in force, in whatever file. One that no file names goes behind its commented-out
    /// default; without one into 90-pg-conf.conf in the folder that postgresql.conf includes (Debian's conf.d), else to
    /// the end of postgresql.conf.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "set", examples::SET))]
    Set(SetArguments),
    /// Take settings out of the files, back to their defaults
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "unset", examples::UNSET))]
    Unset(UnsetArguments),
    /// Show settings: their value, where it stands, what runs
    ///
    /// Each with file and line, what overrides it or it overrides, the value that the server runs with, and whether a
    /// restart is pending.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "get", examples::GET))]
    Get(GetArguments),
    /// Judge the whole configuration without a change
    ///
    /// Exit status 0: the server takes the files as they are, and would start with them; warnings may be told. 1: it has
    /// problems, each told with file and line. That makes it fit for cron (with --no-input -q) and CI.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "check", examples::CHECK))]
    Check(CheckArguments),
    /// Raise a standby's settings to what its primary asks for
    ///
    /// None is ever lowered. The bounds are the document's, or asked of the primary with the replication role alone, or
    /// read from a copy of it. To raise a bound, the standbys go first; to lower one, the primary, and each standby
    /// once it has replayed that.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "match", examples::MATCH))]
    Match(MatchArguments),
    /// Let a role log in, with a rule in `pg_hba.conf`
    ///
    /// The rule is put where it works, as narrow as it can be; where the role may log in already, nothing changes.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "allow", examples::ALLOW))]
    Allow(AllowArguments),
    /// Take the rules away that allow puts in
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "disallow", examples::DISALLOW))]
    Disallow(AccessArguments),
    /// Show the rules of `pg_hba.conf`
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "rules", examples::RULES))]
    Rules,
    /// Put back what the last change replaced, byte for byte
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "undo", examples::UNDO))]
    Undo(UndoArguments),
    /// Say which rule of `pg_hba.conf` decides a login
    ///
    /// Told are what its method then asks for, and the later rules that it hides.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-conf", "explain", examples::EXPLAIN))]
    Explain(ExplainArguments),
}

/// How far back.
#[derive(Args, Clone, Debug)]
pub struct UndoArguments {
    /// Back to before this step [default: the last]
    ///
    /// All later ones are taken back too; --list shows them.
    #[arg(long, value_name = "N")]
    pub step: Option<u32>,
    /// Show the steps that are kept; change nothing
    #[arg(long, conflicts_with = "step")]
    pub list: bool,
    /// How to ask the cluster's server.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// What to set.
#[derive(Args, Clone, Debug)]
pub struct SetArguments {
    /// The settings, such as `wal_level=replica`
    #[arg(value_name = "NAME=VALUE", required = true, add = of(completion::assignments))]
    pub settings: Vec<String>,
    /// Take back what ALTER SYSTEM set
    ///
    /// It would beat the files; it is taken back through the server where that runs.
    #[arg(long = "override")]
    pub overriding: bool,
    /// How to ask the cluster's server.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// What to take out.
#[derive(Args, Clone, Debug)]
pub struct UnsetArguments {
    /// The settings, by name
    #[arg(value_name = "NAME", required = true, add = of(completion::settings))]
    pub names: Vec<String>,
    /// Take back what ALTER SYSTEM set as well
    ///
    /// Through the server where it runs.
    #[arg(long = "override")]
    pub overriding: bool,
    /// How to ask the cluster's server.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// What to show.
#[derive(Args, Clone, Debug)]
pub struct GetArguments {
    /// The settings, by name [default: all set ones]
    #[arg(value_name = "NAME", add = of(completion::settings))]
    pub names: Vec<String>,
    /// How to ask the cluster's server.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// How to ask the cluster's server.
#[derive(Args, Clone, Debug)]
pub struct CheckArguments {
    /// How to ask the cluster's server.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// Which primary [default: the document's].
#[derive(Args, Clone, Debug)]
pub struct MatchArguments {
    /// How to reach the primary, as a standby does.
    #[command(flatten)]
    pub primary: ConnectionArguments,
    /// Ask no server: read a copy of the primary
    ///
    /// The bounds are those in the control file of this directory, such as a base backup, by its `pg_controldata`.
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub from_copy: Option<PathBuf>,
    /// The password file
    ///
    /// [default: the document's, else the owner's ~/.pgpass]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passfile: Option<PathBuf>,
}

/// Whom to let in.
#[derive(Args, Clone, Debug)]
pub struct AllowArguments {
    /// Whom, from where, and how.
    #[command(flatten)]
    pub access: AccessArguments,
    /// Put the rule before this line, past a reject
    ///
    /// [default: where it is needed]
    #[arg(long, value_name = "LINE")]
    pub before: Option<usize>,
}

/// Whom to let in, from where, and how.
#[derive(Args, Clone, Debug)]
pub struct AccessArguments {
    /// The role
    #[arg(value_name = "ROLE", add = of(completion::roles))]
    pub role: String,
    /// Where it comes from; may be repeated
    ///
    /// An address, a network (192.0.2.0/24), a host name, samehost, samenet or all.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', add = of(completion::origins))]
    pub from: Vec<String>,
    /// The database, or all
    ///
    /// all does not cover replication.
    #[arg(long, value_name = "DATABASE", default_value = "replication", add = of(completion::databases))]
    pub database: String,
    /// The authentication method
    #[arg(long, value_name = "METHOD", default_value = "scram-sha-256", add = of(completion::methods))]
    pub method: String,
    /// The kind of connection
    ///
    /// host, hostssl, hostnossl, hostgssenc, hostnogssenc, or local, which has no --from.
    #[arg(long = "type", value_name = "TYPE", default_value = "host", add = of(completion::kinds))]
    pub kind: String,
    /// How to ask the cluster's server.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// Which login to explain.
#[derive(Args, Clone, Debug)]
pub struct ExplainArguments {
    /// The role
    #[arg(value_name = "ROLE", add = of(completion::roles))]
    pub role: String,
    /// Its address, a network, a host, or local
    ///
    /// local is the Unix socket.
    #[arg(value_name = "ADDRESS", add = of(completion::login_origins))]
    pub address: String,
    /// The database, or replication
    #[arg(long, value_name = "DATABASE", default_value = "replication", add = of(completion::databases))]
    pub database: String,
    /// The connection is encrypted by TLS
    #[arg(long, conflicts_with = "no_ssl")]
    pub ssl: bool,
    /// The connection is not encrypted by TLS
    #[arg(long)]
    pub no_ssl: bool,
    /// The connection is encrypted by GSSAPI
    #[arg(long, conflicts_with = "ssl")]
    pub gss: bool,
    /// How to ask the cluster's server.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}
